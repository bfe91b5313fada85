//! The CronJob controller (pkg/controller/cronjob): a Job at each time of the schedule, by the cluster's clock.

mod schedule;

use std::sync::Arc;

use super::{ownership, refusal};
use crate::reconcile::deletion::{self, Deletion, Propagation};
use crate::reconcile::{Context, Outcome};
use crate::store::{
    ConcurrencyPolicy, CronJob, Key, Kind, Links, Name, Object, ObjectMeta, Time, Workload, WorkloadStatus,
};
use schedule::Schedule;

/// The source of its events.
const BY: &str = "cronjob-controller";

/// The annotation of a Job that says when it was to be made.
const SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

/// Missed times beyond which a warning is recorded (mostRecentScheduleTime).
const MANY: u32 = 100;

/// Finished Jobs that are kept where the CronJob does not say: those that succeeded, and those that failed.
const HISTORY_LIMITS: [u32; 2] = [3, 1];

/// One look at the CronJob at `key` (syncCronJob).
pub(super) fn sync(context: Context<'_>, key: &Key) -> Outcome {
    let mut outcome = Outcome::default();
    let Some(before) = context.store.get::<CronJob>(Kind::CronJob, &key.namespace, &key.name) else {
        return outcome;
    };
    let mut cron = CronJob::clone(before);
    let jobs = jobs_of(context, key);
    note_jobs(context, key, &mut cron, &jobs, &mut outcome);
    clean_up(context, &cron, &jobs, &mut outcome);
    if cron.metadata.deletion_timestamp.is_none() && !cron.spec.suspend {
        match Schedule::parse(&cron.spec.schedule) {
            Some(schedule) => make_due(context, key, &mut cron, schedule, &jobs, &mut outcome),
            None => {
                let message = format!("unparseable schedule: {}", cron.spec.schedule);
                outcome.warn(BY, key.clone(), "UnparseableSchedule", message);
            }
        }
    }
    if cron != **before {
        outcome.put(Object::CronJob(Arc::new(cron)));
    }
    outcome
}

/// The Jobs of a CronJob, oldest first.
fn jobs_of<'s>(context: Context<'s>, key: &Key) -> Vec<&'s Arc<Workload>> {
    let jobs = context.store.list_in::<Workload>(Kind::Job, &key.namespace);
    let mut jobs: Vec<_> = jobs.filter(|job| ownership::manages(context, key, &job.metadata)).collect();
    jobs.sort_by_key(|job| context.store.stored(&job.metadata.key(Kind::Job)).map_or(u64::MAX, |s| s.born()));
    jobs
}

fn is_finished(job: &Workload) -> bool {
    job.status.conditions.holds("Complete") || job.status.conditions.holds("Failed")
}

/// Brings the list of running Jobs up to date.
fn note_jobs(
    context: Context<'_>,
    key: &Key,
    cron: &mut CronJob,
    jobs: &[&Arc<Workload>],
    outcome: &mut Outcome,
) {
    let known = std::mem::take(&mut cron.status.active);
    for name in known {
        let job = context.store.get::<Workload>(Kind::Job, &key.namespace, &name);
        match job {
            None => {
                outcome.tell(BY, key.clone(), "MissingJob", format!("Active job went missing: {name}"));
            }
            Some(job) if is_finished(job) => {
                let complete = job.status.conditions.holds("Complete");
                let status = if complete { "Complete" } else { "Failed" };
                let message = format!("Saw completed job: {name}, condition: {status}");
                outcome.tell(BY, key.clone(), "SawCompletedJob", message);
            }
            Some(_) => cron.status.active.push(name),
        }
    }
    for job in jobs {
        let name = &job.metadata.name;
        let completed = job.status.job.as_ref().and_then(|facts| facts.completion_time);
        if job.status.conditions.holds("Complete") {
            cron.status.last_successful_time = cron.status.last_successful_time.max(completed);
        }
        if is_finished(job) || cron.status.active.contains(name) {
            continue;
        }
        if context.driven {
            let message = format!("Saw a job that the controller did not create or forgot: {name}");
            outcome.warn(BY, key.clone(), "UnexpectedJob", message);
        } else {
            // The Jobs that a snapshot shows are those that its controller made.
            cron.status.active.push(name.clone());
        }
    }
}

/// Deletes the oldest finished Jobs beyond those that are kept (cleanupFinishedJobs).
fn clean_up(context: Context<'_>, cron: &CronJob, jobs: &[&Arc<Workload>], outcome: &mut Outcome) {
    let limits = [cron.spec.successful_jobs_history_limit, cron.spec.failed_jobs_history_limit];
    for (at, kind) in ["Complete", "Failed"].into_iter().enumerate() {
        let limit = limits[at].unwrap_or(HISTORY_LIMITS[at]) as usize;
        let finished: Vec<_> = jobs.iter().filter(|job| job.status.conditions.holds(kind)).collect();
        for job in finished.iter().take(finished.len().saturating_sub(limit)) {
            delete_job(context, job, outcome);
        }
    }
}

fn delete_job(context: Context<'_>, job: &Arc<Workload>, outcome: &mut Outcome) {
    let deletion = Deletion { propagation: Some(Propagation::Background), ..Deletion::default() };
    let object = Object::Job(job.clone());
    outcome.changes.extend(deletion::delete(context.store, &object, context.now, deletion));
}

/// Makes the Job whose time has come last, if one has, and waits for the next time.
fn make_due(
    context: Context<'_>,
    key: &Key,
    cron: &mut CronJob,
    schedule: Schedule,
    jobs: &[&Arc<Workload>],
    outcome: &mut Outcome,
) {
    let created = context.store.stored(key).map_or(context.now, |stored| stored.created);
    let mut from = cron.status.last_schedule_time.unwrap_or(created);
    if let Some(deadline) = cron.spec.starting_deadline_seconds {
        from = from.max(context.now.before(std::time::Duration::from_secs(deadline.into())));
    }
    if let Some(next) = schedule.next(context.now) {
        outcome.look_again(next);
    }
    let (mut due, mut missed) = (None, 0u32);
    let mut time = from;
    while let Some(next) = schedule.next(time).filter(|next| *next <= context.now) {
        missed += 1;
        if missed > MANY {
            let why = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew";
            outcome.warn(BY, key.clone(), "TooManyMissedTimes", why);
            // From here on, the latest time only.
            due = latest(schedule, next, context.now).or(Some(next));
            break;
        }
        (time, due) = (next, Some(next));
    }
    let Some(due) = due else { return };
    let late =
        cron.spec.starting_deadline_seconds.is_some_and(|deadline| due.after_secs(deadline) < context.now);
    if late {
        outcome.warn(BY, key.clone(), "MissSchedule", format!("Missed scheduled time to start a job: {due}"));
        return;
    }
    let name = job_name(&cron.metadata.name, due);
    if jobs.iter().any(|job| job.metadata.name == name) {
        return;
    }
    match cron.spec.concurrency_policy {
        ConcurrencyPolicy::Forbid if !cron.status.active.is_empty() => {
            let message =
                "Not starting job because prior execution is running and concurrency policy is Forbid";
            return outcome.tell(BY, key.clone(), "JobAlreadyActive", message);
        }
        ConcurrencyPolicy::Replace => {
            for active in std::mem::take(&mut cron.status.active) {
                if let Some(job) = jobs.iter().find(|job| job.metadata.name == active) {
                    delete_job(context, job, outcome);
                    outcome.tell(BY, key.clone(), "SuccessfulDelete", format!("Deleted job {active}"));
                }
            }
        }
        ConcurrencyPolicy::Forbid | ConcurrencyPolicy::Allow => {}
    }
    let template = &cron.spec.job_template;
    let annotations = template.metadata.annotations.with([(SCHEDULED, due.to_string())]);
    let metadata = ObjectMeta {
        name: name.clone(),
        namespace: key.namespace.clone(),
        labels: template.metadata.labels.clone(),
        annotations,
        links: Links::of_controller(ownership::controller_ref(context, key), ""),
        synthesized: true,
        ..ObjectMeta::default()
    };
    let job = Workload { metadata, spec: template.spec.clone(), status: WorkloadStatus::default() };
    let job = Object::Job(Arc::new(job));
    if let Some(why) = refusal::of(context, &job, outcome) {
        return outcome.warn(BY, key.clone(), "FailedCreate", format!("Error creating job: {why}"));
    }
    outcome.put(job);
    outcome.tell(BY, key.clone(), "SuccessfulCreate", format!("Created job {name}"));
    cron.status.active.push(name);
    cron.status.last_schedule_time = Some(due);
}

/// The latest time of a schedule that is not after `now`, from `time` on.
fn latest(schedule: Schedule, time: Time, now: Time) -> Option<Time> {
    let period = schedule.next(time)?.since(time);
    let elapsed = now.since(time);
    let periods = (elapsed.as_secs() / period.as_secs().max(1)).saturating_sub(1) as u32;
    let mut latest = time.after(period.saturating_mul(periods));
    while let Some(next) = schedule.next(latest).filter(|next| *next <= now) {
        latest = next;
    }
    Some(latest)
}

/// `NAME-MINUTES`, by the minutes since 1970 (getJobName).
fn job_name(cron: &Name, due: Time) -> Name {
    arcstr::format!("{cron}-{}", due.unix_millis().div_euclid(60_000))
}
