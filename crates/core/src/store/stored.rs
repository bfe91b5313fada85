//! What a store keeps of an object besides its content, and the changes that it takes and reports.

use std::hash::BuildHasher;

use rustc_hash::FxBuildHasher;

use super::kind::Key;
use super::links::Uid;
use super::object::Object;
use super::time::Time;

/// A write: put or delete.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Create or replace.
    Put(Object),
    /// Removes the object; no effect if it does not exist.
    Delete(Key),
}

/// A stored object with the metadata that the store assigns.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The object. It does not contain its revision, so that writing it back unchanged is not a change.
    pub object: Object,
    /// The revision at which it was created.
    pub(super) born: u64,
    /// The revision of its last change: its resourceVersion.
    pub revision: u64,
    /// When it was created.
    pub created: Time,
    /// The generation of its spec, starting at 1.
    pub generation: u32,
}

impl Stored {
    /// The UID, which distinguishes this object from all others, also from a former one of the same name. It is derived
    /// from the name and the order of creation, so that the same events give the same UIDs.
    pub fn uid(&self) -> Uid {
        let key = self.object.key();
        let half = |salt: u64| FxBuildHasher.hash_one((salt, &key, self.born));
        Uid::from_bits(half(0), half(1))
    }

    /// Its position in the order of creation.
    pub fn born(&self) -> u64 {
        self.born
    }

    /// Whether this is the same object as `other`, not another one of the same name.
    pub fn is_same_object(&self, other: &Stored) -> bool {
        self.born == other.born
    }
}

/// A change of an object, as in a watch.
#[derive(Clone, Debug)]
pub struct Event {
    /// The store's revision (the API's resourceVersion) after it.
    pub revision: u64,
    /// `None`: the object did not exist before.
    pub before: Option<Stored>,
    /// `None` if the object was deleted.
    pub after: Option<Stored>,
}

impl Event {
    /// The object after the change, or before its deletion.
    pub fn object(&self) -> &Object {
        let stored = self.after.as_ref().or(self.before.as_ref());
        &stored.expect("an event has an object before or after it").object
    }

    /// The object after the change, if it exists.
    pub fn now(&self) -> Option<&Object> {
        self.after.as_ref().map(|stored| &stored.object)
    }

    /// The object before the change, if it existed.
    pub fn then(&self) -> Option<&Object> {
        self.before.as_ref().map(|stored| &stored.object)
    }

    /// The object before and after the change, as far as they exist.
    pub fn both(&self) -> impl Iterator<Item = &Object> + Clone {
        self.then().into_iter().chain(self.now())
    }
}
