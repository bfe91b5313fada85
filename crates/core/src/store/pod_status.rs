//! The status of a pod, with the parts that only some pods have: reasons, conditions that controllers set, and a status
//! that a client wrote.

use std::net::IpAddr;

use serde::Deserialize;
use serde_json::Value;

use super::addresses::IpList;
use super::given::Given;
use super::names::Name;
use super::time::Time;
use super::values::{self, nullable};

/// The status of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "WrittenStatus")]
pub struct PodStatus {
    /// Absent before the first sync by a kubelet.
    pub phase: Option<PodPhase>,
    /// The pod's addresses, primary first.
    pub ips: IpList,
    /// Whether the condition `Ready` is true.
    pub ready: bool,
    /// Whether the condition `ContainersReady` is true.
    pub containers_ready: bool,
    /// Time of the last transition of the condition `Ready`.
    pub ready_since: Option<Time>,
    /// When its kubelet accepted it or, once it runs, when its containers started.
    pub since: Option<Time>,
    /// Number of container restarts.
    pub restarts: u32,
    /// The boot of its node at which its sandbox was created.
    pub boot: u32,
    /// Whether the kubelet here computed it, instead of a snapshot.
    pub simulated: bool,
    /// Further details.
    pub details: Option<Box<StatusDetails>>,
}

/// A pod's status in a snapshot.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WrittenStatus {
    phase: Option<PodPhase>,
    #[serde(deserialize_with = "nullable")]
    reason: Name,
    #[serde(deserialize_with = "nullable")]
    message: Name,
    #[serde(rename = "podIP", deserialize_with = "values::optional_ip")]
    pod_ip: Option<IpAddr>,
    #[serde(rename = "podIPs", deserialize_with = "values::ip_list")]
    pod_ips: Vec<IpAddr>,
    #[serde(deserialize_with = "values::pod_conditions")]
    conditions: values::PodConditions,
}

impl From<WrittenStatus> for PodStatus {
    fn from(written: WrittenStatus) -> Self {
        let WrittenStatus { phase, reason, message, pod_ip, pod_ips, conditions } = written;
        let values::PodConditions { ready, containers_ready } = conditions;
        let primary = pod_ip.filter(|ip| !pod_ips.contains(ip));
        let ips = primary.into_iter().chain(pod_ips).collect();
        let details = (!reason.is_empty() || !message.is_empty())
            .then(|| Box::new(StatusDetails { reason, message, ..StatusDetails::default() }));
        PodStatus { phase, ips, ready, containers_ready, details, ..PodStatus::default() }
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

/// The condition that a pod has a node.
pub const POD_SCHEDULED: &str = "PodScheduled";
/// The condition that a pod is about to end because of a disruption (KEP-3329).
pub const DISRUPTION_TARGET: &str = "DisruptionTarget";

/// The conditions that a kubelet writes itself.
const OF_KUBELET: [&str; 5] =
    ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", POD_SCHEDULED];

/// A condition of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// `PodScheduled`, `DisruptionTarget`, or any other.
    pub kind: Name,
    /// `True`, `False` or `Unknown`.
    pub status: Name,
    pub reason: Name,
    pub message: Name,
    /// Time of the last transition.
    pub since: Time,
}

impl Condition {
    /// The condition of a pod that no node admits.
    pub fn unscheduled(reason: &str, message: &str, since: Time) -> Self {
        let (reason, message) = (reason.into(), message.into());
        let status = arcstr::literal!("False");
        Condition { kind: arcstr::literal!("PodScheduled"), status, reason, message, since }
    }

    /// The condition of a pod that is deleted because of a disruption.
    pub fn disruption(reason: &str, message: &str, since: Time) -> Self {
        let (reason, message) = (reason.into(), message.into());
        let status = arcstr::literal!("True");
        Condition { kind: arcstr::literal!("DisruptionTarget"), status, reason, message, since }
    }

    /// Parses a condition of the API.
    fn of(json: &Value) -> Option<Self> {
        let text = |field: &str| Name::from(json[field].as_str().unwrap_or_default());
        let kind = text("type");
        let since =
            json["lastTransitionTime"].as_str().and_then(|text| text.parse().ok()).unwrap_or_default();
        (!kind.is_empty()).then(|| Condition {
            kind,
            status: text("status"),
            reason: text("reason"),
            message: text("message"),
            since,
        })
    }
}

/// The part of a pod's status that only some pods have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusDetails {
    /// The reason for the phase: `Evicted`.
    pub reason: Name,
    pub message: Name,
    /// The conditions that controllers have set since, each of which replaces the written one of its type.
    pub conditions: Vec<Condition>,
    /// The status that a client wrote to the `status` subresource.
    pub written: Option<Given>,
}

impl PodStatus {
    /// Whether it is from a snapshot.
    pub fn is_recorded(&self) -> bool {
        self.phase.is_some() && !self.simulated
    }

    /// The pod's addresses, primary first.
    pub fn ips(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.ips.iter()
    }

    /// The reason for the phase; empty if there is none.
    pub fn reason(&self) -> &str {
        self.details.as_ref().map_or("", |details| &details.reason)
    }

    /// The details, for modification.
    pub fn details_mut(&mut self) -> &mut StatusDetails {
        self.details.get_or_insert_default()
    }

    /// The status that a client wrote, if any.
    pub fn written(&self) -> Option<&Value> {
        Some(self.details.as_ref()?.written.as_ref()?.json())
    }

    /// The conditions that controllers set.
    pub fn conditions(&self) -> &[Condition] {
        self.details.as_ref().map_or(&[], |details| &details.conditions)
    }

    /// The condition of type `kind`, as a controller or a client wrote it.
    pub fn condition(&self, kind: &str) -> Option<Condition> {
        let set = self.conditions().iter().find(|condition| condition.kind == kind);
        set.cloned().or_else(|| Condition::of(written_condition(self.written()?, kind)?))
    }

    /// Whether the condition of type `kind` is true in a client's status; `None` without such a status.
    pub fn is_written_true(&self, kind: &str) -> Option<bool> {
        let written = self.written()?;
        Some(written_condition(written, kind).is_some_and(|condition| condition["status"] == "True"))
    }

    /// Sets a condition. Returns whether it differs from the former one, apart from its time.
    pub fn set_condition(&mut self, condition: Condition) -> bool {
        let before = self.condition(&condition.kind);
        let since =
            before.as_ref().filter(|before| before.status == condition.status).map(|before| before.since);
        let condition = Condition { since: since.unwrap_or(condition.since), ..condition };
        if before.as_ref() == Some(&condition) {
            return false;
        }
        let conditions = &mut self.details_mut().conditions;
        conditions.retain(|other| other.kind != condition.kind);
        conditions.push(condition);
        true
    }

    /// Whether the scheduler has found no node for the pod.
    pub fn waits_for_node(&self) -> bool {
        self.condition(POD_SCHEDULED).is_some_and(|condition| condition.status == "False")
    }

    /// Sets the condition of a scheduled pod, unless a client wrote another.
    pub fn set_scheduled(&mut self, now: Time) {
        if self.is_written_true(POD_SCHEDULED) == Some(false) {
            let status = arcstr::literal!("True");
            let unset = Condition::unscheduled("", "", now);
            self.set_condition(Condition { status, ..unset });
        } else if let Some(details) = &mut self.details {
            details.conditions.retain(|condition| condition.kind != POD_SCHEDULED);
            if **details == StatusDetails::default() {
                self.details = None;
            }
        }
    }

    /// The details that are kept when a kubelet rewrites the status: the conditions that are not its own.
    pub fn foreign_details(&self) -> Option<Box<StatusDetails>> {
        let details = self.details.as_ref()?;
        let written = self.written().and_then(|written| written["conditions"].as_array());
        let written = written.into_iter().flatten().filter_map(Condition::of);
        let replaced =
            |condition: &Condition| details.conditions.iter().all(|other| other.kind != condition.kind);
        let mut conditions: Vec<Condition> =
            written.filter(replaced).chain(details.conditions.clone()).collect();
        conditions.retain(|condition| !OF_KUBELET.contains(&condition.kind.as_str()));
        (!conditions.is_empty()).then(|| Box::new(StatusDetails { conditions, ..StatusDetails::default() }))
    }
}

fn written_condition<'v>(status: &'v Value, kind: &str) -> Option<&'v Value> {
    status["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_condition_keeps_its_time_while_its_status_is_the_same() {
        let at = Time::from_unix_millis;
        let mut status = PodStatus::default();
        assert!(status.set_condition(Condition::unscheduled("Unschedulable", "a", at(1000))));
        assert!(!status.set_condition(Condition::unscheduled("Unschedulable", "a", at(2000))));
        assert!(status.set_condition(Condition::unscheduled("Unschedulable", "b", at(3000))));
        assert_eq!(status.condition(POD_SCHEDULED).map(|condition| condition.since), Some(at(1000)));
        assert!(status.waits_for_node());
        status.set_scheduled(at(4000));
        assert_eq!(status, PodStatus::default());
    }

    #[test]
    fn a_kubelet_keeps_the_conditions_of_other_writers() {
        let mut status = PodStatus::default();
        let written = json!({ "conditions": [
            { "type": "Ready", "status": "True" },
            { "type": "example.com/a", "status": "True", "reason": "r" },
        ] });
        status.details_mut().written = Some(Given::from(written));
        assert_eq!(status.is_written_true("Ready"), Some(true));
        let details = status.foreign_details().expect("a condition is left");
        let kinds: Vec<&str> = details.conditions.iter().map(|condition| condition.kind.as_str()).collect();
        assert_eq!((kinds, details.written.is_none()), (vec!["example.com/a"], true));
    }
}
