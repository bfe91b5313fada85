//! Takes the place of the kubelet's server (`pkg/kubelet/server`, cri-streaming): logs, processes and connections of pods, for clients.
//! Must not depend on HTTP.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::body::Bytes;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep;

use super::log_reading::{self, LogOptions};
use super::logs::{Log, Progress};
use super::stdio::{Attached, Input, Piece, Stdio, Terminal, forward};
use super::volumes::safe;
use super::{PodId, list, text};
use crate::{Pod, PodEvent, Process};

/// Number of the first process or connection of a client. Those of the pod itself have smaller ones.
const FIRST_NUMBER: u64 = 1 << 32;

/// Maximum time from the hang-up of a process whose client has gone to its end, before it is killed.
const HANG_UP_LIMIT: Duration = Duration::from_secs(10);

/// Number of pieces of a log that wait for the client.
const LOG_PIECES: usize = 4;

/// SIGHUP, SIGKILL.
const HANG_UP: i32 = 1;
const KILL: i32 = 9;

/// Why a request for a container fails, in the kubelet's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StreamError(String);

/// Which streams of a process a client uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamOptions {
    /// Whether it writes standard input.
    pub stdin: bool,
    /// Whether the process has a terminal.
    pub tty: bool,
}

/// A process that a client uses. It is hung up when this is dropped.
pub struct Session {
    /// Standard input, where the client writes it.
    pub input: Option<Input>,
    /// What the process writes, until all writers have closed it.
    pub output: mpsc::Receiver<Piece>,
    /// The exit code, once the process has ended; 0 for one that is attached to.
    pub exit_code: oneshot::Receiver<i32>,
    /// Sets width and height of the terminal, in characters, if there is one.
    pub resize: Resize,
}

/// Sets width and height of a terminal, in characters.
pub type Resize = Box<dyn Fn(u16, u16) + Send + Sync>;

fn resize(terminal: Option<Terminal>) -> Resize {
    Box::new(move |width, height| {
        if let Some(terminal) = &terminal {
            terminal.resize(width, height);
        }
    })
}

/// The pods of a kubelet, for requests of clients.
#[derive(Clone, Default)]
pub struct Streaming(Arc<Mutex<HashMap<String, Arc<PodStreams>>>>);

impl Streaming {
    /// The log of a container of the pod with this UID. The channel closes at its end.
    ///
    /// # Errors
    /// If the container has no log, or none of a run before.
    pub fn log(
        &self,
        uid: &str,
        container: &str,
        options: LogOptions,
    ) -> Result<mpsc::Receiver<Bytes>, StreamError> {
        let unavailable =
            || StreamError(format!("container {container:?} of the pod has no log: it was not run here"));
        let pod = self.pod(uid).ok_or_else(unavailable)?;
        let run = pod.run(container, options.previous)?;
        let path = pod.logs.join(safe(container)).join(format!("{run}.log"));
        let progress =
            pod.inner().logs.get(container).filter(|(of, _)| *of == run).map(|(_, log)| log.clone());
        let (sender, receiver) = mpsc::channel(LOG_PIECES);
        tokio::spawn(log_reading::send(path, options, progress, sender));
        Ok(receiver)
    }

    /// Starts a process in a container that runs.
    ///
    /// # Errors
    /// If the container does not run, or its program cannot be started.
    pub async fn exec(
        &self,
        uid: &str,
        container: &str,
        argv: Vec<String>,
        options: StreamOptions,
    ) -> Result<Session, StreamError> {
        let (pod, running) = self.running(uid, container)?;
        let sandbox = pod.inner().sandbox.clone().ok_or_else(|| not_found(container))?;
        let failed = |error: io::Error| {
            StreamError(format!("error executing command in container: failed to exec in container: {error}"))
        };
        let (stdio, descriptors) = Stdio::open(options.stdin, options.tty).map_err(failed)?;
        let process = Process { argv, terminal: options.tty, ..running.process.clone() };
        let (id, mut outcomes) = pod.expect();
        sandbox
            .start(id, Some(running.id), &with_term(process), descriptors)
            .await
            .map_err(|_| not_found(container))?;
        match outcomes.recv().await {
            Some(Outcome::Started) => {}
            Some(Outcome::NotStarted(reason)) => {
                return Err(failed(io::Error::other(reason)));
            }
            _ => return Err(not_found(container)),
        }
        let (sender, output) = mpsc::channel(super::stdio::PIECES);
        for (stream, reader) in stdio.output {
            tokio::spawn(forward(reader, stream, sender.clone()));
        }
        let (ended, exit_code) = oneshot::channel();
        tokio::spawn(supervise(sandbox, id, outcomes, ended));
        Ok(Session {
            input: stdio.input.filter(|_| options.stdin),
            output,
            exit_code,
            resize: resize(stdio.terminal),
        })
    }

    /// Attaches to the first process of a container that runs.
    ///
    /// # Errors
    /// If the container does not run.
    pub fn attach(&self, uid: &str, container: &str, options: StreamOptions) -> Result<Session, StreamError> {
        let (_, running) = self.running(uid, container)?;
        let input = if options.stdin { running.input(container)? } else { None };
        let (output, mut ends) = (running.attached.add(), running.ends.clone());
        let terminal = running.terminal.clone();
        drop(running);
        let (mut ended, exit_code) = oneshot::channel();
        tokio::spawn(async move {
            let has_ended = tokio::select! {
                // The sender is dropped when the container ends.
                _ = ends.changed() => true,
                () = ended.closed() => false,
            };
            if has_ended {
                _ = ended.send(0);
            }
        });
        Ok(Session { input, output, exit_code, resize: resize(terminal) })
    }

    /// Connects to a port at the loopback address of the pod with this UID.
    ///
    /// # Errors
    /// If the pod does not run, or nothing listens there.
    pub async fn connect(&self, uid: &str, port: u16) -> io::Result<TcpStream> {
        let gone = || io::Error::new(io::ErrorKind::NotFound, "the pod does not run");
        let pod = self.pod(uid).ok_or_else(gone)?;
        let sandbox = pod.inner().sandbox.clone().ok_or_else(gone)?;
        let mut failed = gone();
        for address in [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)] {
            let (id, mut outcomes) = pod.expect();
            sandbox.dial(id, SocketAddr::new(address, port)).await?;
            let connected = match outcomes.recv().await {
                Some(Outcome::Started) => sandbox.dialed(id).await,
                Some(Outcome::NotStarted(reason)) => Err(io::Error::other(reason)),
                _ => return Err(gone()),
            };
            match connected {
                Ok(stream) => return Ok(stream),
                // That of IPv4 is reported.
                Err(error) if address.is_ipv4() => failed = error,
                Err(_) => {}
            }
        }
        Err(failed)
    }

    /// Adds a pod whose logs are in this folder.
    pub(super) fn add(&self, pod: &PodId, logs: PathBuf) -> Registered {
        let streams = Arc::new(PodStreams { name: pod.name.clone(), logs, inner: Mutex::default() });
        self.pods().insert(pod.uid.clone(), streams.clone());
        Registered { streaming: self.clone(), uid: pod.uid.clone(), streams }
    }

    fn running(&self, uid: &str, container: &str) -> Result<(Arc<PodStreams>, Arc<Running>), StreamError> {
        let pod = self.pod(uid).ok_or_else(|| not_found(container))?;
        let running = pod.inner().running.get(container).cloned();
        running.map(|running| (pod, running)).ok_or_else(|| not_found(container))
    }

    fn pod(&self, uid: &str) -> Option<Arc<PodStreams>> {
        self.pods().get(uid).cloned()
    }

    fn pods(&self) -> MutexGuard<'_, HashMap<String, Arc<PodStreams>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As the kubelet has it for a container that does not run (`pkg/kubelet/kubelet_pods.go`, GetExec).
fn not_found(container: &str) -> StreamError {
    StreamError(format!("unable to upgrade connection: container not found ({container:?})"))
}

/// A process with a terminal has a name for its kind.
fn with_term(mut process: Process) -> Process {
    if process.terminal && !process.env.iter().any(|(name, _)| name == "TERM") {
        process.env.push(("TERM".into(), "xterm".into()));
    }
    process
}

/// Reports the end of a process to its client. If the client goes away first, ends the process.
async fn supervise(
    sandbox: Pod,
    id: u64,
    mut outcomes: mpsc::Receiver<Outcome>,
    mut ended: oneshot::Sender<i32>,
) {
    let outcome = tokio::select! {
        outcome = outcomes.recv() => Some(outcome),
        () = ended.closed() => None,
    };
    if let Some(outcome) = outcome {
        // Without an event the pod has ended, and with it all of its processes by SIGKILL.
        let code = if let Some(Outcome::Exited(code)) = outcome { code } else { 128 + KILL };
        _ = ended.send(code);
        return;
    }
    for signal in [HANG_UP, KILL] {
        if sandbox.signal(id, signal).await.is_err() {
            return;
        }
        tokio::select! {
            _ = outcomes.recv() => return,
            () = sleep(HANG_UP_LIMIT) => {}
        }
    }
}

/// What becomes of a process or connection of a client.
#[derive(Debug)]
enum Outcome {
    Started,
    NotStarted(String),
    Exited(i32),
}

/// A pod, for requests of clients.
pub(super) struct PodStreams {
    name: String,
    /// Folder with a folder of logs for each container.
    logs: PathBuf,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    sandbox: Option<Pod>,
    status: Value,
    running: HashMap<String, Arc<Running>>,
    /// The number of the last run of each container, and how far its log is.
    logs: HashMap<String, (u32, watch::Receiver<Progress>)>,
    outcomes: HashMap<u64, mpsc::Sender<Outcome>>,
    next: u64,
}

/// A run of a container.
struct Running {
    /// Number of its first process, and how that was started.
    id: u64,
    process: Process,
    input: Mutex<Option<Input>>,
    /// Whether standard input is closed after its first client.
    input_once: bool,
    has_input: bool,
    attached: Arc<Attached>,
    terminal: Option<Terminal>,
    ends: watch::Receiver<()>,
    _running: watch::Sender<()>,
}

impl Running {
    /// Standard input for a client.
    fn input(&self, container: &str) -> Result<Option<Input>, StreamError> {
        if !self.has_input {
            return Ok(None);
        }
        let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        let given = if self.input_once { input.take() } else { input.clone() };
        let closed =
            || StreamError(format!("standard input of container {container:?} is closed (stdinOnce)"));
        given.map(Some).ok_or_else(closed)
    }
}

impl PodStreams {
    /// Sets the sandbox that processes start in, and takes it away at its end: then all of them are gone.
    pub(super) fn set_sandbox(&self, sandbox: Option<Pod>) {
        let mut inner = self.inner();
        inner.sandbox = sandbox;
        if inner.sandbox.is_none() {
            inner.running.clear();
            inner.outcomes.clear();
        }
    }

    /// Publishes the status of the pod.
    pub(super) fn set_status(&self, status: &Value) {
        self.inner().status = status.clone();
    }

    /// Adds a run of a container, before its start. Returns its descriptors, the server's ends of its output, and those that
    /// are attached to it.
    pub(super) fn begin(
        &self,
        (container, run): (&Value, u32),
        (id, process): (u64, Process),
        log: &Log,
    ) -> io::Result<(Process, Started)> {
        let is = |field: &str| container.get(field).and_then(Value::as_bool) == Some(true);
        let (has_input, terminal) = (is("stdin"), is("tty"));
        let (stdio, descriptors) = Stdio::open(has_input, terminal)?;
        let process = with_term(Process { terminal, ..process });
        let attached = Arc::new(Attached::new(has_input));
        let (sender, ends) = watch::channel(());
        let running = Running {
            id,
            process: process.clone(),
            input: Mutex::new(stdio.input.filter(|_| has_input)),
            input_once: is("stdinOnce"),
            has_input,
            attached: attached.clone(),
            terminal: stdio.terminal,
            ends,
            _running: sender,
        };
        let name = text(container, "/name").to_string();
        let mut inner = self.inner();
        inner.logs.insert(name.clone(), (run, log.progress()));
        inner.running.insert(name, Arc::new(running));
        Ok((process, Started { descriptors, output: stdio.output, attached }))
    }

    /// Removes a run of a container that has ended.
    pub(super) fn end(&self, container: &str) {
        self.inner().running.remove(container);
    }

    /// Takes an event about a process or connection of a client. Returns all others.
    pub(super) fn take(&self, event: PodEvent) -> Option<PodEvent> {
        let (id, outcome, is_last) = match &event {
            PodEvent::Started { id } => (*id, Outcome::Started, false),
            PodEvent::NotStarted { id, reason } => (*id, Outcome::NotStarted(reason.clone()), true),
            PodEvent::Exited { id, code } => (*id, Outcome::Exited(*code), true),
            PodEvent::Dialed { id } => (*id, Outcome::Started, true),
        };
        if id < FIRST_NUMBER {
            return Some(event);
        }
        let mut inner = self.inner();
        if let Some(sender) = inner.outcomes.get(&id) {
            // There is room for both events of a process.
            _ = sender.try_send(outcome);
        }
        if is_last {
            inner.outcomes.remove(&id);
        }
        None
    }

    /// A number for a process or connection, and what becomes of it.
    fn expect(&self) -> (u64, mpsc::Receiver<Outcome>) {
        let (sender, outcomes) = mpsc::channel(2);
        let mut inner = self.inner();
        let id = FIRST_NUMBER + inner.next;
        inner.next += 1;
        inner.outcomes.insert(id, sender);
        (id, outcomes)
    }

    /// The run of a container whose log is meant (`pkg/kubelet/kubelet_pods.go`, validateContainerLogStatus).
    fn run(&self, container: &str, previous: bool) -> Result<u32, StreamError> {
        let (inner, pod) = (self.inner(), &self.name);
        let statuses = ["/containerStatuses", "/initContainerStatuses"];
        let mut statuses = statuses.iter().flat_map(|pointer| list(&inner.status, pointer));
        let Some(status) = statuses.find(|status| text(status, "/name") == container) else {
            return Err(StreamError(format!("container {container:?} in pod {pod:?} is not available")));
        };
        let restarts =
            status["restartCount"].as_u64().and_then(|count| u32::try_from(count).ok()).unwrap_or(0);
        let (state, has_last) = (&status["state"], status.pointer("/lastState/terminated").is_some());
        let waits = state.get("waiting");
        // A container that waits to be started again has not begun its next run.
        let last = if waits.is_some() { restarts } else { restarts.saturating_sub(1) };
        match (previous, waits) {
            (true, _) if has_last => Ok(last),
            (true, _) => Err(StreamError(format!(
                "previous terminated container {container:?} in pod {pod:?} not found"
            ))),
            (false, None) => Ok(restarts),
            (false, Some(_)) if has_last => Ok(last),
            (false, Some(waiting)) => {
                let reason = text(waiting, "/reason");
                Err(StreamError(format!(
                    "container {container:?} in pod {pod:?} is waiting to start: {reason}"
                )))
            }
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a run of a container begins with.
pub(super) struct Started {
    /// Standard input, output and error of its process.
    pub(super) descriptors: [std::os::fd::OwnedFd; 3],
    /// The server's ends of its output.
    pub(super) output: Vec<(u8, Box<dyn tokio::io::AsyncRead + Send + Unpin>)>,
    pub(super) attached: Arc<Attached>,
}

/// A pod that requests of clients find until this is dropped.
pub(super) struct Registered {
    streaming: Streaming,
    uid: String,
    streams: Arc<PodStreams>,
}

impl Deref for Registered {
    type Target = PodStreams;

    fn deref(&self) -> &PodStreams {
        &self.streams
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.set_sandbox(None);
        self.streaming.pods().remove(&self.uid);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The status of a container, whether the run before is meant, and the number of the run or the kubelet's message.
    #[test]
    fn the_run_of_a_log_follows_from_the_status() {
        let waiting = |reason: &str| json!({"waiting": {"reason": reason}});
        let (running, terminated) = (json!({"running": {}}), json!({"terminated": {}}));
        let none = json!({});
        let table = [
            (running.clone(), none.clone(), 0, false, Ok(0)),
            (
                running.clone(),
                none.clone(),
                0,
                true,
                Err("previous terminated container \"db\" in pod \"db-0\" not found"),
            ),
            (running.clone(), terminated.clone(), 2, false, Ok(2)),
            (running, terminated.clone(), 2, true, Ok(1)),
            (waiting("CrashLoopBackOff"), terminated.clone(), 2, false, Ok(2)),
            (waiting("CrashLoopBackOff"), terminated.clone(), 2, true, Ok(2)),
            (terminated, none.clone(), 0, false, Ok(0)),
            (
                waiting("ContainerCreating"),
                none.clone(),
                0,
                false,
                Err("container \"db\" in pod \"db-0\" is waiting to start: ContainerCreating"),
            ),
            (json!(null), none, 0, false, Err("container \"db\" in pod \"db-0\" is not available")),
        ];
        for (state, last, restarts, previous, expected) in table {
            let pod = PodId { namespace: "n".into(), name: "db-0".into(), uid: "u".into() };
            let streams = Streaming::default();
            let registered = streams.add(&pod, PathBuf::from("/"));
            let name = if state.is_null() { "other" } else { "db" };
            let status = json!({"name": name, "restartCount": restarts, "state": state, "lastState": last});
            registered.set_status(&json!({"containerStatuses": [status]}));
            let run = registered.run("db", previous).map_err(|error| error.to_string());
            assert_eq!(run, expected.map_err(String::from), "{state} {restarts} {previous}");
        }
    }
}
