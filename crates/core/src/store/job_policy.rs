//! How a Job counts its pods: completion modes, and the policies by which it fails or succeeds early (`batch/v1`).

use serde::Deserialize;

use super::names::Name;
use super::values::nullable;

/// Whether the pods of a Job are interchangeable, or each has an index.
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

/// Actions for failed pods of a Job: the first rule that matches applies.
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
    /// Any container if absent.
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
    /// The default is `True`.
    #[serde(default, deserialize_with = "nullable")]
    pub status: Name,
}

/// When an Indexed Job succeeds early: one matching rule is enough.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct SuccessPolicy {
    #[serde(deserialize_with = "nullable")]
    pub rules: Box<[SuccessRule]>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SuccessRule {
    /// The indexes that count, such as `0,2-4`; all if absent.
    pub succeeded_indexes: Option<Name>,
    /// How many of them have to succeed; all if absent.
    pub succeeded_count: Option<u32>,
}
