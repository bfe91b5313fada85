//! Services, with the addresses they were given.

use serde_json::{Map, Value, json};

use super::{Shown, put};
use crate::store::{IntOrName, IpFamily, IpFamilyPolicy, Service, ServicePort, ServiceType};
use crate::store::{fill, objects, put_labels};

pub(super) fn service(shown: &mut Shown<'_>, service: &Service) {
    let written = shown.has("spec");
    let spec = shown.spec();
    if !written {
        put(spec, "ports", service.spec.ports.iter().map(port).collect::<Vec<_>>());
        put_labels(spec, "selector", &service.spec.selector);
        put(spec, "externalName", service.spec.external_name.as_deref().unwrap_or_default());
        if service.spec.publish_not_ready_addresses {
            spec.insert("publishNotReadyAddresses".into(), true.into());
        }
    }
    let service_type = match service.spec.service_type {
        ServiceType::ClusterIP => "ClusterIP",
        ServiceType::NodePort => "NodePort",
        ServiceType::LoadBalancer => "LoadBalancer",
        ServiceType::ExternalName => "ExternalName",
    };
    spec.insert("type".into(), service_type.into());
    fill(spec, "sessionAffinity", "None");
    if spec["sessionAffinity"] == "ClientIP" {
        fill(spec, "sessionAffinityConfig", json!({ "clientIP": { "timeoutSeconds": 10_800 } }));
    }
    for port in objects(spec, "ports") {
        fill(port, "protocol", "TCP");
        let number = port.get("port").cloned().unwrap_or_default();
        fill(port, "targetPort", number);
    }
    if !service.is_external_name() {
        addresses(spec, service);
        fill(spec, "internalTrafficPolicy", "Cluster");
    }
    if matches!(service.spec.service_type, ServiceType::NodePort | ServiceType::LoadBalancer) {
        fill(spec, "externalTrafficPolicy", "Cluster");
    }
    if service.spec.service_type == ServiceType::LoadBalancer {
        fill(spec, "allocateLoadBalancerNodePorts", true);
    }
    fill(shown.status(), "loadBalancer", json!({}));
}

fn port(port: &ServicePort) -> Value {
    let mut json = Map::new();
    put(&mut json, "name", port.name.as_str());
    json.insert("port".into(), port.port.into());
    json.insert("protocol".into(), port.protocol.as_str().into());
    match &port.target_port {
        None => {}
        Some(IntOrName::Int(number)) => drop(json.insert("targetPort".into(), (*number).into())),
        Some(IntOrName::Name(name)) => drop(json.insert("targetPort".into(), name.as_str().into())),
    }
    json.into()
}

/// The addresses, and of which families they are.
fn addresses(spec: &mut Map<String, Value>, service: &Service) {
    let listed: Vec<String> = match service.is_headless() {
        true => vec!["None".into()],
        false => service.addresses().map(|ip| ip.to_string()).collect(),
    };
    put(spec, "clusterIP", listed.first().map_or("", String::as_str));
    put(spec, "clusterIPs", listed);
    let policy = service.spec.ip_family_policy;
    let mut families = service.spec.ip_families.clone();
    if families.is_empty() {
        families.extend(service.addresses().map(IpFamily::of));
    }
    if families.is_empty() {
        families.push(IpFamily::IPv4);
        if policy.is_some_and(|policy| policy != IpFamilyPolicy::SingleStack) {
            families.push(IpFamily::IPv6);
        }
    }
    let family = |family: &IpFamily| match family {
        IpFamily::IPv4 => "IPv4",
        IpFamily::IPv6 => "IPv6",
    };
    spec.insert("ipFamilies".into(), families.iter().map(family).collect());
    let policy = match policy {
        Some(IpFamilyPolicy::SingleStack) => "SingleStack",
        Some(IpFamilyPolicy::PreferDualStack) => "PreferDualStack",
        Some(IpFamilyPolicy::RequireDualStack) => "RequireDualStack",
        None if families.len() > 1 => "RequireDualStack",
        None => "SingleStack",
    };
    spec.insert("ipFamilyPolicy".into(), policy.into());
}
