//! StatefulSets, Deployments and other workloads, with the status that their controllers write.

use serde_json::{Map, Value, json};

use super::{Shown, put, selector_json};
use clusterlocal_core::store::{
    ControllerRevision, CronJob, Key, Kind, LabelSelector, PodManagementPolicy, PodTemplate, StatefulSet,
    TEMPLATE_GENERATION_ANNOTATION, Time, Workload, WorkloadStatus, fill, put_labels,
};

pub(super) fn stateful_set(shown: &mut Shown<'_>, set: &StatefulSet) {
    let spec = shown.spec();
    pods(spec, set.spec.selector.as_ref(), &set.spec.template);
    spec.insert("replicas".into(), set.spec.replicas.unwrap_or(1).into());
    spec.insert("serviceName".into(), set.spec.service_name.as_str().into());
    let policy = match set.spec.pod_management_policy {
        PodManagementPolicy::OrderedReady => "OrderedReady",
        PodManagementPolicy::Parallel => "Parallel",
    };
    spec.insert("podManagementPolicy".into(), policy.into());
    if set.spec.ordinals.start > 0 {
        fill(spec, "ordinals", json!({ "start": set.spec.ordinals.start }));
    }
    if !set.spec.volume_claim_templates.is_empty() && !spec.contains_key("volumeClaimTemplates") {
        let claims = set.spec.volume_claim_templates.iter();
        let claims =
            claims.map(|claim| json!({ "metadata": { "name": claim.metadata.name.as_str() }, "spec": {} }));
        spec.insert("volumeClaimTemplates".into(), claims.collect());
    }
    let facts = &set.status;
    let mut status = Map::new();
    put(&mut status, "observedGeneration", facts.observed_generation);
    status.insert("replicas".into(), facts.replicas.into());
    put(&mut status, "readyReplicas", facts.ready_replicas);
    status.insert("availableReplicas".into(), facts.available_replicas.into());
    put(&mut status, "currentReplicas", facts.current_replicas);
    put(&mut status, "updatedReplicas", facts.updated_replicas);
    put(&mut status, "currentRevision", facts.current_revision.as_str());
    put(&mut status, "updateRevision", facts.update_revision.as_str());
    status.insert("collisionCount".into(), 0.into());
    let conditions: Vec<Value> = facts.conditions.iter().map(|condition| condition.json(None)).collect();
    put(&mut status, "conditions", conditions);
    shown.json.insert("status".into(), status.into());
}

/// The selector and the template.
fn pods(spec: &mut Map<String, Value>, selector: Option<&LabelSelector>, template: &PodTemplate) {
    if !spec.contains_key("selector") {
        let of_template = || LabelSelector::of(template.metadata.labels.clone());
        let selector = selector.map_or_else(|| selector_json(&of_template()), selector_json);
        spec.insert("selector".into(), selector);
    }
    spec.insert("template".into(), template.json());
}

pub(super) fn deployment(shown: &mut Shown<'_>, deployment: &Workload) {
    let spec = shown.spec();
    pods(spec, deployment.spec.selector.as_ref(), &deployment.spec.template);
    spec.insert("replicas".into(), deployment.replicas().into());
    let facts = &deployment.status;
    let mut status = Map::new();
    for (field, number) in [
        ("observedGeneration", facts.observed_generation),
        ("replicas", facts.replicas),
        ("updatedReplicas", facts.updated_replicas),
        ("readyReplicas", facts.ready_replicas),
        ("availableReplicas", facts.available_replicas),
        ("unavailableReplicas", facts.unavailable_replicas),
    ] {
        put(&mut status, field, number);
    }
    put_some(&mut status, "terminatingReplicas", facts.terminating_replicas);
    put_some(&mut status, "collisionCount", facts.collision_count);
    put_conditions(&mut status, facts, Some("lastUpdateTime"));
    shown.json.insert("status".into(), status.into());
}

/// `object[field] = number` if there is one, zero included.
fn put_some(object: &mut Map<String, Value>, field: &str, number: Option<u32>) {
    if let Some(number) = number {
        object.insert(field.into(), number.into());
    }
}

/// The conditions; the time of their last update is in the field `updated`.
fn put_conditions(status: &mut Map<String, Value>, facts: &WorkloadStatus, updated: Option<&str>) {
    let conditions: Vec<Value> = facts.conditions.iter().map(|condition| condition.json(updated)).collect();
    put(status, "conditions", conditions);
}

pub(super) fn replica_set(shown: &mut Shown<'_>, set: &Workload) {
    let spec = shown.spec();
    pods(spec, set.spec.selector.as_ref(), &set.spec.template);
    spec.insert("replicas".into(), set.replicas().into());
    put(spec, "minReadySeconds", set.spec.min_ready_seconds);
    let mut status = of_pods(&set.status);
    put_some(&mut status, "terminatingReplicas", set.status.terminating_replicas);
    shown.json.insert("status".into(), status.into());
}

pub(super) fn replication_controller(shown: &mut Shown<'_>, set: &Workload) {
    let spec = shown.spec();
    if !spec.contains_key("selector") {
        let selector = set.spec.selector.as_ref().map(|selector| selector.match_labels.clone());
        let selector = selector.unwrap_or_else(|| set.spec.template.metadata.labels.clone());
        put_labels(spec, "selector", &selector);
    }
    spec.insert("template".into(), set.spec.template.json());
    spec.insert("replicas".into(), set.replicas().into());
    put(spec, "minReadySeconds", set.spec.min_ready_seconds);
    let status = of_pods(&set.status);
    shown.json.insert("status".into(), status.into());
}

/// The status of ReplicaSets and ReplicationControllers.
fn of_pods(facts: &WorkloadStatus) -> Map<String, Value> {
    let mut status = Map::new();
    status.insert("replicas".into(), facts.replicas.into());
    put(&mut status, "fullyLabeledReplicas", facts.fully_labeled_replicas);
    put(&mut status, "readyReplicas", facts.ready_replicas);
    put(&mut status, "availableReplicas", facts.available_replicas);
    put(&mut status, "observedGeneration", facts.observed_generation);
    put_conditions(&mut status, facts, None);
    status
}

pub(super) fn daemon_set(shown: &mut Shown<'_>, set: &Workload) {
    let spec = shown.spec();
    pods(spec, set.spec.selector.as_ref(), &set.spec.template);
    let generation = set.status.template_generation.max(1).to_string();
    let annotations = clusterlocal_core::store::object(shown.metadata(), "annotations");
    fill(annotations, TEMPLATE_GENERATION_ANNOTATION, generation);
    let facts = &set.status;
    let mut status = Map::new();
    for (field, number) in [
        ("currentNumberScheduled", facts.replicas),
        ("numberMisscheduled", facts.misscheduled),
        ("desiredNumberScheduled", facts.desired),
        ("numberReady", facts.ready_replicas),
    ] {
        status.insert(field.into(), number.into());
    }
    put(&mut status, "observedGeneration", facts.observed_generation);
    put(&mut status, "updatedNumberScheduled", facts.updated_replicas);
    put(&mut status, "numberAvailable", facts.available_replicas);
    put(&mut status, "numberUnavailable", facts.unavailable_replicas);
    put_some(&mut status, "collisionCount", facts.collision_count);
    put_conditions(&mut status, facts, None);
    shown.json.insert("status".into(), status.into());
}

pub(super) fn job(shown: &mut Shown<'_>, job: &Workload) {
    let spec = shown.spec();
    pods(spec, job.spec.selector.as_ref(), &job.spec.template);
    if job.spec.completions.is_none() && job.spec.parallelism.is_none() {
        spec.insert("completions".into(), 1.into());
    }
    fill(spec, "parallelism", 1);
    // If each index has its own limit, there is no common one (SetDefaults_Job).
    let limit = if job.spec.backoff_limit_per_index.is_some() { i32::MAX } else { 6 };
    fill(spec, "backoffLimit", limit);
    fill(spec, "completionMode", "NonIndexed");
    fill(spec, "suspend", job.spec.suspend);
    let of_policy = job.spec.pod_failure_policy.rules.is_empty();
    fill(spec, "podReplacementPolicy", if of_policy { "TerminatingOrFailed" } else { "Failed" });
    let mut status = Map::new();
    if let Some(facts) = &job.status.job {
        put_conditions(&mut status, &job.status, Some("lastProbeTime"));
        put_time(&mut status, "startTime", facts.start_time);
        put_time(&mut status, "completionTime", facts.completion_time);
        put(&mut status, "active", job.status.replicas);
        put(&mut status, "succeeded", facts.succeeded);
        put(&mut status, "failed", facts.failed);
        put_some(&mut status, "terminating", job.status.terminating_replicas);
        put(&mut status, "completedIndexes", facts.completed_indexes.to_string());
        if let Some(failed) = &facts.failed_indexes {
            status.insert("failedIndexes".into(), failed.to_string().into());
        }
        status.insert("uncountedTerminatedPods".into(), json!({}));
        status.insert("ready".into(), job.status.ready_replicas.into());
    }
    shown.json.insert("status".into(), status.into());
}

fn put_time(object: &mut Map<String, Value>, field: &str, time: Option<Time>) {
    if let Some(time) = time {
        object.insert(field.into(), time.to_string().into());
    }
}

pub(super) fn cron_job(shown: &mut Shown<'_>, cron: &CronJob) {
    let active: Vec<Value> = cron
        .status
        .active
        .iter()
        .map(|name| {
            let key = Key::new(Kind::Job, cron.metadata.namespace.clone(), name.clone());
            let stored = shown.context.store.stored(&key);
            let mut json = json!({
                "kind": "Job",
                "namespace": key.namespace.as_str(),
                "name": name.as_str(),
                "apiVersion": "batch/v1",
            });
            if let Some(stored) = stored {
                json["uid"] = stored.uid().to_string().into();
                json["resourceVersion"] = stored.revision.to_string().into();
            }
            json
        })
        .collect();
    let spec = shown.spec();
    fill(spec, "suspend", cron.spec.suspend);
    let template =
        clusterlocal_core::store::object(clusterlocal_core::store::object(spec, "jobTemplate"), "spec");
    template.insert("template".into(), cron.spec.job_template.spec.template.json());
    let mut status = Map::new();
    put(&mut status, "active", active);
    put_time(&mut status, "lastScheduleTime", cron.status.last_schedule_time);
    put_time(&mut status, "lastSuccessfulTime", cron.status.last_successful_time);
    shown.json.insert("status".into(), status.into());
}

pub(super) fn controller_revision(shown: &mut Shown<'_>, revision: &ControllerRevision) {
    shown.json.insert("revision".into(), revision.revision.into());
    if !shown.has("data") {
        // A patch that restores the template, as `kubectl rollout undo` applies it.
        let mut template = revision.template.json();
        template["$patch"] = "replace".into();
        shown.json.insert("data".into(), json!({ "spec": { "template": template } }));
    }
    let labels = &revision.metadata.labels;
    put_labels(shown.metadata(), "labels", labels);
}
