//! Metadata that ties an object to others and holds it during deletion: owners, finalizers, the prefix of a generated
//! name. Objects that a controller creates from one template share it.

use std::fmt;
use std::num::NonZeroU128;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer};
use smallvec::SmallVec;

use super::kind::{Key, Kind};
use super::names::Name;
use super::values::nullable;

/// An object's UID: an RFC 9562 UUID as a number. The nil UUID is excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(NonZeroU128);

impl Uid {
    /// Creates a version 4 UUID from 128 bits, of which the version and the variant are overwritten.
    pub(super) fn from_bits(high: u64, low: u64) -> Self {
        let high = high & !0xf000 | 0x4000;
        let low = low & (u64::MAX >> 2) | 1 << 63;
        let bits = NonZeroU128::new(u128::from(high) << 64 | u128::from(low));
        Uid(bits.expect("the version is not zero"))
    }
}

/// `8-4-4-4-12` hexadecimal digits.
impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.0.get();
        let (high, low) = ((bits >> 64) as u64, bits as u64);
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xffff,
            low >> 48,
            low & 0xffff_ffff_ffff,
        )
    }
}

/// The text is not a UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a UUID other than nil, like 123e4567-e89b-42d3-a456-426614174000")]
pub struct UidError;

impl FromStr for Uid {
    type Err = UidError;

    fn from_str(text: &str) -> Result<Self, UidError> {
        let groups = text.split('-').map(str::len);
        if !groups.eq([8, 4, 4, 4, 12]) || !text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit()) {
            return Err(UidError);
        }
        let digits = text.bytes().filter(u8::is_ascii_hexdigit);
        let bits = digits
            .fold(0, |number, digit| number << 4 | u128::from((digit as char).to_digit(16).unwrap_or(0)));
        NonZeroU128::new(bits).map(Uid).ok_or(UidError)
    }
}

/// An owner of an object: the StatefulSet of a pod, the Service of an EndpointSlice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its kind.
    pub kind: Kind,
    /// Its name; an owner is in the namespace of its dependents, or cluster-scoped.
    pub name: Name,
    /// Its UID; `None` matches any. UIDs in manifests are removed, because they are another cluster's.
    pub uid: Option<Uid>,
    /// Whether it is the managing controller; at most one owner is.
    pub controller: bool,
    /// Whether its foreground deletion waits for this dependent.
    pub blocks_deletion: bool,
}

impl Owner {
    /// An owner reference to the managing controller, as controllers write it (`metav1.NewControllerRef`).
    pub fn controller(kind: Kind, name: impl Into<Name>, uid: Option<Uid>) -> Self {
        Owner { kind, name: name.into(), uid, controller: true, blocks_deletion: true }
    }

    /// An owner reference that is neither a controller nor blocks deletion.
    pub fn plain(kind: Kind, name: impl Into<Name>, uid: Option<Uid>) -> Self {
        Owner { kind, name: name.into(), uid, controller: false, blocks_deletion: false }
    }

    /// Whether the object at `key` is this owner of an object in its namespace.
    pub fn is(&self, key: &Key) -> bool {
        self.kind == key.kind && self.name == key.name
    }

    /// The key of the owner of an object in `namespace`.
    pub fn key(&self, namespace: &Name) -> Key {
        let namespace = if self.kind.is_namespaced() { namespace.clone() } else { Name::default() };
        Key::new(self.kind, namespace, self.name.clone())
    }

    /// Whether an object with `uid` at the owner's key is this owner.
    pub fn has_uid(&self, uid: Uid) -> bool {
        self.uid.is_none_or(|own| own == uid)
    }
}

/// The finalizer of an object whose foreground deletion waits for its dependents.
pub const FOREGROUND_FINALIZER: &str = "foregroundDeletion";
/// The finalizer of an object whose dependents are orphaned before it is removed.
pub const ORPHAN_FINALIZER: &str = "orphan";

/// Owners, finalizers and the prefix of a generated name. For most objects there are none, which takes eight bytes.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Links(Option<Arc<Inner>>);

#[derive(Clone, Default, PartialEq, Eq)]
struct Inner {
    /// Usually the managing controller alone.
    owners: SmallVec<[Owner; 1]>,
    finalizers: Box<[Name]>,
    generate_name: Name,
    foreign: Foreign,
}

/// Whether an object refers to owners of unknown kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Foreign {
    #[default]
    None,
    /// It refers to one.
    Owner,
    /// Its controller is one.
    Controller,
}

impl Links {
    /// The links of an object that `owner` manages and whose name was generated from `generate_name`.
    pub fn of_controller(owner: Owner, generate_name: impl Into<Name>) -> Self {
        Links::from_inner(Inner {
            owners: SmallVec::from_iter([owner]),
            generate_name: generate_name.into(),
            ..Inner::default()
        })
    }

    /// The links of an object in a manifest or request.
    pub(super) fn new(owners: WrittenOwners, finalizers: Vec<Name>, generate_name: Name) -> Self {
        Links::from_inner(Inner {
            owners: SmallVec::from_vec(owners.known),
            finalizers: finalizers.into(),
            generate_name,
            foreign: owners.foreign,
        })
    }

    fn from_inner(inner: Inner) -> Self {
        Links((inner != Inner::default()).then(|| Arc::new(inner)))
    }

    /// All owners of known kinds.
    pub fn owners(&self) -> &[Owner] {
        self.0.as_ref().map_or(&[], |inner| &inner.owners)
    }

    /// The managing controller.
    pub fn controller(&self) -> Option<&Owner> {
        self.owners().iter().find(|owner| owner.controller)
    }

    /// Whether the object refers to an owner of an unknown kind, which may or may not exist.
    pub fn has_foreign_owner(&self) -> bool {
        self.foreign() != Foreign::None
    }

    fn foreign(&self) -> Foreign {
        self.0.as_ref().map_or(Foreign::None, |inner| inner.foreign)
    }

    /// Whether no controller manages the object.
    pub fn is_orphan(&self) -> bool {
        self.controller().is_none() && self.foreign() != Foreign::Controller
    }

    /// The finalizers, in order of addition.
    pub fn finalizers(&self) -> &[Name] {
        self.0.as_ref().map_or(&[], |inner| &inner.finalizers)
    }

    /// Whether `finalizer` is among them.
    pub fn has_finalizer(&self, finalizer: &str) -> bool {
        self.finalizers().iter().any(|own| own == finalizer)
    }

    /// The `generateName` of the object, including its hyphen; empty if its name was given.
    pub fn generate_name(&self) -> &Name {
        static NONE: Name = arcstr::literal!("");
        self.0.as_ref().map_or(&NONE, |inner| &inner.generate_name)
    }

    fn change(&mut self, edit: impl FnOnce(&mut Inner)) {
        let mut inner = self.0.as_deref().cloned().unwrap_or_default();
        edit(&mut inner);
        if self.0.as_deref() != Some(&inner) {
            *self = Links::from_inner(inner);
        }
    }

    /// Sets all owners.
    pub fn set_owners(&mut self, owners: impl IntoIterator<Item = Owner>) {
        let owners = owners.into_iter().collect();
        self.change(|inner| inner.owners = owners);
    }

    /// Adds an owner, or replaces the one of the same kind and name.
    pub fn add_owner(&mut self, owner: Owner) {
        let others =
            self.owners().iter().filter(|other| (other.kind, &other.name) != (owner.kind, &owner.name));
        let owners: Vec<Owner> = others.cloned().chain([owner.clone()]).collect();
        self.set_owners(owners);
    }

    /// Removes the owners for which `is` returns true.
    pub fn remove_owners(&mut self, is: impl Fn(&Owner) -> bool) {
        let left: Vec<Owner> = self.owners().iter().filter(|owner| !is(owner)).cloned().collect();
        self.set_owners(left);
    }

    /// Sets all finalizers.
    pub fn set_finalizers(&mut self, finalizers: impl Into<Box<[Name]>>) {
        let finalizers = finalizers.into();
        self.change(|inner| inner.finalizers = finalizers);
    }

    /// Appends `finalizer` unless it exists.
    pub fn add_finalizer(&mut self, finalizer: impl Into<Name>) {
        let finalizer = finalizer.into();
        if !self.has_finalizer(&finalizer) {
            let all: Vec<Name> = self.finalizers().iter().cloned().chain([finalizer]).collect();
            self.set_finalizers(all);
        }
    }

    /// Removes `finalizer`.
    pub fn remove_finalizer(&mut self, finalizer: &str) {
        if self.has_finalizer(finalizer) {
            let left: Vec<Name> =
                self.finalizers().iter().filter(|own| **own != finalizer).cloned().collect();
            self.set_finalizers(left);
        }
    }

    /// Whether both share one value in memory, as those of a template's pods do.
    pub(super) fn is_shared_with(&self, other: &Links) -> bool {
        match (&self.0, &other.0) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        }
    }

    /// Removes the owners' UIDs: those in a manifest are another cluster's.
    pub fn clear_uids(&mut self) {
        if self.owners().iter().any(|owner| owner.uid.is_some()) {
            let owners: Vec<Owner> =
                self.owners().iter().map(|owner| Owner { uid: None, ..owner.clone() }).collect();
            self.set_owners(owners);
        }
    }
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Links")
            .field("owners", &self.owners())
            .field("finalizers", &self.finalizers())
            .field("generate_name", self.generate_name())
            .finish()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OwnerReference {
    #[serde(default, deserialize_with = "nullable")]
    api_version: Name,
    kind: Name,
    name: Name,
    #[serde(default, deserialize_with = "nullable")]
    uid: Name,
    #[serde(default, deserialize_with = "nullable")]
    controller: bool,
    #[serde(default, deserialize_with = "nullable")]
    block_owner_deletion: bool,
}

/// The owners that an object was written with. Those of unknown kinds are kept in its JSON only.
#[derive(Default)]
pub(super) struct WrittenOwners {
    known: Vec<Owner>,
    foreign: Foreign,
}

/// Parses `ownerReferences`.
pub(super) fn owners<'de, D: Deserializer<'de>>(d: D) -> Result<WrittenOwners, D::Error> {
    let all = Option::<Vec<OwnerReference>>::deserialize(d)?.unwrap_or_default();
    let mut owners = WrittenOwners::default();
    for reference in all {
        match Kind::referred(&reference.api_version, &reference.kind) {
            Some(kind) => owners.known.push(Owner {
                kind,
                name: reference.name,
                uid: reference.uid.parse().ok(),
                controller: reference.controller,
                blocks_deletion: reference.block_owner_deletion,
            }),
            None if reference.controller => owners.foreign = Foreign::Controller,
            None if owners.foreign == Foreign::None => owners.foreign = Foreign::Owner,
            None => {}
        }
    }
    Ok(owners)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_are_parsed_and_displayed() {
        let uid = Uid::from_bits(0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210);
        assert_eq!(uid.to_string(), "01234567-89ab-4def-bedc-ba9876543210");
        assert_eq!(uid.to_string().parse(), Ok(uid));
        let nil = "00000000-0000-0000-0000-000000000000";
        for text in
            [nil, "", "u", "0123456789ab-4def-bedc-ba9876543210", "g1234567-89ab-4def-bedc-ba9876543210"]
        {
            assert_eq!(text.parse::<Uid>(), Err(UidError), "{text}");
        }
    }

    #[test]
    fn an_object_without_links_has_no_heap_state() {
        let mut links = Links::default();
        links.add_finalizer("a");
        links.add_owner(Owner::plain(Kind::Pod, "p", None));
        links.add_owner(Owner::controller(Kind::Pod, "p", None));
        assert_eq!((links.owners().len(), links.controller().is_some()), (1, true));
        links.remove_finalizer("a");
        links.remove_owners(|owner| owner.name == "p");
        assert!(links.0.is_none());
        assert_eq!(size_of::<Links>(), 8);
    }
}
