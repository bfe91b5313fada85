//! Conditions in the status of workloads, with reasons (`metav1.Condition` and its equivalents in `apps/v1` and
//! `batch/v1`).

use serde_json::{Map, Value, json};

use super::names::Name;
use super::time::Time;

/// A condition of an object's status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadCondition {
    /// `Available`, `Progressing`, `Complete`.
    pub kind: Name,
    pub status: ConditionStatus,
    pub reason: Name,
    pub message: String,
    pub last_transition: Time,
    /// Time of the last write: `lastUpdateTime` of a Deployment's, `lastProbeTime` of a Job's.
    pub last_update: Time,
}

impl WorkloadCondition {
    /// A condition observed at `now`.
    pub fn new(kind: &str, status: ConditionStatus, reason: &str, message: String, now: Time) -> Self {
        WorkloadCondition {
            kind: kind.into(),
            status,
            reason: reason.into(),
            message,
            last_transition: now,
            last_update: now,
        }
    }

    /// Parses one condition of a status that a client wrote.
    pub fn parse(json: &Value) -> Option<Self> {
        let text = |field: &str| json.get(field).and_then(Value::as_str).unwrap_or_default();
        let time = |field: &str| text(field).parse::<Time>().ok();
        let kind = Some(text("type")).filter(|kind| !kind.is_empty())?;
        let last_transition = time("lastTransitionTime").unwrap_or_default();
        let last_update = time("lastUpdateTime").or(time("lastProbeTime")).unwrap_or_default();
        let status = match text("status") {
            "True" => ConditionStatus::True,
            "False" => ConditionStatus::False,
            _ => ConditionStatus::Unknown,
        };
        let (kind, reason, message) = (kind.into(), text("reason").into(), text("message").into());
        Some(WorkloadCondition { kind, status, reason, message, last_transition, last_update })
    }

    /// The condition as in the API, with the time of its last update in the field `updated`.
    pub fn json(&self, updated: Option<&str>) -> Value {
        let mut json = Map::new();
        json.insert("type".into(), self.kind.as_str().into());
        json.insert("status".into(), self.status.as_str().into());
        // A missing time is null: `omitempty` does not omit structs.
        let shown = |time: Time| if time == Time::default() { json!(null) } else { time.to_string().into() };
        if let Some(field) = updated {
            json.insert(field.into(), shown(self.last_update));
        }
        json.insert("lastTransitionTime".into(), shown(self.last_transition));
        for (field, text) in [("reason", self.reason.as_str()), ("message", &self.message)] {
            if !text.is_empty() {
                json.insert(field.into(), text.into());
            }
        }
        json.into()
    }
}

/// The conditions of a status, in order of their creation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions(Vec<WorkloadCondition>);

impl Conditions {
    /// The condition of this type.
    pub fn get(&self, kind: &str) -> Option<&WorkloadCondition> {
        self.0.iter().find(|condition| condition.kind == kind)
    }

    /// Whether the condition of this type is true.
    pub fn holds(&self, kind: &str) -> bool {
        self.get(kind).is_some_and(|condition| condition.status == ConditionStatus::True)
    }

    /// Replaces the condition of the same type, unless status and reason are unchanged; the time of the last transition
    /// is kept while the status is (deployment_util.go, SetDeploymentCondition).
    pub fn set(&mut self, mut condition: WorkloadCondition) {
        if let Some(there) = self.get(&condition.kind) {
            if there.status == condition.status && there.reason == condition.reason {
                return;
            }
            if there.status == condition.status {
                condition.last_transition = there.last_transition;
            }
        }
        self.remove(&condition.kind);
        self.0.push(condition);
    }

    /// Replaces the condition of the same type in place, or appends it.
    pub fn put(&mut self, condition: WorkloadCondition) {
        match self.0.iter_mut().find(|there| there.kind == condition.kind) {
            Some(there) => *there = condition,
            None => self.0.push(condition),
        }
    }

    /// Removes the condition of this type.
    pub fn remove(&mut self, kind: &str) {
        self.0.retain(|condition| condition.kind != kind);
    }

    /// All conditions.
    pub fn iter(&self) -> impl Iterator<Item = &WorkloadCondition> {
        self.0.iter()
    }
}

impl FromIterator<WorkloadCondition> for Conditions {
    fn from_iter<I: IntoIterator<Item = WorkloadCondition>>(all: I) -> Self {
        Conditions(all.into_iter().collect())
    }
}

/// The status of a condition (`v1.ConditionStatus`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConditionStatus {
    #[default]
    True,
    False,
    Unknown,
}

impl ConditionStatus {
    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            ConditionStatus::True => "True",
            ConditionStatus::False => "False",
            ConditionStatus::Unknown => "Unknown",
        }
    }
}
