//! What makes pods: the parts of the API groups `apps` and `batch` that the DNS and the controllers depend on.

use std::sync::Arc;

use serde::Deserialize;

use super::given::Part;
use super::names::Name;
use super::object::ObjectMeta;
use super::pod::PodTemplate;
use super::selector::LabelSelector;
use super::values::{IntOrPercent, nullable};

/// A StatefulSet: pods with an ordinal, a name that stays and a claim that stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct StatefulSet {
    pub metadata: ObjectMeta,
    #[serde(default, deserialize_with = "nullable")]
    pub spec: StatefulSetSpec,
    /// As the controller here sees it; what a snapshot says is not read.
    #[serde(skip)]
    pub status: StatefulSetStatus,
}

impl StatefulSet {
    /// The ordinals that it asks for.
    pub fn ordinals(&self) -> std::ops::Range<u32> {
        let start = self.spec.ordinals.start;
        start..start.saturating_add(self.spec.replicas.unwrap_or(1))
    }
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
    pub volume_claim_templates: Box<[ClaimTemplate]>,
    #[serde(deserialize_with = "nullable")]
    pub update_strategy: UpdateStrategy,
    /// How long a pod has to be ready to count as available, in seconds.
    #[serde(deserialize_with = "nullable")]
    pub min_ready_seconds: u32,
    /// Absent means 10.
    pub revision_history_limit: Option<u32>,
    #[serde(deserialize_with = "nullable")]
    pub persistent_volume_claim_retention_policy: ClaimRetention,
}

/// How pods are brought to a new template.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UpdateStrategy {
    #[serde(rename = "type")]
    pub strategy: Option<UpdateStrategyType>,
    pub rolling_update: Option<RollingUpdate>,
}

impl UpdateStrategy {
    /// Whether pods are replaced only when somebody deletes them.
    pub fn is_on_delete(&self) -> bool {
        self.strategy == Some(UpdateStrategyType::OnDelete)
    }

    /// The block `rollingUpdate`, as defaulting leaves it: it is made up where the strategy is left out, but not where
    /// only `type: RollingUpdate` is written (SetDefaults_StatefulSet).
    pub fn rolling(&self) -> Option<RollingUpdate> {
        match self.strategy {
            None => Some(self.rolling_update.unwrap_or_default()),
            Some(_) => self.rolling_update,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum UpdateStrategyType {
    RollingUpdate,
    OnDelete,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RollingUpdate {
    /// Ordinals below `start + partition` stay as they are.
    #[serde(deserialize_with = "nullable")]
    pub partition: u32,
    /// Read, and heeded only where the feature gate is on.
    pub max_unavailable: Option<IntOrPercent>,
}

/// What becomes of volume claims that no pod uses any more (KEP-1847).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimRetention {
    #[serde(deserialize_with = "nullable")]
    pub when_deleted: Retention,
    #[serde(deserialize_with = "nullable")]
    pub when_scaled: Retention,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Retention {
    #[default]
    Retain,
    Delete,
}

/// What the controller found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatefulSetStatus {
    /// Up to which generation the controller has looked.
    pub observed_generation: u32,
    pub replicas: u32,
    pub ready_replicas: u32,
    pub available_replicas: u32,
    /// Pods of the current revision.
    pub current_replicas: u32,
    /// Pods of the update revision.
    pub updated_replicas: u32,
    /// The ControllerRevision that pods had before the update.
    pub current_revision: Name,
    /// The ControllerRevision of the template.
    pub update_revision: Name,
}

/// A template that a StatefulSet has or had.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct ControllerRevision {
    pub metadata: ObjectMeta,
    /// Counts up; the newest is the template of today.
    #[serde(default, deserialize_with = "nullable")]
    pub revision: u64,
    #[serde(skip)]
    pub template: Arc<PodTemplate>,
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

/// What a pod's claim is made from. It is called `TEMPLATE-SET-ORDINAL`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct ClaimTemplate {
    pub metadata: ObjectMeta,
    /// The template as somebody wrote it.
    #[serde(skip)]
    pub given: Option<Part>,
}

/// Deployment, ReplicaSet, DaemonSet or Job: pods with generated names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Workload {
    pub metadata: ObjectMeta,
    #[serde(default, deserialize_with = "nullable")]
    pub spec: WorkloadSpec,
    /// As the controller here sees it; what a snapshot says is not read.
    #[serde(skip)]
    pub status: WorkloadStatus,
}

/// What the controller found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkloadStatus {
    /// Up to which generation the controller has looked.
    pub observed_generation: u32,
    pub replicas: u32,
    pub ready_replicas: u32,
    pub available_replicas: u32,
    /// Pods of the template of today.
    pub updated_replicas: u32,
    /// Of a Deployment and its ReplicaSets: the number of the template.
    pub revision: u64,
    /// How many pods have been made; the next one's name follows from it.
    pub made: u32,
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
    /// Of a Deployment.
    #[serde(deserialize_with = "nullable")]
    pub strategy: DeploymentStrategy,
    /// How long a pod has to be ready to count as available, in seconds.
    #[serde(deserialize_with = "nullable")]
    pub min_ready_seconds: u32,
    /// Of a Deployment: old ReplicaSets to keep; absent means 10.
    pub revision_history_limit: Option<u32>,
    /// Of a Deployment: whether a new template waits.
    #[serde(deserialize_with = "nullable")]
    pub paused: bool,
}

/// How a Deployment goes from one ReplicaSet to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeploymentStrategy {
    #[serde(rename = "type", deserialize_with = "nullable")]
    pub strategy: DeploymentStrategyType,
    #[serde(deserialize_with = "nullable")]
    pub rolling_update: RollingDeployment,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum DeploymentStrategyType {
    #[default]
    RollingUpdate,
    Recreate,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RollingDeployment {
    /// Absent means 25 %, rounded up.
    pub max_surge: Option<IntOrPercent>,
    /// Absent means 25 %, rounded down.
    pub max_unavailable: Option<IntOrPercent>,
}
