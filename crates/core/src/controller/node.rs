//! The node lifecycle controller, the taint eviction controller and the pod garbage collector
//! (pkg/controller/nodelifecycle, tainteviction, podgc): handle unreachable nodes and their pods.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::pods;
use super::scheduler::UNSCHEDULABLE_TAINT;
use crate::reconcile::{Context, SyncResult};
use crate::store::{
    Condition, ConditionStatus, Event, Key, Kind, LeftBehind, Machine, Name, Node, OUT_OF_SERVICE_TAINT,
    Object, Pod, PodPhase, Resource, Store, Taint, Time, UNREACHABLE_TAINT, is_out_of_reach, key_of,
};

/// Reporting components of their Events.
const COMPONENT: &str = "node-controller";
const EVICTION_COMPONENT: &str = "taint-eviction-controller";

/// Time after its last heartbeat when a node counts as unreachable (`--node-monitor-grace-period`).
const GRACE: Duration = Duration::from_secs(50);
/// Interval at which nodes are checked (`--node-monitor-period`).
const MONITOR_PERIOD: Duration = Duration::from_secs(5);
/// Minimum time between evictions of two nodes of a zone (`--node-eviction-rate`, 0.1 a second).
const EVICTION_PERIOD: Duration = Duration::from_secs(10);
/// Interval of the pod garbage collector.
const COLLECT_PERIOD: Duration = Duration::from_secs(20);
/// Time that it waits for a missing node to be created again.
const QUARANTINE: Duration = Duration::from_secs(40);

/// State of the node controllers.
#[derive(Default)]
pub(super) struct Lifecycle {
    /// When the pods of a node of each zone were last evicted.
    evicted: BTreeMap<Name, Time>,
    /// Deleted nodes, and the time of deletion.
    gone: BTreeMap<Name, Time>,
    /// Pods that still run on a node after their deletion, until they are recorded in the node's status.
    left_behind: BTreeMap<Name, Vec<LeftBehind>>,
    /// The pods that taints evict, now or later, and their nodes.
    evicting: BTreeMap<Key, Name>,
    /// Those of them that were deleted since, by node, until an Event is recorded.
    cancelled: BTreeMap<Name, Vec<Key>>,
    /// The nodes with a taint that evicts pods. Usually there are none, and no pod's node has to be looked up.
    evictors: BTreeSet<Name>,
}

/// Whether a taint of `node` evicts the pods that do not tolerate it.
fn evicts(node: &Node) -> bool {
    node.spec.taints.iter().any(|taint| taint.effect == "NoExecute")
}

impl Lifecycle {
    /// Observes nodes that are created or deleted, pods that are removed without their kubelet, and pods that get a
    /// node with evicting taints. Returns the node to enqueue.
    pub(super) fn observe(&mut self, store: &Store, now: Time, event: &Event) -> Option<Name> {
        let unscheduled = self.observe_eviction(store, event);
        self.observe_absence(store, now, event).or(unscheduled)
    }

    /// Observes events for the taint eviction controller.
    fn observe_eviction(&mut self, store: &Store, event: &Event) -> Option<Name> {
        if let Object::Node(node) = event.object() {
            if event.after.is_some() && evicts(node) {
                self.evictors.insert(node.metadata.name.clone());
            } else {
                self.evictors.remove(&node.metadata.name);
            }
        }
        let Object::Pod(pod) = event.object() else { return None };
        if event.after.is_none() {
            if self.evicting.is_empty() {
                return None;
            }
            let key = key_of(pod);
            let node = self.evicting.remove(&key)?;
            self.cancelled.entry(node.clone()).or_default().push(key);
            return Some(node);
        }
        // A node that is tainted later is enqueued by that event.
        if self.evictors.is_empty() {
            return None;
        }
        let before = event.then().and_then(Pod::of).map(|before| &before.spec.node_name);
        let name = Some(&pod.spec.node_name).filter(|name| !name.is_empty() && before != Some(name))?;
        let node = store.get::<Node>(Kind::Node, "", name)?;
        evicts(node).then(|| name.clone())
    }

    fn observe_absence(&mut self, store: &Store, now: Time, event: &Event) -> Option<Name> {
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

    /// Whether a node was deleted: its kubelet has no object to report to.
    pub(super) fn is_gone(&self, node: &Name) -> bool {
        self.gone.contains_key(node)
    }

    /// Syncs a node.
    pub(super) fn sync(&mut self, context: Context<'_>, name: &Name) -> SyncResult {
        let mut result = SyncResult::default();
        self.cancelled
            .remove(name)
            .into_iter()
            .flatten()
            .for_each(|key| record_cancellation(key, &mut result));
        let Some(node) = context.store.get::<Node>(Kind::Node, "", name) else {
            self.collect_orphans(context, name, &mut result);
            return result;
        };
        let mut next = (**node).clone();
        next.status.left_behind.extend(self.left_behind.remove(name).unwrap_or_default());
        match node.machine() {
            Machine::Up => mark_reachable(context, &mut next, &mut result),
            Machine::Unreachable | Machine::Off => self.mark_lost(context, &mut next, &mut result),
        }
        if node.machine() == Machine::Off {
            // Nothing runs on a machine that is off.
            next.status.left_behind.clear();
        }
        taint_cordoned(context, &mut next);
        if next != **node {
            // Evictions depend on the updated node.
            result.put(Object::Node(Arc::new(next)));
            return result;
        }
        self.evict(context, node, &mut result);
        collect_out_of_service(context, node, &mut result);
        result
    }

    /// An unreachable node: after the grace period the node and its pods become not ready, then it is tainted.
    fn mark_lost(&mut self, context: Context<'_>, node: &mut Node, result: &mut SyncResult) {
        let now = context.now;
        let about = Key::new(Kind::Node, "", node.metadata.name.clone());
        let last_heard = *node.status.last_heartbeat.get_or_insert(now);
        let given_up = last_heard.after(GRACE).next_tick(MONITOR_PERIOD);
        if now < given_up {
            return result.requeue_at(given_up);
        }
        if node.status.ready != ConditionStatus::Unknown {
            let message = format!("Node {} status is now: NodeNotReady", node.metadata.name);
            result.emit_event(COMPONENT, about, "NodeNotReady", message);
            (node.status.ready, node.status.ready_since) = (ConditionStatus::Unknown, Some(now));
            taint(node, UNREACHABLE_TAINT, "NoSchedule", now);
            for pod in of_node(context.store, &node.metadata.name).filter(|pod| pod.status.ready) {
                result.emit_warning(COMPONENT, key_of(pod), "NodeNotReady", "Node is not ready");
                result.put(Object::Pod(not_ready(pod, now)));
            }
            return result.requeue_at(now.after(MONITOR_PERIOD));
        }
        let since = node.status.ready_since.unwrap_or(now).after(MONITOR_PERIOD);
        if now < since {
            return result.requeue_at(since);
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
            return result.requeue_at(turn);
        }
        self.evicted.insert(zone, now);
        taint(node, UNREACHABLE_TAINT, "NoExecute", now);
    }

    /// The pods of a deleted node: after the quarantine they count as failed.
    fn collect_orphans(&mut self, context: Context<'_>, node: &Name, result: &mut SyncResult) {
        let Some(since) = self.gone.get(node) else { return };
        if of_node(context.store, node).next().is_none() {
            return;
        }
        let found = since.next_tick(COLLECT_PERIOD);
        let due = found.after(QUARANTINE).next_tick(COLLECT_PERIOD);
        if context.now < due {
            return result.requeue_at(due);
        }
        for pod in of_node(context.store, node) {
            let condition =
                Condition::disruption("DeletionByPodGC", "PodGC: node no longer exists", context.now);
            fail_and_delete(pod, Some(condition), context.now, result);
        }
    }

    /// Deletes the pods that do not tolerate the node's taints, or no longer (tainteviction, processPodOnNode).
    fn evict(&mut self, context: Context<'_>, node: &Arc<Node>, result: &mut SyncResult) {
        let name = &node.metadata.name;
        let taints: Vec<&Taint> =
            node.spec.taints.iter().filter(|taint| taint.effect == "NoExecute").collect();
        if taints.is_empty() {
            let stay: Vec<Key> =
                self.evicting.iter().filter(|(_, on)| *on == name).map(|(key, _)| key.clone()).collect();
            for key in stay {
                self.evicting.remove(&key);
                record_cancellation(key, result);
            }
            return;
        }
        for pod in of_node(context.store, name) {
            if pod.is_terminating() || pod.is_terminal() {
                continue;
            }
            let key = key_of(pod);
            let until = |taint: &&Taint| match pod.spec.tolerates(taint) {
                Some(u32::MAX) => None,
                seconds => Some(taint.time_added.unwrap_or(context.now).after_secs(seconds.unwrap_or(0))),
            };
            match taints.iter().filter_map(until).min() {
                Some(due) if due <= context.now => {
                    let meta = &pod.metadata;
                    let message = format!("Marking for deletion Pod {}/{}", meta.namespace, meta.name);
                    result.emit_event(EVICTION_COMPONENT, key.clone(), "TaintManagerEviction", message);
                    let mut marked = pod.clone();
                    Arc::make_mut(&mut marked).status.set_condition(Condition::disruption(
                        "DeletionByTaintManager",
                        "Taint manager: deleting due to NoExecute taint",
                        context.now,
                    ));
                    result.put(Object::Pod(marked.clone()));
                    result.changes.push(pods::delete(&marked, context.now));
                    // A deletion that has started is not cancelled (TimedWorkerQueue.CancelWork).
                    self.evicting.remove(&key);
                    // The garbage collector may have to process it.
                    result.requeue_at(context.now.after(Duration::from_millis(1)));
                }
                Some(due) => {
                    self.evicting.insert(key, name.clone());
                    result.requeue_at(due);
                }
                None => {
                    if self.evicting.remove(&key).is_some() {
                        record_cancellation(key, result);
                    }
                }
            }
        }
    }
}

/// Records that the eviction of a pod by taints was cancelled, or that the pod has been deleted.
fn record_cancellation(pod: Key, result: &mut SyncResult) {
    let message = format!("Cancelling deletion of Pod {}/{}", pod.namespace, pod.name);
    result.emit_event(EVICTION_COMPONENT, pod, "TaintManagerEviction", message);
}

/// Adds a taint, or updates its time.
fn taint(node: &mut Node, key: &'static str, effect: &'static str, now: Time) {
    let taint =
        Taint { key: Name::from(key), effect: Name::from(effect), time_added: Some(now), ..Taint::default() };
    node.spec.taints.retain(|there| there.key != taint.key || there.effect != taint.effect);
    node.spec.taints.push(taint);
}

/// Taints a cordoned node, and removes the taint from others (nodelifecycle, doNoScheduleTaintingPass).
fn taint_cordoned(context: Context<'_>, node: &mut Node) {
    let tainted = node.has_taint(UNSCHEDULABLE_TAINT, "NoSchedule");
    if node.spec.unschedulable && !tainted {
        taint(node, UNSCHEDULABLE_TAINT, "NoSchedule", context.now);
    } else if !node.spec.unschedulable && tainted {
        node.spec.taints.retain(|taint| taint.key != UNSCHEDULABLE_TAINT || taint.effect != "NoSchedule");
    }
}

/// The pods on a node.
fn of_node<'s>(store: &'s Store, node: &'s Name) -> impl Iterator<Item = &'s Arc<Pod>> {
    store.list::<Pod>(Kind::Pod).filter(move |pod| pod.spec.node_name == *node)
}

/// The pod with its condition `Ready` set to false; its containers may still be ready (MarkPodsNotReady).
fn not_ready(pod: &Arc<Pod>, now: Time) -> Arc<Pod> {
    let mut pod = pod.clone();
    let status = &mut Arc::make_mut(&mut pod).status;
    (status.ready, status.ready_since) = (false, Some(now));
    pod
}

/// Marks a pod that has not ended as failed, so that it is not an endpoint, and deletes it without waiting for its
/// kubelet. A pod that has ended keeps its phase (podgc, markFailedAndDeletePodWithCondition).
fn fail_and_delete(pod: &Arc<Pod>, condition: Option<Condition>, now: Time, result: &mut SyncResult) {
    if pod.is_terminal() {
        result.changes.push(pods::delete(pod, now));
        return;
    }
    let mut failed = pod.clone();
    let status = &mut Arc::make_mut(&mut failed).status;
    (status.phase, status.ready) = (Some(PodPhase::Failed), false);
    condition.map(|condition| status.set_condition(condition));
    result.put(Object::Pod(failed.clone()));
    result.changes.push(pods::delete(&failed, now));
}

/// A reachable node: it becomes ready, and its taints are removed. The status of a node from a snapshot is not changed.
fn mark_reachable(context: Context<'_>, node: &mut Node, result: &mut SyncResult) {
    if node.status.last_heartbeat.take().is_none() {
        return;
    }
    let about = Key::new(Kind::Node, "", node.metadata.name.clone());
    if node.status.ready != ConditionStatus::True {
        let message = format!("Node {} status is now: NodeReady", node.metadata.name);
        result.emit_event("kubelet", about, "NodeReady", message);
        (node.status.ready, node.status.ready_since) = (ConditionStatus::True, Some(context.now));
    }
    node.spec.taints.retain(|taint| taint.key != UNREACHABLE_TAINT);
    // Its kubelet learns which containers it should not run, and stops them.
    node.status.left_behind.clear();
}

/// Whether so many nodes are unreachable that the control plane's own network is suspect: all of them ("full
/// disruption"), or most of a small zone and more than two (`--unhealthy-zone-threshold` 0.55, ReducedQPSFunc).
fn evictions_stop(store: &Store, zone: &str) -> bool {
    let is_lost = |node: &&Arc<Node>| node.status.ready != ConditionStatus::True;
    let nodes = || store.list::<Node>(Kind::Node);
    let of_zone = || nodes().filter(|node| node.zone() == zone);
    let (all, lost) = (of_zone().count(), of_zone().filter(is_lost).count());
    nodes().all(|node| is_lost(&node)) || (lost > 2 && lost * 100 >= all * 55 && all <= 50)
}

/// Removes the terminating pods of a node that the out-of-service taint declares to be off (KEP-2268).
fn collect_out_of_service(context: Context<'_>, node: &Arc<Node>, result: &mut SyncResult) {
    let out_of_service = node.spec.taints.iter().any(|taint| taint.key == OUT_OF_SERVICE_TAINT);
    if !out_of_service || node.status.ready == ConditionStatus::True {
        return;
    }
    for pod in of_node(context.store, &node.metadata.name).filter(|pod| pod.is_terminating()) {
        let asked = pod.metadata.deletion_requested().unwrap_or(context.now);
        let due = asked.after(Duration::from_millis(1)).next_tick(COLLECT_PERIOD);
        if due <= context.now {
            fail_and_delete(pod, None, context.now, result)
        } else {
            result.requeue_at(due)
        }
    }
}

/// Whether a node's readiness changed: a disruption may start or end.
pub(super) fn readiness_changed(event: &Event) -> bool {
    let ready = |object: Option<&Object>| object.and_then(Node::of).map(|node| node.status.ready);
    ready(event.then()) != ready(event.now())
}
