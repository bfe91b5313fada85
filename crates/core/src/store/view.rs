//! The current state of the store, or that at an earlier revision, for rendering objects. Must not change anything.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::kind::{Key, Kind};
use super::names::Name;
use super::object::Resource;
use super::service::EndpointSlice;
use super::stored::{Event, Stored};
use super::table::{Compacted, Store};

/// Objects as they were before the undone events.
#[derive(Default)]
pub struct Undone<'s>(BTreeMap<Key, Option<&'s Stored>>);

impl<'s> Undone<'s> {
    /// Undoes all events since `revision`.
    ///
    /// # Errors
    /// If some of them were compacted.
    pub fn since(store: &'s Store, revision: u64) -> Result<Self, Compacted> {
        let mut undone = Undone::default();
        if revision < store.revision() {
            store.watch(revision)?.rev().for_each(|event| undone.undo(event));
        }
        Ok(undone)
    }

    /// Undoes `event`, the newest that is not undone yet.
    pub fn undo(&mut self, event: &'s Event) {
        self.0.insert(event.object().key(), event.before.as_ref());
    }
}

/// A state of the store.
#[derive(Clone, Copy)]
pub struct View<'s> {
    store: &'s Store,
    undone: Option<&'s Undone<'s>>,
}

impl<'s> View<'s> {
    /// The current state.
    pub fn now(store: &'s Store) -> Self {
        View { store, undone: None }
    }

    /// The state before the `undone` events.
    pub fn past(store: &'s Store, undone: &'s Undone<'s>) -> Self {
        View { store, undone: Some(undone).filter(|undone| !undone.0.is_empty()) }
    }

    /// The object at `key`, with its store metadata.
    pub fn stored(&self, key: &Key) -> Option<&'s Stored> {
        match self.undone.and_then(|undone| undone.0.get(key)) {
            Some(then) => *then,
            None => self.store.stored(key),
        }
    }

    /// The `kind` called `name` in `namespace`.
    pub fn get<T: Resource + 's>(&self, kind: Kind, namespace: &str, name: &str) -> Option<&'s Arc<T>> {
        if self.undone.is_none() {
            return self.store.get(kind, namespace, name);
        }
        T::of(&self.stored(&Key::new(kind, namespace, name))?.object)
    }

    /// The objects of `kind` in `namespace` whose names begin with `prefix`, by name.
    pub fn list_prefixed<T: Resource + 's>(
        &self,
        kind: Kind,
        namespace: &str,
        prefix: &str,
    ) -> impl Iterator<Item = &'s Arc<T>> + use<'s, T> {
        let now = self.store.list_prefixed::<T>(kind, namespace, prefix);
        let Some(undone) = self.undone else { return now.collect::<Vec<_>>().into_iter() };
        let prefix = Name::from(prefix);
        let from = undone.0.range(Key::new(kind, namespace, prefix.clone())..);
        let then = from
            .take_while(|(key, _)| {
                key.kind == kind && key.namespace == namespace && key.name.starts_with(prefix.as_str())
            })
            .map(|(key, then)| (&key.name, then.and_then(|stored| T::of(&stored.object))));
        let now = self.store.all_stored(kind, Some(namespace));
        let now = now.filter(|stored| stored.object.metadata().name.starts_with(prefix.as_str()));
        let mut all: BTreeMap<&Name, Option<&'s Arc<T>>> =
            now.map(|stored| (&stored.object.metadata().name, T::of(&stored.object))).collect();
        all.extend(then);
        all.into_values().flatten().collect::<Vec<_>>().into_iter()
    }

    /// The slices of a Service, by name. The Service need not exist.
    pub fn slices_of(&self, namespace: &Name, service: &Name) -> Vec<&'s Arc<EndpointSlice>> {
        let mut slices = self.store.slices_of(namespace, service);
        let Some(undone) = self.undone else { return slices };
        let from = undone.0.range(Key::new(Kind::EndpointSlice, namespace.clone(), Name::default())..);
        let then = from.take_while(|(key, _)| key.kind == Kind::EndpointSlice && key.namespace == *namespace);
        let then: BTreeMap<&Name, Option<&'s Stored>> =
            then.map(|(key, stored)| (&key.name, *stored)).collect();
        slices.retain(|slice| !then.contains_key(&slice.metadata.name));
        let then = then.into_values().flatten().filter_map(|stored| EndpointSlice::of(&stored.object));
        slices.extend(then.filter(|slice| slice.service_name() == Some(service)));
        slices.sort_unstable_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
        slices
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Change, Namespace, Object, ObjectMeta, SERVICE_NAME_LABEL};

    fn slice(name: &str, endpoints: usize) -> Object {
        let metadata = ObjectMeta {
            name: name.into(),
            namespace: "default".into(),
            labels: [(SERVICE_NAME_LABEL, "db")].into_iter().collect(),
            ..ObjectMeta::default()
        };
        let slice = EndpointSlice {
            metadata,
            address_type: super::super::AddressType::IPv4,
            endpoints: vec![Default::default(); endpoints],
            ports: Vec::new(),
        };
        Object::EndpointSlice(Arc::new(slice))
    }

    #[test]
    fn a_view_of_the_past_shows_former_objects() {
        let mut store = Store::new();
        let key = |name: &str| Key::new(Kind::EndpointSlice, "default", name);
        let metadata = ObjectMeta { name: "other".into(), ..ObjectMeta::default() };
        let changes = [
            Change::Put(slice("db-a", 1)),
            Change::Put(slice("db-b", 2)),
            Change::Put(Object::Namespace(Arc::new(Namespace { metadata }))),
            Change::Put(slice("db-a", 3)),
            Change::Delete(key("db-b")),
            Change::Put(slice("db-c", 4)),
        ];
        for change in changes {
            store.apply(change);
        }
        let table: [(u64, &[(&str, usize)]); 7] = [
            (0, &[]),
            (1, &[("db-a", 1)]),
            (2, &[("db-a", 1), ("db-b", 2)]),
            (3, &[("db-a", 1), ("db-b", 2)]),
            (4, &[("db-a", 3), ("db-b", 2)]),
            (5, &[("db-a", 3)]),
            (6, &[("db-a", 3), ("db-c", 4)]),
        ];
        for (revision, expected) in table {
            // Revision 0 stands for the start of the store.
            let mut undone = Undone::default();
            let events: Vec<&Event> = store.watch(0).expect("all are kept").collect();
            events.into_iter().rev().filter(|e| e.revision > revision).for_each(|e| undone.undo(e));
            let view = View::past(&store, &undone);
            let shown = |slices: Vec<&Arc<EndpointSlice>>| -> Vec<(String, usize)> {
                slices.iter().map(|s| (s.metadata.name.to_string(), s.endpoints.len())).collect()
            };
            let expected: Vec<_> = expected.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
            assert_eq!(shown(view.slices_of(&"default".into(), &"db".into())), expected, "at {revision}");
            let listed = view.list_prefixed(Kind::EndpointSlice, "default", "db-").collect();
            assert_eq!(shown(listed), expected, "at {revision}");
            for name in ["db-a", "db-b", "db-c"] {
                let there = expected.iter().any(|(other, _)| other == name);
                assert_eq!(view.stored(&key(name)).is_some(), there, "{name} at {revision}");
            }
        }
    }
}
