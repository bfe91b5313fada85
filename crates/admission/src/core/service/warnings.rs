//! `GetWarningsForService` of `pkg/api/service/warnings.go`.

use serde_json::Value;

use super::type_of;
use crate::field::At;
use crate::primitives::addresses;

/// `GetWarningsForService`
pub(super) fn warnings_for_service(service: &Value, _: Option<&Value>) -> Vec<String> {
    let service = At::root(service);
    let spec = service.at("spec");
    let mut warnings: Vec<String> = Vec::new();
    if service.at("metadata.annotations").key("service.kubernetes.io/topology-aware-hints").is_set() {
        warnings.push("annotation service.kubernetes.io/topology-aware-hints is deprecated, please use service.kubernetes.io/topology-mode instead".into());
    }
    let ip = spec.at("clusterIP");
    if !ip.is_empty() && ip.text() != "None" {
        let ips = spec.at("clusterIPs").items();
        warnings.extend(ips.filter_map(|ip| addresses::warnings_for_ip(&ip)));
    }
    let is_alias = type_of(&service) == "ExternalName";
    let is_headless = type_of(&service) == "ClusterIP" && ip.text() == "None";
    let external = spec.at("externalIPs");
    let balancer = spec.at("loadBalancerIP");
    if is_headless {
        let ignored = [
            (!balancer.is_empty(), "loadBalancerIP"),
            (!external.is_empty(), "externalIPs"),
            (spec.at("sessionAffinity").text() != "None", "SessionAffinity"),
        ];
        for (_, name) in ignored.into_iter().filter(|(is_ignored, _)| *is_ignored) {
            warnings.push(format!("spec.{name} is ignored for headless services"));
        }
    }
    warnings.extend(external.items().filter_map(|ip| addresses::warnings_for_ip(&ip)));
    if !external.is_empty() && !is_headless && !is_alias {
        warnings
            .push("spec.externalIPs is deprecated and may no longer be implemented in some clusters".into());
    }
    if !balancer.is_empty() {
        warnings.extend(addresses::warnings_for_ip(&balancer));
    }
    for range in spec.at("loadBalancerSourceRanges").items() {
        warnings.extend(addresses::warnings_for_cidr(&range));
    }
    if is_alias && !external.is_empty() {
        warnings.push("spec.externalIPs is ignored when spec.type is \"ExternalName\"".into());
    }
    if !is_alias && !spec.at("externalName").is_empty() {
        warnings.push("spec.externalName is ignored when spec.type is not \"ExternalName\"".into());
    }
    if spec.at("trafficDistribution").text() == "PreferClose" {
        warnings
            .push("spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"".into());
    }
    warnings
}
