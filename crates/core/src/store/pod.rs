//! Pods and their templates: the parts of the API group `v1` on which the DNS and the controllers depend.

use std::sync::Arc;

use serde::Deserialize;

use super::container::Container;
use super::given::Part;
use super::lenient;
use super::meta::ObjectMeta;
use super::names::{Labels, Name};
use super::node::Taint;
use super::pod_status::{PodPhase, PodStatus};
use super::scheduling::{Affinity, Constraints, Gate, SpreadConstraint, Volume, WrittenConstraints};
use super::time::Time;
use super::values::{self, nullable};

/// The template of pods. Two are equal if the API shows them alike.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PodTemplate {
    #[serde(deserialize_with = "nullable")]
    pub metadata: ObjectMeta,
    #[serde(deserialize_with = "nullable")]
    pub spec: PodSpec,
    /// The template as written.
    #[serde(skip)]
    pub given: Option<Part>,
}

/// A pod: its addresses and its readiness.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Pod {
    pub metadata: ObjectMeta,
    #[serde(default, deserialize_with = "nullable")]
    pub spec: PodSpec,
    #[serde(default, deserialize_with = "nullable")]
    pub status: PodStatus,
}

impl Pod {
    /// Whether deletion has started.
    pub fn is_terminating(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    /// Whether all its containers have ended, successfully or not.
    pub fn is_terminal(&self) -> bool {
        matches!(self.status.phase, Some(PodPhase::Succeeded | PodPhase::Failed))
    }

    /// The claims of a StatefulSet's pod: `TEMPLATE-SET-ORDINAL`.
    pub fn claims(&self) -> impl Iterator<Item = Name> + '_ {
        let templates = self.spec.shared.claim_templates.iter();
        templates.map(|template| arcstr::format!("{template}-{}", self.metadata.name))
    }

    /// All claims of the pod: those in its volumes, and those of a StatefulSet's pod.
    pub fn all_claims(&self) -> impl Iterator<Item = Name> + '_ {
        self.named_claims().iter().cloned().chain(self.claims())
    }

    fn named_claims(&self) -> &[Name] {
        self.spec.shared.constraints.as_ref().map_or(&[], |constraints| &constraints.claims)
    }

    /// Whether it uses the claim called `claim`.
    pub fn uses_claim(&self, claim: &str) -> bool {
        if self.named_claims().iter().any(|named| named == claim) {
            return true;
        }
        let template =
            claim.strip_suffix(self.metadata.name.as_str()).and_then(|rest| rest.strip_suffix('-'));
        template.is_some_and(|template| self.spec.shared.claim_templates.iter().any(|own| own == template))
    }

    /// Whether it is running and ready.
    pub fn is_running_and_ready(&self) -> bool {
        self.status.phase == Some(PodPhase::Running) && self.status.ready
    }

    /// When it becomes available: `min_ready` seconds after it became ready; `None` while it is not ready
    /// (podutil.IsPodAvailable).
    pub fn available_from(&self, min_ready: u32) -> Option<Time> {
        self.status.ready.then(|| self.status.ready_since.unwrap_or_default().after_secs(min_ready))
    }

    /// Whether it is available at `now`.
    pub fn is_available(&self, min_ready: u32, now: Time) -> bool {
        self.available_from(min_ready).is_some_and(|from| from <= now)
    }
}

/// The spec of a pod. All of it but node and hostname is shared by the pods of a template.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "WrittenSpec")]
pub struct PodSpec {
    pub hostname: Name,
    pub node_name: Name,
    pub shared: Arc<SharedSpec>,
}

/// The part of the spec that all pods of a template share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SharedSpec {
    /// The governing Service, below which each pod has its hostname in the DNS.
    pub subdomain: Name,
    pub host_network: bool,
    /// In seconds; the default is 30.
    pub termination_grace_period_seconds: Option<u32>,
    pub tolerations: Box<[Toleration]>,
    pub containers: Box<[Container]>,
    pub init_containers: Box<[Container]>,
    /// Its requirements of a node; absent if there are none.
    pub constraints: Option<Box<Constraints>>,
    /// The conditions that have to be true before it can be ready (`readinessGates`).
    pub readiness_gates: Box<[Name]>,
    /// The template from which a controller created the pods.
    pub template: Option<Arc<PodTemplate>>,
    /// The names of a StatefulSet's claim templates; see [`Pod::claims`].
    pub claim_templates: Box<[Name]>,
}

/// A pod's spec in a manifest.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WrittenSpec {
    #[serde(deserialize_with = "nullable")]
    hostname: Name,
    #[serde(deserialize_with = "nullable")]
    subdomain: Name,
    #[serde(deserialize_with = "nullable")]
    node_name: Name,
    #[serde(deserialize_with = "nullable")]
    host_network: bool,
    #[serde(deserialize_with = "lenient::nearest")]
    termination_grace_period_seconds: Option<u32>,
    #[serde(deserialize_with = "nullable")]
    tolerations: Box<[Toleration]>,
    #[serde(deserialize_with = "nullable")]
    containers: Box<[Container]>,
    #[serde(deserialize_with = "nullable")]
    init_containers: Box<[Container]>,
    #[serde(deserialize_with = "values::list")]
    readiness_gates: Vec<ReadinessGate>,
    #[serde(deserialize_with = "nullable")]
    node_selector: Labels,
    #[serde(deserialize_with = "nullable")]
    affinity: Affinity,
    #[serde(deserialize_with = "values::list")]
    topology_spread_constraints: Vec<SpreadConstraint>,
    #[serde(deserialize_with = "values::list")]
    scheduling_gates: Vec<Gate>,
    #[serde(deserialize_with = "values::list")]
    volumes: Vec<Volume>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReadinessGate {
    condition_type: Name,
}

impl From<WrittenSpec> for PodSpec {
    fn from(written: WrittenSpec) -> Self {
        let constraints = WrittenConstraints {
            node_selector: written.node_selector,
            affinity: written.affinity,
            topology_spread_constraints: written.topology_spread_constraints,
            scheduling_gates: written.scheduling_gates,
            volumes: written.volumes,
        };
        let sidecars =
            written.init_containers.iter().filter(|c| c.restart_policy.as_deref() == Some("Always"));
        let serving = written.containers.iter().chain(sidecars);
        let shared = SharedSpec {
            constraints: constraints.read(serving, written.host_network),
            readiness_gates: written.readiness_gates.into_iter().map(|gate| gate.condition_type).collect(),
            subdomain: written.subdomain,
            host_network: written.host_network,
            termination_grace_period_seconds: written.termination_grace_period_seconds,
            tolerations: written.tolerations,
            containers: written.containers,
            init_containers: written.init_containers,
            ..SharedSpec::default()
        };
        PodSpec { hostname: written.hostname, node_name: written.node_name, shared: Arc::new(shared) }
    }
}

impl PodSpec {
    /// A spec with only `containers`.
    pub fn of_containers(containers: impl Into<Box<[Container]>>) -> Self {
        let shared = SharedSpec { containers: containers.into(), ..SharedSpec::default() };
        PodSpec { shared: Arc::new(shared), ..PodSpec::default() }
    }

    /// Copies the fields that no manifest contains from `old`, which this replaces: the template of the pod.
    pub(super) fn keep_template(&mut self, old: &PodSpec) {
        let (new, old) = (&mut self.shared, &old.shared);
        if (&new.template, &new.claim_templates) != (&old.template, &old.claim_templates) {
            let new = Arc::make_mut(new);
            (new.template, new.claim_templates) = (old.template.clone(), old.claim_templates.clone());
        }
        if new == old {
            *new = old.clone();
        }
    }

    /// Whether the pod has the addresses of its node.
    pub fn is_on_host_network(&self) -> bool {
        self.shared.host_network
    }

    /// The containers in which a Service's named `targetPort` is looked up: the ordinary ones, then the restartable
    /// init containers (sidecars), as in the endpoint slice controller.
    pub fn serving_containers(&self) -> impl Iterator<Item = &Container> {
        let sidecars =
            self.shared.init_containers.iter().filter(|c| c.restart_policy.as_deref() == Some("Always"));
        self.shared.containers.iter().chain(sidecars)
    }

    /// The grace period of the pod, in seconds.
    pub fn grace(&self) -> u32 {
        self.shared.termination_grace_period_seconds.unwrap_or(30)
    }

    /// How long the pod stays on a node with `taint`: `None` if it does not, else seconds from the time at which the
    /// taint was added, `u32::MAX` if forever. The API server's admission adds tolerations of 300 s for `not-ready` and
    /// `unreachable` to every pod (DefaultTolerationSeconds).
    pub fn tolerates(&self, taint: &Taint) -> Option<u32> {
        let tolerated = self.shared.tolerations.iter().filter(|toleration| toleration.matches(taint));
        let tolerated = tolerated.map(|toleration| toleration.toleration_seconds.unwrap_or(u32::MAX)).min();
        tolerated.or_else(|| taint.is_of_lost_node().then_some(DEFAULT_TOLERATION_SECONDS))
    }
}

/// Default time that pods stay on a node that is not ready or unreachable, in seconds.
pub const DEFAULT_TOLERATION_SECONDS: u32 = 300;

/// A toleration of taints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Toleration {
    /// Empty, with `Exists`, matches all.
    #[serde(deserialize_with = "nullable")]
    pub key: Name,
    /// `Exists` or `Equal`; the default is `Equal`.
    #[serde(deserialize_with = "nullable")]
    pub operator: Name,
    #[serde(deserialize_with = "nullable")]
    pub value: Name,
    /// Empty matches all.
    #[serde(deserialize_with = "nullable")]
    pub effect: Name,
    /// Unlimited if absent.
    #[serde(deserialize_with = "lenient::nearest")]
    pub toleration_seconds: Option<u32>,
}

impl Toleration {
    /// Whether both are for the same taints: one replaces the other (AddOrUpdateTolerationInPodSpec).
    pub fn is_like(&self, other: &Toleration) -> bool {
        (&self.key, &self.effect, &self.operator, &self.value)
            == (&other.key, &other.effect, &other.operator, &other.value)
    }

    fn matches(&self, taint: &Taint) -> bool {
        (self.effect.is_empty() || self.effect == taint.effect)
            && (self.key.is_empty() || self.key == taint.key)
            && (self.operator == "Exists" || self.value == taint.value)
    }
}

/// The annotation `ip.clusterlocal.dev/POD: ADDRESS[,ADDRESS]` on a pod or its StatefulSet pins the pod's addresses: at
/// most one of each family.
pub const PINNED_IP_PREFIX: &str = "ip.clusterlocal.dev/";

/// The key of that annotation for the pod called `pod`.
pub fn pinned_ip_annotation(pod: &str) -> Name {
    arcstr::format!("{PINNED_IP_PREFIX}{pod}")
}

/// The annotation `port.clusterlocal.dev/PORT: NUMBER` on a pod sets the real port of the process that stands for the
/// pod: the number is used in the endpoints of Services whose port or `targetPort` has that name.
pub const BOUND_PORT_PREFIX: &str = "port.clusterlocal.dev/";

/// `"false"` on a pod or a template delays its readiness; `"true"` makes it ready at once. Without it the pod becomes
/// ready after its delay.
pub const READY_ANNOTATION: &str = "clusterlocal.dev/ready";
/// Codes of findings that `check` does not report for the object: `port-unnamed,unknown-name`.
pub const ALLOW_ANNOTATION: &str = "clusterlocal.dev/allow";
/// Time until the pod has an address and runs: `5s`, `1m30s`.
pub const START_DELAY_ANNOTATION: &str = "clusterlocal.dev/start-delay";
/// Time from running to ready.
pub const READY_DELAY_ANNOTATION: &str = "clusterlocal.dev/ready-delay";
/// Time until the pod has stopped; its grace period is the maximum.
pub const STOP_DELAY_ANNOTATION: &str = "clusterlocal.dev/stop-delay";
/// Time from running to success: `5s`.
pub const COMPLETES_ANNOTATION: &str = "clusterlocal.dev/completes";
/// Time from running to failure: `5s`.
pub const FAILS_ANNOTATION: &str = "clusterlocal.dev/fails";
/// Number of crashes of a container of the pod; when it grows, the container crashes.
pub const CRASHES_ANNOTATION: &str = "clusterlocal.dev/crashes";

/// Whether any of a pod's annotations control its simulation.
pub fn has_own_annotations(annotations: &Labels) -> bool {
    annotations.iter().any(|(key, _)| key.starts_with("clusterlocal.dev/"))
}
