//! Takes the place of `pkg/apis/core`.

mod config;
mod service;

use crate::strategy::Strategy;

pub(crate) const STRATEGIES: &[Strategy] = &[config::CONFIG_MAP, service::SERVICE];
