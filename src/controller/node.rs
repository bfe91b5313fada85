//! The node lifecycle controller, the taint eviction controller and the pod garbage collector
//! (pkg/controller/nodelifecycle, tainteviction, podgc): what becomes of a node that nobody hears of, and of its pods.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Context, Outcome, pods};
use crate::store::{
    Change, ConditionStatus, Event, Key, Kind, LeftBehind, Machine, Name, Node, OUT_OF_SERVICE_TAINT, Object,
    Pod, PodPhase, Resource, Store, Taint, Time, UNREACHABLE_TAINT,
};

/// Who tells of what they do.
const BY: &str = "node-controller";
const BY_EVICTION: &str = "taint-eviction-controller";

/// So long after its last heartbeat a node counts as lost (`--node-monitor-grace-period`).
const GRACE: Duration = Duration::from_secs(50);
/// How often nodes are looked at (`--node-monitor-period`).
const MONITOR_PERIOD: Duration = Duration::from_secs(5);
/// The least time between two nodes of a zone that lose their pods (`--node-eviction-rate`, 0.1 a second).
const EVICTION_PERIOD: Duration = Duration::from_secs(10);
/// How often the pod garbage collector looks.
const COLLECT_PERIOD: Duration = Duration::from_secs(20);
/// So long it waits for a node that it found missing to come back.
const QUARANTINE: Duration = Duration::from_secs(40);

/// What the node controllers remember.
#[derive(Default)]
pub(super) struct Lifecycle {
    /// When a node of each zone lost its pods last.
    evicted: BTreeMap<Name, Time>,
    /// Nodes whose objects are gone, and since when.
    gone: BTreeMap<Name, Time>,
    /// What runs on, by its node, until that is written down in the node's status.
    left_behind: BTreeMap<Name, Vec<LeftBehind>>,
}

/// Whether what runs in a pod is out of everybody's reach and cannot be stopped.
pub(super) fn is_out_of_reach(store: &Store, pod: &Pod) -> bool {
    let node = store.get::<Node>(Kind::Node, "", &pod.spec.node_name);
    node.is_some_and(|node| node.machine() == Machine::Unreachable)
}

impl Lifecycle {
    /// Notes a node that goes or comes, and a pod that goes without its kubelet knowing. Returns the node to look at.
    pub(super) fn note(&mut self, store: &Store, now: Time, event: &Event) -> Option<Name> {
        match (event.then(), event.now()) {
            (Some(Object::Node(node)), None) => drop(self.gone.insert(node.metadata.name.clone(), now)),
            (None, Some(Object::Node(node))) => drop(self.gone.remove(&node.metadata.name)),
            (Some(Object::Pod(pod)), None) if is_out_of_reach(store, pod) && !pod.is_terminal() => {
                let left = LeftBehind {
                    namespace: pod.metadata.namespace.clone(),
                    pod: pod.metadata.name.clone(),
                    ips: pod.status.ips().collect(),
                };
                self.left_behind.entry(pod.spec.node_name.clone()).or_default().push(left);
                return Some(pod.spec.node_name.clone());
            }
            _ => {}
        }
        None
    }

    /// Whether a node was there and is not any more: its kubelet has nobody to report to.
    pub(super) fn is_gone(&self, node: &Name) -> bool {
        self.gone.contains_key(node)
    }

    /// One look at a node.
    pub(super) fn sync(&mut self, context: Context<'_>, name: &Name) -> Outcome {
        let mut outcome = Outcome::default();
        let Some(node) = context.store.get::<Node>(Kind::Node, "", name) else {
            self.collect_orphans(context, name, &mut outcome);
            return outcome;
        };
        let mut next = (**node).clone();
        next.status.left_behind.extend(self.left_behind.remove(name).unwrap_or_default());
        match node.machine() {
            Machine::Up => came_back(context, &mut next, &mut outcome),
            Machine::Unreachable | Machine::Off => self.lost(context, &mut next, &mut outcome),
        }
        if node.machine() == Machine::Off {
            // Nothing runs on a machine that does not.
            next.status.left_behind.clear();
        }
        if next != **node {
            // Evictions follow from what the node has then.
            outcome.put(Object::Node(Arc::new(next)));
            return outcome;
        }
        evict(context, node, &mut outcome);
        collect_out_of_service(context, node, &mut outcome);
        outcome
    }

    /// A node that nobody hears of: after a while it is not ready, and neither are its pods; then it is tainted.
    fn lost(&mut self, context: Context<'_>, node: &mut Node, outcome: &mut Outcome) {
        let now = context.now;
        let about = Key::new(Kind::Node, "", node.metadata.name.clone());
        let last_heard = *node.status.last_heartbeat.get_or_insert(now);
        let given_up = last_heard.after(GRACE).next_tick(MONITOR_PERIOD);
        if now < given_up {
            return outcome.look_again(given_up);
        }
        if node.status.ready != ConditionStatus::Unknown {
            let message = format!("Node {} status is now: NodeNotReady", node.metadata.name);
            outcome.tell(BY, about, "NodeNotReady", message);
            (node.status.ready, node.status.ready_since) = (ConditionStatus::Unknown, Some(now));
            for pod in of_node(context.store, &node.metadata.name).filter(|pod| pod.status.ready) {
                outcome.warn(BY, pods::key_of(pod), "NodeNotReady", "Node is not ready");
                outcome.put(Object::Pod(with_ready(pod, false, now)));
            }
            return outcome.look_again(now.after(MONITOR_PERIOD));
        }
        let since = node.status.ready_since.unwrap_or(now).after(MONITOR_PERIOD);
        if now < since {
            return outcome.look_again(since);
        }
        if evictions_stop(context.store, node.zone()) {
            return node
                .spec
                .taints
                .retain(|taint| taint.key != UNREACHABLE_TAINT || taint.effect != "NoExecute");
        }
        if node.has_taint(UNREACHABLE_TAINT, "NoExecute") {
            return;
        }
        let zone = Name::from(node.zone());
        let turn = self.evicted.get(&zone).map(|last| last.after(EVICTION_PERIOD)).filter(|turn| now < *turn);
        if let Some(turn) = turn {
            return outcome.look_again(turn);
        }
        self.evicted.insert(zone, now);
        for effect in ["NoSchedule", "NoExecute"] {
            let taint = Taint {
                key: arcstr::literal!(UNREACHABLE_TAINT),
                effect: Name::from(effect),
                time_added: Some(now),
                ..Taint::default()
            };
            node.spec.taints.retain(|there| there.key != taint.key || there.effect != taint.effect);
            node.spec.taints.push(taint);
        }
    }

    /// The pods of a node whose object is gone: after a while they are taken to have ended.
    fn collect_orphans(&mut self, context: Context<'_>, node: &Name, outcome: &mut Outcome) {
        let Some(since) = self.gone.get(node) else { return };
        if of_node(context.store, node).next().is_none() {
            return;
        }
        let found = since.next_tick(COLLECT_PERIOD);
        let due = found.after(QUARANTINE).next_tick(COLLECT_PERIOD);
        if context.now < due {
            return outcome.look_again(due);
        }
        of_node(context.store, node).for_each(|pod| end(pod, outcome));
    }
}

/// The pods on a node.
fn of_node<'s>(store: &'s Store, node: &'s Name) -> impl Iterator<Item = &'s Arc<Pod>> {
    store.list::<Pod>(Kind::Pod).filter(move |pod| pod.spec.node_name == *node)
}

fn with_ready(pod: &Arc<Pod>, ready: bool, now: Time) -> Arc<Pod> {
    let mut pod = pod.clone();
    let status = &mut Arc::make_mut(&mut pod).status;
    (status.ready, status.ready_since) = (ready, Some(now));
    pod
}

/// Marks a pod as failed, so that it is nobody's endpoint, and deletes it without waiting for its kubelet.
fn end(pod: &Arc<Pod>, outcome: &mut Outcome) {
    let mut failed = pod.clone();
    let status = &mut Arc::make_mut(&mut failed).status;
    (status.phase, status.ready) = (Some(PodPhase::Failed), false);
    outcome.put(Object::Pod(failed));
    outcome.changes.push(Change::Delete(pods::key_of(pod)));
}

/// A node that is heard of again: it is ready, and nothing drives its pods away any more. What a snapshot says of a node
/// is believed.
fn came_back(context: Context<'_>, node: &mut Node, outcome: &mut Outcome) {
    if node.status.last_heartbeat.take().is_none() {
        return;
    }
    let about = Key::new(Kind::Node, "", node.metadata.name.clone());
    if node.status.ready != ConditionStatus::True {
        let message = format!("Node {} status is now: NodeReady", node.metadata.name);
        outcome.tell("kubelet", about, "NodeReady", message);
        (node.status.ready, node.status.ready_since) = (ConditionStatus::True, Some(context.now));
    }
    node.spec.taints.retain(|taint| taint.key != UNREACHABLE_TAINT);
    // Its kubelet finds out what it should not run, and stops it.
    node.status.left_behind.clear();
}

/// Whether so many nodes are lost that the fault is rather with whoever watches them: all of them ("full disruption"),
/// or most of a small zone and more than two (`--unhealthy-zone-threshold` 0.55, ReducedQPSFunc).
fn evictions_stop(store: &Store, zone: &str) -> bool {
    let is_lost = |node: &&Arc<Node>| node.status.ready != ConditionStatus::True;
    let nodes = || store.list::<Node>(Kind::Node);
    let of_zone = || nodes().filter(|node| node.zone() == zone);
    let (all, lost) = (of_zone().count(), of_zone().filter(is_lost).count());
    nodes().all(|node| is_lost(&node)) || (lost > 2 && lost * 100 >= all * 55 && all <= 50)
}

/// Deletes the pods that put up with the node's taints no longer.
fn evict(context: Context<'_>, node: &Arc<Node>, outcome: &mut Outcome) {
    let taints: Vec<&Taint> = node.spec.taints.iter().filter(|taint| taint.effect == "NoExecute").collect();
    if taints.is_empty() {
        return;
    }
    for pod in of_node(context.store, &node.metadata.name) {
        if pod.is_terminating() || pod.is_terminal() {
            continue;
        }
        let until = |taint: &&Taint| match pod.spec.tolerates(taint) {
            Some(u32::MAX) => None,
            seconds => Some(taint.time_added.unwrap_or(context.now).after_secs(seconds.unwrap_or(0))),
        };
        match taints.iter().filter_map(until).min() {
            Some(due) if due <= context.now => {
                let meta = &pod.metadata;
                let message = format!("Marking for deletion Pod {}/{}", meta.namespace, meta.name);
                outcome.tell(BY_EVICTION, pods::key_of(pod), "TaintManagerEviction", message);
                outcome.changes.push(pods::delete(pod, context.now));
                // The garbage collector may have something to do with it.
                outcome.look_again(context.now.after(Duration::from_millis(1)));
            }
            Some(due) => outcome.look_again(due),
            None => {}
        }
    }
}

/// Ends the pods that terminate on a node of which somebody vouches that it does not run (KEP-2268).
fn collect_out_of_service(context: Context<'_>, node: &Arc<Node>, outcome: &mut Outcome) {
    let out_of_service = node.spec.taints.iter().any(|taint| taint.key == OUT_OF_SERVICE_TAINT);
    if !out_of_service || node.status.ready == ConditionStatus::True {
        return;
    }
    for pod in of_node(context.store, &node.metadata.name).filter(|pod| pod.is_terminating()) {
        let asked = pod.metadata.deletion_requested().unwrap_or(context.now);
        let due = asked.after(Duration::from_millis(1)).next_tick(COLLECT_PERIOD);
        match due <= context.now {
            true => end(pod, outcome),
            false => outcome.look_again(due),
        }
    }
}

/// Whether a node's readiness changed: then it may be that the fault is with whoever watches, or not any more.
pub(super) fn readiness_changed(event: &Event) -> bool {
    let ready = |object: Option<&Object>| object.and_then(Node::of).map(|node| node.status.ready);
    ready(event.then()) != ready(event.now())
}
