//! The controllers' event handlers: which tasks an event enqueues.

use rustc_hash::FxHashSet;

use super::queue::{Queues, Task};
use super::{cronjob, disruption, endpointslice, namespace, quota as quotas};
use crate::admission::quota;
use crate::kubelet;
use crate::reconcile::deletion;
use crate::store::{
    ConditionStatus, CronJob, EndpointSlice, Endpoints, Event, Key, Kind, Labels, Name, Node, Object,
    ObjectMeta, PersistentVolumeClaim, Pod, Resource, SLICE_CONTROLLER, Selecting, Store, Time, Workload,
    key_of, ordinal, owner_of, set_named_by,
};

/// The Services whose slices come from a snapshot, and those of them whose pods have changed since. A snapshot is
/// authoritative until a client changes the cluster.
#[derive(Default)]
pub(super) struct SnapshotOwnership {
    driven: bool,
    services: FxHashSet<(Name, Name)>,
    /// The Services that had slices or Endpoints in the input when a client first changed the cluster. Those that a
    /// client writes later do not count as a snapshot's.
    recorded: FxHashSet<(Name, Name)>,
}

impl SnapshotOwnership {
    /// Whether slices and Endpoints of a Service that no controller here created are its endpoints.
    pub(super) fn owns(&self, namespace: &Name, service: &Name) -> bool {
        !self.has(namespace, service)
            && (!self.driven || self.recorded.contains(&(namespace.clone(), service.clone())))
    }

    fn has(&self, namespace: &Name, service: &Name) -> bool {
        self.services.contains(&(namespace.clone(), service.clone()))
    }

    pub(super) fn is_driven(&self) -> bool {
        self.driven
    }

    /// Marks the cluster as changed by a client. Returns the tasks that have to be repeated because of that.
    pub(super) fn drive(&mut self, store: &Store) -> Vec<Task> {
        if std::mem::replace(&mut self.driven, true) {
            return Vec::new();
        }
        let slices = store.list::<EndpointSlice>(Kind::EndpointSlice);
        let slices = slices.filter(|slice| !slice.metadata.synthesized);
        let of_slices = slices
            .filter_map(|slice| Some((slice.metadata.namespace.clone(), slice.service_name()?.clone())));
        let endpoints = store.list::<Endpoints>(Kind::Endpoints);
        let endpoints = endpoints.filter(|endpoints| !endpoints.metadata.synthesized);
        let of_endpoints = endpoints.map(|all| (all.metadata.namespace.clone(), all.metadata.name.clone()));
        self.recorded = of_slices.chain(of_endpoints).collect();
        let recorded = store.list::<Pod>(Kind::Pod).filter(|pod| pod.status.is_recorded());
        let owners: FxHashSet<Key> = recorded.filter_map(|pod| owner_of(pod)).collect();
        let mut owners: Vec<Key> = owners.into_iter().collect();
        owners.sort_unstable();
        owners.into_iter().map(Task::Workload).collect()
    }

    /// Records a change of a Service's pod. Returns whether the Service's slices follow its pods from now on.
    fn observe_pod(&mut self, store: &Store, namespace: &Name, service: &Name) -> bool {
        if !self.driven || self.has(namespace, service) {
            return false;
        }
        let by_controller = |slice: &EndpointSlice| slice.is_managed_by(SLICE_CONTROLLER);
        let all_managed = store.slices_of(namespace, service).into_iter().all(|slice| by_controller(slice));
        all_managed && self.services.insert((namespace.clone(), service.clone()))
    }
}

/// An event, with the context that the handlers need.
#[derive(Clone, Copy)]
pub(super) struct Observed<'a> {
    pub(super) store: &'a Store,
    pub(super) now: Time,
    /// The namespaces that are being deleted.
    pub(super) terminating: &'a FxHashSet<Name>,
    pub(super) event: &'a Event,
}

/// Enqueues the tasks that an event triggers.
pub(super) fn enqueue(
    queues: &mut Queues,
    snapshot: &mut SnapshotOwnership,
    selecting: &mut Selecting<'_>,
    Observed { store, now, terminating, event }: Observed<'_>,
) {
    let object = event.object();
    let key = object.key();
    let gone = event.after.is_none();
    match object {
        Object::Job(job) => {
            push_owner(queues, object);
            // A finished Job is enqueued for its TTL.
            let finished = job.status.conditions.iter().next().is_some() && is_status_only(event);
            if !gone && (!is_status_only(event) || finished) {
                queues.push(Task::Workload(key));
            }
        }
        Object::StatefulSet(_)
        | Object::Deployment(_)
        | Object::ReplicaSet(_)
        | Object::ReplicationController(_)
        | Object::DaemonSet(_) => {
            // The child controller has to act before its owner: a ReplicaSet that was scaled has counted its pods when
            // the Deployment is synced.
            if !gone && !is_status_only(event) {
                queues.push(Task::Workload(key));
            }
            push_owner(queues, object);
        }
        Object::CronJob(_) if gone || is_status_only(event) => {}
        Object::CronJob(cron) => {
            // A new schedule starts with its next time (updateCronJob).
            let next = event.then().and_then(CronJob::of).and_then(|before| cronjob::next(before, cron, now));
            match next {
                Some(next) => queues.set_timer(&Task::Workload(key), Some(next)),
                None => queues.push(Task::Workload(key)),
            }
        }
        Object::Service(_) => {
            queues.push_endpoints(&key.namespace, &key.name, None);
            queues.push(Task::Service(key));
        }
        Object::Pod(pod) => {
            // A pod that is ready when it is created is not news to the workload that created and counted it.
            let is_made = event.before.is_none()
                && pod.metadata.synthesized
                && pod.is_running_and_ready()
                && pod.metadata.controller().is_none_or(|owner| owner.kind != Kind::DaemonSet);
            let no_news = is_made || is_annotated_only(event);
            let before = event.then().and_then(Pod::of).filter(|_| !no_news).and_then(|pod| owner_of(pod));
            let owner = || owner_of(pod).filter(|owner| !no_news || pins(store, owner));
            let now = if is_made { None } else { owner() };
            // A set may wait until the name of a pod of another controller is free.
            let named = gone.then(|| set_named_by(pod)).flatten();
            if let Some(other) = before.filter(|before| now.as_ref() != Some(before)) {
                queues.push(Task::Workload(other));
            }
            if let Some(set) = named.filter(|set| now.as_ref() != Some(set)) {
                queues.push(Task::Workload(set));
            }
            if let Some(owner) = now {
                // `Recreate` waits for the last pod of the old ReplicaSet, which no longer counts it.
                if let Some(set) = store.object(&owner).filter(|_| gone) {
                    push_owner(queues, set);
                }
                queues.push(Task::Workload(owner));
            }
            enqueue_adopters(queues, store, event);
            enqueue_selecting(queues, snapshot, store, selecting, event);
            let labels = event.both().map(|pod| &pod.metadata().labels);
            for budget in disruption::concerned(store, &key.namespace, labels) {
                queues.push(Task::Budget(budget));
            }
            if gone {
                let claims = pod
                    .all_claims()
                    .map(|claim| Key::new(Kind::PersistentVolumeClaim, key.namespace.clone(), claim));
                claims.for_each(|claim| queues.push(Task::Claim(claim)));
            }
            if !gone && kubelet::needs_sync(pod) {
                queues.push(Task::Pod(key));
            }
        }
        Object::EndpointSlice(_) => {
            for object in event.both() {
                let Object::EndpointSlice(slice) = object else { continue };
                // A slice written by its controller needs no sync; one that a client wrote or deleted is restored.
                let own = slice.metadata.synthesized && slice.metadata.given.is_none() && !gone;
                if let Some(service) = slice.service_name().filter(|_| !own) {
                    queues.push_endpoints(&key.namespace, service, None);
                }
            }
        }
        // Endpoints written by their controller need no sync.
        Object::Endpoints(endpoints) if !gone && endpoints.derived.is_some() => {}
        Object::Endpoints(_) => queues.push_endpoints(&key.namespace, &key.name, None),
        Object::Node(node) => {
            queues.push(Task::Node(key.name.clone()));
            if gone || event.before.is_none() {
                queues.mark_nodes_changed();
            }
            if super::node::readiness_changed(event) {
                let lost = |node: &&std::sync::Arc<Node>| node.status.ready != ConditionStatus::True;
                let others = store.list::<Node>(Kind::Node).filter(lost);
                others.for_each(|node| queues.push(Task::Node(node.metadata.name.clone())));
            }
            for set in store.list::<Workload>(Kind::DaemonSet) {
                queues.push(Task::Workload(set.metadata.key(Kind::DaemonSet)));
            }
            let was_there = event.then().and_then(Node::of);
            for pod in store.list::<Pod>(Kind::Pod).filter(|pod| is_of_node(pod, node, was_there.is_none())) {
                queues.push(Task::Pod(key_of(pod)));
            }
        }
        Object::PersistentVolumeClaim(claim) => {
            queues.push(Task::Claim(key));
            if let Some(set) = claim_set(store, claim).filter(|_| gone) {
                queues.push(Task::Workload(set));
            }
        }
        Object::Namespace(namespace) => match namespace.metadata.deletion_timestamp {
            _ if gone => {}
            Some(_) => queues.push(Task::Namespace(key.name)),
            None => queues.push(Task::Contents(key.name)),
        },
        Object::Inert(Kind::PodDisruptionBudget, _) if !gone => queues.push(Task::Budget(key)),
        Object::Inert(..) if namespace::concerns(&key) => queues.push(Task::Contents(key.namespace)),
        Object::PersistentVolume(_)
        | Object::ControllerRevision(_)
        | Object::Event(_)
        | Object::Fault(_)
        | Object::Inert(..) => {}
    }
    enqueue_garbage(queues, store, event);
    if quota::is_in(store, &object.metadata().namespace) {
        let task = Task::Quota(object.metadata().namespace.clone());
        if quotas::is_status_only(event) {
            // A status that a client writes stays until all quotas are resynced.
            queues.set_timer(&task, Some(now.next_tick(quotas::RESYNC)));
        } else {
            queues.push(task);
        }
    }
    let links_differ = || match (event.then(), event.now()) {
        (Some(then), Some(now)) => then.metadata().links != now.metadata().links,
        _ => true,
    };
    let namespace = &object.metadata().namespace;
    if terminating.contains(namespace) && links_differ() {
        queues.push(Task::Namespace(namespace.clone()));
    }
}

/// Enqueues tasks of the garbage collector: dependents whose owner was deleted or waits for them, an owner that waits
/// for its dependents, and a new object whose owners may have been deleted.
fn enqueue_garbage(queues: &mut Queues, store: &Store, event: &Event) {
    let meta = event.object().metadata();
    let is_new = event.before.is_none();
    let waits = || deletion::is_foreground(meta) || deletion::is_orphaning(meta);
    if (event.after.is_none() || is_new) && store.dependents_count(&event.object().key()) > 0
        || (event.after.is_some() && waits())
    {
        queues.push(Task::Garbage(event.object().key()));
    }
    let linked =
        |object: Option<&Object>| object.map(|object| object.metadata().links.clone()).unwrap_or_default();
    let (then, now) = (linked(event.then()), linked(event.now()));
    if then == now {
        return;
    }
    for owner in then.owners().iter().map(|owner| owner.key(&meta.namespace)) {
        if store.object(&owner).is_some_and(|owner| deletion::is_foreground(owner.metadata())) {
            queues.push(Task::Garbage(owner));
        }
    }
    // The owner of an object that a controller creates exists.
    if !meta.synthesized && now.owners().iter().any(|owner| owner.uid.is_some()) {
        queues.push(Task::Owned(event.object().key()));
    }
}

/// Enqueues the workloads that may adopt an orphan, because their selector matches it (the controllers'
/// getPodReplicaSets and similar functions).
fn enqueue_adopters(queues: &mut Queues, store: &Store, event: &Event) {
    let (before, after) = (event.then().and_then(Pod::of), event.now().and_then(Pod::of));
    let Some(pod) = after.filter(|pod| pod.metadata.links.is_orphan() && !pod.is_terminating()) else {
        return;
    };
    let same = |before: &std::sync::Arc<Pod>| before.metadata.labels == pod.metadata.labels;
    if before.is_none_or(|before| before.metadata.controller().is_some() || !same(before)) {
        let claimants = store.workloads_selecting(&pod.metadata.namespace, &pod.metadata.labels);
        claimants.into_iter().for_each(|claimant| queues.push(Task::Workload(claimant)));
    }
}

/// Whether only the status of a workload changed, written by its controller.
fn is_status_only(event: &Event) -> bool {
    match (&event.before, &event.after) {
        (Some(before), Some(after)) => {
            before.generation == after.generation && before.object.metadata() == after.object.metadata()
        }
        _ => false,
    }
}

fn push_owner(queues: &mut Queues, object: &Object) {
    let meta = object.metadata();
    if let Some(owner) = meta.controller() {
        queues.push(Task::Workload(Key::new(owner.kind, meta.namespace.clone(), owner.name.clone())));
    }
}

/// Whether a change of `node` may affect `pod`: the pod is on it, or waits for a node. A node that is created during
/// start-up is not news to pods that are not started yet.
fn is_of_node(pod: &Pod, node: &Node, new: bool) -> bool {
    let on_it = pod.spec.node_name == node.metadata.name;
    pod.spec.is_on_host_network()
        || (on_it && !new)
        || (pod.spec.node_name.is_empty() && kubelet::needs_sync(pod))
}

/// The set whose pod waits for a claim to be deleted.
fn claim_set(store: &Store, claim: &PersistentVolumeClaim) -> Option<Key> {
    let meta = &claim.metadata;
    let mut sets = store.list_in::<crate::store::StatefulSet>(Kind::StatefulSet, &meta.namespace);
    let of = |set: &&std::sync::Arc<crate::store::StatefulSet>| {
        let own = |template: &crate::store::ClaimTemplate| {
            let name = meta.name.strip_prefix(template.metadata.name.as_str())?.strip_prefix('-')?;
            Some(ordinal(name)?.0 == set.metadata.name)
        };
        set.spec.volume_claim_templates.iter().any(|template| own(template).unwrap_or(false))
    };
    let set = sets.find(of)?;
    Some(set.metadata.key(Kind::StatefulSet))
}

/// Whether only the annotations of a pod changed: they affect its kubelet, not its workload.
fn is_annotated_only(event: &Event) -> bool {
    let (Some(Object::Pod(then)), Some(Object::Pod(now))) = (event.then(), event.now()) else { return false };
    let annotations = then.metadata.annotations.clone();
    then.spec == now.spec
        && then.status == now.status
        && then.metadata
            == ObjectMeta { annotations, given: then.metadata.given.clone(), ..now.metadata.clone() }
}

/// Whether the annotations of a workload may affect those of its pods: the addresses it pins them to.
fn pins(store: &Store, workload: &Key) -> bool {
    store.object(workload).is_some_and(|workload| !workload.metadata().annotations.is_empty())
}

/// The effect of a change of a pod on the endpoints of a Service.
#[derive(PartialEq)]
enum Shift {
    Nothing,
    /// Its endpoint stays at its position: only its conditions `ready` and `terminating` change.
    Readiness,
    Anything,
}

impl Shift {
    fn of(event: &Event) -> Self {
        let (Some(Object::Pod(then)), Some(Object::Pod(now))) = (event.then(), event.now()) else {
            return Shift::Anything;
        };
        let stays = then.metadata.labels == now.metadata.labels
            && then.spec == now.spec
            && then.status.ips == now.status.ips
            && then.is_terminal() == now.is_terminal()
            && endpointslice::bound_ports(then).eq(endpointslice::bound_ports(now));
        let conditions = |pod: &Pod| (pod.status.ready, pod.is_terminating());
        if !stays {
            Shift::Anything
        } else if conditions(then) == conditions(now) {
            Shift::Nothing
        } else {
            Shift::Readiness
        }
    }
}

/// Enqueues the Services that select a pod, or did before the event.
fn enqueue_selecting(
    queues: &mut Queues,
    snapshot: &mut SnapshotOwnership,
    store: &Store,
    selecting: &mut Selecting<'_>,
    event: &Event,
) {
    let shift = Shift::of(event);
    let mut looked_at: Option<&Labels> = None;
    // A pod without an address is not an endpoint of any Service.
    let pods = event.both().filter_map(Pod::of).filter(|pod| !pod.status.ips.is_empty());
    for meta in pods.map(|pod| &pod.metadata) {
        if looked_at == Some(&meta.labels) {
            continue;
        }
        looked_at = Some(&meta.labels);
        for service in selecting.services(&meta.namespace, &meta.labels) {
            let service = &service.metadata.name;
            let snapshot = snapshot.observe_pod(store, &meta.namespace, service);
            match shift {
                Shift::Nothing if !snapshot => {}
                Shift::Readiness if !snapshot => {
                    queues.push_endpoints(&meta.namespace, service, Some(&meta.name));
                }
                _ => queues.push_endpoints(&meta.namespace, service, None),
            }
        }
    }
}
