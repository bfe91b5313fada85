//! NetworkPolicies: `pkg/apis/networking/validation`.

use crate::field::{At, Causes};
use crate::primitives::addresses::{self, Cidr};
use crate::primitives::{metadata, names, selectors};

const PROTOCOLS: &[&str] = &["TCP", "UDP", "SCTP"];
const POLICY_TYPES: &[&str] = &["Ingress", "Egress"];
/// Each direction, and what its rules call their peers.
const DIRECTIONS: [(&str, &str); 2] = [("ingress", "from"), ("egress", "to")];

/// `ValidateNetworkPolicy`
pub(super) fn validate_network_policy_create(policy: &At<'_>, causes: &mut Causes) {
    metadata::validate_object_meta(&policy.at("metadata"), true, names::dns_subdomain, causes);
    validate_network_policy_spec(&policy.at("spec"), &[], causes);
}

/// `ValidateNetworkPolicyUpdate`: each range that the policy had stays valid, wherever it stands now.
pub(super) fn validate_network_policy_update(policy: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    let mut known: Vec<&str> = Vec::new();
    for (direction, peers) in DIRECTIONS {
        for peer in before.at("spec").at(direction).items().flat_map(|rule| rule.at(peers).items()) {
            let block = peer.at("ipBlock");
            if block.is_set() {
                known.push(block.at("cidr").text());
                known.extend(block.at("except").items().map(|range| range.text()));
            }
        }
    }
    metadata::validate_object_meta_update(&policy.at("metadata"), &before.at("metadata"), causes);
    validate_network_policy_spec(&policy.at("spec"), &known, causes);
}

/// `ValidateNetworkPolicySpec`
fn validate_network_policy_spec(spec: &At<'_>, known: &[&str], causes: &mut Causes) {
    selectors::validate_label_selector(&spec.at("podSelector"), causes);
    for (direction, peers) in DIRECTIONS {
        for rule in spec.at(direction).items() {
            for port in rule.at("ports").items() {
                validate_network_policy_port(&port, causes);
            }
            for peer in rule.at(peers).items() {
                validate_network_policy_peer(&peer, known, causes);
            }
        }
    }
    let types = spec.at("policyTypes");
    if types.list().len() > POLICY_TYPES.len() {
        return causes.invalid(&types, types.value(), "may not specify more than two policyTypes");
    }
    for one in types.items().filter(|one| !POLICY_TYPES.contains(&one.text())) {
        causes.not_supported(&one, one.text(), POLICY_TYPES);
    }
}

/// `ValidateNetworkPolicyPort`
fn validate_network_policy_port(rule: &At<'_>, causes: &mut Causes) {
    let protocol = rule.at("protocol");
    if protocol.is_set() && !PROTOCOLS.contains(&protocol.text()) {
        causes.not_supported(&protocol, protocol.text(), PROTOCOLS);
    }
    let (port, end) = (rule.at("port"), rule.at("endPort"));
    let refuse_end = |causes: &mut Causes, why: &str| {
        if end.is_set() {
            causes.invalid(&end, end.number(), why);
        }
    };
    if !port.is_set() {
        return refuse_end(causes, "may not be specified when `port` is not specified");
    }
    if let Some(name) = port.text_if_set() {
        refuse_end(causes, "may not be specified when `port` is non-numeric");
        for fault in names::port_name(name) {
            causes.invalid(&port, name, &fault);
        }
        return;
    }
    for fault in names::port_number(port.number()) {
        causes.invalid(&port, port.number(), &fault);
    }
    if end.is_set() {
        if end.number() < port.number() {
            // An API server shows the first port here.
            causes.invalid(&end, port.number(), "must be greater than or equal to `port`");
        }
        for fault in names::port_number(end.number()) {
            causes.invalid(&end, end.number(), &fault);
        }
    }
}

/// `ValidateNetworkPolicyPeer`
fn validate_network_policy_peer(peer: &At<'_>, known: &[&str], causes: &mut Causes) {
    let mut count = 0;
    for name in ["podSelector", "namespaceSelector"] {
        let selector = peer.at(name);
        if selector.is_set() {
            count += 1;
            selectors::validate_label_selector(&selector, causes);
        }
    }
    let block = peer.at("ipBlock");
    if block.is_set() {
        validate_ip_block(&block, known, causes);
        if count > 0 {
            causes.forbidden(peer, "may not specify both ipBlock and another peer");
        }
    } else if count == 0 {
        causes.required(peer, "must specify a peer");
    }
}

/// `ValidateIPBlock`
fn validate_ip_block(block: &At<'_>, known: &[&str], causes: &mut Causes) {
    let cidr = block.at("cidr");
    if cidr.is_empty() {
        return causes.required(&cidr, "");
    }
    addresses::is_valid_cidr_for_legacy_field(&cidr, cidr.text(), known, causes);
    let Some(range) = Cidr::parse_sloppy(cidr.text()) else { return };
    for except in block.at("except").items() {
        addresses::is_valid_cidr_for_legacy_field(&except, except.text(), known, causes);
        if Cidr::parse_sloppy(except.text()).is_some_and(|except| !range.contains_smaller(&except)) {
            causes.invalid(&except, except.text(), "must be a strict subset of `cidr`");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn blocks_and_ports() {
        let table = [
            (json!({ "from": [{ "ipBlock": { "cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"] } }] }), ""),
            (
                json!({ "from": [{ "ipBlock": { "cidr": "10.0.0.0/8", "except": ["10.0.0.0/8"] } }] }),
                "spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: \"10.0.0.0/8\": must be a strict subset of `cidr`",
            ),
            (
                json!({ "from": [{ "ipBlock": { "cidr": "10.0.0.0/8" }, "podSelector": {} }] }),
                "spec.ingress[0].from[0]: Forbidden: may not specify both ipBlock and another peer",
            ),
            (
                json!({ "ports": [{ "port": 80, "endPort": 79 }] }),
                "spec.ingress[0].ports[0].endPort: Invalid value: 80: must be greater than or equal to `port`",
            ),
            (
                json!({ "ports": [{ "endPort": 79 }] }),
                "spec.ingress[0].ports[0].endPort: Invalid value: 79: may not be specified when `port` is not specified",
            ),
        ];
        for (rule, expected) in table {
            let policy = json!({ "spec": { "ingress": [rule] } });
            let mut causes = Causes::default();
            validate_network_policy_spec(&At::root(&policy).at("spec"), &[], &mut causes);
            let causes: Vec<String> = causes.into_vec().iter().map(ToString::to_string).collect();
            assert_eq!(causes.join(", "), expected);
        }
    }
}
