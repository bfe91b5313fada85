//! Takes the place of `pkg/apis/autoscaling`: HorizontalPodAutoscalers, as `autoscaling/v1` and `autoscaling/v2` write them.

mod conversion;
mod defaults;
mod metrics;
mod references;
mod validation;

use serde_json::Value;

pub use self::conversion::{autoscaler_to_v1, autoscaler_to_v2};
pub(crate) use self::metrics::sign;

use crate::core::validation::metadata;
use crate::field::{At, Causes};
use crate::primitives::counts::validate_counts;
use crate::primitives::updates::keep_status;
use crate::strategy::Strategy;

pub(crate) const STRATEGIES: &[Strategy] = &[Strategy {
    default: defaults::set_defaults_horizontal_pod_autoscaler,
    prepare_for_create: |autoscaler| {
        autoscaler.as_object_mut().map(|autoscaler| autoscaler.remove("status"));
    },
    prepare_for_update: keep_status,
    validate,
    validate_update,
    validate_status_update: |autoscaler, before, causes| {
        metadata::validate_object_meta_update(&autoscaler.at("metadata"), &before.at("metadata"), causes);
        validate_counts(&autoscaler.at("status"), &["currentReplicas", "desiredReplicas"], causes);
    },
    canonicalize,
    ..Strategy::of("autoscaling", "HorizontalPodAutoscaler", true)
}];

fn validate(autoscaler: &At<'_>, causes: &mut Causes) {
    let internal = internal(autoscaler.value());
    validation::validate_horizontal_pod_autoscaler(&autoscaler.with(&internal), causes);
}

fn validate_update(autoscaler: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    let (new, old) = (internal(autoscaler.value()), internal(before.value()));
    let (new, old) = (autoscaler.with(&new), before.with(&old));
    validation::validate_horizontal_pod_autoscaler_update(&new, &old, causes);
}

/// An autoscaler as `autoscaling/v2` writes it, which the API server validates.
fn internal(autoscaler: &Value) -> Value {
    let mut internal = autoscaler.clone();
    if internal["apiVersion"] == "autoscaling/v1" {
        autoscaler_to_v2(&mut internal);
    }
    internal
}

/// An autoscaler of `autoscaling/v1` is stored in the other version, with the defaults of that.
fn canonicalize(autoscaler: &mut Value) {
    if autoscaler["apiVersion"] == "autoscaling/v1" {
        autoscaler_to_v2(autoscaler);
        defaults::set_defaults_horizontal_pod_autoscaler(autoscaler);
        autoscaler_to_v1(autoscaler);
    }
}
