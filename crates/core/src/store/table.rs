//! The objects, their revisions and the stream of changes.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::index::Indexes;
use super::kind::{Key, Kind};
use super::names::Name;
use super::object::{Object, Resource};
use super::objects::{ByName, Objects};
use super::stored::{Change, Event, Stored};
use super::time::Time;

/// Events before the requested revision were compacted: list again. The API's "410 Gone".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("changes up to revision {0} are no longer kept")]
pub struct Compacted(pub u64);

/// All objects of the emulated cluster.
#[derive(Default)]
pub struct Store {
    objects: Objects,
    revision: u64,
    /// The revision at which the store started.
    base: u64,
    /// The creation time of new objects.
    now: Time,
    events: VecDeque<Event>,
    pub(super) indexes: Indexes,
    /// Memory of the objects, in bytes.
    bytes: usize,
    /// Memory that the events hold besides the objects, in bytes: the former versions of objects.
    event_bytes: usize,
}

fn weight(stored: Option<&Stored>) -> usize {
    stored.map_or(0, |stored| stored.object.weight())
}

impl Store {
    /// An empty store at revision 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the first change have a revision after `revision`, so that revisions of an earlier store are not taken for
    /// this one's.
    pub fn start_after(&mut self, revision: u64) {
        if self.revision == 0 {
            (self.revision, self.base) = (revision, revision);
        }
    }

    /// Sets the creation time of new objects.
    pub fn set_time(&mut self, now: Time) {
        self.now = now;
    }

    /// The revision of the last change.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Applies `change`. A change without effect creates no event.
    pub fn apply(&mut self, change: Change) -> bool {
        let revision = self.revision + 1;
        let (before, after) = match change {
            Change::Put(object) => {
                let Key { kind, namespace, name } = object.key();
                let objects = self.objects.within_mut(kind, namespace);
                match objects.entry(name) {
                    Entry::Occupied(entry) if entry.get().object == object => return false,
                    Entry::Occupied(mut entry) => {
                        let old = entry.get();
                        let generation = old.generation + u32::from(!object.has_spec_of(&old.object));
                        let new = Stored { object, revision, generation, ..old.clone() };
                        (Some(entry.insert(new.clone())), Some(new))
                    }
                    Entry::Vacant(entry) => {
                        let new =
                            Stored { object, born: revision, revision, created: self.now, generation: 1 };
                        entry.insert(new.clone());
                        (None, Some(new))
                    }
                }
            }
            Change::Delete(key) => {
                let Some(before) = self.objects.remove(&key) else { return false };
                (Some(before), None)
            }
        };
        let (old, new) = (weight(before.as_ref()), weight(after.as_ref()));
        self.bytes = self.bytes + new - old;
        self.event_bytes += old;
        let event = Event { revision, before, after };
        self.indexes.update(event.then(), event.now());
        self.revision = revision;
        self.events.push_back(event);
        true
    }

    /// The changes after `revision`, oldest first.
    ///
    /// # Errors
    /// If some of them were compacted.
    pub fn watch(&self, revision: u64) -> Result<impl DoubleEndedIterator<Item = &Event>, Compacted> {
        let oldest = self.oldest_kept();
        // From the start of the store.
        let revision = if revision == 0 { self.base } else { revision };
        if revision < oldest {
            return Err(Compacted(oldest));
        }
        Ok(self.events.range((revision - oldest) as usize..))
    }

    /// The revision after which all events are kept.
    pub fn oldest_kept(&self) -> u64 {
        self.revision - self.events.len() as u64
    }

    /// Drops the events up to `revision`; objects are not affected.
    pub fn compact(&mut self, revision: u64) {
        while self.events.front().is_some_and(|event| event.revision <= revision) {
            self.drop_oldest();
        }
        // Memory of a burst, such as the first load, must not be held forever.
        if self.events.is_empty() {
            self.events = VecDeque::new();
        }
    }

    /// Drops the oldest events while the events hold more than `bytes` of memory besides the objects.
    pub fn compact_to(&mut self, bytes: usize) {
        while self.event_bytes > bytes {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        match self.events.pop_front() {
            Some(event) => self.event_bytes -= weight(event.before.as_ref()),
            None => self.event_bytes = 0,
        }
    }

    /// Approximate memory of the objects, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Releases memory that a burst of new objects took beyond their size.
    pub fn pack(&mut self) {
        self.objects.pack();
        self.indexes.pack();
    }

    /// The object at `key`.
    pub fn object(&self, key: &Key) -> Option<&Object> {
        self.stored(key).map(|stored| &stored.object)
    }

    /// The object at `key`, with its store metadata.
    pub fn stored(&self, key: &Key) -> Option<&Stored> {
        self.within(key.kind, &key.namespace)?.get(&key.name)
    }

    /// All objects of `kind` (in `namespace`, if given), by namespace and name, with their store metadata.
    pub fn all_stored(&self, kind: Kind, namespace: Option<&str>) -> impl Iterator<Item = &Stored> {
        let of_kind = self.objects.of_kind(kind).filter(|of_kind| !of_kind.is_empty());
        let one = of_kind.and_then(|of_kind| of_kind.get(namespace?));
        let all = of_kind.filter(|_| namespace.is_none()).into_iter().flat_map(BTreeMap::values);
        one.into_iter().chain(all).flat_map(BTreeMap::values)
    }

    /// Whether there is an object of `kind` in `namespace`.
    pub fn has_any(&self, kind: Kind, namespace: &str) -> bool {
        self.within(kind, namespace).is_some()
    }

    /// All objects in `namespace`, of every kind, by kind and name.
    pub fn all_in(&self, namespace: &str) -> impl Iterator<Item = &Stored> + use<'_> {
        let namespace = Name::from(namespace);
        self.objects.by_kind().filter_map(move |of_kind| of_kind.get(&namespace)).flat_map(BTreeMap::values)
    }

    /// The objects of `kind` in `namespace`, by name.
    pub(super) fn within(&self, kind: Kind, namespace: &str) -> Option<&ByName> {
        self.objects.within(kind, namespace)
    }

    /// The `kind` called `name` in `namespace`.
    pub fn get<T: Resource>(&self, kind: Kind, namespace: &str, name: &str) -> Option<&Arc<T>> {
        T::of(&self.within(kind, namespace)?.get(name)?.object)
    }

    /// All objects of `kind`, by namespace and name.
    pub fn list<'a, T: Resource + 'a>(&'a self, kind: Kind) -> impl Iterator<Item = &'a Arc<T>> {
        self.all_stored(kind, None).filter_map(|stored| T::of(&stored.object))
    }

    /// All objects of `kind` in `namespace`, by name.
    pub fn list_in<'a, T: Resource + 'a>(
        &'a self,
        kind: Kind,
        namespace: &str,
    ) -> impl Iterator<Item = &'a Arc<T>> {
        self.list_prefixed(kind, namespace, "")
    }

    /// The objects of `kind` in `namespace` whose names begin with `prefix`, by name.
    pub fn list_prefixed<'a, T: Resource + 'a>(
        &'a self,
        kind: Kind,
        namespace: &str,
        prefix: &str,
    ) -> impl Iterator<Item = &'a Arc<T>> + use<'a, T> {
        let objects = self.within(kind, namespace);
        let prefix = Name::from(prefix);
        let from = objects.map(|objects| objects.range(prefix.clone()..)).into_iter().flatten();
        from.take_while(move |(name, _)| name.starts_with(prefix.as_str()))
            .filter_map(|(_, stored)| T::of(&stored.object))
    }

    /// The objects of `kind` in `namespace` whose names begin with `prefix`, by name, with their store metadata.
    pub fn stored_prefixed(
        &self,
        kind: Kind,
        namespace: &str,
        prefix: &str,
    ) -> impl Iterator<Item = &Stored> {
        let prefix = Name::from(prefix);
        let from = self.within(kind, namespace).map(|objects| objects.range(prefix.clone()..));
        from.into_iter()
            .flatten()
            .take_while(move |(name, _)| name.starts_with(prefix.as_str()))
            .map(|(_, stored)| stored)
    }

    /// Number of objects that refer to the one at `owner` as an owner; occasionally slightly more.
    pub fn dependents_count(&self, owner: &Key) -> usize {
        self.indexes.dependents_count(owner)
    }

    /// All objects, by kind, namespace and name, with their store metadata.
    pub fn all(&self) -> impl Iterator<Item = &Stored> {
        self.objects.by_kind().flat_map(BTreeMap::values).flat_map(BTreeMap::values)
    }

    /// All objects, by kind, namespace and name.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.all().map(|stored| &stored.object)
    }
}

#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use super::super::*;

    #[test]
    fn types_with_many_instances_are_small() {
        let table = [
            ("a pod", size_of::<Pod>(), 168),
            ("its store metadata", size_of::<Stored>(), 48),
            ("its endpoint in a slice", size_of::<Endpoint>(), 64),
            ("its labels, besides those of its template", size_of::<Labels>(), 16),
            ("its name, each time it is used", size_of::<Name>(), 8),
        ];
        for (what, bytes, expected) in table {
            assert_eq!(bytes, expected, "{what}");
        }
    }
}
