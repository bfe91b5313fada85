//! Takes the place of `pkg/apis/core`.

mod config;
mod endpoints;
mod events;
mod namespaces;
mod nodes;
mod persistent_volumes;
mod quotas;
mod secrets;
pub(crate) mod validation;
pub(crate) mod volumes;

use crate::strategy::Strategy;

pub(crate) const STRATEGIES: &[Strategy] = &[
    config::CONFIG_MAP,
    secrets::SECRET,
    persistent_volumes::PERSISTENT_VOLUME_CLAIM,
    persistent_volumes::PERSISTENT_VOLUME,
    namespaces::SERVICE_ACCOUNT,
    namespaces::NAMESPACE,
    nodes::NODE,
    endpoints::ENDPOINTS,
    quotas::RESOURCE_QUOTA,
    quotas::LIMIT_RANGE,
    events::EVENT,
];
