//! `validateService` of `pkg/apis/core/validation`.

use serde_json::{Value, json};

use super::cluster_ips;
use super::{externally_accessible, is_headless, is_load_balancer, needs_health_check, type_of};
use crate::core::validation::metadata as core_metadata;
use crate::field::{At, Causes, Shown};
use crate::primitives::{addresses, metadata, names};
use crate::schema;

const TYPES: &[&str] = &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];
const AFFINITIES: &[&str] = &["ClientIP", "None"];
const TRAFFIC_POLICIES: &[&str] = &["Cluster", "Local"];
const TRAFFIC_DISTRIBUTIONS: &[&str] = &["PreferClose", "PreferSameZone", "PreferSameNode"];
const ONLY_BALANCED: &str = "may only be used when `type` is 'LoadBalancer'";
/// `AnnotationLoadBalancerSourceRangesKey`
const SOURCE_RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
/// `MaxClientIPServiceAffinitySeconds`
const AFFINITY_SECONDS_MAX: i64 = 86_400;

/// `ValidateServiceCreate`
pub(super) fn validate_service_create(service: &At<'_>, causes: &mut Causes) {
    core_metadata::validate_object_meta(&service.at("metadata"), true, names::dns_label, causes);
    validate_service(service, None, causes);
}

/// `ValidateServiceUpdate`
pub(super) fn validate_service_update(service: &At<'_>, old: &At<'_>, causes: &mut Causes) {
    core_metadata::validate_object_meta_update(&service.at("metadata"), &old.at("metadata"), causes);
    cluster_ips::validate_upgrade_downgrade_cluster_ips(old, service, causes);
    cluster_ips::validate_upgrade_downgrade_ip_families(old, service, causes);
    validate_load_balancer_class(Some(old), service, causes);
    if needs_health_check(old) && needs_health_check(service) {
        let port = service.at("spec.healthCheckNodePort");
        if port.number() != old.at("spec.healthCheckNodePort").number() {
            causes.forbidden(&port, "field is immutable");
        }
    }
    validate_service(service, Some(old), causes);
}

/// `validateService`
fn validate_service(service: &At<'_>, old: Option<&At<'_>>, causes: &mut Causes) {
    let spec = service.at("spec");
    let annotations = service.at("metadata.annotations");
    let hints = annotations.key("service.kubernetes.io/topology-aware-hints");
    let mode = annotations.key("service.kubernetes.io/topology-mode");
    if hints.is_set() && mode.is_set() && hints.text() != mode.text() {
        let why =
            "must match annotations[service.kubernetes.io/topology-aware-hints] when both are specified";
        causes.invalid(&mode, mode.text(), why);
    }
    validate_type(service, causes);
    let mut names = Vec::new();
    let several = spec.at("ports").list().len() > 1;
    for port in spec.at("ports").items() {
        validate_service_port(&port, several, &mut names, causes);
    }
    metadata::validate_labels(&spec.at("selector"), causes);
    validate_session_affinity(&spec, causes);
    cluster_ips::validate_cluster_ips(service, old, causes);
    let external = spec.at("externalIPs");
    let existing = external.with(old.map_or(&Value::Null, |old| old.at("spec.externalIPs").value()));
    for ip in external.items() {
        if addresses::is_valid_ip_for_legacy_field(&ip, &existing, causes) {
            crate::core::endpoints::validate_endpoint_ip(&ip, causes);
        }
    }
    validate_member(&spec.at("type"), TYPES, causes);
    validate_different_ports(service, causes);
    validate_source_ranges(service, old, causes);
    let allocate = spec.at("allocateLoadBalancerNodePorts");
    if allocate.is_set() && !is_load_balancer(service) {
        causes.forbidden(&allocate, ONLY_BALANCED);
    }
    if !allocate.is_set() && is_load_balancer(service) {
        // `field.NewPath("allocateLoadBalancerNodePorts")`
        causes.required(&At::root(&Value::Null).at("allocateLoadBalancerNodePorts"), "");
    }
    validate_load_balancer_class(None, service, causes);
    validate_external_traffic_policy(service, causes);
    let internal = spec.at("internalTrafficPolicy");
    if internal.is_set() {
        if !TRAFFIC_POLICIES.contains(&internal.text()) {
            causes.not_supported(&internal, internal.text(), TRAFFIC_POLICIES);
        }
    } else if matches!(type_of(service), "NodePort" | "LoadBalancer" | "ClusterIP") {
        causes.required(&internal, "");
    }
    let distribution = spec.at("trafficDistribution");
    if distribution.is_set() && !TRAFFIC_DISTRIBUTIONS.contains(&distribution.text()) {
        causes.not_supported(&distribution, distribution.text(), TRAFFIC_DISTRIBUTIONS);
    }
}

/// A value that has to be one of `members`, and there.
fn validate_member(field: &At<'_>, members: &[&str], causes: &mut Causes) {
    if field.is_empty() {
        causes.required(field, "");
    } else if !members.contains(&field.text()) {
        causes.not_supported(field, field.text(), members);
    }
}

/// What each type asks of the other fields.
fn validate_type(service: &At<'_>, causes: &mut Causes) {
    let spec = service.at("spec");
    let of_type = type_of(service);
    if spec.at("ports").is_empty() && !is_headless(service) && of_type != "ExternalName" {
        causes.required(&spec.at("ports"), "");
    }
    match of_type {
        "LoadBalancer" | "NodePort" if is_headless(service) => {
            let why = format!("may not be set to 'None' for {of_type} services");
            causes.invalid(&spec.at("clusterIPs").item(0), "None", &why);
        }
        "ExternalName" => {
            let why = "may not be set for ExternalName services";
            for name in ["clusterIPs", "ipFamilies"] {
                if !spec.at(name).is_empty() {
                    causes.forbidden(&spec.at(name), why);
                }
            }
            if spec.at("ipFamilyPolicy").is_set() {
                causes.forbidden(&spec.at("ipFamilyPolicy"), why);
            }
            let external = spec.at("externalName");
            let name = external.text().strip_suffix('.').unwrap_or(external.text());
            if name.is_empty() {
                causes.required(&external, "");
            } else {
                for fault in names::dns_subdomain(name) {
                    causes.invalid(&external, name, &fault);
                }
            }
        }
        _ => {}
    }
}

/// `validateServicePort`
fn validate_service_port<'o>(port: &At<'o>, several: bool, known: &mut Vec<&'o str>, causes: &mut Causes) {
    let name = port.at("name");
    if !name.is_empty() {
        for fault in names::dns_label(name.text()) {
            causes.invalid(&name, name.text(), &fault);
        }
        if known.contains(&name.text()) {
            causes.duplicate(&name, name.text());
        } else {
            known.push(name.text());
        }
    } else if several {
        causes.required(&name, "");
    }
    let number = port.at("port");
    for fault in names::port_number(number.number()) {
        causes.invalid(&number, number.number(), &fault);
    }
    validate_member(&port.at("protocol"), PROTOCOLS, causes);
    validate_port_num_or_name(&port.at("targetPort"), causes);
    let protocol = port.at("appProtocol");
    if protocol.is_set() {
        for fault in names::label_key(protocol.text()) {
            causes.invalid(&protocol, protocol.text(), &fault);
        }
    }
}

/// `ValidatePortNumOrName`
fn validate_port_num_or_name(port: &At<'_>, causes: &mut Causes) {
    match port.text_if_set() {
        Some(name) => {
            for fault in names::port_name(name) {
                causes.invalid(port, name, &fault);
            }
        }
        None => {
            for fault in names::port_number(port.number()) {
                causes.invalid(port, port.number(), &fault);
            }
        }
    }
}

/// `validateClientIPAffinityConfig`, and what else there is of session affinity.
fn validate_session_affinity(spec: &At<'_>, causes: &mut Causes) {
    let affinity = spec.at("sessionAffinity");
    validate_member(&affinity, AFFINITIES, causes);
    let config = spec.at("sessionAffinityConfig");
    match affinity.text() {
        "ClientIP" => {
            let path = [config.clone(), config.at("clientIP"), config.at("clientIP.timeoutSeconds")];
            if let Some(absent) = path.iter().find(|field| !field.is_set()) {
                return causes.required(absent, "when session affinity type is ClientIP");
            }
            let seconds = path[2].number();
            if !(1..=AFFINITY_SECONDS_MAX).contains(&seconds) {
                let why = format!("must be greater than 0 and less than {AFFINITY_SECONDS_MAX}");
                causes.invalid(&path[2], seconds, &why);
            }
        }
        "None" if config.is_set() => {
            causes.forbidden(&config, "must not be set when session affinity is None");
        }
        _ => {}
    }
}

/// Ports and node ports are different, by their protocols.
fn validate_different_ports(service: &At<'_>, causes: &mut Causes) {
    let ports: Vec<At<'_>> = service.at("spec.ports").items().collect();
    if type_of(service) == "ClusterIP" {
        for port in &ports {
            if port.at("nodePort").number() != 0 {
                causes.forbidden(&port.at("nodePort"), "may not be used when `type` is 'ClusterIP'");
            }
        }
    }
    for (name, is_node_port) in [("nodePort", true), ("port", false)] {
        let key = |port: &At<'_>| (port.at("protocol").text().to_owned(), port.at(name).number());
        for (index, port) in ports.iter().enumerate() {
            let this = key(port);
            if is_node_port && this.1 == 0 || !ports[..index].iter().any(|other| key(other) == this) {
                continue;
            }
            if is_node_port {
                causes.duplicate(&port.at(name), this.1);
            } else {
                let shown = json!({ "protocol": this.0, "port": this.1 });
                causes.duplicate(port, schema::go_json("ServicePort", &shown));
            }
        }
    }
}

/// The sources of a load balancer: the field, or the annotation that was before it.
fn validate_source_ranges(service: &At<'_>, old: Option<&At<'_>>, causes: &mut Causes) {
    let ranges = service.at("spec.loadBalancerSourceRanges");
    let annotation = service.at("metadata.annotations").key(SOURCE_RANGES);
    if !ranges.is_empty() {
        // `specPath.Child("LoadBalancerSourceRanges")`
        let field = service.at("spec.LoadBalancerSourceRanges").with(ranges.value());
        if !is_load_balancer(service) {
            causes.forbidden(&field, ONLY_BALANCED);
        }
        let existing = old.map(|old| old.at("spec.loadBalancerSourceRanges").list()).unwrap_or_default();
        let existing: Vec<&str> = existing.iter().filter_map(Value::as_str).map(str::trim).collect();
        for range in field.items() {
            let text = range.text().trim();
            if !existing.contains(&text) {
                addresses::validate_cidr(&range, text, causes);
            }
        }
    } else if annotation.is_set() {
        if !is_load_balancer(service) {
            causes.forbidden(&annotation, ONLY_BALANCED);
        }
        let before = old.map(|old| old.at("metadata.annotations").key(SOURCE_RANGES));
        let text = annotation.text().trim();
        if before.is_none_or(|before| before.text() != annotation.text()) && !text.is_empty() {
            for range in text.split(',') {
                addresses::validate_cidr(&annotation, range.trim(), causes);
            }
        }
    }
}

/// `validateLoadBalancerClassField`
fn validate_load_balancer_class(old: Option<&At<'_>>, service: &At<'_>, causes: &mut Causes) {
    let class = service.at("spec.loadBalancerClass");
    if let Some(old) = old
        && is_load_balancer(old)
        && is_load_balancer(service)
        && class.value() != old.at("spec.loadBalancerClass").value()
    {
        causes.invalid(&class, Shown::from(class.value()), "may not change once set");
    }
    if !class.is_set() {
        return;
    }
    if is_load_balancer(service) {
        for fault in names::label_key(class.text()) {
            causes.invalid(&class, class.text(), &fault);
        }
    } else {
        causes.forbidden(&class, ONLY_BALANCED);
    }
}

/// `validateServiceExternalTrafficPolicy`. That a health check has a port is left to the allocation, which gives it one.
fn validate_external_traffic_policy(service: &At<'_>, causes: &mut Causes) {
    let policy = service.at("spec.externalTrafficPolicy");
    if externally_accessible(service) {
        validate_member(&policy, TRAFFIC_POLICIES, causes);
    } else if !policy.is_empty() {
        causes.invalid(&policy, policy.text(), "may only be set for externally-accessible services");
    }
    let port = service.at("spec.healthCheckNodePort");
    if port.number() == 0 {
        return;
    }
    if needs_health_check(service) {
        for fault in names::port_number(port.number()) {
            causes.invalid(&port, port.number(), &fault);
        }
    } else {
        let why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
        causes.invalid(&port, port.number(), why);
    }
}
