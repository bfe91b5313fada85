//! The end of a pod, within its grace period. Must not depend on probes.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::{KILL, Purpose, TERM, Update, Worker};
use crate::kubelet::container::Ended;
use crate::{Pod, PodEvent};

impl Worker {
    /// Stops all containers: the ordinary ones, then sidecars in reverse order; each has what is left of the grace period.
    pub(super) async fn stop(&mut self, sandbox: &Pod) {
        let mut deadline = Instant::now() + self.grace();
        let order: Vec<usize> = (0..self.containers.len()).collect();
        let (sidecars, main): (Vec<usize>, Vec<usize>) =
            order.into_iter().partition(|index| self.containers[*index].is_sidecar());
        let stages = std::iter::once(main).chain(sidecars.into_iter().rev().map(|index| vec![index]));
        for stage in stages {
            for index in &stage {
                let container = &self.containers[*index];
                if let Some(process) = container.process {
                    let name = container.name().to_string();
                    self.record("Killing", &format!("Stopping container {name}"));
                    _ = sandbox.signal(process, TERM).await;
                }
            }
            let mut killed = false;
            while stage.iter().any(|index| self.containers[*index].process.is_some()) {
                let event = tokio::select! {
                    event = timeout_at(deadline, sandbox.event()) => event,
                    Ok(()) = self.updates.changed() => {
                        // Asked again, it may have less time.
                        deadline = deadline.min(Instant::now() + self.grace());
                        continue;
                    }
                };
                match event {
                    Ok(Ok(Some(event))) => self.take_end(event),
                    Ok(_) => return self.lose_all(),
                    Err(_) if killed => return self.lose_all(),
                    Err(_) => {
                        killed = true;
                        for index in &stage {
                            if let Some(process) = self.containers[*index].process {
                                _ = sandbox.signal(process, KILL).await;
                            }
                        }
                        deadline = Instant::now() + Duration::from_secs(1);
                    }
                }
            }
        }
    }

    /// Takes an event while the pod stops: nothing is started again.
    fn take_end(&mut self, event: PodEvent) {
        let Some(event) = self.streams.take(event) else { return };
        let (id, code) = match event {
            PodEvent::Started { .. } | PodEvent::Dialed { .. } => return,
            PodEvent::NotStarted { id, .. } => (id, 128),
            PodEvent::Exited { id, code } => (id, code),
        };
        match self.processes.remove(&id) {
            Some(Purpose::Container(index, begun)) => {
                self.end(index, Ended::with_code(code, begun, self.now()), true)
            }
            Some(Purpose::Exec(result)) => _ = result.send(code),
            None => {}
        }
    }

    /// Records that all processes are gone.
    pub(super) fn lose_all(&mut self) {
        let now = self.now();
        for (_, purpose) in std::mem::take(&mut self.processes) {
            if let Purpose::Container(index, begun) = purpose {
                self.end(index, Ended::with_code(128 + KILL, begun, now), true);
            }
        }
        self.write_status();
    }

    pub(super) fn grace(&self) -> Duration {
        let update = self.updates.borrow();
        let pod = match &*update {
            Update::Pod(pod) => pod,
            Update::Gone | Update::Stop => &self.pod,
        };
        let seconds = |pointer| pod.pointer(pointer).and_then(Value::as_u64);
        let seconds = seconds("/metadata/deletionGracePeriodSeconds")
            .or(seconds("/spec/terminationGracePeriodSeconds"));
        Duration::from_secs(seconds.unwrap_or(30))
    }
}
