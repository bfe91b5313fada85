//! Takes the place of a pod worker (`kuberuntime_manager.go`, SyncPod, KillPod): sandbox, volumes, containers in order, probes,
//! restarts, and the end of a pod. Must not depend on other pods.

mod hooks;
mod power;
mod probing;
mod sandbox;
mod starting;
mod stopping;
mod task;
mod termination;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clusterlocal_core::store::Time;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};

use super::container::{Container, Ended};
use super::fields;
use super::probes::ProbeKind;
use super::status::{self, Failure};
use super::streaming::Registered;
use super::volumes::{Volumes, remove};
use super::{Machine, PodId, Shared, list, on_host, text};
use crate::{Pod, PodEvent};
use hooks::Exec;
use probing::Probing;
use stopping::Killing;
use task::Task;

/// SIGKILL.
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

/// A result or request for the worker, from a task of its own.
enum Report {
    Probed {
        container: usize,
        process: u64,
        kind: ProbeKind,
        outcome: super::probing::Outcome,
    },
    /// The hook `postStart` has ended.
    PostStarted {
        container: usize,
        process: u64,
        result: Result<(), String>,
    },
    /// A probe or hook runs a program in the container.
    Exec(Exec),
    Signal {
        process: u64,
        signal: i32,
    },
    /// The process has not ended after SIGKILL.
    Stuck {
        process: u64,
    },
}

/// What a process of the pod is for.
enum Purpose {
    /// A run of the container with this index, begun at a time.
    Container(usize, Time),
    /// A probe or hook: takes the exit code, or why its program was not started.
    Exec(oneshot::Sender<Result<i32, String>>),
}

pub(super) struct Worker {
    shared: Arc<Shared>,
    id: PodId,
    pod: Value,
    updates: watch::Receiver<Update>,
    /// That of the pod's node.
    machine: watch::Receiver<Machine>,
    /// Number of boots of the machine when the pod was started.
    boots: u32,
    /// Number of crashes that the pod's annotation counted last.
    crashes: u32,
    containers: Vec<Container>,
    processes: HashMap<u64, Purpose>,
    streams: Registered,
    /// Number of the next process; shared with the tasks that run programs.
    next_process: Arc<AtomicU64>,
    probes: HashMap<(usize, ProbeKind), Probing>,
    /// The hooks `postStart` that run.
    post_starts: HashMap<usize, Task>,
    /// Containers that are being stopped.
    kills: HashMap<usize, Killing>,
    reports: (mpsc::Sender<Report>, mpsc::Receiver<Report>),
    /// The volumes, once they are prepared.
    volumes: Option<Volumes>,
    /// When what failed is tried again.
    retry: Option<Time>,
    /// Whether the pod is being stopped: nothing is started again.
    stopping: bool,
    /// Why the pod has failed, where its containers are not the reason.
    failure: Option<Failure>,
    written: Value,
}

impl Worker {
    pub(super) fn new(
        shared: Arc<Shared>,
        pod: Value,
        updates: watch::Receiver<Update>,
        machine: watch::Receiver<Machine>,
    ) -> Self {
        let policy = text(&pod, "/spec/restartPolicy").to_string();
        let init = list(&pod, "/spec/initContainers").iter().map(|spec| Container::new(spec, true, &policy));
        let main = list(&pod, "/spec/containers").iter().map(|spec| Container::new(spec, false, &policy));
        let mut containers: Vec<Container> = init.chain(main).collect();
        let has_init = containers.first().is_some_and(|first| first.is_init);
        for container in &mut containers {
            container.wait_to_begin(has_init);
        }
        let id = PodId::of(&pod);
        let streams = shared.options.streaming.add(&id, shared.folders.of_pod(&pod).join("logs"));
        let boots = machine.borrow().boots;
        Worker {
            id,
            streams,
            containers,
            shared,
            pod,
            updates,
            machine,
            boots,
            crashes: 0,
            processes: HashMap::new(),
            next_process: Arc::default(),
            probes: HashMap::new(),
            post_starts: HashMap::new(),
            kills: HashMap::new(),
            reports: mpsc::channel(16),
            volumes: None,
            retry: None,
            stopping: false,
            failure: None,
            written: Value::Null,
        }
    }

    /// Runs the pod until it is deleted or the kubelet ends.
    pub(super) async fn run(mut self) {
        if !matches!(text(&self.pod, "/status/phase"), "Succeeded" | "Failed") {
            for field in fields::ignored(&self.pod) {
                self.warn("Unsupported", &field);
            }
            if self.shared.node.is_on_host() {
                for mount in on_host::unsupported(&self.pod) {
                    self.warn("Unsupported", &mount);
                }
            }
            while let Some(sandbox) = self.sandbox().await {
                self.streams.set_sandbox(Some(sandbox.clone()));
                self.live(&sandbox).await;
                self.streams.set_sandbox(None);
                if !self.has_lost_power() || !self.boot().await {
                    break;
                }
            }
        }
        // What is left is to wait for the deletion.
        while !self.is_deleted() {
            if self.updates.changed().await.is_err() {
                return;
            }
        }
        let folder = self.shared.folders.of_pod(&self.pod);
        let removed = tokio::task::spawn_blocking(move || remove(&folder)).await;
        if let Ok(Err(error)) = removed {
            self.warn("FailedKillPod", &format!("error killing pod: cannot remove its volumes: {error}"));
        }
        while matches!(*self.updates.borrow_and_update(), Update::Pod(_))
            && !self.shared.cluster.remove(&self.id)
        {
            // It is removed once its node is connected again.
            tokio::select! {
                Ok(()) = self.updates.changed() => {}
                Ok(()) = self.machine.changed() => {}
                else => break,
            }
        }
    }

    async fn live(&mut self, sandbox: &Pod) {
        let mut changes = self.shared.cluster.changes();
        loop {
            if !self.stopping {
                self.start_what_is_due(sandbox).await;
            }
            if !self.stopping && matches!(status::phase(&self.containers), "Succeeded" | "Failed") {
                // Sidecars end with the others.
                self.stop();
            }
            self.write_status();
            if self.stopping && self.containers.iter().all(|container| container.process.is_none()) {
                return;
            }
            let cluster = self.shared.cluster.clone();
            let due = self.next_time();
            let timer = async {
                match due {
                    Some(due) => cluster.wait(due).await,
                    None => std::future::pending().await,
                }
            };
            let follows = !self.stopping && self.volumes.as_ref().is_some_and(Volumes::follow);
            tokio::select! {
                event = sandbox.event() => match event {
                    Ok(Some(event)) => self.take_event(event),
                    // The sandbox was killed from outside: all of its containers are gone.
                    _ => return self.lose_all(),
                },
                Ok(()) = self.machine.changed() => {
                    if self.has_lost_power() {
                        for process in self.processes.keys() {
                            _ = sandbox.signal(*process, KILL).await;
                        }
                        return;
                    }
                    // What was not written while the node was cut off, or what the control plane made of it meanwhile.
                    self.written = Value::Null;
                },
                Some(report) = self.reports.1.recv() => self.take_report(sandbox, report).await,
                changed = self.updates.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let update = self.updates.borrow_and_update().clone();
                    self.take_update(update);
                    if !self.stopping {
                        self.crash(sandbox).await;
                    }
                }
                Ok(()) = changes.changed(), if follows => self.see_changes(),
                () = timer => self.take_time(),
            }
        }
    }

    fn take_update(&mut self, update: Update) {
        if let Update::Pod(pod) = update {
            // What this worker has written is newer than what it has read.
            let status = self.pod["status"].take();
            self.pod = pod;
            status::keep(&mut self.pod["status"], status);
            let now = self.now();
            if let Some(volumes) = &mut self.volumes {
                volumes.see_pod(now);
            }
        }
        if self.is_deleted() {
            if self.stopping { self.stop_earlier() } else { self.stop() }
        }
    }

    fn is_deleted(&self) -> bool {
        match &*self.updates.borrow() {
            Update::Pod(pod) => !text(pod, "/metadata/deletionTimestamp").is_empty(),
            Update::Gone | Update::Stop => true,
        }
    }

    /// When something is due, if it is.
    fn next_time(&self) -> Option<Time> {
        if self.stopping {
            return None;
        }
        // What is due already waits for a container before it, whose next event comes by itself.
        let now = self.now();
        let again =
            self.containers.iter().filter_map(|container| container.again).filter(|again| *again > now);
        // What failed keeps others from being started.
        let start = self.retry.or_else(|| again.min());
        let sync = self.volumes.as_ref().and_then(Volumes::due);
        [start, sync, self.deadline()].into_iter().flatten().min()
    }

    fn take_time(&mut self) {
        let now = self.now();
        self.follow_volumes();
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            let message = "Pod was active on the node longer than the specified deadline";
            self.record("DeadlineExceeded", message);
            self.failure = Some(Failure { reason: "DeadlineExceeded", message });
            self.stop();
        }
    }

    /// When the pod fails by its `activeDeadlineSeconds` (`pkg/kubelet/active_deadline.go`).
    fn deadline(&self) -> Option<Time> {
        let seconds = self.pod.pointer("/spec/activeDeadlineSeconds").and_then(Value::as_u64)?;
        let started: Time = text(&self.pod, "/status/startTime").parse().ok()?;
        Some(started.after(Duration::from_secs(seconds)))
    }

    fn take_event(&mut self, event: PodEvent) {
        let Some(event) = self.streams.take(event) else { return };
        let now = self.now();
        match event {
            PodEvent::Started { id } => {
                let Some(Purpose::Container(index, begun)) = self.processes.get_mut(&id) else { return };
                *begun = now;
                let index = *index;
                let name = self.containers[index].name().to_string();
                self.record("Created", &format!("Container created: {name}"));
                self.record("Started", &format!("Container started: {name}"));
                if !self.begin_post_start(index, id) {
                    self.run_container(index, id);
                }
            }
            PodEvent::NotStarted { id, reason } => match self.processes.remove(&id) {
                Some(Purpose::Container(index, begun)) => {
                    let message = format!("failed to start container: {reason}");
                    self.warn("Failed", &format!("Error: {message}"));
                    let ended = Ended { reason: "StartError", message, ..Ended::with_code(128, begun, now) };
                    self.end(index, ended);
                }
                Some(Purpose::Exec(result)) => _ = result.send(Err(reason)),
                None => {}
            },
            PodEvent::Exited { id, code } => match self.processes.remove(&id) {
                Some(Purpose::Container(index, begun)) => {
                    let mut ended = Ended::with_code(code, begun, now);
                    ended.message = self.termination_message(index, code);
                    self.end(index, ended);
                }
                Some(Purpose::Exec(result)) => _ = result.send(Ok(code)),
                None => {}
            },
            PodEvent::Dialed { .. } => {}
        }
    }

    /// Records that a container runs, after its hook `postStart`, and begins to probe it.
    fn run_container(&mut self, index: usize, process: u64) {
        let Some(Purpose::Container(_, begun)) = self.processes.get(&process) else { return };
        self.containers[index].run(*begun);
        self.begin_probes(index, process);
    }

    fn end(&mut self, index: usize, ended: Ended) {
        for kind in ProbeKind::ALL {
            self.probes.remove(&(index, kind));
        }
        self.post_starts.remove(&index);
        self.kills.remove(&index);
        let (now, stopping) = (self.now(), self.stopping);
        let container = &mut self.containers[index];
        let again = container.end(ended, stopping);
        let (name, waits) = (container.name().to_string(), container.again > Some(now));
        self.streams.end(&name);
        if again && waits {
            let pod = self.id.to_string();
            self.warn("BackOff", &format!("Back-off restarting failed container {name} in pod {pod}"));
        }
        self.pass_turns();
    }

    async fn take_report(&mut self, sandbox: &Pod, report: Report) {
        match report {
            Report::Probed { container, process, kind, outcome } => {
                if self.containers[container].process == Some(process) {
                    self.take_outcome(container, process, kind, outcome);
                }
            }
            Report::PostStarted { container, process, result } => {
                if self.containers[container].process == Some(process) {
                    self.take_post_start(container, process, result);
                }
            }
            Report::Exec(exec) => self.exec(sandbox, exec).await,
            Report::Signal { process, signal } => _ = sandbox.signal(process, signal).await,
            // With the sandbox, the kernel ends what is left of it.
            Report::Stuck { process } if self.processes.contains_key(&process) => self.lose_all(),
            Report::Stuck { .. } => {}
        }
    }

    fn address(&self) -> Option<IpAddr> {
        text(&self.pod, "/status/podIP").parse().ok()
    }

    fn number(&self) -> u64 {
        self.next_process.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn now(&self) -> Time {
        self.shared.cluster.now()
    }

    fn write_status(&mut self) {
        self.write_status_of(true);
    }

    fn write_status_of(&mut self, has_sandbox: bool) {
        let failure = self.failure.filter(|_| self.processes.is_empty());
        let status = status::status(&self.pod, &self.containers, has_sandbox, failure, self.now());
        if status != self.written {
            self.pod["status"] = status.clone();
            self.streams.set_status(&status);
            if self.shared.cluster.write_status(&self.id, status.clone()) {
                self.written = status;
            }
        }
    }

    fn record(&self, reason: &str, message: &str) {
        self.shared.cluster.record(&self.id, false, reason, message);
    }

    fn warn(&self, reason: &str, message: &str) {
        self.shared.cluster.record(&self.id, true, reason, message);
    }
}
