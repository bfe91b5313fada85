//! EndpointSlices, and the older Endpoints, which a cluster still creates for every Service.

use serde_json::{Map, Value, json};

use super::{Shown, put};
use clusterlocal_core::store::{
    AddressType, Endpoint, EndpointAddress, EndpointPort, EndpointSlice, EndpointSubset, Endpoints, Kind,
    Node, fill, objects, of_slices,
};

pub(super) fn slice(shown: &mut Shown<'_>, slice: &EndpointSlice) {
    if slice.metadata.given.is_some() {
        for port in objects(&mut shown.json, "ports") {
            fill(port, "name", "");
            fill(port, "protocol", "TCP");
        }
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
    if let Some(protocol) = &port.app_protocol {
        json["appProtocol"] = protocol.as_str().into();
    }
    json
}

pub(super) fn endpoints(shown: &mut Shown<'_>, endpoints: &Endpoints) {
    if endpoints.metadata.given.is_some() {
        for subset in objects(&mut shown.json, "subsets") {
            objects(subset, "ports").for_each(|port| fill(port, "protocol", "TCP"));
        }
        return;
    }
    let subsets: Vec<Value> = match endpoints.derived {
        None => endpoints.subsets.iter().map(|of| subset(shown, of)).collect(),
        Some(derived) => {
            let meta = &endpoints.metadata;
            let slices = shown.context.store.slices_of(&meta.namespace, &meta.name);
            let (subsets, truncated) = of_slices(derived, &slices);
            if truncated {
                let annotations = clusterlocal_core::store::object(shown.metadata(), "annotations");
                annotations.insert("endpoints.kubernetes.io/over-capacity".into(), "truncated".into());
            }
            subsets.iter().map(|of| subset(shown, of)).collect()
        }
    };
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
