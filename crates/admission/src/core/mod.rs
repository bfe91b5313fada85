//! Takes the place of `pkg/apis/core`.

mod config;
mod container_statuses;
pub(crate) mod defaults;
pub(crate) mod endpoints;
mod events;
mod namespaces;
pub(crate) mod nodes;
pub(crate) mod persistent_volumes;
pub(crate) mod plugins;
pub(crate) mod pod_fields;
mod pod_status;
mod pod_templates;
pub(crate) mod pod_warnings;
mod pods;
mod quotas;
mod replication_controllers;
mod secrets;
mod service;
pub(crate) mod statuses;
pub(crate) mod validation;
pub(crate) mod volumes;

use crate::strategy::Strategy;

pub(crate) const STRATEGIES: &[Strategy] = &[
    config::CONFIG_MAP,
    secrets::SECRET,
    service::SERVICE,
    pods::POD,
    persistent_volumes::PERSISTENT_VOLUME_CLAIM,
    persistent_volumes::PERSISTENT_VOLUME,
    namespaces::SERVICE_ACCOUNT,
    namespaces::NAMESPACE,
    nodes::NODE,
    endpoints::ENDPOINTS,
    quotas::RESOURCE_QUOTA,
    quotas::LIMIT_RANGE,
    events::EVENT,
    events::EVENT_OF_EVENTS,
    pod_templates::POD_TEMPLATE,
    replication_controllers::REPLICATION_CONTROLLER,
];
