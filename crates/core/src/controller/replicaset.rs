//! The ReplicaSet and ReplicationController controllers (pkg/controller/replicaset): keep the number of replicas, under
//! generated names.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use super::pods::PodBuilder;
use super::scheduler::Nodes;
use super::{ownership, pods, refusal};
use crate::kubelet;
use crate::reconcile::names::generated_from;
use crate::reconcile::{Context, SyncResult};
use crate::store::{
    ConditionStatus, Key, Kind, Name, Object, Pod, PodPhase, Time, Workload, WorkloadCondition,
    WorkloadStatus, key_of,
};

/// The annotation with a pod's deletion cost, relative to other pods.
const DELETION_COST_ANNOTATION: &str = "controller.kubernetes.io/pod-deletion-cost";

/// Syncs the ReplicaSet or ReplicationController at `key`.
pub(super) fn sync(context: Context<'_>, key: &Key) -> SyncResult {
    let mut result = SyncResult::default();
    let Some(set) = context.store.get::<Workload>(key.kind, &key.namespace, &key.name) else {
        return result;
    };
    if pods::are_snapshot_owned(context, key) {
        return result;
    }
    let all = ownership::claim_pods(context, key, set, &mut result);
    // Ended pods are replaced.
    let active: Vec<&Arc<Pod>> =
        all.iter().filter(|pod| !pod.is_terminating() && !pod.is_terminal()).collect();
    let terminating = all.iter().filter(|pod| pod.is_terminating() && !pod.is_terminal()).count() as u32;
    let mut made = CreatedPods { made: set.status.made, ..CreatedPods::default() };
    if set.metadata.deletion_timestamp.is_none() {
        let wanted = set.replicas() as usize;
        made.fill(context, key, set, wanted.saturating_sub(active.len()), &mut result);
        for pod in surplus(context, set, &active, wanted) {
            let message = format!("Deleted pod: {}", pod.metadata.name);
            result.emit_event(controller(key), key.clone(), "SuccessfulDelete", message);
            result.changes.push(pods::delete(pod, context.now));
        }
    }
    for pod in &active {
        let from = pod.available_from(set.spec.min_ready_seconds).filter(|from| *from > context.now);
        from.into_iter().for_each(|from| result.requeue_at(from));
    }
    let status = status(context, key, set, &active, terminating, made);
    if status != set.status {
        let mut set = set.clone();
        Arc::make_mut(&mut set).status = status;
        result.put(Object::workload(key.kind, set));
    }
    result
}

fn controller(key: &Key) -> &'static str {
    if key.kind == Kind::ReplicationController { "replication-controller" } else { "replicaset-controller" }
}

/// The pods that a sync creates.
#[derive(Default)]
struct CreatedPods {
    /// Number of pods ever created; the next name is derived from it.
    made: u32,
    /// Number of pods without delays, which run immediately.
    at_once: u32,
    /// Why the API refused one.
    refused: Option<String>,
}

impl CreatedPods {
    /// Creates `missing` pods (manageReplicas).
    fn fill(
        &mut self,
        context: Context<'_>,
        key: &Key,
        set: &Workload,
        missing: usize,
        result: &mut SyncResult,
    ) {
        if missing == 0 {
            return;
        }
        let by = controller(key);
        let nodes = Nodes::of(context.store);
        let builder = PodBuilder::new(context.store, &set.spec.template, &set.metadata, key.kind);
        for _ in 0..missing {
            let mut pod = builder.pod(self.name(context, key));
            let mut at_once = false;
            if context.at_once
                && kubelet::takes_no_time(context, &pod)
                && let Some(node) = nodes.choose(&pod.spec, self.made as usize)
            {
                pod.spec.node_name = node.metadata.name.clone();
                at_once = true;
            }
            let message = format!("Created pod: {}", pod.metadata.name);
            let pod = Object::Pod(Arc::new(pod));
            if let Some(why) = refusal::of(context, &pod, result) {
                result.emit_warning(by, key.clone(), "FailedCreate", format!("Error creating: {why}"));
                self.refused = Some(why).filter(|_| result.refused);
                return;
            }
            self.at_once += u32::from(at_once);
            result.emit_event(by, key.clone(), "SuccessfulCreate", message);
            result.put(pod);
        }
    }

    /// A pod name that is not in use.
    fn name(&mut self, context: Context<'_>, key: &Key) -> Name {
        loop {
            let name = Name::from(generated_from(&key.name, (&key.namespace, self.made)));
            self.made += 1;
            if context.store.get::<Pod>(Kind::Pod, &key.namespace, &name).is_none() {
                return name;
            }
        }
    }
}

/// The pods to delete first when there are too many (controller_utils.go, ActivePodsWithRanks). Where the source
/// compares UIDs, which are random, the youngest is deleted.
fn surplus<'a>(
    context: Context<'_>,
    set: &Workload,
    active: &[&'a Arc<Pod>],
    wanted: usize,
) -> Vec<&'a Arc<Pod>> {
    let count = active.len().saturating_sub(wanted);
    if count == 0 || wanted == 0 {
        return active[..count].to_vec();
    }
    let on_node = related_on_nodes(context, set, active);
    let mut ranked = active.to_vec();
    ranked.sort_by_cached_key(|pod| {
        let stored = context.store.stored(&key_of(pod));
        let born = stored.map_or(u64::MAX, |stored| stored.born());
        let phase = match pod.status.phase {
            None | Some(PodPhase::Pending) => 0,
            Some(PodPhase::Unknown) => 1,
            _ => 2,
        };
        let cost = pod.metadata.annotations.get(DELETION_COST_ANNOTATION);
        let cost: i32 = cost.and_then(|cost| cost.parse().ok()).unwrap_or(0);
        let together = on_node.get(&pod.spec.node_name).copied().unwrap_or(0);
        let since =
            if pod.status.ready { pod.status.ready_since.unwrap_or_default() } else { Time::default() };
        (
            (!pod.spec.node_name.is_empty(), phase, pod.status.ready, cost),
            (Reverse(together), Reverse(since), Reverse(pod.status.restarts), Reverse(born)),
        )
    });
    ranked.truncate(count);
    ranked
}

/// Number of pods of a ReplicaSet and of the other ReplicaSets of its Deployment on each node
/// (getPodsRankedByRelatedPodsOnSameNode).
fn related_on_nodes(context: Context<'_>, set: &Workload, active: &[&Arc<Pod>]) -> HashMap<Name, u32> {
    let mut on_node: HashMap<Name, u32> = HashMap::new();
    let mut count = |pod: &Pod| *on_node.entry(pod.spec.node_name.clone()).or_default() += 1;
    active.iter().for_each(|pod| count(pod));
    let Some(deployment) = ownership::controller_key(&set.metadata) else { return on_node };
    for other in context.store.replica_sets_near(&deployment, &ownership::selector_of(set)) {
        let key = other.metadata.key(Kind::ReplicaSet);
        if other.metadata.is_owned_by(&deployment) && other.metadata.name != set.metadata.name {
            let pods = pods::of_workload(context.store, &key);
            pods.filter(|pod| !pod.is_terminating() && !pod.is_terminal()).for_each(|pod| count(pod));
        }
    }
    on_node
}

/// The status computed from its pods (calculateStatus).
fn status(
    context: Context<'_>,
    key: &Key,
    set: &Workload,
    active: &[&Arc<Pod>],
    terminating: u32,
    made: CreatedPods,
) -> WorkloadStatus {
    let count = |of: &dyn Fn(&Pod) -> bool| active.iter().filter(|pod| of(pod)).count() as u32;
    let labels = &set.spec.template.metadata.labels;
    let available = if set.spec.min_ready_seconds == 0 { made.at_once } else { 0 };
    let mut conditions = set.status.conditions.clone();
    match made.refused {
        Some(why) => {
            let failure = WorkloadCondition::new(
                "ReplicaFailure",
                ConditionStatus::True,
                "FailedCreate",
                why,
                context.now,
            );
            conditions.set(failure);
        }
        None => conditions.remove("ReplicaFailure"),
    }
    let is_full =
        |pod: &Pod| pod.metadata.labels.is_same_value(labels) || labels.matches(&pod.metadata.labels);
    WorkloadStatus {
        observed_generation: context.store.stored(key).map_or(0, |stored| stored.generation),
        replicas: active.len() as u32 + made.at_once,
        fully_labeled_replicas: count(&is_full) + made.at_once,
        ready_replicas: count(&|pod| pod.status.ready) + made.at_once,
        available_replicas: count(&|pod| pod.is_available(set.spec.min_ready_seconds, context.now))
            + available,
        terminating_replicas: Some(terminating),
        conditions,
        made: made.made,
        ..WorkloadStatus::default()
    }
}
