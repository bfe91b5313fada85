//! What Services lead to: EndpointSlices, and the older Endpoints, which a cluster still makes for every Service.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Context, Shown, put};
use crate::store::{
    AddressType, Endpoint, EndpointAddress, EndpointPort, EndpointSlice, EndpointSubset, Endpoints, Key,
    Kind, Node, Object, ObjectMeta, Service, Stored,
};

pub(super) fn slice(shown: &mut Shown<'_>, slice: &EndpointSlice) {
    if slice.metadata.given.is_some() {
        return;
    }
    let address_type = match slice.address_type {
        AddressType::IPv4 => "IPv4",
        AddressType::IPv6 => "IPv6",
        AddressType::FQDN => "FQDN",
    };
    shown.json.insert("addressType".into(), address_type.into());
    let endpoints = slice.endpoints.iter().map(|endpoint| of_slice(shown, endpoint)).collect();
    shown.json.insert("endpoints".into(), endpoints);
    shown.json.insert("ports".into(), slice.ports.iter().map(port).collect());
}

fn of_slice(shown: &Shown<'_>, endpoint: &Endpoint) -> Value {
    let mut json = Map::new();
    let addresses: Vec<String> = endpoint.addresses.iter().map(|address| address.to_string()).collect();
    json.insert("addresses".into(), addresses.into());
    let conditions = [
        ("ready", endpoint.conditions.ready),
        ("serving", endpoint.conditions.serving),
        ("terminating", endpoint.conditions.terminating),
    ];
    let known = conditions.into_iter().filter_map(|(name, holds)| Some((name.to_owned(), holds?.into())));
    json.insert("conditions".into(), Value::Object(known.collect()));
    put(&mut json, "hostname", endpoint.hostname.as_str());
    put(&mut json, "nodeName", endpoint.node_name.as_str());
    if let Some(target) = &endpoint.target_ref {
        json.insert("targetRef".into(), shown.reference(target));
    }
    if let Some(node) = shown.context.store.get::<Node>(Kind::Node, "", &endpoint.node_name) {
        put(&mut json, "zone", node.zone());
    }
    json.into()
}

fn port(port: &EndpointPort) -> Value {
    let mut json = json!({ "name": port.name.as_str(), "protocol": port.protocol.as_str() });
    if let Some(number) = port.port {
        json["port"] = number.into();
    }
    json
}

pub(super) fn endpoints(shown: &mut Shown<'_>, endpoints: &Endpoints) {
    if endpoints.metadata.given.is_some() {
        return;
    }
    let subsets: Vec<Value> = endpoints.subsets.iter().map(|of| subset(shown, of)).collect();
    put(&mut shown.json, "subsets", subsets);
}

fn subset(shown: &Shown<'_>, subset: &EndpointSubset) -> Value {
    let mut json = Map::new();
    let addresses = |all: &[EndpointAddress]| {
        let address = |address: &EndpointAddress| {
            let mut json = Map::new();
            json.insert("ip".into(), address.ip.to_string().into());
            put(&mut json, "hostname", address.hostname.as_str());
            put(&mut json, "nodeName", address.node_name.as_str());
            if let Some(target) = &address.target_ref {
                json.insert("targetRef".into(), shown.reference(target));
            }
            Value::from(json)
        };
        all.iter().map(address).collect::<Vec<_>>()
    };
    put(&mut json, "addresses", addresses(&subset.addresses));
    put(&mut json, "notReadyAddresses", addresses(&subset.not_ready_addresses));
    let ports = subset.ports.iter().map(|of| {
        let mut json = port(of);
        if of.name.is_empty()
            && let Some(json) = json.as_object_mut()
        {
            json.remove("name");
        }
        json
    });
    put(&mut json, "ports", ports.collect::<Vec<_>>());
    json.into()
}

/// The Endpoints that a cluster's endpoints controller would keep for `service`, worked out from its slices: nobody
/// here needs them but clients that ask for them. `None` if the Service selects no pods, or is none.
///
/// Its revision is that of the newest slice, or of the Service.
pub fn derived(service: &Stored, context: &Context<'_>) -> Option<Stored> {
    let Object::Service(of) = &service.object else { return None };
    if of.spec.selector.is_empty() || of.is_external_name() {
        return None;
    }
    let meta = &of.metadata;
    let mut slices = context.store.slices_of(&meta.namespace, &meta.name);
    // One family only: that of the Service's first address, as a rule IPv4.
    let first = |kind: AddressType| slices.iter().any(|slice| slice.address_type == kind);
    let family = match of.addresses().next() {
        Some(ip) if ip.is_ipv6() => AddressType::IPv6,
        None if !first(AddressType::IPv4) => AddressType::IPv6,
        _ => AddressType::IPv4,
    };
    slices.retain(|slice| slice.address_type == family);
    let mut derived = service.clone();
    for slice in &slices {
        let key = Key::new(Kind::EndpointSlice, meta.namespace.clone(), slice.metadata.name.clone());
        let revision = context.store.stored(&key).map_or(0, |stored| stored.revision);
        derived.revision = derived.revision.max(revision);
    }
    let mut labels = meta.labels.with([("endpoints.kubernetes.io/managed-by", "endpoint-controller")]);
    if of.is_headless() {
        labels = labels.with([("service.kubernetes.io/headless", "")]);
    }
    let metadata = ObjectMeta {
        name: meta.name.clone(),
        namespace: meta.namespace.clone(),
        labels,
        synthesized: true,
        ..ObjectMeta::default()
    };
    let subsets = subsets(of, &slices);
    derived.object = Object::Endpoints(Arc::new(Endpoints { metadata, subsets }));
    Some(derived)
}

/// One subset for all slices with the same ports.
fn subsets(service: &Service, slices: &[&Arc<EndpointSlice>]) -> Vec<EndpointSubset> {
    let mut subsets: Vec<EndpointSubset> = Vec::new();
    for slice in slices {
        let subset = match subsets.iter_mut().find(|subset| subset.ports == slice.ports) {
            Some(subset) => subset,
            None => {
                subsets.push(EndpointSubset { ports: slice.ports.clone(), ..EndpointSubset::default() });
                subsets.last_mut().expect("one was put there")
            }
        };
        for endpoint in &slice.endpoints {
            let leaves = endpoint.conditions.terminating == Some(true);
            if leaves && !service.spec.publish_not_ready_addresses {
                continue;
            }
            let addresses = match endpoint.conditions.ready {
                Some(false) => &mut subset.not_ready_addresses,
                _ => &mut subset.addresses,
            };
            addresses.extend(endpoint.addresses.iter().filter_map(|address| {
                Some(EndpointAddress {
                    ip: address.ip().ok()?,
                    hostname: endpoint.hostname.clone(),
                    target_ref: endpoint.target_ref.clone(),
                    node_name: endpoint.node_name.clone(),
                })
            }));
        }
    }
    subsets.retain(|subset| !subset.addresses.is_empty() || !subset.not_ready_addresses.is_empty());
    subsets
}
