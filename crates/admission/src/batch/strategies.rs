//! `pkg/registry/batch/job/strategy.go`, `pkg/registry/batch/cronjob/strategy.go`, `pkg/api/job/warnings.go`

use serde_json::{Map, Value, json};

use super::defaults::default_labels;
use crate::core::validation::claims::semantically_equal;
use crate::field::{At, Causes};
use crate::primitives::{metadata, names};

/// The labels of a Job's pods with the name of the Job (`LegacyJobNameLabel`, `JobNameLabel`).
pub(super) const JOB_NAME_LABELS: [&str; 2] = ["job-name", "batch.kubernetes.io/job-name"];
/// Those with the uid of the Job (`LegacyControllerUidLabel`, `ControllerUidLabel`).
pub(super) const CONTROLLER_UID_LABELS: [&str; 2] = ["controller-uid", "batch.kubernetes.io/controller-uid"];

/// `PrepareForCreate` of CronJobs
pub(super) fn prepare_for_create(object: &mut Value) {
    let Some(object) = object.as_object_mut() else { return };
    object.remove("status");
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("generation".into(), 1.into());
    }
}

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

/// `generateSelector`: labels that are there already and differ are refused later.
fn generate_selector(job: &mut Value) {
    let name = job["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let uid = job["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    let Some(spec) = job.get_mut("spec").and_then(Value::as_object_mut) else { return };
    if let Some(labels) = inner(spec, "template")
        .and_then(|template| inner(template, "metadata"))
        .and_then(|m| inner(m, "labels"))
    {
        for (keys, value) in [(JOB_NAME_LABELS, &name), (CONTROLLER_UID_LABELS, &uid)] {
            for key in keys {
                labels.entry(key).or_insert_with(|| value.as_str().into());
            }
        }
    }
    if let Some(labels) = inner(spec, "selector").and_then(|selector| inner(selector, "matchLabels")) {
        labels.entry(CONTROLLER_UID_LABELS[1]).or_insert_with(|| uid.into());
    }
}

fn inner<'m>(map: &'m mut Map<String, Value>, name: &str) -> Option<&'m mut Map<String, Value>> {
    map.entry(name).or_insert_with(|| json!({})).as_object_mut()
}

/// `PrepareForUpdate` of both: the status is as before, and a change of the spec is a new generation.
pub(super) fn prepare_for_update(object: &mut Value, before: &Value) {
    let is_changed = !semantically_equal(&object["spec"], &before["spec"]);
    let Some(object) = object.as_object_mut() else { return };
    match before.get("status") {
        Some(status) => object.insert("status".into(), status.clone()),
        None => object.remove("status"),
    };
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut).filter(|_| is_changed) {
        let generation = before["metadata"]["generation"].as_i64().unwrap_or_default();
        metadata.insert("generation".into(), (generation + 1).into());
    }
}

/// `WarningsOnCreate` and `WarningsOnUpdate` of Jobs
pub(super) fn job_warnings(job: &Value, before: Option<&Value>) -> Vec<String> {
    warnings(job, before, "spec", &job["spec"])
}

/// `WarningsOnCreate` and `WarningsOnUpdate` of CronJobs
pub(super) fn cron_job_warnings(cron_job: &Value, before: Option<&Value>) -> Vec<String> {
    let spec = &cron_job["spec"]["jobTemplate"]["spec"];
    let mut all = warnings(cron_job, before, "spec.jobTemplate.spec", spec);
    let schedule = cron_job["spec"]["schedule"].as_str().unwrap_or_default();
    if before.is_some() && schedule.contains("TZ") {
        // The API server says `spec.spec.schedule`.
        let warning = "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details";
        all.push(warning.into());
    }
    all
}

fn warnings(object: &Value, before: Option<&Value>, path: &str, spec: &Value) -> Vec<String> {
    let mut all = Vec::new();
    let generation = |object: &Value| object["metadata"]["generation"].as_i64();
    let has_changed = before.is_none_or(|before| generation(before) != generation(object));
    if before.is_none() {
        let faults = names::dns_label(object["metadata"]["name"].as_str().unwrap_or_default());
        if !faults.is_empty() {
            all.push(format!(
                "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: [{}]",
                faults.join(" ")
            ));
        }
    }
    if has_changed {
        all.extend(warnings_for_job_spec(path, spec));
    }
    all
}

/// `WarningsForJobSpec`
fn warnings_for_job_spec(path: &str, spec: &Value) -> Option<String> {
    let number = |name: &str| spec[name].as_i64().unwrap_or_default();
    let is_large = spec["completionMode"] == "Indexed" && number("completions") > 100_000;
    (is_large && number("parallelism") > 10_000).then(|| {
        format!(
            "{path}: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail"
        )
    })
}
