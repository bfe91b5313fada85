//! Takes the place of `pkg/registry/core/service`: the strategy of Services, and what of `storage/` is not the choice of addresses and ports.

mod allocation;
mod cluster_ips;
mod defaults;
mod node_ports;
mod validation;
mod warnings;

use serde_json::{Map, Value, json};

use crate::field::At;
use crate::strategy::Strategy;

pub(crate) const SERVICE: Strategy = Strategy {
    default: defaults::set_defaults_service,
    begin: allocation::begin,
    prepare_for_create,
    prepare_for_update,
    validate: validation::validate_service_create,
    validate_update: validation::validate_service_update,
    validate_status_update: super::statuses::validate_service_status_update,
    warnings: warnings::warnings_for_service,
    ..Strategy::of("", "Service", true)
};

fn type_of<'o>(service: &At<'o>) -> &'o str {
    service.at("spec.type").text()
}

/// `isHeadlessService`
fn is_headless(service: &At<'_>) -> bool {
    let ips = service.at("spec.clusterIPs");
    ips.list().len() == 1 && ips.item(0).text() == "None"
}

/// `needsClusterIP`
fn needs_cluster_ip(service: &At<'_>) -> bool {
    type_of(service) != "ExternalName"
}

fn is_load_balancer(service: &At<'_>) -> bool {
    type_of(service) == "LoadBalancer"
}

/// `ExternallyAccessible`
fn externally_accessible(service: &At<'_>) -> bool {
    match type_of(service) {
        "LoadBalancer" | "NodePort" => true,
        "ClusterIP" => !service.at("spec.externalIPs").is_empty(),
        _ => false,
    }
}

/// `NeedsHealthCheck`
fn needs_health_check(service: &At<'_>) -> bool {
    is_load_balancer(service) && service.at("spec.externalTrafficPolicy").text() == "Local"
}

/// The numbers of `nodePort`, without 0.
fn node_ports(service: &At<'_>) -> Vec<i64> {
    let ports = service.at("spec.ports").items();
    ports.map(|port| port.at("nodePort").number()).filter(|number| *number != 0).collect()
}

fn spec(service: &mut Value) -> Option<&mut Map<String, Value>> {
    service.get_mut("spec")?.as_object_mut()
}

fn prepare_for_create(service: &mut Value) {
    service["status"] = json!({ "loadBalancer": {} });
}

fn prepare_for_update(service: &mut Value, before: &Value) {
    if let Some(service) = service.as_object_mut() {
        match before.get("status") {
            Some(status) => _ = service.insert("status".into(), status.clone()),
            None => _ = service.remove("status"),
        }
    }
    drop_type_dependent_fields(service, before);
}

/// `dropTypeDependentFields`: what another type has no use for, if the client did not change it as well.
fn drop_type_dependent_fields(service: &mut Value, before: &Value) {
    let mut drop: Vec<&str> = Vec::new();
    let (new, old) = (At::root(service), At::root(before));
    let same = |path: &'static str| new.at(path).value() == old.at(path).value();
    let lost = |has: fn(&At<'_>) -> bool| has(&old) && !has(&new);
    if lost(needs_cluster_ip) {
        if same("spec.clusterIP") && same("spec.clusterIPs") {
            drop.extend(["clusterIP", "clusterIPs"]);
        }
        if same("spec.ipFamilies") {
            drop.push("ipFamilies");
        }
        if same("spec.ipFamilyPolicy") {
            drop.push("ipFamilyPolicy");
        }
    }
    if lost(needs_health_check) && same("spec.healthCheckNodePort") {
        drop.push("healthCheckNodePort");
    }
    if lost(is_load_balancer) {
        drop.extend(same("spec.allocateLoadBalancerNodePorts").then_some("allocateLoadBalancerNodePorts"));
        drop.extend(same("spec.loadBalancerClass").then_some("loadBalancerClass"));
    }
    if lost(externally_accessible) && same("spec.externalTrafficPolicy") {
        drop.push("externalTrafficPolicy");
    }
    let has_node_ports: fn(&At<'_>) -> bool =
        |service| matches!(type_of(service), "NodePort" | "LoadBalancer");
    let known = node_ports(&old);
    let drop_node_ports =
        lost(has_node_ports) && node_ports(&new).iter().all(|number| known.contains(number));
    let is_balanced = is_load_balancer(&new);
    if !is_balanced {
        service["status"]["loadBalancer"] = json!({});
    }
    let Some(spec) = spec(service) else { return };
    for name in drop {
        spec.remove(name);
    }
    let ports = spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten();
    for port in ports.filter_map(Value::as_object_mut).filter(|_| drop_node_ports) {
        port.remove("nodePort");
    }
}
