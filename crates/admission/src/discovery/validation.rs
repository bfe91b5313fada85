//! `pkg/apis/discovery/validation`

use std::collections::HashSet;
use std::net::IpAddr;

use serde_json::Value;

use crate::core::endpoints::validate_endpoint_ip;
use crate::core::validation::metadata as core_metadata;
use crate::field::{At, Causes};
use crate::primitives::addresses::{is_valid_ip, is_valid_ip_for_legacy_field, parse_ip_sloppy};
use crate::primitives::names::{self, Faults};
use crate::primitives::{domains, metadata};

/// Maximum numbers of items.
const ADDRESSES: usize = 100;
const PORTS: usize = 20_000;
const ENDPOINTS: usize = 1000;
const HINTS: usize = 8;
const TOPOLOGY_LABELS: usize = 16;

/// What is wrong with a name.
type Rule = fn(&str) -> Faults;

pub(super) fn validate_endpoint_slice(slice: &At<'_>, before: Option<&At<'_>>, causes: &mut Causes) {
    core_metadata::validate_object_meta(&slice.at("metadata"), true, names::dns_subdomain, causes);
    let of = slice.at("addressType");
    match of.text() {
        "" => causes.required(&of, ""),
        "IPv4" | "IPv6" | "FQDN" => {}
        other => causes.not_supported(&of, other, &["FQDN", "IPv4", "IPv6"]),
    }
    validate_ports(&slice.at("ports"), causes);
    let endpoints = slice.at("endpoints");
    // Earlier releases took what is refused today.
    if before.is_none_or(|before| before.at("endpoints").value() != endpoints.value()) {
        validate_endpoints(&endpoints, of.text(), causes);
    }
}

pub(super) fn validate_endpoint_slice_update(slice: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    validate_endpoint_slice(slice, Some(before), causes);
    metadata::validate_immutable(&slice.at("addressType"), &before.at("addressType"), causes);
}

fn validate_endpoints(endpoints: &At<'_>, of: &str, causes: &mut Causes) {
    if endpoints.list().len() > ENDPOINTS {
        causes.too_many(endpoints, endpoints.list().len(), ENDPOINTS);
        return;
    }
    for endpoint in endpoints.items() {
        let addresses = endpoint.at("addresses");
        match addresses.list().len() {
            0 => causes.required(&addresses, "must contain at least 1 address"),
            count if count > ADDRESSES => causes.too_many(&addresses, count, ADDRESSES),
            _ => {}
        }
        for address in addresses.items() {
            validate_address(&addresses, &address, of, causes);
        }
        let node = endpoint.at("nodeName");
        if node.is_set() {
            names::check(&node, names::dns_subdomain, causes);
        }
        let topology = endpoint.at("deprecatedTopology");
        let labels = topology.map().map_or(0, serde_json::Map::len);
        if labels > TOPOLOGY_LABELS {
            causes.too_many(&topology, labels, TOPOLOGY_LABELS);
        }
        metadata::validate_labels(&topology, causes);
        let host = endpoint.at("hostname");
        if host.is_set() {
            names::check(&host, names::dns_label, causes);
        }
        let hints = endpoint.at("hints");
        if hints.is_set() {
            validate_hints(&hints, causes);
        }
    }
}

fn validate_address(all: &At<'_>, address: &At<'_>, of: &str, causes: &mut Causes) {
    let text = address.text();
    match of {
        "IPv4" | "IPv6" => {
            // Only slices of IPv4 are older than the strict form.
            let is_valid = match of {
                "IPv4" => is_valid_ip_for_legacy_field(address, &At::root(&Value::Null), causes),
                _ => is_valid_ip(address, causes),
            };
            if !is_valid {
                return;
            }
            let is_v4 = matches!(parse_ip_sloppy(text), Some(IpAddr::V4(_)));
            if is_v4 != (of == "IPv4") {
                causes.invalid(all, text, &format!("must be an {of} address"));
            }
            validate_endpoint_ip(address, causes);
        }
        "FQDN" => domains::validate_fully_qualified_domain_name(address, causes),
        _ => {}
    }
}

fn validate_ports(ports: &At<'_>, causes: &mut Causes) {
    if ports.list().len() > PORTS {
        causes.too_many(ports, ports.list().len(), PORTS);
        return;
    }
    let mut known = HashSet::new();
    for port in ports.items() {
        let name = port.at("name");
        if !name.is_empty() {
            names::check(&name, names::dns_label, causes);
        }
        if !known.insert(name.text()) {
            causes.duplicate(&name, name.text());
        }
        let protocol = port.at("protocol");
        match protocol.text_if_set() {
            None => causes.required(&protocol, ""),
            Some("TCP" | "UDP" | "SCTP") => {}
            Some(other) => causes.not_supported(&protocol, other, &["SCTP", "TCP", "UDP"]),
        }
        let of = port.at("appProtocol");
        if of.is_set() {
            names::check(&of, names::label_key, causes);
        }
    }
}

fn validate_hints(hints: &At<'_>, causes: &mut Causes) {
    const FORMS: [(&str, Rule); 2] = [("forZones", names::label_value), ("forNodes", names::dns_subdomain)];
    for (field, form) in FORMS {
        let all = hints.at(field);
        if all.list().len() > HINTS {
            causes.too_many(&all, all.list().len(), HINTS);
            return;
        }
        let mut known = HashSet::new();
        for hint in all.items() {
            let name = hint.at("name");
            if !known.insert(name.text()) {
                causes.duplicate(&name, name.text());
            }
            names::check(&name, form, causes);
        }
    }
}
