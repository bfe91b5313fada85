//! Takes the place of `pkg/apis/networking`.

mod addresses;
mod classes;
mod ingresses;
mod policies;

use serde_json::Value;

use crate::strategy::Strategy;

pub(crate) const STRATEGIES: &[Strategy] = &[
    ingresses::INGRESS,
    classes::INGRESS_CLASS,
    policies::NETWORK_POLICY,
    addresses::SERVICE_CIDR,
    addresses::IP_ADDRESS,
];

/// The API group.
const GROUP: &str = "networking.k8s.io";

/// An update of an object is none of its status.
fn keep_status(object: &mut Value, before: &Value) {
    let Some(object) = object.as_object_mut() else { return };
    match before.get("status") {
        Some(status) => _ = object.insert("status".into(), status.clone()),
        None => _ = object.remove("status"),
    }
}
