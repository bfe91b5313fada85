//! Takes the place of `pkg/apis/discovery`.

mod defaults;
mod strategy;
mod validation;

use crate::strategy::Strategy;

pub(crate) const STRATEGIES: &[Strategy] = &[Strategy {
    default: defaults::set_defaults_endpoint_slice,
    prepare_for_create: strategy::prepare_for_create,
    prepare_for_update: strategy::prepare_for_update,
    validate: validation::validate_endpoint_slice_create,
    validate_update: validation::validate_endpoint_slice_update,
    warnings: strategy::warnings_for_endpoint_slice,
    ..Strategy::of("discovery.k8s.io", "EndpointSlice", true)
}];
