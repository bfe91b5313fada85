//! Takes the place of `pkg/apis/coordination`.

use crate::field::{At, Causes};
use crate::primitives::{metadata, names};
use crate::strategy::Strategy;

pub(crate) const STRATEGIES: &[Strategy] = &[Strategy {
    unconditional_update: false,
    prepare_for_create: drop_coordinated_election,
    prepare_for_update: |lease, _| drop_coordinated_election(lease),
    validate: validate_lease,
    validate_update: validate_lease_update,
    ..Strategy::of("coordination.k8s.io", "Lease", true)
}];

/// The gate CoordinatedLeaderElection is off.
fn drop_coordinated_election(lease: &mut serde_json::Value) {
    if let Some(spec) = lease.get_mut("spec").and_then(serde_json::Value::as_object_mut) {
        spec.remove("strategy");
        spec.remove("preferredHolder");
    }
}

fn validate_lease(lease: &At<'_>, causes: &mut Causes) {
    metadata::validate_object_meta(&lease.at("metadata"), true, names::dns_subdomain, causes);
    validate_lease_spec(&lease.at("spec"), causes);
}

fn validate_lease_update(lease: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    metadata::validate_object_meta_update(&lease.at("metadata"), &before.at("metadata"), causes);
    validate_lease_spec(&lease.at("spec"), causes);
}

fn validate_lease_spec(spec: &At<'_>, causes: &mut Causes) {
    let duration = spec.at("leaseDurationSeconds");
    if duration.number_if_set().is_some_and(|seconds| seconds <= 0) {
        causes.invalid(&duration, duration.number(), "must be greater than 0");
    }
    metadata::validate_non_negative(&spec.at("leaseTransitions"), causes);
}
