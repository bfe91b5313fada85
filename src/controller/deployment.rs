//! The Deployment controller (pkg/controller/deployment): a ReplicaSet for each template, and pods moved from one to the
//! next as the strategy says.

use std::sync::Arc;

use super::names::generated;
use super::{Context, Outcome, pods};
use crate::store::{
    Change, DeploymentStrategyType, Key, Kind, Links, Name, Object, ObjectMeta, Owner, Pod, PodTemplate,
    Stored, Workload, WorkloadSpec, WorkloadStatus,
};

/// Who tells of what it does.
const BY: &str = "deployment-controller";

/// Tells the pods of one ReplicaSet of a Deployment from those of the others.
pub(crate) const HASH_LABEL: &str = "pod-template-hash";

/// So many ReplicaSets without pods are kept, if the Deployment does not say.
const HISTORY_LIMIT: usize = 10;

/// One look at the Deployment at `key`.
pub(super) fn sync(context: Context<'_>, key: &Key) -> Outcome {
    let outcome = Outcome::default();
    let Some(deployment) = context.store.get::<Workload>(Kind::Deployment, &key.namespace, &key.name) else {
        return outcome;
    };
    let prefix = format!("{}-", key.name);
    let sets = context.store.list_prefixed::<Workload>(Kind::ReplicaSet, &key.namespace, &prefix);
    let mut sets: Vec<Arc<Workload>> = sets.filter(|set| set.metadata.is_owned_by(key)).cloned().collect();
    // A snapshot's ReplicaSets are the ReplicaSets.
    if !context.driven && sets.iter().any(|set| !set.metadata.synthesized) {
        return outcome;
    }
    sets.sort_by_key(|set| set.status.revision);
    let newest = sets.last().map_or(0, |set| set.status.revision);
    let at = sets.iter().position(|set| is_of_template(&set.spec.template, &deployment.spec.template));
    let mut rollout = Rollout { context, key, deployment, outcome };
    let new = match at {
        Some(at) => {
            let mut new = sets.remove(at);
            if new.status.revision < newest || new.status.revision == 0 {
                Arc::make_mut(&mut new).status.revision = newest + 1;
                rollout.outcome.put(Object::ReplicaSet(new.clone()));
            }
            Some(new)
        }
        None if deployment.spec.paused => None,
        None => Some(rollout.new_set(&sets, newest + 1)),
    };
    if deployment.metadata.deletion_timestamp.is_none() {
        rollout.scale(new.as_ref(), &sets);
        rollout.prune(&sets);
    }
    rollout.finish(new.as_ref(), &sets)
}

struct Rollout<'a> {
    context: Context<'a>,
    key: &'a Key,
    deployment: &'a Arc<Workload>,
    outcome: Outcome,
}

fn asked(set: &Workload) -> u32 {
    set.spec.replicas.unwrap_or(1)
}

impl Rollout<'_> {
    fn wanted(&self) -> u32 {
        asked(self.deployment)
    }

    /// More pods than asked for that there may be for a while.
    fn surge(&self) -> u32 {
        self.deployment
            .spec
            .strategy
            .rolling_update
            .max_surge
            .map_or(self.wanted().div_ceil(4), |n| n.of_up(self.wanted()))
    }

    /// Fewer pods than asked for that there may be for a while.
    fn unavailable(&self) -> u32 {
        let rolling = self.deployment.spec.strategy.rolling_update;
        let most = rolling.max_unavailable.map_or(self.wanted() / 4, |most| most.of(self.wanted()));
        // Otherwise nothing could be done at all (ResolveFenceposts).
        if most == 0 && self.surge() == 0 { 1 } else { most.min(self.wanted()) }
    }

    fn recreates(&self) -> bool {
        self.deployment.spec.strategy.strategy == DeploymentStrategyType::Recreate
    }

    /// Makes the ReplicaSet of today's template.
    fn new_set(&mut self, old: &[Arc<Workload>], revision: u64) -> Arc<Workload> {
        let deployment = self.deployment;
        let name = generated(&self.key.name, 10, (&self.key.namespace, revision));
        let hash = Name::from(name.rsplit('-').next().unwrap_or_default());
        let mut template = (*deployment.spec.template).clone();
        template.metadata.labels = template.metadata.labels.with([(HASH_LABEL, hash)]);
        let metadata = ObjectMeta {
            name: name.into(),
            namespace: self.key.namespace.clone(),
            labels: template.metadata.labels.clone(),
            annotations: deployment.metadata.annotations.clone(),
            links: Links::of_controller(
                Owner::controller(
                    Kind::Deployment,
                    self.key.name.clone(),
                    self.context.store.stored(self.key).map(Stored::uid),
                ),
                "",
            ),
            synthesized: true,
            ..ObjectMeta::default()
        };
        let spec = WorkloadSpec {
            replicas: Some(self.new_replicas(0, old)),
            selector: deployment.spec.selector.clone(),
            template: Arc::new(template),
            min_ready_seconds: deployment.spec.min_ready_seconds,
            ..WorkloadSpec::default()
        };
        let status = WorkloadStatus { revision, ..WorkloadStatus::default() };
        let set = Arc::new(Workload { metadata, spec, status });
        let count = asked(&set);
        if count > 0 {
            self.tell_scaled(&set, "up", 0, count);
        }
        self.outcome.put(Object::ReplicaSet(set.clone()));
        set
    }

    /// How many pods the new ReplicaSet may have now (NewRSNewReplicas).
    fn new_replicas(&self, has: u32, old: &[Arc<Workload>]) -> u32 {
        let wanted = self.wanted();
        if self.recreates() {
            let left = old.iter().any(|set| self.has_pods(set));
            return if left { has } else { wanted };
        }
        let total = has + old.iter().map(|set| asked(set)).sum::<u32>();
        let most = wanted + self.surge();
        wanted.min(has + most.saturating_sub(total))
    }

    fn has_pods(&self, set: &Workload) -> bool {
        let key = set.metadata.key(Kind::ReplicaSet);
        pods::of_workload(self.context.store, &key).any(|pod: &Arc<Pod>| !pod.is_terminal())
    }

    /// Lets ReplicaSets grow or shrink, one step of the way.
    fn scale(&mut self, new: Option<&Arc<Workload>>, old: &[Arc<Workload>]) {
        let with_pods: Vec<&Arc<Workload>> = old.iter().filter(|set| asked(set) > 0).collect();
        let Some(new) = new.filter(|_| !self.deployment.spec.paused) else {
            // A paused Deployment is still scaled, if that does not take a decision.
            let all: Vec<&Arc<Workload>> = with_pods.into_iter().chain(new).collect();
            if let [only] = all[..] {
                self.scale_to(only, self.wanted());
            }
            return;
        };
        let count = self.new_replicas(asked(new), old);
        if count != asked(new) {
            return self.scale_to(new, count);
        }
        if self.recreates() {
            with_pods.into_iter().for_each(|set| self.scale_to(set, 0));
            return;
        }
        self.shrink_old(new, &with_pods);
    }

    /// Takes pods from old ReplicaSets as far as enough stay available: first those that are not (reconcileOldReplicaSets).
    fn shrink_old(&mut self, new: &Workload, old: &[&Arc<Workload>]) {
        let least = self.wanted() - self.unavailable();
        let total = asked(new) + old.iter().map(|set| asked(set)).sum::<u32>();
        let new_unavailable = asked(new).saturating_sub(new.status.available_replicas);
        let mut most = total.saturating_sub(least + new_unavailable);
        let available =
            new.status.available_replicas + old.iter().map(|set| set.status.available_replicas).sum::<u32>();
        let mut to_spare = available.saturating_sub(least);
        for set in old {
            let broken = asked(set).saturating_sub(set.status.available_replicas).min(most);
            most -= broken;
            let well = (asked(set) - broken).min(to_spare).min(most);
            most -= well;
            to_spare -= well;
            self.scale_to(set, asked(set) - broken - well);
        }
    }

    fn scale_to(&mut self, set: &Arc<Workload>, count: u32) {
        let had = asked(set);
        if count == had {
            return;
        }
        self.tell_scaled(set, if count > had { "up" } else { "down" }, had, count);
        let mut set = set.clone();
        Arc::make_mut(&mut set).spec.replicas = Some(count);
        self.outcome.put(Object::ReplicaSet(set));
    }

    fn tell_scaled(&mut self, set: &Workload, way: &str, had: u32, count: u32) {
        let message = format!("Scaled {way} replica set {} from {had} to {count}", set.metadata.name);
        self.outcome.tell(BY, self.key.clone(), "ScalingReplicaSet", message);
    }

    /// Lets go of the oldest ReplicaSets that have no pods.
    fn prune(&mut self, old: &[Arc<Workload>]) {
        let limit = self.deployment.spec.revision_history_limit.map_or(HISTORY_LIMIT, |limit| limit as usize);
        let idle: Vec<_> = old.iter().filter(|set| asked(set) == 0 && set.status.replicas == 0).collect();
        for set in idle.iter().take(idle.len().saturating_sub(limit)) {
            self.outcome.changes.push(Change::Delete(set.metadata.key(Kind::ReplicaSet)));
        }
    }

    fn finish(mut self, new: Option<&Arc<Workload>>, old: &[Arc<Workload>]) -> Outcome {
        let sum = |of: fn(&WorkloadStatus) -> u32| {
            new.into_iter().chain(old).map(|set| of(&set.status)).sum::<u32>()
        };
        let status = WorkloadStatus {
            observed_generation: self.context.store.stored(self.key).map_or(0, |stored| stored.generation),
            replicas: sum(|status| status.replicas),
            ready_replicas: sum(|status| status.ready_replicas),
            available_replicas: sum(|status| status.available_replicas),
            updated_replicas: new.map_or(0, |set| set.status.replicas),
            revision: new.map_or(self.deployment.status.revision, |set| set.status.revision),
            made: 0,
        };
        if status != self.deployment.status {
            let mut deployment = self.deployment.clone();
            Arc::make_mut(&mut deployment).status = status;
            self.outcome.put(Object::Deployment(deployment));
        }
        self.outcome
    }
}

/// Whether a ReplicaSet's template is the Deployment's, but for the label that the controller adds (EqualIgnoreHash).
fn is_of_template(of_set: &PodTemplate, wanted: &PodTemplate) -> bool {
    let without_hash = |template: &PodTemplate| {
        let mut template = template.clone();
        let labels = template.metadata.labels.iter().filter(|(key, _)| *key != HASH_LABEL);
        template.metadata.labels = labels.collect();
        template
    };
    without_hash(of_set) == without_hash(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Container, Given, Part, PodSpec};

    /// A template as a client sends it back that was shown it.
    fn sent_back(template: &PodTemplate, image: &str) -> PodTemplate {
        let mut json = template.json();
        json["spec"]["containers"][0]["image"] = image.into();
        json["metadata"]["labels"].as_object_mut().expect("labels").remove(HASH_LABEL);
        let mut read: PodTemplate = serde::Deserialize::deserialize(&json).expect("a template");
        read.given = Some(Part::new(&Given::from(json), ""));
        read
    }

    #[test]
    fn a_template_that_is_brought_back_is_the_old_one() {
        let container = Container { name: arcstr::literal!("c"), ..Container::default() };
        let labels = [("app", "web"), (HASH_LABEL, "x")].into_iter().collect();
        let of_set = PodTemplate {
            metadata: ObjectMeta { labels, ..ObjectMeta::default() },
            spec: PodSpec::of_containers([container]),
            given: None,
        };
        let image = of_set.json()["spec"]["containers"][0]["image"].as_str().expect("an image").to_owned();
        assert!(is_of_template(&of_set, &sent_back(&of_set, &image)));
        assert!(!is_of_template(&of_set, &sent_back(&of_set, "other")));
    }
}
