//! Nodes: the machines that run pods, and their reachability.

use std::net::IpAddr;

use serde::Deserialize;

use super::addresses::IpList;
use super::conditions::ConditionStatus;
use super::meta::ObjectMeta;
use super::names::Name;
use super::time::Time;
use super::values::{self, nullable};

/// A node. Its address is that of its pods on the host network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Node {
    pub metadata: ObjectMeta,
    #[serde(default, deserialize_with = "nullable")]
    pub spec: NodeSpec,
    #[serde(default, deserialize_with = "nullable")]
    pub status: NodeStatus,
}

impl Node {
    /// The state of the machine, from its annotation.
    pub fn machine(&self) -> Machine {
        match self.metadata.annotations.get(MACHINE_ANNOTATION) {
            Some("unreachable") => Machine::Unreachable,
            Some("off") => Machine::Off,
            _ => Machine::Up,
        }
    }

    /// Number of reboots.
    pub fn boots(&self) -> u32 {
        let text = self.metadata.annotations.get(BOOTS_ANNOTATION);
        text.and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// Its zone; empty if it has none.
    pub fn zone(&self) -> &str {
        self.metadata.labels.get("topology.kubernetes.io/zone").unwrap_or_default()
    }

    /// Whether it has the taint `key` with this effect.
    pub fn has_taint(&self, key: &str, effect: &str) -> bool {
        self.spec.taints.iter().any(|taint| taint.key == key && taint.effect == effect)
    }
}

/// `unreachable`: the machine runs, but sends no heartbeats; `off`: it does not run.
pub const MACHINE_ANNOTATION: &str = "clusterlocal.dev/machine";
/// Number of reboots of the machine: when it changes, its pods get new sandboxes.
pub const BOOTS_ANNOTATION: &str = "clusterlocal.dev/boots";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    Up,
    /// Behind a partition: its pods continue to run.
    Unreachable,
    Off,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSpec {
    /// Whether it is cordoned.
    #[serde(deserialize_with = "nullable")]
    pub unschedulable: bool,
    #[serde(deserialize_with = "nullable")]
    pub taints: Vec<Taint>,
}

/// A taint: keeps pods away from a node, or evicts them.
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

/// The taint of a node without heartbeats.
pub const UNREACHABLE_TAINT: &str = "node.kubernetes.io/unreachable";
/// The taint of a node that reports that it is not ready.
pub const NOT_READY_TAINT: &str = "node.kubernetes.io/not-ready";
/// The taint with which a user confirms that the node's pods do not run any more (KEP-2268).
pub const OUT_OF_SERVICE_TAINT: &str = "node.kubernetes.io/out-of-service";

impl Taint {
    /// Whether it keeps away pods that do not tolerate it.
    pub fn keeps_away(&self) -> bool {
        matches!(self.effect.as_str(), "NoSchedule" | "NoExecute")
    }

    /// Whether it is one of those that the node lifecycle controller adds to nodes that are not ready or unreachable.
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
    /// The condition `Ready`; true by default.
    #[serde(rename = "conditions", deserialize_with = "values::node_ready")]
    pub ready: ConditionStatus,
    /// Time of its last transition.
    #[serde(skip)]
    pub ready_since: Option<Time>,
    /// Time of the last heartbeat; absent while heartbeats arrive.
    #[serde(skip)]
    pub last_heartbeat: Option<Time>,
    /// Deleted pods whose containers still run behind a partition.
    #[serde(skip)]
    pub left_behind: Vec<LeftBehind>,
}

/// A pod that still runs although it was deleted by force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftBehind {
    pub namespace: Name,
    pub pod: Name,
    pub ips: IpList,
}
