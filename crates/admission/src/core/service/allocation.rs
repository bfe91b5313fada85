//! `pkg/registry/core/service/storage/{storage,alloc}.go`: what an API server makes of families, policies and addresses before it
//! validates a Service. The addresses themselves are chosen elsewhere. Clusters here have both families.

use std::net::IpAddr;

use serde_json::{Map, Value};

use super::cluster_ips::{shown_policy, validate_cluster_ips};
use super::{is_headless, needs_cluster_ip, needs_health_check, node_ports, spec, type_of};
use crate::allocation::{Allocator, Refusal};
use crate::field::{At, Causes};
use crate::primitives::addresses;

/// `beginCreate`, and `beginUpdate` with the Service before.
pub(super) fn begin(
    service: &mut Value,
    before: Option<&Value>,
    allocator: &Allocator<'_>,
) -> Result<(), Refusal> {
    match before {
        None => normalize_new_cluster_ips(service),
        Some(before) => {
            patch_allocated_values(service, before);
            normalize_cluster_ips(service, before);
        }
    }
    let causes = init_ip_family_fields(service, before);
    if !causes.is_empty() {
        return Err(Refusal::Invalid(causes.into_vec()));
    }
    check_cluster_ips(&At::root(service), before, allocator)?;
    super::node_ports::allocate(service, before, allocator)
}

/// `normalizeClusterIPs` of a new Service.
fn normalize_new_cluster_ips(service: &mut Value) {
    if let Some(spec) = spec(service)
        && is_empty(spec.get("clusterIPs"))
        && let Some(ip) = spec.get("clusterIP").filter(|ip| *ip != "").cloned()
    {
        spec.insert("clusterIPs".into(), [ip].into_iter().collect());
    }
}

/// The addresses that are asked for and have to be allocated: all of a new Service (`allocClusterIPs`), of another those that its
/// type or its families add (`updateClusterIPs`).
fn asked_cluster_ips<'o>(service: &At<'o>, before: Option<&Value>) -> Vec<&'o str> {
    let all = service.at("spec.clusterIPs").items().map(|ip| ip.text()).filter(|ip| !ip.is_empty());
    if !needs_cluster_ip(service) || is_headless(service) {
        return Vec::new();
    }
    let Some(before) = before.map(At::root).filter(needs_cluster_ip) else { return all.collect() };
    let families = |service: &At<'_>| service.at("spec.ipFamilies").list().len();
    let is_upgraded = families(&before) == 1 && families(service) == 2;
    if is_headless(&before) || !is_upgraded || is_matching_prefer_dual_stack(service, &before) {
        return Vec::new();
    }
    all.skip(1).collect()
}

/// `allocIPs`: the first address that is asked for and is not of the range of its family, or is another Service's. A dry run does
/// not ask for the latter.
fn check_cluster_ips(
    service: &At<'_>,
    before: Option<&Value>,
    allocator: &Allocator<'_>,
) -> Result<(), Refusal> {
    let ips = service.at("spec.clusterIPs");
    let Some(addresses) = allocator.addresses else { return Ok(()) };
    let range = addresses.service_range();
    for ip in asked_cluster_ips(service, before) {
        let Ok(address) = ip.parse::<IpAddr>() else { continue };
        let is_of_range = range.contains(address);
        if is_of_range && (allocator.dry_run || !addresses.is_of_service(address)) {
            continue;
        }
        let why = match range.network(address) {
            _ if is_of_range => "provided IP is already allocated".into(),
            Some(network) if allocator.dry_run => format!(
                "the provided IP ({address}) is not in the valid range. The range of valid IPs is {network}"
            ),
            // `ErrMismatchedNetwork`
            _ => "the provided network does not match the current range".into(),
        };
        let mut causes = Causes::default();
        causes.invalid(&ips, ips.value(), &format!("failed to allocate IP {ip}: {why}"));
        return Err(Refusal::Invalid(causes.into_vec()));
    }
    Ok(())
}

fn is_empty(value: Option<&Value>) -> bool {
    value.is_none_or(|value| value == "" || value.as_array().is_some_and(Vec::is_empty))
}

fn keep(spec: &mut Map<String, Value>, before: &Value, name: &str) {
    let old = before.get("spec").and_then(|spec| spec.get(name));
    if is_empty(spec.get(name))
        && let Some(old) = old.filter(|old| !is_empty(Some(old)))
    {
        spec.insert(name.into(), old.clone());
    }
}

/// `patchAllocatedValues`: what was allocated and is not mentioned stays.
fn patch_allocated_values(service: &mut Value, before: &Value) {
    let (new, old) = (At::root(service), At::root(before));
    let both = |has: fn(&At<'_>) -> bool| has(&old) && has(&new);
    let has_addresses = both(needs_cluster_ip);
    let has_health_check = both(needs_health_check);
    let has_node_ports = both(|service| match type_of(service) {
        "LoadBalancer" => service.at("spec.allocateLoadBalancerNodePorts").value() != false,
        other => other == "NodePort",
    });
    let mentioned = node_ports(&new);
    let Some(spec) = spec(service) else { return };
    if has_addresses {
        keep(spec, before, "clusterIP");
        keep(spec, before, "clusterIPs");
    }
    if has_health_check && spec.get("healthCheckNodePort").is_none_or(|port| *port == 0) {
        let port = old.at("spec.healthCheckNodePort");
        if port.number() != 0 {
            spec.insert("healthCheckNodePort".into(), port.number().into());
        }
    }
    let ports = spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten();
    for port in ports.filter_map(Value::as_object_mut).filter(|_| has_node_ports) {
        let name = port.get("name").and_then(Value::as_str).unwrap_or_default();
        let was = old.at("spec.ports").items().filter(|old| old.at("name").text() == name).last();
        let was = was.map_or(0, |was| was.at("nodePort").number());
        if was != 0 && !mentioned.contains(&was) && port.get("nodePort").is_none_or(|port| *port == 0) {
            port.insert("nodePort".into(), was.into());
        }
    }
}

/// `normalizeClusterIPs` of an update: the list follows the one address that was changed or left out.
fn normalize_cluster_ips(service: &mut Value, before: &Value) {
    let old = At::root(before);
    let (old_ip, old_ips) = (old.at("spec.clusterIP"), old.at("spec.clusterIPs"));
    let Some(spec) = spec(service) else { return };
    let ip = spec.get("clusterIP").and_then(Value::as_str).unwrap_or_default().to_owned();
    if !old_ips.is_empty() && is_empty(spec.get("clusterIPs")) && ip == old_ip.text() {
        spec.insert("clusterIPs".into(), old_ips.value().clone());
    }
    let is_same = match spec.get("clusterIPs").and_then(Value::as_array) {
        Some(ips) => ips == old_ips.list(),
        None => old_ips.list().is_empty(),
    };
    if ip != old_ip.text() && is_same {
        if ip.is_empty() {
            spec.remove("clusterIPs");
        } else {
            spec.insert("clusterIPs".into(), [ip].into_iter().collect());
        }
    }
}

/// `initIPFamilyFields`: fills in the policy and the families.
fn init_ip_family_fields(service: &mut Value, before: Option<&Value>) -> Causes {
    let mut causes = Causes::default();
    let old = before.map(At::root);
    let new = At::root(service);
    if !needs_cluster_ip(&new) || old.as_ref().is_some_and(|old| is_matching_prefer_dual_stack(&new, old)) {
        return causes;
    }
    let is_free = new.at("spec.clusterIP").text() == "None" && new.at("spec.selector").is_empty();
    if !new.at("spec.ipFamilyPolicy").is_set() {
        let old = old.as_ref().map(|old| old.at("spec.ipFamilyPolicy")).filter(At::is_set);
        let policy = old.map_or(if is_free { "RequireDualStack" } else { "SingleStack" }, |old| old.text());
        let policy = Value::from(policy);
        spec(service).map(|spec| spec.insert("ipFamilyPolicy".into(), policy));
    }
    let new = At::root(service);
    validate_cluster_ips(&new, old.as_ref(), &mut causes);
    if !causes.is_empty() {
        return causes;
    }
    let is_single = new.at("spec.ipFamilyPolicy").text() == "SingleStack";
    let lists = [("spec.clusterIPs", "clusterIPs"), ("spec.ipFamilies", "ipFamilies")];
    let mut shorten: Vec<&str> = Vec::new();
    if let Some(old) = &old {
        for ((path, name), what) in lists.into_iter().zip(["cluster IP", "IP family"]) {
            let (items, was) = (new.at(path).list(), old.at(path).list());
            if is_single && items == was && items.len() > 1 {
                shorten.push(name);
            }
            if !is_single && !items.is_empty() && items.len() < was.len() {
                let why = format!("must be 'SingleStack' to release the secondary {what}");
                causes.invalid(&new.at("spec.ipFamilyPolicy"), shown_policy(&new), &why);
            }
        }
    }
    for ((path, name), what) in lists.into_iter().zip(["cluster IPs", "IP families"]) {
        if is_single && new.at(path).list().len() == 2 && !shorten.contains(&name) {
            let why =
                format!("must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified");
            causes.invalid(&new.at("spec.ipFamilyPolicy"), shown_policy(&new), &why);
        }
    }
    let ips: Vec<&str> = new.at("spec.clusterIPs").items().map(|ip| ip.text()).collect();
    let ips = &ips[..if shorten.contains(&"clusterIPs") { 1 } else { ips.len() }];
    let mut families: Vec<&str> = new.at("spec.ipFamilies").items().map(|family| family.text()).collect();
    if shorten.contains(&"ipFamilies") {
        families.truncate(1);
    }
    if !is_headless(&new) {
        for ip in ips.iter().skip(families.len()) {
            families.push(if addresses::is_v6(ip) { "IPv6" } else { "IPv4" });
        }
    }
    if families.is_empty() {
        families.push("IPv4");
    }
    if families.len() == 1 && !is_single {
        families.push(if families[0] == "IPv4" { "IPv6" } else { "IPv4" });
    }
    if causes.is_empty() {
        let families: Value = families.iter().copied().collect();
        let ips: Value = ips.iter().copied().collect();
        if let Some(spec) = spec(service) {
            spec.insert("ipFamilies".into(), families);
            if shorten.contains(&"clusterIPs") {
                spec.insert("clusterIPs".into(), ips);
            }
        }
    }
    causes
}

/// `isMatchingPreferDualStackClusterIPFields`: such a Service keeps its families, whatever the cluster has now.
fn is_matching_prefer_dual_stack(new: &At<'_>, old: &At<'_>) -> bool {
    let policy = |service: &At<'_>| service.at("spec.ipFamilyPolicy").text() == "PreferDualStack";
    let same = |path: &'static str| new.at(path).list() == old.at(path).list();
    type_of(new) == type_of(old)
        && matches!(type_of(new), "ClusterIP" | "NodePort" | "LoadBalancer")
        && policy(new)
        && (policy(old) || !old.at("spec.ipFamilyPolicy").is_set())
        && same("spec.clusterIPs")
        && same("spec.ipFamilies")
}
