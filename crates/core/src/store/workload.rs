//! Workloads: the parts of the API groups `apps` and `batch` on which the DNS and the controllers depend.

use std::sync::Arc;

use serde::Deserialize;

use super::conditions::Conditions;
use super::given::Part;
use super::job_policy::{CompletionMode, PodFailurePolicy, PodReplacementPolicy, SuccessPolicy};
use super::job_status::JobStatus;
use super::lenient;
use super::meta::ObjectMeta;
use super::names::{Labels, Name};
use super::pod::PodTemplate;
use super::selector::LabelSelector;
use super::values::{IntOrPercent, nullable};

/// A StatefulSet: pods with ordinals, stable names and stable claims.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct StatefulSet {
    pub metadata: ObjectMeta,
    #[serde(default, deserialize_with = "nullable")]
    pub spec: StatefulSetSpec,
    /// As this controller computes it; a snapshot's is ignored.
    #[serde(skip)]
    pub status: StatefulSetStatus,
}

impl StatefulSet {
    /// The ordinals of its pods.
    pub fn ordinals(&self) -> std::ops::Range<u32> {
        let start = self.spec.ordinals.start;
        start..start.saturating_add(self.spec.replicas.unwrap_or(1))
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StatefulSetSpec {
    /// The governing Service, which becomes the subdomain of each pod.
    #[serde(deserialize_with = "nullable")]
    pub service_name: Name,
    /// The default is 1.
    pub replicas: Option<u32>,
    #[serde(deserialize_with = "nullable")]
    pub ordinals: Ordinals,
    pub selector: Option<LabelSelector>,
    #[serde(deserialize_with = "nullable")]
    pub template: Arc<PodTemplate>,
    #[serde(deserialize_with = "lenient::word")]
    pub pod_management_policy: PodManagementPolicy,
    #[serde(deserialize_with = "nullable")]
    pub volume_claim_templates: Box<[ClaimTemplate]>,
    #[serde(deserialize_with = "nullable")]
    pub update_strategy: UpdateStrategy,
    /// How long a pod has to be ready to count as available, in seconds.
    #[serde(deserialize_with = "nullable")]
    pub min_ready_seconds: u32,
    /// The default is 10.
    #[serde(deserialize_with = "lenient::nearest")]
    pub revision_history_limit: Option<u32>,
    #[serde(deserialize_with = "nullable")]
    pub persistent_volume_claim_retention_policy: ClaimRetention,
}

/// How pods are updated to a new template.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UpdateStrategy {
    #[serde(rename = "type", deserialize_with = "lenient::optional_word")]
    pub strategy: Option<UpdateStrategyType>,
    pub rolling_update: Option<RollingUpdate>,
}

impl UpdateStrategy {
    /// Whether pods are replaced only when a client deletes them.
    pub fn is_on_delete(&self) -> bool {
        self.strategy == Some(UpdateStrategyType::OnDelete)
    }

    /// The block `rollingUpdate` after defaulting: it is set if the strategy is absent, but not if only `type:
    /// RollingUpdate` is given (SetDefaults_StatefulSet).
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
    /// Ordinals below `start + partition` are not updated.
    #[serde(deserialize_with = "nullable")]
    pub partition: u32,
    /// Parsed, but used only with the feature gate enabled.
    pub max_unavailable: Option<IntOrPercent>,
}

/// What happens to claims that no pod uses any more (KEP-1847).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimRetention {
    #[serde(deserialize_with = "lenient::word")]
    pub when_deleted: Retention,
    #[serde(deserialize_with = "lenient::word")]
    pub when_scaled: Retention,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Retention {
    #[default]
    Retain,
    Delete,
}

/// The status that the controller computes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatefulSetStatus {
    /// The generation at the last sync.
    pub observed_generation: u32,
    pub replicas: u32,
    pub ready_replicas: u32,
    pub available_replicas: u32,
    /// Pods of the current revision.
    pub current_replicas: u32,
    /// Pods of the update revision.
    pub updated_replicas: u32,
    /// The ControllerRevision of pods before the update.
    pub current_revision: Name,
    /// The ControllerRevision of the template.
    pub update_revision: Name,
    /// As clients wrote them: the controller sets none.
    pub conditions: Conditions,
}

/// A current or former template of a StatefulSet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct ControllerRevision {
    pub metadata: ObjectMeta,
    /// The revision number; the highest is that of the current template.
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

/// The template of a pod's claim, which is called `TEMPLATE-SET-ORDINAL`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct ClaimTemplate {
    pub metadata: ObjectMeta,
    /// The template as written.
    #[serde(skip)]
    pub given: Option<Part>,
}

/// Deployment, ReplicaSet, ReplicationController, DaemonSet or Job: pods with generated names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Workload {
    pub metadata: ObjectMeta,
    #[serde(default, deserialize_with = "nullable")]
    pub spec: WorkloadSpec,
    /// As this controller computes it; a snapshot's is ignored.
    #[serde(skip)]
    pub status: WorkloadStatus,
}

impl Workload {
    /// Its replicas; the default is 1.
    pub fn replicas(&self) -> u32 {
        self.spec.replicas.unwrap_or(1)
    }

    /// The revision number in its annotation; 0 if there is none.
    pub fn revision(&self) -> u64 {
        let text = self.metadata.annotations.get(DEPLOYMENT_REVISION_ANNOTATION);
        text.and_then(|text| text.parse().ok()).unwrap_or(0)
    }
}

/// A ReplicationController in a manifest: its selector is a map of labels.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ReplicationController {
    pub metadata: ObjectMeta,
    #[serde(default, deserialize_with = "nullable")]
    pub spec: ReplicationControllerSpec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReplicationControllerSpec {
    pub replicas: Option<u32>,
    /// The default are the labels of the template.
    #[serde(deserialize_with = "nullable")]
    pub selector: Labels,
    #[serde(deserialize_with = "nullable")]
    pub template: Arc<PodTemplate>,
    #[serde(deserialize_with = "nullable")]
    pub min_ready_seconds: u32,
}

/// Defaults the selector to the labels of the template (SetDefaults_ReplicationController).
impl From<ReplicationController> for Workload {
    fn from(written: ReplicationController) -> Self {
        let ReplicationController { mut metadata, spec } = written;
        if metadata.labels.is_empty() {
            metadata.labels = spec.template.metadata.labels.clone();
        }
        let selector = Some(spec.selector).filter(|selector| !selector.is_empty());
        let spec = WorkloadSpec {
            replicas: spec.replicas,
            selector: selector.map(LabelSelector::of),
            template: spec.template,
            min_ready_seconds: spec.min_ready_seconds,
            ..WorkloadSpec::default()
        };
        Workload { metadata, spec, status: WorkloadStatus::default() }
    }
}

/// On a DaemonSet: the generation of its template.
pub const TEMPLATE_GENERATION_ANNOTATION: &str = "deprecated.daemonset.template.generation";
/// On a Deployment and its ReplicaSets: the revision number of the template.
pub const DEPLOYMENT_REVISION_ANNOTATION: &str = "deployment.kubernetes.io/revision";

/// The status that the controller computes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkloadStatus {
    /// The generation at the last sync.
    pub observed_generation: u32,
    /// Existing pods: of a DaemonSet, nodes that should have one and do; of a Job, those that have not ended.
    pub replicas: u32,
    pub ready_replicas: u32,
    pub available_replicas: u32,
    /// Pods of the current template.
    pub updated_replicas: u32,
    /// Of a Deployment: desired pods that are not available. Of a DaemonSet: nodes without an available pod.
    pub unavailable_replicas: u32,
    /// Of a ReplicaSet: pods with all labels of the template.
    pub fully_labeled_replicas: u32,
    /// Pods that are being deleted; absent before the controller counted.
    pub terminating_replicas: Option<u32>,
    /// Of a DaemonSet: the generation of the current template.
    pub template_generation: u64,
    /// Of a DaemonSet: nodes that should have a pod.
    pub desired: u32,
    /// Of a DaemonSet: nodes that have a pod and should not.
    pub misscheduled: u32,
    /// Number of collisions of generated names; absent if there were none.
    pub collision_count: Option<u32>,
    pub conditions: Conditions,
    /// Of a Job.
    pub job: Option<Box<JobStatus>>,
    /// Number of pods created so far; the next one's name is derived from it.
    pub made: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkloadSpec {
    /// Of a Deployment, ReplicaSet or ReplicationController; the default is 1.
    pub replicas: Option<u32>,
    pub selector: Option<LabelSelector>,
    #[serde(deserialize_with = "nullable")]
    pub template: Arc<PodTemplate>,
    /// How long a pod has to be ready to count as available, in seconds.
    #[serde(deserialize_with = "nullable")]
    pub min_ready_seconds: u32,
    /// Of a Deployment or DaemonSet: number of old templates to keep; the default is 10.
    pub revision_history_limit: Option<u32>,
    /// Of a Deployment.
    #[serde(deserialize_with = "nullable")]
    pub strategy: DeploymentStrategy,
    /// Of a Deployment: whether rollouts are paused.
    #[serde(deserialize_with = "nullable")]
    pub paused: bool,
    /// Of a Deployment: maximum time without progress of a rollout, in seconds; the default is 600.
    pub progress_deadline_seconds: Option<u32>,
    /// Of a DaemonSet.
    #[serde(deserialize_with = "nullable")]
    pub update_strategy: DaemonStrategy,
    /// Of a Job: maximum number of active pods; the default is 1.
    pub parallelism: Option<u32>,
    /// Of a Job: number of pods that must succeed; if absent while `parallelism` is set, one success is enough.
    pub completions: Option<u32>,
    /// Of a Job.
    #[serde(deserialize_with = "nullable")]
    pub completion_mode: CompletionMode,
    /// Of a Job: the controller that manages it; empty for the built-in one.
    #[serde(deserialize_with = "nullable")]
    pub managed_by: Name,
    /// Of a Job: whether it is suspended.
    #[serde(deserialize_with = "nullable")]
    pub suspend: bool,
    /// Of a Job: maximum number of failed pods; the default is 6, or no limit with limits for each index.
    pub backoff_limit: Option<u32>,
    /// Of an Indexed Job: maximum number of failed pods of one index.
    pub backoff_limit_per_index: Option<u32>,
    /// Of an Indexed Job: maximum number of failed indexes.
    pub max_failed_indexes: Option<u32>,
    /// Of a Job: maximum run time, in seconds.
    #[serde(deserialize_with = "lenient::nearest")]
    pub active_deadline_seconds: Option<u32>,
    /// Of a Job: time until it is deleted after it has finished, in seconds.
    pub ttl_seconds_after_finished: Option<u32>,
    /// Of a Job: actions for failed pods.
    #[serde(deserialize_with = "nullable")]
    pub pod_failure_policy: PodFailurePolicy,
    /// Of an Indexed Job: when it succeeds before all of its indexes have.
    #[serde(deserialize_with = "nullable")]
    pub success_policy: SuccessPolicy,
    /// Of a Job: when a pod is replaced.
    pub pod_replacement_policy: Option<PodReplacementPolicy>,
    /// Of a Job: whether the selector was given, not generated.
    #[serde(deserialize_with = "nullable")]
    pub manual_selector: bool,
}

/// How a DaemonSet updates its pods to a new template.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DaemonStrategy {
    #[serde(rename = "type", deserialize_with = "lenient::optional_word")]
    pub strategy: Option<UpdateStrategyType>,
    #[serde(deserialize_with = "nullable")]
    pub rolling_update: RollingDeployment,
}

/// How a Deployment replaces one ReplicaSet by the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeploymentStrategy {
    #[serde(rename = "type", deserialize_with = "lenient::word")]
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
    /// The default is 25 % for a Deployment, rounded up; 0 for a DaemonSet.
    pub max_surge: Option<IntOrPercent>,
    /// The default is 25 % for a Deployment, rounded down; 1 for a DaemonSet.
    pub max_unavailable: Option<IntOrPercent>,
}
