//! Takes the place of kube-apiserver's conversions: an object is stored in one form, and read and written in each version
//! of its resource. It must not know requests.

use serde_json::{Map, Value};

use super::crd;
use super::resource::Resource;
use clusterlocal_core::store::Store;

/// `object`, as it is stored and rendered, in the version of `resource`.
pub(crate) fn present(store: &Store, resource: &Resource, mut object: Value) -> Value {
    if resource.is_custom() {
        if let Some(schema) = crd::schema_of(store, resource) {
            crd::complete(&mut object, schema);
        }
    } else if object["apiVersion"] == resource.api_version() {
        return object;
    }
    match (resource.group, resource.version) {
        ("events.k8s.io", _) => rename(&mut object, EVENT.map(|(core, events)| (core, events))),
        ("autoscaling", "v1") => autoscaler_v1(&mut object),
        _ => {}
    }
    object["apiVersion"] = resource.api_version().into();
    object
}

/// `object`, as a client wrote it in the version of `resource`, as it is stored.
pub(crate) fn accept(resource: &Resource, object: &mut Value) {
    match (resource.group, resource.version) {
        ("events.k8s.io", _) => {
            rename(object, EVENT.map(|(core, events)| (events, core)));
            object["apiVersion"] = "v1".into();
        }
        ("autoscaling", "v1") => clusterlocal_admission::autoscaler_to_v2(object),
        _ => {}
    }
}

/// The fields of an event that are called otherwise in the core and in events.k8s.io (`pkg/apis/events/v1`, conversions).
const EVENT: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

fn rename<const N: usize>(object: &mut Value, names: [(&str, &str); N]) {
    let Some(object) = object.as_object_mut() else { return };
    for (from, to) in names {
        if let Some(value) = object.remove(from) {
            object.insert(to.into(), value);
        }
    }
}

/// An autoscaler in version 1, whose status has fewer fields.
fn autoscaler_v1(object: &mut Value) {
    clusterlocal_admission::autoscaler_to_v1(object);
    let status: Map<String, Value> = object["status"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, _)| !matches!(name.as_str(), "conditions" | "currentMetrics"))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if !status.is_empty() {
        object["status"] = status.into();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::schema::registry::Registry;

    #[test]
    fn there_and_back() {
        let table = [
            (
                ("events.k8s.io", "v1", "events"),
                json!({ "apiVersion": "events.k8s.io/v1", "regarding": { "name": "a" }, "note": "b", "action": "c" }),
                json!({ "apiVersion": "v1", "involvedObject": { "name": "a" }, "message": "b", "action": "c" }),
            ),
            (
                ("autoscaling", "v1", "horizontalpodautoscalers"),
                json!({ "apiVersion": "autoscaling/v1", "spec": { "maxReplicas": 3, "targetCPUUtilizationPercentage": 50 } }),
                json!({ "apiVersion": "autoscaling/v2", "spec": { "maxReplicas": 3, "metrics": [
                    { "type": "Resource", "resource": { "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 50 } } },
                ] } }),
            ),
        ];
        for ((group, version, plural), written, stored) in table {
            let resource = Registry::built_in().find(group, version, plural).expect("a resource");
            let mut object = written.clone();
            accept(resource, &mut object);
            assert_eq!(object, stored);
            assert_eq!(present(&Store::new(), resource, stored), written);
        }
    }
}
