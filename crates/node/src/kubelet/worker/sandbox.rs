//! The sandbox of a pod: its namespaces and network (`kuberuntime_sandbox.go`). Must not depend on containers.

use super::{Worker, starting};
use crate::kubelet::{fields, files, list, text};
use crate::{Pod, PodSandbox};

impl Worker {
    /// Creates the sandbox of the pod. It is tried again until it succeeds or the pod is deleted.
    pub(super) async fn sandbox(&mut self) -> Option<Pod> {
        let mut reported = String::new();
        loop {
            let created = match fields::refused(&self.pod) {
                Some(why) => Err(why),
                None => self.create_sandbox().await,
            };
            let message = match created {
                Ok(sandbox) => return Some(sandbox),
                Err(message) => message,
            };
            if message != reported {
                self.warn("FailedCreatePodSandBox", &format!("Failed to create pod sandbox: {message}"));
                reported = message;
            }
            self.write_status_of(false);
            let retry = self.shared.cluster.wait(self.now().after(starting::RETRY));
            tokio::select! {
                () = retry => {}
                changed = self.updates.changed() => changed.ok()?,
            }
            if self.is_deleted() {
                return None;
            }
        }
    }

    async fn create_sandbox(&self) -> Result<Pod, String> {
        let addresses = list(&self.pod, "/status/podIPs").iter();
        let sandbox = PodSandbox {
            node: text(&self.pod, "/spec/nodeName").to_string(),
            hostname: files::kernel_hostname(&self.pod, &self.shared.options.domain)?,
            addresses: addresses.filter_map(|address| text(address, "/ip").parse().ok()).collect(),
        };
        let (shared, runtime) = (self.shared.clone(), tokio::runtime::Handle::current());
        let created = tokio::task::spawn_blocking(move || {
            let _entered = runtime.enter();
            shared.node.create_pod(sandbox).map_err(|error| error.to_string())
        });
        created.await.map_err(|error| error.to_string())?
    }
}
