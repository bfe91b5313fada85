//! Volume claims and volumes: what a StatefulSet's pods keep when they are replaced.

use serde::Deserialize;
use serde_json::Value;

use super::given::Part;
use super::names::Name;
use super::object::ObjectMeta;
use super::values::nullable;

/// A claim to a volume: the data of one ordinal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct PersistentVolumeClaim {
    pub metadata: ObjectMeta,
    #[serde(default, deserialize_with = "nullable")]
    pub spec: ClaimSpec,
    #[serde(default, deserialize_with = "nullable")]
    pub status: VolumeStatus,
    /// What a StatefulSet's controller made it from.
    #[serde(skip)]
    pub template: Option<Part>,
}

impl PersistentVolumeClaim {
    /// Its spec as it was written, or its template was.
    pub fn written_spec(&self) -> Option<&Value> {
        let given = self.metadata.given.as_ref().and_then(|given| given.json().get("spec"));
        given.or_else(|| self.template.as_ref().and_then(|template| template.json().get("spec")))
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimSpec {
    /// The volume it is bound to.
    #[serde(deserialize_with = "nullable")]
    pub volume_name: Name,
}

/// A volume. Nothing is stored on it here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct PersistentVolume {
    pub metadata: ObjectMeta,
    #[serde(default, deserialize_with = "nullable")]
    pub spec: VolumeSpec,
    #[serde(default, deserialize_with = "nullable")]
    pub status: VolumeStatus,
}

impl PersistentVolume {
    /// Its spec as it was written.
    pub fn written_spec(&self) -> Option<&Value> {
        self.metadata.given.as_ref().and_then(|given| given.json().get("spec"))
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VolumeSpec {
    /// The claim it is bound to, or kept for.
    pub claim_ref: Option<super::ObjectReference>,
    /// The nodes from which it can be reached.
    #[serde(deserialize_with = "nullable")]
    pub node_affinity: VolumeNodeAffinity,
}

/// The nodes from which a volume can be reached; all where none are required.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct VolumeNodeAffinity {
    pub required: Option<super::NodeSelector>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct VolumeStatus {
    /// `Pending`, `Bound`, `Available`, `Released`; empty where nobody has looked after it yet.
    #[serde(deserialize_with = "nullable")]
    pub phase: Name,
}
