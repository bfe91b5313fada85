//! `pkg/apis/discovery/validation`

use crate::field::{At, Causes};
use crate::primitives::{addresses, metadata, names};

const ADDRESS_TYPES: &[&str] = &["FQDN", "IPv4", "IPv6"];
const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];
const TOPOLOGY_LABELS_MAX: usize = 16;
const ADDRESSES_MAX: usize = 100;
const PORTS_MAX: usize = 20_000;
const ENDPOINTS_MAX: usize = 1000;
const HINTS_MAX: usize = 8;

/// `ValidateEndpointSliceCreate`
pub(super) fn validate_endpoint_slice_create(slice: &At<'_>, causes: &mut Causes) {
    validate_endpoint_slice(slice, None, causes);
}

/// `ValidateEndpointSliceUpdate`
pub(super) fn validate_endpoint_slice_update(slice: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    validate_endpoint_slice(slice, Some(before), causes);
    metadata::validate_immutable(&slice.at("addressType"), &before.at("addressType"), causes);
}

/// `ValidateEndpointSlice`
fn validate_endpoint_slice(slice: &At<'_>, before: Option<&At<'_>>, causes: &mut Causes) {
    metadata::validate_object_meta(&slice.at("metadata"), true, names::dns_subdomain, causes);
    let address_type = slice.at("addressType");
    if address_type.is_empty() {
        causes.required(&address_type, "");
    } else if !ADDRESS_TYPES.contains(&address_type.text()) {
        causes.not_supported(&address_type, address_type.text(), ADDRESS_TYPES);
    }
    validate_ports(&slice.at("ports"), causes);
    // Endpoints that were taken once stay valid.
    let endpoints = slice.at("endpoints");
    if before.is_none_or(|before| before.at("endpoints").list() != endpoints.list()) {
        validate_endpoints(&endpoints, address_type.text(), causes);
    }
}

/// `validateEndpoints`
fn validate_endpoints(endpoints: &At<'_>, address_type: &str, causes: &mut Causes) {
    if endpoints.list().len() > ENDPOINTS_MAX {
        return causes.too_many(endpoints, endpoints.list().len(), ENDPOINTS_MAX);
    }
    for endpoint in endpoints.items() {
        let listed = endpoint.at("addresses");
        if listed.is_empty() {
            causes.required(&listed, "must contain at least 1 address");
        } else if listed.list().len() > ADDRESSES_MAX {
            causes.too_many(&listed, listed.list().len(), ADDRESSES_MAX);
        }
        for address in listed.items() {
            validate_address(&address, &listed, address_type, causes);
        }
        let node = endpoint.at("nodeName");
        if let Some(name) = node.text_if_set() {
            for fault in names::dns_subdomain(name) {
                causes.invalid(&node, name, &fault);
            }
        }
        let topology = endpoint.at("deprecatedTopology");
        let labels = topology.map().map_or(0, serde_json::Map::len);
        if labels > TOPOLOGY_LABELS_MAX {
            causes.too_many(&topology, labels, TOPOLOGY_LABELS_MAX);
        }
        metadata::validate_labels(&topology, causes);
        let hostname = endpoint.at("hostname");
        if let Some(name) = hostname.text_if_set() {
            for fault in names::dns_label(name) {
                causes.invalid(&hostname, name, &fault);
            }
        }
        validate_hints(&endpoint.at("hints"), causes);
    }
}

/// An address has the form that the type of the slice says. Of another family it is wrong as a part of the list.
fn validate_address(address: &At<'_>, listed: &At<'_>, address_type: &str, causes: &mut Causes) {
    let text = address.text();
    let is_family = match address_type {
        "IPv4" => {
            if !addresses::is_valid_ip_for_legacy_field(
                address,
                text,
                &At::root(&serde_json::Value::Null),
                causes,
            ) {
                return;
            }
            addresses::is_v4(text)
        }
        "IPv6" => {
            if !addresses::is_valid_ip(address, text, causes) {
                return;
            }
            addresses::is_v6(text)
        }
        "FQDN" => return validate_fully_qualified_domain_name(address, causes),
        _ => return,
    };
    if !is_family {
        causes.invalid(listed, text, &format!("must be an {address_type} address"));
    }
    addresses::validate_endpoint_ip(address, text, causes);
}

/// `IsFullyQualifiedDomainName`
fn validate_fully_qualified_domain_name(field: &At<'_>, causes: &mut Causes) {
    if field.is_empty() {
        return causes.required(field, "");
    }
    let name = field.text().strip_suffix('.').unwrap_or(field.text());
    let faults = names::dns_subdomain(name);
    if !faults.is_empty() {
        return causes.invalid(field, name, &faults.join(","));
    }
    if !name.contains('.') {
        return causes.invalid(
            field,
            name,
            "should be a domain with at least two segments separated by dots",
        );
    }
    for label in name.split('.') {
        let faults = names::dns_label(label);
        if !faults.is_empty() {
            return causes.invalid(field, label, &faults.join(","));
        }
    }
}

/// `validatePorts`
fn validate_ports(ports: &At<'_>, causes: &mut Causes) {
    if ports.list().len() > PORTS_MAX {
        return causes.too_many(ports, ports.list().len(), PORTS_MAX);
    }
    let mut known: Vec<&str> = Vec::new();
    for port in ports.items() {
        let name = port.at("name");
        for fault in names::dns_label(name.text()).into_iter().filter(|_| !name.is_empty()) {
            causes.invalid(&name, name.text(), &fault);
        }
        if known.contains(&name.text()) {
            causes.duplicate(&name, name.text());
        } else {
            known.push(name.text());
        }
        let protocol = port.at("protocol");
        if !protocol.is_set() {
            causes.required(&protocol, "");
        } else if !PROTOCOLS.contains(&protocol.text()) {
            causes.not_supported(&protocol, protocol.text(), PROTOCOLS);
        }
        let app_protocol = port.at("appProtocol");
        if let Some(text) = app_protocol.text_if_set() {
            for fault in names::label_key(text) {
                causes.invalid(&app_protocol, text, &fault);
            }
        }
    }
}

/// A list of hints, and the form of the names in it.
type Rule = (&'static str, fn(&str) -> names::Faults);

/// `validateHints`
fn validate_hints(hints: &At<'_>, causes: &mut Causes) {
    let rules: [Rule; 2] = [("forZones", names::label_value), ("forNodes", names::dns_subdomain)];
    for (list, rule) in rules {
        let hinted = hints.at(list);
        if hinted.list().len() > HINTS_MAX {
            return causes.too_many(&hinted, hinted.list().len(), HINTS_MAX);
        }
        let mut known: Vec<&str> = Vec::new();
        for hint in hinted.items() {
            let name = hint.at("name");
            if known.contains(&name.text()) {
                causes.duplicate(&name, name.text());
            } else {
                known.push(name.text());
            }
            for fault in rule(name.text()) {
                causes.invalid(&name, name.text(), &fault);
            }
        }
    }
}
