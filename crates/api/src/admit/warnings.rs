//! Takes the place of `WarningsOnCreate` and `WarningsOnUpdate` (pkg/api/*/warnings.go): what kubectl prints beside an answer, of an
//! API that is deprecated, and of fields of an object that have no effect. Must not refuse anything.

use serde_json::Value;

use crate::schema::field;
use crate::schema::resource::Resource;
use clusterlocal_core::store::Kind;

/// What every answer about `resource` says of its API (`APILifecycleDeprecated`).
pub(crate) fn of_resource(resource: &Resource) -> Option<&'static str> {
    match (resource.group, resource.plural) {
        ("", "endpoints") => {
            Some("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice")
        }
        _ => None,
    }
}

/// What the answer to a client that wrote `object`, as the API shows it, says of it.
pub(crate) fn of_object(kind: Kind, object: &Value) -> Vec<String> {
    match kind {
        Kind::Service => service(object),
        _ => Vec::new(),
    }
}

/// pkg/api/service/warnings.go, GetWarningsForService.
fn service(object: &Value) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut warn = |text: &str| warnings.push(text.to_owned());
    let text = |name: &str| field::text(object, &format!("/spec/{name}"));
    let annotations = object.pointer("/metadata/annotations");
    if annotations.and_then(|all| all.get("service.kubernetes.io/topology-aware-hints")).is_some() {
        warn(
            "annotation service.kubernetes.io/topology-aware-hints is deprecated, please use \
             service.kubernetes.io/topology-mode instead",
        );
    }
    let external_ips = !field::items(object, "/spec/externalIPs").is_empty();
    let alias = text("type") == "ExternalName";
    let headless = matches!(text("type"), "" | "ClusterIP") && text("clusterIP") == "None";
    if headless {
        if !text("loadBalancerIP").is_empty() {
            warn("spec.loadBalancerIP is ignored for headless services");
        }
        if external_ips {
            warn("spec.externalIPs is ignored for headless services");
        }
        if !matches!(text("sessionAffinity"), "" | "None") {
            warn("spec.SessionAffinity is ignored for headless services");
        }
    }
    if external_ips && !headless && !alias {
        warn("spec.externalIPs is deprecated and may no longer be implemented in some clusters");
    }
    if external_ips && alias {
        warn("spec.externalIPs is ignored when spec.type is \"ExternalName\"");
    }
    if !alias && !text("externalName").is_empty() {
        warn("spec.externalName is ignored when spec.type is not \"ExternalName\"");
    }
    if text("trafficDistribution") == "PreferClose" {
        warn("spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"");
    }
    warnings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn services_that_say_something_in_vain() {
        let table: [(&str, &[&str]); 9] = [
            ("{clusterIP: 10.0.0.1, sessionAffinity: ClientIP}", &[]),
            ("{clusterIP: None, sessionAffinity: None}", &[]),
            (
                "{clusterIP: None, sessionAffinity: ClientIP}",
                &["spec.SessionAffinity is ignored for headless services"],
            ),
            (
                "{clusterIP: None, loadBalancerIP: 192.0.2.1, externalIPs: [192.0.2.2]}",
                &[
                    "spec.loadBalancerIP is ignored for headless services",
                    "spec.externalIPs is ignored for headless services",
                ],
            ),
            (
                "{externalIPs: [192.0.2.2]}",
                &["spec.externalIPs is deprecated and may no longer be implemented in some clusters"],
            ),
            (
                "{type: ExternalName, externalName: a.b, externalIPs: [192.0.2.2]}",
                &["spec.externalIPs is ignored when spec.type is \"ExternalName\""],
            ),
            ("{externalName: a.b}", &["spec.externalName is ignored when spec.type is not \"ExternalName\""]),
            (
                "{trafficDistribution: PreferClose}",
                &["spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\""],
            ),
            ("{trafficDistribution: PreferSameZone}", &[]),
        ];
        for (spec, expected) in table {
            let object = json!({ "spec": serde_yaml::from_str::<Value>(spec).expect(spec) });
            assert_eq!(of_object(Kind::Service, &object), expected, "{spec}");
        }
    }
}
