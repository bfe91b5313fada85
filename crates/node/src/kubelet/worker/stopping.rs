//! The end of containers and of a pod, within a grace period (`kuberuntime_container.go`, killContainer;
//! `kuberuntime_termination_order.go`). Must not depend on probes.

use std::time::Duration;

use clusterlocal_core::store::Time;
use serde_json::Value;
use tokio::sync::oneshot;

use super::hooks::Target;
use super::task::Task;
use super::{KILL, Purpose, Report, Update, Worker};
use crate::kubelet::container::Ended;
use crate::kubelet::probes::{Action, ProbeKind};

/// SIGTERM.
const TERM: i32 = 15;

/// Minimum time between SIGTERM and SIGKILL (`minimumGracePeriodInSeconds`).
const MIN_GRACE: Duration = Duration::from_secs(2);

/// Maximum time between SIGKILL and the end of a process.
const MAX_KILL: Duration = Duration::from_secs(10);

/// A container that is being stopped.
pub(super) struct Killing {
    deadline: Time,
    /// Sent when the containers have ended that end before this one.
    turn: Option<oneshot::Sender<()>>,
    _task: Task,
}

impl Worker {
    /// Begins to stop all containers within the grace period: sidecars have their turn after the ordinary ones, in reverse order.
    pub(super) fn stop(&mut self) {
        self.stopping = true;
        self.retry = None;
        // A container is not killed for its probes any more; whether it is ready still shows.
        self.probes.retain(|(_, kind), _| *kind == ProbeKind::Readiness);
        let grace = self.grace(None);
        for index in 0..self.containers.len() {
            let container = &mut self.containers[index];
            container.again = None;
            if container.process.is_some() {
                let message = format!("Stopping container {}", container.name());
                self.kill(index, grace, &message);
            }
        }
        self.pass_turns();
    }

    /// Shortens the grace period of a pod that is being stopped, where it was asked again with a shorter one.
    pub(super) fn stop_earlier(&mut self) {
        let deadline = self.now().after(self.grace(None));
        let late: Vec<usize> =
            self.kills.iter().filter(|(_, kill)| kill.deadline > deadline).map(|(index, _)| *index).collect();
        for index in late {
            self.begin_kill(index, deadline, None);
        }
        self.pass_turns();
    }

    /// Begins to stop a container: its hook `preStop`, its signal, and SIGKILL after the grace period.
    pub(super) fn kill(&mut self, index: usize, grace: Duration, message: &str) {
        self.record("Killing", message);
        let hook = self.containers[index].spec.pointer("/lifecycle/preStop").and_then(Action::parse);
        // Once is enough, where a probe was about to end it.
        let hook = hook.filter(|_| !grace.is_zero() && !self.kills.contains_key(&index));
        self.begin_kill(index, self.now().after(grace), hook);
    }

    fn begin_kill(&mut self, index: usize, deadline: Time, hook: Option<Action>) {
        let Some(process) = self.containers[index].process else { return };
        let target = self.target(index, process);
        let (turn, its_turn) = oneshot::channel();
        let waits = self.stopping && self.containers[index].is_sidecar();
        let task = Task::spawn(kill(target, hook, waits.then_some(its_turn), deadline));
        self.kills.insert(index, Killing { deadline, turn: waits.then_some(turn), _task: task });
    }

    /// Lets the sidecars end whose turn it is.
    pub(super) fn pass_turns(&mut self) {
        if !self.stopping {
            return;
        }
        // From the last one on: ordinary containers come after all init containers, and do not wait for a turn.
        for index in (0..self.containers.len()).rev() {
            if let Some(turn) = self.kills.get_mut(&index).and_then(|kill| kill.turn.take()) {
                _ = turn.send(());
            }
            if self.containers[index].process.is_some() {
                return;
            }
        }
    }

    /// Records that all processes are gone.
    pub(super) fn lose_all(&mut self) {
        let now = self.now();
        self.stopping = true;
        for (_, purpose) in std::mem::take(&mut self.processes) {
            if let Purpose::Container(index, begun) = purpose {
                self.end(index, Ended::with_code(128 + KILL, begun, now));
            }
        }
        self.write_status();
    }

    /// The grace period of the pod; a probe may have its own, in seconds, which counts unless the pod is deleted.
    pub(super) fn grace(&self, of_probe: Option<u64>) -> Duration {
        let update = self.updates.borrow();
        let pod = match &*update {
            Update::Pod(pod) => pod,
            Update::Gone | Update::Stop => &self.pod,
        };
        let seconds = |pointer| pod.pointer(pointer).and_then(Value::as_u64);
        let seconds = seconds("/metadata/deletionGracePeriodSeconds")
            .or(of_probe)
            .or(seconds("/spec/terminationGracePeriodSeconds"));
        Duration::from_secs(seconds.unwrap_or(30))
    }
}

/// Stops a container by `deadline`: the hook, the wait for its turn, SIGTERM, SIGKILL.
async fn kill(target: Target, hook: Option<Action>, turn: Option<oneshot::Receiver<()>>, deadline: Time) {
    let cluster = target.shared.cluster.clone();
    if let Some(hook) = hook {
        tokio::select! {
            result = target.hook(&hook) => if result.is_err() {
                target.warn("FailedPreStopHook", "PreStopHook failed");
            },
            () = cluster.wait(deadline) => {}
        }
    }
    if let Some(turn) = turn {
        tokio::select! {
            _ = turn => {}
            () = cluster.wait(deadline) => {}
        }
    }
    let process = target.process;
    target.report(Report::Signal { process, signal: TERM }).await;
    cluster.wait(deadline.max(cluster.now().after(MIN_GRACE))).await;
    target.report(Report::Signal { process, signal: KILL }).await;
    cluster.wait(cluster.now().after(MAX_KILL)).await;
    target.report(Report::Stuck { process }).await;
}
