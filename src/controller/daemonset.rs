//! The DaemonSet controller (pkg/controller/daemon): a pod on every node.

use std::sync::{Arc, LazyLock};

use super::names::generated;
use super::pods::Mould;
use super::{Context, Outcome, pods, replicaset, scheduler};
use crate::store::{
    Key, Kind, NOT_READY_TAINT, Name, Node, Object, Pod, PodSpec, Toleration, UNREACHABLE_TAINT, Workload,
    WorkloadStatus,
};

/// Who tells of what it does.
const BY: &str = "daemonset-controller";

/// What every pod of a DaemonSet puts up with (AddOrUpdateDaemonPodTolerations).
static TOLERATIONS: LazyLock<Vec<Toleration>> = LazyLock::new(|| {
    let exists = |key, effect| Toleration {
        key: Name::from(key),
        operator: arcstr::literal!("Exists"),
        effect: Name::from(effect),
        ..Toleration::default()
    };
    vec![
        exists(NOT_READY_TAINT, "NoExecute"),
        exists(UNREACHABLE_TAINT, "NoExecute"),
        exists("node.kubernetes.io/unschedulable", "NoSchedule"),
        exists(UNREACHABLE_TAINT, "NoSchedule"),
    ]
});

/// One look at the DaemonSet at `key`.
pub(super) fn sync(context: Context<'_>, key: &Key) -> Outcome {
    let mut outcome = Outcome::default();
    let Some(set) = context.store.get::<Workload>(Kind::DaemonSet, &key.namespace, &key.name) else {
        return outcome;
    };
    let all: Vec<&Arc<Pod>> = pods::of_workload(context.store, key).collect();
    if context.believes(&all) {
        return outcome;
    }
    let mut mould = Mould::new(context.store, &set.spec.template, &set.metadata, Kind::DaemonSet);
    let shared = mould.shared();
    shared.tolerations = shared.tolerations.iter().chain(TOLERATIONS.iter()).cloned().collect();
    let is_for = |node: &&Arc<Node>| is_for(&mould.spec, node);
    let nodes: Vec<_> = context.store.list::<Node>(Kind::Node).filter(is_for).collect();
    let mut made = set.status.made;
    for node in &nodes {
        let name = &node.metadata.name;
        if all.iter().any(|pod| pod.spec.node_name == *name && !pod.is_terminal()) {
            continue;
        }
        let mut pod = mould.pod(Name::from(generated(&key.name, 5, (&key.namespace, name, made))));
        pod.spec.node_name = name.clone();
        outcome.tell(BY, key.clone(), "SuccessfulCreate", format!("Created pod: {}", pod.metadata.name));
        outcome.put(Object::Pod(Arc::new(pod)));
        made += 1;
    }
    let stray = |pod: &&&Arc<Pod>| !nodes.iter().any(|node| node.metadata.name == pod.spec.node_name);
    let of_today = |pod: &Pod| pod.spec.shared.template.as_ref() == Some(&set.spec.template);
    let mut doomed: Vec<&Arc<Pod>> = all.iter().filter(stray).copied().collect();
    // One at a time goes for a new template, and only while all others are well (`maxUnavailable: 1`).
    let well =
        |pod: &Arc<Pod>| pod.is_available(set.spec.min_ready_seconds, context.now) && !pod.is_terminating();
    if outcome.changes.is_empty() && doomed.is_empty() && all.iter().all(|pod| well(pod)) {
        doomed.extend(all.iter().find(|pod| !of_today(pod)));
    }
    for pod in doomed.into_iter().filter(|pod| !pod.is_terminating()) {
        outcome.tell(BY, key.clone(), "SuccessfulDelete", format!("Deleted pod: {}", pod.metadata.name));
        outcome.changes.push(pods::delete(pod, context.now));
    }
    let active: Vec<&Arc<Pod>> = all.into_iter().filter(|pod| !pod.is_terminating()).collect();
    let updated_replicas = active.iter().filter(|pod| of_today(pod)).count() as u32;
    let status = replicaset::status(context, key, set, &active);
    let status = WorkloadStatus { made, updated_replicas, replicas: nodes.len() as u32, ..status };
    if status != set.status {
        let mut set = set.clone();
        Arc::make_mut(&mut set).status = status;
        outcome.put(Object::DaemonSet(set));
    }
    outcome
}

/// Whether a node is to have a pod: nothing keeps it away.
fn is_for(spec: &PodSpec, node: &Node) -> bool {
    scheduler::matches_node(node, spec)
        && node
            .spec
            .taints
            .iter()
            .filter(|taint| taint.keeps_away())
            .all(|taint| spec.tolerates(taint).is_some())
}
