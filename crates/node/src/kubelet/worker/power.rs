//! A pod whose node's machine loses power or reboots, and containers that are crashed. Must not depend on probes.

use clusterlocal_core::store::CRASHES_ANNOTATION;

use super::{KILL, Purpose, Worker};
use crate::Pod;
use crate::kubelet::container::Ended;

/// Exit code of containers whose runtime lost them, as containerd reports it after a reboot.
const LOST: i32 = 255;

impl Worker {
    /// Whether what ran here has ended with the machine.
    pub(super) fn has_lost_power(&self) -> bool {
        let machine = self.machine.borrow();
        !machine.is_on || machine.boots != self.boots
    }

    /// Waits until the machine runs again, and until the pod has its new addresses: its containers are started again by their restart
    /// policy. Returns whether they may be.
    pub(super) async fn boot(&mut self) -> bool {
        self.lose_containers();
        if self.is_deleted() {
            return false;
        }
        loop {
            let machine = *self.machine.borrow_and_update();
            if machine.is_on && machine.is_connected {
                self.boots = machine.boots;
                break;
            }
            if !self.changed().await {
                return false;
            }
        }
        self.record("SandboxChanged", "Pod sandbox changed, it will be killed and re-created.");
        // Without an address that is left, the pod waits for one.
        self.pod = loop {
            match self.shared.cluster.renew_addresses(&self.id) {
                Some(pod) => break pod,
                None if self.changed().await => {}
                None => return false,
            }
        };
        // The files in /etc have the address.
        (self.volumes, self.retry) = (None, None);
        true
    }

    /// Waits for a change of the pod or its machine. Returns whether the pod stays.
    async fn changed(&mut self) -> bool {
        tokio::select! {
            changed = self.updates.changed() => changed.is_ok() && !self.is_deleted(),
            changed = self.machine.changed() => changed.is_ok() && !self.is_deleted(),
        }
    }

    /// Records that all processes have ended with the machine.
    fn lose_containers(&mut self) {
        let now = self.now();
        for (_, purpose) in std::mem::take(&mut self.processes) {
            if let Purpose::Container(index, started) = purpose {
                let ended = Ended { reason: "Unknown", ..Ended::with_code(LOST, started, now) };
                self.end(index, ended);
            }
        }
        for container in self.containers.iter_mut().filter(|container| container.is_init) {
            container.run_again();
        }
    }

    /// Kills the process of the first container if an annotation counts more crashes than before.
    pub(super) async fn crash(&mut self, sandbox: &Pod) {
        let annotation =
            self.pod.pointer("/metadata/annotations").and_then(|all| all.get(CRASHES_ANNOTATION));
        let crashes = annotation.and_then(|text| text.as_str()?.parse::<u32>().ok()).unwrap_or(0);
        if crashes <= std::mem::replace(&mut self.crashes, crashes) {
            return;
        }
        let first = self.containers.iter().find(|container| !container.is_init);
        if let Some(process) = first.and_then(|container| container.process) {
            _ = sandbox.signal(process, KILL).await;
        }
    }
}
