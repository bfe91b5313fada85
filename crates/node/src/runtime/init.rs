//! The init process of a pod: number 1 of its PID namespace. It starts processes, reports their ends, and ends with the server or
//! the node's process; the kernel then ends all others of the pod. Must not depend on what a container is made of.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::SignalFd;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid};
use rustix::process::{PidfdFlags, pidfd_open};

use super::agent::dial;
use super::channel::Channel;
use super::descendants;
use super::protocol::{PodEvent, PodRequest};
use crate::Isolation;

/// Runs the init process with the channel at standard input, until its other end is closed.
pub(crate) fn run(isolation: Isolation) -> ExitCode {
    let ended = match isolation {
        Isolation::Namespaces => {
            _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
            Init::start(isolation).and_then(Init::run)
        }
        Isolation::None => {
            // It has to outlive the node's process for a moment: no PID namespace ends the processes of the pod with it.
            let ended = descendants::adopt().and_then(|()| Init::start(isolation)).and_then(Init::run);
            descendants::kill_all();
            ended
        }
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

struct Init {
    channel: Channel,
    ends: SignalFd,
    /// This process, whose PID namespace it returns to.
    home: OwnedFd,
    isolation: Isolation,
    running: HashMap<u64, Running>,
}

struct Running {
    pid: Pid,
    /// Its namespaces, for those that join them.
    process: OwnedFd,
}

impl Init {
    fn start(isolation: Isolation) -> io::Result<Self> {
        let channel = Channel::from_stdin()?;
        let mut ends = SigSet::empty();
        ends.add(Signal::SIGCHLD);
        ends.thread_block()?;
        let home = descriptor_of(getpid())?;
        Ok(Init { channel, ends: SignalFd::new(&ends)?, home, isolation, running: HashMap::new() })
    }

    fn run(mut self) -> io::Result<()> {
        loop {
            let mut waiting = [
                PollFd::new(self.channel.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.ends.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut waiting, PollTimeout::NONE) {
                Err(nix::errno::Errno::EINTR) => continue,
                polled => polled?,
            };
            let asked = waiting[0].revents().is_some_and(|events| !events.is_empty());
            let ended = waiting[1].revents().is_some_and(|events| !events.is_empty());
            if ended {
                self.ends.read_signal()?;
                self.report_ends()?;
            }
            if asked && !self.carry_out_next()? {
                return Ok(());
            }
        }
    }

    /// Returns `false` once the channel is closed.
    fn carry_out_next(&mut self) -> io::Result<bool> {
        let Some((request, descriptors)) = self.channel.receive::<PodRequest>()? else { return Ok(false) };
        match request {
            PodRequest::Start { id, joins } => {
                let event = match self.start_process(id, joins, descriptors) {
                    Ok(()) => PodEvent::Started { id },
                    Err(error) => PodEvent::NotStarted { id, reason: error.to_string() },
                };
                self.channel.send(&event, &[])?;
            }
            PodRequest::Signal { id, signal } => {
                if let (Some(running), Ok(signal)) = (self.running.get(&id), Signal::try_from(signal)) {
                    // It may have ended already.
                    _ = kill(running.pid, signal);
                }
            }
            PodRequest::Dial { id, address } => match dial(address) {
                Ok(socket) => self.channel.send(&PodEvent::Dialed { id }, &[socket.as_fd()])?,
                Err(error) => {
                    self.channel.send(&PodEvent::NotStarted { id, reason: error.to_string() }, &[])?;
                }
            },
        }
        Ok(true)
    }

    fn start_process(&mut self, id: u64, joins: Option<u64>, descriptors: Vec<OwnedFd>) -> io::Result<()> {
        let joined = match joins {
            Some(first) => {
                let first = self.running.get(&first);
                Some(&first.ok_or_else(|| io::Error::other("the container is not running"))?.process)
            }
            None => None,
        };
        let (channel, launched) = Channel::pair()?;
        let sent: Vec<_> = descriptors.iter().chain(joined).map(AsFd::as_fd).collect();
        channel.send(&(), &sent)?;
        let mut command = Command::new("/proc/self/exe");
        command.arg0("clusterlocal").args([crate::VERB, "launch"]).env_clear().stdin(launched.into_fd());
        if self.isolation == Isolation::None {
            command.arg(crate::ON_HOST);
        }
        // Each container has its own processes: when the first one ends, all do.
        let has_namespaces = self.isolation == Isolation::Namespaces;
        match joined {
            _ if !has_namespaces => {}
            Some(container) => setns(container, CloneFlags::CLONE_NEWPID)?,
            None => unshare(CloneFlags::CLONE_NEWPID)?,
        }
        let spawned = command.spawn();
        if has_namespaces {
            setns(&self.home, CloneFlags::CLONE_NEWPID)?;
        }
        // With it goes this process's copy of the other end.
        drop(command);
        let pid = Pid::from_raw(spawned?.id().cast_signed());
        // Closed when its program starts.
        if let Some((reason, _)) = channel.receive::<String>()? {
            _ = waitpid(pid, None);
            return Err(io::Error::other(reason));
        }
        self.running.insert(id, Running { pid, process: descriptor_of(pid)? });
        Ok(())
    }

    /// Reports the processes that have ended, and removes those that were inherited from them.
    fn report_ends(&mut self) -> io::Result<()> {
        loop {
            let (pid, status) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => (pid, code),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, 128 + signal as i32),
                Ok(WaitStatus::StillAlive) | Err(nix::errno::Errno::ECHILD) => return Ok(()),
                Ok(_) => continue,
                Err(error) => return Err(error.into()),
            };
            let ended = self.running.iter().find(|(_, running)| running.pid == pid).map(|(id, _)| *id);
            if let Some(id) = ended {
                self.running.remove(&id);
                if self.isolation == Isolation::None {
                    descendants::kill_session(pid);
                }
                self.channel.send(&PodEvent::Exited { id, code: status }, &[])?;
            }
        }
    }
}

/// A descriptor of a process: it does not hold the namespaces of one that has ended.
pub(super) fn descriptor_of(pid: Pid) -> io::Result<OwnedFd> {
    let pid = rustix::process::Pid::from_raw(pid.as_raw())
        .ok_or_else(|| io::Error::other("a process has no number"))?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}
