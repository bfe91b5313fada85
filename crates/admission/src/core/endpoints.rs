//! Endpoints (`pkg/registry/core/endpoint/strategy.go`, `ValidateEndpoints`).

use std::net::IpAddr;

use serde_json::Value;

use super::validation::metadata;
use super::volumes::put_default;
use crate::field::{At, Causes};
use crate::primitives::addresses::{parse_ip_sloppy, validate_ip_for_legacy_field, warnings_for_ip};
use crate::primitives::equality::semantically_equal;
use crate::primitives::names;
use crate::strategy::Strategy;

pub(crate) const ENDPOINTS: Strategy = Strategy {
    default: |endpoints| {
        for subset in endpoints.get_mut("subsets").and_then(Value::as_array_mut).into_iter().flatten() {
            let ports = subset.get_mut("ports").and_then(Value::as_array_mut);
            for port in ports.into_iter().flatten() {
                put_default(port, "protocol", "TCP");
            }
        }
    },
    validate: |endpoints, causes| validate_endpoints(endpoints, None, causes),
    validate_update: |endpoints, before, causes| {
        metadata::validate_object_meta_update(&endpoints.at("metadata"), &before.at("metadata"), causes);
        validate_endpoints(endpoints, Some(before), causes);
    },
    warnings: warnings_for_endpoints,
    ..Strategy::of("", "Endpoints", true)
};

/// What was there before, however wrong, may stay.
fn validate_endpoints(endpoints: &At<'_>, before: Option<&At<'_>>, causes: &mut Causes) {
    metadata::validate_object_meta(&endpoints.at("metadata"), true, names::dns_subdomain, causes);
    let subsets = endpoints.at("subsets");
    let is_same = |before: &At<'_>| semantically_equal(subsets.value(), before.at("subsets").value());
    if !before.is_some_and(is_same) {
        for subset in subsets.items() {
            validate_endpoint_subset(&subset, causes);
        }
    }
}

/// `validateEndpointSubsets`
fn validate_endpoint_subset(subset: &At<'_>, causes: &mut Causes) {
    let lists = ["addresses", "notReadyAddresses"].map(|list| subset.at(list));
    if lists.iter().all(At::is_empty) {
        causes.required(subset, "must specify `addresses` or `notReadyAddresses`");
    }
    for address in lists.iter().flat_map(At::items) {
        validate_endpoint_address(&address, causes);
    }
    let ports = subset.at("ports");
    for port in ports.items() {
        validate_endpoint_port(&port, ports.list().len() > 1, causes);
    }
}

/// `validateEndpointAddress`
fn validate_endpoint_address(address: &At<'_>, causes: &mut Causes) {
    let (ip, host, node) = (address.at("ip"), address.at("hostname"), address.at("nodeName"));
    validate_ip_for_legacy_field(&ip, causes);
    if !host.is_empty() {
        names::check(&host, names::dns_label, causes);
    }
    if node.is_set() {
        names::check(&node, names::dns_subdomain, causes);
    }
    validate_endpoint_ip(&ip, causes);
}

/// `ValidateEndpointIP`: an address at which no other node could be.
pub(crate) fn validate_endpoint_ip(ip: &At<'_>, causes: &mut Causes) {
    let text = ip.text();
    let Some(address) = parse_ip_sloppy(text) else {
        causes.invalid(ip, text, "must be a valid IP address");
        return;
    };
    let (is_local, is_local_multicast) = match address {
        IpAddr::V4(v4) => (v4.is_link_local(), v4.octets()[..3] == [224, 0, 0]),
        IpAddr::V6(v6) => {
            let [first, second, ..] = v6.octets();
            (first == 0xfe && second & 0xc0 == 0x80, first == 0xff && second & 0x0f == 2)
        }
    };
    let unspecified = format!("may not be unspecified ({text})");
    for (is_wrong, why) in [
        (address.is_unspecified(), unspecified.as_str()),
        (address.is_loopback(), "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
        (is_local, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
        (is_local_multicast, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"),
    ] {
        if is_wrong {
            causes.invalid(ip, text, why);
        }
    }
}

/// `validateEndpointPort`: of several each has a name.
fn validate_endpoint_port(port: &At<'_>, needs_name: bool, causes: &mut Causes) {
    const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];
    let (name, number) = (port.at("name"), port.at("port"));
    if !name.is_empty() {
        names::check(&name, names::dns_label, causes);
    } else if needs_name {
        causes.required(&name, "");
    }
    for fault in names::port_number(number.number()) {
        causes.invalid(&number, number.number(), &fault);
    }
    let (protocol, application) = (port.at("protocol"), port.at("appProtocol"));
    if protocol.is_empty() {
        causes.required(&protocol, "");
    } else if !PROTOCOLS.contains(&protocol.text()) {
        causes.not_supported(&protocol, protocol.text(), PROTOCOLS);
    }
    if application.is_set() {
        names::check(&application, names::label_key, causes);
    }
}

/// `endpointsWarnings`
fn warnings_for_endpoints(endpoints: &Value, _: Option<&Value>) -> Vec<String> {
    let root = At::root(endpoints);
    let manager = root.at("metadata.labels").key("endpoints.kubernetes.io/managed-by");
    if manager.text() == "endpoint-controller" {
        return Vec::new();
    }
    let mut warnings = Vec::new();
    for subset in root.at("subsets").items() {
        for list in ["addresses", "notReadyAddresses"] {
            let addresses = subset.at(list);
            warnings.extend(addresses.items().filter_map(|address| warnings_for_ip(&address.at("ip"))));
        }
    }
    warnings
}
