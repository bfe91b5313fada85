//! Probes of the containers of a pod, and what their results change. Must not depend on when containers start.

use std::fs::File;
use std::os::fd::OwnedFd;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::{KILL, Purpose, Report, TERM, Worker};
use crate::kubelet::probes::{Action, Probe, ProbeKind, Results};
use crate::kubelet::probing;
use crate::{Pod, Process};

impl Worker {
    /// Begins to ask a container that runs. One without a startup probe has started, one without a readiness probe is ready then.
    pub(super) fn begin_probes(&mut self, index: usize, process: u64) {
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

    pub(super) async fn take_report(&mut self, sandbox: &Pod, report: Report) {
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
}
