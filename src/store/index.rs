//! Ways from labels to objects: from a Service to its pods and slices, and back, without a walk over the namespace.

use std::hash::BuildHasher;

use rustc_hash::{FxBuildHasher, FxHashMap};
use smallvec::SmallVec;

use super::names::{Labels, Name, POD_INDEX_LABEL, POD_NAME_LABEL};
use super::object::Object;
use super::service::EndpointSlice;

/// The label that says which revision of its template a pod was made from. Services hardly select by it.
pub const REVISION_LABEL: &str = "controller-revision-hash";

/// Names of objects by one of their label pairs. Pairs are kept as hashes: whoever looks something up checks what it
/// finds, so two pairs that share a hash do no harm.
#[derive(Default)]
pub(super) struct ByLabel(FxHashMap<u64, SmallVec<[Name; 2]>>);

impl ByLabel {
    pub(super) fn names(&self, pair: u64) -> &[Name] {
        self.0.get(&pair).map_or(&[], |names| names)
    }

    fn add(&mut self, pair: u64, name: &Name) {
        self.0.entry(pair).or_default().push(name.clone());
    }

    fn remove(&mut self, pair: u64, name: &Name) {
        if let Some(names) = self.0.get_mut(&pair) {
            if let Some(at) = names.iter().position(|other| other == name) {
                names.swap_remove(at);
            }
            if names.is_empty() {
                self.0.remove(&pair);
            }
        }
    }

    fn pack(&mut self) {
        self.0.shrink_to_fit();
        self.0.values_mut().for_each(SmallVec::shrink_to_fit);
    }

    /// Brings the entries of the object `name` from `old` to `new`.
    fn replace(&mut self, name: &Name, old: &[u64], new: &[u64]) {
        old.iter().filter(|pair| !new.contains(pair)).for_each(|pair| self.remove(*pair, name));
        new.iter().filter(|pair| !old.contains(pair)).for_each(|pair| self.add(*pair, name));
    }
}

/// A number for a label pair in a namespace.
pub(super) fn pair(namespace: &str, key: &str, value: &str) -> u64 {
    FxBuildHasher.hash_one((namespace, key, value))
}

/// All indexes.
#[derive(Default)]
pub(super) struct Indexes {
    /// Pods by each of their labels.
    pub(super) pods: ByLabel,
    /// Services by the first pair of their selector: a pod that has all pairs has that one.
    pub(super) services: ByLabel,
    /// EndpointSlices by their Service.
    pub(super) slices: ByLabel,
}

impl Indexes {
    /// Gives back what a burst of new objects took beyond what they need.
    pub(super) fn pack(&mut self) {
        [&mut self.pods, &mut self.services, &mut self.slices].into_iter().for_each(ByLabel::pack);
    }

    /// Takes in a change of one object.
    pub(super) fn update(&mut self, before: Option<&Object>, after: Option<&Object>) {
        let Some(object) = after.or(before) else { return };
        let name = &object.metadata().name;
        let namespace = object.metadata().namespace.as_str();
        let labels = |object: &Object| -> SmallVec<[u64; 8]> {
            match object {
                Object::Service(service) => {
                    first_pair(namespace, &service.spec.selector).into_iter().collect()
                }
                _ => indexed(&object.metadata().labels)
                    .map(|(key, value)| pair(namespace, key, value))
                    .collect(),
            }
        };
        let of = |object: Option<&Object>| object.map(labels).unwrap_or_default();
        match object {
            Object::Pod(_) => {
                let same = before.map(|o| &o.metadata().labels) == after.map(|o| &o.metadata().labels);
                if !same {
                    self.pods.replace(name, &of(before), &of(after));
                }
            }
            Object::Service(_) => self.services.replace(name, &of(before), &of(after)),
            Object::EndpointSlice(_) => {
                let service = |object: Option<&Object>| -> SmallVec<[u64; 1]> {
                    let slice = object.and_then(<EndpointSlice as super::Resource>::of);
                    slice
                        .and_then(|s| s.service_name())
                        .map(|service| pair(namespace, "", service))
                        .into_iter()
                        .collect()
                };
                self.slices.replace(name, &service(before), &service(after));
            }
            _ => {}
        }
    }
}

/// The pairs of a label set that are worth an entry. Those that differ from pod to pod would cost more than they find: a
/// pod's name is looked up as a name instead.
pub(super) fn indexed(labels: &Labels) -> impl Iterator<Item = (&str, &str)> {
    labels.iter().filter(|(key, _)| !matches!(*key, POD_NAME_LABEL | POD_INDEX_LABEL | REVISION_LABEL))
}

fn first_pair(namespace: &str, selector: &Labels) -> Option<u64> {
    selector.iter().next().map(|(key, value)| pair(namespace, key, value))
}
