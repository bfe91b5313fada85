//! The columns of workloads.

use serde_json::Value;

use super::age::{age, human_duration, since};
use super::pods::of_template;
use super::{AGE, CONTAINERS, Column, IMAGES, NAME, SELECTOR, field, name};
use crate::view::selector;
use clusterlocal_core::store::Time;

pub(super) const STATEFUL_SET: &[Column] =
    &[NAME, Column::text("Ready", "The ready pods, of those requested."), AGE, CONTAINERS, IMAGES];

pub(super) fn stateful_set(set: &Value, now: Time) -> Vec<Value> {
    let [containers, images] = of_template(set);
    vec![name(set), ready(set).into(), age(set, now).into(), containers, images]
}

fn ready(workload: &Value) -> String {
    format!(
        "{}/{}",
        field::number(workload, "/status/readyReplicas"),
        field::number(workload, "/spec/replicas")
    )
}

pub(super) const DEPLOYMENT: &[Column] = &[
    NAME,
    Column::text("Ready", "The ready pods, of those requested."),
    Column::number("Up-to-date", "The number of pods of the current template."),
    Column::number("Available", "The number of available pods."),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(super) fn deployment(deployment: &Value, now: Time) -> Vec<Value> {
    let [containers, images] = of_template(deployment);
    vec![
        name(deployment),
        ready(deployment).into(),
        field::number(deployment, "/status/updatedReplicas").into(),
        field::number(deployment, "/status/availableReplicas").into(),
        age(deployment, now).into(),
        containers,
        images,
        selector_of(deployment),
    ]
}

/// The selector; that of a ReplicationController is a map of labels.
fn selector_of(workload: &Value) -> Value {
    let selector = workload.pointer("/spec/selector");
    match field::text(workload, "/kind") {
        "ReplicationController" => labels(selector).into(),
        _ => selector::shown(selector).into(),
    }
}

pub(super) const REPLICA_SET: &[Column] = &[
    NAME,
    Column::number("Desired", "The number of requested pods."),
    Column::number("Current", "The number of pods."),
    Column::number("Ready", "The number of ready pods."),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(super) fn replica_set(set: &Value, now: Time) -> Vec<Value> {
    let [containers, images] = of_template(set);
    vec![
        name(set),
        field::number(set, "/spec/replicas").into(),
        field::number(set, "/status/replicas").into(),
        field::number(set, "/status/readyReplicas").into(),
        age(set, now).into(),
        containers,
        images,
        selector_of(set),
    ]
}

pub(super) const DAEMON_SET: &[Column] = &[
    NAME,
    Column::number("Desired", "The number of nodes that should have a pod."),
    Column::number("Current", "The number of those nodes with a pod."),
    Column::number("Ready", "The number of nodes with a ready pod."),
    Column::number("Up-to-date", "The number of pods of the current template."),
    Column::number("Available", "The number of nodes with an available pod."),
    Column::text("Node Selector", "The node selector of the template."),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(super) fn daemon_set(set: &Value, now: Time) -> Vec<Value> {
    let [containers, images] = of_template(set);
    let status = |field: &str| Value::from(field::number(set, &format!("/status/{field}")));
    vec![
        name(set),
        status("desiredNumberScheduled"),
        status("currentNumberScheduled"),
        status("numberReady"),
        status("updatedNumberScheduled"),
        status("numberAvailable"),
        labels(set.pointer("/spec/template/spec/nodeSelector")).into(),
        age(set, now).into(),
        containers,
        images,
        selector_of(set),
    ]
}

/// A map of labels as kubectl prints it.
pub(super) fn labels(labels: Option<&Value>) -> String {
    let pairs = labels.and_then(Value::as_object).into_iter().flatten();
    let pairs: Vec<_> =
        pairs.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    if pairs.is_empty() { "<none>".into() } else { pairs.join(",") }
}

pub(super) const JOB: &[Column] = &[
    NAME,
    Column::text("Status", "Running, Complete, Failed or Suspended."),
    Column::text("Completions", "The pods that have succeeded, of those required."),
    Column::text("Duration", "The time that it took, or has been running."),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(super) fn job(job: &Value, now: Time) -> Vec<Value> {
    let [containers, images] = of_template(job);
    vec![
        name(job),
        job_status(job).into(),
        completions(job).into(),
        duration(job, now).into(),
        age(job, now).into(),
        containers,
        images,
        selector_of(job),
    ]
}

fn job_status(job: &Value) -> &'static str {
    let is = |condition: &str| field::condition(job, condition) == Some("True");
    if is("Complete") {
        "Complete"
    } else if is("Failed") {
        "Failed"
    } else if field::is_set(job, "/metadata/deletionTimestamp") {
        "Terminating"
    } else if is("Suspended") {
        "Suspended"
    } else if is("FailureTarget") {
        "FailureTarget"
    } else if is("SuccessCriteriaMet") {
        "SuccessCriteriaMet"
    } else {
        "Running"
    }
}

fn completions(job: &Value) -> String {
    let succeeded = field::number(job, "/status/succeeded");
    let parallel = field::number(job, "/spec/parallelism");
    if field::is_set(job, "/spec/completions") {
        format!("{succeeded}/{}", field::number(job, "/spec/completions"))
    } else if parallel > 1 {
        format!("{succeeded}/1 of {parallel}")
    } else {
        format!("{succeeded}/1")
    }
}

fn duration(job: &Value, now: Time) -> String {
    let time = |field: &str| field::text(job, field).parse::<Time>();
    match (time("/status/startTime"), time("/status/completionTime")) {
        (Ok(start), Ok(end)) => human_duration(end.unix_millis() - start.unix_millis()),
        (Ok(_), Err(_)) => since(field::text(job, "/status/startTime"), now),
        (Err(_), _) => String::new(),
    }
}

pub(super) const CRON_JOB: &[Column] = &[
    NAME,
    Column::text("Schedule", "The schedule in the format of cron."),
    Column::text("Timezone", "The time zone of the schedule."),
    Column::text("Suspend", "Whether the schedule is suspended."),
    Column::number("Active", "The number of running Jobs."),
    Column::text("Last Schedule", "The time since the last Job was scheduled."),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(super) fn cron_job(cron: &Value, now: Time) -> Vec<Value> {
    let job = cron.pointer("/spec/jobTemplate").cloned().unwrap_or_default();
    let [containers, images] = of_template(&job);
    let zone = field::text(cron, "/spec/timeZone");
    let last = if field::is_set(cron, "/status/lastScheduleTime") {
        since(field::text(cron, "/status/lastScheduleTime"), now)
    } else {
        "<none>".into()
    };
    vec![
        name(cron),
        field::text(cron, "/spec/schedule").into(),
        if zone.is_empty() { "<none>" } else { zone }.into(),
        if field::flag(cron, "/spec/suspend") { "True" } else { "False" }.into(),
        field::items(cron, "/status/active").len().into(),
        last.into(),
        age(cron, now).into(),
        containers,
        images,
        selector_of(&job),
    ]
}

pub(super) const CONTROLLER_REVISION: &[Column] = &[
    NAME,
    Column::text("Controller", "The owner of the revision."),
    Column::number("Revision", "The number of the revision."),
    AGE,
];

pub(super) fn controller_revision(revision: &Value, now: Time) -> Vec<Value> {
    let owners = field::items(revision, "/metadata/ownerReferences");
    let controller = owners.iter().find(|owner| field::flag(owner, "/controller")).map(|owner| {
        let group = field::text(owner, "/apiVersion").rsplit_once('/').map_or("", |(group, _)| group);
        let dot = if group.is_empty() { "" } else { "." };
        let kind = field::text(owner, "/kind").to_ascii_lowercase();
        format!("{kind}{dot}{group}/{}", field::text(owner, "/name"))
    });
    vec![
        name(revision),
        controller.unwrap_or_else(|| "<none>".into()).into(),
        field::number(revision, "/revision").into(),
        age(revision, now).into(),
    ]
}
