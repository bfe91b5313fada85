//! The life of one pod: sandbox, volumes, containers in order, probes, restarts, and its end (`kuberuntime_manager.go`, SyncPod,
//! KillPod). Must not depend on other pods.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clusterlocal_core::store::Time;
use serde_json::Value;
use tokio::net::unix::pipe;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::container::{Container, Ended, State};
use super::logs::{self, Log};
use super::probes::{Action, Probe, ProbeKind, Results};
use super::unsupported::unsupported;
use super::volumes::{mounts, prepare};
use super::{ConfigError, PodId, Shared, command, environment, files, list, probing, status, text};
use crate::runtime::protocol::Mount;
use crate::{Pod, PodEvent, PodSandbox, Process};

/// Interval at which what failed for a missing object or folder is tried again, and its Event recorded again.
const RETRY: Duration = Duration::from_secs(2);

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
        Worker {
            id: PodId::of(&pod),
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
            match self.create_sandbox().await {
                Ok(sandbox) => self.live(&sandbox).await,
                Err(message) => self.warn("FailedCreatePodSandBox", &message),
            }
        }
        // What is left is to wait for the deletion.
        while !self.is_deleted() && !matches!(*self.updates.borrow(), Update::Gone | Update::Stop) {
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

    /// Starts the containers whose turn it is: init containers one after the other, then all others.
    async fn start_what_is_due(&mut self, sandbox: &Pod) {
        if self.retry.is_some_and(|retry| retry > Instant::now()) {
            return;
        }
        self.retry = None;
        if self.volumes.is_none() && !self.prepare_volumes() {
            return;
        }
        let now = self.now();
        for index in 0..self.containers.len() {
            let container = &mut self.containers[index];
            if container.is_new() {
                self.start(sandbox, index).await;
            } else if container.process.is_none() && container.again.is_some_and(|again| again <= now) {
                container.restart();
                self.start(sandbox, index).await;
            } else if container.again.is_some() {
                let id = format!("{}_{}({})", self.id.name, self.id.namespace, self.id.uid);
                container.wait_to_restart(&id, now);
            }
            let container = &self.containers[index];
            let done = if container.is_sidecar() { container.started } else { container.has_succeeded() };
            if container.is_init && !done {
                return;
            }
        }
    }

    fn prepare_volumes(&mut self) -> bool {
        let prepared = prepare(&self.pod, &self.shared.folders, &*self.shared.cluster)
            .and_then(|volumes| self.write_files().map(|()| volumes));
        match prepared {
            Ok(volumes) => self.volumes = Some(volumes),
            Err(error) => {
                self.warn(error.reason, &error.message);
                self.retry = Some(Instant::now() + RETRY);
                for container in &mut self.containers {
                    container.state =
                        State::Waiting { reason: "ContainerCreating".into(), message: String::new() };
                }
            }
        }
        self.volumes.is_some()
    }

    /// Writes the files that each container has in /etc.
    fn write_files(&self) -> Result<(), ConfigError> {
        let folder = self.shared.folders.of_pod(&self.pod);
        let options = &self.shared.options;
        let machine = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        let (hostname, _) = files::names(&self.pod, &options.domain);
        let write = || -> io::Result<()> {
            fs::create_dir_all(&folder)?;
            fs::write(folder.join("hosts"), files::hosts(&self.pod, &options.domain))?;
            fs::write(folder.join("hostname"), format!("{hostname}\n"))?;
            let resolv_conf = files::resolv_conf(&self.pod, &options.domain, &options.dns, &machine);
            fs::write(folder.join("resolv.conf"), resolv_conf)
        };
        write().map_err(|error| ConfigError {
            reason: "FailedMount",
            message: format!("{}: {error}", folder.display()),
        })
    }

    async fn start(&mut self, sandbox: &Pod, index: usize) {
        let run = self.containers[index].restarts;
        let started = match self.process(index) {
            Ok(process) => {
                let id = self.number();
                let name = self.containers[index].name().to_string();
                self.spawn(sandbox, id, None, &process, &name, run)
                    .await
                    .map(|()| id)
                    .map_err(|error| ConfigError { reason: "RunContainerError", message: error.to_string() })
            }
            Err(error) => Err(error),
        };
        let now = self.now();
        let container = &mut self.containers[index];
        match started {
            Ok(id) => {
                container.process = Some(id);
                if !matches!(container.state, State::Waiting { .. }) {
                    container.state =
                        State::Waiting { reason: "ContainerCreating".into(), message: String::new() };
                }
                self.processes.insert(id, Purpose::Container(index, now));
            }
            Err(error) => {
                let state = State::Waiting { reason: error.reason.into(), message: error.message.clone() };
                if container.state != state {
                    container.state = state;
                    self.warn("Failed", &format!("Error: {}", error.message));
                }
                self.retry = Some(Instant::now() + RETRY);
            }
        }
    }

    /// The process of a container, by the spec of its pod.
    fn process(&self, index: usize) -> Result<Process, ConfigError> {
        let (shared, container) = (&self.shared, &self.containers[index].spec);
        let options = &shared.options;
        let own = environment::environment(&self.pod, container, &*shared.cluster)?;
        let inherited = ["PATH", "LANG", "TERM", "TMPDIR"];
        let mut env: Vec<(String, String)> =
            inherited.iter().filter_map(|name| Some((name.to_string(), std::env::var(name).ok()?))).collect();
        env.push(("HOME".into(), std::env::var("HOME").unwrap_or_else(|_| "/".into())));
        env.push(("HOSTNAME".into(), files::names(&self.pod, &options.domain).0));
        env.retain(|(name, _)| environment::lookup(&own, name).is_none());
        env.extend(own);
        let argv = command::command(&self.pod, container, &env, &options.images, &options.working_dir)?;
        let folder = shared.folders.of_pod(&self.pod);
        let etc = ["hosts", "hostname", "resolv.conf"].map(|name| Mount {
            source: folder.join(name),
            target: PathBuf::from("/etc").join(name),
            read_only: false,
        });
        let mut all = Vec::from(etc);
        all.extend(mounts(container, self.volumes.as_deref().unwrap_or_default(), &env)?);
        let scratch = folder.join("root");
        fs::create_dir_all(&scratch)
            .map_err(|error| ConfigError::config(format!("{}: {error}", scratch.display())))?;
        let given = text(container, "/workingDir");
        let working_dir = if given.is_empty() { options.working_dir.clone() } else { PathBuf::from(given) };
        let (writable, user) = (options.writable, shared.node.caller());
        Ok(Process { argv, env, working_dir, mounts: all, scratch, writable, user, terminal: false })
    }

    /// Starts a process whose output goes to the log of the container.
    async fn spawn(
        &self,
        sandbox: &Pod,
        id: u64,
        joins: Option<u64>,
        process: &Process,
        name: &str,
        run: u32,
    ) -> io::Result<()> {
        let folder = self.shared.folders.of_pod(&self.pod).join("logs").join(name);
        let log = Arc::new(Mutex::new(Log::create(&folder, run)?));
        let shown = format!("{}/{name}", self.id.name);
        let mut ends = Vec::new();
        for stream in ["stdout", "stderr"] {
            let (output, written) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
            ends.push(written);
            let output = pipe::Receiver::from_owned_fd(output)?;
            let (log, shown, lines) = (log.clone(), shown.clone(), self.shared.options.lines.clone());
            let cluster = self.shared.cluster.clone();
            tokio::spawn(async move {
                logs::copy(output, stream, log, shown, lines, move || cluster.now()).await
            });
        }
        let stderr = ends.pop().ok_or_else(|| io::Error::other("no pipe"))?;
        let stdout = ends.pop().ok_or_else(|| io::Error::other("no pipe"))?;
        let stdin: OwnedFd = File::open("/dev/null")?.into();
        sandbox.start(id, joins, process, [stdin, stdout, stderr]).await
    }

    fn take_event(&mut self, event: PodEvent) {
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
        if again && waits {
            let pod = format!("{}_{}({})", self.id.name, self.id.namespace, self.id.uid);
            self.warn("BackOff", &format!("Back-off restarting failed container {name} in pod {pod}"));
        }
    }

    /// Begins to ask a container that runs. One without a startup probe has started, one without a readiness probe is ready then.
    fn begin_probes(&mut self, index: usize, process: u64) {
        let container = &mut self.containers[index];
        let has = |kind| Probe::of(&container.spec, kind).is_some();
        let (startup, readiness) = (has(ProbeKind::Startup), has(ProbeKind::Readiness));
        container.started = !startup;
        container.ready = !startup && !readiness;
        if startup {
            self.probe(index, process, ProbeKind::Startup);
        } else {
            self.probe(index, process, ProbeKind::Liveness);
            self.probe(index, process, ProbeKind::Readiness);
        }
    }

    /// Asks a container by its probe of that kind, first after the delay and then each period, until its process ends.
    fn probe(&mut self, index: usize, process: u64, kind: ProbeKind) {
        let spec = self.containers[index].spec.clone();
        let Some(probe) = Probe::of(&spec, kind) else { return };
        let Some(address) = self.address() else { return };
        self.results.insert((index, kind), Results::new(kind));
        let (shared, reports) = (self.shared.clone(), self.reports.0.clone());
        tokio::spawn(async move {
            let mut next = Instant::now() + probe.delay;
            loop {
                sleep_until(next).await;
                next = Instant::now() + probe.period;
                let result = match &probe.action {
                    Action::Exec(argv) => {
                        let (result, ended) = oneshot::channel();
                        let exec = Report::Exec { container: index, process, argv: argv.clone(), result };
                        if reports.send(exec).await.is_err() {
                            return;
                        }
                        match tokio::time::timeout(probe.timeout, ended).await {
                            Ok(Ok(0)) => Ok(()),
                            Ok(Ok(code)) => Err(format!("command exited with code {code}")),
                            Ok(Err(_)) => return,
                            Err(_) => Err(format!("command timed out after {} s", probe.timeout.as_secs())),
                        }
                    }
                    action => probing::ask(&shared, action, &spec, address, probe.timeout).await,
                };
                let report = Report::Probed { container: index, process, kind, result };
                if reports.send(report).await.is_err() {
                    return;
                }
            }
        });
    }

    /// Runs a program in a container. What it writes is not kept.
    async fn exec(
        &mut self,
        sandbox: &Pod,
        index: usize,
        joins: u64,
        argv: Vec<String>,
        result: oneshot::Sender<i32>,
    ) {
        let Ok(process) = self.process(index) else { return };
        let id = self.number();
        let null = || File::options().read(true).write(true).open("/dev/null").map(OwnedFd::from);
        let (Ok(stdin), Ok(stdout), Ok(stderr)) = (null(), null(), null()) else { return };
        let process = Process { argv, ..process };
        if sandbox.start(id, Some(joins), &process, [stdin, stdout, stderr]).await.is_ok() {
            self.processes.insert(id, Purpose::Exec(result));
        }
    }

    async fn take_report(&mut self, sandbox: &Pod, report: Report) {
        let (index, process, kind, result) = match report {
            Report::Probed { container, process, kind, result } => (container, process, kind, result),
            Report::Exec { container, process, argv, result } => {
                if self.containers[container].process == Some(process) {
                    self.exec(sandbox, container, process, argv, result).await;
                }
                return;
            }
        };
        if self.containers[index].process != Some(process) {
            return;
        }
        let Some(probe) = Probe::of(&self.containers[index].spec, kind) else { return };
        let Some(results) = self.results.get_mut(&(index, kind)) else { return };
        let succeeded = result.is_ok();
        let changed = results.add(&probe, succeeded);
        if let Err(why) = &result {
            self.warn("Unhealthy", &format!("{} probe failed: {why}", kind.title()));
        }
        if !changed {
            return;
        }
        let name = self.containers[index].name().to_string();
        match (kind, succeeded) {
            (ProbeKind::Startup, true) => {
                self.containers[index].started = true;
                self.results.remove(&(index, kind));
                let waits = Probe::of(&self.containers[index].spec, ProbeKind::Readiness).is_some();
                self.containers[index].ready = !waits;
                self.probe(index, process, ProbeKind::Liveness);
                self.probe(index, process, ProbeKind::Readiness);
            }
            (ProbeKind::Readiness, ready) => self.containers[index].ready = ready,
            (ProbeKind::Liveness, true) => {}
            (ProbeKind::Liveness | ProbeKind::Startup, false) => {
                let what = if kind == ProbeKind::Liveness { "liveness" } else { "startup" };
                self.record("Killing", &format!("Container {name} failed {what} probe, will be restarted"));
                _ = sandbox.signal(process, TERM).await;
                let (sandbox, grace) = (sandbox.clone(), self.grace());
                tokio::spawn(async move {
                    tokio::time::sleep(grace).await;
                    _ = sandbox.signal(process, KILL).await;
                });
            }
        }
    }

    /// Stops all containers: the ordinary ones, then sidecars in reverse order; each has what is left of the grace period.
    async fn stop(&mut self, sandbox: &Pod) {
        let mut deadline = Instant::now() + self.grace();
        let order: Vec<usize> = (0..self.containers.len()).collect();
        let (sidecars, main): (Vec<usize>, Vec<usize>) =
            order.into_iter().partition(|index| self.containers[*index].is_sidecar());
        let stages = std::iter::once(main).chain(sidecars.into_iter().rev().map(|index| vec![index]));
        for stage in stages {
            for index in &stage {
                let container = &self.containers[*index];
                if let Some(process) = container.process {
                    let name = container.name().to_string();
                    self.record("Killing", &format!("Stopping container {name}"));
                    _ = sandbox.signal(process, TERM).await;
                }
            }
            let mut killed = false;
            while stage.iter().any(|index| self.containers[*index].process.is_some()) {
                let event = tokio::select! {
                    event = timeout_at(deadline, sandbox.event()) => event,
                    Ok(()) = self.updates.changed() => {
                        // Asked again, it may have less time.
                        deadline = deadline.min(Instant::now() + self.grace());
                        continue;
                    }
                };
                match event {
                    Ok(Ok(Some(event))) => self.take_end(event),
                    Ok(_) => return self.lose_all(),
                    Err(_) if killed => return self.lose_all(),
                    Err(_) => {
                        killed = true;
                        for index in &stage {
                            if let Some(process) = self.containers[*index].process {
                                _ = sandbox.signal(process, KILL).await;
                            }
                        }
                        deadline = Instant::now() + Duration::from_secs(1);
                    }
                }
            }
        }
    }

    /// Takes an event while the pod stops: nothing is started again.
    fn take_end(&mut self, event: PodEvent) {
        let (id, code) = match event {
            PodEvent::Started { .. } => return,
            PodEvent::NotStarted { id, .. } => (id, 128),
            PodEvent::Exited { id, code } => (id, code),
        };
        match self.processes.remove(&id) {
            Some(Purpose::Container(index, begun)) => {
                self.end(index, Ended::with_code(code, begun, self.now()), true)
            }
            Some(Purpose::Exec(result)) => _ = result.send(code),
            None => {}
        }
    }

    /// Records that all processes are gone.
    fn lose_all(&mut self) {
        let now = self.now();
        for (_, purpose) in std::mem::take(&mut self.processes) {
            if let Purpose::Container(index, begun) = purpose {
                self.end(index, Ended::with_code(128 + KILL, begun, now), true);
            }
        }
        self.write_status();
    }

    fn grace(&self) -> Duration {
        let update = self.updates.borrow();
        let pod = match &*update {
            Update::Pod(pod) => pod,
            Update::Gone | Update::Stop => &self.pod,
        };
        let seconds = |pointer| pod.pointer(pointer).and_then(Value::as_u64);
        let seconds = seconds("/metadata/deletionGracePeriodSeconds")
            .or(seconds("/spec/terminationGracePeriodSeconds"));
        Duration::from_secs(seconds.unwrap_or(30))
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
