//! Lists whose items have an identity: who is who, and in which order they end up.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::schema::Key;

/// What tells an item of a list from the others: its keys' values as text. Without keys, the item itself.
/// `None` if the item lacks a key.
pub(super) fn identity(item: &Value, keys: &[Key]) -> Option<String> {
    if keys.is_empty() {
        return Some(item.to_string());
    }
    let mut identity = String::new();
    for &(key, default) in keys {
        match (item.get(key), default) {
            (Some(value), _) => identity.push_str(&value.to_string()),
            (None, Some(default)) => identity.push_str(default),
            (None, None) => return None,
        }
        identity.push('/');
    }
    Some(identity)
}

/// The identities of all `items`, or `None` if one has none or two have the same.
pub(super) fn identities(items: &[Value], keys: &[Key]) -> Option<Vec<String>> {
    let all: Vec<String> = items.iter().map(|item| identity(item, keys)).collect::<Option<_>>()?;
    let distinct: HashSet<&String> = all.iter().collect();
    (distinct.len() == all.len()).then_some(all)
}

/// Puts `items` into the order that a client asked for in `wanted`, with those that it did not know of where they were
/// among the others: the last `added` items are new, the rest is in the server's order.
///
/// This is `normalizeElementOrder` of apimachinery's strategicpatch: what only the client has goes before what only the
/// server has. New items that take the places of deleted ones count as the server's, after all it had: apimachinery
/// compares with a list in whose memory it has put them (mergeSliceWithoutSpecialElements). `added` is without them.
pub(super) fn arrange(items: &mut Vec<Value>, added: usize, wanted: &[String], keys: &[Key]) {
    let mut places: HashMap<&str, usize> = HashMap::with_capacity(wanted.len());
    for (at, identity) in wanted.iter().enumerate() {
        places.entry(identity).or_insert(at);
    }
    let known = items.len().saturating_sub(added);
    let mut listed = Vec::new();
    let mut others = Vec::new();
    for (at, item) in items.drain(..).enumerate() {
        let server = (at < known).then_some(at);
        match identity(&item, keys).and_then(|identity| places.get(identity.as_str()).copied()) {
            Some(place) => listed.push((place, server, item)),
            None => others.push((server, item)),
        }
    }
    listed.sort_by_key(|&(place, ..)| place);
    let mut others = others.into_iter().peekable();
    for (_, server, item) in listed {
        let first = |other: Option<usize>| matches!((server, other), (Some(s), Some(o)) if o < s);
        while let Some((_, other)) = others.next_if(|&(other, _)| first(other)) {
            items.push(other);
        }
        items.push(item);
    }
    items.extend(others.map(|(_, item)| item));
}
