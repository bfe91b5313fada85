//! Takes the place of the Job controller (pkg/controller/job) and of the controller that deletes finished Jobs
//! (pkg/controller/ttlafterfinished): runs pods until enough have succeeded, or too many have failed.

mod policy;
mod running;
mod success;
mod tracking;

use std::sync::Arc;

use super::{ownership, pods};
use crate::reconcile::deletion::{self, Deletion};
use crate::reconcile::{Context, SyncResult};
use crate::store::{
    CompletionIndexes, CompletionMode, ConditionStatus, JobStatus, Key, Kind, LabelSelector, Name, Object,
    Pod, PodReplacementPolicy, Stored, Time, Workload, WorkloadCondition,
};

/// Reporting component of its Events.
const COMPONENT: &str = "job-controller";

/// The value of `managedBy` for this controller.
const MANAGED_BY: &str = "kubernetes.io/job-controller";

/// The finalizer that holds a pod until its result has been counted.
const TRACKING: &str = "batch.kubernetes.io/job-tracking";
/// The label and the annotation with a pod's index in an Indexed Job.
const INDEX: &str = "batch.kubernetes.io/job-completion-index";
/// The annotation with the number of failed pods of the same index.
const INDEX_FAILURES: &str = "batch.kubernetes.io/job-index-failure-count";

/// Default maximum number of failed pods.
const BACKOFF_LIMIT: u32 = 6;

/// Syncs the Job at `key` (syncJob).
pub(super) fn sync(context: Context<'_>, key: &Key) -> SyncResult {
    let Some(stored) = context.store.stored(key) else { return release_all(context, key) };
    let Object::Job(before) = &stored.object else { return SyncResult::default() };
    if pods::are_snapshot_owned(context, key) {
        return SyncResult::default();
    }
    let mut result = SyncResult::default();
    let mut job = Workload::clone(before);
    select_own_pods(&mut job, stored);
    // `managedByExternalController`
    if !matches!(job.spec.managed_by.as_str(), "" | MANAGED_BY) {
        return finish(job, before, result);
    }
    if is_finished(&job) {
        delete_after_ttl(context, stored, &job, &mut result);
        return finish(job, before, result);
    }
    let pods = ownership::claim_pods(context, key, &job, &mut result);
    let facts = job.status.job.take().map(|facts| *facts).unwrap_or_default();
    let mut sync = Sync { context, key, job, facts, pods, terminating: 0, result };
    sync.run();
    let Sync { mut job, facts, result, .. } = sync;
    job.status.observed_generation = stored.generation;
    job.status.job = Some(Box::new(facts));
    finish(job, before, result)
}

fn finish(job: Workload, before: &Arc<Workload>, mut result: SyncResult) -> SyncResult {
    if job != **before {
        // A Job that is deleted by this sync is not written.
        let key = job.metadata.key(Kind::Job);
        let goes = result
            .changes
            .iter()
            .any(|change| matches!(change, crate::store::Change::Delete(gone) if *gone == key));
        if !goes {
            result.put(Object::Job(Arc::new(job)));
        }
    }
    result
}

/// A new Job with the selector and labels that identify its pods; `None` for other objects, and with a selector of its own.
pub fn with_own_selector(stored: &Stored) -> Option<Object> {
    let Object::Job(job) = &stored.object else { return None };
    let mut job = job.clone();
    select_own_pods(Arc::make_mut(&mut job), stored);
    (Object::Job(job.clone()) != stored.object).then_some(Object::Job(job))
}

/// Sets the selector and labels that identify the pods of a Job, unless it has a selector of its own
/// (pkg/registry/batch/job, generateSelector).
fn select_own_pods(job: &mut Workload, stored: &Stored) {
    if job.spec.selector.is_some() || job.spec.manual_selector {
        return;
    }
    let (uid, name) = (Name::from(stored.uid().to_string()), job.metadata.name.clone());
    let generated = [
        ("batch.kubernetes.io/controller-uid", uid.clone()),
        ("batch.kubernetes.io/job-name", name.clone()),
        ("controller-uid", uid.clone()),
        ("job-name", name),
    ];
    let template = Arc::make_mut(&mut job.spec.template);
    template.metadata.labels = template.metadata.labels.with(generated);
    if job.metadata.labels.is_empty() {
        job.metadata.labels = template.metadata.labels.clone();
    }
    let selector = [("batch.kubernetes.io/controller-uid", uid)];
    job.spec.selector = Some(LabelSelector::of(selector.into_iter().collect()));
}

fn is_finished(job: &Workload) -> bool {
    job.status.conditions.holds("Complete") || job.status.conditions.holds("Failed")
}

/// Removes the finalizers of the pods of a deleted Job (syncOrphanPod).
fn release_all(context: Context<'_>, key: &Key) -> SyncResult {
    let mut result = SyncResult::default();
    for pod in pods::of_workload(context.store, key) {
        release(context, pod, &mut result);
    }
    result
}

/// Removes the tracking finalizer of a pod.
fn release(context: Context<'_>, pod: &Arc<Pod>, result: &mut SyncResult) {
    if pod.metadata.links.has_finalizer(TRACKING) {
        let mut released = pod.clone();
        Arc::make_mut(&mut released).metadata.links.remove_finalizer(TRACKING);
        result.changes.push(deletion::released(context.store, Object::Pod(released)));
    }
}

/// Deletes a finished Job after its TTL.
fn delete_after_ttl(context: Context<'_>, stored: &Stored, job: &Workload, result: &mut SyncResult) {
    let Some(ttl) = job.spec.ttl_seconds_after_finished else { return };
    let finished = ["Complete", "Failed"].into_iter().filter_map(|kind| job.status.conditions.get(kind));
    let Some(since) = finished.map(|condition| condition.last_transition).next() else { return };
    let at = since.after_secs(ttl);
    if at > context.now {
        result.requeue_at(at);
    } else if job.metadata.deletion_timestamp.is_none() {
        let deletion =
            Deletion { propagation: Some(deletion::Propagation::Foreground), ..Deletion::default() };
        result.changes.extend(deletion::delete(context.store, &stored.object, context.now, deletion));
    }
}

/// One sync of a Job that has not finished.
struct Sync<'a> {
    context: Context<'a>,
    key: &'a Key,
    job: Workload,
    facts: JobStatus,
    /// Its pods.
    pods: Vec<Arc<Pod>>,
    /// Pods that are being deleted, including those deleted by this sync.
    terminating: u32,
    result: SyncResult,
}

impl Sync<'_> {
    fn now(&self) -> Time {
        self.context.now
    }

    fn is_indexed(&self) -> bool {
        self.job.spec.completion_mode == CompletionMode::Indexed
    }

    /// Number of pods that have to succeed: 1 if neither field is set (SetDefaults_Job).
    fn completions(&self) -> Option<u32> {
        match (self.job.spec.completions, self.job.spec.parallelism) {
            (None, None) => Some(1),
            (completions, _) => completions,
        }
    }

    fn replaces_failed_only(&self) -> bool {
        let by_default = !self.job.spec.pod_failure_policy.rules.is_empty();
        self.job
            .spec
            .pod_replacement_policy
            .map_or(by_default, |policy| policy == PodReplacementPolicy::Failed)
    }

    fn active(&self) -> Vec<Arc<Pod>> {
        let active = |pod: &&Arc<Pod>| !pod.is_terminating() && !pod.is_terminal();
        self.pods.iter().filter(active).cloned().collect()
    }

    fn run(&mut self) {
        self.terminating =
            self.pods.iter().filter(|pod| pod.is_terminating() && !pod.is_terminal()).count() as u32;
        let deleting = self.job.metadata.deletion_timestamp.is_some();
        if self.facts.start_time.is_none() && !self.job.spec.suspend {
            self.facts.start_time = Some(self.now());
        }
        if self.job.spec.backoff_limit_per_index.is_some() && self.facts.failed_indexes.is_none() {
            self.facts.failed_indexes = Some(CompletionIndexes::default());
        }
        let policy = self.policy_failure();
        self.count();
        let mut active = self.active();
        let mut ready = active.iter().filter(|pod| pod.status.ready).count() as u32;
        let mut count = active.len() as u32;
        if let Some((kind, reason, message)) = self.end(policy) {
            for pod in active.drain(..) {
                self.facts.failed +=
                    u32::from(kind == "FailureTarget" && pod.metadata.links.has_finalizer(TRACKING));
                self.delete(&pod);
            }
            (count, ready) = (0, 0);
            self.set(kind, ConditionStatus::True, &reason, message);
        } else if !deleting {
            (count, ready) = self.manage(active, ready);
            let succeeded = self.succeeded();
            let complete = match self.completions() {
                None => succeeded > 0 && count == 0,
                Some(completions) => succeeded >= completions && count == 0,
            };
            if complete && !self.job.spec.suspend {
                let message = "Reached expected number of succeeded pods".into();
                self.set("SuccessCriteriaMet", ConditionStatus::True, "CompletionsReached", message);
            } else {
                self.update_suspended_condition();
            }
        } else {
            let pods = self.pods.clone();
            pods.iter().for_each(|pod| release(self.context, pod, &mut self.result));
        }
        let status = &mut self.job.status;
        (status.replicas, status.ready_replicas) = (count, ready);
        status.terminating_replicas = Some(self.terminating);
        if count == 0 && self.terminating == 0 {
            self.conclude();
        }
        self.wait_for_deadline();
    }

    fn succeeded(&self) -> u32 {
        if self.is_indexed() { self.facts.completed_indexes.len() } else { self.facts.succeeded }
    }

    fn set(&mut self, kind: &str, status: ConditionStatus, reason: &str, message: String) {
        if !self.job.status.conditions.holds(kind) {
            let condition = WorkloadCondition::new(kind, status, reason, message, self.now());
            self.job.status.conditions.put(condition);
        }
    }

    /// Why the Job ends now, if it does not complete: the type, reason and message of the condition.
    fn end(&self, policy: Option<String>) -> Option<(&'static str, Name, String)> {
        let conditions = &self.job.status.conditions;
        let known = ["SuccessCriteriaMet", "FailureTarget"];
        if let Some(kind) = known.into_iter().find(|kind| conditions.holds(kind)) {
            let condition = conditions.get(kind)?;
            return Some((kind, condition.reason.clone(), condition.message.clone()));
        }
        let fail = |reason: &str, message: &str| Some(("FailureTarget", reason.into(), message.into()));
        if let Some(message) = policy {
            return fail("PodFailurePolicy", &message);
        }
        let unlimited =
            if self.job.spec.backoff_limit_per_index.is_some() { u32::MAX } else { BACKOFF_LIMIT };
        let limit = self.job.spec.backoff_limit.unwrap_or(unlimited);
        if self.facts.failed > limit || self.restarts_exceed(limit) {
            return fail("BackoffLimitExceeded", "Job has reached the specified backoff limit");
        }
        if self.deadline().is_some_and(|deadline| deadline <= self.now()) {
            return fail("DeadlineExceeded", "Job was active longer than specified deadline");
        }
        let failed = self.facts.failed_indexes.as_ref().map_or(0, |failed| failed.len());
        if self.job.spec.max_failed_indexes.is_some_and(|most| failed > most) {
            return fail(
                "MaxFailedIndexesExceeded",
                "Job has exceeded the specified maximal number of failed indexes",
            );
        }
        let all = failed + self.facts.completed_indexes.len();
        if failed > 0 && self.completions().is_some_and(|completions| all >= completions) {
            return fail("FailedIndexes", "Job has failed indexes");
        }
        let met = self.success_policy_met();
        met.map(|message| ("SuccessCriteriaMet", arcstr::literal!("SuccessPolicy"), message))
    }

    /// When the active deadline of the Job expires.
    fn deadline(&self) -> Option<Time> {
        let seconds = self.job.spec.active_deadline_seconds.filter(|_| !self.job.spec.suspend)?;
        Some(self.facts.start_time?.after_secs(seconds))
    }

    fn wait_for_deadline(&mut self) {
        if let Some(deadline) =
            self.deadline().filter(|deadline| *deadline > self.now() && !is_finished(&self.job))
        {
            self.result.requeue_at(deadline);
        }
    }

    /// Sets the condition that the Job is suspended or resumed.
    fn update_suspended_condition(&mut self) {
        let suspended = self.job.spec.suspend;
        let before = self.job.status.conditions.get("Suspended").map(|condition| condition.status);
        let (status, reason, message) = if suspended {
            (ConditionStatus::True, "JobSuspended", "Job suspended")
        } else {
            (ConditionStatus::False, "JobResumed", "Job resumed")
        };
        if before == Some(status) || (before.is_none() && !suspended) {
            return;
        }
        let condition = WorkloadCondition::new("Suspended", status, reason, message.into(), self.now());
        self.job.status.conditions.put(condition);
        let event = if suspended { "Suspended" } else { "Resumed" };
        self.result.emit_event(COMPONENT, self.key.clone(), event, message);
        self.facts.start_time = Some(self.now()).filter(|_| !suspended);
    }

    /// Turns the interim condition of a Job into its final one (enactJobFinished).
    fn conclude(&mut self) {
        let turned = [("SuccessCriteriaMet", "Complete"), ("FailureTarget", "Failed")];
        let conditions = &self.job.status.conditions;
        let Some((from, to)) = turned.into_iter().find(|(from, _)| conditions.holds(from)) else { return };
        let Some(condition) = conditions.get(from).cloned() else { return };
        self.set(to, ConditionStatus::True, &condition.reason, condition.message.clone());
        if to == "Complete" {
            self.facts.completion_time = Some(self.now());
            self.result.emit_event(COMPONENT, self.key.clone(), "Completed", "Job completed");
        } else {
            let reason = reason_text(&condition.reason);
            self.result.emit_warning(COMPONENT, self.key.clone(), reason, condition.message);
        }
        if let Some(ttl) = self.job.spec.ttl_seconds_after_finished {
            self.result.requeue_at(self.now().after_secs(ttl));
        }
    }
}

/// The reason of a failed Job in an event.
fn reason_text(reason: &str) -> &'static str {
    const REASONS: [&str; 5] = [
        "BackoffLimitExceeded",
        "DeadlineExceeded",
        "PodFailurePolicy",
        "MaxFailedIndexesExceeded",
        "FailedIndexes",
    ];
    REASONS.into_iter().find(|known| *known == reason).unwrap_or("Failed")
}
