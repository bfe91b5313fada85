//! The three-way merge of an apply: fields of the manifest are set, removed ones are deleted, and fields of other
//! writers are kept.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::lists::{arrange, identities};
use super::schema::{self, Fields, Key};

/// Applies `wanted` to `live`, an object of `kind` of `api_version`: its fields are set, those that are in `last` (the last
/// applied object, if any) but not in `wanted` are removed, and all others are kept.
///
/// Without `last` this is a server-side apply that forces conflicts.
pub fn apply(api_version: &str, kind: &str, last: Option<&Value>, wanted: &Value, live: &mut Value) {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => {
            map(last.and_then(Value::as_object), wanted, live, schema::of(api_version, kind));
        }
        (live, wanted) => *live = without_nulls(wanted),
    }
}

fn map(
    last: Option<&Map<String, Value>>,
    wanted: &Map<String, Value>,
    live: &mut Map<String, Value>,
    fields: Fields,
) {
    for gone in last.into_iter().flat_map(Map::keys).filter(|field| !wanted.contains_key(*field)) {
        live.remove(gone);
    }
    for (field, value) in wanted {
        let last = last.and_then(|last| last.get(field));
        match (live.get_mut(field), value) {
            (_, Value::Null) => drop(live.remove(field)),
            (Some(Value::Object(live)), Value::Object(wanted)) if !fields.is_atomic(field) => {
                map(last.and_then(Value::as_object), wanted, live, fields.inside(field));
            }
            (Some(Value::Array(live)), Value::Array(wanted)) => match fields.applied(field) {
                Some(items) => list(last, wanted, live, items.keys(), fields.item(field)),
                None => *live = wanted.iter().map(without_nulls).collect(),
            },
            _ => drop(live.insert(field.clone(), without_nulls(value))),
        }
    }
}

/// Merges two lists by the `keys` of their items, which have `fields`. A list is replaced if an item has no identity, or two have
/// the same.
fn list(last: Option<&Value>, wanted: &[Value], live: &mut Vec<Value>, keys: &[Key], fields: Fields) {
    let (Some(order), Some(had)) = (identities(wanted, keys), identities(live, keys)) else {
        *live = wanted.iter().map(without_nulls).collect();
        return;
    };
    let last: &[Value] = last.and_then(Value::as_array).map_or(&[], Vec::as_slice);
    let last: HashMap<String, &Value> =
        identities(last, keys).unwrap_or_default().into_iter().zip(last).collect();
    let before = live.len();
    let stays: HashSet<&String> = order.iter().collect();
    let mut places = HashMap::with_capacity(had.len());
    let mut kept = Vec::with_capacity(live.len());
    for (identity, item) in had.into_iter().zip(std::mem::take(live)) {
        if stays.contains(&identity) || !last.contains_key(&identity) {
            places.insert(identity, kept.len());
            kept.push(item);
        }
    }
    for (identity, item) in order.iter().zip(wanted) {
        match (places.get(identity).map(|&at| &mut kept[at]), item) {
            (Some(Value::Object(live)), Value::Object(wanted)) if !fields.are_atomic() => {
                map(last.get(identity).and_then(|last| last.as_object()), wanted, live, fields);
            }
            (Some(live), wanted) => *live = without_nulls(wanted),
            (None, wanted) => kept.push(without_nulls(wanted)),
        }
    }
    let added = kept.len().saturating_sub(before);
    arrange(&mut kept, added, &order, keys);
    *live = kept;
}

/// In a manifest, null means absent.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let fields = map.iter().filter(|(_, value)| !value.is_null());
            fields.map(|(field, value)| (field.clone(), without_nulls(value))).collect()
        }
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        value => value.clone(),
    }
}
