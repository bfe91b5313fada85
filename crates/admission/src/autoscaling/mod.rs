//! Takes the place of `pkg/apis/autoscaling`: HorizontalPodAutoscalers, as `autoscaling/v1` and `autoscaling/v2` write them.

mod defaults;
mod metrics;
mod validation;

use serde_json::{Value, json};

use crate::core::validation::metadata;
use crate::field::{At, Causes};
use crate::primitives::counts::validate_counts;
use crate::strategy::Strategy;

pub(crate) const STRATEGIES: &[Strategy] = &[Strategy {
    default: defaults::set_defaults_horizontal_pod_autoscaler,
    prepare_for_create: |autoscaler| {
        autoscaler.as_object_mut().map(|autoscaler| autoscaler.remove("status"));
    },
    prepare_for_update: |autoscaler, before| {
        let Some(autoscaler) = autoscaler.as_object_mut() else { return };
        match before.get("status") {
            Some(status) => autoscaler.insert("status".into(), status.clone()),
            None => autoscaler.remove("status"),
        };
    },
    validate,
    validate_update,
    validate_status_update: |autoscaler, before, causes| {
        metadata::validate_object_meta_update(&autoscaler.at("metadata"), &before.at("metadata"), causes);
        validate_counts(&autoscaler.at("status"), &["currentReplicas", "desiredReplicas"], causes);
    },
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

/// An autoscaler with its metrics, also if `autoscaling/v1` writes it, which has one number for the share of CPU
/// (`Convert_v1_HorizontalPodAutoscalerSpec_To_autoscaling_HorizontalPodAutoscalerSpec`).
fn internal(autoscaler: &Value) -> Value {
    let mut internal = autoscaler.clone();
    let share = autoscaler["spec"].get("targetCPUUtilizationPercentage").cloned();
    if let (Some(share), Some(spec)) = (share, internal["spec"].as_object_mut()) {
        let target = json!({ "type": "Utilization", "averageUtilization": share });
        let metric = json!({ "type": "Resource", "resource": { "name": "cpu", "target": target } });
        spec.entry("metrics").or_insert_with(|| json!([metric]));
    }
    internal
}
