//! Passages as JSON, for the API to give back what was written. Nobody asks for that while manifests are read, so it is
//! worked out from the text when somebody does.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::DeserializeSeed;
use serde_json::{Map, Number, Value};

use super::limits;
use super::locate::Step;
use super::source::Place;
use crate::store::Text;

impl Text for Place {
    fn text(&self) -> Cow<'_, str> {
        match self.within.is_empty() {
            true => Place::text(self),
            // Two items of one List have the List's text in common.
            false => format!("{:?} of {}", self.within, Place::text(self)).into(),
        }
    }

    fn json(&self) -> Value {
        let mut whole = whole(self);
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

/// The passage that `place` is in. It was read before, so it can be read again; null where it cannot.
fn whole(place: &Place) -> Value {
    let text = Place::text(place);
    if place.passage.json {
        return serde_json::from_str(&text).unwrap_or_default();
    }
    let parse = || {
        let yaml = || serde_yaml::Deserializer::from_str(&text);
        if limits::has_aliases(&text) {
            limits::Expansion::default().deserialize(yaml()).ok()?;
        }
        let mut tree = serde_yaml::Value::deserialize(yaml()).ok()?;
        tree.apply_merge().ok()?;
        Some(from_yaml(tree))
    };
    parse().unwrap_or_default()
}

/// YAML's value as JSON's: keys that are no strings become some, as sigs.k8s.io/yaml has it.
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

    use crate::manifest::read_bytes;

    #[test]
    fn what_was_written_is_given_back() {
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
}
