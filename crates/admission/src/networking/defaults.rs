//! `pkg/apis/networking/v1/defaults.go`

use serde_json::{Map, Value, json};

fn spec(object: &mut Value) -> Option<&mut Map<String, Value>> {
    object.as_object_mut()?.entry("spec").or_insert_with(|| json!({})).as_object_mut()
}

/// `SetDefaults_NetworkPolicy` and `SetDefaults_NetworkPolicyPort`
pub(super) fn set_defaults_network_policy(policy: &mut Value) {
    let Some(spec) = spec(policy) else { return };
    spec.entry("podSelector").or_insert_with(|| json!({}));
    for direction in ["ingress", "egress"] {
        let rules = spec.get_mut(direction).and_then(Value::as_array_mut).into_iter().flatten();
        let ports = rules.filter_map(|rule| rule.get_mut("ports")?.as_array_mut()).flatten();
        for port in ports.filter_map(Value::as_object_mut) {
            port.entry("protocol").or_insert_with(|| "TCP".into());
        }
    }
    let is_empty = |spec: &Map<String, Value>, name: &str| {
        spec.get(name).and_then(Value::as_array).is_none_or(Vec::is_empty)
    };
    if is_empty(spec, "policyTypes") {
        let types = if is_empty(spec, "egress") { json!(["Ingress"]) } else { json!(["Ingress", "Egress"]) };
        spec.insert("policyTypes".into(), types);
    }
}

/// An Ingress has no defaults; the port of a backend is written, if it is empty as well.
pub(super) fn set_defaults_ingress(ingress: &mut Value) {
    _ = spec(ingress);
}

/// `SetDefaults_IngressClass`
pub(super) fn set_defaults_ingress_class(class: &mut Value) {
    let parameters = spec(class).and_then(|spec| spec.get_mut("parameters")).and_then(Value::as_object_mut);
    if let Some(parameters) = parameters {
        parameters.entry("scope").or_insert_with(|| "Cluster".into());
    }
}
