//! Takes the place of `pkg/apis/batch/validation`.

mod cron_jobs;
mod indexes;
mod job_spec;
mod job_status;
mod jobs;
mod policies;

pub(super) use cron_jobs::{validate_cron_job_create, validate_cron_job_update};
pub(super) use job_status::validate_job_status_update;
pub(super) use jobs::{validate_job, validate_job_update};
