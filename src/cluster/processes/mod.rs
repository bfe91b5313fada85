//! Has no counterpart in a cluster: pods of a test that run as processes: how they are started, their lines and exit codes. Must not depend on how processes run.

mod logs;
mod pod;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clusterlocal_api::kubelet::Kubelet;
use clusterlocal_node::Images;

use super::Error;
use crate::addresses::Range;
use crate::reconcile::Kubelets;
use crate::run::{self, Nodes};
use crate::serve::Listeners;
use crate::{Clock, ControlPlane, Driver, Settings};
use logs::Logs;
pub use pod::ExecOutput;

/// Maximum time for the processes of pods to end when their cluster is dropped.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// The program of the processes, unless another is named.
const PROGRAM: &str = "clusterlocal";

/// The variable with the path of that program.
const PROGRAM_VARIABLE: &str = "CLUSTERLOCAL_BIN";

/// Whether the main function of this program calls [`node_process`].
static IS_OWN_PROGRAM: AtomicBool = AtomicBool::new(false);

/// Becomes one of the processes that run pods, if this program was started as one; a main function calls it first of all. Without
/// it, the program `clusterlocal` runs the pods of [`Builder::run`](super::Builder::run).
///
/// Namespaces belong to threads, so that a process enters them before it has a second one. The test harness of Rust has its own
/// main function and threads; a test with `harness = false` in its `Cargo.toml` can do this:
///
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     if let Some(code) = clusterlocal::node_process() {
///         return code;
///     }
///     // the tests
///     std::process::ExitCode::SUCCESS
/// }
/// ```
pub fn node_process() -> Option<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((verb, others)) if verb == clusterlocal_node::VERB => Some(clusterlocal_node::process(others)),
        _ => {
            IS_OWN_PROGRAM.store(true, Ordering::Relaxed);
            None
        }
    }
}

/// How the containers of a cluster's pods run as processes: see [`Builder::run`](super::Builder::run).
#[derive(Clone, Debug, Default)]
pub struct Run {
    program: Option<PathBuf>,
    images: Vec<String>,
    folder: Option<PathBuf>,
    is_writable: bool,
    is_on_host: bool,
}

impl Run {
    /// Processes in namespaces, whose files are in a directory that is deleted with the cluster.
    pub fn new() -> Self {
        Run::default()
    }

    /// Sets what runs for an image, with or without its tag: a program and its first arguments. Other containers run their own
    /// `command`.
    pub fn image(mut self, image: &str, command: &str) -> Self {
        self.images.push(format!("{image}={command}"));
        self
    }

    /// Sets the directory of volumes and logs. What claims hold stays there for the next cluster.
    pub fn data(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Allows programs to write to the files of the machine.
    pub fn writable(mut self) -> Self {
        self.is_writable = true;
        self
    }

    /// Runs pods on the network of the machine, where the system allows no namespaces. Each has an address of the loopback
    /// interface, in the variable `POD_IP`, and has to bind that one.
    pub fn on_host(mut self) -> Self {
        self.is_on_host = true;
        self
    }

    /// Sets the program that the processes are started from: `clusterlocal`, of the same version as this library. The default is
    /// this test itself, if its main function calls [`node_process`], otherwise the path in `CLUSTERLOCAL_BIN`, otherwise
    /// `clusterlocal` on `PATH`.
    pub fn program(mut self, path: impl Into<PathBuf>) -> Self {
        self.program = Some(path.into());
        self
    }

    /// The settings of a cluster whose pods run so.
    pub(super) fn over(&self, mut settings: Settings) -> Settings {
        if !self.is_on_host {
            (settings.pod_range, settings.service_range) = (Range::usual_pods(), Range::usual_services());
        }
        settings.kubelets = Kubelets::External;
        settings
    }

    /// Starts the network of the pods, without pods, and its DNS.
    pub(super) fn start(
        self,
        settings: &Settings,
        clock: &Clock,
        cluster: &ControlPlane,
        listeners: Listeners,
    ) -> Result<(Begun, Listeners), Error> {
        #[allow(clippy::float_cmp, reason = "the speed of a clock that was not changed")]
        if !clock.is_running() || clock.speed() != 1.0 {
            return Err(Error::Refused("processes have the real clock: omit Builder::clock".into()));
        }
        let mut images = Images::default();
        for image in &self.images {
            images.add(image).map_err(|error| Error::Refused(format!("image {error}")))?;
        }
        let failed = |error: io::Error| Error::Run(error.to_string());
        let folder = match &self.folder {
            Some(folder) => Folder { path: created(folder).map_err(failed)?, is_temporary: false },
            None => Folder { path: temporary().map_err(failed)?, is_temporary: true },
        };
        let logs = Logs::default();
        let taken = logs.clone();
        let dns = listeners.addresses()[0];
        let options = run::Options {
            images,
            folder: folder.path.clone(),
            writable: self.is_writable,
            node_ports: false,
            lines: Arc::new(move |name: &str, line: &[u8]| taken.add(name, line)),
            on_host: self.is_on_host.then_some(dns),
        };
        let program = self.found_program()?;
        let failed = |error: clusterlocal_node::NodeError| Error::Run(error.to_string());
        let nodes = Nodes::start(&program, options, settings, cluster).map_err(failed)?;
        let listeners = match nodes.bind_dns().map_err(failed)? {
            Some((datagrams, listener)) => listeners.with_sockets(datagrams, listener)?,
            None => listeners,
        };
        let pods = Pods { logs, kubelet: nodes.kubelet(), _folder: folder };
        Ok((Begun { nodes, pods }, listeners))
    }

    fn found_program(&self) -> Result<PathBuf, Error> {
        if let Some(program) = &self.program {
            return Ok(program.clone());
        }
        if IS_OWN_PROGRAM.load(Ordering::Relaxed) {
            return Ok(std::env::current_exe()?);
        }
        if let Some(program) = std::env::var_os(PROGRAM_VARIABLE).filter(|path| !path.is_empty()) {
            return Ok(program.into());
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found =
            std::env::split_paths(&path).map(|folder| folder.join(PROGRAM)).find(|path| path.is_file());
        found.ok_or_else(|| {
            Error::Run(format!(
                "the program {PROGRAM} is not on PATH, and {PROGRAM_VARIABLE} does not name it: install it (cargo install --path \
                 program), or call clusterlocal::node_process in the main function of a test with harness = false"
            ))
        })
    }
}

fn created(folder: &Path) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    folder.canonicalize()
}

/// A new directory for the files of pods.
fn temporary() -> io::Result<PathBuf> {
    let folder = tempfile::Builder::new().prefix("clusterlocal-").tempdir()?;
    // Deleted by `Folder`, which waits for processes to end.
    Ok(folder.keep())
}

/// The network of the pods before its pods are started.
pub(super) struct Begun {
    nodes: Nodes,
    pods: Pods,
}

impl Begun {
    /// Joins the API with the pods.
    pub(super) fn join_api(
        &mut self,
        api: clusterlocal_api::Server,
        cluster: &ControlPlane,
    ) -> Result<clusterlocal_api::Server, Error> {
        self.nodes.join_api(api, cluster).map_err(|error| Error::Run(error.to_string()))
    }

    /// Runs the pods for as long as the runtime runs.
    pub(super) fn spawn(self, driver: Driver) -> Pods {
        tokio::spawn(self.nodes.run(driver, std::future::pending()));
        self.pods
    }
}

/// What a cluster keeps of its pods.
pub(super) struct Pods {
    logs: Logs,
    kubelet: Arc<dyn Kubelet>,
    _folder: Folder,
}

/// The directory of the pods' files.
struct Folder {
    path: PathBuf,
    is_temporary: bool,
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.is_temporary {
            return;
        }
        // Processes that are being killed may still write to it.
        let deadline = Instant::now() + END_TIMEOUT;
        while fs::remove_dir_all(&self.path).is_err() && self.path.exists() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
    }
}
