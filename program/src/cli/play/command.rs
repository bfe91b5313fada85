//! The command under test: started when the cluster answers, in its own process group, which ends with the Scenario. Must not
//! depend on the steps of the Scenario.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::failure::Failure;

/// Minimum running time of a command, in which it can fail: a Scenario on a manual clock ends before a process has started.
const RUN_MIN: Duration = Duration::from_secs(2);

/// Time from SIGTERM to SIGKILL for the process group, at the end of the Scenario.
const TERMINATION_GRACE: Duration = Duration::from_secs(5);

/// Interval at which a command that is ending is checked.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// The process group of the running command, for signals to this process; 0 for none.
static GROUP: AtomicI32 = AtomicI32::new(0);

/// A running command and its children.
pub struct Tested {
    program: String,
    child: Child,
    started: Instant,
    /// The command has been waited for, and its group has ended.
    ended: bool,
}

impl Tested {
    /// Starts the command, if there is one.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(command: &[String], dns: SocketAddr) -> Result<Option<Self>, Failure> {
        let Some((program, arguments)) = command.split_first() else { return Ok(None) };
        end_with_this_process();
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("CLUSTERLOCAL_DNS", dns.to_string())
            .env("CLUSTERLOCAL_DNS_HOST", dns.ip().to_string())
            .env("CLUSTERLOCAL_DNS_PORT", dns.port().to_string())
            .process_group(0);
        // The terminal stops background groups that read from it.
        if std::io::stdin().is_terminal() {
            command.stdin(Stdio::null());
        }
        let child = command.spawn();
        let child = child.map_err(|error| Failure::Input(format!("cannot start {program}: {error}")))?;
        GROUP.store(child.id().cast_signed(), Ordering::SeqCst);
        Ok(Some(Tested { program: program.clone(), child, started: Instant::now(), ended: false }))
    }

    /// Time since its start.
    pub fn running_time(&self) -> Duration {
        self.started.elapsed()
    }

    /// Ends the process group. Returns the reason if the command had failed before that.
    pub fn end(mut self) -> Option<String> {
        let status = self.end_group()?;
        (!status.success()).then(|| match (status.code(), status.signal()) {
            (Some(code), _) => format!("{} ended with exit code {code}", self.program),
            (None, Some(signal)) => {
                let name =
                    Signal::try_from(signal).map_or_else(|_| signal.to_string(), |signal| signal.to_string());
                format!("{} was ended by {name}", self.program)
            }
            (None, None) => format!("{} failed: {status}", self.program),
        })
    }

    /// The exit status, if the command ended by itself.
    fn end_group(&mut self) -> Option<ExitStatus> {
        self.ended = true;
        let group = Pid::from_raw(self.child.id().cast_signed());
        while !has_ended(group, &mut self.child) && self.started.elapsed() < RUN_MIN {
            thread::sleep(POLL_INTERVAL);
        }
        let by_itself = has_ended(group, &mut self.child);
        // On Linux it has not been waited for, so that its id and that of its group are not reused.
        _ = killpg(group, Signal::SIGTERM);
        let deadline = Instant::now() + TERMINATION_GRACE;
        while killpg(group, None).is_ok() && has_others(group, &mut self.child) && Instant::now() < deadline {
            thread::sleep(POLL_INTERVAL);
        }
        _ = killpg(group, Signal::SIGKILL);
        GROUP.store(0, Ordering::SeqCst);
        let status = self.child.wait().ok();
        status.filter(|_| by_itself)
    }
}

impl Drop for Tested {
    fn drop(&mut self) {
        if !self.ended {
            _ = self.end_group();
        }
    }
}

/// Whether the command has ended, without waiting for it: its id is not reused.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn has_ended(command: Pid, _: &mut Child) -> bool {
    use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    !matches!(waitid(Id::Pid(command), flags), Ok(WaitStatus::StillAlive) | Err(_))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn has_ended(_: Pid, child: &mut Child) -> bool {
    matches!(child.try_wait(), Ok(Some(_)))
}

/// Whether a process of the group runs: the command, or one that it started. /proc distinguishes them from the ended command, which
/// accepts signals until it is waited for.
fn has_others(group: Pid, child: &mut Child) -> bool {
    if !has_ended(group, child) {
        return true;
    }
    let Ok(processes) = std::fs::read_dir("/proc") else { return false };
    processes.flatten().any(|process| {
        let Ok(stat) = std::fs::read_to_string(process.path().join("stat")) else { return false };
        // PID (NAME) STATE PPID PGRP: a name may contain blanks and parentheses.
        let mut fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
        let (state, _, of_group) = (fields.next(), fields.next(), fields.next());
        of_group == Some(&*group.to_string()) && state != Some("Z")
    })
}

/// Ends the command's group when a signal ends this process: the terminal does not signal the group.
fn end_with_this_process() {
    static BEGUN: std::sync::Once = std::sync::Once::new();
    BEGUN.call_once(|| {
        thread::spawn(|| {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
                return;
            };
            let number = runtime.block_on(async {
                let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
                let [mut interrupt, mut terminate, mut hangup] = kinds.map(|kind| signal(kind).ok());
                tokio::select! {
                    Some(_) = next(&mut interrupt) => 2,
                    Some(_) = next(&mut terminate) => 15,
                    Some(_) = next(&mut hangup) => 1,
                    else => 0,
                }
            });
            let group = GROUP.load(Ordering::SeqCst);
            if number > 0 {
                if group > 0 {
                    _ = killpg(Pid::from_raw(group), Signal::SIGTERM);
                    thread::sleep(POLL_INTERVAL * 20);
                    _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
                }
                std::process::exit(128 + number);
            }
        });
    });
}

async fn next(signal: &mut Option<tokio::signal::unix::Signal>) -> Option<()> {
    signal.as_mut()?.recv().await
}
