//! An API server for a kubelet: pods and objects in memory, what the kubelet wrote in order, and a clock that a test moves by hand.

use std::collections::HashMap;
use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clusterlocal_core::store::Time;
use clusterlocal_node::{
    Cluster, Images, Machine, Node, Objects, Options, PodId, Separations, Streaming, Wait,
};
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};

/// Maximum time for what a test awaits, which takes much less: a failure is an error, not a test that hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// Interval at which a test looks again for what it awaits.
const LOOK: Duration = Duration::from_millis(20);

/// When clocks that a test moves begin.
pub fn start() -> Time {
    Time::from_unix_millis(1_800_000_000_000)
}

/// An Event of the kubelet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub at: Time,
    pub reason: String,
    pub message: String,
}

#[derive(Default)]
pub struct State {
    pub pods: Vec<Value>,
    objects: HashMap<(String, String), Value>,
    pub events: Vec<Event>,
    /// What containers wrote: `POD/CONTAINER`, and the line.
    pub lines: Vec<(String, String)>,
    /// Bytes of lines; those of long logs are not kept.
    pub bytes: usize,
    pub now: Option<Time>,
    waits: Vec<(Time, oneshot::Sender<()>)>,
    revision: u64,
    created: u64,
}

impl State {
    pub fn pod(&self, name: &str) -> Option<&Value> {
        self.pods.iter().find(|pod| pod["metadata"]["name"] == name)
    }

    /// A part of a pod's status.
    pub fn status(&self, pod: &str, pointer: &str) -> Option<&Value> {
        self.pod(pod)?["status"].pointer(pointer)
    }

    /// The first Event with a reason.
    pub fn event(&self, reason: &str) -> Option<&Event> {
        self.events.iter().find(|event| event.reason == reason)
    }

    /// The lines of a container.
    pub fn lines_of(&self, name: &str) -> Vec<&str> {
        self.lines.iter().filter(|(from, _)| from == name).map(|(_, line)| line.as_str()).collect()
    }

    /// The next time that the kubelet waits for, once each.
    pub fn waits(&self) -> Vec<Time> {
        let mut waits: Vec<Time> =
            self.waits.iter().filter(|(_, wait)| !wait.is_closed()).map(|(time, _)| *time).collect();
        waits.sort();
        waits.dedup();
        waits
    }
}

pub struct Api {
    state: Mutex<State>,
    changed: Condvar,
    revisions: watch::Sender<u64>,
}

impl Api {
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut state);
        state.revision += 1;
        self.revisions.send_replace(state.revision);
        self.changed.notify_all();
        changed
    }
}

impl Objects for Api {
    fn get(&self, kind: &str, _: &str, name: &str) -> Option<Value> {
        let state = self.state.lock().unwrap();
        state.objects.get(&(kind.to_string(), name.to_string())).cloned()
    }

    fn services(&self, _: &str) -> Vec<Value> {
        Vec::new()
    }

    fn token(&self, namespace: &str, account: &str, audience: &str, seconds: u64) -> Option<String> {
        Some(format!("token of {account}.{namespace} for {audience:?}, {seconds} s, at {}", self.now()))
    }
}

impl Cluster for Api {
    fn pods(&self) -> Vec<Value> {
        self.state.lock().unwrap().pods.clone()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.revisions.subscribe()
    }

    fn machines(&self) -> HashMap<String, Machine> {
        HashMap::new()
    }

    fn separations(&self) -> Separations {
        Separations::default()
    }

    fn write_status(&self, pod: &PodId, status: Value) -> bool {
        self.change(|state| {
            if let Some(there) =
                state.pods.iter_mut().find(|there| there["metadata"]["uid"] == pod.uid.as_str())
            {
                there["status"] = status;
            }
        });
        true
    }

    fn remove(&self, pod: &PodId) -> bool {
        self.change(|state| state.pods.retain(|there| there["metadata"]["uid"] != pod.uid.as_str()));
        true
    }

    fn renew_addresses(&self, _: &PodId) -> Option<Value> {
        None
    }

    fn record(&self, _: &PodId, _: bool, reason: &str, message: &str) {
        let at = self.now();
        self.change(|state| state.events.push(Event { at, reason: reason.into(), message: message.into() }));
    }

    fn now(&self) -> Time {
        let by_hand = self.state.lock().unwrap().now;
        by_hand.unwrap_or_else(|| {
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
            Time::from_unix_millis(since.as_millis().try_into().unwrap())
        })
    }

    fn wait(&self, time: Time) -> Wait {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.state.lock().unwrap();
        let Some(now) = state.now else {
            drop(state);
            return Box::pin(tokio::time::sleep(time.since(self.now())));
        };
        if time > now {
            state.waits.push((time, sender));
            state.waits.retain(|(_, wait)| !wait.is_closed());
            self.changed.notify_all();
        } else {
            _ = sender.send(());
        }
        Box::pin(async move { _ = receiver.await })
    }
}

/// A kubelet with its node, which stops when this is dropped.
pub struct Kubelet {
    pub api: Arc<Api>,
    pub runtime: tokio::runtime::Runtime,
    pub folder: tempfile::TempDir,
    stop: Option<oneshot::Sender<()>>,
    running: Option<tokio::task::JoinHandle<std::io::Result<()>>>,
}

impl Kubelet {
    pub fn new() -> Self {
        Self::at(None)
    }

    /// A kubelet whose time a test moves.
    pub fn by_hand() -> Self {
        Self::at(Some(start()))
    }

    fn at(now: Option<Time>) -> Self {
        let program = std::env::current_exe().unwrap();
        let range = |text: &str| [text.parse().unwrap()];
        let node = Node::start(&program, &range("10.244.0.0/16"), &range("10.96.0.0/16")).unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let api = Arc::new(Api {
            state: Mutex::new(State { now, ..State::default() }),
            changed: Condvar::new(),
            revisions: watch::channel(0).0,
        });
        let folder = tempfile::tempdir().unwrap();
        let written = api.clone();
        let options = Options {
            images: Images::default(),
            folder: folder.path().join("kubelet"),
            working_dir: PathBuf::from("/"),
            writable: false,
            domain: "cluster.local".into(),
            dns: "10.96.0.10".into(),
            streaming: Streaming::default(),
            lines: Arc::new(move |name: &str, line: &[u8]| {
                written.change(|state| {
                    state.bytes += line.len();
                    if state.lines.len() < 10_000 {
                        let name = name.strip_prefix("default/").unwrap_or(name);
                        state.lines.push((name.to_string(), String::from_utf8_lossy(line).into_owned()));
                    }
                });
            }),
        };
        let (stop, stopped) = oneshot::channel();
        let running = runtime.spawn(clusterlocal_node::run(Arc::new(node), api.clone(), options, async {
            _ = stopped.await;
        }));
        Kubelet { api, runtime, folder, stop: Some(stop), running: Some(running) }
    }

    /// Creates an object with `data`.
    pub fn put(&self, kind: &str, name: &str, object: Value) {
        self.api.change(|state| state.objects.insert((kind.into(), name.into()), object));
    }

    /// Creates a pod on `node-1`, with an address of its own.
    pub fn create(&self, name: &str, spec: Value) {
        self.create_with(name, json!({}), spec);
    }

    pub fn create_with(&self, name: &str, metadata: Value, mut spec: Value) {
        self.api.change(|state| {
            state.created += 1;
            let number = state.created;
            spec["nodeName"] = json!(format!("node-{}", number % 3));
            let ip = format!("10.244.{}.{}", number / 250, number % 250 + 1);
            let mut pod = json!({
                "metadata": { "name": name, "namespace": "default", "uid": format!("uid-{number}") },
                "spec": spec,
                "status": { "phase": "Pending", "podIP": ip, "podIPs": [{ "ip": ip }], "hostIP": "172.18.0.2", "qosClass": "BestEffort" },
            });
            for (field, value) in metadata.as_object().into_iter().flatten() {
                pod["metadata"][field] = value.clone();
            }
            state.pods.push(pod);
        });
    }

    /// Requests the deletion of a pod within `grace` seconds.
    pub fn delete(&self, name: &str, grace: u64) {
        let at = self.api.now().to_string();
        self.api.change(|state| {
            let pod = state.pods.iter_mut().find(|pod| pod["metadata"]["name"] == name).unwrap();
            pod["metadata"]["deletionTimestamp"] = json!(at);
            pod["metadata"]["deletionGracePeriodSeconds"] = json!(grace);
        });
    }

    /// Changes a pod.
    pub fn edit(&self, name: &str, edit: impl FnOnce(&mut Value)) {
        self.api
            .change(|state| edit(state.pods.iter_mut().find(|pod| pod["metadata"]["name"] == name).unwrap()));
    }

    /// Waits until the state has what `found` looks for, and returns it.
    pub fn until<T>(&self, what: impl Debug, found: impl Fn(&State) -> Option<T>) -> T {
        let end = Instant::now() + LIMIT;
        let mut state = self.api.state.lock().unwrap();
        loop {
            if let Some(found) = found(&state) {
                return found;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let pods = serde_json::to_string_pretty(&state.pods).unwrap();
                panic!(
                    "{what:?} is awaited: {pods}\n{:#?}\n{:#?}\n{:?}",
                    state.events,
                    state.lines,
                    state.waits()
                );
            }
            // Files change without a change of the state.
            (state, _) = self.api.changed.wait_timeout(state, left.min(LOOK)).unwrap();
        }
    }

    /// Waits for an Event.
    pub fn until_event(&self, reason: &str) -> Event {
        self.until(reason, |state| state.event(reason).cloned())
    }

    /// Waits for the line of a container.
    pub fn until_line(&self, container: &str, line: &str) {
        self.until((container, line), |state| state.lines_of(container).contains(&line).then_some(()));
    }

    /// Waits until the kubelet waits for `time`, and for nothing before it.
    pub fn until_it_waits_for(&self, time: Time) {
        self.until(("wait", time), |state| (state.waits().first() == Some(&time)).then_some(()));
    }

    /// Moves the clock.
    pub fn move_to(&self, time: Time) {
        let due = self.api.change(|state| {
            state.now = Some(time);
            let (due, later): (Vec<_>, Vec<_>) =
                std::mem::take(&mut state.waits).into_iter().partition(|(at, _)| *at <= time);
            state.waits = later;
            due
        });
        for (_, wait) in due {
            _ = wait.send(());
        }
    }

    /// Stops the kubelet, with all pods.
    pub fn stop(&mut self) {
        if let (Some(stop), Some(running)) = (self.stop.take(), self.running.take()) {
            _ = stop.send(());
            self.runtime.block_on(running).unwrap().unwrap();
        }
    }
}

/// A container that runs a script.
pub fn script(name: &str, script: &str) -> Value {
    json!({ "name": name, "image": "none", "command": ["bash", "-c", script] })
}

/// `container` with more fields.
pub fn with(mut container: Value, fields: Value) -> Value {
    for (field, value) in fields.as_object().unwrap() {
        container[field] = value.clone();
    }
    container
}

impl Kubelet {
    /// Ends a pod whose program does not handle SIGTERM, by a clock that is moved: it has two seconds.
    pub fn kill(&self, name: &str) {
        let end = self.api.now().after(Duration::from_secs(2));
        self.delete(name, 0);
        self.until_it_waits_for(end);
        self.move_to(end);
        self.until("removal", |state| state.pods.is_empty().then_some(()));
        self.forget();
    }

    /// Forgets the Events and lines so far.
    pub fn forget(&self) {
        self.api.change(|state| {
            state.events.clear();
            state.lines.clear();
        });
    }
}
