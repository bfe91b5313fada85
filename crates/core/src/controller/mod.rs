//! Takes kube-controller-manager's place: from the objects that are and what time it is, the next changes.
//! StatefulSets and other workloads make pods, Services get their addresses and EndpointSlices, nodes that are not heard
//! of lose their pods. It must not know files, the DNS or sockets.
//!
//! Each controller is a function from the store and the time to changes; [`Controllers`] calls those that an event
//! concerns until nothing changes any more. The same objects and times give the same changes, in the same order.

mod binding;
mod claims;
mod concerns;
mod cronjob;
mod daemon_history;
mod daemonset;
mod defaults;
mod deployment;
mod disruption;
mod endpoints;
mod endpointslice;
mod events;
mod garbage;
mod job;
mod mirroring;
mod namespace;
mod node;
mod ownership;
mod pods;
mod queue;
mod quota;
mod refusal;
mod replicaset;
mod revisions;
mod scheduler;
mod slices;
mod statefulset;
mod termination;
mod volumes;

pub(crate) use defaults::nodes_needed;
pub use defaults::{DEFAULT_NODES, MAX_NODES, with_defaults};
pub use disruption::{budgets, selects as budget_selects};
pub use job::with_own_selector;
pub use refusal::POD_UPDATE;
pub use volumes::DEFAULT_CLASS;

use std::sync::Arc;

use rustc_hash::FxHashSet;

use crate::addresses::Addresses;
use crate::admission::Charges;
use crate::kubelet;
use crate::parallel;
use crate::reconcile::{Context, Delays, Outcome};
use crate::store::{Change, Key, Kind, Name, Object, Pod, Selecting, Store, Time};

use events::Recorder;
use queue::{Queues, Task};

/// The running controllers: what they still have to look at, and the addresses they have given away.
pub struct Controllers {
    addresses: Addresses,
    binder: binding::Binder,
    delays: Delays,
    max_unavailable: bool,
    queues: Queues,
    recorder: Recorder,
    nodes: node::Lifecycle,
    taken_over: concerns::TakenOver,
    /// The namespaces that are being deleted. Mostly there is none, and no object's namespace has to be looked up.
    terminating: Arc<FxHashSet<Name>>,
    waiting: scheduler::Waiting,
    /// Up to which revision the store's events have been looked at.
    revision: u64,
}

/// So many tasks of a sort are looked at before what came of them is taken notice of, while a cluster comes up: enough
/// to be shared among threads, and few enough that the events of a few thousand pods are kept at a time.
const TASKS_AT_ONCE: usize = 128;

impl Controllers {
    /// Controllers that allocate from `addresses`, for pods that take `delays`. `max_unavailable` is the feature gate
    /// `MaxUnavailableStatefulSet`.
    pub fn new(addresses: Addresses, delays: Delays, max_unavailable: bool) -> Self {
        Controllers {
            addresses,
            binder: binding::Binder::default(),
            delays,
            max_unavailable,
            queues: Queues::default(),
            recorder: Recorder::default(),
            nodes: node::Lifecycle::default(),
            taken_over: concerns::TakenOver::default(),
            terminating: Arc::default(),
            waiting: scheduler::Waiting::default(),
            revision: 0,
        }
    }

    /// When something is to be looked at again, if nothing happens before.
    pub fn due(&self) -> Option<Time> {
        self.queues.due()
    }

    /// Looks again, at the next step, at what is due at `now`.
    pub fn wake(&mut self, now: Time) {
        self.queues.wake(now);
    }

    /// Enqueues a workload whose status a client wrote: its controller writes its own over it.
    pub fn look_at(&mut self, key: Key) {
        if key.kind.is_workload() {
            self.queues.push(Task::Workload(key));
        }
    }

    /// From now on, what a snapshot shows is where the cluster began, not what it is.
    pub fn drive(&mut self, store: &Store) {
        for task in self.taken_over.drive(store) {
            self.queues.push(task);
        }
    }

    /// Takes notice of what happened in the store: who has to look at what.
    pub fn note(&mut self, store: &Store, now: Time) {
        let mut selecting = Selecting::new(store);
        for event in store.watch(self.revision).expect("controllers catch up before events are compacted") {
            self.addresses.note(store, event);
            if let Some(node) = self.nodes.note(store, now, event) {
                self.queues.push(Task::Node(node));
            }
            // A claim that a new pod uses is bound before the pod is placed.
            for key in self.binder.note(event) {
                self.queues.push(Task::Claim(key));
            }
            for key in self.waiting.note(store, event) {
                self.queues.push(Task::Pod(key));
            }
            if let Object::Namespace(namespace) = event.object() {
                let name = &namespace.metadata.name;
                if event.after.is_some() && namespace.metadata.deletion_timestamp.is_some() {
                    Arc::make_mut(&mut self.terminating).insert(name.clone());
                } else if self.terminating.contains(name) {
                    Arc::make_mut(&mut self.terminating).remove(name);
                }
            }
            let observed = concerns::Observed { store, now, terminating: &self.terminating, event };
            concerns::note(&mut self.queues, &mut self.taken_over, &mut selecting, observed);
        }
        self.revision = store.revision();
    }

    /// Looks at everything that there is to look at, without looking at what comes of it.
    pub fn wave(&mut self, store: &mut Store, now: Time) {
        loop {
            let tasks = self.queues.take_sort(usize::MAX);
            if tasks.is_empty() {
                return;
            }
            self.look(store, now, false, tasks);
        }
    }

    /// Looks at the next thing that there is to look at; or, where everything may happen `at_once`, at all things of a
    /// sort. Tells whether there was anything.
    pub fn step(&mut self, store: &mut Store, now: Time, at_once: bool) -> bool {
        // With many pods, all of one sort before the events it causes is one look instead of many.
        let tasks = if at_once { self.queues.take_sort(TASKS_AT_ONCE) } else { self.queues.take_next() };
        let anything = !tasks.is_empty();
        self.look(store, now, at_once, tasks);
        anything
    }

    fn look(&mut self, store: &mut Store, now: Time, at_once: bool, tasks: Vec<Task>) {
        let mut together = Vec::with_capacity(tasks.len());
        for task in tasks {
            if depends_on_others(store, &task) {
                // A pod that depends on others is placed when those before it are, what counts against a quota is made, and
                // a volume is for one claim.
                self.look_together(store, now, at_once, std::mem::take(&mut together));
                self.look_together(store, now, at_once, vec![task]);
            } else {
                together.push(task);
            }
        }
        self.look_together(store, now, at_once, together);
    }

    fn look_together(&mut self, store: &mut Store, now: Time, at_once: bool, tasks: Vec<Task>) {
        let outcomes = self.work(store, now, at_once, &tasks);
        for (task, outcome) in tasks.into_iter().zip(outcomes) {
            let charged = outcome.charges.into_iter().flat_map(Charges::changes);
            let Outcome { changes, told, mut again, refused, .. } = outcome;
            for change in changes.into_iter().chain(charged) {
                store.apply(change);
            }
            // Nobody has watched what was there from the beginning.
            for told in told.into_iter().filter(|_| !at_once) {
                self.recorder.record(store, now, &self.terminating, told);
            }
            if let Some(retry) = self.queues.rate_limit(&task, now, refused) {
                again = Some(again.map_or(retry, |again| again.min(retry)));
            }
            self.queues.set_timer(&task, again);
            if let (None, Task::Endpoints(namespace, service)) = (again, task) {
                self.queues.forget_touched(namespace, service);
            }
        }
    }

    /// The addresses that have been given away.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Reports the addresses and ports that could not be given away.
    pub fn report_shortage(&mut self) {
        self.addresses.report_shortage();
    }

    /// A cluster has come up, and nothing is left to look at.
    pub fn settle(&mut self) {
        self.queues.settle();
    }

    /// Whether all endpoints are as the pods are.
    pub fn endpoints_are_settled(&self) -> bool {
        self.queues.endpoints_are_settled()
    }

    /// What comes of tasks of one sort, in their order. What follows from the store alone is worked out for several of
    /// them at a time; addresses are given away one by one.
    fn work(&mut self, store: &Store, now: Time, at_once: bool, tasks: &[Task]) -> Vec<Outcome> {
        let driven = self.taken_over.is_driven();
        let terminating = Arc::clone(&self.terminating);
        let context = Context {
            store,
            now,
            at_once,
            delays: self.delays,
            terminating: &terminating,
            max_unavailable: self.max_unavailable,
            driven,
        };
        let worth_it = match tasks.first() {
            Some(Task::Workload(_) | Task::Endpoints(..)) => parallel::WORTH_IT,
            _ => usize::MAX,
        };
        let (taken_over, queues) = (&self.taken_over, &self.queues);
        let mut outcomes = parallel::map(tasks, worth_it, |task| match task {
            Task::Garbage(key) => {
                let mut outcome = garbage::collect(context, key);
                // Before the slices go from which they are computed.
                outcome.changes.splice(0..0, endpoints::delete(store, key, driven));
                outcome
            }
            Task::Owned(key) => garbage::check_owners(context, key),
            Task::Workload(key) => match key.kind {
                Kind::StatefulSet => statefulset::sync(context, key),
                Kind::Deployment => deployment::sync(context, key),
                Kind::DaemonSet => daemonset::sync(context, key),
                Kind::Job => job::sync(context, key),
                Kind::CronJob => cronjob::sync(context, key),
                _ => replicaset::sync(context, key),
            },
            Task::Namespace(name) => termination::sync(context, name),
            Task::Budget(key) => disruption::sync(context, key),
            Task::Quota(name) => quota::sync(context, name),
            Task::Contents(name) => namespace::sync(context, name),
            Task::Endpoints(namespace, service) => {
                let believed = taken_over.believes(namespace, service);
                let pods = queues.touched(namespace, service);
                endpointslice::reconcile(store, namespace, service, believed, pods).into()
            }
            Task::Node(_) | Task::Service(_) | Task::Pod(_) | Task::Claim(_) => Outcome::default(),
        });
        for (task, outcome) in tasks.iter().zip(&mut outcomes) {
            match task {
                // A StatefulSet gives a new pod a node only if it is to be there at once.
                Task::Workload(key) if at_once || key.kind == Kind::StatefulSet => {
                    outcome.changes.iter_mut().for_each(|change| self.start(context, change));
                }
                Task::Node(name) => *outcome = self.nodes.sync(context, name),
                Task::Service(key) => {
                    outcome.changes.extend(self.addresses.reconcile_service(store, key));
                    outcome.changes.extend(endpoints::delete(store, key, driven));
                }
                Task::Pod(key) => *outcome = self.pod(context, key),
                Task::Claim(key) => *outcome = self.binder.sync(context, key),
                _ => {}
            }
        }
        outcomes
    }

    /// The next thing that happens to a pod: somebody looks after it who finds it a node, lets it run, or takes it away.
    fn pod(&mut self, context: Context<'_>, key: &Key) -> Outcome {
        let node =
            context.store.get::<Pod>(Kind::Pod, &key.namespace, &key.name).map(|pod| &pod.spec.node_name);
        if node.is_some_and(|node| self.nodes.is_gone(node)) {
            return Outcome::default();
        }
        let scheduled = scheduler::schedule(context, key);
        scheduled.unwrap_or_else(|| kubelet::sync(context, key, &mut self.addresses))
    }

    /// Starts a pod that takes no time and is about to be made: nobody needs to see it waiting.
    fn start(&mut self, context: Context<'_>, change: &mut Change) {
        if let Change::Put(Object::Pod(pod)) = change
            && pod.status.phase.is_none()
            && kubelet::is_ready_at_once(context, pod)
        {
            let status = kubelet::start(context, pod, &mut self.addresses);
            Arc::make_mut(pod).status = status;
        }
    }
}

/// Whether what `task` does depends on what those before it do.
fn depends_on_others(store: &Store, task: &Task) -> bool {
    matches!(task, Task::Claim(_))
        || scheduler::depends_on_others(store, task)
        || refusal::depends_on_others(store, task)
}
