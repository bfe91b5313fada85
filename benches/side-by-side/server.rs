//! A running server, from its start to its end. Must not depend on which contender it is.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::contenders::Place;
use super::questions::probe;
use super::{Result, Run, measure, wait};

/// A running server; dropping it ends it.
pub struct Server {
    child: Child,
    /// Its address.
    pub address: SocketAddr,
    /// From its start to its first answer.
    pub first_answer: Duration,
    _directory: tempfile::TempDir,
}

/// The processors of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// One, other than the loader's.
    OneCpu,
    /// All, as by default.
    AllCpus,
}

/// What to start, besides the place.
pub struct Start<'a> {
    /// The manifests and the zone file.
    pub manifests: &'a Path,
    /// The query that is sent until it is answered.
    pub probe: Vec<u8>,
    /// Whether an answer has records.
    pub is_dns: bool,
    /// Its processors.
    pub on: On,
}

impl<'a> Start<'a> {
    /// With the usual cluster of `run`.
    pub fn usual(run: &'a Run, is_dns: bool, on: On) -> Self {
        Start { manifests: &run.usual.manifests, probe: probe(), is_dns, on }
    }
}

/// Time-out of a graceful shutdown.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

impl Server {
    /// Starts the command that `command` returns for a place, and waits until the server answers.
    ///
    /// # Errors
    /// If it does not answer; with the end of its output.
    pub fn start(
        run: &Run,
        start: &Start<'_>,
        command: impl FnOnce(&Place<'_>) -> std::io::Result<Command>,
    ) -> Result<Self> {
        let directory = tempfile::tempdir_in(&run.scratch)?;
        let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), free_port()?);
        let place = Place {
            port: address.port(),
            directory: directory.path(),
            manifests: start.manifests,
            zone: &run.usual.zone,
        };
        let mut command = command(&place)?;
        let output = directory.path().join("output");
        let log = File::create(&output)?;
        command.stdin(std::process::Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let spawn = || {
            let begin = Instant::now();
            command.spawn().map(|child| (child, begin))
        };
        let spawned = match start.on {
            On::OneCpu => run.cpus.as_server(spawn)?,
            On::AllCpus => run.cpus.as_all(spawn)?,
        };
        let program = command.get_program().to_string_lossy().into_owned();
        let (child, begin) = spawned.map_err(|error| format!("cannot start {program}: {error}"))?;
        let mut server = Server { child, address, first_answer: Duration::ZERO, _directory: directory };
        let is_it = |reply: &[u8]| !start.is_dns || wait::has_answers(reply);
        let child = &mut server.child;
        wait::until(address, &start.probe, is_it, || child.try_wait().is_ok_and(|ended| ended.is_some()))
            .map_err(|error| format!("{program}: {error}\n{}", end_of_output(&output)))?;
        server.first_answer = begin.elapsed();
        Ok(server)
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let tree = measure::tree(self.child.id());
        let send = |pid: u32, signal| i32::try_from(pid).map(|pid| kill(Pid::from_raw(pid), signal));
        _ = send(self.child.id(), Signal::SIGTERM);
        let begin = Instant::now();
        while begin.elapsed() < SHUTDOWN_TIMEOUT && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(2));
        }
        // Remaining processes: if the first one had ended in time, its children would have as well.
        if matches!(self.child.try_wait(), Ok(None)) {
            for pid in tree {
                _ = send(pid, Signal::SIGKILL);
            }
        }
        _ = self.child.wait();
    }
}

/// A port of 127.0.0.1 that is free for UDP and TCP, most likely still when the server starts.
pub fn free_port() -> Result<u16> {
    for _ in 0..100 {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        if UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err("no port is free for both UDP and TCP".into())
}

fn end_of_output(path: &PathBuf) -> String {
    let output = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&output[output.len().saturating_sub(800)..]).into_owned()
}
