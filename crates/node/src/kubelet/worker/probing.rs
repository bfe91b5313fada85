//! Probes of the containers of a pod, and what their results change (`pkg/kubelet/prober/worker.go`). Must not depend on when
//! containers start.

use super::task::Task;
use super::{Report, Worker};
use crate::kubelet::probes::{Probe, ProbeKind, Results};
use crate::kubelet::probing::Outcome;

/// A probe of a container that runs.
pub(super) struct Probing {
    probe: Probe,
    results: Results,
    _task: Task,
}

impl Worker {
    /// Begins to probe a container that runs. One without a startup probe has started, one without a readiness probe is ready then.
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

    /// Probes a container, first after the delay and then each period, until its process ends. A probe that takes longer than a
    /// period leaves out what was due meanwhile, as Go's Ticker does.
    fn probe(&mut self, index: usize, process: u64, kind: ProbeKind) {
        let Some(probe) = Probe::of(&self.containers[index].spec, kind) else { return };
        let target = self.target(index, process);
        let begun = self.containers[index].running_since().unwrap_or_else(|| self.now());
        let own = probe.clone();
        let task = Task::spawn(async move {
            let cluster = target.shared.cluster.clone();
            // A startup probe that has succeeded leaves no delay to the others, where theirs is over.
            let mut next = begun.after(own.delay).max(cluster.now());
            loop {
                cluster.wait(next).await;
                let outcome = target.probe(&own.action, own.timeout).await;
                target.report(Report::Probed { container: index, process, kind, outcome }).await;
                next = next.after(own.period);
                while next.after(own.period) <= cluster.now() {
                    next = next.after(own.period);
                }
            }
        });
        self.probes.insert((index, kind), Probing { probe, results: Results::new(kind), _task: task });
    }

    pub(super) fn take_outcome(&mut self, index: usize, process: u64, kind: ProbeKind, outcome: Outcome) {
        let Some(probing) = self.probes.get_mut(&(index, kind)) else { return };
        let title = kind.title();
        let (succeeded, event) = match outcome {
            Outcome::Success => (true, None),
            Outcome::Warning(message) => {
                (true, Some(("ProbeWarning", format!("{title} probe warning: {message}"))))
            }
            Outcome::Failure(why) => (false, Some(("Unhealthy", format!("{title} probe failed: {why}")))),
            Outcome::Unknown(why) => {
                let message = format!("{title} probe errored and resulted in unknown state: {why}");
                return self.warn("Unhealthy", &message);
            }
        };
        let changed = probing.results.add(&probing.probe, succeeded);
        let grace = probing.probe.grace;
        if let Some((reason, message)) = event {
            self.warn(reason, &message);
        }
        if !changed {
            return;
        }
        match (kind, succeeded) {
            (ProbeKind::Startup, true) => {
                self.probes.remove(&(index, kind));
                self.containers[index].started = true;
                self.containers[index].ready =
                    Probe::of(&self.containers[index].spec, ProbeKind::Readiness).is_none();
                self.probe(index, process, ProbeKind::Liveness);
                self.probe(index, process, ProbeKind::Readiness);
            }
            (ProbeKind::Readiness, ready) => self.containers[index].ready = ready,
            (ProbeKind::Liveness, true) => {}
            (ProbeKind::Liveness | ProbeKind::Startup, false) => {
                // On hold until the container is started again.
                self.probes.remove(&(index, kind));
                let name = self.containers[index].name();
                let what = kind.title().to_lowercase();
                let message = format!("Container {name} failed {what} probe, will be restarted");
                self.kill(index, self.grace(grace), &message);
            }
        }
    }
}
