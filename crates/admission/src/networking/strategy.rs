//! The strategies of `pkg/registry/networking`.

use serde_json::{Value, json};

use crate::field::At;
use crate::primitives::addresses;

/// The status of a new object is empty.
pub(super) fn drop_status(object: &mut Value) {
    object["status"] = json!({});
}

pub(super) fn prepare_ingress_for_create(ingress: &mut Value) {
    ingress["status"] = json!({ "loadBalancer": {} });
}

/// An update of an object is none of its status.
pub(super) fn keep_status(object: &mut Value, before: &Value) {
    let Some(object) = object.as_object_mut() else { return };
    match before.get("status") {
        Some(status) => _ = object.insert("status".into(), status.clone()),
        None => _ = object.remove("status"),
    }
}

pub(super) fn warnings_for_network_policy(policy: &Value, _: Option<&Value>) -> Vec<String> {
    let spec = At::root(policy).at("spec");
    let mut warnings = Vec::new();
    for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
        for peer in spec.at(direction).items().flat_map(|rule| rule.at(peers).items()) {
            let block = peer.at("ipBlock");
            if block.is_set() {
                let ranges = [block.at("cidr")].into_iter().chain(block.at("except").items());
                warnings.extend(ranges.flat_map(|range| addresses::warnings_for_cidr(&range, range.text())));
            }
        }
    }
    warnings
}

pub(super) fn warnings_for_ingress(ingress: &Value, before: Option<&Value>) -> Vec<String> {
    let ingress = At::root(ingress);
    let class = ingress.at("metadata.annotations").key("kubernetes.io/ingress.class");
    let is_deprecated = before.is_none() && class.is_set() && !ingress.at("spec.ingressClassName").is_set();
    let warning = "annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead";
    is_deprecated.then(|| warning.into()).into_iter().collect()
}

/// Ranges are canonical when they are taken: there is nothing to say of them.
pub(super) fn warnings_for_service_cidr(_: &Value, _: Option<&Value>) -> Vec<String> {
    Vec::new()
}
