//! Takes the place of the Deployment controller (pkg/controller/deployment): a ReplicaSet for each template, and rollouts
//! between them according to the strategy.

mod progress;
mod scale;
mod sets;

use std::sync::Arc;

use super::pods;
use crate::reconcile::{Context, SyncResult};
use crate::store::{
    ConditionStatus, DeploymentStrategyType, Key, Kind, Object, Pod, Time, Workload, WorkloadCondition,
};

/// Reporting component of its Events.
const COMPONENT: &str = "deployment-controller";

/// The value that disables the progress deadline (deployment_util.go, HasProgressDeadline).
const NO_DEADLINE: u32 = i32::MAX as u32;

/// Default progress deadline, in seconds.
const PROGRESS_DEADLINE: u32 = 600;

/// Syncs the Deployment at `key` (deployment_controller.go, syncDeployment).
pub(super) fn sync(context: Context<'_>, key: &Key) -> SyncResult {
    let result = SyncResult::default();
    let Some(deployment) = context.store.get::<Workload>(Kind::Deployment, &key.namespace, &key.name) else {
        return result;
    };
    let mut rollout = Rollout {
        context,
        key,
        deployment: Workload::clone(deployment),
        generation: context.store.stored(key).map_or(0, |stored| stored.generation),
        new: None,
        old: Vec::new(),
        result,
    };
    if !rollout.find_sets() {
        return rollout.result;
    }
    if deployment.metadata.deletion_timestamp.is_none() {
        rollout.update_paused_condition();
        if deployment.spec.paused {
            rollout.number_new_set();
            rollout.scale();
            rollout.clean_up();
            rollout.calculate_status();
        } else {
            rollout.roll();
        }
    } else {
        rollout.calculate_status();
    }
    rollout.finish(deployment)
}

struct Rollout<'a> {
    context: Context<'a>,
    key: &'a Key,
    /// The Deployment after the sync, which changes its annotations and status.
    deployment: Workload,
    generation: u32,
    /// The ReplicaSet of the current template.
    new: Option<Arc<Workload>>,
    /// Its other ReplicaSets, oldest first.
    old: Vec<Arc<Workload>>,
    result: SyncResult,
}

impl Rollout<'_> {
    fn now(&self) -> Time {
        self.context.now
    }

    fn wanted(&self) -> u32 {
        self.deployment.replicas()
    }

    fn recreates(&self) -> bool {
        self.deployment.spec.strategy.strategy == DeploymentStrategyType::Recreate
    }

    /// Maximum number of pods beyond `replicas`, and of unavailable pods (ResolveFenceposts).
    fn fence_posts(&self) -> (u32, u32) {
        let wanted = self.wanted();
        if self.recreates() {
            return (0, 0);
        }
        let rolling = self.deployment.spec.strategy.rolling_update;
        let surge = rolling.max_surge.map_or(wanted.div_ceil(4), |number| number.of_up(wanted));
        let unavailable = rolling.max_unavailable.map_or(wanted / 4, |number| number.of(wanted));
        // At least one, or the rollout could not progress.
        let unavailable = if surge == 0 && unavailable == 0 { 1 } else { unavailable };
        (surge, unavailable.min(wanted))
    }

    fn max_surge(&self) -> u32 {
        self.fence_posts().0
    }

    fn min_available(&self) -> u32 {
        self.wanted() - self.fence_posts().1
    }

    /// All its ReplicaSets, the new one last.
    fn all(&self) -> impl Iterator<Item = &Arc<Workload>> {
        self.old.iter().chain(&self.new)
    }

    /// Sets the condition that the Deployment is paused or resumed. A resumed rollout has its full deadline again
    /// (sync.go, checkPausedConditions).
    fn update_paused_condition(&mut self) {
        let paused = self.deployment.spec.paused;
        let reason = self.deployment.status.conditions.get("Progressing").map(|c| c.reason.clone());
        let reason = reason.as_deref();
        let known = reason == Some("DeploymentPaused");
        if self.deadline().is_none() || reason == Some("ProgressDeadlineExceeded") || paused == known {
            return;
        }
        let (reason, message) = if paused {
            ("DeploymentPaused", "Deployment is paused")
        } else {
            ("DeploymentResumed", "Deployment is resumed")
        };
        self.set_condition("Progressing", ConditionStatus::Unknown, reason, message.into());
    }

    fn set_condition(&mut self, kind: &str, status: ConditionStatus, reason: &str, message: String) {
        let condition = WorkloadCondition::new(kind, status, reason, message, self.now());
        self.deployment.status.conditions.set(condition);
    }

    /// Takes the next step of the rollout.
    fn roll(&mut self) {
        self.number_new_set();
        if self.is_scaled() {
            self.scale();
            return self.calculate_status();
        }
        if self.recreates() {
            self.recreate()
        } else {
            self.roll_over()
        }
        self.estimate_progress();
        if self.is_complete() {
            self.clean_up();
        }
    }

    /// The strategy `RollingUpdate` (rolling.go, rolloutRolling).
    fn roll_over(&mut self) {
        self.make_new_set();
        let Some(new) = self.new.clone() else { return };
        let (had, wanted) = (new.replicas(), self.wanted());
        let count = if had > wanted { wanted } else { self.new_replicas(had) };
        if count != had {
            self.scale_set(&new, count);
            return;
        }
        self.shrink_old(&new);
    }

    /// The replicas that the new ReplicaSet, which has `has`, can be scaled to now (NewRSNewReplicas).
    fn new_replicas(&self, has: u32) -> u32 {
        let wanted = self.wanted();
        if self.recreates() {
            return wanted;
        }
        let total = has + self.old.iter().map(|set| set.replicas()).sum::<u32>();
        let free = (wanted + self.max_surge()).saturating_sub(total);
        has + free.min(wanted.saturating_sub(has))
    }

    /// Scales down old ReplicaSets while enough pods stay available: unavailable pods first (reconcileOldReplicaSets).
    /// While one reports more available pods than it has replicas, its controller has yet to delete them and to count
    /// again, and nothing is scaled (cleanupUnhealthyReplicas returns an error).
    fn shrink_old(&mut self, new: &Workload) {
        let least = i64::from(self.min_available());
        let total = self.all().map(|set| i64::from(set.replicas())).sum::<i64>();
        let new_unavailable = i64::from(new.replicas()) - i64::from(new.status.available_replicas);
        let most = total - least - new_unavailable;
        let mut old: Vec<Arc<Workload>> = self.old.iter().filter(|set| set.replicas() > 0).cloned().collect();
        if most <= 0 || old.is_empty() {
            return;
        }
        let mut cleaned = 0;
        for set in &mut old {
            if cleaned >= most {
                break;
            }
            let (has, available) = (set.replicas(), set.status.available_replicas);
            let Some(unavailable) = has.checked_sub(available) else { return };
            let broken = i64::from(unavailable).min(most - cleaned);
            cleaned += broken;
            *set = self.scale_set(set, has - broken as u32);
        }
        // ReplicaSets scaled to zero do not count, regardless of their status.
        let available = old.iter().map(|set| i64::from(set.status.available_replicas)).sum::<i64>();
        let mut to_spare = (available + i64::from(new.status.available_replicas) - least).max(0);
        for set in &old {
            let count = i64::from(set.replicas()).min(to_spare);
            to_spare -= count;
            self.scale_set(set, set.replicas() - count as u32);
        }
    }

    /// The strategy `Recreate`: no new pod before the last old one has been removed (recreate.go).
    fn recreate(&mut self) {
        let old: Vec<Arc<Workload>> = self.old.iter().filter(|set| set.replicas() > 0).cloned().collect();
        if !old.is_empty() {
            old.iter().for_each(|set| drop(self.scale_set(set, 0)));
            return;
        }
        if self.old.iter().any(|set| set.status.replicas > 0 || self.has_pods(set)) {
            return;
        }
        self.make_new_set();
        if let Some(new) = self.new.clone() {
            self.scale_set(&new, self.wanted());
        }
    }

    /// Whether pods of a ReplicaSet are still running, even if they are being deleted (oldPodsRunning).
    fn has_pods(&self, set: &Workload) -> bool {
        let key = set.metadata.key(Kind::ReplicaSet);
        pods::of_workload(self.context.store, &key).any(|pod: &Arc<Pod>| !pod.is_terminal())
    }

    /// Whether the rollout is complete (DeploymentComplete).
    fn is_complete(&self) -> bool {
        let (status, wanted) = (&self.deployment.status, self.wanted());
        [status.updated_replicas, status.replicas, status.available_replicas] == [wanted; 3]
            && status.observed_generation >= self.generation
    }

    /// Writes the Deployment if it has changed.
    fn finish(mut self, before: &Arc<Workload>) -> SyncResult {
        if let Some(at) = self.progress_check() {
            self.result.requeue_at(at);
        }
        if self.deployment != **before {
            self.result.put(Object::Deployment(Arc::new(self.deployment)));
        }
        self.result
    }
}

#[cfg(test)]
mod tests;
