//! What the worker of a pod publishes of it for requests of clients: its sandbox, containers, logs and status. Must not depend on what
//! clients request.

use std::collections::HashMap;
use std::io;
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::{mpsc, watch};

use super::{StreamError, Streaming, with_term};
use crate::kubelet::logs::{Log, Progress};
use crate::kubelet::stdio::{Attached, Input, Reader, Stdio, Terminal};
use crate::kubelet::volumes::safe;
use crate::kubelet::{list, text};
use crate::{Pod, PodEvent, Process};

/// Number of the first process or connection of a client. Those of the pod itself have smaller ones.
const FIRST_NUMBER: u64 = 1 << 32;

/// What becomes of a process or connection of a client.
#[derive(Debug)]
pub(super) enum Outcome {
    Started,
    NotStarted(String),
    Exited(i32),
}

/// A pod, for requests of clients.
pub(crate) struct PodStreams {
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
pub(super) struct Running {
    /// Number of its first process, and how that was started.
    pub(super) id: u64,
    pub(super) process: Process,
    input: Mutex<Option<Input>>,
    /// Whether standard input is closed after its first client.
    input_once: bool,
    has_input: bool,
    pub(super) attached: Arc<Attached>,
    pub(super) terminal: Option<Terminal>,
    pub(super) ends: watch::Receiver<()>,
    _running: watch::Sender<()>,
}

impl Running {
    /// Standard input for a client.
    pub(super) fn input(&self, container: &str) -> Result<Option<Input>, StreamError> {
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
    /// The pod called `name`, whose logs are in this folder.
    pub(super) fn new(name: String, logs: PathBuf) -> Self {
        PodStreams { name, logs, inner: Mutex::default() }
    }

    /// The sandbox, while the pod runs.
    pub(super) fn sandbox(&self) -> Option<Pod> {
        self.inner().sandbox.clone()
    }

    /// The run of a container that runs.
    pub(super) fn running(&self, container: &str) -> Option<Arc<Running>> {
        self.inner().running.get(container).cloned()
    }

    /// The log of a run, and how far it is if it is the last one.
    pub(super) fn log(&self, container: &str, run: u32) -> (PathBuf, Option<watch::Receiver<Progress>>) {
        let path = self.logs.join(safe(container)).join(format!("{run}.log"));
        let last = self.inner().logs.get(container).filter(|(of, _)| *of == run).map(|(_, log)| log.clone());
        (path, last)
    }

    /// Sets the sandbox that processes start in, and takes it away at its end: then all of them are gone.
    pub(crate) fn set_sandbox(&self, sandbox: Option<Pod>) {
        let mut inner = self.inner();
        inner.sandbox = sandbox;
        if inner.sandbox.is_none() {
            inner.running.clear();
            inner.outcomes.clear();
        }
    }

    /// Publishes the status of the pod.
    pub(crate) fn set_status(&self, status: &Value) {
        self.inner().status = status.clone();
    }

    /// Adds a run of a container, before its start. Returns its descriptors, the server's ends of its output, and those that
    /// are attached to it.
    pub(crate) fn begin(
        &self,
        (container, run): (&Value, u32),
        (id, process): (u64, Process),
        log: &Log,
    ) -> io::Result<(Process, Started)> {
        let is = |field: &str| container.get(field).and_then(Value::as_bool) == Some(true);
        let (has_input, terminal) = (is("stdin"), is("tty"));
        let (stdio, descriptors) = Stdio::open(has_input, terminal)?;
        let process = with_term(Process { terminal, ..process });
        let attached = Arc::new(Attached::default());
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
    pub(crate) fn end(&self, container: &str) {
        self.inner().running.remove(container);
    }

    /// Takes an event about a process or connection of a client. Returns all others.
    pub(crate) fn take(&self, event: PodEvent) -> Option<PodEvent> {
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
    pub(super) fn expect(&self) -> (u64, mpsc::Receiver<Outcome>) {
        let (sender, outcomes) = mpsc::channel(2);
        let mut inner = self.inner();
        let id = FIRST_NUMBER + inner.next;
        inner.next += 1;
        inner.outcomes.insert(id, sender);
        (id, outcomes)
    }

    /// The run of a container whose log is meant (`pkg/kubelet/kubelet_pods.go`, validateContainerLogStatus).
    pub(super) fn run(&self, container: &str, previous: bool) -> Result<u32, StreamError> {
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
pub(crate) struct Started {
    /// Standard input, output and error of its process.
    pub(crate) descriptors: [OwnedFd; 3],
    /// The server's ends of its output.
    pub(crate) output: Vec<(u8, Reader)>,
    pub(crate) attached: Arc<Attached>,
}

/// A pod that requests of clients find until this is dropped.
pub(crate) struct Registered {
    streaming: Streaming,
    uid: String,
    streams: Arc<PodStreams>,
}

impl Registered {
    pub(super) fn new(streaming: Streaming, uid: String, streams: Arc<PodStreams>) -> Self {
        Registered { streaming, uid, streams }
    }
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
    use crate::kubelet::PodId;

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
