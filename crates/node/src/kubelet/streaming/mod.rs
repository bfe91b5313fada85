//! Takes the place of the kubelet's server (`pkg/kubelet/server`, cri-streaming): logs, processes and connections of pods, for clients.
//! Must not depend on HTTP.

mod published;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::body::Bytes;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use super::PodId;
use super::log_reading::{self, LogOptions};
use super::stdio::{Input, PIECES, Piece, Stdio, Terminal, forward};
use crate::{Pod, Process};
pub(super) use published::Registered;
use published::{Outcome, PodStreams, Running};

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
        let (path, progress) = pod.log(container, run);
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
        let sandbox = pod.sandbox().ok_or_else(|| not_found(container))?;
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
        let (sender, output) = mpsc::channel(PIECES);
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
        let sandbox = pod.sandbox().ok_or_else(gone)?;
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
        let streams = Arc::new(PodStreams::new(pod.name.clone(), logs));
        self.pods().insert(pod.uid.clone(), streams.clone());
        Registered::new(self.clone(), pod.uid.clone(), streams)
    }

    fn running(&self, uid: &str, container: &str) -> Result<(Arc<PodStreams>, Arc<Running>), StreamError> {
        let pod = self.pod(uid).ok_or_else(|| not_found(container))?;
        let running = pod.running(container);
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
