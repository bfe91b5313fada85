//! Takes the place of kube-controller-manager: computes the next changes from the stored objects and the time.
//! StatefulSets and other workloads create pods, Services get their addresses and EndpointSlices, and unreachable nodes
//! lose their pods. Must not depend on files, the DNS or sockets.
//!
//! Each controller is a function from the store and the time to changes; [`Controllers`] runs those that an event
//! affects until nothing changes any more. The same objects and times give the same changes, in the same order.

mod binding;
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
use crate::reconcile::{Context, Delays, EmittedEvent, Kubelets, SyncResult};
use crate::store::{Change, Key, Kind, Name, Object, Pod, Selecting, Store, Time};

use events::Recorder;
use queue::{Queues, Task};

/// The running controllers: their queued tasks, and the allocated addresses.
pub struct Controllers {
    addresses: Addresses,
    binder: binding::Binder,
    delays: Delays,
    kubelets: Kubelets,
    max_unavailable: bool,
    queues: Queues,
    recorder: Recorder,
    nodes: node::Lifecycle,
    snapshot: concerns::SnapshotOwnership,
    /// The namespaces that are being deleted. Usually there are none, and no object's namespace has to be looked up.
    terminating: Arc<FxHashSet<Name>>,
    waiting: scheduler::Waiting,
    /// The revision up to which events have been observed.
    revision: u64,
}

/// Maximum number of tasks of one type that run before their events are observed, while a cluster starts up: enough to
/// be distributed over threads, and few enough to keep the events of only a few thousand pods in memory.
const TASKS_AT_ONCE: usize = 128;

impl Controllers {
    /// Controllers that allocate from `addresses`, for pods with `delays`, which `kubelets` run. `max_unavailable` is the feature gate
    /// `MaxUnavailableStatefulSet`.
    pub fn new(addresses: Addresses, delays: Delays, kubelets: Kubelets, max_unavailable: bool) -> Self {
        Controllers {
            addresses,
            binder: binding::Binder::default(),
            delays,
            kubelets,
            max_unavailable,
            queues: Queues::default(),
            recorder: Recorder::default(),
            nodes: node::Lifecycle::default(),
            snapshot: concerns::SnapshotOwnership::default(),
            terminating: Arc::default(),
            waiting: scheduler::Waiting::default(),
            revision: 0,
        }
    }

    /// Which kubelets run the pods.
    pub fn kubelets(&self) -> Kubelets {
        self.kubelets
    }

    /// When the next timer fires.
    pub fn due(&self) -> Option<Time> {
        self.queues.due()
    }

    /// Enqueues the tasks that are due at `now`.
    pub fn wake(&mut self, now: Time) {
        self.queues.wake(now);
    }

    /// Records an Event of a kubelet outside of the control plane.
    pub(crate) fn record(&mut self, store: &mut Store, now: Time, event: EmittedEvent) {
        self.recorder.record(store, now, &self.terminating, event);
    }

    /// Enqueues a workload whose status a client wrote: its controller overwrites it.
    pub fn enqueue(&mut self, key: Key) {
        if key.kind.is_workload() {
            self.queues.push(Task::Workload(key));
        }
    }

    /// Marks the cluster as changed by a client: the objects of a snapshot are no longer authoritative.
    pub fn drive(&mut self, store: &Store) {
        for task in self.snapshot.drive(store) {
            self.queues.push(task);
        }
    }

    /// Observes the new events of the store, and enqueues the tasks they trigger.
    pub fn observe(&mut self, store: &Store, now: Time) {
        let mut selecting = Selecting::new(store);
        for event in store.watch(self.revision).expect("controllers catch up before events are compacted") {
            self.addresses.observe(store, event);
            if let Some(node) = self.nodes.observe(store, now, event) {
                self.queues.push(Task::Node(node));
            }
            // The claim of a new pod is bound before the pod is scheduled.
            for key in self.binder.observe(event) {
                self.queues.push(Task::Claim(key));
            }
            for key in self.waiting.observe(store, event) {
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
            concerns::enqueue(&mut self.queues, &mut self.snapshot, &mut selecting, observed);
        }
        self.revision = store.revision();
    }

    /// Runs all queued tasks, but not those that their changes trigger.
    pub fn drain_once(&mut self, store: &mut Store, now: Time) {
        loop {
            let tasks = self.queues.take_type(usize::MAX);
            if tasks.is_empty() {
                return;
            }
            self.run(store, now, false, tasks);
        }
    }

    /// Runs the next task; or, if everything happens `at_once`, all tasks of one type. Returns whether there was any.
    pub fn step(&mut self, store: &mut Store, now: Time, at_once: bool) -> bool {
        // During start-up, one sync after all pods are created replaces one for each pod.
        let tasks = if at_once { self.queues.take_type(TASKS_AT_ONCE) } else { self.queues.take_next() };
        let anything = !tasks.is_empty();
        self.run(store, now, at_once, tasks);
        anything
    }

    fn run(&mut self, store: &mut Store, now: Time, at_once: bool, tasks: Vec<Task>) {
        let mut together = Vec::with_capacity(tasks.len());
        for task in tasks {
            if depends_on_others(store, &task) {
                // A pod that depends on others is scheduled after those before it, an object that counts against a
                // quota is created after them, and a volume is bound to one claim only.
                self.run_batch(store, now, at_once, std::mem::take(&mut together));
                self.run_batch(store, now, at_once, vec![task]);
            } else {
                together.push(task);
            }
        }
        self.run_batch(store, now, at_once, together);
    }

    fn run_batch(&mut self, store: &mut Store, now: Time, at_once: bool, tasks: Vec<Task>) {
        let results = self.work(store, now, at_once, &tasks);
        for (task, result) in tasks.into_iter().zip(results) {
            let charged = result.charges.into_iter().flat_map(Charges::changes);
            let SyncResult { changes, events, mut requeue_at, refused, .. } = result;
            for change in changes.into_iter().chain(charged) {
                store.apply(change);
            }
            // There was no watcher during start-up.
            for event in events.into_iter().filter(|_| !at_once) {
                self.recorder.record(store, now, &self.terminating, event);
            }
            if let Some(retry) = self.queues.rate_limit(&task, now, refused) {
                requeue_at = Some(requeue_at.map_or(retry, |earlier| earlier.min(retry)));
            }
            self.queues.set_timer(&task, requeue_at);
            if let (None, Task::Endpoints(namespace, service)) = (requeue_at, task) {
                self.queues.clear_touched(namespace, service);
            }
        }
    }

    /// The allocated addresses.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Reports the addresses and ports that could not be allocated.
    pub fn report_shortage(&mut self) {
        self.addresses.report_shortage();
    }

    /// Releases the memory of queues that grew during start-up.
    pub fn shrink(&mut self) {
        self.queues.shrink();
    }

    /// Whether the endpoints of all Services are up to date.
    pub fn endpoints_are_synced(&self) -> bool {
        self.queues.endpoints_are_synced()
    }

    /// Runs tasks of one type and returns their results in order. Results that depend on the store alone are computed
    /// in parallel; addresses are allocated sequentially.
    fn work(&mut self, store: &Store, now: Time, at_once: bool, tasks: &[Task]) -> Vec<SyncResult> {
        let driven = self.snapshot.is_driven();
        let terminating = Arc::clone(&self.terminating);
        let context = Context {
            store,
            now,
            at_once,
            delays: self.delays,
            kubelets: self.kubelets,
            terminating: &terminating,
            max_unavailable: self.max_unavailable,
            driven,
        };
        let items_min = match tasks.first() {
            Some(Task::Workload(_) | Task::Endpoints(..)) => parallel::ITEMS_MIN,
            _ => usize::MAX,
        };
        let (snapshot, queues) = (&self.snapshot, &self.queues);
        let mut results = parallel::map(tasks, items_min, |task| match task {
            Task::Garbage(key) => {
                let mut result = garbage::collect(context, key);
                // Deleted before the slices from which they are computed.
                result.changes.splice(0..0, endpoints::delete(store, key, driven));
                result
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
                let snapshot_owned = snapshot.owns(namespace, service);
                let pods = queues.touched(namespace, service);
                endpointslice::reconcile(store, namespace, service, snapshot_owned, pods).into()
            }
            Task::Node(_) | Task::Service(_) | Task::Pod(_) | Task::Claim(_) => SyncResult::default(),
        });
        for (task, result) in tasks.iter().zip(&mut results) {
            match task {
                // A StatefulSet assigns a node to a new pod only if the pod runs at once.
                Task::Workload(key) if at_once || key.kind == Kind::StatefulSet => {
                    result.changes.iter_mut().for_each(|change| self.start(context, change));
                }
                Task::Node(name) => *result = self.nodes.sync(context, name),
                Task::Service(key) => {
                    result.changes.extend(self.addresses.reconcile_service(store, key));
                    result.changes.extend(endpoints::delete(store, key, driven));
                }
                Task::Pod(key) => *result = self.pod(context, key),
                Task::Claim(key) => *result = self.binder.sync(context, key),
                _ => {}
            }
        }
        results
    }

    /// The next stage of a pod: scheduling, running, or deletion.
    fn pod(&mut self, context: Context<'_>, key: &Key) -> SyncResult {
        let node =
            context.store.get::<Pod>(Kind::Pod, &key.namespace, &key.name).map(|pod| &pod.spec.node_name);
        if node.is_some_and(|node| self.nodes.is_gone(node)) {
            return SyncResult::default();
        }
        let scheduled = scheduler::schedule(context, key);
        scheduled.unwrap_or_else(|| kubelet::sync(context, key, &mut self.addresses))
    }

    /// Starts a new pod that has no delays: its pending state need not be visible.
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

/// Whether the result of `task` depends on those of the tasks before it.
fn depends_on_others(store: &Store, task: &Task) -> bool {
    matches!(task, Task::Claim(_))
        || scheduler::depends_on_others(store, task)
        || refusal::depends_on_others(store, task)
}
