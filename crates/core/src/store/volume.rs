//! Volume claims and volumes: the storage that a StatefulSet's pods keep when they are replaced.

use serde::Deserialize;
use serde_json::Value;

use super::given::Part;
use super::meta::ObjectMeta;
use super::names::Name;
use super::values::nullable;

/// The folder in which volumes that are provisioned for claims are shown (`hostPath.path`); nothing creates it.
pub const PROVISIONED_FOLDER: &str = "/var/lib/clusterlocal";

/// A claim to a volume: the storage of one ordinal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct PersistentVolumeClaim {
    pub metadata: ObjectMeta,
    #[serde(default, deserialize_with = "nullable")]
    pub spec: ClaimSpec,
    #[serde(default, deserialize_with = "nullable")]
    pub status: VolumeStatus,
    /// The template from which a StatefulSet's controller created it.
    #[serde(skip)]
    pub template: Option<Part>,
}

impl PersistentVolumeClaim {
    /// Its spec as written, or that of its template.
    pub fn written_spec(&self) -> Option<&Value> {
        let given = self.metadata.given.as_ref().and_then(|given| given.json().get("spec"));
        given.or_else(|| self.template.as_ref().and_then(|template| template.json().get("spec")))
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimSpec {
    /// The volume to which it is bound.
    #[serde(deserialize_with = "nullable")]
    pub volume_name: Name,
}

/// A volume. No content is stored.
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
    /// The claim to which it is bound, or for which it is reserved.
    pub claim_ref: Option<super::ObjectReference>,
    /// The nodes from which it is accessible.
    #[serde(deserialize_with = "nullable")]
    pub node_affinity: VolumeNodeAffinity,
}

/// The nodes from which a volume is accessible; all if there are no requirements.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct VolumeNodeAffinity {
    pub required: Option<super::NodeSelector>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct VolumeStatus {
    /// `Pending`, `Bound`, `Available`, `Released`; empty before the first sync.
    #[serde(deserialize_with = "nullable")]
    pub phase: Name,
}
