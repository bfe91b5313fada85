//! Events: reports of controllers about their actions.

use serde::Deserialize;

use super::lenient;
use super::meta::ObjectMeta;
use super::names::Name;
use super::time::Time;
use super::values::nullable;

/// An Event of the API (`v1`): an action or observation about an object, and its count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EventRecord {
    pub metadata: ObjectMeta,
    #[serde(deserialize_with = "nullable")]
    pub involved_object: super::ObjectReference,
    /// A CamelCase word: `SuccessfulCreate`.
    #[serde(deserialize_with = "nullable")]
    pub reason: Name,
    #[serde(deserialize_with = "nullable")]
    pub message: String,
    /// `Normal` or `Warning`.
    #[serde(rename = "type", deserialize_with = "nullable")]
    pub event_type: Name,
    #[serde(deserialize_with = "nullable")]
    pub source: EventSource,
    #[serde(deserialize_with = "lenient::nearest_or_zero")]
    pub count: u32,
    pub first_timestamp: Option<Time>,
    pub last_timestamp: Option<Time>,
}

/// The reporting component.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct EventSource {
    /// `statefulset-controller`
    #[serde(deserialize_with = "nullable")]
    pub component: Name,
}
