//! Takes kube-scheduler's place: pods go to nodes in turn, as they do when nothing else is asked for. Whether a node has
//! room for one is not looked at, nor where its volume is.

use std::sync::Arc;

use super::names::digest;
use super::{Context, Outcome, pods};
use crate::store::{ConditionStatus, Key, Kind, Node, Object, Pod, PodSpec, Store};

/// The nodes of a cluster, to choose from for several pods.
pub(super) struct Nodes<'a>(Vec<&'a Arc<Node>>);

impl<'a> Nodes<'a> {
    pub(super) fn of(store: &'a Store) -> Self {
        Nodes(store.list::<Node>(Kind::Node).collect())
    }

    /// The node whose turn it is, or the next one that takes the pod.
    pub(super) fn choose(&self, spec: &PodSpec, turn: usize) -> Option<&'a Arc<Node>> {
        let begin = turn % self.0.len().max(1);
        let in_turn = self.0[begin..].iter().chain(&self.0[..begin]);
        in_turn.copied().find(|node| takes(node, spec))
    }
}

/// Whether new pods may go to a node: it is ready, not cordoned, and has no taint that keeps this one away.
pub(super) fn takes(node: &Node, spec: &PodSpec) -> bool {
    node.status.ready == ConditionStatus::True
        && !node.spec.unschedulable
        && node.spec.taints.iter().filter(|taint| taint.keeps_away()).all(|taint| {
            // What every pod puts up with for a while, once it is there, is no reason to go there.
            !taint.is_of_lost_node() && spec.tolerates(taint).is_some()
        })
}

/// Finds a node for the pod at `key`, if it has none and waits for one.
pub(super) fn schedule(context: Context<'_>, key: &Key) -> Option<Outcome> {
    const BY: &str = "default-scheduler";
    let pod = context.store.get::<Pod>(Kind::Pod, &key.namespace, &key.name)?;
    if !pod.spec.node_name.is_empty() || pod.is_terminal() || pod.status.is_recorded() {
        return None;
    }
    let nodes = Nodes::of(context.store);
    let of_set = pod.metadata.controller().is_some_and(|owner| owner.kind == Kind::StatefulSet);
    let turn = match pods::ordinal(&pod.metadata.name) {
        Some((_, ordinal)) if of_set => ordinal as usize,
        _ => digest(&pod.metadata.name) as usize,
    };
    let mut outcome = Outcome::default();
    if let Some(node) = nodes.choose(&pod.spec, turn) {
        let name = node.metadata.name.clone();
        let message = format!("Successfully assigned {}/{} to {name}", key.namespace, key.name);
        outcome.tell(BY, key.clone(), "Scheduled", message);
        let mut pod = pod.clone();
        Arc::make_mut(&mut pod).spec.node_name = name;
        outcome.put(Object::Pod(pod));
    } else {
        let message = format!("0/{} nodes are available", nodes.0.len());
        outcome.warn(BY, key.clone(), "FailedScheduling", message);
    }
    Some(outcome)
}
