//! `pkg/apis/batch/v1/defaults.go`

use serde_json::{Map, Value, json};

use crate::core::defaults::default_pod_spec;
use crate::primitives::defaults::{object, set_if_zero};

/// `SetObjectDefaults_Job`
pub(super) fn set_defaults_job(job: &mut Value) {
    if let Some(spec) = object(job, "spec") {
        set_defaults_job_spec(spec);
    }
    default_labels(job);
}

/// A Job without labels has those of its pods.
pub(super) fn default_labels(job: &mut Value) {
    let has_labels = job["metadata"]["labels"].as_object().is_some_and(|labels| !labels.is_empty());
    let labels = job["spec"]["template"]["metadata"].get("labels").cloned();
    if let Some(labels) = labels.filter(|_| !has_labels)
        && let Some(metadata) = object(job, "metadata")
    {
        metadata.insert("labels".into(), labels);
    }
}

/// `SetDefaults_Job`, of the spec.
fn set_defaults_job_spec(spec: &mut Map<String, Value>) {
    if !spec.contains_key("parallelism") {
        spec.entry("completions").or_insert_with(|| 1.into());
        spec.insert("parallelism".into(), 1.into());
    }
    let backoff_limit = if spec.contains_key("backoffLimitPerIndex") { i32::MAX } else { 6 };
    let has_failure_policy = spec.contains_key("podFailurePolicy");
    let replacement = if has_failure_policy { "Failed" } else { "TerminatingOrFailed" };
    spec.entry("backoffLimit").or_insert_with(|| backoff_limit.into());
    spec.entry("completionMode").or_insert_with(|| "NonIndexed".into());
    spec.entry("suspend").or_insert_with(|| false.into());
    spec.entry("podReplacementPolicy").or_insert_with(|| replacement.into());
    spec.entry("manualSelector").or_insert_with(|| false.into());
    set_defaults_parts(spec);
}

/// What of the spec of a Job has defaults also in a CronJob.
fn set_defaults_parts(spec: &mut Map<String, Value>) {
    if let Some(policy) = spec.get_mut("podFailurePolicy").and_then(Value::as_object_mut) {
        // The field is not `omitempty`.
        policy.entry("rules").or_insert(Value::Null);
    }
    let rules = spec.get_mut("podFailurePolicy").and_then(|policy| policy.get_mut("rules"));
    for rule in rules.and_then(Value::as_array_mut).into_iter().flatten() {
        let patterns = rule.get_mut("onPodConditions").and_then(Value::as_array_mut);
        for pattern in patterns.into_iter().flatten().filter_map(Value::as_object_mut) {
            // `SetDefaults_PodFailurePolicyOnPodConditionsPattern`
            set_if_zero(pattern, "status", "True");
        }
    }
    let template = spec.entry("template").or_insert_with(|| json!({}));
    if let Some(template) = template.as_object_mut() {
        default_pod_spec(template.entry("spec").or_insert_with(|| json!({})));
    }
}

/// `SetObjectDefaults_CronJob`
pub(super) fn set_defaults_cron_job(cron_job: &mut Value) {
    let Some(spec) = object(cron_job, "spec") else { return };
    set_if_zero(spec, "concurrencyPolicy", "Allow");
    spec.entry("suspend").or_insert_with(|| false.into());
    spec.entry("successfulJobsHistoryLimit").or_insert_with(|| 3.into());
    spec.entry("failedJobsHistoryLimit").or_insert_with(|| 1.into());
    let template = spec.entry("jobTemplate").or_insert_with(|| json!({}));
    if let Some(spec) = object(template, "spec") {
        set_defaults_parts(spec);
    }
}
