//! What makes pods: StatefulSets, Deployments and the like, with what their controllers say of them.

use serde_json::{Map, Value, json};

use super::{Shown, put, selector_json};
use crate::store::{
    ControllerRevision, Kind, LabelSelector, PodManagementPolicy, PodTemplate, StatefulSet, Workload,
    WorkloadStatus, fill, objects, put_labels,
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
    fill(spec, "revisionHistoryLimit", 10);
    // Where only the type is written, the block is left out (SetDefaults_StatefulSet), and that makes a difference.
    fill(spec, "updateStrategy", json!({ "type": "RollingUpdate", "rollingUpdate": { "partition": 0 } }));
    let strategy = crate::store::object(spec, "updateStrategy");
    if !strategy.contains_key("type") {
        fill(strategy, "type", "RollingUpdate");
        fill(crate::store::object(strategy, "rollingUpdate"), "partition", 0);
    }
    let retention = crate::store::object(spec, "persistentVolumeClaimRetentionPolicy");
    fill(retention, "whenDeleted", "Retain");
    fill(retention, "whenScaled", "Retain");
    if !set.spec.volume_claim_templates.is_empty() && !spec.contains_key("volumeClaimTemplates") {
        let claims = set.spec.volume_claim_templates.iter();
        let claims =
            claims.map(|claim| json!({ "metadata": { "name": claim.metadata.name.as_str() }, "spec": {} }));
        spec.insert("volumeClaimTemplates".into(), claims.collect());
    }
    for claim in objects(spec, "volumeClaimTemplates") {
        fill(claim, "apiVersion", "v1");
        fill(claim, "kind", "PersistentVolumeClaim");
        fill(crate::store::object(claim, "spec"), "volumeMode", "Filesystem");
        claim.insert("status".into(), json!({ "phase": "Pending" }));
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
    let new_set = new_replica_set(shown, deployment);
    number_template(shown, &deployment.status);
    let spec = shown.spec();
    pods(spec, deployment.spec.selector.as_ref(), &deployment.spec.template);
    spec.insert("replicas".into(), deployment.spec.replicas.unwrap_or(1).into());
    fill(spec, "progressDeadlineSeconds", 600);
    fill(spec, "revisionHistoryLimit", 10);
    let strategy = crate::store::object(spec, "strategy");
    fill(strategy, "type", "RollingUpdate");
    if strategy.get("type").is_some_and(|kind| kind == "RollingUpdate") {
        let rolling = crate::store::object(strategy, "rollingUpdate");
        fill(rolling, "maxSurge", "25%");
        fill(rolling, "maxUnavailable", "25%");
    }
    let facts = &deployment.status;
    let mut status = of_pods(facts);
    put(&mut status, "updatedReplicas", facts.updated_replicas);
    let wanted = deployment.spec.replicas.unwrap_or(1);
    let unavailable = wanted.max(facts.replicas).saturating_sub(facts.available_replicas);
    put(&mut status, "unavailableReplicas", unavailable);
    let conditions = deployment_conditions(deployment, new_set.as_deref(), &shown.created());
    status.insert("conditions".into(), conditions.into());
    shown.json.insert("status".into(), status.into());
}

/// The numbers that Deployments and ReplicaSets have in common.
fn of_pods(facts: &WorkloadStatus) -> Map<String, Value> {
    let mut status = Map::new();
    put(&mut status, "observedGeneration", facts.observed_generation);
    status.insert("replicas".into(), facts.replicas.into());
    put(&mut status, "readyReplicas", facts.ready_replicas);
    put(&mut status, "availableReplicas", facts.available_replicas);
    status
}

/// The annotation that `kubectl rollout history` reads.
fn number_template(shown: &mut Shown<'_>, facts: &WorkloadStatus) {
    if facts.revision > 0 {
        let annotations = crate::store::object(shown.metadata(), "annotations");
        annotations.insert("deployment.kubernetes.io/revision".into(), facts.revision.to_string().into());
    }
}

/// The ReplicaSet of the Deployment's template of today.
fn new_replica_set(shown: &Shown<'_>, deployment: &Workload) -> Option<String> {
    let meta = &deployment.metadata;
    let prefix = format!("{}-", meta.name);
    let mut sets = shown.context.store.list_prefixed::<Workload>(Kind::ReplicaSet, &meta.namespace, &prefix);
    let key = shown.stored.object.key();
    let own = |set: &Workload| set.metadata.is_owned_by(&key);
    let new = sets.find(|set| own(set) && set.status.revision == deployment.status.revision)?;
    Some(new.metadata.name.to_string())
}

/// What `kubectl rollout status` and `kubectl wait --for=condition=Available` read.
fn deployment_conditions(deployment: &Workload, new_set: Option<&str>, since: &str) -> Vec<Value> {
    let (facts, wanted) = (&deployment.status, deployment.spec.replicas.unwrap_or(1));
    let max_unavailable = deployment.spec.strategy.rolling_update.max_unavailable;
    let may_miss = max_unavailable.map_or(wanted / 4, |number| number.of(wanted));
    let available = facts.available_replicas >= wanted.saturating_sub(may_miss);
    let complete = facts.updated_replicas == wanted
        && facts.replicas == wanted
        && facts.available_replicas >= wanted
        && facts.observed_generation > 0;
    let set = new_set.unwrap_or_default();
    let condition = |name: &str, holds: bool, reason: &str, message: String| {
        json!({
            "type": name,
            "status": if holds { "True" } else { "False" },
            "reason": reason,
            "message": message,
            "lastTransitionTime": since,
            "lastUpdateTime": since,
        })
    };
    vec![
        match available {
            true => condition(
                "Available",
                true,
                "MinimumReplicasAvailable",
                "Deployment has minimum availability.".into(),
            ),
            false => condition(
                "Available",
                false,
                "MinimumReplicasUnavailable",
                "Deployment does not have minimum availability.".into(),
            ),
        },
        match complete {
            true => {
                let message = format!("ReplicaSet {set:?} has successfully progressed.");
                condition("Progressing", true, "NewReplicaSetAvailable", message)
            }
            false => {
                let message = format!("ReplicaSet {set:?} is progressing.");
                condition("Progressing", true, "ReplicaSetUpdated", message)
            }
        },
    ]
}

pub(super) fn replica_set(shown: &mut Shown<'_>, set: &Workload) {
    number_template(shown, &set.status);
    let hash = set.spec.template.metadata.labels.written(TEMPLATE_HASH_LABEL).cloned();
    let spec = shown.spec();
    pods(spec, set.spec.selector.as_ref(), &set.spec.template);
    if let Some(hash) = hash.filter(|_| set.metadata.synthesized) {
        let labels = crate::store::object(crate::store::object(spec, "selector"), "matchLabels");
        fill(labels, TEMPLATE_HASH_LABEL, hash.as_str());
    }
    spec.insert("replicas".into(), set.spec.replicas.unwrap_or(1).into());
    let mut status = of_pods(&set.status);
    put(&mut status, "fullyLabeledReplicas", set.status.replicas);
    shown.json.insert("status".into(), status.into());
}

/// Tells the pods of one of a Deployment's ReplicaSets from those of another.
const TEMPLATE_HASH_LABEL: &str = "pod-template-hash";

pub(super) fn daemon_set(shown: &mut Shown<'_>, set: &Workload) {
    let spec = shown.spec();
    pods(spec, set.spec.selector.as_ref(), &set.spec.template);
    fill(spec, "revisionHistoryLimit", 10);
    let strategy = crate::store::object(spec, "updateStrategy");
    fill(strategy, "type", "RollingUpdate");
    if strategy.get("type").is_some_and(|kind| kind == "RollingUpdate") {
        let rolling = crate::store::object(strategy, "rollingUpdate");
        fill(rolling, "maxSurge", 0);
        fill(rolling, "maxUnavailable", 1);
    }
    let facts = &set.status;
    let mut status = Map::new();
    put(&mut status, "observedGeneration", facts.observed_generation);
    for (field, number) in [
        ("desiredNumberScheduled", facts.replicas),
        ("currentNumberScheduled", facts.replicas),
        ("numberMisscheduled", 0),
        ("numberReady", facts.ready_replicas),
    ] {
        status.insert(field.into(), number.into());
    }
    put(&mut status, "updatedNumberScheduled", facts.updated_replicas);
    put(&mut status, "numberAvailable", facts.available_replicas);
    put(&mut status, "numberUnavailable", facts.replicas.saturating_sub(facts.available_replicas));
    shown.json.insert("status".into(), status.into());
}

pub(super) fn job(shown: &mut Shown<'_>, job: &Workload) {
    let spec = shown.spec();
    pods(spec, job.spec.selector.as_ref(), &job.spec.template);
    if job.spec.completions.is_none() && job.spec.parallelism.is_none() {
        spec.insert("completions".into(), 1.into());
    }
    fill(spec, "parallelism", 1);
    fill(spec, "backoffLimit", 6);
    fill(spec, "completionMode", "NonIndexed");
    fill(spec, "suspend", false);
    let mut status = Map::new();
    put(&mut status, "active", job.status.replicas);
    status.insert("ready".into(), job.status.ready_replicas.into());
    status.insert("startTime".into(), shown.created().into());
    status.insert("uncountedTerminatedPods".into(), json!({}));
    shown.json.insert("status".into(), status.into());
}

pub(super) fn controller_revision(shown: &mut Shown<'_>, revision: &ControllerRevision) {
    shown.json.insert("revision".into(), revision.revision.into());
    if !shown.has("data") {
        // A patch that brings the template back, as `kubectl rollout undo` applies it.
        let mut template = revision.template.json();
        template["$patch"] = "replace".into();
        shown.json.insert("data".into(), json!({ "spec": { "template": template } }));
    }
    let labels = &revision.metadata.labels;
    put_labels(shown.metadata(), "labels", labels);
}
