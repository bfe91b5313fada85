//! Pods, the nodes they are on, and what makes them: the parts of the API groups `v1`, `apps` and `batch` that the DNS
//! depends on.

use std::net::IpAddr;
use std::sync::Arc;

use serde::Deserialize;
use smallvec::SmallVec;

use super::names::{Labels, Name};
use super::object::ObjectMeta;
use super::values::{self, Protocol, nullable};

/// A StatefulSet: pods with an ordinal, a name that stays and a claim that stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct StatefulSet {
    pub metadata: ObjectMeta,
    #[serde(default, deserialize_with = "nullable")]
    pub spec: StatefulSetSpec,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StatefulSetSpec {
    /// The governing Service: becomes each pod's subdomain.
    #[serde(deserialize_with = "nullable")]
    pub service_name: Name,
    /// Absent means 1.
    pub replicas: Option<u32>,
    #[serde(deserialize_with = "nullable")]
    pub ordinals: Ordinals,
    pub selector: Option<LabelSelector>,
    #[serde(deserialize_with = "nullable")]
    pub template: Arc<PodTemplate>,
    #[serde(deserialize_with = "nullable")]
    pub pod_management_policy: PodManagementPolicy,
    #[serde(deserialize_with = "nullable")]
    pub volume_claim_templates: Vec<ClaimTemplate>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Ordinals {
    #[serde(deserialize_with = "nullable")]
    pub start: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum PodManagementPolicy {
    #[default]
    OrderedReady,
    Parallel,
}

/// Only the name of a volume claim template matters: claims are called `TEMPLATE-SET-ORDINAL`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct ClaimTemplate {
    pub metadata: ObjectMeta,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LabelSelector {
    #[serde(deserialize_with = "nullable")]
    pub match_labels: Labels,
}

/// Deployment, ReplicaSet, DaemonSet or Job: pods with generated names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Workload {
    pub metadata: ObjectMeta,
    #[serde(default, deserialize_with = "nullable")]
    pub spec: WorkloadSpec,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkloadSpec {
    /// Of a Deployment or ReplicaSet; absent means 1.
    pub replicas: Option<u32>,
    /// Of a Job: how many pods run at once; absent means 1.
    pub parallelism: Option<u32>,
    /// Of a Job: how many pods must succeed.
    pub completions: Option<u32>,
    pub selector: Option<LabelSelector>,
    #[serde(deserialize_with = "nullable")]
    pub template: Arc<PodTemplate>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PodTemplate {
    #[serde(deserialize_with = "nullable")]
    pub metadata: ObjectMeta,
    #[serde(deserialize_with = "nullable")]
    pub spec: PodSpec,
}

/// A pod: an address, and whether it is ready.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Pod {
    pub metadata: ObjectMeta,
    #[serde(default, deserialize_with = "nullable")]
    pub spec: PodSpec,
    #[serde(default, deserialize_with = "nullable")]
    pub status: PodStatus,
}

impl Pod {
    /// Whether deletion has begun.
    pub fn is_terminating(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    /// Whether all its containers have ended, for good or ill.
    pub fn is_terminal(&self) -> bool {
        matches!(self.status.phase, Some(PodPhase::Succeeded | PodPhase::Failed))
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    #[serde(deserialize_with = "nullable")]
    pub hostname: Name,
    #[serde(deserialize_with = "nullable")]
    pub subdomain: Name,
    #[serde(deserialize_with = "nullable")]
    pub node_name: Name,
    #[serde(deserialize_with = "nullable")]
    pub host_network: bool,
    /// Shared by all pods of one template.
    #[serde(deserialize_with = "nullable")]
    pub containers: Arc<[Container]>,
    #[serde(deserialize_with = "nullable")]
    pub init_containers: Arc<[Container]>,
    /// The volume claims of a StatefulSet's pod: `TEMPLATE-SET-ORDINAL`.
    #[serde(skip)]
    pub claims: Arc<[Name]>,
}

impl PodSpec {
    /// The containers whose ports a Service's named `targetPort` is looked up in: the ordinary ones, then the
    /// init containers that stay (sidecars), as the endpoint slice controller does it.
    pub fn serving_containers(&self) -> impl Iterator<Item = &Container> {
        let sidecars = self.init_containers.iter().filter(|c| c.restart_policy.as_deref() == Some("Always"));
        self.containers.iter().chain(sidecars)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Container {
    #[serde(deserialize_with = "nullable")]
    pub name: Name,
    #[serde(deserialize_with = "nullable")]
    pub ports: Vec<ContainerPort>,
    pub restart_policy: Option<Name>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerPort {
    #[serde(default, deserialize_with = "nullable")]
    pub name: Name,
    #[serde(deserialize_with = "values::port")]
    pub container_port: u16,
    #[serde(default, deserialize_with = "nullable")]
    pub protocol: Protocol,
}

/// Addresses, almost always one or one of each family.
pub type IpList = SmallVec<[IpAddr; 2]>;

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStatus {
    /// Absent where nobody has looked after the pod yet.
    pub phase: Option<PodPhase>,
    #[serde(rename = "podIP", deserialize_with = "values::optional_ip")]
    pub pod_ip: Option<IpAddr>,
    #[serde(rename = "podIPs", deserialize_with = "values::ip_list")]
    pub pod_ips: IpList,
    /// Whether the condition `Ready` is true.
    #[serde(rename = "conditions", deserialize_with = "values::ready_condition")]
    pub ready: bool,
    /// Whether the kubelet here made it up, rather than a snapshot telling it.
    #[serde(skip)]
    pub simulated: bool,
}

impl PodStatus {
    /// Whether a snapshot told it.
    pub fn is_recorded(&self) -> bool {
        self.phase.is_some() && !self.simulated
    }

    /// The pod's addresses, primary first.
    pub fn ips(&self) -> impl Iterator<Item = IpAddr> + '_ {
        let primary = self.pod_ip.filter(|ip| !self.pod_ips.contains(ip));
        primary.into_iter().chain(self.pod_ips.iter().copied())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum PodPhase {
    Pending,
    Running,
    Succeeded,
    Failed,
    Unknown,
}

/// An annotation `ip.clusterlocal.dev/POD: ADDRESS[,ADDRESS]` on a pod or its StatefulSet pins the pod's addresses: one
/// of each family at most.
pub const PINNED_IP_PREFIX: &str = "ip.clusterlocal.dev/";

/// A machine. Its address is what pods on the host network have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Node {
    pub metadata: ObjectMeta,
    #[serde(default, deserialize_with = "nullable")]
    pub status: NodeStatus,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct NodeStatus {
    /// Addresses of type InternalIP.
    #[serde(deserialize_with = "values::internal_ips")]
    pub addresses: Vec<IpAddr>,
}
