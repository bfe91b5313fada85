//! The ReplicaSet controller (pkg/controller/replicaset) and the Job controller's first half: as many pods as are asked
//! for, under generated names.

use std::sync::Arc;

use super::names::generated;
use super::pods::Mould;
use super::scheduler::Nodes;
use super::{Context, Outcome, pods};
use crate::kubelet;
use crate::store::{Key, Kind, Name, Object, Pod, Time, Workload, WorkloadStatus};

/// One look at the ReplicaSet or Job at `key`.
pub(super) fn sync(context: Context<'_>, key: &Key) -> Outcome {
    let mut outcome = Outcome::default();
    let Some(set) = context.store.get::<Workload>(key.kind, &key.namespace, &key.name) else {
        return outcome;
    };
    let all: Vec<&Arc<Pod>> = pods::of_workload(context.store, key).collect();
    if context.believes(&all) {
        return outcome;
    }
    // What has ended is replaced, unless ending is what it is for.
    let counts = |pod: &&&Arc<Pod>| !pod.is_terminating() && (key.kind == Kind::Job || !pod.is_terminal());
    let active: Vec<&Arc<Pod>> = all.iter().filter(counts).copied().collect();
    let wanted = match key.kind {
        // As many at once as may run, but no more than have to succeed.
        Kind::Job => set.spec.parallelism.unwrap_or(1).min(set.spec.completions.unwrap_or(u32::MAX)),
        _ => set.spec.replicas.unwrap_or(1),
    } as usize;
    let mut made = set.status.made;
    // Of those, the pods that take no time and are there in the same moment.
    let mut at_once = 0;
    if set.metadata.deletion_timestamp.is_none() {
        let nodes = Nodes::of(context.store);
        let mould = Mould::new(context.store, &set.spec.template, &set.metadata, key.kind);
        for _ in active.len()..wanted {
            let name = Name::from(generated(&key.name, 5, (&key.namespace, made)));
            let mut pod = mould.pod(name);
            if context.at_once
                && kubelet::takes_no_time(context, &pod)
                && let Some(node) = nodes.choose(&pod.spec, made as usize)
            {
                pod.spec.node_name = node.metadata.name.clone();
                at_once += 1;
            }
            outcome.tell(
                controller(key),
                key.clone(),
                "SuccessfulCreate",
                format!("Created pod: {}", pod.metadata.name),
            );
            outcome.put(Object::Pod(Arc::new(pod)));
            made += 1;
        }
        for pod in surplus(context, &active, wanted) {
            outcome.tell(
                controller(key),
                key.clone(),
                "SuccessfulDelete",
                format!("Deleted pod: {}", pod.metadata.name),
            );
            outcome.changes.push(pods::delete(pod, context.now));
        }
    }
    for pod in &active {
        let from = pod.available_from(set.spec.min_ready_seconds).filter(|from| *from > context.now);
        from.into_iter().for_each(|from| outcome.look_again(from));
    }
    let mut status = WorkloadStatus { made, ..status(context, key, set, &active) };
    status.replicas += at_once;
    status.ready_replicas += at_once;
    status.available_replicas += if set.spec.min_ready_seconds == 0 { at_once } else { 0 };
    status.updated_replicas = status.replicas;
    if status != set.status {
        let mut set = set.clone();
        Arc::make_mut(&mut set).status = status;
        outcome.put(Object::workload(key.kind, set));
    }
    outcome
}

fn controller(key: &Key) -> &'static str {
    if key.kind == Kind::Job { "job-controller" } else { "replicaset-controller" }
}

/// The pods that go first when there are too many: those without a node, those not ready, the youngest
/// (controller.ActivePods).
fn surplus<'a>(context: Context<'_>, active: &[&'a Arc<Pod>], wanted: usize) -> Vec<&'a Arc<Pod>> {
    let mut ranked = active.to_vec();
    ranked.sort_by_cached_key(|pod| {
        let created =
            context.store.stored(&pods::key_of(pod)).map_or(Time::default(), |stored| stored.created);
        let name = pod.metadata.name.clone();
        (!pod.spec.node_name.is_empty(), pod.status.ready, std::cmp::Reverse((created, name)))
    });
    ranked.truncate(active.len().saturating_sub(wanted));
    ranked
}

/// What a workload's pods amount to.
pub(super) fn status(
    context: Context<'_>,
    key: &Key,
    set: &Workload,
    active: &[&Arc<Pod>],
) -> WorkloadStatus {
    let count = |of: &dyn Fn(&Pod) -> bool| active.iter().filter(|pod| of(pod)).count() as u32;
    WorkloadStatus {
        observed_generation: context.store.stored(key).map_or(0, |stored| stored.generation),
        replicas: active.len() as u32,
        ready_replicas: count(&|pod| pod.status.ready),
        available_replicas: count(&|pod| pod.is_available(set.spec.min_ready_seconds, context.now)),
        ..set.status.clone()
    }
}
