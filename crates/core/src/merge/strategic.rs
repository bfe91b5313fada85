//! Strategic merge patch: a merge patch for lists whose items have identities, with directives for operations that an
//! example cannot express. As in `k8s.io/apimachinery/pkg/util/strategicpatch`.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::MergeError;
use super::lists::{arrange, identity};
use super::schema::{self, Fields, Items, Key};
use super::work::Work;

/// Patches `live`, an object of `kind` (`StatefulSet`) of `api_version`, with a strategic merge patch.
///
/// # Errors
///
/// [`MergeError::Malformed`] if a directive is misused or an item of a keyed list lacks its key,
/// [`MergeError::TooMuchWork`] if the same long lists are merged again and again.
pub fn strategic(api_version: &str, kind: &str, live: &mut Value, patch: &Value) -> Result<(), MergeError> {
    match (live, patch) {
        (Value::Object(live), Value::Object(patch)) => {
            map(live, patch, schema::of(api_version, kind), &mut Work::default())
        }
        _ => Err(MergeError::Malformed("a strategic merge patch has to be an object".into())),
    }
}

/// Cost of comparing an item, in moved items: its keys are rendered as text.
const COMPARISON_COST: usize = 4;

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_PRIMITIVES: &str = "$deleteFromPrimitiveList/";
const ELEMENT_ORDER: &str = "$setElementOrder/";

fn is_directive(field: &str) -> bool {
    field == PATCH
        || field == RETAIN_KEYS
        || field.starts_with(DELETE_PRIMITIVES)
        || field.starts_with(ELEMENT_ORDER)
}

fn map(
    live: &mut Map<String, Value>,
    patch: &Map<String, Value>,
    fields: Fields,
    work: &mut Work,
) -> Result<(), MergeError> {
    work.spend(patch.len())?;
    match patch.get(PATCH).map(|directive| (directive, directive.as_str())) {
        None | Some((_, Some("merge"))) => {}
        Some((_, Some("replace"))) => {
            *live = plain_map(patch);
            return Ok(());
        }
        Some((_, Some("delete"))) => {
            live.clear();
            return Ok(());
        }
        Some((directive, _)) => return Err(unknown(directive)),
    }
    if let Some(keys) = patch.get(RETAIN_KEYS) {
        retain(live, patch, keys)?;
    }
    for (directive, gone) in patch {
        if let Some(field) = directive.strip_prefix(DELETE_PRIMITIVES) {
            let gone: HashSet<&Value> = array(directive, gone)?.iter().collect();
            if let Some(Value::Array(live)) = live.get_mut(field) {
                work.spend(live.len())?;
                live.retain(|item| !gone.contains(item));
            }
        }
    }
    for (field, value) in patch.iter().filter(|(field, _)| !is_directive(field)) {
        match (live.get_mut(field), value) {
            (_, Value::Null) => drop(live.remove(field)),
            (Some(Value::Object(live)), Value::Object(patch)) => {
                map(live, patch, fields.inside(field), work)?;
            }
            (Some(Value::Array(live)), Value::Array(patch_items)) => {
                let order = patch.get(&format!("{ELEMENT_ORDER}{field}"));
                list(field, live, patch_items, order, fields, work)?;
            }
            _ => drop(live.insert(field.clone(), plain(value))),
        }
    }
    for (directive, order) in patch {
        if let Some(field) = directive.strip_prefix(ELEMENT_ORDER)
            && !patch.contains_key(field)
            && let Some(Value::Array(live)) = live.get_mut(field)
        {
            list(field, live, &[], Some(order), fields, work)?;
        }
    }
    Ok(())
}

/// `$retainKeys`: keeps only the patched fields of this object, so that one member of a union (an `emptyDir` volume) is
/// removed when another (`hostPath`) is set.
fn retain(live: &mut Map<String, Value>, patch: &Map<String, Value>, keys: &Value) -> Result<(), MergeError> {
    let keys: HashSet<&str> = array(RETAIN_KEYS, keys)?.iter().filter_map(Value::as_str).collect();
    if let Some(field) = patch.keys().find(|field| !is_directive(field) && !keys.contains(field.as_str())) {
        return Err(MergeError::Malformed(format!("{field} is in the patch but not in its {RETAIN_KEYS}")));
    }
    live.retain(|field, _| keys.contains(field.as_str()));
    Ok(())
}

/// Merges the list in `field` of an object with `fields`.
fn list(
    field: &str,
    live: &mut Vec<Value>,
    patch: &[Value],
    order: Option<&Value>,
    fields: Fields,
    work: &mut Work,
) -> Result<(), MergeError> {
    let before = live.len();
    work.spend(COMPARISON_COST * (before + patch.len()))?;
    let Some(items) = fields.patched(field) else {
        // An order alone does not change an atomic list.
        if !patch.is_empty() || order.is_none() {
            *live = patch.iter().filter(|item| item.get(PATCH).is_none()).map(plain).collect();
        }
        return Ok(());
    };
    let keys = items.keys();
    let added = match items {
        Items::ByKeys(_) => keyed(field, live, patch, keys, fields.item(field), work)?,
        Items::Set => {
            let had: HashSet<Value> = live.iter().cloned().collect();
            live.extend(patch.iter().filter(|value| !had.contains(value)).cloned());
            live.len() - before
        }
    };
    let directive = format!("{ELEMENT_ORDER}{field}");
    let identities = |items: &[Value]| -> Option<Vec<String>> {
        let items = items.iter().filter(|item| item.get(PATCH).is_none());
        items.map(|item| identity(item, keys)).collect()
    };
    // Without a directive the items of the patch are in its order (mergeSlice).
    let (wanted, added) = match order {
        Some(order) => (identities(array(&directive, order)?), live.len().saturating_sub(before)),
        None => (identities(patch), added),
    };
    let wanted = wanted.ok_or_else(|| no_key(&directive, keys))?;
    arrange(live, added, &wanted, keys);
    Ok(())
}

/// Merges a list whose items have `keys` and `fields`. Returns the number of new items at its end.
fn keyed(
    field: &str,
    live: &mut Vec<Value>,
    patch: &[Value],
    keys: &[Key],
    fields: Fields,
    work: &mut Work,
) -> Result<usize, MergeError> {
    let key = |item: &Value| identity(item, keys).ok_or_else(|| no_key(field, keys));
    let mut gone = HashSet::new();
    let mut replaced = false;
    for item in patch {
        match item.get(PATCH).map(|directive| (directive, directive.as_str())) {
            None => {}
            Some((_, Some("delete"))) => drop(gone.insert(key(item)?)),
            Some((_, Some("replace"))) => replaced = true,
            Some((_, Some("merge"))) => {
                let message = format!("{field}: $patch: merge is not for an item of a list");
                return Err(MergeError::Malformed(message));
            }
            Some((directive, _)) => return Err(unknown(directive)),
        }
    }
    live.retain(|item| !replaced && identity(item, keys).is_none_or(|item| !gone.contains(&item)));
    let kept = live.len();
    let mut places = HashMap::new();
    for (at, item) in live.iter().enumerate() {
        if let Some(identity) = identity(item, keys) {
            // Of two ports with the same number, one TCP and one UDP, the first is patched.
            places.entry(identity).or_insert(at);
        }
    }
    for item in patch.iter().filter(|item| item.get(PATCH).is_none()) {
        let identity = key(item)?;
        match (places.get(&identity).map(|&at| &mut live[at]), item) {
            (Some(Value::Object(live)), Value::Object(item)) => map(live, item, fields, work)?,
            _ => {
                places.insert(identity, live.len());
                live.push(plain(item));
            }
        }
    }
    Ok(live.len() - kept)
}

/// `value` of a patch without a live value: nulls and directives are removed.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(plain_map(map)),
        Value::Array(items) => {
            Value::Array(items.iter().filter(|item| item.get(PATCH).is_none()).map(plain).collect())
        }
        value => value.clone(),
    }
}

fn plain_map(map: &Map<String, Value>) -> Map<String, Value> {
    let fields = map.iter().filter(|(field, value)| !is_directive(field) && !value.is_null());
    fields.map(|(field, value)| (field.clone(), plain(value))).collect()
}

fn array<'a>(directive: &str, value: &'a Value) -> Result<&'a Vec<Value>, MergeError> {
    value.as_array().ok_or_else(|| MergeError::Malformed(format!("{directive} has to be a list")))
}

fn unknown(directive: &Value) -> MergeError {
    MergeError::Malformed(format!("unknown patch type: {directive}, expected merge, replace or delete"))
}

fn no_key(field: &str, keys: &[Key]) -> MergeError {
    let key = keys.first().map_or("", |(key, _)| key);
    MergeError::Malformed(format!("{field}: an item does not contain declared merge key: {key}"))
}
