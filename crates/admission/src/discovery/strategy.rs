//! `pkg/registry/discovery/endpointslice/strategy.go`

use serde_json::Value;

use crate::field::At;
use crate::primitives::{addresses, names};

const HOSTNAME: &str = "kubernetes.io/hostname";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
/// The controllers that write only canonical addresses.
const CONTROLLERS: [&str; 2] =
    ["endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io"];

pub(super) fn prepare_for_create(slice: &mut Value) {
    drop_topology(slice, &[]);
}

pub(super) fn prepare_for_update(slice: &mut Value, before: &Value) {
    if slice.get("endpoints") == before.get("endpoints") {
        return;
    }
    let endpoints = before["endpoints"].as_array().map(Vec::as_slice).unwrap_or_default();
    let known = endpoints.iter().filter_map(|endpoint| endpoint["deprecatedTopology"][HOSTNAME].as_str());
    drop_topology(slice, &known.filter(|name| !name.is_empty()).collect::<Vec<_>>());
}

/// `dropTopologyOnV1`: nodes that only the topology of `v1beta1` named, `known` ones, are kept.
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

/// `warnOnDeprecatedAddressType` of a new slice, and `warnOnBadIPs`.
pub(super) fn warnings_for_endpoint_slice(slice: &Value, before: Option<&Value>) -> Vec<String> {
    let slice = At::root(slice);
    let mut warnings: Vec<String> = Vec::new();
    if before.is_none() && slice.at("addressType").text() == "FQDN" {
        warnings.push("spec.addressType: FQDN endpoints are deprecated".into());
    }
    let manager = slice.at("metadata.labels").key(MANAGED_BY);
    if !CONTROLLERS.contains(&manager.text()) {
        let all = slice.at("endpoints").items().flat_map(|endpoint| endpoint.at("addresses").items());
        warnings.extend(all.filter_map(|address| addresses::warnings_for_ip(&address, address.text())));
    }
    warnings
}
