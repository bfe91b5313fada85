//! Takes the place of `pkg/apis/core`.

mod config;
pub(crate) mod defaults;
pub(crate) mod plugins;
pub(crate) mod pod_fields;
pub(crate) mod pod_warnings;
mod pods;
pub(crate) mod validation;
pub(crate) mod volumes;

use crate::strategy::Strategy;

pub(crate) const STRATEGIES: &[Strategy] = &[config::CONFIG_MAP, pods::POD];
