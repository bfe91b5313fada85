//! The status of a workload that a client writes to the `status` subresource: the API server keeps it until the
//! workload's controller overwrites it.

use std::sync::Arc;

use serde_json::Value;

use super::conditions::{Conditions, WorkloadCondition};
use super::cronjob::{CronJob, CronJobStatus};
use super::job_status::{CompletionIndexes, JobStatus};
use super::names::Name;
use super::object::Object;
use super::time::Time;
use super::workload::{StatefulSet, StatefulSetStatus, Workload, WorkloadStatus};

/// Maximum completion index that is kept of a written status (ValidateJob, maxParallelismForIndexedJob).
const MAX_INDEXES: u32 = 100_000;

impl Object {
    /// This object with the `status` that a client wrote, if its kind has a status that a controller computes.
    #[must_use]
    pub fn with_written_status(mut self, status: Value) -> Object {
        match &mut self {
            Object::Pod(pod) => Arc::make_mut(pod).status.details_mut().written = Some(status.into()),
            Object::StatefulSet(set) => {
                let set: &mut StatefulSet = Arc::make_mut(set);
                set.status = of_stateful_set(&status);
            }
            Object::Deployment(workload)
            | Object::ReplicaSet(workload)
            | Object::ReplicationController(workload) => {
                let workload: &mut Workload = Arc::make_mut(workload);
                workload.status = of_replicas(&status, &workload.status);
            }
            Object::DaemonSet(set) => {
                let set: &mut Workload = Arc::make_mut(set);
                set.status = of_daemon_set(&status, &set.status);
            }
            Object::Job(job) => {
                let job: &mut Workload = Arc::make_mut(job);
                let completions = job.spec.completions.unwrap_or(0);
                job.status = of_job(&status, &job.status, completions);
            }
            Object::CronJob(cron) => {
                let cron: &mut CronJob = Arc::make_mut(cron);
                cron.status = of_cron_job(&status);
            }
            _ => {}
        }
        self
    }
}

fn number(json: &Value, field: &str) -> u32 {
    optional_number(json, field).unwrap_or(0)
}

fn optional_number(json: &Value, field: &str) -> Option<u32> {
    json[field].as_u64().and_then(|number| u32::try_from(number).ok())
}

fn text<'a>(json: &'a Value, field: &str) -> &'a str {
    json[field].as_str().unwrap_or_default()
}

fn time(json: &Value, field: &str) -> Option<Time> {
    text(json, field).parse().ok()
}

fn conditions(json: &Value) -> Conditions {
    json["conditions"].as_array().into_iter().flatten().filter_map(WorkloadCondition::parse).collect()
}

fn of_stateful_set(json: &Value) -> StatefulSetStatus {
    StatefulSetStatus {
        observed_generation: number(json, "observedGeneration"),
        replicas: number(json, "replicas"),
        ready_replicas: number(json, "readyReplicas"),
        available_replicas: number(json, "availableReplicas"),
        current_replicas: number(json, "currentReplicas"),
        updated_replicas: number(json, "updatedReplicas"),
        current_revision: text(json, "currentRevision").into(),
        update_revision: text(json, "updateRevision").into(),
        conditions: conditions(json),
    }
}

/// Of a Deployment, ReplicaSet or ReplicationController. Fields that the API does not show are copied from `old`.
fn of_replicas(json: &Value, old: &WorkloadStatus) -> WorkloadStatus {
    WorkloadStatus {
        observed_generation: number(json, "observedGeneration"),
        replicas: number(json, "replicas"),
        ready_replicas: number(json, "readyReplicas"),
        available_replicas: number(json, "availableReplicas"),
        updated_replicas: number(json, "updatedReplicas"),
        unavailable_replicas: number(json, "unavailableReplicas"),
        fully_labeled_replicas: number(json, "fullyLabeledReplicas"),
        terminating_replicas: optional_number(json, "terminatingReplicas"),
        collision_count: optional_number(json, "collisionCount"),
        conditions: conditions(json),
        ..old.clone()
    }
}

fn of_daemon_set(json: &Value, old: &WorkloadStatus) -> WorkloadStatus {
    WorkloadStatus {
        observed_generation: number(json, "observedGeneration"),
        replicas: number(json, "currentNumberScheduled"),
        misscheduled: number(json, "numberMisscheduled"),
        desired: number(json, "desiredNumberScheduled"),
        ready_replicas: number(json, "numberReady"),
        updated_replicas: number(json, "updatedNumberScheduled"),
        available_replicas: number(json, "numberAvailable"),
        unavailable_replicas: number(json, "numberUnavailable"),
        collision_count: optional_number(json, "collisionCount"),
        conditions: conditions(json),
        ..old.clone()
    }
}

/// Of a Job with this many completions.
fn of_job(json: &Value, old: &WorkloadStatus, completions: u32) -> WorkloadStatus {
    let indexes = |field: &str| CompletionIndexes::parse(text(json, field), completions.min(MAX_INDEXES));
    let facts = JobStatus {
        start_time: time(json, "startTime"),
        completion_time: time(json, "completionTime"),
        succeeded: number(json, "succeeded"),
        failed: number(json, "failed"),
        completed_indexes: indexes("completedIndexes"),
        failed_indexes: json["failedIndexes"].is_string().then(|| indexes("failedIndexes")),
        ..old.job.as_deref().cloned().unwrap_or_default()
    };
    WorkloadStatus {
        replicas: number(json, "active"),
        ready_replicas: number(json, "ready"),
        terminating_replicas: optional_number(json, "terminating"),
        conditions: conditions(json),
        job: Some(Box::new(facts)),
        ..old.clone()
    }
}

fn of_cron_job(json: &Value) -> CronJobStatus {
    let active = json["active"].as_array().into_iter().flatten();
    CronJobStatus {
        active: active.map(|job| Name::from(text(job, "name"))).collect(),
        last_schedule_time: time(json, "lastScheduleTime"),
        last_successful_time: time(json, "lastSuccessfulTime"),
    }
}
