//! Takes the place of sigs.k8s.io/yaml: converts a document to JSON like kubectl. Of a repeated key the last counts,
//! and numbers without a fraction are integers. Must not depend on the meaning of fields.

use std::collections::HashSet;
use std::fmt;

use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde_json::{Map, Number, Value};

use super::limits::{self, Expansion};

/// Maximum number of reported repeated keys.
const REPEATED: usize = 20;

/// A document as JSON.
#[derive(Debug, Default)]
pub struct Tree {
    /// The value of the document.
    pub value: Value,
    /// The repeated keys, each with the path of its map: `spec` and `replicas`.
    pub repeated: Vec<(String, String)>,
    /// The strings that are other values to kubectl, which reads YAML 1.1, unless they are quoted: the path of each,
    /// and the value in YAML 1.1.
    pub unquoted: Vec<(String, Value)>,
}

impl Tree {
    /// Parses `text`, YAML or JSON; `None` if it is malformed or exceeds the limits.
    pub fn of(text: &str) -> Option<Self> {
        limits::structure(text).ok()?;
        let yaml = || serde_yaml::Deserializer::from_str(text);
        if limits::has_aliases(text) {
            Expansion::default().deserialize(yaml()).ok()?;
        }
        let (mut repeated, mut unquoted, mut path) = (Vec::new(), Vec::new(), String::new());
        let build = Build { path: &mut path, repeated: &mut repeated, unquoted: &mut unquoted };
        let value = build.deserialize(yaml()).ok()?;
        Some(Tree { value, repeated, unquoted })
    }

    /// Replaces the value at `path`.
    pub fn set(&mut self, path: &str, value: Value) {
        let there = super::locate::parse_path(path).try_fold(&mut self.value, |value, step| match step {
            super::locate::Step::Key(key) => value.get_mut(&*key),
            super::locate::Step::Index(at) => value.get_mut(at),
        });
        if let Some(there) = there {
            *there = value;
        }
    }
}

/// The field path of `key` below `path`.
pub fn below(path: &str, key: &str) -> String {
    match path {
        path if key.contains(['.', '[', '/']) => format!("{path}[{key}]"),
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    }
}

/// A number as in Go's JSON: an integer if it has no fraction.
fn number(float: f64) -> Value {
    // Go writes floats below this without an exponent, and reads them as integers.
    const WHOLE: f64 = 9_007_199_254_740_992.0;
    if float.fract() == 0.0 && float.abs() <= WHOLE {
        Value::from(float as i64)
    } else {
        Number::from_f64(float).map_or(Value::Null, Value::Number)
    }
}

/// Maximum number of strings in [`Tree::unquoted`].
const UNQUOTED: usize = 20;

/// The value of unquoted `text` in YAML 1.1, as go-yaml resolves it, if that is not a string while it is in YAML 1.2.
fn resolved(text: &str) -> Option<Value> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return Some(true.into()),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => return Some(false.into()),
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit())
        || !digits.bytes().all(|b| b.is_ascii_digit() || b == b'_')
    {
        return None;
    }
    let sign = if text.starts_with('-') { "-" } else { "" };
    let digits = format!("{sign}{}", digits.replace('_', ""));
    let octal = digits
        .trim_start_matches('-')
        .starts_with('0')
        .then(|| i64::from_str_radix(&digits, 8).ok())
        .flatten();
    octal.or_else(|| digits.parse().ok()).map(Value::from)
}

struct Build<'a> {
    path: &'a mut String,
    repeated: &'a mut Vec<(String, String)>,
    unquoted: &'a mut Vec<(String, Value)>,
}

impl Build<'_> {
    /// Builds the value at `key` below the path.
    fn at<T>(&mut self, step: fmt::Arguments<'_>, go_on: impl FnOnce(Build<'_>) -> T) -> T {
        let length = self.path.len();
        _ = fmt::Write::write_fmt(self.path, step);
        let outcome = go_on(Build { path: self.path, repeated: self.repeated, unquoted: self.unquoted });
        self.path.truncate(length);
        outcome
    }
}

impl<'de> DeserializeSeed<'de> for Build<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Build<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }
    fn visit_bool<E>(self, bool: bool) -> Result<Value, E> {
        Ok(bool.into())
    }
    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }
    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }
    fn visit_f64<E>(self, float: f64) -> Result<Value, E> {
        Ok(number(float))
    }
    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        if self.unquoted.len() < UNQUOTED
            && let Some(value) = resolved(text)
        {
            self.unquoted.push((self.path.clone(), value));
        }
        Ok(text.into())
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) =
            self.at(format_args!("[{}]", items.len()), |build| seq.next_element_seed(build))?
        {
            items.push(item);
        }
        Ok(Value::Array(items))
    }
    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Value, A::Error> {
        let (mut fields, mut twice) = (Map::new(), HashSet::new());
        while let Some(key) = map.next_key_seed(Key)? {
            let step = below("", &key);
            let dot = if self.path.is_empty() || step.starts_with('[') { "" } else { "." };
            let value = self.at(format_args!("{dot}{step}"), |build| map.next_value_seed(build))?;
            if fields.contains_key(&key) && twice.insert(key.clone()) && self.repeated.len() < REPEATED {
                self.repeated.push((self.path.clone(), key.clone()));
            }
            fields.insert(key, value);
        }
        merge(&mut fields);
        Ok(Value::Object(fields))
    }
    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<Value, A::Error> {
        let (_, value) = tagged.variant_seed(Key)?;
        value.newtype_variant_seed(self)
    }
}

/// Applies a merge key (`<<`): existing fields take precedence.
fn merge(fields: &mut Map<String, Value>) {
    let Some(merged) = fields.remove("<<") else { return };
    let maps = match merged {
        Value::Array(items) => items,
        other => vec![other],
    };
    for map in maps {
        if let Value::Object(map) = map {
            for (key, value) in map {
                fields.entry(key).or_insert(value);
            }
        }
    }
}

/// Deserializes a key of any scalar type as a string.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = String;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = String;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
        Ok(text.into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_are_converted_like_with_kubectl() {
        let table: [(&str, Value, &[&str]); 8] = [
            ("a: 1\nb: {a: x}\n", json!({"a": 1, "b": {"a": "x"}}), &[]),
            ("a: 1\na: 2\na: 3\n", json!({"a": 3}), &["a"]),
            (
                "s: {r: 1, r: 2, l: [{x: 1, x: 2}], m: {a.b/c: 1, a.b/c: 2}}\n",
                json!({"s": {"r": 2, "l": [{"x": 2}], "m": {"a.b/c": 2}}}),
                &["s.r", "s.l[0].x", "s.m[a.b/c]"],
            ),
            ("a: 3.0\nb: 8e1\nc: 1.5\nd: -0.0\n", json!({"a": 3, "b": 80, "c": 1.5, "d": 0}), &[]),
            (r#"{"a": 3.0, "a": "x"}"#, json!({"a": "x"}), &["a"]),
            (
                "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\n",
                json!({"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}}),
                &[],
            ),
            ("1: 2\n", json!({"1": 2}), &[]),
            ("a: ~\nb: 0123\nc: yes\n", json!({"a": null, "b": "0123", "c": "yes"}), &[]),
        ];
        for (text, value, repeated) in table {
            let tree = Tree::of(text).expect("well-formed");
            assert_eq!(tree.value, value, "{text}");
            let paths: Vec<String> = tree.repeated.iter().map(|(path, key)| below(path, key)).collect();
            assert_eq!(paths, *repeated, "{text}");
        }
        assert!(Tree::of("a: [").is_none());
    }

    /// As `kubectl annotate --local` prints them.
    #[test]
    fn yaml_1_1_keywords_are_not_strings() {
        let table = [
            ("yes", Some(json!(true))),
            ("On", Some(json!(true))),
            ("y", Some(json!(true))),
            ("OFF", Some(json!(false))),
            ("0755", Some(json!(493))),
            ("08", Some(json!(8))),
            ("1_000", Some(json!(1000))),
            ("-010", Some(json!(-8))),
            ("1:30", None),
            ("yEs", None),
            ("2001-01-01", None),
            ("_1", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(resolved(text), expected, "{text}");
        }
    }
}
