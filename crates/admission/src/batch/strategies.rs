//! `pkg/registry/batch/job/strategy.go`, `pkg/registry/batch/cronjob/strategy.go`, `pkg/api/job/warnings.go`

use serde_json::Value;

use super::defaults::default_labels;
use crate::apps::strategies::{prepare_for_create, warning_of_name};
use crate::core::pod_warnings::warnings_for_pod_template;
use crate::field::{At, Causes};
use crate::primitives::metadata;
use clusterlocal_core::store;

/// The labels of a Job's pods with the name of the Job (`LegacyJobNameLabel`, `JobNameLabel`).
pub(super) const JOB_NAME_LABELS: [&str; 2] = ["job-name", "batch.kubernetes.io/job-name"];
/// Those with the uid of the Job (`LegacyControllerUidLabel`, `ControllerUidLabel`).
pub(super) const CONTROLLER_UID_LABELS: [&str; 2] = ["controller-uid", "batch.kubernetes.io/controller-uid"];

/// `PrepareForCreate` of Jobs
pub(super) fn prepare_job_for_create(job: &mut Value) {
    prepare_for_create(job);
    if job["spec"]["manualSelector"] == false {
        generate_selector(job);
    }
    // The answer has what is read from the store, with its defaults. Labels that are wrong are refused before.
    let labels = &job["spec"]["template"]["metadata"]["labels"];
    let mut causes = Causes::default();
    metadata::validate_labels(&At::root(labels), &mut causes);
    if causes.is_empty() {
        default_labels(job);
    }
}

/// `generateSelector`: existing labels that differ are refused later.
fn generate_selector(job: &mut Value) {
    let name = job["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let uid = job["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    let Some(spec) = job.get_mut("spec").and_then(Value::as_object_mut) else { return };
    let metadata = store::object(store::object(spec, "template"), "metadata");
    let labels = store::object(metadata, "labels");
    for (keys, value) in [(JOB_NAME_LABELS, &name), (CONTROLLER_UID_LABELS, &uid)] {
        for key in keys {
            labels.entry(key).or_insert_with(|| value.as_str().into());
        }
    }
    let selected = store::object(store::object(spec, "selector"), "matchLabels");
    selected.entry(CONTROLLER_UID_LABELS[1]).or_insert_with(|| uid.into());
}

/// `WarningsOnCreate` and `WarningsOnUpdate` of Jobs
pub(super) fn job_warnings(job: &Value, before: Option<&Value>) -> Vec<String> {
    warnings(job, before, &At::root(job).at("spec"))
}

/// `WarningsOnCreate` and `WarningsOnUpdate` of CronJobs
pub(super) fn cron_job_warnings(cron_job: &Value, before: Option<&Value>) -> Vec<String> {
    let mut all = warnings(cron_job, before, &At::root(cron_job).at("spec.jobTemplate.spec"));
    let schedule = cron_job["spec"]["schedule"].as_str().unwrap_or_default();
    if before.is_some() && schedule.contains("TZ") {
        // The API server's message has `spec.spec.schedule`.
        let warning = "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details";
        all.push(warning.into());
    }
    all
}

fn warnings(object: &Value, before: Option<&Value>, spec: &At<'_>) -> Vec<String> {
    let mut all = Vec::new();
    let generation = |object: &Value| object["metadata"]["generation"].as_i64();
    if before.is_none() {
        all.extend(warning_of_name(object));
    }
    if before.is_none_or(|before| generation(before) != generation(object)) {
        warnings_for_job_spec(spec, &mut all);
    }
    all
}

/// `WarningsForJobSpec`
fn warnings_for_job_spec(spec: &At<'_>, warnings: &mut Vec<String>) {
    let number = |name: &'static str| spec.at(name).number();
    let is_indexed = spec.at("completionMode").text() == "Indexed";
    if is_indexed && number("completions") > 100_000 && number("parallelism") > 10_000 {
        warnings.push(format!(
            "{spec}: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail"
        ));
    }
    warnings.extend(warnings_for_pod_template(&spec.at("template")));
}
