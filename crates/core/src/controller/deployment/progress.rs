//! The status of a Deployment: the sums over its ReplicaSets, and the progress of the rollout (sync.go,
//! calculateStatus; progress.go).

use super::{NO_DEADLINE, PROGRESS_DEADLINE, Rollout};
use crate::store::{ConditionStatus, Time, Workload, WorkloadCondition, WorkloadStatus};

impl Rollout<'_> {
    /// The progress deadline, in seconds; `None` if it is disabled.
    pub(super) fn deadline(&self) -> Option<u32> {
        let deadline = self.deployment.spec.progress_deadline_seconds.unwrap_or(PROGRESS_DEADLINE);
        Some(deadline).filter(|deadline| *deadline < NO_DEADLINE)
    }

    /// Sums up the status of the ReplicaSets.
    pub(super) fn calculate_status(&mut self) {
        let sum = |of: &dyn Fn(&Workload) -> u32| self.all().map(|set| of(set)).sum::<u32>();
        let asked = sum(&|set| set.replicas());
        let available = sum(&|set| set.status.available_replicas);
        // Absent until a ReplicaSet reports it.
        let terminating = self.all().filter_map(|set| set.status.terminating_replicas);
        let terminating = terminating.fold(None, |sum: Option<u32>, count| Some(sum.unwrap_or(0) + count));
        let status = WorkloadStatus {
            observed_generation: self.generation,
            replicas: sum(&|set| set.status.replicas),
            updated_replicas: self.new.as_ref().map_or(0, |set| set.status.replicas),
            ready_replicas: sum(&|set| set.status.ready_replicas),
            available_replicas: available,
            unavailable_replicas: asked.saturating_sub(available),
            terminating_replicas: terminating,
            collision_count: self.deployment.status.collision_count,
            conditions: std::mem::take(&mut self.deployment.status.conditions),
            ..WorkloadStatus::default()
        };
        self.deployment.status = status;
        let (status, reason, message) = if available >= self.min_available() {
            (ConditionStatus::True, "MinimumReplicasAvailable", "Deployment has minimum availability.")
        } else {
            (
                ConditionStatus::False,
                "MinimumReplicasUnavailable",
                "Deployment does not have minimum availability.",
            )
        };
        self.set_condition("Available", status, reason, message.into());
    }

    /// Like [`Self::calculate_status`], and sets the condition `Progressing` (syncRolloutStatus).
    pub(super) fn estimate_progress(&mut self) {
        let before = self.deployment.status.clone();
        self.calculate_status();
        let reason = before.conditions.get("Progressing").map(|condition| condition.reason.clone());
        let is_known_complete = self.deployment.status.replicas == self.deployment.status.updated_replicas
            && reason.as_deref() == Some("NewReplicaSetAvailable");
        match self.deadline() {
            None => self.deployment.status.conditions.remove("Progressing"),
            Some(_) if is_known_complete => {}
            Some(deadline) => self.state_progress(&before, deadline),
        }
        let failure = self.new.iter().chain(&self.old);
        let failure = failure.filter_map(|set| set.status.conditions.get("ReplicaFailure")).next().cloned();
        match failure {
            Some(failure) => self.deployment.status.conditions.set(failure),
            None => self.deployment.status.conditions.remove("ReplicaFailure"),
        }
    }

    fn state_progress(&mut self, before: &WorkloadStatus, deadline: u32) {
        let subject = match &self.new {
            Some(set) => format!("ReplicaSet {:?}", set.metadata.name.as_str()),
            None => format!("Deployment {:?}", self.key.name.as_str()),
        };
        if self.is_complete() {
            let message = format!("{subject} has successfully progressed.");
            self.set_condition("Progressing", ConditionStatus::True, "NewReplicaSetAvailable", message);
        } else if has_progressed(before, &self.deployment.status) {
            let message = format!("{subject} is progressing.");
            let mut condition = WorkloadCondition::new(
                "Progressing",
                ConditionStatus::True,
                "ReplicaSetUpdated",
                message,
                self.now(),
            );
            // Also written with an unchanged reason: the update time restarts the deadline.
            if let Some(there) =
                before.conditions.get("Progressing").filter(|there| there.status == condition.status)
            {
                condition.last_transition = there.last_transition;
            }
            self.deployment.status.conditions.remove("Progressing");
            self.deployment.status.conditions.set(condition);
        } else if self.is_late(deadline) {
            let message = format!("{subject} has timed out progressing.");
            self.set_condition("Progressing", ConditionStatus::False, "ProgressDeadlineExceeded", message);
        }
    }

    /// Whether the rollout has exceeded its deadline (DeploymentTimedOut).
    fn is_late(&self, deadline: u32) -> bool {
        let condition = self.deployment.status.conditions.get("Progressing");
        condition.is_some_and(|condition| match condition.reason.as_str() {
            "NewReplicaSetAvailable" => false,
            "ProgressDeadlineExceeded" => true,
            _ => condition.last_update.after_secs(deadline) < self.now(),
        })
    }

    /// When to check a rollout without progress again (requeueStuckDeployment).
    pub(super) fn progress_check(&self) -> Option<Time> {
        let deadline = self.deadline()?;
        let condition = self.deployment.status.conditions.get("Progressing")?;
        let done = self.is_complete() || condition.reason == "ProgressDeadlineExceeded";
        let paused = self.deployment.spec.paused || self.deployment.metadata.deletion_timestamp.is_some();
        // One second more, which the source adds against rounding.
        let at = condition.last_update.after_secs(deadline).after_secs(1);
        Some(at).filter(|at| !done && !paused && *at > self.now())
    }
}

/// Whether a status shows progress over the previous one (DeploymentProgressing).
fn has_progressed(before: &WorkloadStatus, after: &WorkloadStatus) -> bool {
    let old = |status: &WorkloadStatus| status.replicas.saturating_sub(status.updated_replicas);
    after.updated_replicas > before.updated_replicas
        || old(after) < old(before)
        || after.ready_replicas > before.ready_replicas
        || after.available_replicas > before.available_replicas
}
