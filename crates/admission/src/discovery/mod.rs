//! Takes the place of `pkg/apis/discovery`.

mod validation;

use serde_json::Value;

use crate::field::At;
use crate::primitives::{addresses, names};
use crate::strategy::Strategy;

pub(crate) const STRATEGIES: &[Strategy] = &[Strategy {
    default: set_defaults_endpoint_slice,
    prepare_for_create: |slice| drop_topology(slice, &[]),
    prepare_for_update: |slice, before| {
        if slice.get("endpoints") != before.get("endpoints") {
            drop_topology(slice, &topology_nodes(before));
        }
    },
    validate: |slice, causes| validation::validate_endpoint_slice(slice, None, causes),
    validate_update: validation::validate_endpoint_slice_update,
    warnings,
    ..Strategy::of("discovery.k8s.io", "EndpointSlice", true)
}];

/// `SetDefaults_EndpointPort`
fn set_defaults_endpoint_slice(slice: &mut Value) {
    let ports = slice.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten();
    for port in ports.filter_map(Value::as_object_mut) {
        port.entry("name").or_insert_with(|| "".into());
        port.entry("protocol").or_insert_with(|| "TCP".into());
    }
    // Neither list is left out where it is empty; protobuf does not distinguish it from none.
    if let Some(slice) = slice.as_object_mut() {
        for field in ["endpoints", "ports"] {
            if slice.get(field).and_then(Value::as_array).is_none_or(Vec::is_empty) {
                slice.insert(field.into(), Value::Null);
            }
        }
    }
}

/// The label by which endpoints of `v1beta1` named their nodes.
const HOSTNAME: &str = "kubernetes.io/hostname";

/// `getDeprecatedTopologyNodeNames`
fn topology_nodes(slice: &Value) -> Vec<&str> {
    let endpoints = slice["endpoints"].as_array().map(Vec::as_slice).unwrap_or_default();
    let nodes = endpoints.iter().filter_map(|endpoint| endpoint["deprecatedTopology"][HOSTNAME].as_str());
    nodes.filter(|node| !node.is_empty()).collect()
}

/// `dropTopologyOnV1`: `nodeName` and `zone` took its place. A node that only the topology names is kept, if it is `known`.
fn drop_topology(slice: &mut Value, known: &[&str]) {
    let endpoints = slice.get_mut("endpoints").and_then(Value::as_array_mut).into_iter().flatten();
    for endpoint in endpoints.filter_map(Value::as_object_mut) {
        let Some(topology) = endpoint.remove("deprecatedTopology") else { continue };
        let node = topology[HOSTNAME].as_str().filter(|node| known.contains(node));
        if let Some(node) = node.filter(|node| names::dns_subdomain(node).is_empty()) {
            endpoint.entry("nodeName").or_insert_with(|| node.into());
        }
    }
}

/// The controllers whose slices have no malformed addresses.
const CONTROLLERS: [&str; 2] =
    ["endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io"];

fn warnings(slice: &Value, before: Option<&Value>) -> Vec<String> {
    let slice = At::root(slice);
    let mut warnings = Vec::new();
    if before.is_none() && slice.at("addressType").text() == "FQDN" {
        warnings.push("spec.addressType: FQDN endpoints are deprecated".into());
    }
    let manager = slice.at("metadata.labels").key("endpointslice.kubernetes.io/managed-by");
    if !CONTROLLERS.contains(&manager.text()) {
        for endpoint in slice.at("endpoints").items() {
            warnings
                .extend(endpoint.at("addresses").items().filter_map(|ip| addresses::warnings_for_ip(&ip)));
        }
    }
    warnings
}
