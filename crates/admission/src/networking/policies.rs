//! NetworkPolicies (`pkg/apis/networking/validation`, `pkg/apis/networking/v1/defaults.go`).

use serde_json::{Value, json};

use super::GROUP;
use crate::core::validation::metadata;
use crate::field::{At, Causes};
use crate::primitives::addresses::{
    masked, parse_cidr_sloppy, validate_cidr_for_legacy_field, warnings_for_cidr,
};
use crate::primitives::{names, selectors};
use crate::strategy::Strategy;

pub(super) const NETWORK_POLICY: Strategy = Strategy {
    default: set_defaults_network_policy,
    validate: |policy, causes| {
        metadata::validate_object_meta(&policy.at("metadata"), true, names::dns_subdomain, causes);
        validate_network_policy_spec(&policy.at("spec"), &[], causes);
    },
    validate_update: |policy, before, causes| {
        metadata::validate_object_meta_update(&policy.at("metadata"), &before.at("metadata"), causes);
        validate_network_policy_spec(&policy.at("spec"), &existing_cidrs(before), causes);
    },
    warnings,
    ..Strategy::of(GROUP, "NetworkPolicy", true)
};

/// The rules of a policy with the field that names their peers.
const RULES: [(&str, &str); 2] = [("ingress", "from"), ("egress", "to")];

fn set_defaults_network_policy(policy: &mut Value) {
    let Some(spec) = policy.get_mut("spec").and_then(Value::as_object_mut) else { return };
    let has_egress = spec.get("egress").and_then(Value::as_array).is_some_and(|rules| !rules.is_empty());
    if spec.get("policyTypes").and_then(Value::as_array).is_none_or(Vec::is_empty) {
        let types = if has_egress { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) };
        spec.insert("policyTypes".into(), types);
    }
    for (direction, _) in RULES {
        let rules = spec.get_mut(direction).and_then(Value::as_array_mut).into_iter().flatten();
        for rule in rules {
            let ports = rule.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten();
            for port in ports.filter_map(Value::as_object_mut) {
                port.entry("protocol").or_insert_with(|| "TCP".into());
            }
        }
    }
}

/// The CIDRs of an existing policy: they may stay unchanged.
fn existing_cidrs<'o>(policy: &At<'o>) -> Vec<&'o str> {
    let mut all = Vec::new();
    for (direction, peers) in RULES {
        for peer in policy.at("spec").at(direction).items().flat_map(|rule| rule.at(peers).items()) {
            all.push(peer.at("ipBlock.cidr").text());
            all.extend(peer.at("ipBlock.except").items().map(|except| except.text()));
        }
    }
    all
}

fn validate_network_policy_spec(spec: &At<'_>, known: &[&str], causes: &mut Causes) {
    selectors::validate_label_selector(&spec.at("podSelector"), causes);
    for (direction, peers) in RULES {
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
    if types.list().len() > 2 {
        causes.invalid(&types, types.value(), "may not specify more than two policyTypes");
        return;
    }
    for of in types.items().filter(|of| !matches!(of.text(), "Ingress" | "Egress")) {
        causes.not_supported(&of, of.text(), &["Ingress", "Egress"]);
    }
}

fn validate_network_policy_port(port: &At<'_>, causes: &mut Causes) {
    let protocol = port.at("protocol");
    if protocol.text_if_set().is_some_and(|of| !matches!(of, "TCP" | "UDP" | "SCTP")) {
        causes.not_supported(&protocol, protocol.text(), &["TCP", "UDP", "SCTP"]);
    }
    let (begin, end) = (port.at("port"), port.at("endPort"));
    match (begin.value(), end.number_if_set()) {
        (Value::Number(_), last) => {
            for fault in names::port_number(begin.number()) {
                causes.invalid(&begin, begin.number(), &fault);
            }
            let Some(last) = last else { return };
            if last < begin.number() {
                causes.invalid(&end, begin.number(), "must be greater than or equal to `port`");
            }
            for fault in names::port_number(last) {
                causes.invalid(&end, last, &fault);
            }
        }
        (Value::String(name), last) => {
            if let Some(last) = last {
                causes.invalid(&end, last, "may not be specified when `port` is non-numeric");
            }
            for fault in names::port_name(name) {
                causes.invalid(&begin, name.as_str(), &fault);
            }
        }
        (_, Some(last)) => causes.invalid(&end, last, "may not be specified when `port` is not specified"),
        (_, None) => {}
    }
}

fn validate_network_policy_peer(peer: &At<'_>, known: &[&str], causes: &mut Causes) {
    let mut peers = 0;
    for field in ["podSelector", "namespaceSelector"] {
        let selector = peer.at(field);
        if selector.is_set() {
            peers += 1;
            selectors::validate_label_selector(&selector, causes);
        }
    }
    let block = peer.at("ipBlock");
    if block.is_set() {
        peers += 1;
        validate_ip_block(&block, known, causes);
    }
    if peers == 0 {
        causes.required(peer, "must specify a peer");
    } else if peers > 1 && block.is_set() {
        causes.forbidden(peer, "may not specify both ipBlock and another peer");
    }
}

fn validate_ip_block(block: &At<'_>, known: &[&str], causes: &mut Causes) {
    let validate = |cidr: &At<'_>, causes: &mut Causes| {
        if !known.contains(&cidr.text()) {
            validate_cidr_for_legacy_field(cidr, causes);
        }
    };
    let cidr = block.at("cidr");
    if cidr.is_empty() {
        causes.required(&cidr, "");
        return;
    }
    validate(&cidr, causes);
    let Some((address, bits)) = parse_cidr_sloppy(cidr.text()) else { return };
    for except in block.at("except").items() {
        validate(&except, causes);
        let Some((inner, inner_bits)) = parse_cidr_sloppy(except.text()) else { continue };
        let is_within = address.is_ipv4() == inner.is_ipv4() && masked(inner, bits) == masked(address, bits);
        if !is_within || bits >= inner_bits {
            causes.invalid(&except, except.text(), "must be a strict subset of `cidr`");
        }
    }
}

/// `networkPolicyWarnings`
fn warnings(policy: &Value, _: Option<&Value>) -> Vec<String> {
    let spec = At::root(policy).at("spec");
    let mut warnings = Vec::new();
    for (direction, peers) in RULES {
        for peer in spec.at(direction).items().flat_map(|rule| rule.at(peers).items()) {
            let block = peer.at("ipBlock");
            warnings.extend(warnings_for_cidr(&block.at("cidr")));
            warnings.extend(block.at("except").items().flat_map(|range| warnings_for_cidr(&range)));
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
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
