//! Edits of JSON objects by the conventions of the API: absent, empty and default values.

use serde_json::{Map, Value, json};

use super::names::Labels;

/// Sets `field` if it is absent.
pub fn fill(object: &mut Map<String, Value>, field: &str, value: impl Into<Value>) {
    match object.get(field) {
        Some(there) if !there.is_null() => {}
        _ => drop(object.insert(field.into(), value.into())),
    }
}

/// The object in `field`, which is created if absent.
pub fn object<'a>(parent: &'a mut Map<String, Value>, field: &str) -> &'a mut Map<String, Value> {
    let value = parent.entry(field).or_insert_with(|| json!({}));
    if !value.is_object() {
        *value = json!({});
    }
    value.as_object_mut().expect("set to an object above")
}

/// The objects in the list `field`.
pub fn objects<'a>(
    parent: &'a mut Map<String, Value>,
    field: &str,
) -> impl Iterator<Item = &'a mut Map<String, Value>> {
    let list = parent.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten();
    list.filter_map(Value::as_object_mut)
}

/// Sets `field` to `labels`, or removes it if there are none.
pub fn put_labels(object: &mut Map<String, Value>, field: &str, labels: &Labels) {
    if labels.is_empty() {
        drop(object.remove(field))
    } else {
        let pairs = labels.iter().map(|(key, value)| (key.to_string(), value.into()));
        object.insert(field.into(), Value::Object(pairs.collect()));
    }
}

/// A copy of `map` without null values.
pub fn without_nulls(map: &Map<String, Value>) -> Map<String, Value> {
    fn value(of: &Value) -> Value {
        match of {
            Value::Object(map) => without_nulls(map).into(),
            Value::Array(items) => items.iter().map(value).collect(),
            other => other.clone(),
        }
    }
    let there = map.iter().filter(|(_, value)| !value.is_null());
    there.map(|(field, of)| (field.clone(), value(of))).collect()
}

/// Approximate memory of `value`, in bytes.
pub(super) fn json_bytes(value: &Value) -> usize {
    // Memory of a map's entry besides its key and value: its share of a half-empty node.
    const ENTRY: usize = 40;
    size_of::<Value>()
        + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(json_bytes).sum(),
            Value::Object(map) => map.iter().map(|(key, value)| ENTRY + key.len() + json_bytes(value)).sum(),
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
}
