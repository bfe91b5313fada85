//! `SetDefaults_Service` of `pkg/apis/core/v1/defaults.go`, and `defaultOnReadInternalTrafficPolicy`.

use serde_json::{Value, json};

use crate::field::At;
use crate::primitives::defaults::set_if_zero;

/// `DefaultClientIPServiceAffinitySeconds`
const CLIENT_IP_SECONDS: i64 = 10_800;

/// `SetDefaults_Service`
pub(super) fn set_defaults_service(service: &mut Value) {
    let Some(object) = service.as_object_mut() else { return };
    let spec = object.entry("spec").or_insert_with(|| json!({}));
    let Some(fields) = spec.as_object_mut() else { return };
    set_if_zero(fields, "sessionAffinity", "None");
    match fields["sessionAffinity"].as_str() {
        Some("None") => _ = fields.remove("sessionAffinityConfig"),
        Some("ClientIP") => {
            let config = fields.get("sessionAffinityConfig");
            if config.and_then(|config| config["clientIP"]["timeoutSeconds"].as_i64()).is_none() {
                let config = json!({ "clientIP": { "timeoutSeconds": CLIENT_IP_SECONDS } });
                fields.insert("sessionAffinityConfig".into(), config);
            }
        }
        _ => {}
    }
    set_if_zero(fields, "type", "ClusterIP");
    for port in fields.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        set_defaults_port(port);
    }
    let of_type = fields["type"].as_str().unwrap_or_default().to_owned();
    let is_accessible = super::externally_accessible(&At::root(service));
    let Some(fields) = super::spec(service) else { return };
    if is_accessible {
        set_if_zero(fields, "externalTrafficPolicy", "Cluster");
    }
    match of_type.as_str() {
        "NodePort" | "LoadBalancer" | "ClusterIP" if !fields.contains_key("internalTrafficPolicy") => {
            fields.insert("internalTrafficPolicy".into(), "Cluster".into());
        }
        _ => {}
    }
    if of_type == "LoadBalancer" {
        fields.entry("allocateLoadBalancerNodePorts").or_insert(Value::Bool(true));
        let ingress = service.pointer_mut("/status/loadBalancer/ingress").and_then(Value::as_array_mut);
        for point in ingress.into_iter().flatten().filter_map(Value::as_object_mut) {
            if point.get("ip").is_some_and(|ip| ip != "") {
                point.entry("ipMode").or_insert_with(|| "VIP".into());
            }
        }
    }
}

fn set_defaults_port(port: &mut Value) {
    let Some(port) = port.as_object_mut() else { return };
    set_if_zero(port, "protocol", "TCP");
    if port.get("targetPort").is_none_or(|target| *target == 0 || target == "") {
        let number = port.get("port").cloned().unwrap_or_else(|| 0.into());
        port.insert("targetPort".into(), number);
    }
}
