//! The life of one pod: sandbox, volumes, containers in order, probes, restarts, and its end (`kuberuntime_manager.go`, SyncPod,
//! KillPod). Must not depend on other pods.

mod probing;
mod starting;
mod stopping;

use std::collections::HashMap;
use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clusterlocal_core::store::Time;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::container::{Container, Ended};
use super::probes::{ProbeKind, Results};
use super::streaming::Registered;
use super::unsupported::unsupported;
use super::{PodId, Shared, files, list, on_host, status, text};
use crate::{Pod, PodEvent, PodSandbox};

/// SIGTERM, SIGKILL.
const TERM: i32 = 15;
const KILL: i32 = 9;

/// The state of a pod in the API.
#[derive(Clone, Debug)]
pub(super) enum Update {
    /// It is so.
    Pod(Value),
    /// It is not there any more.
    Gone,
    /// The kubelet ends.
    Stop,
}

impl Update {
    /// Takes the pod's new state. Returns whether it is another one.
    pub(super) fn become_pod(&mut self, pod: Value) -> bool {
        match self {
            Update::Pod(there) if *there == pod => false,
            Update::Gone | Update::Stop => false,
            Update::Pod(there) => {
                *there = pod;
                true
            }
        }
    }
}

/// A result for the worker, from a task of its own.
enum Report {
    Probed {
        container: usize,
        process: u64,
        kind: ProbeKind,
        result: Result<(), String>,
    },
    /// A probe wants a program to run in the container: the exit code goes to `result`.
    Exec {
        container: usize,
        process: u64,
        argv: Vec<String>,
        result: oneshot::Sender<i32>,
    },
}

/// What a process of the pod is for.
enum Purpose {
    /// A run of the container with this index, begun at a time.
    Container(usize, Time),
    /// A probe or hook: takes the exit code.
    Exec(oneshot::Sender<i32>),
}

pub(super) struct Worker {
    shared: Arc<Shared>,
    id: PodId,
    pod: Value,
    updates: watch::Receiver<Update>,
    containers: Vec<Container>,
    processes: HashMap<u64, Purpose>,
    streams: Registered,
    results: HashMap<(usize, ProbeKind), Results>,
    next_process: u64,
    reports: (mpsc::Sender<Report>, mpsc::Receiver<Report>),
    /// Folders of the volumes, once they are prepared.
    volumes: Option<Vec<(String, PathBuf)>>,
    /// When what failed is tried again.
    retry: Option<Instant>,
    written: Value,
}

impl Worker {
    pub(super) fn new(shared: Arc<Shared>, pod: Value, updates: watch::Receiver<Update>) -> Self {
        let policy = text(&pod, "/spec/restartPolicy").to_string();
        let init = list(&pod, "/spec/initContainers").iter().map(|spec| Container::new(spec, true, &policy));
        let main = list(&pod, "/spec/containers").iter().map(|spec| Container::new(spec, false, &policy));
        let id = PodId::of(&pod);
        let streams = shared.options.streaming.add(&id, shared.folders.of_pod(&pod).join("logs"));
        Worker {
            id,
            streams,
            containers: init.chain(main).collect(),
            shared,
            pod,
            updates,
            processes: HashMap::new(),
            results: HashMap::new(),
            next_process: 0,
            reports: mpsc::channel(16),
            volumes: None,
            retry: None,
            written: Value::Null,
        }
    }

    /// Runs the pod until it is deleted or the kubelet ends.
    pub(super) async fn run(mut self) {
        if !matches!(text(&self.pod, "/status/phase"), "Succeeded" | "Failed") {
            for field in unsupported(&self.pod) {
                self.warn("Unsupported", &field);
            }
            if self.shared.node.is_on_host() {
                for mount in on_host::unsupported(&self.pod) {
                    self.warn("Unsupported", &mount);
                }
            }
            match self.create_sandbox().await {
                Ok(sandbox) => {
                    self.streams.set_sandbox(Some(sandbox.clone()));
                    self.live(&sandbox).await;
                    self.streams.set_sandbox(None);
                }
                Err(message) => self.warn("FailedCreatePodSandBox", &message),
            }
        }
        // What is left is to wait for the deletion.
        while !self.is_deleted() {
            if self.updates.changed().await.is_err() {
                return;
            }
        }
        if matches!(*self.updates.borrow(), Update::Pod(_)) {
            self.shared.cluster.remove(&self.id);
        }
        _ = fs::remove_dir_all(self.shared.folders.of_pod(&self.pod));
    }

    async fn create_sandbox(&self) -> Result<Pod, String> {
        let addresses = list(&self.pod, "/status/podIPs").iter();
        let sandbox = PodSandbox {
            node: text(&self.pod, "/spec/nodeName").to_string(),
            hostname: files::names(&self.pod, &self.shared.options.domain).0,
            addresses: addresses.filter_map(|address| text(address, "/ip").parse().ok()).collect(),
        };
        let (shared, runtime) = (self.shared.clone(), tokio::runtime::Handle::current());
        let created = tokio::task::spawn_blocking(move || {
            let _entered = runtime.enter();
            shared.node.create_pod(sandbox).map_err(|error| error.to_string())
        });
        created.await.map_err(|error| error.to_string())?
    }

    async fn live(&mut self, sandbox: &Pod) {
        loop {
            self.start_what_is_due(sandbox).await;
            self.write_status();
            if self.containers.iter().filter(|container| !container.is_sidecar()).all(Container::has_ended) {
                // Sidecars end with the others.
                self.stop(sandbox).await;
                self.write_status();
                return;
            }
            let due = self.next_time();
            tokio::select! {
                event = sandbox.event() => match event {
                    Ok(Some(event)) => self.take_event(event),
                    // The sandbox was killed from outside: all of its containers are gone.
                    _ => return self.lose_all(),
                },
                Some(report) = self.reports.1.recv() => self.take_report(sandbox, report).await,
                changed = self.updates.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let update = self.updates.borrow_and_update().clone();
                    match update {
                        Update::Pod(pod) => self.pod = pod,
                        Update::Gone | Update::Stop => return self.stop(sandbox).await,
                    }
                    if self.is_deleted() {
                        self.stop(sandbox).await;
                        self.write_status();
                        return;
                    }
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            }
        }
    }

    fn is_deleted(&self) -> bool {
        match &*self.updates.borrow() {
            Update::Pod(pod) => !text(pod, "/metadata/deletionTimestamp").is_empty(),
            Update::Gone | Update::Stop => true,
        }
    }

    /// When something is due, if it is.
    fn next_time(&self) -> Option<Instant> {
        // Until then nothing is started.
        if self.retry.is_some() {
            return self.retry;
        }
        let now = self.now();
        let again = self.containers.iter().filter_map(|container| container.again);
        again.map(|time| Instant::now() + time.since(now)).min()
    }

    fn take_event(&mut self, event: PodEvent) {
        let Some(event) = self.streams.take(event) else { return };
        let now = self.now();
        match event {
            PodEvent::Started { id } => {
                let Some(Purpose::Container(index, begun)) = self.processes.get_mut(&id) else { return };
                *begun = now;
                let index = *index;
                self.containers[index].run(now);
                let name = self.containers[index].name().to_string();
                self.record("Created", &format!("Container created: {name}"));
                self.record("Started", &format!("Container started: {name}"));
                self.begin_probes(index, id);
            }
            PodEvent::NotStarted { id, reason } => match self.processes.remove(&id) {
                Some(Purpose::Container(index, begun)) => {
                    let message = format!("failed to start container: {reason}");
                    self.warn("Failed", &format!("Error: {message}"));
                    let ended =
                        Ended { code: 128, reason: "StartError", message, started: begun, finished: now };
                    self.end(index, ended, false);
                }
                Some(Purpose::Exec(result)) => _ = result.send(128),
                None => {}
            },
            PodEvent::Exited { id, code } => match self.processes.remove(&id) {
                Some(Purpose::Container(index, begun)) => {
                    self.end(index, Ended::with_code(code, begun, now), false)
                }
                Some(Purpose::Exec(result)) => _ = result.send(code),
                None => {}
            },
            PodEvent::Dialed { .. } => {}
        }
    }

    fn end(&mut self, index: usize, ended: Ended, stopping: bool) {
        for kind in ProbeKind::ALL {
            self.results.remove(&(index, kind));
        }
        let now = self.now();
        let container = &mut self.containers[index];
        let again = container.end(ended, stopping);
        let (name, waits) = (container.name().to_string(), container.again > Some(now));
        self.streams.end(&name);
        if again && waits {
            let pod = self.id.to_string();
            self.warn("BackOff", &format!("Back-off restarting failed container {name} in pod {pod}"));
        }
    }

    fn address(&self) -> Option<IpAddr> {
        text(&self.pod, "/status/podIP").parse().ok()
    }

    fn number(&mut self) -> u64 {
        self.next_process += 1;
        self.next_process
    }

    fn now(&self) -> Time {
        self.shared.cluster.now()
    }

    fn write_status(&mut self) {
        let status = status::status(&self.pod, &self.containers, self.now());
        if status != self.written {
            self.pod["status"] = status.clone();
            self.written = status.clone();
            self.streams.set_status(&status);
            self.shared.cluster.write_status(&self.id, status);
        }
    }

    fn record(&self, reason: &str, message: &str) {
        self.shared.cluster.record(&self.id, false, reason, message);
    }

    fn warn(&self, reason: &str, message: &str) {
        self.shared.cluster.record(&self.id, true, reason, message);
    }
}
