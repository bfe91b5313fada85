//! Nodes: the machines that pods are on, and whether anything is heard of them.

use std::net::IpAddr;

use serde::Deserialize;

use super::addresses::IpList;
use super::names::Name;
use super::object::ObjectMeta;
use super::time::Time;
use super::values::{self, nullable};

/// A machine. Its address is what pods on the host network have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Node {
    pub metadata: ObjectMeta,
    #[serde(default, deserialize_with = "nullable")]
    pub spec: NodeSpec,
    #[serde(default, deserialize_with = "nullable")]
    pub status: NodeStatus,
}

impl Node {
    /// What has become of the machine, as somebody says in an annotation.
    pub fn machine(&self) -> Machine {
        match self.metadata.annotations.get(MACHINE_ANNOTATION) {
            Some("unreachable") => Machine::Unreachable,
            Some("off") => Machine::Off,
            _ => Machine::Up,
        }
    }

    /// How often it was rebooted.
    pub fn boots(&self) -> u32 {
        let text = self.metadata.annotations.get(BOOTS_ANNOTATION);
        text.and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// The zone it is in; empty if it is in none.
    pub fn zone(&self) -> &str {
        self.metadata.labels.get("topology.kubernetes.io/zone").unwrap_or_default()
    }

    /// Whether it has the taint `key` of this effect.
    pub fn has_taint(&self, key: &str, effect: &str) -> bool {
        self.spec.taints.iter().any(|taint| taint.key == key && taint.effect == effect)
    }
}

/// `unreachable`: the machine runs, but nobody hears of it; `off`: it does not run.
pub const MACHINE_ANNOTATION: &str = "clusterlocal.dev/machine";
/// How often the machine was rebooted: another number, and its pods get new sandboxes.
pub const BOOTS_ANNOTATION: &str = "clusterlocal.dev/boots";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    Up,
    /// Behind a partition: its pods run on.
    Unreachable,
    Off,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSpec {
    /// Cordoned.
    #[serde(deserialize_with = "nullable")]
    pub unschedulable: bool,
    #[serde(deserialize_with = "nullable")]
    pub taints: Vec<Taint>,
}

/// What keeps pods away from a node, or drives them off it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Taint {
    #[serde(deserialize_with = "nullable")]
    pub key: Name,
    #[serde(deserialize_with = "nullable")]
    pub value: Name,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    #[serde(deserialize_with = "nullable")]
    pub effect: Name,
    pub time_added: Option<Time>,
}

/// The taint of a node that nobody hears of.
pub const UNREACHABLE_TAINT: &str = "node.kubernetes.io/unreachable";
/// The taint of a node that says itself that it is not ready.
pub const NOT_READY_TAINT: &str = "node.kubernetes.io/not-ready";
/// The taint by which somebody vouches that the node's pods do not run any more (KEP-2268).
pub const OUT_OF_SERVICE_TAINT: &str = "node.kubernetes.io/out-of-service";

impl Taint {
    /// Whether it keeps pods away that do not put up with it.
    pub fn keeps_away(&self) -> bool {
        matches!(self.effect.as_str(), "NoSchedule" | "NoExecute")
    }

    /// Whether the node lifecycle controller puts it on nodes that it hears nothing good of.
    pub fn is_of_lost_node(&self) -> bool {
        matches!(self.key.as_str(), UNREACHABLE_TAINT | NOT_READY_TAINT) && self.effect == "NoExecute"
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct NodeStatus {
    /// Addresses of type InternalIP.
    #[serde(deserialize_with = "values::internal_ips")]
    pub addresses: Vec<IpAddr>,
    /// The condition `Ready`; true where nothing is said.
    #[serde(rename = "conditions", deserialize_with = "values::node_ready")]
    pub ready: ConditionStatus,
    /// When that changed last.
    #[serde(skip)]
    pub ready_since: Option<Time>,
    /// When its kubelet was heard of last; absent while it is heard of all the time.
    #[serde(skip)]
    pub last_heartbeat: Option<Time>,
    /// Pods whose objects are gone, while what ran in them runs on behind a partition.
    #[serde(skip)]
    pub left_behind: Vec<LeftBehind>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConditionStatus {
    #[default]
    True,
    False,
    Unknown,
}

/// What runs on though its pod was deleted by force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftBehind {
    pub namespace: Name,
    pub pod: Name,
    pub ips: IpList,
}
