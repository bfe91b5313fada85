//! Takes the place of `pkg/apis/networking`.

mod addresses;
mod classes;
mod ingresses;
mod policies;

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
