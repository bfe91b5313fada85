//! The metadata of every object (`metav1.ObjectMeta`).

use serde::Deserialize;

use super::given::Given;
use super::kind::{Key, Kind};
use super::links::{self, Links, Owner, Uid, WrittenOwners};
use super::names::{Labels, Name};
use super::time::Time;
use super::values::nullable;

/// The metadata of every object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "WrittenMeta")]
pub struct ObjectMeta {
    /// Unique per kind and namespace.
    pub name: Name,
    /// Empty for cluster-scoped kinds.
    pub namespace: Name,
    pub labels: Labels,
    pub annotations: Labels,
    /// Set once deletion has started; the object is terminating. The time by which it should be removed: the time of
    /// the request plus the grace period.
    pub deletion_timestamp: Option<Time>,
    /// In seconds; set together with the timestamp.
    pub deletion_grace_period_seconds: u32,
    /// Its owners, its finalizers and its `generateName`.
    pub links: Links,
    /// Whether a controller here created it, not a manifest or a client.
    pub synthesized: bool,
    /// The object as a manifest or a client wrote it; absent for a controller's.
    pub given: Option<Given>,
}

/// An object's metadata in a manifest.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WrittenMeta {
    #[serde(deserialize_with = "nullable")]
    name: Name,
    #[serde(deserialize_with = "nullable")]
    namespace: Name,
    #[serde(deserialize_with = "nullable")]
    labels: Labels,
    #[serde(deserialize_with = "nullable")]
    annotations: Labels,
    deletion_timestamp: Option<Time>,
    #[serde(deserialize_with = "nullable")]
    deletion_grace_period_seconds: u32,
    #[serde(deserialize_with = "links::owners")]
    owner_references: WrittenOwners,
    #[serde(deserialize_with = "nullable")]
    finalizers: Vec<Name>,
    #[serde(deserialize_with = "nullable")]
    generate_name: Name,
}

impl From<WrittenMeta> for ObjectMeta {
    fn from(written: WrittenMeta) -> Self {
        ObjectMeta {
            name: written.name,
            namespace: written.namespace,
            labels: written.labels,
            annotations: written.annotations,
            deletion_timestamp: written.deletion_timestamp,
            deletion_grace_period_seconds: written.deletion_grace_period_seconds,
            links: Links::new(written.owner_references, written.finalizers, written.generate_name),
            synthesized: false,
            given: None,
        }
    }
}

impl ObjectMeta {
    /// The key of the object, which is of `kind`.
    pub fn key(&self, kind: Kind) -> Key {
        Key { kind, namespace: self.namespace.clone(), name: self.name.clone() }
    }

    /// The managing controller, if there is one.
    pub fn controller(&self) -> Option<&Owner> {
        self.links.controller()
    }

    /// Whether an object at `key`, with any UID, is the managing controller of this one, which is in its namespace.
    pub fn is_owned_by(&self, key: &Key) -> bool {
        self.controller().is_some_and(|owner| owner.is(key))
    }

    /// Whether the object with `uid` at `key` is the managing controller of this one (`metav1.IsControlledBy`).
    pub fn is_controlled_by(&self, key: &Key, uid: Uid) -> bool {
        self.controller().is_some_and(|owner| owner.is(key) && owner.has_uid(uid))
    }

    /// Whether only finalizers hold the object: its deletion was requested, and its grace period is over.
    pub fn is_deleted_but_for_finalizers(&self) -> bool {
        self.deletion_timestamp.is_some() && self.deletion_grace_period_seconds == 0
    }

    /// When deletion was requested, if it was.
    pub fn deletion_requested(&self) -> Option<Time> {
        let grace = i64::from(self.deletion_grace_period_seconds);
        self.deletion_timestamp.map(|by| Time::from_unix_millis(by.unix_millis() - grace * 1000))
    }
}
