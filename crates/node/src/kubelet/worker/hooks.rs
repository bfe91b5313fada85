//! What probes and hooks do with a container that runs: programs in it, requests to it; and the hooks themselves
//! (`pkg/kubelet/lifecycle/handlers.go`). Must not depend on when a hook is due.

use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot};

use super::task::Task;
use super::{KILL, Purpose, Report, Worker};
use crate::kubelet::probes::Action;
use crate::kubelet::probing::{Asker, Outcome};
use crate::kubelet::{PodId, Shared, text};
use crate::{Pod, Process};

/// Maximum output of a program that is kept for an Event, in bytes (`pkg/probe/exec`, `maxReadLength`).
const MAX_OUTPUT: usize = 10 << 10;

/// Maximum time of a request of a hook. A cluster has none: the grace period is the limit there.
const HOOK_REQUEST: Duration = Duration::from_secs(3600);

/// A program to run in a container.
pub(super) struct Exec {
    container: usize,
    /// The first process of the container.
    process: u64,
    /// Number of the new process.
    id: u64,
    argv: Vec<String>,
    output: OwnedFd,
    ended: oneshot::Sender<Result<i32, String>>,
}

/// A container that runs, for a task beside the worker.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) shared: Arc<Shared>,
    pub(super) index: usize,
    pub(super) process: u64,
    pub(super) spec: Value,
    pod: PodId,
    address: Option<IpAddr>,
    reports: mpsc::Sender<Report>,
    next_process: Arc<AtomicU64>,
}

impl Target {
    /// Sends a report. The worker is there as long as its tasks are.
    pub(super) async fn report(&self, report: Report) {
        _ = self.reports.send(report).await;
    }

    /// Records an Event about the pod.
    pub(super) fn warn(&self, reason: &str, message: &str) {
        self.shared.cluster.record(&self.pod, true, reason, message);
    }

    /// Runs a probe, within `limit`.
    pub(super) async fn probe(&self, action: &Action, limit: Duration) -> Outcome {
        match action {
            Action::Exec(argv) => match self.exec(argv, Some(limit)).await {
                Ok(Some((0, _))) => Outcome::Success,
                Ok(Some((_, output))) => Outcome::Failure(output),
                Ok(None) => Outcome::Failure(format!(
                    "command timed out: \"{}\" timed out after {}s",
                    argv.join(" "),
                    limit.as_secs()
                )),
                Err(why) => Outcome::Unknown(format!("failed to exec in container: {why}")),
            },
            action => self.ask(action, "kube-probe", limit).await,
        }
    }

    /// Runs a hook. The error is what the kubelet logs.
    pub(super) async fn hook(&self, action: &Action) -> Result<(), String> {
        let of = || {
            format!(
                "for Container {:?} in Pod {:?} failed - error:",
                text(&self.spec, "/name"),
                self.pod.to_string()
            )
        };
        match action {
            Action::Exec(argv) => {
                let shown = argv.join(" ");
                match self.exec(argv, None).await {
                    Ok(Some((0, _))) => Ok(()),
                    Ok(ended) => {
                        let (code, output) = ended.unwrap_or_default();
                        Err(format!(
                            "Exec lifecycle hook ([{shown}]) {} command '{shown}' exited with {code}: {output}, message: {output:?}",
                            of()
                        ))
                    }
                    Err(why) => Err(format!("Exec lifecycle hook ([{shown}]) {} {why}, message: \"\"", of())),
                }
            }
            Action::Http { path, .. } => match self.ask(action, "kube-lifecycle", HOOK_REQUEST).await {
                Outcome::Success | Outcome::Warning(_) => Ok(()),
                // The status code is not what a hook is for.
                Outcome::Failure(why) if why.starts_with("HTTP probe failed with statuscode") => Ok(()),
                Outcome::Failure(why) | Outcome::Unknown(why) => {
                    Err(format!("HTTP lifecycle hook ({path}) {} {why}", of()))
                }
            },
            Action::Sleep(seconds) => {
                let cluster = &self.shared.cluster;
                cluster.wait(cluster.now().after(Duration::from_secs(*seconds))).await;
                Ok(())
            }
            Action::Tcp { .. } | Action::Grpc { .. } => {
                Err("Cannot run handler: invalid handler: tcpSocket is not supported for hooks".to_string())
            }
        }
    }

    async fn ask(&self, action: &Action, agent: &'static str, limit: Duration) -> Outcome {
        let Some(address) = self.address else {
            return Outcome::Unknown("the pod has no address".into());
        };
        let shared = &self.shared;
        let asker =
            Asker { node: &shared.node, cluster: &*shared.cluster, container: &self.spec, address, agent };
        asker.ask(action, limit).await
    }

    /// Runs a program in the container. Returns its exit code and what it has written, or nothing where it was killed after `limit`.
    async fn exec(&self, argv: &[String], limit: Option<Duration>) -> Result<Option<(i32, String)>, String> {
        let failed = |error: std::io::Error| error.to_string();
        let (reader, output) =
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(|error| error.to_string())?;
        let mut reader = pipe::Receiver::from_owned_fd(reader).map_err(failed)?;
        let (ended, mut exit) = oneshot::channel();
        let id = self.next_process.fetch_add(1, Ordering::Relaxed) + 1;
        let (container, process, argv) = (self.index, self.process, argv.to_vec());
        self.report(Report::Exec(Exec { container, process, id, argv, output, ended })).await;
        let cluster = &self.shared.cluster;
        let timeout = async {
            match limit {
                Some(limit) => cluster.wait(cluster.now().after(limit)).await,
                None => std::future::pending().await,
            }
        };
        let mut timeout = std::pin::pin!(timeout);
        let (mut kept, mut buffer, mut open) = (Vec::new(), [0; 4096], true);
        let mut keep = |read: &[u8]| {
            kept.extend_from_slice(&read[..read.len().min(MAX_OUTPUT - kept.len())]);
            kept.len() < MAX_OUTPUT
        };
        let code = loop {
            tokio::select! {
                ended = &mut exit => break ended.map_err(|_| "the container has ended".to_string())??,
                read = reader.read(&mut buffer), if open => match read {
                    Ok(read) if read > 0 => _ = keep(&buffer[..read]),
                    _ => open = false,
                },
                () = &mut timeout => {
                    self.report(Report::Signal { process: id, signal: KILL }).await;
                    return Ok(None);
                }
            }
        };
        // What it wrote before its end; its children may hold the pipe for longer.
        while let Ok(read @ 1..) = reader.try_read(&mut buffer) {
            if !keep(&buffer[..read]) {
                break;
            }
        }
        Ok(Some((code, String::from_utf8_lossy(&kept).into_owned())))
    }
}

impl Worker {
    pub(super) fn target(&self, index: usize, process: u64) -> Target {
        Target {
            shared: self.shared.clone(),
            index,
            process,
            spec: self.containers[index].spec.clone(),
            pod: self.id.clone(),
            address: self.address(),
            reports: self.reports.0.clone(),
            next_process: self.next_process.clone(),
        }
    }

    /// Begins the hook `postStart` of a container, if it has one: it does not count as running until that has ended.
    pub(super) fn begin_post_start(&mut self, index: usize, process: u64) -> bool {
        let hook = self.containers[index].spec.pointer("/lifecycle/postStart").and_then(Action::parse);
        let Some(hook) = hook else { return false };
        let target = self.target(index, process);
        let task = Task::spawn(async move {
            let result = target.hook(&hook).await;
            target.report(Report::PostStarted { container: index, process, result }).await;
        });
        self.post_starts.insert(index, task);
        true
    }

    pub(super) fn take_post_start(&mut self, index: usize, process: u64, result: Result<(), String>) {
        self.post_starts.remove(&index);
        match result {
            Ok(()) => self.run_container(index, process),
            Err(message) => {
                self.warn("FailedPostStartHook", "PostStartHook failed");
                self.containers[index].fail_to_start("PostStartHookError", message);
                self.kill(index, self.grace(None), "FailedPostStartHook");
            }
        }
    }

    /// Runs a program in a container.
    pub(super) async fn exec(&mut self, sandbox: &Pod, exec: Exec) {
        let Exec { container, process: joins, id, argv, output, ended } = exec;
        if self.containers[container].process != Some(joins) {
            return;
        }
        let process = match self.process(container) {
            Ok(process) => Process { argv, ..process },
            Err(error) => {
                _ = ended.send(Err(error.message));
                return;
            }
        };
        let stdio = || -> std::io::Result<[OwnedFd; 3]> {
            let null = std::fs::File::open("/dev/null")?;
            Ok([null.into(), output.try_clone()?, output])
        };
        let started = match stdio() {
            Ok(stdio) => sandbox.start(id, Some(joins), &process, stdio).await,
            Err(error) => Err(error),
        };
        match started {
            Ok(()) => _ = self.processes.insert(id, Purpose::Exec(ended)),
            Err(error) => _ = ended.send(Err(error.to_string())),
        }
    }
}
