//! The Deployment controller (pkg/controller/deployment): a ReplicaSet for each template, and pods moved from one to the
//! next as the strategy says.

mod progress;
mod scale;
mod sets;

use std::sync::Arc;

use super::pods;
use crate::reconcile::{Context, Outcome};
use crate::store::{
    ConditionStatus, DeploymentStrategyType, Key, Kind, Object, Pod, Time, Workload, WorkloadCondition,
};

/// The source of its events.
const BY: &str = "deployment-controller";

/// Progress of a rollout is estimated unless the deadline is this (deployment_util.go, HasProgressDeadline).
const NO_DEADLINE: u32 = i32::MAX as u32;

/// Seconds for which a rollout may stand still, where the Deployment does not say.
const PROGRESS_DEADLINE: u32 = 600;

/// One look at the Deployment at `key` (deployment_controller.go, syncDeployment).
pub(super) fn sync(context: Context<'_>, key: &Key) -> Outcome {
    let outcome = Outcome::default();
    let Some(deployment) = context.store.get::<Workload>(Kind::Deployment, &key.namespace, &key.name) else {
        return outcome;
    };
    let mut rollout = Rollout {
        context,
        key,
        deployment: Workload::clone(deployment),
        generation: context.store.stored(key).map_or(0, |stored| stored.generation),
        new: None,
        old: Vec::new(),
        outcome,
    };
    if !rollout.find_sets() {
        return rollout.outcome;
    }
    if deployment.metadata.deletion_timestamp.is_none() {
        rollout.note_pause();
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
    /// As it will be: its annotations and its status change during the sync.
    deployment: Workload,
    generation: u32,
    /// The ReplicaSet of today's template.
    new: Option<Arc<Workload>>,
    /// Its other ReplicaSets, oldest first.
    old: Vec<Arc<Workload>>,
    outcome: Outcome,
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

    /// The pods that there may be beyond the wanted ones, and those of them that may be missing (ResolveFenceposts).
    fn fence_posts(&self) -> (u32, u32) {
        let wanted = self.wanted();
        if self.recreates() {
            return (0, 0);
        }
        let rolling = self.deployment.spec.strategy.rolling_update;
        let surge = rolling.max_surge.map_or(wanted.div_ceil(4), |number| number.of_up(wanted));
        let unavailable = rolling.max_unavailable.map_or(wanted / 4, |number| number.of(wanted));
        // Otherwise nothing could be done at all.
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

    /// States that the Deployment is paused, or is so no longer: a rollout that was resumed has its whole time
    /// (sync.go, checkPausedConditions).
    fn note_pause(&mut self) {
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

    /// Brings the pods one step further to today's template.
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

    /// How many pods the new ReplicaSet, which asks for `has`, may ask for now (NewRSNewReplicas).
    fn new_replicas(&self, has: u32) -> u32 {
        let wanted = self.wanted();
        if self.recreates() {
            return wanted;
        }
        let total = has + self.old.iter().map(|set| set.replicas()).sum::<u32>();
        let free = (wanted + self.max_surge()).saturating_sub(total);
        has + free.min(wanted.saturating_sub(has))
    }

    /// Takes pods from old ReplicaSets as far as enough stay available: first those that are not
    /// (reconcileOldReplicaSets). While one reports more available pods than it asks for, its controller has yet to
    /// delete them and to count anew, and nothing is taken (cleanupUnhealthyReplicas returns an error).
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
        // Those that ask for no pods any more do not count, whatever they reported last.
        let available = old.iter().map(|set| i64::from(set.status.available_replicas)).sum::<i64>();
        let mut to_spare = (available + i64::from(new.status.available_replicas) - least).max(0);
        for set in &old {
            let count = i64::from(set.replicas()).min(to_spare);
            to_spare -= count;
            self.scale_set(set, set.replicas() - count as u32);
        }
    }

    /// The strategy `Recreate`: no new pod before the last old one is gone (recreate.go).
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

    /// Whether pods of a ReplicaSet still run, be it while they are deleted (oldPodsRunning).
    fn has_pods(&self, set: &Workload) -> bool {
        let key = set.metadata.key(Kind::ReplicaSet);
        pods::of_workload(self.context.store, &key).any(|pod: &Arc<Pod>| !pod.is_terminal())
    }

    /// Whether the rollout is done (DeploymentComplete).
    fn is_complete(&self) -> bool {
        let (status, wanted) = (&self.deployment.status, self.wanted());
        [status.updated_replicas, status.replicas, status.available_replicas] == [wanted; 3]
            && status.observed_generation >= self.generation
    }

    /// Writes down what is different now.
    fn finish(mut self, before: &Arc<Workload>) -> Outcome {
        if let Some(at) = self.progress_check() {
            self.outcome.look_again(at);
        }
        if self.deployment != **before {
            self.outcome.put(Object::Deployment(Arc::new(self.deployment)));
        }
        self.outcome
    }
}

#[cfg(test)]
mod tests;
