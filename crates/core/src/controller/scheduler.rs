//! Takes the place of kube-scheduler: assigns pods in turn to the nodes that the filter plugins admit
//! (pkg/scheduler/framework/plugins). Resources are not considered, nodes are not scored, and nothing is preempted.

mod affinity;
mod filters;
mod node_filters;
mod spread;
mod volumes;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::ownership;
use super::queue::Task;
use crate::reconcile::names::digest;
use crate::reconcile::{Context, SyncResult};
use crate::store::{
    Condition, Event, Key, Kind, Labels, Name, Node, Object, Pod, PodPhase, PodSpec, Resource, Store, Stored,
    key_of, ordinal,
};

use filters::Cycle;
use node_filters::Refusal;
pub(super) use node_filters::UNSCHEDULABLE_TAINT;
pub(super) use volumes::reaches;

/// The component that records the scheduler's Events.
const COMPONENT: &str = "default-scheduler";

/// The nodes of a cluster, for scheduling several pods.
pub(super) struct Nodes<'a> {
    nodes: Vec<&'a Arc<Node>>,
    /// Whether every pod is constrained by other objects.
    constrained: bool,
}

impl<'a> Nodes<'a> {
    pub(super) fn of(store: &'a Store) -> Self {
        Nodes { nodes: in_order(store), constrained: store.constrains_all_pods() }
    }

    /// The node whose turn it is, or the next one that admits the pod. `None` for a pod that depends on other objects,
    /// which [`schedule`] places.
    pub(super) fn choose(&self, spec: &PodSpec, turn: usize) -> Option<&'a Arc<Node>> {
        if self.constrained || spec.shared.constraints.is_some() {
            return None;
        }
        in_turn(&self.nodes, turn).find(|node| admits(node, spec))
    }
}

/// The nodes by name, with numbers in names ordered numerically: `node-10` after `node-9`.
fn in_order(store: &Store) -> Vec<&Arc<Node>> {
    let mut nodes: Vec<&Arc<Node>> = store.list::<Node>(Kind::Node).collect();
    if nodes.len() > 9 {
        nodes.sort_by_cached_key(|node| {
            let name = &node.metadata.name;
            ordinal(name).map_or((name.as_str(), 0), |(prefix, number)| (prefix, number))
        });
    }
    nodes
}

fn in_turn<'n, 'a>(
    nodes: &'n [&'a Arc<Node>],
    turn: usize,
) -> impl Iterator<Item = &'a Arc<Node>> + use<'n, 'a> {
    let begin = turn % nodes.len().max(1);
    nodes[begin..].iter().chain(&nodes[..begin]).copied()
}

/// The pods of `namespace` that have a node and have not ended: those with all of `labels`, if any are given.
fn pods_in<'a>(
    store: &'a Store,
    namespace: &Name,
    labels: Option<&Labels>,
) -> impl Iterator<Item = &'a Arc<Pod>> + use<'a> {
    let labelled = labels.filter(|labels| !labels.is_empty());
    let selected = labelled.map(|labels| store.select_pods(namespace, labels)).unwrap_or_default();
    let all = labelled.is_none().then(|| store.list_prefixed::<Pod>(Kind::Pod, namespace, ""));
    let pods = selected.into_iter().chain(all.into_iter().flatten());
    pods.filter(|pod| !pod.spec.node_name.is_empty() && !pod.is_terminal())
}

/// Whether a node admits pods of `spec` regardless of other pods: it is not cordoned, the pod tolerates its taints, and
/// it has the labels that the pod requires.
fn admits(node: &Node, spec: &PodSpec) -> bool {
    node_filters::of_node(node, spec).is_none()
}

/// Whether a node matches the node selector and required node affinity of pods of `spec`.
pub(super) fn matches_node(node: &Node, spec: &PodSpec) -> bool {
    spec.shared.constraints.as_ref().is_none_or(|constraints| node_filters::matches_node(constraints, node))
}

/// Schedules the pod at `key`, if it has no node and is not gated.
pub(super) fn schedule(context: Context<'_>, key: &Key) -> Option<SyncResult> {
    let pod = context.store.get::<Pod>(Kind::Pod, &key.namespace, &key.name)?;
    if !pod.spec.node_name.is_empty() || pod.is_terminal() || pod.is_terminating() || pod.status.is_recorded()
    {
        return None;
    }
    let nodes = in_order(context.store);
    // A random suffix of digits is not an ordinal.
    let of_set = pod.metadata.controller().is_some_and(|owner| owner.kind == Kind::StatefulSet);
    let turn = match ordinal(&pod.metadata.name) {
        Some((_, ordinal)) if of_set => ordinal as usize,
        _ => age_among_siblings(context.store, pod).unwrap_or_else(|| digest(&pod.metadata.name)) as usize,
    };
    let mut result = SyncResult::default();
    let gated = pod.spec.shared.constraints.as_ref().is_some_and(|constraints| !constraints.gates.is_empty());
    if gated {
        // No Event: gated pods never reach the queue (schedulinggates, PreEnqueue).
        let message = "Scheduling is blocked due to non-empty scheduling gates";
        wait(context, pod, "SchedulingGated", message, &mut result);
        return Some(result);
    }
    match place(context.store, pod, &nodes, turn) {
        Ok(node) => {
            let name = node.metadata.name.clone();
            let message = format!("Successfully assigned {}/{} to {name}", key.namespace, key.name);
            result.emit_event(COMPONENT, key.clone(), "Scheduled", message);
            let mut pod = pod.clone();
            let bound = Arc::make_mut(&mut pod);
            bound.spec.node_name = name;
            bound.status.set_scheduled(context.now);
            result.put(Object::Pod(pod));
        }
        Err(message) => {
            if wait(context, pod, "Unschedulable", &message, &mut result) {
                result.emit_warning(COMPONENT, key.clone(), "FailedScheduling", message);
            }
        }
    }
    Some(result)
}

/// Age of a pod relative to its controller, in changes of the store. Pods created one after the other get the nodes in
/// turn, so that no node has many more of them than another, as with scoring by allocated resources.
fn age_among_siblings(store: &Store, pod: &Pod) -> Option<u64> {
    let controller = ownership::controller_key(&pod.metadata)?;
    let born = |key: &Key| store.stored(key).map(Stored::born);
    born(&key_of(pod))?.checked_sub(born(&controller)?)
}

/// Whether `task` schedules a pod that depends on others.
pub(super) fn depends_on_others(store: &Store, task: &Task) -> bool {
    let Task::Pod(key) = task else { return false };
    let pod = store.get::<Pod>(Kind::Pod, &key.namespace, &key.name);
    pod.filter(|pod| pod.spec.node_name.is_empty())
        .is_some_and(|pod| pod.spec.shared.constraints.is_some() || store.constrains_all_pods())
}

/// The node for a pod, or the message of FitError.Error.
fn place<'a>(
    store: &'a Store,
    pod: &Arc<Pod>,
    nodes: &[&'a Arc<Node>],
    turn: usize,
) -> Result<&'a Arc<Node>, String> {
    let count = nodes.len();
    if count == 0 {
        return Err("no nodes available to schedule pods".into());
    }
    let cycle = Cycle::new(store, pod, nodes)
        // The preemption finds no status of any node then, hence the suffix.
        .map_err(|why| format!("0/{count} nodes are available: {why}. not found"))?;
    let mut refusals = Vec::with_capacity(count);
    for node in in_turn(nodes, turn) {
        match cycle.filter(node) {
            None => return Ok(node),
            Some(refusal) => refusals.push(refusal),
        }
    }
    Err(unschedulable(&refusals))
}

/// The message for a pod that no node admits. Preemption does not help if removing pods would change nothing, and
/// otherwise finds no victims: all pods have the same priority.
fn unschedulable(refusals: &[Refusal]) -> String {
    let count = refusals.len();
    let histogram = |reasons: &mut dyn Iterator<Item = &str>| {
        let reasons: Vec<&str> = reasons.collect();
        let distinct: BTreeSet<&str> = reasons.iter().copied().collect();
        let mut counted: Vec<String> = distinct
            .into_iter()
            .map(|reason| format!("{} {reason}", reasons.iter().filter(|other| **other == reason).count()))
            .collect();
        counted.sort_unstable();
        counted.join(", ")
    };
    let reasons = histogram(&mut refusals.iter().map(|refusal| refusal.reason));
    let preemption = histogram(&mut refusals.iter().map(|refusal| {
        if refusal.resolvable {
            "No preemption victims found for incoming pod"
        } else {
            "Preemption is not helpful for scheduling"
        }
    }));
    format!(
        "0/{count} nodes are available: {reasons}. no new claims to deallocate, preemption: 0/{count} nodes are available: \
         {preemption}."
    )
}

/// Records why the pod waits. Returns whether the reason is new.
fn wait(
    context: Context<'_>,
    pod: &Arc<Pod>,
    reason: &'static str,
    message: &str,
    result: &mut SyncResult,
) -> bool {
    let condition = Condition::unscheduled(reason, message, context.now);
    let mut waiting = pod.clone();
    let status = &mut Arc::make_mut(&mut waiting).status;
    if status.phase.is_none() {
        (status.phase, status.simulated) = (Some(PodPhase::Pending), true);
    }
    let news = status.set_condition(condition);
    if news {
        result.put(Object::Pod(waiting));
    }
    news
}

/// The pods that no node admitted.
#[derive(Default)]
pub(super) struct Waiting(BTreeSet<Key>);

impl Waiting {
    /// Observes an event. Returns the pods that may be schedulable now.
    pub(super) fn observe(&mut self, store: &Store, event: &Event) -> Vec<Key> {
        if let Object::Pod(pod) = event.object() {
            let waits = event.after.is_some() && pod.spec.node_name.is_empty() && pod.status.waits_for_node();
            if waits {
                self.0.insert(key_of(pod));
                return Vec::new();
            }
            if self.0.is_empty() {
                return Vec::new();
            }
            self.0.remove(&key_of(pod));
        }
        if self.0.is_empty() {
            return Vec::new();
        }
        let concerned = Affected::of(event);
        let waiting = |key: &&Key| {
            let pod = store.get::<Pod>(Kind::Pod, &key.namespace, &key.name);
            pod.is_some_and(|pod| concerned.is_of(pod))
        };
        match concerned {
            Affected::Nothing => Vec::new(),
            _ => self.0.iter().filter(waiting).cloned().collect(),
        }
    }
}

/// Which waiting pods an event may affect (the plugins' EventsToRegister).
enum Affected<'e> {
    Nothing,
    /// A pod was assigned to a node, removed from it, or has other labels.
    Pods {
        repelled: bool,
    },
    /// A claim or a volume changed.
    Volumes(Option<&'e str>),
}

impl<'e> Affected<'e> {
    fn of(event: &'e Event) -> Self {
        match event.object() {
            Object::Pod(_) => {
                let on_node = |pod: &&Arc<Pod>| !pod.spec.node_name.is_empty() && !pod.is_terminal();
                let (then, now) = (event.then().and_then(Pod::of), event.now().and_then(Pod::of));
                let (then, now) = (then.filter(on_node), now.filter(on_node));
                let seen = |pod: &Arc<Pod>| (pod.metadata.labels.clone(), pod.is_terminating());
                if then.map(seen) == now.map(seen) {
                    return Affected::Nothing;
                }
                let repels = |pod: &Arc<Pod>| {
                    pod.spec.shared.constraints.as_ref().is_some_and(|all| !all.anti_affinity.is_empty())
                };
                Affected::Pods { repelled: then.is_some_and(repels) }
            }
            Object::Namespace(_) => Affected::Pods { repelled: true },
            Object::PersistentVolumeClaim(claim) => Affected::Volumes(Some(&claim.metadata.namespace)),
            Object::PersistentVolume(_) => Affected::Volumes(None),
            _ => Affected::Nothing,
        }
    }

    fn is_of(&self, pod: &Pod) -> bool {
        let shared = &pod.spec.shared;
        let constraints = shared.constraints.as_ref();
        match self {
            Affected::Nothing => false,
            Affected::Pods { repelled } => *repelled || constraints.is_some_and(|all| all.depend_on_pods()),
            Affected::Volumes(namespace) => {
                let claims = constraints.is_some_and(|all| !all.claims.is_empty());
                (claims || !shared.claim_templates.is_empty())
                    && namespace.is_none_or(|namespace| pod.metadata.namespace == namespace)
            }
        }
    }
}

#[cfg(test)]
mod tests;
