//! Objects as written: with the fields that neither a controller nor the DNS reads, for the API to return.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::json::json_bytes;
use super::names::Name;

/// An object as it was written. Clones share it; its JSON is parsed on first use.
#[derive(Clone)]
pub struct Given(Arc<Inner>);

struct Inner {
    text: Option<Box<dyn Text>>,
    /// Parsed on first use, which most objects never have.
    json: OnceLock<Box<Value>>,
    /// See [`Given::bytes`].
    bytes: OnceLock<usize>,
}

/// The source text of an object, in any format.
pub trait Text: Send + Sync {
    /// The text: equal texts have equal meanings.
    fn text(&self) -> Cow<'_, str>;

    /// Approximate size in memory, in bytes.
    fn bytes(&self) -> usize {
        self.text().len()
    }

    /// Parses it; null if that fails.
    fn json(&self) -> Value;
}

impl Given {
    /// Wraps a source text.
    pub fn text(text: impl Text + 'static) -> Self {
        Given(Arc::new(Inner { text: Some(Box::new(text)), json: OnceLock::new(), bytes: OnceLock::new() }))
    }

    /// Approximate size in memory, in bytes, without the JSON that is parsed later.
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

/// Whether both have the same JSON, in any format.
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

/// A part of an object as written.
#[derive(Clone, Debug)]
pub struct Part {
    of: Given,
    /// Its position, as an RFC 6901 pointer.
    at: Name,
}

impl Part {
    /// The part of `of` at the JSON pointer `at`.
    pub fn new(of: &Given, at: impl Into<Name>) -> Self {
        Part { of: of.clone(), at: at.into() }
    }

    /// The object that contains it.
    pub(super) fn whole(&self) -> &Given {
        &self.of
    }

    /// Whether the object may have a field called `name`, at the cost of a search in its text: parsing it takes memory for good.
    pub(crate) fn may_have(&self, name: &str) -> bool {
        let source = self.of.0.text.as_ref().filter(|_| self.of.0.json.get().is_none());
        // A backslash may be part of an escaped name.
        source.is_none_or(|source| {
            let text = source.text();
            text.contains(name) || text.contains('\\')
        })
    }

    /// The part as JSON; null if it does not exist.
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
    fn values_are_compared_by_their_json() {
        let given = Given::text(Json(r#"{"a": {"b": 1}, "c": 2}"#));
        assert_eq!(given, Given::text(Json(r#"{"c": 2, "a": {"b": 1}}"#)));
        assert_eq!(given, Given::from(json!({"a": {"b": 1}, "c": 2})));
        assert_ne!(given, Given::text(Json("{}")));
        let other = Given::from(json!({"a": {"b": 1}, "c": 3}));
        assert_eq!(Part::new(&given, "/a"), Part::new(&other, "/a"));
        assert_ne!(Part::new(&given, "/c"), Part::new(&other, "/c"));
        assert_eq!(Part::new(&given, "/d").json(), &Value::Null);
    }

    #[test]
    fn fields_are_searched_for_without_parsing() {
        let part = |text| Part::new(&Given::text(Json(text)), "");
        let table = [
            (r#"{"a": 1}"#, "a", true),
            (r#"{"a": 1}"#, "class", false),
            (r#"{"\u0063lass": 1}"#, "class", true),
        ];
        for (text, name, expected) in table {
            assert_eq!(part(text).may_have(name), expected, "{text}");
            assert!(part(text).of.0.json.get().is_none());
        }
        assert!(Part::new(&Given::from(json!({})), "").may_have("a"));
    }
}
