//! Counts the ended pods of a Job, each once (tracking_utils.go, trackJobStatusAndRemoveFinalizers).

use std::sync::Arc;

use super::{INDEX, INDEX_FAILURES, Sync, TRACKING, release};
use crate::store::{Pod, PodFailureAction, PodPhase};

/// The index of a pod.
pub(super) fn index_of(pod: &Pod) -> Option<u32> {
    pod.metadata.annotations.get(INDEX)?.parse().ok()
}

impl Sync<'_> {
    /// Counts the pods that have ended since the last sync.
    pub(super) fn count(&mut self) {
        let pods = self.pods.clone();
        let new = pods.iter().filter(|pod| pod.metadata.links.has_finalizer(TRACKING));
        for pod in new {
            let succeeded = pod.status.phase == Some(PodPhase::Succeeded);
            if !succeeded && !self.has_failed(pod) {
                continue;
            }
            if succeeded {
                self.count_success(pod);
            } else {
                self.count_failure(pod);
            }
            release(self.context, pod, &mut self.result);
        }
        if self.is_indexed() {
            self.facts.succeeded = self.facts.completed_indexes.len();
        }
    }

    /// Where pods are replaced at once, a pod that is deleted before it succeeded counts as failed.
    fn has_failed(&self, pod: &Pod) -> bool {
        pod.status.phase == Some(PodPhase::Failed) || (!self.replaces_failed_only() && pod.is_terminating())
    }

    fn count_success(&mut self, pod: &Pod) {
        self.facts.failures_in_row = 0;
        match (self.is_indexed(), index_of(pod)) {
            (true, Some(index)) if self.completions().is_some_and(|all| index < all) => {
                self.facts.completed_indexes.insert(index);
            }
            (true, _) => {}
            (false, _) => self.facts.succeeded += 1,
        }
    }

    fn count_failure(&mut self, pod: &Arc<Pod>) {
        let action = self.policy_action(pod);
        if action == Some(PodFailureAction::Ignore) {
            return;
        }
        self.facts.failed += 1;
        self.facts.failures_in_row += 1;
        self.facts.last_failure = Some(self.now());
        let limit = self.job.spec.backoff_limit_per_index;
        if let (Some(index), Some(limit)) = (index_of(pod), limit) {
            let spent = failures_before(pod) >= limit || action == Some(PodFailureAction::FailIndex);
            let failed = self.facts.failed_indexes.as_mut().filter(|_| spent);
            failed.into_iter().for_each(|failed| failed.insert(index));
        }
    }
}

/// Number of pods of the same index that failed before a pod.
pub(super) fn failures_before(pod: &Pod) -> u32 {
    let text = pod.metadata.annotations.get(INDEX_FAILURES);
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}
