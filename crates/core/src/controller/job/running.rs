//! Creates and deletes the pods of a Job: as many as may run, and no more than are still needed (manageJob).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::tracking::{failures_before, index_of};
use super::{COMPONENT, INDEX, INDEX_FAILURES, Sync, TRACKING};
use crate::controller::pods::PodBuilder;
use crate::controller::{ownership, refusal};
use crate::reconcile::deletion;
use crate::reconcile::names::generated_from;
use crate::store::{Kind, Links, Name, Object, Pod, PodPhase, Time, key_of};

/// Delay of the first pod after a failure; it doubles with each successive failure (DefaultJobPodFailureBackOff).
const BACKOFF: Duration = Duration::from_secs(10);
/// Maximum of that delay (MaxJobPodFailureBackOff).
const BACKOFF_MAX: Duration = Duration::from_secs(600);

impl Sync<'_> {
    /// Creates or deletes pods. Returns the number of active pods afterwards, and of ready ones.
    pub(super) fn manage(&mut self, active: Vec<Arc<Pod>>, ready: u32) -> (u32, u32) {
        let wanted = if self.job.spec.suspend { 0 } else { self.wanted(active.len() as u32) };
        let surplus = self.surplus(&active, wanted as usize);
        if !surplus.is_empty() {
            let unready = surplus.iter().filter(|pod| pod.status.ready).count() as u32;
            surplus.iter().for_each(|pod| self.delete(pod));
            return (active.len() as u32 - surplus.len() as u32, ready - unready);
        }
        let held = if self.replaces_failed_only() { self.terminating } else { 0 };
        let missing = wanted.saturating_sub(held + active.len() as u32);
        if missing == 0 || self.job.spec.suspend {
            return (active.len() as u32, ready);
        }
        if let Some(at) = self.backoff().filter(|at| *at > self.now()) {
            self.result.requeue_at(at);
            return (active.len() as u32, ready);
        }
        let indexes = self.pending_indexes(&active, missing);
        let made = self.make(missing, indexes);
        (active.len() as u32 + made, ready)
    }

    /// Number of pods that should run.
    fn wanted(&self, active: u32) -> u32 {
        let parallelism = self.job.spec.parallelism.unwrap_or(1);
        match self.completions() {
            // One success is enough: no more pods are created, and running ones may finish.
            None if self.succeeded() > 0 => active,
            None => parallelism,
            Some(completions) => completions.saturating_sub(self.succeeded()).min(parallelism),
        }
    }

    /// The pods to delete: of an Indexed Job, those with a duplicate or invalid index; then the least advanced ones
    /// (activePodsForRemoval).
    fn surplus(&self, active: &[Arc<Pod>], wanted: usize) -> Vec<Arc<Pod>> {
        let mut seen = BTreeSet::new();
        let completions = self.completions().unwrap_or(u32::MAX);
        let (mut doomed, mut kept): (Vec<Arc<Pod>>, Vec<Arc<Pod>>) =
            active.iter().cloned().partition(|pod| {
                self.is_indexed()
                    && !index_of(pod).is_some_and(|index| index < completions && seen.insert(index))
            });
        let more = active.len().saturating_sub(wanted).saturating_sub(doomed.len());
        kept.sort_by_key(|pod| {
            let stored = self.context.store.stored(&key_of(pod));
            let born = stored.map_or(u64::MAX, |stored| stored.born());
            (!pod.spec.node_name.is_empty(), pod.status.ready, std::cmp::Reverse(born))
        });
        doomed.extend(kept.into_iter().take(more));
        doomed
    }

    /// Deletes a pod that must not be counted: its finalizer is removed first (deleteJobPods).
    pub(super) fn delete(&mut self, pod: &Arc<Pod>) {
        let message = format!("Deleted pod: {}", pod.metadata.name);
        self.result.emit_event(COMPONENT, self.key.clone(), "SuccessfulDelete", message);
        let mut released = pod.clone();
        Arc::make_mut(&mut released).metadata.links.remove_finalizer(TRACKING);
        let change = deletion::delete_pod(&released, self.now(), released.spec.grace());
        self.result.changes.push(change);
        self.terminating += u32::from(!pod.spec.node_name.is_empty());
    }

    /// When pods may be created again after a failure.
    fn backoff(&self) -> Option<Time> {
        let failures = self.facts.failures_in_row.checked_sub(1)?;
        let delay = BACKOFF.saturating_mul(1 << failures.min(10)).min(BACKOFF_MAX);
        Some(self.facts.last_failure?.after(delay))
    }

    /// The first indexes of an Indexed Job that are neither complete nor active (firstPendingIndexes).
    fn pending_indexes(&self, active: &[Arc<Pod>], count: u32) -> Vec<u32> {
        if !self.is_indexed() {
            return Vec::new();
        }
        let mut taken: BTreeSet<u32> = active.iter().filter_map(|pod| index_of(pod)).collect();
        if self.replaces_failed_only() {
            let ending = self.pods.iter().filter(|pod| pod.is_terminating() && !pod.is_terminal());
            taken.extend(ending.filter_map(|pod| index_of(pod)));
        }
        let failed = self.facts.failed_indexes.as_ref();
        let free = |index: &u32| {
            !taken.contains(index)
                && !self.facts.completed_indexes.contains(*index)
                && !failed.is_some_and(|failed| failed.contains(*index))
        };
        (0..self.completions().unwrap_or(0)).filter(free).take(count as usize).collect()
    }

    /// Creates pods, of an Indexed Job one for each of `indexes`. Returns their number.
    fn make(&mut self, count: u32, indexes: Vec<u32>) -> u32 {
        let job = self.job.clone();
        let builder = PodBuilder::new(self.context.store, &job.spec.template, &job.metadata, Kind::Job);
        let indexes: Vec<Option<u32>> = if self.is_indexed() {
            indexes.into_iter().map(Some).collect()
        } else {
            vec![None; count as usize]
        };
        let mut made = 0;
        for index in indexes {
            let base = match index {
                Some(index) => arcstr::format!("{}-{index}", self.key.name),
                None => self.key.name.clone(),
            };
            let mut pod = builder.pod(self.name(&base));
            let owner = ownership::controller_ref(self.context, self.key);
            let finalizers = pod.metadata.links.finalizers().to_vec();
            pod.metadata.links = Links::of_controller(owner, format!("{base}-"));
            pod.metadata.links.set_finalizers(finalizers);
            pod.metadata.links.add_finalizer(TRACKING);
            if let Some(index) = index {
                let number = index.to_string();
                pod.spec.hostname = base;
                pod.metadata.labels = pod.metadata.labels.with([(INDEX, number.clone())]);
                pod.metadata.annotations = pod.metadata.annotations.with([(INDEX, number)]);
                if self.job.spec.backoff_limit_per_index.is_some() {
                    let failures = self.failures_of(index).to_string();
                    pod.metadata.annotations = pod.metadata.annotations.with([(INDEX_FAILURES, failures)]);
                }
            }
            let message = format!("Created pod: {}", pod.metadata.name);
            let pod = Object::Pod(Arc::new(pod));
            if let Some(why) = refusal::of(self.context, &pod, &mut self.result) {
                self.result.emit_warning(
                    COMPONENT,
                    self.key.clone(),
                    "FailedCreate",
                    format!("Error creating: {why}"),
                );
                break;
            }
            self.result.emit_event(COMPONENT, self.key.clone(), "SuccessfulCreate", message);
            self.result.put(pod);
            made += 1;
        }
        made
    }

    /// Number of failed pods of an index.
    fn failures_of(&self, index: u32) -> u32 {
        let failed = self.pods.iter().filter(|pod| pod.status.phase == Some(PodPhase::Failed));
        let failed = failed.filter(|pod| index_of(pod) == Some(index));
        failed.map(|pod| failures_before(pod) + 1).max().unwrap_or(0)
    }

    /// A pod name that is not in use.
    fn name(&mut self, base: &Name) -> Name {
        loop {
            let name = Name::from(generated_from(base, (&self.key.namespace, self.job.status.made)));
            self.job.status.made += 1;
            if self.context.store.get::<Pod>(Kind::Pod, &self.key.namespace, &name).is_none() {
                return name;
            }
        }
    }
}
