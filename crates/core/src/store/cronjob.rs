//! CronJobs: Jobs at times of a schedule.

use std::sync::Arc;

use serde::Deserialize;

use super::lenient;
use super::names::Name;
use super::object::ObjectMeta;
use super::time::Time;
use super::values::nullable;
use super::workload::WorkloadSpec;

/// A CronJob: what Jobs are made from, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct CronJob {
    pub metadata: ObjectMeta,
    #[serde(default, deserialize_with = "nullable")]
    pub spec: CronJobSpec,
    /// As the controller here sees it; what a snapshot says is not read.
    #[serde(skip)]
    pub status: CronJobStatus,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CronJobSpec {
    /// In the format of cron: `*/5 * * * *`.
    #[serde(deserialize_with = "nullable")]
    pub schedule: Name,
    /// Absent means the controller's, which is UTC.
    #[serde(deserialize_with = "nullable")]
    pub time_zone: Name,
    /// Seconds for which a Job may be late; absent means any time.
    #[serde(deserialize_with = "lenient::nearest")]
    pub starting_deadline_seconds: Option<u32>,
    #[serde(deserialize_with = "lenient::word")]
    pub concurrency_policy: ConcurrencyPolicy,
    #[serde(deserialize_with = "nullable")]
    pub suspend: bool,
    #[serde(deserialize_with = "nullable")]
    pub job_template: Arc<JobTemplate>,
    /// Finished Jobs that are kept; absent means 3.
    pub successful_jobs_history_limit: Option<u32>,
    /// Failed Jobs that are kept; absent means 1.
    pub failed_jobs_history_limit: Option<u32>,
}

/// What becomes of a Job whose time has come while the one before runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum ConcurrencyPolicy {
    #[default]
    Allow,
    Forbid,
    Replace,
}

/// What Jobs are made from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct JobTemplate {
    #[serde(deserialize_with = "nullable")]
    pub metadata: ObjectMeta,
    #[serde(deserialize_with = "nullable")]
    pub spec: WorkloadSpec,
}

/// What the controller found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CronJobStatus {
    /// Jobs that have not finished, in the order in which they were made.
    pub active: Vec<Name>,
    pub last_schedule_time: Option<Time>,
    pub last_successful_time: Option<Time>,
}
