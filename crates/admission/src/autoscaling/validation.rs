//! `pkg/apis/autoscaling/validation`: the target, the bounds and the behavior.

use super::metrics;
use super::references::{Versions, api_version_fault, validate_cross_version_object_reference};
use crate::core::validation::metadata;
use crate::field::{At, Causes};
use crate::primitives::names;

/// Longest period of a scaling policy, in seconds (`MaxPeriodSeconds`).
const PERIOD_MAX: i64 = 1800;
/// Longest stabilization window, in seconds (`MaxStabilizationWindowSeconds`).
const STABILIZATION_MAX: i64 = 3600;

/// What is tolerated, for what there was before (`HorizontalPodAutoscalerSpecValidationOptions`).
struct Options {
    min_replicas: i64,
    target: Versions,
    metrics: Versions,
}

/// `ValidateHorizontalPodAutoscaler`
pub(super) fn validate_horizontal_pod_autoscaler(autoscaler: &At<'_>, causes: &mut Causes) {
    metadata::validate_object_meta(&autoscaler.at("metadata"), true, names::dns_subdomain, causes);
    validate_spec(&autoscaler.at("spec"), &options(autoscaler, None), causes);
}

/// `ValidateHorizontalPodAutoscalerUpdate`
pub(super) fn validate_horizontal_pod_autoscaler_update(
    autoscaler: &At<'_>,
    before: &At<'_>,
    causes: &mut Causes,
) {
    metadata::validate_object_meta_update(&autoscaler.at("metadata"), &before.at("metadata"), causes);
    validate_spec(&autoscaler.at("spec"), &options(autoscaler, Some(before)), causes);
}

/// `validationOptionsForHorizontalPodAutoscaler`
fn options(autoscaler: &At<'_>, before: Option<&At<'_>>) -> Options {
    let target = autoscaler.at("spec.scaleTargetRef");
    let keeps = |before: &At<'_>| {
        let old = before.at("spec.scaleTargetRef");
        ["apiVersion", "kind"].iter().all(|name| old.at(name).text() == target.at(name).text())
    };
    let had_zero = before.is_some_and(|before| before.at("spec.minReplicas").number_if_set() == Some(0));
    let had_invalid = before.is_some_and(|before| {
        before.at("spec.metrics").items().any(|metric| {
            let object = metric.at("object");
            metric.at("type").text() == "Object"
                && object.is_set()
                && api_version_fault(object.at("describedObject.apiVersion").text(), Versions::Valid)
                    .is_some()
        })
    });
    Options {
        min_replicas: if had_zero { 0 } else { 1 },
        target: if before.is_some_and(keeps) {
            Versions::Any
        } else if target.at("kind").text() == "ReplicationController" {
            Versions::Valid
        } else {
            Versions::Grouped
        },
        metrics: if had_invalid { Versions::Any } else { Versions::Valid },
    }
}

/// `validateHorizontalPodAutoscalerSpec`
fn validate_spec(spec: &At<'_>, options: &Options, causes: &mut Causes) {
    let (min, max) = (spec.at("minReplicas"), spec.at("maxReplicas"));
    if min.number_if_set().is_some_and(|min| min < options.min_replicas) {
        let why = format!("must be greater than or equal to {}", options.min_replicas);
        causes.invalid(&min, min.number(), &why);
    }
    match max.number() {
        0 => causes.required(&max, "must be set and greater than 0"),
        number if number < 0 => causes.invalid(&max, number, "must be greater than or equal to 1"),
        _ => {}
    }
    if min.number_if_set().is_some_and(|min| max.number() < min) {
        causes.invalid(&max, max.number(), "must be greater than or equal to `minReplicas`");
    }
    validate_cross_version_object_reference(&spec.at("scaleTargetRef"), options.target, causes);
    metrics::validate_metrics(&spec.at("metrics"), min.number_if_set(), options.metrics, causes);
    for direction in ["scaleUp", "scaleDown"] {
        let rules = spec.at("behavior").at(direction);
        if rules.is_set() {
            validate_scaling_rules(&rules, causes);
        }
    }
}

/// `validateScalingRules`
fn validate_scaling_rules(rules: &At<'_>, causes: &mut Causes) {
    let window = rules.at("stabilizationWindowSeconds");
    if window.number() < 0 {
        causes.invalid(&window, window.number(), "must be greater than or equal to zero");
    }
    if window.number() > STABILIZATION_MAX {
        let why = format!("must be less than or equal to {STABILIZATION_MAX}");
        causes.invalid(&window, window.number(), &why);
    }
    let select = rules.at("selectPolicy");
    let selects = ["Disabled", "Max", "Min"];
    if select.text_if_set().is_some_and(|policy| !selects.contains(&policy)) {
        causes.not_supported(&select, select.text(), &selects);
    }
    let policies = rules.at("policies");
    if policies.is_empty() {
        causes.required(&policies, "must specify at least one Policy");
    }
    for policy in policies.items() {
        validate_scaling_policy(&policy, causes);
    }
    let tolerance = rules.at("tolerance");
    if metrics::sign(&tolerance) < 0 {
        causes.invalid(&tolerance, tolerance.value(), "must be greater than or equal to 0");
    }
}

/// `validateScalingPolicy`
fn validate_scaling_policy(policy: &At<'_>, causes: &mut Causes) {
    let kind = policy.at("type");
    if !matches!(kind.text(), "Pods" | "Percent") {
        causes.not_supported(&kind, kind.text(), &["Percent", "Pods"]);
    }
    for name in ["value", "periodSeconds"] {
        let number = policy.at(name);
        if number.number() <= 0 {
            causes.invalid(&number, number.number(), "must be greater than zero");
        }
    }
    let period = policy.at("periodSeconds");
    if period.number() > PERIOD_MAX {
        causes.invalid(&period, period.number(), &format!("must be less than or equal to {PERIOD_MAX}"));
    }
}
