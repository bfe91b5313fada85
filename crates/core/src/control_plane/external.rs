//! What kubelets outside of the control plane write: the status of pods, their end, and Events. Must not depend on what runs behind
//! a pod.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;

use super::ControlPlane;
use crate::reconcile::{EmittedEvent, deletion};
use crate::store::{Change, Key, Object, Pod, PodStatus};

impl ControlPlane {
    /// Stores the status of the pod at `key` as its kubelet wrote it, and reconciles the immediate effects. A status without the
    /// form of one is dropped.
    pub fn request_pod_status(&mut self, key: &Key, status: Value) {
        let Some(Object::Pod(pod)) = self.store.object(key) else { return };
        let Ok(read) = serde_json::from_str::<PodStatus>(&status.to_string()) else { return };
        let before = &pod.status;
        let ready_since = if read.ready == before.ready { before.ready_since } else { Some(self.now) };
        let status_of = PodStatus {
            ready_since,
            since: before.since,
            boot: before.boot,
            simulated: true,
            ips: before.ips.clone(),
            ..read
        };
        let pod = Object::Pod(Arc::new(Pod { status: status_of, ..(**pod).clone() }));
        self.request_changes([Change::Put(pod.with_written_status(status))]);
    }

    /// Removes the pod at `key`, whose deletion was requested and which has stopped; its finalizers still hold it.
    pub fn request_pod_removal(&mut self, key: &Key) {
        if let Some(Object::Pod(pod)) = self.store.object(key)
            && pod.is_terminating()
        {
            let change = deletion::stopped((**pod).clone(), self.now);
            self.request_changes([change]);
        }
    }

    /// Gives the pod at `key`, whose sandbox its node has lost, new addresses, unless it is pinned to those that it has. It is not ready.
    pub fn request_pod_addresses(&mut self, key: &Key) {
        let Some(Object::Pod(pod)) = self.store.object(key) else { return };
        let mut pod = (**pod).clone();
        (pod.status.ips, pod.status.ready, pod.status.containers_ready) = Default::default();
        self.request_changes([Change::Put(Object::Pod(Arc::new(pod)))]);
    }

    /// Records an Event of the kubelet about the object at `about`.
    pub fn record_event(&mut self, about: &Key, warning: bool, reason: &str, message: &str) {
        let event = EmittedEvent {
            about: about.clone(),
            warning,
            component: "kubelet",
            reason: Cow::Owned(reason.to_owned()),
            message: message.to_owned(),
        };
        self.store.set_time(self.now);
        self.controllers.record(&mut self.store, self.now, event);
        self.reconcile_until_idle(false);
    }
}
