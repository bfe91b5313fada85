//! CronJobs: Jobs that are created on a schedule.

use std::sync::Arc;

use serde::Deserialize;

use super::lenient;
use super::meta::ObjectMeta;
use super::names::Name;
use super::time::Time;
use super::values::nullable;
use super::workload::WorkloadSpec;

/// A CronJob: a template for Jobs, and a schedule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct CronJob {
    pub metadata: ObjectMeta,
    #[serde(default, deserialize_with = "nullable")]
    pub spec: CronJobSpec,
    /// As this controller computes it; a snapshot's is ignored.
    #[serde(skip)]
    pub status: CronJobStatus,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CronJobSpec {
    /// In cron format: `*/5 * * * *`.
    #[serde(deserialize_with = "nullable")]
    pub schedule: Name,
    /// The default is that of the controller, UTC.
    #[serde(deserialize_with = "nullable")]
    pub time_zone: Name,
    /// Maximum delay of a Job, in seconds; unlimited if absent.
    #[serde(deserialize_with = "lenient::nearest")]
    pub starting_deadline_seconds: Option<u32>,
    #[serde(deserialize_with = "lenient::word")]
    pub concurrency_policy: ConcurrencyPolicy,
    #[serde(deserialize_with = "nullable")]
    pub suspend: bool,
    #[serde(deserialize_with = "nullable")]
    pub job_template: Arc<JobTemplate>,
    /// Number of successful Jobs to keep; the default is 3.
    pub successful_jobs_history_limit: Option<u32>,
    /// Number of failed Jobs to keep; the default is 1.
    pub failed_jobs_history_limit: Option<u32>,
}

/// What to do when the next Job is due while the last one is running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum ConcurrencyPolicy {
    #[default]
    Allow,
    Forbid,
    Replace,
}

/// The template of Jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct JobTemplate {
    #[serde(deserialize_with = "nullable")]
    pub metadata: ObjectMeta,
    #[serde(deserialize_with = "nullable")]
    pub spec: WorkloadSpec,
}

/// The status that the controller computes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CronJobStatus {
    /// Jobs that have not finished, in order of creation.
    pub active: Vec<Name>,
    pub last_schedule_time: Option<Time>,
    pub last_successful_time: Option<Time>,
}
