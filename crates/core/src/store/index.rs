//! Indexes by label: from a Service to its pods and slices, and back, without a scan of the namespace.

use std::collections::BTreeSet;
use std::collections::hash_map::Entry;
use std::hash::BuildHasher;

use rustc_hash::{FxBuildHasher, FxHashMap};
use smallvec::SmallVec;

use super::kind::{Key, Kind};
use super::links::Owner;
use super::meta::ObjectMeta;
use super::names::{Labels, Name, POD_INDEX_LABEL, POD_NAME_LABEL};
use super::object::Object;
use super::service::EndpointSlice;

/// The label with the revision of a pod's template. Services rarely select by it.
pub const REVISION_LABEL: &str = "controller-revision-hash";

/// Names of objects by one of their label pairs. Keys are hashes of pairs; callers check what they find, so that
/// collisions are harmless.
pub(super) struct ByLabel<T = Name>(FxHashMap<u64, SmallVec<[T; 2]>>);

impl<T> Default for ByLabel<T> {
    fn default() -> Self {
        ByLabel(FxHashMap::default())
    }
}

impl<T: Clone + PartialEq> ByLabel<T> {
    pub(super) fn names(&self, pair: u64) -> &[T] {
        self.0.get(&pair).map_or(&[], |names| names)
    }

    fn add(&mut self, pair: u64, name: &T) {
        self.0.entry(pair).or_default().push(name.clone());
    }

    fn remove(&mut self, pair: u64, name: &T) {
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

    /// Moves the entries of the object `name` from the pairs `old` to `new`.
    fn replace(&mut self, name: &T, old: &[u64], new: &[u64]) {
        old.iter().filter(|pair| !new.contains(pair)).for_each(|pair| self.remove(*pair, name));
        new.iter().filter(|pair| !old.contains(pair)).for_each(|pair| self.add(*pair, name));
    }
}

/// The key of a label pair in a namespace.
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
    /// Number of dependents by [`owner`]. Two owners with the same hash only cause a number that is too high.
    dependents: FxHashMap<u64, u32>,
    /// ReplicaSets by each of their labels, and by their owner.
    pub(super) replica_sets: ByLabel,
    /// Pods by their owner, if their names do not start with its name: those that a controller adopted.
    pub(super) adopted: ByLabel,
    /// Workloads whose pods are selected, by the first pair of their selector.
    pub(super) workloads: ByLabel<(Kind, Name)>,
    /// Objects that keep pods away from nodes.
    pub(super) repelling: Repelling,
}

/// The objects whose constraints keep other pods away from nodes. There are usually few.
#[derive(Default)]
pub(super) struct Repelling {
    /// Pods on nodes with required anti-affinity.
    pub(super) anti_affinity: BTreeSet<Key>,
    /// Pods on nodes with host ports.
    pub(super) host_ports: BTreeSet<Key>,
    /// Volumes with a node affinity.
    pub(super) volumes: BTreeSet<Key>,
}

impl Repelling {
    fn update(&mut self, object: &Object, exists: bool) {
        let mut enter = |set: fn(&mut Repelling) -> &mut BTreeSet<Key>, member: bool| {
            let set = set(self);
            if member {
                set.insert(object.key());
            } else if !set.is_empty() {
                set.remove(&object.key());
            }
        };
        match object {
            Object::Pod(pod) => {
                let constraints = pod.spec.shared.constraints.as_ref();
                let placed =
                    constraints.filter(|_| exists && !pod.spec.node_name.is_empty() && !pod.is_terminal());
                enter(|all| &mut all.anti_affinity, placed.is_some_and(|all| !all.anti_affinity.is_empty()));
                enter(|all| &mut all.host_ports, placed.is_some_and(|all| !all.host_ports.is_empty()));
            }
            Object::PersistentVolume(volume) => {
                enter(|all| &mut all.volumes, exists && volume.spec.node_affinity.required.is_some());
            }
            _ => {}
        }
    }
}

/// Maximum length of the base of a generated name, including its hyphen (apiserver, `MaxGeneratedNameLength`).
const GENERATED_BASE_MAX: usize = 58;

/// The prefix of the names of pods that the workload called `name` creates: `NAME-`, cut.
pub(super) fn pod_prefix(name: &str) -> Name {
    match name.get(..GENERATED_BASE_MAX) {
        Some(cut) => cut.into(),
        None => arcstr::format!("{name}-"),
    }
}

/// Whether the name `pod` starts with the [`pod_prefix`] of `workload`.
fn is_named_by(pod: &str, workload: &str) -> bool {
    match workload.get(..GENERATED_BASE_MAX) {
        Some(cut) => pod.starts_with(cut),
        None => pod.strip_prefix(workload).is_some_and(|rest| rest.starts_with('-')),
    }
}

/// The key of the owner of an object in a namespace.
pub(super) fn owner(namespace: &str, kind: Kind, name: &str) -> u64 {
    FxBuildHasher.hash_one((namespace, kind, name))
}

/// The key of a pod whose name does not start with its owner's.
fn adopter(pod: &ObjectMeta) -> Option<u64> {
    let owner = pod.controller()?;
    (!is_named_by(&pod.name, &owner.name)).then(|| self::owner(&pod.namespace, owner.kind, &owner.name))
}

impl Indexes {
    /// Releases memory that a burst of new objects took beyond their size.
    pub(super) fn pack(&mut self) {
        [&mut self.pods, &mut self.services, &mut self.slices, &mut self.replica_sets, &mut self.adopted]
            .into_iter()
            .for_each(ByLabel::pack);
        self.workloads.pack();
        self.dependents.shrink_to_fit();
    }

    /// Number of objects that refer to the one at `owner` as an owner, or slightly more.
    pub(super) fn dependents_count(&self, owner: &Key) -> usize {
        self.dependents
            .get(&self::owner(&owner.namespace, owner.kind, &owner.name))
            .map_or(0, |count| *count as usize)
    }

    fn update_dependents(&mut self, before: Option<&Object>, after: Option<&Object>) {
        let links = |object: Option<&Object>| {
            object.map(|object| object.metadata().links.clone()).unwrap_or_default()
        };
        let (old, new) = (links(before), links(after));
        if old.is_shared_with(&new) {
            return;
        }
        let Some(namespace) = after.or(before).map(|object| object.metadata().namespace.clone()) else {
            return;
        };
        let hash = |owner: &Owner| {
            let namespace = if owner.kind.is_namespaced() { namespace.as_str() } else { "" };
            self::owner(namespace, owner.kind, &owner.name)
        };
        for owner in new.owners() {
            *self.dependents.entry(hash(owner)).or_default() += 1;
        }
        for owner in old.owners() {
            if let Entry::Occupied(mut entry) = self.dependents.entry(hash(owner)) {
                *entry.get_mut() -= 1;
                if *entry.get() == 0 {
                    entry.remove();
                }
            }
        }
    }

    /// Updates the indexes after a change of one object.
    pub(super) fn update(&mut self, before: Option<&Object>, after: Option<&Object>) {
        let Some(object) = after.or(before) else { return };
        self.update_dependents(before, after);
        self.repelling.update(object, after.is_some());
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
                let adopter = |object: Option<&Object>| object.and_then(|o| adopter(o.metadata()));
                let (old, new) = (adopter(before), adopter(after));
                if old != new {
                    self.adopted.replace(name, old.as_slice(), new.as_slice());
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
            Object::ReplicaSet(_) => {
                let owner = |object: Option<&Object>| {
                    let owner = object?.metadata().controller()?;
                    Some(self::owner(namespace, owner.kind, &owner.name))
                };
                let all = |object: Option<&Object>| -> SmallVec<[u64; 8]> {
                    of(object).into_iter().chain(owner(object)).collect()
                };
                self.replica_sets.replace(name, &all(before), &all(after));
            }
            _ => {}
        }
        self.update_selector(before, after);
    }

    /// Updates the index of workloads after a change of a selector.
    fn update_selector(&mut self, before: Option<&Object>, after: Option<&Object>) {
        let first = |object: Option<&Object>| {
            let object = object?;
            let namespace = &object.metadata().namespace;
            let labels = match object {
                Object::StatefulSet(set) => {
                    set.spec.selector.as_ref().map_or(&set.spec.template.metadata.labels, |s| &s.match_labels)
                }
                Object::ReplicaSet(set)
                | Object::ReplicationController(set)
                | Object::DaemonSet(set)
                | Object::Job(set) => {
                    set.spec.selector.as_ref().map_or(&set.spec.template.metadata.labels, |s| &s.match_labels)
                }
                _ => return None,
            };
            // A selector without `matchLabels` may match any labels.
            Some(first_pair(namespace, labels).unwrap_or_else(|| pair(namespace, "", "")))
        };
        let (old, new) = (first(before), first(after));
        if old != new
            && let Some(object) = after.or(before)
        {
            let entry = (object.kind(), object.metadata().name.clone());
            self.workloads.replace(&entry, old.as_slice(), new.as_slice());
        }
    }
}

/// The pairs of a label set that are indexed. Pairs that are unique to a pod would cost more than they save: a pod can
/// be found by its name.
pub(super) fn indexed(labels: &Labels) -> impl Iterator<Item = (&str, &str)> {
    labels.iter().filter(|(key, _)| !matches!(*key, POD_NAME_LABEL | POD_INDEX_LABEL | REVISION_LABEL))
}

fn first_pair(namespace: &str, selector: &Labels) -> Option<u64> {
    selector.iter().next().map(|(key, value)| pair(namespace, key, value))
}
