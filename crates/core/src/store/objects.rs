//! The objects by kind, namespace and name. Must not depend on revisions or events.

use std::collections::BTreeMap;

use super::extra::Extra;
use super::kind::{Key, Kind};
use super::names::Name;
use super::stored::Stored;

/// The objects of one kind and namespace, by name.
pub(super) type ByName = BTreeMap<Name, Stored>;

/// The objects of one kind, by namespace.
pub(super) type ByNamespace = BTreeMap<Name, ByName>;

/// All objects. The kind is an index: each change of a pod looks up whether its namespace has budgets and quotas.
pub(super) struct Objects {
    named: [ByNamespace; Kind::ALL.len()],
    extra: BTreeMap<Extra, ByNamespace>,
}

impl Default for Objects {
    fn default() -> Self {
        Objects { named: std::array::from_fn(|_| BTreeMap::new()), extra: BTreeMap::new() }
    }
}

impl Objects {
    /// The objects of `kind`, by namespace.
    pub(super) fn of_kind(&self, kind: Kind) -> Option<&ByNamespace> {
        match kind.index() {
            Ok(index) => Some(&self.named[index]),
            Err(extra) => self.extra.get(&extra),
        }
    }

    /// The objects of `kind` in `namespace`, by name.
    pub(super) fn within(&self, kind: Kind, namespace: &str) -> Option<&ByName> {
        self.of_kind(kind)?.get(namespace)
    }

    /// Like [`Self::within`], for modification; creates the map if needed.
    pub(super) fn within_mut(&mut self, kind: Kind, namespace: Name) -> &mut ByName {
        let of_kind = match kind.index() {
            Ok(index) => &mut self.named[index],
            Err(extra) => self.extra.entry(extra).or_default(),
        };
        of_kind.entry(namespace).or_default()
    }

    /// Removes the object at `key`.
    pub(super) fn remove(&mut self, Key { kind, namespace, name }: &Key) -> Option<Stored> {
        let of_kind = match kind.index() {
            Ok(index) => &mut self.named[index],
            Err(extra) => self.extra.get_mut(&extra)?,
        };
        let objects = of_kind.get_mut(namespace)?;
        let removed = objects.remove(name)?;
        if objects.is_empty() {
            of_kind.remove(namespace);
        }
        Some(removed)
    }

    /// All objects by kind, in the order of [`Kind`].
    pub(super) fn by_kind(&self) -> impl Iterator<Item = &ByNamespace> {
        self.named.iter().chain(self.extra.values())
    }

    /// Releases memory that a burst of new objects took beyond their size.
    pub(super) fn pack(&mut self) {
        let by_kind = self.named.iter_mut().chain(self.extra.values_mut());
        for objects in by_kind.flat_map(BTreeMap::values_mut) {
            // A map that grew in order has half-empty nodes; one that is built from an iterator has full ones.
            *objects = std::mem::take(objects).into_iter().collect();
        }
    }
}
