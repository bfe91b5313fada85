//! Lists and maps of bounded size (`validateSlice`, `validateSet`, `validateMap` of `pkg/apis/resource/validation`).

use std::collections::BTreeSet;

use crate::field::{At, Causes};

/// `validateSlice`: of a list that is too long only the length is reported.
pub(super) fn validate_slice(
    list: &At<'_>,
    max: usize,
    mut validate: impl FnMut(&At<'_>, &mut Causes),
    causes: &mut Causes,
) {
    if is_short(list, max, causes) {
        for item in list.items() {
            validate(&item, causes);
        }
    }
}

/// `validateSet`: as [`validate_slice`], and no two items have the same key.
pub(super) fn validate_set<'o>(
    list: &At<'o>,
    max: usize,
    mut validate: impl FnMut(&At<'_>, &mut Causes),
    key: impl Fn(&At<'o>) -> &'o str,
    causes: &mut Causes,
) {
    if !is_short(list, max, causes) {
        return;
    }
    for item in list.items() {
        validate(&item, causes);
    }
    let mut seen = BTreeSet::new();
    for item in list.items() {
        if !seen.insert(key(&item)) {
            causes.duplicate(&item, key(&item));
        }
    }
}

fn is_short(list: &At<'_>, max: usize, causes: &mut Causes) -> bool {
    let count = list.list().len();
    if count > max {
        causes.too_many(list, count, max);
    }
    count <= max
}

/// `validateMap`: causes of a key have the path of the map.
pub(super) fn validate_map(
    map: &At<'_>,
    max: Option<usize>,
    key_max: usize,
    validate_key: fn(&At<'_>, &str, &mut Causes),
    mut validate: impl FnMut(&At<'_>, &mut Causes),
    causes: &mut Causes,
) {
    let count = map.map().map_or(0, serde_json::Map::len);
    if let Some(max) = max.filter(|max| count > *max) {
        return causes.too_many(map, count, max);
    }
    for (key, item) in map.entries() {
        validate_key(map, key, causes);
        validate(&map.key(&truncated(key, key_max)).with(item.value()), causes);
    }
}

/// `truncateIfTooLong`: the ends of a text with more than `max` bytes.
fn truncated(text: &str, max: usize) -> String {
    const ELLIPSIS: &str = "...";
    let max = max.max(16);
    if text.len() <= max {
        return text.into();
    }
    let rest = max - ELLIPSIS.len();
    let (begin, end) = ((rest + 1).div_euclid(2), text.len() - rest / 2);
    let bytes = text.as_bytes();
    let ends = [&bytes[..begin], ELLIPSIS.as_bytes(), &bytes[end..]].concat();
    String::from_utf8_lossy(&ends).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_keys_keep_their_ends() {
        let table = [("abc", 20, "abc"), ("abcdefghijklmnopqrst", 4, "abcdefg...opqrst")];
        for (text, max, expected) in table {
            assert_eq!(truncated(text, max), expected);
        }
    }
}
