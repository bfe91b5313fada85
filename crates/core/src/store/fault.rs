//! A `Fault` as an object; its spec is in the room `fault`.

use std::sync::Arc;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::meta::ObjectMeta;
use crate::fault::FaultSpec;

/// A fault of the cluster's DNS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "WrittenFault")]
pub struct Fault {
    /// Its metadata; it has no namespace.
    pub metadata: ObjectMeta,
    /// The actions, clients and time.
    pub spec: FaultSpec,
    /// The position it was read from.
    pub read_at: ReadAt,
}

/// The file and the line that a fault was read from. Faults that are read together are created in this order. Positions
/// do not count in comparisons of faults.
#[derive(Clone, Debug, Default)]
pub struct ReadAt(Option<(Arc<str>, u32)>);

impl ReadAt {
    /// Position at `line` of `file`.
    pub fn new(file: &Arc<str>, line: u32) -> Self {
        ReadAt(Some((file.clone(), line)))
    }

    /// The order of files and lines; faults from no file come first.
    pub fn order(&self, other: &ReadAt) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

impl PartialEq for ReadAt {
    fn eq(&self, _: &ReadAt) -> bool {
        true
    }
}

impl Eq for ReadAt {}

/// A fault in a manifest. Unknown fields are refused: a typo must not change what is tested.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "a Fault")]
struct WrittenFault {
    #[serde(rename = "apiVersion")]
    _api_version: Option<IgnoredAny>,
    #[serde(rename = "kind")]
    _kind: Option<IgnoredAny>,
    #[serde(default)]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: FaultSpec,
    #[serde(rename = "status")]
    _status: Option<IgnoredAny>,
}

impl From<WrittenFault> for Fault {
    fn from(WrittenFault { metadata, spec, .. }: WrittenFault) -> Self {
        Fault { metadata, spec, read_at: ReadAt::default() }
    }
}
