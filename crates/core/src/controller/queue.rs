//! The work queues of all controllers in one, and their timers.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::store::{Key, Name, Time};

/// A task of a controller.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Task {
    /// The dependents of a deleted object.
    Garbage(Key),
    /// An object some of whose owners may have been deleted.
    Owned(Key),
    /// A node, its reachability and pods.
    Node(Name),
    /// A StatefulSet, Deployment, ReplicaSet, DaemonSet or Job and its pods.
    Workload(Key),
    /// A volume claim.
    Claim(Key),
    /// A Service's addresses.
    Service(Key),
    /// A pod and its kubelet.
    Pod(Key),
    /// A namespace that terminates.
    Namespace(Name),
    /// A PodDisruptionBudget.
    Budget(Key),
    /// The usage of a namespace's quotas.
    Quota(Name),
    /// The default objects of a namespace.
    Contents(Name),
    /// The slices of a Service, by namespace and name.
    Endpoints(Name, Name),
}

impl Task {
    const TYPES: usize = 11;

    /// The order of task types, where it is not visible: pods before what depends on pods.
    fn task_type(&self) -> usize {
        match self {
            Task::Garbage(_) | Task::Owned(_) => 0,
            Task::Node(_) => 1,
            Task::Workload(_) => 2,
            Task::Claim(_) => 3,
            Task::Service(_) => 4,
            Task::Pod(_) => 5,
            Task::Namespace(_) => 6,
            Task::Contents(_) => 7,
            Task::Budget(_) => 8,
            Task::Quota(_) => 9,
            Task::Endpoints(..) => Self::ENDPOINTS,
        }
    }

    const ENDPOINTS: usize = Self::TYPES - 1;
}

/// The queued tasks, each once, and the timers of tasks that will be due.
#[derive(Default)]
pub(super) struct Queues {
    /// By type; each with its number in the order of arrival.
    waiting: [VecDeque<(u64, Task)>; Task::TYPES],
    known: FxHashSet<Task>,
    /// Of Services whose endpoints are queued, by namespace and name: the pods that triggered it, if only their
    /// readiness changed.
    touched: FxHashMap<(Name, Name), Vec<Name>>,
    /// Whether nodes were created or deleted since: then all endpoints of a Service have to be compared.
    nodes_changed: bool,
    arrivals: u64,
    timers: BTreeMap<Time, Vec<Task>>,
    /// When each task of `timers` is due.
    due_at: FxHashMap<Task, Time>,
    /// Number of successive failures of each task.
    failures: FxHashMap<Task, u32>,
}

/// Delay of a task after its first failure: the rate limiter of the controllers' work queues starts with 5 ms, doubles
/// it with each successive failure, and has then retried eight times. Those retries are skipped.
const RETRY_FIRST: Duration = Duration::from_millis(1275);
/// Delay of a task after its second failure, the ninth of that rate limiter; it doubles with each failure.
const RETRY: Duration = Duration::from_millis(1280);
/// Maximum of that delay (DefaultTypedControllerRateLimiter).
const RETRY_MAX: Duration = Duration::from_secs(1000);

impl Queues {
    pub(super) fn push(&mut self, task: Task) {
        let queue = &mut self.waiting[task.task_type()];
        // Events of one workload's pods follow each other and trigger the same few tasks.
        if queue.back().is_some_and(|(_, last)| *last == task) || !self.known.insert(task.clone()) {
            return;
        }
        self.arrivals += 1;
        queue.push_back((self.arrivals, task));
    }

    /// Enqueues the endpoints of a Service: for one `pod` if only its readiness changed, or for all.
    pub(super) fn push_endpoints(&mut self, namespace: &Name, service: &Name, pod: Option<&Name>) {
        // Events of one workload's pods follow each other and trigger the same Services.
        let is_last = |task: &Task| matches!(task, Task::Endpoints(n, s) if n == namespace && s == service);
        if pod.is_none()
            && self.touched.is_empty()
            && self.waiting[Task::ENDPOINTS].back().is_some_and(|(_, last)| is_last(last))
        {
            return;
        }
        let service = (namespace.clone(), service.clone());
        let task = Task::Endpoints(service.0.clone(), service.1.clone());
        match (pod, self.touched.get_mut(&service)) {
            (Some(pod), Some(pods)) if !pods.contains(pod) => pods.push(pod.clone()),
            (Some(pod), None) if !self.nodes_changed && !self.known.contains(&task) => {
                self.touched.insert(service, vec![pod.clone()]);
            }
            (Some(_), _) => {}
            (None, _) => drop(self.touched.remove(&service)),
        }
        self.push(task);
    }

    /// The pods that triggered the sync of a Service's endpoints, if not all have to be compared.
    pub(super) fn touched(&self, namespace: &Name, service: &Name) -> Option<&[Name]> {
        if self.touched.is_empty() {
            return None;
        }
        self.touched.get(&(namespace.clone(), service.clone())).map(Vec::as_slice)
    }

    /// Forgets the pods that triggered the sync of a Service's endpoints.
    pub(super) fn clear_touched(&mut self, namespace: Name, service: Name) {
        self.touched.remove(&(namespace, service));
    }

    /// Takes at most `limit` tasks of the first type that has any.
    pub(super) fn take_type(&mut self, limit: usize) -> Vec<Task> {
        let queue = self.waiting.iter_mut().find(|queue| !queue.is_empty());
        let queue = queue.into_iter().flat_map(|queue| queue.drain(..limit.min(queue.len())));
        let tasks: Vec<Task> = queue.map(|(_, task)| task).collect();
        for task in &tasks {
            self.known.remove(task);
        }
        tasks
    }

    /// Takes all endpoint tasks, or else the one that has waited longest.
    pub(super) fn take_next(&mut self) -> Vec<Task> {
        let (others, endpoints) = self.waiting.split_at_mut(Task::ENDPOINTS);
        let tasks: Vec<Task> = if endpoints[0].is_empty() {
            let oldest = others.iter_mut().filter(|queue| !queue.is_empty());
            let oldest = oldest.min_by_key(|queue| queue.front().map(|(arrival, _)| *arrival));
            oldest.and_then(VecDeque::pop_front).map(|(_, task)| task).into_iter().collect()
        } else {
            endpoints[0].drain(..).map(|(_, task)| task).collect()
        };
        for task in &tasks {
            self.known.remove(task);
        }
        tasks
    }

    /// Whether no endpoint task is queued.
    pub(super) fn endpoints_are_synced(&self) -> bool {
        self.waiting[Task::ENDPOINTS].is_empty()
    }

    /// Records that a node was created or deleted.
    pub(super) fn mark_nodes_changed(&mut self) {
        self.nodes_changed = true;
    }

    /// Releases memory that the tasks of start-up took.
    pub(super) fn shrink(&mut self) {
        self.nodes_changed = false;
        self.waiting.iter_mut().for_each(VecDeque::shrink_to_fit);
        self.known.shrink_to_fit();
    }

    /// Sets the timer of `task` to `at`, or removes it: the last sync decides.
    pub(super) fn set_timer(&mut self, task: &Task, at: Option<Time>) {
        if at.is_none() && self.due_at.is_empty() {
            return;
        }
        let before = self.due_at.get(task).copied();
        if before == at {
            return;
        }
        if let Some(before) = before {
            if let Some(tasks) = self.timers.get_mut(&before) {
                tasks.retain(|other| other != task);
                if tasks.is_empty() {
                    self.timers.remove(&before);
                }
            }
            self.due_at.remove(task);
        }
        if let Some(at) = at {
            self.timers.entry(at).or_default().push(task.clone());
            self.due_at.insert(task.clone(), at);
        }
    }

    /// Counts whether `task` failed. Returns the time of its retry, if it did (AddRateLimited, Forget).
    pub(super) fn rate_limit(&mut self, task: &Task, now: Time, failed: bool) -> Option<Time> {
        if !failed {
            if !self.failures.is_empty() {
                self.failures.remove(task);
            }
            return None;
        }
        let failures = self.failures.entry(task.clone()).or_default();
        let delay = match failures.checked_sub(1) {
            None => RETRY_FIRST,
            Some(doubled) => RETRY.saturating_mul(1 << doubled.min(10)).min(RETRY_MAX),
        };
        *failures += 1;
        Some(now.after(delay))
    }

    /// When the next timer fires.
    pub(super) fn due(&self) -> Option<Time> {
        self.timers.keys().next().copied()
    }

    /// Enqueues the tasks whose timers are due at `now`.
    pub(super) fn wake(&mut self, now: Time) {
        while let Some(due) = self.timers.first_entry().filter(|due| *due.key() <= now) {
            for task in due.remove() {
                self.due_at.remove(&task);
                self.push(task);
            }
        }
    }
}
