//! Spec and status of objects: writing one keeps the other, as with the API's `status` subresource.

use std::sync::Arc;

use serde_json::Value;

use super::given::Given;
use super::object::Object;
use super::pod::Pod;
use super::pod_status::PodStatus;
use super::service::{ClusterIp, Service, ServiceSpec};

impl Object {
    /// This desired object with the state of `old`, which it replaces: its status, and fields that were allocated and
    /// that it does not set itself.
    #[must_use]
    pub fn with_state_of(mut self, old: &Object) -> Object {
        if self.metadata().deletion_timestamp.is_none() {
            let (since, grace) = {
                let meta = old.metadata();
                (meta.deletion_timestamp, meta.deletion_grace_period_seconds)
            };
            if since.is_some() {
                let meta = self.metadata_mut();
                (meta.deletion_timestamp, meta.deletion_grace_period_seconds) = (since, grace);
            }
        }
        match (&mut self, old) {
            (Object::StatefulSet(new), Object::StatefulSet(old)) if new.status != old.status => {
                Arc::make_mut(new).status = old.status.clone();
            }
            (Object::Deployment(new), Object::Deployment(old))
            | (Object::ReplicaSet(new), Object::ReplicaSet(old))
            | (Object::ReplicationController(new), Object::ReplicationController(old))
            | (Object::DaemonSet(new), Object::DaemonSet(old))
            | (Object::Job(new), Object::Job(old))
                if new.status != old.status =>
            {
                Arc::make_mut(new).status = old.status.clone();
            }
            (Object::CronJob(new), Object::CronJob(old)) if new.status != old.status => {
                Arc::make_mut(new).status = old.status.clone();
            }
            (Object::Pod(new), Object::Pod(old)) if !Arc::ptr_eq(new, old) => {
                let new = Arc::make_mut(new);
                new.status = old.status.clone();
                new.metadata.synthesized = old.metadata.synthesized;
                new.spec.keep_template(&old.spec);
                if new.spec.node_name.is_empty() {
                    new.spec.node_name = old.spec.node_name.clone();
                }
            }
            (Object::Node(new), Object::Node(old)) if new.status != old.status => {
                let status = &mut Arc::make_mut(new).status;
                let mut written = std::mem::replace(status, old.status.clone());
                if !written.addresses.is_empty() {
                    status.addresses = std::mem::take(&mut written.addresses);
                }
                // Once a client controls the node, its manifest no longer sets its readiness.
                if old.status.last_heartbeat.is_none() && old.status.ready_since.is_none() {
                    status.ready = written.ready;
                }
            }
            (Object::Service(new), Object::Service(old)) => {
                if takes_addresses(&new.spec, &old.spec) {
                    let new = &mut Arc::make_mut(new).spec;
                    new.cluster_ip = old.spec.cluster_ip;
                    new.cluster_ips = old.spec.cluster_ips.clone();
                }
                keep_node_ports(new, old);
            }
            (Object::PersistentVolumeClaim(new), Object::PersistentVolumeClaim(old)) => {
                let new = Arc::make_mut(new);
                new.status = old.status.clone();
                new.template = old.template.clone();
                if new.spec.volume_name.is_empty() {
                    new.spec = old.spec.clone();
                }
            }
            (Object::PersistentVolume(new), Object::PersistentVolume(old)) => {
                let new = Arc::make_mut(new);
                new.status = old.status.clone();
                if new.spec.claim_ref.is_none() {
                    new.spec = old.spec.clone();
                }
            }
            (Object::ControllerRevision(new), Object::ControllerRevision(old)) => {
                Arc::make_mut(new).template = old.template.clone();
            }
            _ => {}
        }
        self
    }

    /// This object, whose kind has no Rust type, with `status`. `None` if the status is unchanged, or there is no
    /// source.
    pub(crate) fn with_given_status(&self, status: Value) -> Option<Object> {
        let json = self.metadata().given.as_ref()?.json();
        if json.get("status") == Some(&status) {
            return None;
        }
        let mut json = json.clone();
        json["status"] = status;
        let mut object = self.clone();
        object.metadata_mut().given = Some(Given::from(json));
        Some(object)
    }

    /// This object with the status of `written`, and with its labels and annotations: a write to the `status`
    /// subresource (the status strategies' `PrepareForUpdate`). The state of the simulated kubelet is kept.
    #[must_use]
    pub fn with_status_of(mut self, written: &Object) -> Object {
        let (own, meta) = (self.metadata(), written.metadata());
        if own.labels != meta.labels || own.annotations != meta.annotations {
            let (labels, annotations) = (meta.labels.clone(), meta.annotations.clone());
            let metadata = self.metadata_mut();
            (metadata.labels, metadata.annotations) = (labels, annotations);
        }
        match (&mut self, written) {
            (Object::Pod(pod), Object::Pod(written)) => {
                let pod: &mut Pod = Arc::make_mut(pod);
                let PodStatus { phase, ips, ready, containers_ready, details, .. } = written.status.clone();
                let simulated = !pod.status.is_recorded();
                pod.status = PodStatus {
                    phase,
                    ips,
                    ready,
                    containers_ready,
                    details,
                    simulated,
                    ..pod.status.clone()
                };
            }
            (Object::Node(node), Object::Node(written)) => {
                let status = &mut Arc::make_mut(node).status;
                status.addresses = written.status.addresses.clone();
                status.ready = written.status.ready;
            }
            (Object::StatefulSet(set), Object::StatefulSet(written)) => {
                Arc::make_mut(set).status = written.status.clone();
            }
            (Object::Deployment(workload), Object::Deployment(written))
            | (Object::ReplicaSet(workload), Object::ReplicaSet(written))
            | (Object::ReplicationController(workload), Object::ReplicationController(written))
            | (Object::DaemonSet(workload), Object::DaemonSet(written))
            | (Object::Job(workload), Object::Job(written)) => {
                Arc::make_mut(workload).status = written.status.clone();
            }
            (Object::CronJob(cron), Object::CronJob(written)) => {
                Arc::make_mut(cron).status = written.status.clone();
            }
            // No controller here writes the status of Services: the client's is stored.
            (Object::Service(service), Object::Service(written)) => {
                Arc::make_mut(service).metadata.given = written.metadata.given.clone();
            }
            _ => {}
        }
        self
    }
}

/// Whether a Service keeps its allocated addresses: it sets none, and may have some.
fn takes_addresses(new: &ServiceSpec, old: &ServiceSpec) -> bool {
    let unset = new.cluster_ip == ClusterIp::Unassigned && new.cluster_ips.is_empty();
    let had = matches!(old.cluster_ip, ClusterIp::Address(_));
    unset && had && new.service_type != super::ServiceType::ExternalName
}

/// Copies the node ports of ports with the same name (patchAllocatedValues).
fn keep_node_ports(new: &mut Arc<Service>, old: &Service) {
    let lacks = new.has_node_ports() && new.spec.ports.iter().any(|port| port.node_port.is_none());
    if !lacks || !old.has_node_ports() {
        return;
    }
    let used: Vec<u16> = new.spec.ports.iter().filter_map(|port| port.node_port).collect();
    for port in &mut Arc::make_mut(new).spec.ports {
        let before = old.spec.ports.iter().find(|before| before.name == port.name);
        let before = before.and_then(|before| before.node_port).filter(|number| !used.contains(number));
        port.node_port = port.node_port.or(before);
    }
}

#[cfg(test)]
mod tests {
    use super::super::*;
    use super::*;

    #[test]
    fn a_new_spec_keeps_the_state() {
        let running =
            PodStatus { phase: Some(PodPhase::Running), ready: true, restarts: 2, ..PodStatus::default() };
        let old = Object::Pod(Arc::new(Pod { status: running.clone(), ..Pod::default() }));
        let new = Object::Pod(Arc::new(Pod::default())).with_state_of(&old);
        assert!(matches!(&new, Object::Pod(pod) if pod.status == running));
        let failed = PodStatus { phase: Some(PodPhase::Failed), ..PodStatus::default() };
        let written = Object::Pod(Arc::new(Pod { status: failed, ..Pod::default() }));
        let Object::Pod(now) = new.with_status_of(&written) else { unreachable!("a pod") };
        assert_eq!(
            (now.status.phase, now.status.ready, now.status.restarts),
            (Some(PodPhase::Failed), false, 2)
        );
    }

    #[test]
    fn a_service_keeps_its_address_unless_it_sets_another() {
        let address: std::net::IpAddr = "127.96.0.9".parse().expect("an address");
        let service = |cluster_ip| {
            let spec = ServiceSpec { cluster_ip, ..ServiceSpec::default() };
            Object::Service(Arc::new(Service { spec, ..Service::default() }))
        };
        let ip = |object: &Object| match object {
            Object::Service(service) => service.spec.cluster_ip,
            _ => unreachable!("a Service"),
        };
        let old = service(ClusterIp::Address(address));
        assert_eq!(ip(&service(ClusterIp::Unassigned).with_state_of(&old)), ClusterIp::Address(address));
        assert_eq!(ip(&service(ClusterIp::None).with_state_of(&old)), ClusterIp::None);
    }
}
