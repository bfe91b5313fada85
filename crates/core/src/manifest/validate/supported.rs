//! What is not supported here of an object that an API server takes: numbers of pods without a bound, and annotations of ours
//! that would have no effect. Our own kinds have no other validation.

use std::net::IpAddr;

use super::{Check, NameRule};
use crate::manifest::limits::REPLICAS;
use crate::store::{
    Object, PARTITION, PINNED_IP_PREFIX, PartitionSpec, PodTemplate, StatefulSet, Workload, parse_ip,
};

impl Check {
    pub(super) fn supported(&mut self, object: &Object) {
        match object {
            Object::StatefulSet(set) => self.supported_set(set),
            Object::Deployment(workload)
            | Object::ReplicaSet(workload)
            | Object::ReplicationController(workload)
            | Object::DaemonSet(workload)
            | Object::Job(workload) => self.supported_workload(workload),
            Object::CronJob(cron) => {
                self.replicas("spec.jobTemplate.spec.parallelism", cron.spec.job_template.spec.parallelism);
            }
            Object::Pod(pod) => self.pod_annotations("metadata.annotations", &pod.metadata.annotations),
            Object::Node(node) => self.node_annotations(&node.metadata.annotations),
            Object::Fault(fault) => self.fault(fault),
            other if other.kind() == PARTITION => self.partition(other),
            _ => {}
        }
    }

    /// The spec of a Partition, where the object has its JSON.
    fn partition(&mut self, object: &Object) {
        let given = object.metadata().given.as_ref();
        if let Some(Err((path, message))) = given.map(|given| PartitionSpec::parse(&given.json()["spec"])) {
            self.add(path, message);
        }
    }

    fn supported_set(&mut self, set: &StatefulSet) {
        for (key, value) in set.metadata.annotations.iter() {
            if let Some(pod) = key.strip_prefix(PINNED_IP_PREFIX) {
                self.pinned(&format!("metadata.annotations[{key}]"), pod, value);
            }
        }
        let spec = &set.spec;
        self.replicas("spec.replicas", spec.replicas);
        // Ordinals are counted in 32 bits with a sign.
        if spec.ordinals.start > i32::MAX as u32 - REPLICAS {
            self.add("spec.ordinals.start", format!("{} is too large an ordinal", spec.ordinals.start));
        }
        self.template_annotations(&spec.template);
    }

    fn supported_workload(&mut self, workload: &Workload) {
        let spec = &workload.spec;
        self.replicas("spec.replicas", spec.replicas);
        self.replicas("spec.parallelism", spec.parallelism);
        self.template_annotations(&spec.template);
    }

    fn template_annotations(&mut self, template: &PodTemplate) {
        self.pod_annotations("spec.template.metadata.annotations", &template.metadata.annotations);
    }

    /// Addresses that a pod is pinned to.
    pub(super) fn pinned(&mut self, path: &str, pod: &str, value: &str) {
        self.name(path, pod, NameRule::Subdomain);
        let parsed: Result<Vec<IpAddr>, String> = value.split(',').map(|ip| parse_ip(ip.trim())).collect();
        match parsed {
            Ok(addresses) => self.one_of_each_family(path, &addresses),
            Err(message) => self.add(path, message),
        }
    }

    fn replicas(&mut self, path: &str, replicas: Option<u32>) {
        if let Some(replicas) = replicas.filter(|&n| n > REPLICAS) {
            self.add(path, format!("{replicas} pods are more than the {REPLICAS} that are supported"));
        }
    }
}
