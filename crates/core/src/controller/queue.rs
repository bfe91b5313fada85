//! What still has to be looked at, and when what will have to be: the work queues of all controllers in one.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::store::{Key, Name, Time};

/// One thing to be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Task {
    /// What depends on an object that is gone.
    Garbage(Key),
    /// An object some of whose owners may be gone.
    Owned(Key),
    /// A node: whether it is heard of, and what that means for its pods.
    Node(Name),
    /// A StatefulSet, Deployment, ReplicaSet, DaemonSet or Job and its pods.
    Workload(Key),
    /// A volume claim.
    Claim(Key),
    /// A Service's addresses.
    Service(Key),
    /// A pod's life.
    Pod(Key),
    /// A namespace that terminates.
    Namespace(Name),
    /// A PodDisruptionBudget.
    Budget(Key),
    /// What a namespace uses of its quotas.
    Quota(Name),
    /// What every namespace has.
    Contents(Name),
    /// The slices of a Service, by namespace and name.
    Endpoints(Name, Name),
}

impl Task {
    const SORTS: usize = 11;

    /// In which order sorts of work are done when order does not show: pods before what is made of pods.
    fn sort(&self) -> usize {
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

    const ENDPOINTS: usize = Self::SORTS - 1;
}

/// The tasks that wait, each once, and those that will be due.
#[derive(Default)]
pub(super) struct Queues {
    /// By sort; each with its place in the order of arrival.
    waiting: [VecDeque<(u64, Task)>; Task::SORTS],
    known: FxHashSet<Task>,
    /// Of Services whose endpoints wait, by namespace and name: the pods because of which, where nothing has changed but
    /// how they fare.
    touched: FxHashMap<(Name, Name), Vec<Name>>,
    /// Nodes came or went: to which endpoints that means something, only a look at all of a Service's tells.
    nodes_differ: bool,
    arrivals: u64,
    timers: BTreeMap<Time, Vec<Task>>,
    /// When each task of `timers` is due.
    due_at: FxHashMap<Task, Time>,
    /// How often each task has failed in a row.
    failures: FxHashMap<Task, u32>,
}

/// Delay of a task that has failed once: the rate limiter of the controllers' work queues begins with 5 ms, doubles it with
/// each failure in a row, and has then tried eight times. Those are left out.
const RETRY_FIRST: Duration = Duration::from_millis(1275);
/// Delay of a task that has failed twice, the ninth of that rate limiter; it doubles with each failure.
const RETRY: Duration = Duration::from_millis(1280);
/// Maximum of that delay (DefaultTypedControllerRateLimiter).
const RETRY_MAX: Duration = Duration::from_secs(1000);

impl Queues {
    pub(super) fn push(&mut self, task: Task) {
        let queue = &mut self.waiting[task.sort()];
        // Pods of one workload come one after the other, and concern the same few.
        if queue.back().is_some_and(|(_, last)| *last == task) || !self.known.insert(task.clone()) {
            return;
        }
        self.arrivals += 1;
        queue.push_back((self.arrivals, task));
    }

    /// The endpoints of a Service are to be looked at: one `pod`'s, where nothing has changed but how it fares, or all.
    pub(super) fn push_endpoints(&mut self, namespace: &Name, service: &Name, pod: Option<&Name>) {
        // Pods of one workload come one after the other, and lead to the same Services.
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
            (Some(pod), None) if !self.nodes_differ && !self.known.contains(&task) => {
                self.touched.insert(service, vec![pod.clone()]);
            }
            (Some(_), _) => {}
            (None, _) => drop(self.touched.remove(&service)),
        }
        self.push(task);
    }

    /// The pods because of which a Service's endpoints are looked at, if it is not all of them.
    pub(super) fn touched(&self, namespace: &Name, service: &Name) -> Option<&[Name]> {
        if self.touched.is_empty() {
            return None;
        }
        self.touched.get(&(namespace.clone(), service.clone())).map(Vec::as_slice)
    }

    /// The endpoints of a Service have been looked at.
    pub(super) fn forget_touched(&mut self, namespace: Name, service: Name) {
        self.touched.remove(&(namespace, service));
    }

    /// The tasks of the first sort that has any, `most` of them at most.
    pub(super) fn take_sort(&mut self, most: usize) -> Vec<Task> {
        let queue = self.waiting.iter_mut().find(|queue| !queue.is_empty());
        let queue = queue.into_iter().flat_map(|queue| queue.drain(..most.min(queue.len())));
        let tasks: Vec<Task> = queue.map(|(_, task)| task).collect();
        for task in &tasks {
            self.known.remove(task);
        }
        tasks
    }

    /// All tasks about endpoints, or the one other task that has waited longest.
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

    /// Whether the endpoints of all Services have been looked at.
    pub(super) fn endpoints_are_settled(&self) -> bool {
        self.waiting[Task::ENDPOINTS].is_empty()
    }

    /// A node came or went.
    pub(super) fn note_nodes(&mut self) {
        self.nodes_differ = true;
    }

    /// A cluster has come up: all has been looked at, and what the burst of tasks took is given back.
    pub(super) fn settle(&mut self) {
        self.nodes_differ = false;
        self.waiting.iter_mut().for_each(VecDeque::shrink_to_fit);
        self.known.shrink_to_fit();
    }

    /// Lets `task` wait until `again` and no earlier time, or for an event only: the last look at it decides.
    pub(super) fn set_timer(&mut self, task: &Task, again: Option<Time>) {
        if again.is_none() && self.due_at.is_empty() {
            return;
        }
        let before = self.due_at.get(task).copied();
        if before == again {
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
        if let Some(again) = again {
            self.timers.entry(again).or_default().push(task.clone());
            self.due_at.insert(task.clone(), again);
        }
    }

    /// Counts whether `task` failed. Returns when it is repeated, if it did (AddRateLimited, Forget).
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

    /// When the next task is due.
    pub(super) fn due(&self) -> Option<Time> {
        self.timers.keys().next().copied()
    }

    /// Lets the tasks wait no longer that are due at `now`.
    pub(super) fn wake(&mut self, now: Time) {
        while let Some(due) = self.timers.first_entry().filter(|due| *due.key() <= now) {
            for task in due.remove() {
                self.due_at.remove(&task);
                self.push(task);
            }
        }
    }
}
