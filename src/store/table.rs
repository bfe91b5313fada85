//! The objects, their revisions and the stream of changes.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::index::{Indexes, POD_NAME_LABEL, indexed, pair};
use super::names::{Labels, Name};
use super::object::{Key, Kind, Object, Resource};
use super::service::{EndpointSlice, Service};
use super::workload::Pod;

/// A wish: this object shall be so, or shall not be.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Create or replace.
    Put(Object),
    /// Remove; nothing happens if there is no such object.
    Delete(Key),
}

/// Something that happened to an object, as a watch shows it.
#[derive(Clone, Debug)]
pub struct Event {
    /// The store's revision (the API's resourceVersion) after it.
    pub revision: u64,
    /// `None`: the object did not exist before.
    pub before: Option<Object>,
    /// `None`: the object is gone.
    pub after: Option<Object>,
}

impl Event {
    /// The object it is about: as it is, or as it was last.
    pub fn object(&self) -> &Object {
        self.after.as_ref().or(self.before.as_ref()).expect("an event has an object before or after it")
    }

    /// The object before and after, whichever exist.
    pub fn both(&self) -> impl Iterator<Item = &Object> {
        self.before.iter().chain(self.after.iter())
    }
}

/// Events before the asked revision were compacted away: list again. The API's "410 Gone".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("changes up to revision {0} are no longer kept")]
pub struct Compacted(pub u64);

/// All objects of the emulated cluster.
#[derive(Default)]
pub struct Store {
    /// By kind and namespace, then by name.
    objects: BTreeMap<(Kind, Name), BTreeMap<Name, Object>>,
    revision: u64,
    events: VecDeque<Event>,
    indexes: Indexes,
}

impl Store {
    /// An empty store at revision 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of changes so far.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Carries out `change`. Nothing happens, and no event tells of it, where it changes nothing.
    pub fn apply(&mut self, change: Change) -> bool {
        let (before, after) = match change {
            Change::Put(object) => {
                let Key { kind, namespace, name } = object.key();
                let objects = self.objects.entry((kind, namespace)).or_default();
                match objects.entry(name) {
                    Entry::Occupied(entry) if *entry.get() == object => return false,
                    Entry::Occupied(mut entry) => (Some(entry.insert(object.clone())), Some(object)),
                    Entry::Vacant(entry) => {
                        entry.insert(object.clone());
                        (None, Some(object))
                    }
                }
            }
            Change::Delete(Key { kind, namespace, name }) => {
                let id = (kind, namespace);
                let Some(objects) = self.objects.get_mut(&id) else { return false };
                let Some(before) = objects.remove(&name) else { return false };
                if objects.is_empty() {
                    self.objects.remove(&id);
                }
                (Some(before), None)
            }
        };
        self.indexes.update(before.as_ref(), after.as_ref());
        self.revision += 1;
        self.events.push_back(Event { revision: self.revision, before, after });
        true
    }

    /// The changes after `revision`, oldest first.
    ///
    /// # Errors
    /// When some of them were compacted away.
    pub fn watch(&self, revision: u64) -> Result<impl Iterator<Item = &Event>, Compacted> {
        let oldest = self.revision - self.events.len() as u64;
        if revision < oldest {
            return Err(Compacted(oldest));
        }
        Ok(self.events.range((revision - oldest) as usize..))
    }

    /// Forgets the changes up to `revision`; the objects stay.
    pub fn compact(&mut self, revision: u64) {
        while self.events.front().is_some_and(|event| event.revision <= revision) {
            self.events.pop_front();
        }
        // A burst (the first load) must not hold its memory for ever.
        if self.events.is_empty() {
            self.events = VecDeque::new();
        }
    }

    /// The object at `key`.
    pub fn object(&self, key: &Key) -> Option<&Object> {
        self.objects.get(&(key.kind, key.namespace.clone()))?.get(&key.name)
    }

    /// The `kind` called `name` in `namespace`.
    pub fn get<T: Resource>(&self, kind: Kind, namespace: &str, name: &str) -> Option<&Arc<T>> {
        T::of(self.objects.get(&(kind, Name::from(namespace)))?.get(name)?)
    }

    /// All objects of `kind`, by namespace and name.
    pub fn list<'a, T: Resource + 'a>(&'a self, kind: Kind) -> impl Iterator<Item = &'a Arc<T>> {
        let all = self.objects.range((kind, Name::default())..).take_while(move |((k, _), _)| *k == kind);
        all.flat_map(|(_, objects)| objects.values()).filter_map(T::of)
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
        let objects = self.objects.get(&(kind, Name::from(namespace)));
        let prefix = Name::from(prefix);
        let from = objects.map(|objects| objects.range(prefix.clone()..)).into_iter().flatten();
        from.take_while(move |(name, _)| name.starts_with(prefix.as_str()))
            .filter_map(|(_, object)| T::of(object))
    }

    /// All objects, by kind, namespace and name.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.objects.values().flat_map(BTreeMap::values)
    }

    /// The pods of `namespace` that have every label of `selector`, in no particular order. None for an empty selector:
    /// to a Service that means "somebody else looks after my endpoints", not "everything".
    pub fn select_pods(&self, namespace: &Name, selector: &Labels) -> Vec<&Arc<Pod>> {
        let Some(pods) = self.objects.get(&(Kind::Pod, namespace.clone())).filter(|_| !selector.is_empty())
        else {
            return Vec::new();
        };
        let matching = |pod: &&Arc<Pod>| selector.matches(&pod.metadata.labels);
        let pairs =
            indexed(selector).map(|(key, value)| self.indexes.pods.names(pair(namespace, key, value)));
        if let Some(name) = selector.get(POD_NAME_LABEL) {
            return pods.get(name).and_then(Pod::of).filter(matching).into_iter().collect();
        }
        match pairs.min_by_key(|names| names.len()) {
            Some(names) => {
                names.iter().filter_map(|name| Pod::of(pods.get(name)?)).filter(matching).collect()
            }
            None => pods.values().filter_map(Pod::of).filter(matching).collect(),
        }
    }

    /// The Services of `namespace` whose selector matches a pod with `labels`, in no particular order.
    pub fn services_selecting(&self, namespace: &Name, labels: &Labels) -> Vec<&Arc<Service>> {
        let Some(services) = self.objects.get(&(Kind::Service, namespace.clone())) else { return Vec::new() };
        let pairs =
            labels.iter().map(|(key, value)| self.indexes.services.names(pair(namespace, key, value)));
        let candidates = pairs.flatten().filter_map(|name| Service::of(services.get(name)?));
        candidates.filter(|service| service.spec.selector.matches(labels)).collect()
    }

    /// The slices of a Service, by name. The Service need not exist.
    pub fn slices_of(&self, namespace: &Name, service: &Name) -> Vec<&Arc<EndpointSlice>> {
        let Some(slices) = self.objects.get(&(Kind::EndpointSlice, namespace.clone())) else {
            return Vec::new();
        };
        let names = self.indexes.slices.names(pair(namespace, "", service));
        let found = names.iter().filter_map(|name| EndpointSlice::of(slices.get(name)?));
        let mut found: Vec<_> = found.filter(|slice| slice.service_name() == Some(service)).collect();
        found.sort_unstable_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
        found
    }
}
