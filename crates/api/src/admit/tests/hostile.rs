//! Whatever clients send is taken or refused, and what is taken can be shown.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::view::table;

/// Every place in `json`, as JSON pointers.
fn pointers(json: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.into());
    match json {
        Value::Object(map) => {
            map.iter().for_each(|(key, value)| pointers(value, &format!("{at}/{key}"), found))
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(key, value)| pointers(value, &format!("{at}/{key}"), found));
        }
        _ => {}
    }
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec!["", "None", "a", "10.0.0.1", "2026-11-22T12:00:00Z", "\u{0}"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        let key = prop::sample::select(vec!["name", "kind", "image", "spec", "type", "controller"])
            .prop_map(String::from);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..3).prop_map(|map| map.into_iter().collect::<Value>()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn whatever_clients_send_is_taken_or_refused(
        which in 0..7_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), anything()), 1..4),
    ) {
        let owned = "{metadata: {labels: {a: b}, ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: s, uid: u, controller: true}]}, spec: {containers: [{name: c, image: i, ports: [{containerPort: 1}], env: [{name: e, value: v}]}], volumes: [{name: v}], tolerations: [{key: k}]}, status: {phase: Running, conditions: [{type: Ready, status: 'True'}], containerStatuses: [{name: c}]}}";
        let node = "{metadata: {annotations: {clusterlocal.dev/boots: '2'}}, spec: {taints: [{key: a, effect: NoExecute}]}, status: {addresses: [{type: InternalIP, address: 10.0.0.1}], nodeInfo: {}}}";
        let event = "{involvedObject: {kind: Pod, name: a}, reason: r, message: m, type: Normal, firstTimestamp: '2026-11-22T12:00:00Z'}";
        let claim = "{spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}";
        let (kind, rest) = [
            (Kind::StatefulSet, SET),
            (Kind::Deployment, SET),
            (Kind::Service, SERVICE),
            (Kind::Pod, owned),
            (Kind::Node, node),
            (Kind::Event, event),
            (Kind::PersistentVolumeClaim, claim),
        ][which];
        let mut json = object_of(kind, rest);
        let mut places = Vec::new();
        pointers(&json, "", &mut places);
        let good = stored(kind, rest);
        let before = shown(&good);
        for (place, value) in changes {
            if let Some(there) = json.pointer_mut(&places[place.index(places.len())]) {
                *there = value;
            }
        }
        if json.pointer("/metadata").is_some_and(Value::is_object) {
            drop(update(&the_one(&good).object, &before, json.clone(), Written::Whole));
        }
        if let Ok(object) = create(kind, json) {
            let mut store = Store::new();
            store.apply(Change::Put(object));
            let shown = shown(&store);
            let row = table::row(kind, &shown, Time::default(), Default::default());
            prop_assert_eq!(row["cells"].as_array().map(Vec::len), Some(table::columns(kind).len()));
            let again = update(&the_one(&store).object, &shown, shown.clone(), Written::Whole);
            prop_assert!(again.is_ok(), "{:?}", again.map_err(|invalid| messages(&invalid)));
        }
    }
}
