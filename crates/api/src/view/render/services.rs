//! Services with their allocated addresses.

use serde_json::{Map, Value, json};

use super::{Shown, put};
use clusterlocal_core::store::{IntOrName, IpFamily, IpFamilyPolicy, Service, ServicePort, ServiceType};
use clusterlocal_core::store::{fill, objects, put_labels};

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
    for (at, port) in objects(spec, "ports").enumerate() {
        match service.spec.ports.get(at).and_then(|port| port.node_port) {
            Some(node_port) => drop(port.insert("nodePort".into(), node_port.into())),
            None => drop(port.remove("nodePort")),
        }
    }
    if !service.is_external_name() {
        addresses(spec, service);
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
    if let Some(protocol) = &port.app_protocol {
        json.insert("appProtocol".into(), protocol.as_str().into());
    }
    json.into()
}

/// The addresses, and their families.
fn addresses(spec: &mut Map<String, Value>, service: &Service) {
    let listed: Vec<String> = if service.is_headless() {
        vec!["None".into()]
    } else {
        service.addresses().map(|ip| ip.to_string()).collect()
    };
    put(spec, "clusterIP", listed.first().map_or("", String::as_str));
    put(spec, "clusterIPs", listed);
    let family = |family: IpFamily| match family {
        IpFamily::IPv4 => "IPv4",
        IpFamily::IPv6 => "IPv6",
    };
    spec.insert("ipFamilies".into(), service.families().into_iter().map(family).collect());
    let policy = match service.ip_family_policy() {
        IpFamilyPolicy::SingleStack => "SingleStack",
        IpFamilyPolicy::PreferDualStack => "PreferDualStack",
        IpFamilyPolicy::RequireDualStack => "RequireDualStack",
    };
    spec.insert("ipFamilyPolicy".into(), policy.into());
}
