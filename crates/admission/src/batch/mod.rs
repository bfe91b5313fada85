//! Takes the place of `pkg/apis/batch` and `pkg/registry/batch`: Jobs and CronJobs.

mod defaults;
mod strategies;
mod validation;

use crate::apps::strategies::{prepare_for_create, prepare_for_update};
use crate::strategy::Strategy;

pub(crate) const STRATEGIES: &[Strategy] = &[
    Strategy {
        default: defaults::set_defaults_job,
        prepare_for_create: strategies::prepare_job_for_create,
        prepare_for_update,
        validate: validation::validate_job,
        validate_update: validation::validate_job_update,
        validate_status_update: validation::validate_job_status_update,
        warnings: strategies::job_warnings,
        ..Strategy::of("batch", "Job", true)
    },
    Strategy {
        default: defaults::set_defaults_cron_job,
        prepare_for_create,
        prepare_for_update,
        validate: validation::validate_cron_job_create,
        validate_update: validation::validate_cron_job_update,
        warnings: strategies::cron_job_warnings,
        ..Strategy::of("batch", "CronJob", true)
    },
];
