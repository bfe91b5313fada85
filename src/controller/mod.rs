//! Takes kube-controller-manager's place: from the objects that are, the next changes. StatefulSets and other workloads
//! make pods, Services get their addresses and EndpointSlices. It must not know files, the DNS or sockets.
//!
//! Each controller is a function from the store to changes; [`Controllers`] calls those that an event concerns until
//! nothing changes any more. The same objects give the same changes, in the same order.

mod addresses;
mod defaults;
mod endpointslice;
mod names;
mod pods;

pub use addresses::{Addresses, Range, RangeError};
pub use defaults::with_defaults;
pub(crate) use pods::ordinal;

use std::sync::Arc;

use rustc_hash::FxHashSet;

use crate::kubelet;
use crate::parallel;
use crate::store::{Change, Event, Key, Kind, Labels, Name, Object, Pod, Resource, Store};

/// The running controllers: what they still have to look at, and the addresses they have given away.
pub struct Controllers {
    addresses: Addresses,
    queues: [Queue; Task::SORTS],
    /// Up to which revision the store's events have been looked at.
    revision: u64,
}

/// One thing to be looked at.
#[derive(Clone, Debug, PartialEq)]
enum Task {
    /// A StatefulSet, Deployment, ReplicaSet, DaemonSet or Job and its pods.
    Workload(Key),
    /// A Service's addresses.
    Service(Key),
    /// A pod's life.
    Pod(Key),
    /// The slices of a Service, by namespace and name.
    Endpoints(Name, Name),
}

impl Task {
    const SORTS: usize = 4;

    /// In which order sorts of work are done: pods before what is made of pods.
    fn sort(&self) -> usize {
        match self {
            Task::Workload(_) => 0,
            Task::Service(_) => 1,
            Task::Pod(_) => 2,
            Task::Endpoints(..) => 3,
        }
    }
}

/// Work of one sort, first come, first served.
#[derive(Default)]
struct Queue {
    waiting: Vec<Task>,
    /// Services that wait, each of which as many pods speak for as it selects. Other work comes once or is soon seen to
    /// be done.
    services: FxHashSet<(Name, Name)>,
}

impl Queue {
    fn push(&mut self, task: Task) {
        // Pods of one workload come one after the other, and most often the same Service selects them.
        if matches!(task, Task::Endpoints(..)) && self.waiting.last() == Some(&task) {
            return;
        }
        if let Task::Endpoints(namespace, service) = &task
            && !self.services.insert((namespace.clone(), service.clone()))
        {
            return;
        }
        self.waiting.push(task);
    }

    fn take(&mut self) -> Vec<Task> {
        self.services.clear();
        std::mem::take(&mut self.waiting)
    }
}

impl Controllers {
    /// Controllers that give away addresses of these ranges.
    pub fn new(addresses: Addresses) -> Self {
        Controllers { addresses, queues: Default::default(), revision: 0 }
    }

    /// Lets every controller work until there is nothing left to do.
    pub fn settle(&mut self, store: &mut Store) {
        loop {
            // All events first: an address that somebody asked for must be known before another is given away.
            for event in store.watch(self.revision).expect("controllers catch up before events are compacted")
            {
                self.addresses.note(store, event);
                note(&mut |task| self.queues[task.sort()].push(task), store, event);
            }
            self.revision = store.revision();
            // All of one sort before the events it causes: with many pods, that is one look instead of many.
            let Some(queue) = self.queues.iter_mut().find(|queue| !queue.waiting.is_empty()) else { return };
            let tasks = queue.take();
            for change in self.work(store, &tasks).into_iter().flatten() {
                store.apply(change);
            }
        }
    }

    /// The changes for tasks of one sort, in their order. What follows from the store alone is worked out for several of
    /// them at a time; addresses are given away one by one.
    fn work(&mut self, store: &Store, tasks: &[Task]) -> Vec<Vec<Change>> {
        let worth_it = match tasks.first() {
            Some(Task::Workload(_) | Task::Endpoints(..)) => parallel::WORTH_IT,
            _ => usize::MAX,
        };
        let mut changes = parallel::map(tasks, worth_it, |task| match task {
            Task::Workload(key) => pods::reconcile(store, key),
            Task::Endpoints(namespace, service) => endpointslice::reconcile(store, namespace, service),
            Task::Service(_) | Task::Pod(_) => Vec::new(),
        });
        for (task, changes) in tasks.iter().zip(&mut changes) {
            match task {
                Task::Workload(_) => changes.iter_mut().for_each(|change| self.start(store, change)),
                Task::Endpoints(..) => {}
                Task::Service(key) => changes.extend(self.addresses.reconcile_service(store, key)),
                Task::Pod(key) => changes.extend(kubelet::sync(store, key, &mut self.addresses)),
            }
        }
        changes
    }

    /// Starts a pod that is about to be made: nothing takes time yet, so nobody needs to see it waiting.
    fn start(&mut self, store: &Store, change: &mut Change) {
        match change {
            Change::Put(Object::Pod(pod)) => {
                let status = kubelet::start(store, pod, &mut self.addresses);
                Arc::make_mut(pod).status = status;
            }
            // The one that takes its name gets another address.
            Change::Delete(key) if key.kind == Kind::Pod => self.addresses.release(key),
            _ => {}
        }
    }
}

/// Puts on the queue what an event concerns.
fn note(push: &mut impl FnMut(Task), store: &Store, event: &Event) {
    let object = event.object();
    let key = object.key();
    match object {
        Object::StatefulSet(_)
        | Object::Deployment(_)
        | Object::ReplicaSet(_)
        | Object::DaemonSet(_)
        | Object::Job(_) => {
            if let Some(owner) = &object.metadata().owner {
                push(Task::Workload(Key::new(owner.kind, key.namespace.clone(), owner.name.clone())));
            }
            push(Task::Workload(key));
        }
        Object::Service(_) => {
            push(Task::Endpoints(key.namespace.clone(), key.name.clone()));
            push(Task::Service(key));
        }
        Object::Pod(pod) => {
            // A workload looks at which pods there are, not at how they fare: what it made itself is no news to it.
            if event.after.is_none() || !pod.metadata.synthesized {
                if let Some(owner) = &pod.metadata.owner {
                    push(Task::Workload(Key::new(owner.kind, key.namespace.clone(), owner.name.clone())));
                } else if let Some((set, _)) = pods::ordinal(&key.name) {
                    // A manifest's pod may be one of a StatefulSet's without saying so: `NAME-ORDINAL`.
                    push(Task::Workload(Key::new(Kind::StatefulSet, key.namespace.clone(), set)));
                }
            }
            note_selecting(push, store, event);
            if event.now().and_then(Pod::of).is_some_and(|pod| kubelet::is_to_do(pod)) {
                push(Task::Pod(key));
            }
        }
        Object::EndpointSlice(_) => {
            for object in event.both() {
                let Object::EndpointSlice(slice) = object else { continue };
                if let Some(service) = slice.service_name().filter(|_| !slice.metadata.synthesized) {
                    push(Task::Endpoints(key.namespace.clone(), service.clone()));
                }
            }
        }
        Object::Endpoints(_) => {
            push(Task::Endpoints(key.namespace, key.name));
        }
        Object::Node(_) => {
            for set in store.list::<crate::store::Workload>(Kind::DaemonSet) {
                let meta = &set.metadata;
                push(Task::Workload(Key::new(Kind::DaemonSet, meta.namespace.clone(), meta.name.clone())));
            }
            for pod in store.list::<Pod>(Kind::Pod).filter(|pod| pod.spec.host_network) {
                push(Task::Pod(Key::new(
                    Kind::Pod,
                    pod.metadata.namespace.clone(),
                    pod.metadata.name.clone(),
                )));
            }
        }
        Object::Namespace(_)
        | Object::PersistentVolumeClaim(_)
        | Object::PersistentVolume(_)
        | Object::ControllerRevision(_)
        | Object::Event(_) => {}
    }
}

/// Puts on the queue the Services that select a pod, or did before.
fn note_selecting(push: &mut impl FnMut(Task), store: &Store, event: &Event) {
    let mut looked_at: Option<&Labels> = None;
    // A pod without an address is no endpoint, whoever selects it.
    let pods = event.both().filter_map(Pod::of).filter(|pod| pod.status.ips().next().is_some());
    for meta in pods.map(|pod| &pod.metadata) {
        if looked_at == Some(&meta.labels) {
            continue;
        }
        looked_at = Some(&meta.labels);
        for service in store.services_selecting(&meta.namespace, &meta.labels) {
            push(Task::Endpoints(meta.namespace.clone(), service.metadata.name.clone()));
        }
    }
}
