//! The CronJob controller (`pkg/controller/cronjob/cronjob_controllerv2.go`): creates a Job at each time of the
//! schedule, in the cluster's time.

mod times;

use std::sync::Arc;

use super::{ownership, refusal};
use crate::reconcile::deletion::{self, Deletion, Propagation};
use crate::reconcile::{Context, SyncResult};
use crate::store::{
    ConcurrencyPolicy, CronJob, Key, Kind, Links, Name, Object, ObjectMeta, Schedule, Time, TimeZone,
    Workload, WorkloadStatus,
};
use times::Missed;

/// Reporting component of its Events.
const COMPONENT: &str = "cronjob-controller";

/// The annotation of a Job that states the time for which it was created.
const SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

/// Default history limits: successful and failed Jobs.
const HISTORY_LIMITS: [u32; 2] = [3, 1];

/// Syncs the CronJob at `key` (sync).
pub(super) fn sync(context: Context<'_>, key: &Key) -> SyncResult {
    let Some(before) = context.store.get::<CronJob>(Kind::CronJob, &key.namespace, &key.name) else {
        return SyncResult::default();
    };
    let jobs = jobs_of(context, key);
    let cron = CronJob::clone(before);
    let mut sync = Sync { context, key, cron, jobs, result: SyncResult::default() };
    sync.clean_up();
    sync.update_active_jobs();
    if sync.cron.metadata.deletion_timestamp.is_none() {
        sync.follow_schedule();
    }
    let Sync { cron, mut result, .. } = sync;
    if cron != **before {
        result.put(Object::CronJob(Arc::new(cron)));
    }
    result
}

/// The next time of a CronJob's new schedule, if the schedule has changed.
pub(super) fn next(before: &CronJob, cron: &CronJob, now: Time) -> Option<Time> {
    let (old, new) = (&before.spec, &cron.spec);
    if (&old.schedule, &old.time_zone) == (&new.schedule, &new.time_zone) {
        return None;
    }
    let zone = TimeZone::find(&new.time_zone).ok()?;
    Schedule::parse(&new.schedule).ok()?.in_zone(zone).next(now)
}

/// The Jobs of a CronJob, oldest first.
fn jobs_of<'s>(context: Context<'s>, key: &Key) -> Vec<&'s Arc<Workload>> {
    let jobs = context.store.list_in::<Workload>(Kind::Job, &key.namespace);
    let mut jobs: Vec<_> = jobs.filter(|job| ownership::manages(context, key, &job.metadata)).collect();
    jobs.sort_by_key(|job| context.store.stored(&job.metadata.key(Kind::Job)).map_or(u64::MAX, |s| s.born()));
    jobs
}

/// The type of the condition by which a Job has finished (FinishedCondition).
fn finished(job: &Workload) -> Option<&'static str> {
    ["Complete", "Failed"].into_iter().find(|kind| job.status.conditions.holds(kind))
}

/// One sync of a CronJob.
struct Sync<'a> {
    context: Context<'a>,
    key: &'a Key,
    cron: CronJob,
    jobs: Vec<&'a Arc<Workload>>,
    result: SyncResult,
}

impl Sync<'_> {
    /// Deletes the oldest finished Jobs beyond the history limits (cleanupFinishedJobs).
    fn clean_up(&mut self) {
        let spec = &self.cron.spec;
        let limits = [spec.successful_jobs_history_limit, spec.failed_jobs_history_limit];
        for (at, kind) in ["Complete", "Failed"].into_iter().enumerate() {
            let limit = limits[at].unwrap_or(HISTORY_LIMITS[at]) as usize;
            let mut jobs: Vec<&Arc<Workload>> =
                self.jobs.iter().copied().filter(|job| finished(job) == Some(kind)).collect();
            jobs.sort_by_key(|job| {
                let started = job.status.job.as_ref().and_then(|facts| facts.start_time);
                (started.is_none(), started, job.metadata.name.clone())
            });
            for job in jobs.iter().take(jobs.len().saturating_sub(limit)) {
                self.delete(job);
            }
        }
    }

    /// Deletes a Job in the background (deleteJob).
    fn delete(&mut self, job: &Arc<Workload>) {
        let deletion = Deletion { propagation: Some(Propagation::Background), ..Deletion::default() };
        let change =
            deletion::delete(self.context.store, &Object::Job(job.clone()), self.context.now, deletion);
        // One that finalizers hold is being deleted already.
        if change.is_some() {
            self.result.changes.extend(change);
            let name = &job.metadata.name;
            self.result.emit_event(
                COMPONENT,
                self.key.clone(),
                "SuccessfulDelete",
                format!("Deleted job {name}"),
            );
        }
        self.cron.status.active.retain(|active| *active != job.metadata.name);
    }

    /// Updates the list of active Jobs and the time of the last success.
    fn update_active_jobs(&mut self) {
        for job in &self.jobs {
            let name = &job.metadata.name;
            let status = &mut self.cron.status;
            let is_listed = status.active.contains(name);
            match finished(job) {
                None if is_listed => {}
                None if self.context.driven => {
                    let message = format!("Saw a job that the controller did not create or forgot: {name}");
                    self.result.emit_warning(COMPONENT, self.key.clone(), "UnexpectedJob", message);
                }
                // The Jobs of a snapshot count as created by this controller.
                None => status.active.push(name.clone()),
                Some(condition) => {
                    if is_listed {
                        status.active.retain(|active| active != name);
                        let message = format!("Saw completed job: {name}, condition: {condition}");
                        self.result.emit_event(COMPONENT, self.key.clone(), "SawCompletedJob", message);
                    }
                    if condition == "Complete" {
                        let completed = job.status.job.as_ref().and_then(|facts| facts.completion_time);
                        status.last_successful_time = status.last_successful_time.max(completed);
                    }
                }
            }
        }
        for name in self.cron.status.active.clone() {
            if self.context.store.get::<Workload>(Kind::Job, &self.key.namespace, &name).is_none() {
                self.cron.status.active.retain(|active| *active != name);
                let message = format!("Active job went missing: {name}");
                self.result.emit_event(COMPONENT, self.key.clone(), "MissingJob", message);
            }
        }
    }

    fn emit_warning(&mut self, reason: &'static str, message: String) {
        self.result.emit_warning(COMPONENT, self.key.clone(), reason, message);
    }

    /// Creates the Job of the most recent missed time, if there is one, and waits for the next time (syncCronJob).
    fn follow_schedule(&mut self) {
        let zone = match TimeZone::find(&self.cron.spec.time_zone) {
            Ok(zone) => zone,
            Err(why) => {
                let message = format!("invalid timeZone: {:?}: {why}", self.cron.spec.time_zone);
                return self.emit_warning("UnknownTimeZone", message);
            }
        };
        if self.cron.spec.suspend {
            return;
        }
        let text = self.cron.spec.schedule.clone();
        let states_zone = text.contains("TZ");
        if states_zone {
            self.emit_warning("UnsupportedSchedule", format!(
                "CRON_TZ or TZ used in schedule {text:?} is not officially supported, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
            ));
        }
        let schedule = match Schedule::parse(&text) {
            Ok(schedule) if states_zone => schedule,
            Ok(schedule) => schedule.in_zone(zone.clone()),
            Err(why) => {
                return self
                    .emit_warning("UnparseableSchedule", format!("unparseable schedule: {text:?} : {why}"));
            }
        };
        if let Some(next) = schedule.next(self.context.now) {
            self.result.requeue_at(next);
        }
        let missed = match self.missed(&schedule) {
            Ok(missed) => missed,
            Err(why) => {
                return self.emit_warning("InvalidSchedule", format!("invalid schedule: {text} : {why}"));
            }
        };
        if let Some(Missed { last, are_many }) = missed {
            if are_many {
                let why = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew";
                self.emit_warning("TooManyMissedTimes", why.into());
            }
            self.start(last, &zone);
        }
    }

    /// The missed times since the last Job, or the CronJob, was created (nextScheduleTime).
    fn missed(&self, schedule: &Schedule) -> Result<Option<Missed>, &'static str> {
        let now = self.context.now;
        let created = self.context.store.stored(self.key).map_or(now, |stored| stored.created);
        let mut from = self.cron.status.last_schedule_time.unwrap_or(created);
        if let Some(deadline) = self.cron.spec.starting_deadline_seconds {
            from = from.max(now.before(std::time::Duration::from_secs(deadline.into())));
        }
        Missed::since(schedule, from, now)
    }

    /// Creates the Job for the time `due`, unless the deadline has passed, the Job exists, or another one is running.
    fn start(&mut self, due: Time, zone: &TimeZone) {
        let now = self.context.now;
        let deadline = self.cron.spec.starting_deadline_seconds;
        if deadline.is_some_and(|deadline| due.after_secs(deadline) < now) {
            let message = format!("Missed scheduled time to start a job: {}", due.rfc1123());
            return self.emit_warning("MissSchedule", message);
        }
        let name = job_name(&self.cron.metadata.name, due);
        let status = &self.cron.status;
        if status.active.contains(&name) || status.last_schedule_time == Some(due) {
            return;
        }
        match self.cron.spec.concurrency_policy {
            ConcurrencyPolicy::Forbid if !status.active.is_empty() => {
                let message =
                    "Not starting job because prior execution is running and concurrency policy is Forbid";
                return self.result.emit_event(COMPONENT, self.key.clone(), "JobAlreadyActive", message);
            }
            ConcurrencyPolicy::Replace => {
                for active in self.cron.status.active.clone() {
                    let store = self.context.store;
                    if let Some(job) = store.get::<Workload>(Kind::Job, &self.key.namespace, &active) {
                        self.delete(job);
                    }
                }
            }
            ConcurrencyPolicy::Forbid | ConcurrencyPolicy::Allow => {}
        }
        let there = self.context.store.get::<Workload>(Kind::Job, &self.key.namespace, &name);
        match there {
            // Another owner's Job has the name.
            Some(job) if !ownership::manages(self.context, self.key, &job.metadata) => return,
            Some(_) => {}
            None => {
                let job = self.job(&name, due, zone);
                if let Some(why) = refusal::of(self.context, &job, &mut self.result) {
                    return self.emit_warning("FailedCreate", format!("Error creating job: {why}"));
                }
                self.result.put(job);
                let message = format!("Created job {name}");
                self.result.emit_event(COMPONENT, self.key.clone(), "SuccessfulCreate", message);
            }
        }
        self.cron.status.active.push(name);
        self.cron.status.last_schedule_time = Some(due);
    }

    /// The Job called `name`, for the time `due` (getJobFromTemplate2).
    fn job(&self, name: &Name, due: Time, zone: &TimeZone) -> Object {
        let template = &self.cron.spec.job_template;
        let metadata = ObjectMeta {
            name: name.clone(),
            namespace: self.key.namespace.clone(),
            labels: template.metadata.labels.clone(),
            annotations: template.metadata.annotations.with([(SCHEDULED, zone.rfc3339(due))]),
            links: Links::of_controller(ownership::controller_ref(self.context, self.key), ""),
            synthesized: true,
            ..ObjectMeta::default()
        };
        let job = Workload { metadata, spec: template.spec.clone(), status: WorkloadStatus::default() };
        Object::Job(Arc::new(job))
    }
}

/// `NAME-MINUTES`, by the minutes since 1970 (getJobName).
fn job_name(cron: &Name, due: Time) -> Name {
    arcstr::format!("{cron}-{}", due.unix_millis().div_euclid(60_000))
}
