//! What somebody wrote, whole: the fields that neither a controller nor the DNS asks for, for the API to give back.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::names::Name;
use super::weight::json_bytes;

/// An object as it was written. A clone shares it; its JSON is worked out when somebody asks for it first.
#[derive(Clone)]
pub struct Given(Arc<Inner>);

struct Inner {
    text: Option<Box<dyn Text>>,
    /// Of most objects nobody asks for it.
    json: OnceLock<Box<Value>>,
    /// See [`Given::bytes`].
    bytes: OnceLock<usize>,
}

/// Text that says an object, in whatever language.
pub trait Text: Send + Sync {
    /// The text itself: what is written the same means the same.
    fn text(&self) -> Cow<'_, str>;

    /// About how many bytes of memory it takes.
    fn bytes(&self) -> usize {
        self.text().len()
    }

    /// What it means; null if it cannot be read.
    fn json(&self) -> Value;
}

impl Given {
    /// What `text` says.
    pub fn text(text: impl Text + 'static) -> Self {
        Given(Arc::new(Inner { text: Some(Box::new(text)), json: OnceLock::new(), bytes: OnceLock::new() }))
    }

    /// About how many bytes of memory it takes, without what is worked out later.
    pub(super) fn bytes(&self) -> usize {
        *self.0.bytes.get_or_init(|| match &self.0.text {
            Some(text) => text.bytes(),
            None => json_bytes(self.json()),
        })
    }

    /// The object as JSON.
    pub fn json(&self) -> &Value {
        let read = || self.0.text.as_ref().map(|text| text.json()).unwrap_or_default();
        self.0.json.get_or_init(|| read().into())
    }
}

impl From<Value> for Given {
    fn from(json: Value) -> Self {
        Given(Arc::new(Inner { text: None, json: Box::new(json).into(), bytes: OnceLock::new() }))
    }
}

/// Whether both mean the same, however they are written.
impl PartialEq for Given {
    fn eq(&self, other: &Self) -> bool {
        let same_text = || match (&self.0.text, &other.0.text) {
            (Some(a), Some(b)) => a.text() == b.text(),
            _ => false,
        };
        Arc::ptr_eq(&self.0, &other.0) || same_text() || self.json() == other.json()
    }
}

impl Eq for Given {}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.json().fmt(f)
    }
}

/// A part of what somebody wrote.
#[derive(Clone, Debug)]
pub struct Part {
    of: Given,
    /// Where in it, as RFC 6901 has it.
    at: Name,
}

impl Part {
    /// The part of `of` at the JSON pointer `at`.
    pub fn new(of: &Given, at: impl Into<Name>) -> Self {
        Part { of: of.clone(), at: at.into() }
    }

    /// What it is a part of.
    pub(super) fn whole(&self) -> &Given {
        &self.of
    }

    /// The part as JSON; null if it is not there.
    pub fn json(&self) -> &Value {
        self.of.json().pointer(&self.at).unwrap_or(&Value::Null)
    }
}

impl PartialEq for Part {
    fn eq(&self, other: &Self) -> bool {
        let same_whole = || self.at == other.at && Arc::ptr_eq(&self.of.0, &other.of.0);
        same_whole() || self.json() == other.json()
    }
}

impl Eq for Part {}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    struct Json(&'static str);

    impl Text for Json {
        fn text(&self) -> Cow<'_, str> {
            self.0.into()
        }
        fn json(&self) -> Value {
            serde_json::from_str(self.0).unwrap_or_default()
        }
    }

    #[test]
    fn what_means_the_same_is_the_same() {
        let given = Given::text(Json(r#"{"a": {"b": 1}, "c": 2}"#));
        assert_eq!(given, Given::text(Json(r#"{"c": 2, "a": {"b": 1}}"#)));
        assert_eq!(given, Given::from(json!({"a": {"b": 1}, "c": 2})));
        assert_ne!(given, Given::text(Json("{}")));
        let other = Given::from(json!({"a": {"b": 1}, "c": 3}));
        assert_eq!(Part::new(&given, "/a"), Part::new(&other, "/a"));
        assert_ne!(Part::new(&given, "/c"), Part::new(&other, "/c"));
        assert_eq!(Part::new(&given, "/d").json(), &Value::Null);
    }
}
