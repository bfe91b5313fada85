//! What makes pods: the parts of the API groups `apps` and `batch` that the DNS and the controllers depend on.

use std::sync::Arc;

use serde::Deserialize;

use super::conditions::Conditions;
use super::given::Part;
use super::job_status::JobStatus;
use super::lenient;
use super::names::{Labels, Name};
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
    #[serde(deserialize_with = "lenient::word")]
    pub pod_management_policy: PodManagementPolicy,
    #[serde(deserialize_with = "nullable")]
    pub volume_claim_templates: Box<[ClaimTemplate]>,
    #[serde(deserialize_with = "nullable")]
    pub update_strategy: UpdateStrategy,
    /// How long a pod has to be ready to count as available, in seconds.
    #[serde(deserialize_with = "nullable")]
    pub min_ready_seconds: u32,
    /// Absent means 10.
    #[serde(deserialize_with = "lenient::nearest")]
    pub revision_history_limit: Option<u32>,
    #[serde(deserialize_with = "nullable")]
    pub persistent_volume_claim_retention_policy: ClaimRetention,
}

/// How pods are brought to a new template.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UpdateStrategy {
    #[serde(rename = "type", deserialize_with = "lenient::optional_word")]
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
    /// As clients wrote them: the controller states none.
    pub conditions: Conditions,
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

/// Deployment, ReplicaSet, ReplicationController, DaemonSet or Job: pods with generated names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Workload {
    pub metadata: ObjectMeta,
    #[serde(default, deserialize_with = "nullable")]
    pub spec: WorkloadSpec,
    /// As the controller here sees it; what a snapshot says is not read.
    #[serde(skip)]
    pub status: WorkloadStatus,
}

impl Workload {
    /// The pods that it asks for: 1 where it does not say.
    pub fn replicas(&self) -> u32 {
        self.spec.replicas.unwrap_or(1)
    }

    /// The number of its template among those of its Deployment, as the annotation has it; 0 where there is none.
    pub fn revision(&self) -> u64 {
        let text = self.metadata.annotations.get(DEPLOYMENT_REVISION_ANNOTATION);
        text.and_then(|text| text.parse().ok()).unwrap_or(0)
    }
}

/// A ReplicationController as it is written: its selector is a map of labels.
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
    /// Empty means the labels of the template.
    #[serde(deserialize_with = "nullable")]
    pub selector: Labels,
    #[serde(deserialize_with = "nullable")]
    pub template: Arc<PodTemplate>,
    #[serde(deserialize_with = "nullable")]
    pub min_ready_seconds: u32,
}

/// With the labels of its template where it has none (SetDefaults_ReplicationController).
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

/// On a DaemonSet: the number of its template.
pub const TEMPLATE_GENERATION_ANNOTATION: &str = "deprecated.daemonset.template.generation";
/// The number of a template, on a Deployment and on its ReplicaSets.
pub const DEPLOYMENT_REVISION_ANNOTATION: &str = "deployment.kubernetes.io/revision";

/// What the controller found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkloadStatus {
    /// Up to which generation the controller has looked.
    pub observed_generation: u32,
    /// Pods that are there: of a DaemonSet, nodes that should have one and do; of a Job, those that have not ended.
    pub replicas: u32,
    pub ready_replicas: u32,
    pub available_replicas: u32,
    /// Pods of the template of today.
    pub updated_replicas: u32,
    /// Of a Deployment: pods that are asked for and not available. Of a DaemonSet: nodes without an available pod.
    pub unavailable_replicas: u32,
    /// Of a ReplicaSet: pods with all labels of the template.
    pub fully_labeled_replicas: u32,
    /// Pods that are being deleted; absent before the controller counted.
    pub terminating_replicas: Option<u32>,
    /// Of a DaemonSet: the number of today's template.
    pub template_generation: u64,
    /// Of a DaemonSet: nodes that should have a pod.
    pub desired: u32,
    /// Of a DaemonSet: nodes that have a pod and should not.
    pub misscheduled: u32,
    /// How often a name of what it makes was taken by another object; absent where none ever was.
    pub collision_count: Option<u32>,
    pub conditions: Conditions,
    /// Of a Job.
    pub job: Option<Box<JobStatus>>,
    /// How many pods have been made; the next one's name follows from it.
    pub made: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkloadSpec {
    /// Of a Deployment, ReplicaSet or ReplicationController; absent means 1.
    pub replicas: Option<u32>,
    pub selector: Option<LabelSelector>,
    #[serde(deserialize_with = "nullable")]
    pub template: Arc<PodTemplate>,
    /// How long a pod has to be ready to count as available, in seconds.
    #[serde(deserialize_with = "nullable")]
    pub min_ready_seconds: u32,
    /// Of a Deployment or DaemonSet: old templates to keep; absent means 10.
    pub revision_history_limit: Option<u32>,
    /// Of a Deployment.
    #[serde(deserialize_with = "nullable")]
    pub strategy: DeploymentStrategy,
    /// Of a Deployment: whether a new template waits.
    #[serde(deserialize_with = "nullable")]
    pub paused: bool,
    /// Of a Deployment: for how long a rollout may stand still, in seconds; absent means 600.
    pub progress_deadline_seconds: Option<u32>,
    /// Of a DaemonSet.
    #[serde(deserialize_with = "nullable")]
    pub update_strategy: DaemonStrategy,
    /// Of a Job: how many pods run at once; absent means 1.
    pub parallelism: Option<u32>,
    /// Of a Job: how many pods must succeed; absent, with `parallelism`, means that any success will do.
    pub completions: Option<u32>,
    /// Of a Job.
    #[serde(deserialize_with = "nullable")]
    pub completion_mode: CompletionMode,
    /// Of a Job: the controller that manages it; empty means the one here.
    #[serde(deserialize_with = "nullable")]
    pub managed_by: Name,
    /// Of a Job: whether it has no pods for now.
    #[serde(deserialize_with = "nullable")]
    pub suspend: bool,
    /// Of a Job: how many pods may fail; absent means 6, or any number where indexes have limits of their own.
    pub backoff_limit: Option<u32>,
    /// Of an Indexed Job: how many pods of one index may fail.
    pub backoff_limit_per_index: Option<u32>,
    /// Of an Indexed Job: how many indexes may fail.
    pub max_failed_indexes: Option<u32>,
    /// Of a Job: how long it may run, in seconds.
    #[serde(deserialize_with = "lenient::nearest")]
    pub active_deadline_seconds: Option<u32>,
    /// Of a Job: how long it stays once it has finished, in seconds.
    pub ttl_seconds_after_finished: Option<u32>,
    /// Of a Job: what a failed pod means.
    #[serde(deserialize_with = "nullable")]
    pub pod_failure_policy: PodFailurePolicy,
    /// Of an Indexed Job: when it has succeeded before all of its indexes have.
    #[serde(deserialize_with = "nullable")]
    pub success_policy: SuccessPolicy,
    /// Of a Job: when a pod is replaced.
    pub pod_replacement_policy: Option<PodReplacementPolicy>,
    /// Of a Job: whether the selector was written, rather than made.
    #[serde(deserialize_with = "nullable")]
    pub manual_selector: bool,
}

/// How a DaemonSet brings its pods to a new template.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DaemonStrategy {
    #[serde(rename = "type", deserialize_with = "lenient::optional_word")]
    pub strategy: Option<UpdateStrategyType>,
    #[serde(deserialize_with = "nullable")]
    pub rolling_update: RollingDeployment,
}

/// Whether all pods of a Job do the same, or each its own part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum CompletionMode {
    #[default]
    NonIndexed,
    Indexed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum PodReplacementPolicy {
    TerminatingOrFailed,
    Failed,
}

/// What failed pods of a Job mean: the first rule that matches decides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PodFailurePolicy {
    #[serde(deserialize_with = "nullable")]
    pub rules: Box<[PodFailureRule]>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodFailureRule {
    pub action: PodFailureAction,
    pub on_exit_codes: Option<OnExitCodes>,
    #[serde(default, deserialize_with = "nullable")]
    pub on_pod_conditions: Box<[OnPodCondition]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum PodFailureAction {
    FailJob,
    FailIndex,
    Ignore,
    Count,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OnExitCodes {
    /// Absent means any container.
    pub container_name: Option<Name>,
    pub operator: ExitCodeOperator,
    pub values: Box<[i32]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum ExitCodeOperator {
    In,
    NotIn,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct OnPodCondition {
    #[serde(rename = "type")]
    pub kind: Name,
    /// Absent means `True`.
    #[serde(default, deserialize_with = "nullable")]
    pub status: Name,
}

/// When an Indexed Job has succeeded: one rule that matches is enough.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct SuccessPolicy {
    #[serde(deserialize_with = "nullable")]
    pub rules: Box<[SuccessRule]>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SuccessRule {
    /// The indexes that count, as `0,2-4`; absent means all.
    pub succeeded_indexes: Option<Name>,
    /// How many of them have to succeed; absent means all.
    pub succeeded_count: Option<u32>,
}

/// How a Deployment goes from one ReplicaSet to the next.
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
    /// Absent means 25 % of a Deployment, rounded up; 0 of a DaemonSet.
    pub max_surge: Option<IntOrPercent>,
    /// Absent means 25 % of a Deployment, rounded down; 1 of a DaemonSet.
    pub max_unavailable: Option<IntOrPercent>,
}
