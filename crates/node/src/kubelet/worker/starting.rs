//! Volumes, files and containers of a pod that are due, in their order. Must not depend on probes.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use super::{Purpose, Worker};
use crate::kubelet::container::State;
use crate::kubelet::logs::{self, Log};
use crate::kubelet::volumes::{Volumes, mounts, safe};
use crate::kubelet::{ConfigError, command, environment, files, on_host, text};
use crate::runtime::protocol::Mount;
use crate::{Pod, Process};

/// Interval at which what failed for a missing object or folder is tried again, and its Event recorded again.
pub(super) const RETRY: Duration = Duration::from_secs(2);

impl Worker {
    /// Starts the containers whose turn it is: init containers one after the other, then all others.
    pub(super) async fn start_what_is_due(&mut self, sandbox: &Pod) {
        if self.retry.is_some_and(|retry| retry > self.now()) {
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
                let id = self.id.to_string();
                container.wait_to_restart(&id, now);
            }
            let container = &self.containers[index];
            if (container.is_init && !container.is_initialized()) || container.is_held() {
                return;
            }
        }
    }

    fn prepare_volumes(&mut self) -> bool {
        let cluster = &*self.shared.cluster;
        let prepared = Volumes::prepare(&self.pod, &self.shared.folders, cluster, self.now())
            .and_then(|volumes| self.write_files().map(|()| volumes));
        match prepared {
            Ok(volumes) => self.volumes = Some(volumes),
            Err(error) => {
                self.warn(error.reason, &error.message);
                self.retry = Some(self.now().after(RETRY));
            }
        }
        self.volumes.is_some()
    }

    /// Takes notice of a change of the cluster, which may change files of volumes.
    pub(super) fn see_changes(&mut self) {
        let now = self.now();
        if let Some(volumes) = &mut self.volumes {
            volumes.see_change(now);
        }
    }

    /// Writes the files of volumes that are due.
    pub(super) fn follow_volumes(&mut self) {
        let now = self.now();
        let Some(volumes) = &mut self.volumes else { return };
        for error in volumes.sync(&self.pod, &*self.shared.cluster, now) {
            self.warn(error.reason, &error.message);
        }
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
        let started = match self.process(index) {
            Ok(process) => {
                let id = self.number();
                self.containers[index].program = process.argv.first().cloned().unwrap_or_default();
                self.spawn(sandbox, id, index, process)
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
                container.id = format!("process://{}-{id}", self.id.uid);
                if !matches!(container.state, State::Waiting { .. }) {
                    container.state = State::waiting("ContainerCreating");
                }
                self.processes.insert(id, Purpose::Container(index, now));
            }
            Err(error) => {
                let state = State::Waiting { reason: error.reason.into(), message: error.message.clone() };
                if container.state != state {
                    container.state = state;
                    self.warn("Failed", &format!("Error: {}", error.message));
                }
                self.retry = Some(now.after(RETRY));
            }
        }
    }

    /// The process of a container, by the spec of its pod.
    pub(super) fn process(&self, index: usize) -> Result<Process, ConfigError> {
        let (shared, container) = (&self.shared, &self.containers[index].spec);
        let options = &shared.options;
        let own = environment::environment(&self.pod, container, &*shared.cluster)?;
        let inherited = ["PATH", "LANG", "TERM", "TMPDIR"];
        let mut env: Vec<(String, String)> =
            inherited.iter().filter_map(|name| Some((name.to_string(), std::env::var(name).ok()?))).collect();
        env.push(("HOME".into(), std::env::var("HOME").unwrap_or_else(|_| "/".into())));
        env.push(("HOSTNAME".into(), files::names(&self.pod, &options.domain).0));
        let on_host = shared.node.is_on_host();
        if on_host {
            env.extend(on_host::variables(&self.pod, &options.domain, &options.dns));
        }
        env.retain(|(name, _)| environment::lookup(&own, name).is_none());
        env.extend(own);
        let volumes = match &self.volumes {
            Some(volumes) => mounts(container, volumes, &env)?,
            None => Vec::new(),
        };
        if on_host {
            env.extend(on_host::folders(container, &volumes));
        }
        let argv = command::command(&self.pod, container, &env, &options.images, &options.working_dir)?;
        let folder = shared.folders.of_pod(&self.pod);
        let etc = ["hosts", "hostname", "resolv.conf"].map(|name| Mount {
            source: folder.join(name),
            target: PathBuf::from("/etc").join(name),
            ..Mount::default()
        });
        let mut all = Vec::from(etc);
        all.extend(volumes);
        let message = self.termination_file(index);
        all.extend(message.map(|(source, target)| Mount { source, target, ..Mount::default() }));
        let scratch = folder.join("root");
        fs::create_dir_all(&scratch)
            .map_err(|error| ConfigError::config(format!("{}: {error}", scratch.display())))?;
        let given = text(container, "/workingDir");
        let working_dir = if given.is_empty() { options.working_dir.clone() } else { PathBuf::from(given) };
        let (writable, user) = (options.writable, shared.node.caller());
        Ok(Process { argv, env, working_dir, mounts: all, scratch, writable, user, terminal: false })
    }

    /// Starts the process of a container, whose output goes to its log and to those that are attached.
    async fn spawn(&self, sandbox: &Pod, id: u64, index: usize, process: Process) -> io::Result<()> {
        let container = &self.containers[index];
        let (name, run) = (container.name(), container.restarts);
        let log = Log::create(&self.shared.folders.of_pod(&self.pod).join("logs").join(safe(name)), run)?;
        let (process, started) = self.streams.begin((&container.spec, run), (id, process), &log)?;
        let (log, shown) =
            (Arc::new(Mutex::new(log)), format!("{}/{}/{name}", self.id.namespace, self.id.name));
        for (stream, output) in started.output {
            let to = (log.clone(), started.attached.clone());
            let (shown, lines) = (shown.clone(), self.shared.options.lines.clone());
            let cluster = self.shared.cluster.clone();
            tokio::spawn(
                async move { logs::copy(output, stream, to, shown, lines, move || cluster.now()).await },
            );
        }
        sandbox.start(id, None, &process, started.descriptors).await
    }
}
