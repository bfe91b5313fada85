//! Takes the place of `pkg/apis/core`.

mod config;
pub(crate) mod validation;
pub(crate) mod volumes;

use crate::strategy::Strategy;

pub(crate) const STRATEGIES: &[Strategy] = &[config::CONFIG_MAP];
