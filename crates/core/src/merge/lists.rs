//! Lists whose items have an identity: matching of items, and their order after a merge.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::schema::Key;

/// The identity of a list item: the values of its keys as text. Without keys, the item itself. `None` if the item lacks
/// a key.
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

/// The identities of all `items`, or `None` if one has none or two are the same.
pub(super) fn identities(items: &[Value], keys: &[Key]) -> Option<Vec<String>> {
    let all: Vec<String> = items.iter().map(|item| identity(item, keys)).collect::<Option<_>>()?;
    let distinct: HashSet<&String> = all.iter().collect();
    (distinct.len() == all.len()).then_some(all)
}

/// Sorts `items` into the client's order `wanted`; items unknown to the client keep their position among the others.
/// The last `added` items are new, the rest is in the server's order.
///
/// This is `normalizeElementOrder` of apimachinery's strategicpatch: items that only the client has go before those
/// that only the server has. New items that replace deleted ones count as the server's last ones, because apimachinery
/// compares with a list into whose memory it has written them (mergeSliceWithoutSpecialElements). They are not included
/// in `added`.
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
