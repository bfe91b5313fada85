//! Properties of all patches.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{apply, strategic};

const FIELDS: [&str; 7] = ["a", "b", "finalizers", "metadata", "spec", "containers", "tolerations"];

/// JSON like that of objects: fields from a few names, lists with and without names.
fn object() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        (0..4u8).prop_map(Value::from),
        "[a-c]".prop_map(Value::from)
    ];
    let value = leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            fields(inner.clone()).prop_map(Value::from),
            named(inner),
        ]
    });
    fields(value).prop_map(Value::from)
}

fn fields(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
    let field = prop::sample::select(&FIELDS[..]).prop_map(String::from);
    prop::collection::btree_map(field, value, 0..4).prop_map(|map| map.into_iter().collect())
}

/// A list of items with names, in any order.
fn named(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    let items = prop::collection::btree_map("[a-d]", fields(value), 0..4);
    let items = items.prop_map(|items| {
        let named = |(name, mut item): (String, Map<String, Value>)| {
            item.insert("name".into(), name.into());
            Value::from(item)
        };
        items.into_iter().map(named).collect::<Vec<Value>>()
    });
    items.prop_shuffle().prop_map(Value::from)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_only_writer_gets_the_applied_object(last in object(), wanted in object()) {
        let mut live = last.clone();
        apply("Pod", Some(&last), &wanted, &mut live);
        prop_assert_eq!(live, wanted);
    }

    #[test]
    fn apply_is_idempotent(wanted in object(), live in object()) {
        let mut once = live;
        apply("Pod", None, &wanted, &mut once);
        let mut twice = once.clone();
        apply("Pod", Some(&wanted), &wanted, &mut twice);
        prop_assert_eq!(twice, once);
    }

    #[test]
    fn an_object_as_a_patch_of_itself_changes_nothing(live in object()) {
        let mut patched = live.clone();
        if strategic("Pod", &mut patched, &live).is_ok() {
            prop_assert_eq!(patched, live);
        }
    }

    #[test]
    fn a_strategic_patch_of_an_empty_object_gives_the_patch(patch in object()) {
        let mut patched = json!({});
        prop_assert_eq!(strategic("Pod", &mut patched, &patch), Ok(()));
        prop_assert_eq!(patched, patch);
    }
}
