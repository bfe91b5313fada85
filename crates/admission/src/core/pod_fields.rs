//! What the API server makes of the spec of a Pod on its way to the store: its class of service, fields that are dropped, label
//! keys that become selectors (`pkg/api/pod`, `pkg/apis/core/helper/qos`).

use std::ops::Add;

use serde_json::{Map, Value, json};

use super::defaults::items;
use clusterlocal_core::text::Quantity;

/// `qos.GetPodQOS`
pub(crate) fn qos_class(spec: &Value) -> &'static str {
    let containers = |list: &str| spec[list].as_array().cloned().unwrap_or_default();
    let all = match spec["resources"].as_object() {
        Some(resources) if !resources.is_empty() => vec![json!({ "resources": resources })],
        _ => [containers("containers"), containers("initContainers")].concat(),
    };
    let amount = |container: &Value, list: &str, name: &str| {
        let text = container["resources"][list][name].as_str().unwrap_or_default();
        Some(Quantity::of(text)).filter(|amount| *amount > Quantity::ZERO)
    };
    const COUNTED: [&str; 2] = ["cpu", "memory"];
    let has_any = all.iter().any(|container| {
        COUNTED.iter().any(|name| {
            amount(container, "limits", name).is_some() || amount(container, "requests", name).is_some()
        })
    });
    let sum = |list: &str, name: &str| {
        all.iter().filter_map(|one| amount(one, list, name)).fold(Quantity::ZERO, Add::add)
    };
    let all_limited =
        all.iter().all(|container| COUNTED.iter().all(|name| amount(container, "limits", name).is_some()));
    let is_same = COUNTED.iter().all(|name| {
        let requests = sum("requests", name);
        requests == Quantity::ZERO || requests == sum("limits", name)
    });
    match (has_any, all_limited && is_same) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

/// `DropDisabledPodFields`: those of features that are off by default, in Pods and templates.
pub(crate) fn drop_disabled_pod_fields(spec: &mut Value) {
    super::volumes::drop_disabled_projections(spec);
    let Some(map) = spec.as_object_mut() else { return };
    for field in ["schedulingGroup", "workloadRef"] {
        map.remove(field);
    }
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for container in items(spec, list) {
            let Some(container) = container.as_object_mut() else { continue };
            let Some(lifecycle) = container.get_mut("lifecycle").and_then(Value::as_object_mut) else {
                continue;
            };
            if lifecycle.remove("stopSignal").is_some() && lifecycle.is_empty() {
                container.remove("lifecycle");
            }
        }
    }
}

/// `mutatePodAffinity` and `mutateTopologySpreadConstraints`: values of `matchLabelKeys` are those of the labels of the Pod.
pub(crate) fn apply_label_keys(spec: &mut Value, labels: &Value) {
    const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
    const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
    if let Some(affinity) = spec.get_mut("affinity") {
        for pods in ["podAffinity", "podAntiAffinity"] {
            let Some(pods) = affinity.get_mut(pods) else { continue };
            for term in items(pods, PREFERRED).filter_map(|term| term.get_mut("podAffinityTerm")) {
                apply(term, labels);
            }
            for term in items(pods, REQUIRED) {
                apply(term, labels);
            }
        }
    }
    for constraint in items(spec, "topologySpreadConstraints") {
        apply(constraint, labels);
    }
}

/// `applyLabelKeysToLabelSelector`, of both lists of keys.
fn apply(term: &mut Value, labels: &Value) {
    let mut added = Vec::new();
    for (list, operator) in [("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")] {
        for key in term[list].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if let Some(value) = labels.get(key) {
                added.push(json!({ "key": key, "operator": operator, "values": [value] }));
            }
        }
    }
    let selector: Option<&mut Map<String, Value>> =
        term.get_mut("labelSelector").and_then(Value::as_object_mut);
    if let Some(selector) = selector.filter(|_| !added.is_empty()) {
        let list = selector.entry("matchExpressions").or_insert_with(|| json!([]));
        if let Some(list) = list.as_array_mut() {
            list.extend(added);
        }
    }
}
