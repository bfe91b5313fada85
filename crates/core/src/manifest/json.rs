//! The JSON of objects as written, for the API. It is rarely needed while manifests are read, so the text is stored,
//! and parsed on first use.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use serde::Deserialize;
use serde::de::DeserializeSeed;
use serde_json::{Map, Number, Value};

use super::locate::Step;
use super::source::Place;
use super::tree::Tree;
use super::{files, limits};
use crate::store::Text;

/// The source of one object, for as long as its JSON may be needed. The rest of its file is released.
#[derive(Debug)]
pub(super) struct ObjectText {
    /// The document or item that contains it. The items of a List that cannot be split share the List's text.
    text: Arc<str>,
    /// Its path within that.
    within: Arc<[Step]>,
    /// Whether the text is known to be one JSON value.
    json: bool,
    /// State shared by the items of a List that share its text.
    common: Option<Arc<Common>>,
}

/// State shared by the items of a List that cannot be split.
#[derive(Debug)]
pub(super) struct Common {
    /// The List's value, which is parsed once for all items on first use.
    value: OnceLock<Value>,
    /// Number of items.
    items: usize,
}

impl Common {
    /// Creates the state for `items` items.
    pub(super) fn of(items: usize) -> Arc<Self> {
        Arc::new(Common { value: OnceLock::new(), items: items.max(1) })
    }
}

impl ObjectText {
    /// The source at `place`, which has this `text`, except for [empty lines](Self::beginning) before it.
    pub(super) fn at(place: &Place, text: Arc<str>) -> Self {
        ObjectText { text, within: place.within.clone(), json: place.passage.json, common: None }
    }

    /// The source of the item at `place` of a List that has this `text`.
    pub(super) fn item(place: &Place, text: Arc<str>, common: Arc<Common>) -> Self {
        ObjectText { common: Some(common), ..ObjectText::at(place, text) }
    }

    /// `text` without line ends at its start: later documents have that of their marker, the first has none.
    pub(super) fn beginning(text: &str) -> &str {
        text.trim_start_matches(['\r', '\n'])
    }

    /// Whether it equals all of `text`.
    pub(super) fn is(&self, text: &str) -> bool {
        self.within.is_empty() && *self.text == *text
    }

    /// The whole text, unless this is a part of it.
    pub(super) fn whole(&self) -> Option<&str> {
        self.within.is_empty().then_some(&self.text)
    }

    /// Parses the text. It was parsed before, so it is valid; null otherwise.
    fn value(&self) -> Value {
        if self.json {
            return serde_json::from_str(&self.text).unwrap_or_default();
        }
        from_text(&self.text).unwrap_or_default()
    }
}

impl Text for Arc<ObjectText> {
    fn text(&self) -> Cow<'_, str> {
        if self.within.is_empty() {
            Cow::Borrowed(&self.text)
        } else {
            // The text of the List is the same for all items.
            self.json().to_string().into()
        }
    }

    fn bytes(&self) -> usize {
        // The item's share of the List.
        self.text.len() / self.common.as_ref().map_or(1, |common| common.items)
    }

    fn json(&self) -> Value {
        if let Some(common) = &self.common {
            let whole = common.value.get_or_init(|| self.value());
            let part = self.within.iter().try_fold(whole, |value, step| match step {
                Step::Key(key) => value.get(&**key),
                Step::Index(at) => value.get(*at),
            });
            return part.cloned().unwrap_or_default();
        }
        let mut whole = self.value();
        for step in self.within.iter() {
            let part = match step {
                Step::Key(key) => whole.get_mut(&**key),
                Step::Index(at) => whole.get_mut(*at),
            };
            whole = part.map(Value::take).unwrap_or_default();
        }
        whole
    }
}

/// Parses the single YAML or JSON document in `bytes` as JSON.
///
/// # Errors
/// The error in one line. The input is not trusted: documents beyond the limits are refused.
pub fn read_value(bytes: &[u8]) -> Result<Value, String> {
    let text = files::text(bytes.to_vec()).map_err(|no_text| no_text.reason.to_string())?;
    limits::structure(&text).map_err(|too_much| too_much.to_string())?;
    // kubectl sends JSON, for which a YAML parser takes ten times as long.
    match serde_json::from_str(&text) {
        Ok(value) => Ok(value),
        Err(_) => from_text(&text).or_else(|error| {
            let error = error.to_string();
            // Of a repeated key the last counts; strict validation reports it.
            let tree = Tree::of(&text).filter(|_| error.contains("duplicate "));
            tree.map(|tree| tree.value).ok_or(error)
        }),
    }
}

/// Parses one YAML document as JSON, with its merge keys applied.
pub(super) fn from_text(text: &str) -> Result<Value, serde_yaml::Error> {
    let yaml = || serde_yaml::Deserializer::from_str(text);
    if limits::has_aliases(text) {
        limits::Expansion::default().deserialize(yaml())?;
    }
    let mut tree = serde_yaml::Value::deserialize(yaml())?;
    tree.apply_merge()?;
    Ok(from_yaml(tree))
}

/// Converts YAML to JSON: keys that are not strings become strings, as with sigs.k8s.io/yaml.
fn from_yaml(value: serde_yaml::Value) -> Value {
    use serde_yaml::Value as Yaml;
    match value {
        Yaml::Null => Value::Null,
        Yaml::Bool(bool) => Value::Bool(bool),
        Yaml::Number(number) => {
            let whole = number.as_i64().map(Number::from).or_else(|| number.as_u64().map(Number::from));
            whole.or_else(|| Number::from_f64(number.as_f64()?)).map_or(Value::Null, Value::Number)
        }
        Yaml::String(text) => Value::String(text),
        Yaml::Sequence(items) => items.into_iter().map(from_yaml).collect(),
        Yaml::Mapping(map) => {
            let key = |key| match from_yaml(key) {
                Value::String(key) => key,
                other => other.to_string(),
            };
            Value::Object(map.into_iter().map(|(k, v)| (key(k), from_yaml(v))).collect::<Map<_, _>>())
        }
        Yaml::Tagged(tagged) => from_yaml(tagged.value),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::read_value;
    use crate::manifest::read_bytes;

    #[test]
    fn sources_are_parsed_as_json() {
        let block = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, annotations: {x: \"1\"}}\nspec:\n  containers:\n  - &c\n    image: i\n  - {<<: *c, tty: true}\n";
        let list = "{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Pod, metadata: {name: b}, spec: {1: 2.5, 3: -1}}]}";
        let items = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: c}\n  spec: {x: [null, true]}\n";
        let json = r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "d"}, "spec": {"x": 18446744073709551615}}"#;
        let text = [block, list, items, json].join("\n---\n");
        let manifest = read_bytes("a.yaml", text.into());
        assert!(manifest.problems.is_empty(), "{:?}", manifest.problems);
        let specs: Vec<_> = manifest
            .objects
            .iter()
            .map(|read| read.object.metadata().given.as_ref().expect("given").json()["spec"].clone())
            .collect();
        let expected = [
            json!({"containers": [{"image": "i"}, {"image": "i", "tty": true}]}),
            json!({"1": 2.5, "3": -1}),
            json!({"x": [null, true]}),
            json!({"x": u64::MAX}),
        ];
        assert_eq!(specs, expected);
    }

    #[test]
    fn one_document_is_parsed_as_one_value() {
        let table = [
            ("{\"a\": [1, null]}", Ok(json!({"a": [1, null]}))),
            ("a:\n- 1\n- b: x\n", Ok(json!({"a": [1, {"b": "x"}]}))),
            ("a: &x {b: 1}\nc: *x\n", Ok(json!({"a": {"b": 1}, "c": {"b": 1}}))),
            ("a: [", Err(())),
            ("\u{0}", Err(())),
        ];
        for (text, expected) in table {
            assert_eq!(read_value(text.as_bytes()).map_err(|_| ()), expected, "{text:?}");
        }
        let bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned()
            + &(b'b'..b'i')
                .map(|c| {
                    let (c, last) = (char::from(c), char::from(c - 1));
                    format!("{c}: &{c} [{}]\n", format!("*{last}, ").repeat(10))
                })
                .collect::<String>();
        assert!(read_value(bomb.as_bytes()).is_err());
        assert!(read_value("[".repeat(100_000).as_bytes()).is_err());
    }
}
