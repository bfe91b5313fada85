//! Takes the place of `kubectl apply --prune`: computes the changes from the previous content of the manifests to the
//! current one. Objects that are in neither are not changed.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::Bound;

use super::ControlPlane;
use crate::addresses::Range;
use crate::controller::{DEFAULT_NODES, MAX_NODES, nodes_needed, with_defaults};
use crate::reconcile::{Deletion, Propagation, delete};
use crate::store::{Change, Key, Kind, Object, Objects, PodStatus, Resource};

impl ControlPlane {
    /// Applies the manifests: objects that were in the last ones and are not in these are deleted, objects in neither
    /// stay. The first call makes everything visible at once; later ones step by step.
    ///
    /// Returns whether anything visible changed.
    pub fn apply(&mut self, input: &Objects) -> bool {
        let gone = self.desired.iter().flat_map(Desired::keys).filter(|key| !input.contains_key(key));
        let gone: Vec<_> = gone.cloned().map(Change::Delete).collect();
        let puts = input.values().cloned().map(Change::Put);
        self.apply_changes(gone.into_iter().chain(puts))
    }

    /// Like [`apply`](Self::apply) of the last manifests with these `changes`.
    pub fn apply_changes(&mut self, changes: impl IntoIterator<Item = Change>) -> bool {
        self.apply_checked(changes, |_, _| Vec::new()).0
    }

    /// Like [`apply_changes`](Self::apply_changes). An object whose update the API would refuse, for the reasons that
    /// `judge` returns, is deleted and created again like with `kubectl replace --force`: the result of files must not
    /// depend on when they are read. Returns those objects too. An object that finalizers hold is not changed.
    pub fn apply_checked(
        &mut self,
        changes: impl IntoIterator<Item = Change>,
        judge: impl Fn(&Object, &Object) -> Vec<String>,
    ) -> (bool, Vec<Replaced>) {
        let mut replaced = Vec::new();
        let serial = self.serial();
        let first = self.desired.is_none();
        let fixed_nodes = self.nodes;
        let desired = self.desired.get_or_insert_with(|| Desired { fixed_nodes, ..Desired::default() });
        let changed = desired.amend(changes, &self.service_range);
        if first {
            desired.pack();
        }
        self.store.set_time(self.now);
        let (mut gone, mut put) = (Vec::new(), Vec::new());
        for (key, before) in changed {
            match desired.all.get(&key) {
                Some(wanted) if before.as_ref() == Some(wanted) => {}
                Some(wanted) => put.push((before, wanted.clone())),
                // An object that was not in the last manifests must not be deleted.
                None => gone.extend(before.map(|_| key)),
            }
        }
        for key in gone {
            // `kubectl apply --prune` deletes in the background; grace periods of pods are not awaited.
            let deletion = Deletion { grace: Some(0), propagation: Some(Propagation::Background) };
            let object = self.store.object(&key);
            if let Some(change) = object.and_then(|object| delete(&self.store, object, self.now, deletion)) {
                self.store.apply(change);
            }
        }
        for (before, wanted) in put {
            let live = before.and_then(|before| Some((before, self.store.object(&wanted.key())?)));
            let object = match live {
                Some((before, live)) => {
                    let mut object = applied(&before, &wanted, live);
                    keep_links(&before, live, &mut object);
                    object
                }
                None => wanted,
            };
            let there = self.store.object(&object.key());
            let reasons = there.map(|there| judge(there, &object)).unwrap_or_default();
            if let (false, Some(there)) = (reasons.is_empty(), there) {
                let (key, held) = (object.key(), !there.metadata().links.finalizers().is_empty());
                if !held {
                    self.store.apply(Change::Delete(key.clone()));
                    self.store.apply(Change::Put(fresh(object)));
                }
                replaced.push(Replaced { key, reasons, held });
                continue;
            }
            if has_recorded_state(&object) {
                self.store.apply(Change::Put(object))
            } else {
                self.put(object)
            };
        }
        self.reconcile_until_idle(first);
        (serial != self.serial() || first, replaced)
    }
}

/// An object whose update by a manifest the API would have refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// Its key.
    pub key: Key,
    /// The API's reasons, one for each field.
    pub reasons: Vec<String>,
    /// Whether finalizers hold the object, which is therefore unchanged.
    pub held: bool,
}

/// `object` without links to the state of its predecessor.
fn fresh(mut object: Object) -> Object {
    let meta = object.metadata_mut();
    meta.deletion_timestamp = None;
    meta.deletion_grace_period_seconds = 0;
    object
}

impl ControlPlane {
    /// Number of default nodes, if required anti-affinity of the workloads needs more than the default number.
    pub fn grown_nodes(&self) -> Option<u8> {
        let nodes = self.desired.as_ref()?.nodes();
        let by_itself = |key: &Key| key.kind == Kind::Node;
        let grown = self.nodes.is_none() && nodes > DEFAULT_NODES;
        (grown && self.desired.as_ref()?.own.iter().any(by_itself)).then_some(nodes)
    }
}

/// The objects of the last manifests, with the default objects of a cluster.
#[derive(Default)]
pub(super) struct Desired {
    all: Objects,
    /// The default objects among them.
    own: BTreeSet<Key>,
    /// Number of default nodes, if it was configured.
    fixed_nodes: Option<u8>,
    /// Maximum number of nodes that a workload has needed.
    nodes_needed: u32,
}

impl Desired {
    /// Number of nodes if no manifest contains one: more than the default if required anti-affinity by hostname would
    /// leave pods without one.
    pub(super) fn nodes(&self) -> u8 {
        let needed = self.nodes_needed.min(MAX_NODES.into()) as u8;
        self.fixed_nodes.unwrap_or(DEFAULT_NODES.max(needed))
    }

    /// The keys of the objects in manifests.
    fn keys(&self) -> impl Iterator<Item = &Key> {
        self.all.keys().filter(|key| !self.own.contains(key))
    }

    /// Releases the memory in half-empty nodes of a map that grew object by object.
    fn pack(&mut self) {
        self.all = std::mem::take(&mut self.all).into_iter().collect();
    }

    /// Applies `changes` of the manifests. Returns the keys that may differ with their former objects, in order.
    fn amend(
        &mut self,
        changes: impl IntoIterator<Item = Change>,
        service_range: &Range,
    ) -> Vec<(Key, Option<Object>)> {
        let mut changed = Vec::new();
        // The default objects depend on which other objects exist, not on their content.
        let mut others = self.all.is_empty();
        let nodes = self.nodes();
        for change in changes {
            let (key, before) = match change {
                Change::Put(object) => {
                    let key = object.key();
                    others |= self.own.remove(&key);
                    self.nodes_needed = self.nodes_needed.max(nodes_needed(&object));
                    let before = self.all.insert(key.clone(), object);
                    (key, before)
                }
                Change::Delete(key) if self.own.contains(&key) => continue,
                Change::Delete(key) => {
                    let before = self.all.remove(&key);
                    others = true;
                    (key, before)
                }
            };
            others |= before.is_none();
            changed.push((key, before));
        }
        if others || nodes != self.nodes() {
            self.complete(service_range, &mut changed);
        }
        // Of several changes of a key, the first has its former object.
        changed.sort_by(|(a, _), (b, _)| self.order(a, b));
        changed.dedup_by(|(later, _), (first, _)| later == first);
        changed
    }

    /// The order in which objects are created: by key, but faults in the order of the files, because the first created
    /// are matched first. Deleted faults come before them: the order is total, as sorting requires.
    fn order(&self, a: &Key, b: &Key) -> Ordering {
        let read_at = |key: &Key| match self.all.get(key) {
            Some(Object::Fault(fault)) => Some(&fault.read_at),
            _ => None,
        };
        let as_read = if a.kind == Kind::Fault && b.kind == Kind::Fault {
            match (read_at(a), read_at(b)) {
                (Some(a), Some(b)) => a.order(b),
                (a, b) => a.is_some().cmp(&b.is_some()),
            }
        } else {
            Ordering::Equal
        };
        a.kind.cmp(&b.kind).then(as_read).then_with(|| a.cmp(b))
    }

    /// Adds the default objects that are needed now, and removes the others.
    fn complete(&mut self, service_range: &Range, changed: &mut Vec<(Key, Option<Object>)>) {
        let asked = self.outline();
        let mut own = with_defaults(&asked, service_range, self.nodes());
        own.retain(|key, _| {
            !asked.contains_key(key) && (self.own.contains(key) || !self.all.contains_key(key))
        });
        for key in &self.own {
            if !own.contains_key(key) {
                changed.push((key.clone(), self.all.remove(key)));
            }
        }
        self.own = own.keys().cloned().collect();
        for (key, object) in own {
            if !self.all.contains_key(&key) {
                self.all.insert(key.clone(), object);
                changed.push((key, None));
            }
        }
    }

    /// The part of the objects that determines the default objects: one of each kind in each namespace, and those that
    /// replace default objects.
    fn outline(&self) -> Objects {
        let mut outline = Objects::new();
        let mut from = Bound::Unbounded;
        while let Some((key, _)) = self.all.range((from, Bound::Unbounded)).next() {
            // The first name after all of this kind in this namespace.
            from = Bound::Included(Key::new(key.kind, format!("{}\0", key.namespace), ""));
            let all = self
                .all
                .range(key..)
                .take_while(|(other, _)| other.kind == key.kind && other.namespace == key.namespace);
            let mut asked = all.filter(|(key, _)| !self.own.contains(key));
            outline.extend(asked.next().map(|(key, object)| (key.clone(), object.clone())));
        }
        for (namespace, name) in [("default", "kubernetes"), ("kube-system", "kube-dns")] {
            let key = Key::new(Kind::Service, namespace, name);
            let asked = self.all.get(&key).filter(|_| !self.own.contains(&key));
            outline.extend(asked.map(|object| (key.clone(), object.clone())));
        }
        outline
    }
}

/// Whether the object is from a snapshot that contains its status.
pub(super) fn has_recorded_state(object: &Object) -> bool {
    crate::store::Pod::of(object).map(|pod| &pod.status).is_some_and(PodStatus::is_recorded)
}

/// Copies the owners and finalizers that `live` has got since into `object`, a new version of `before`. Those that the
/// manifest has changed itself are kept.
fn keep_links(before: &Object, live: &Object, object: &mut Object) {
    if object.metadata().links == before.metadata().links {
        object.metadata_mut().links = live.metadata().links.clone();
    }
}

/// Merges the change of a manifest from `last` to `wanted` into `live`.
fn applied(last: &Object, wanted: &Object, live: &Object) -> Object {
    let given = |object: &Object| object.metadata().given.clone();
    let (Some(before), Some(now), Some(there)) = (given(last), given(wanted), given(live)) else {
        return wanted.clone();
    };
    if there == before {
        return wanted.clone();
    }
    let mut merged = there.json().clone();
    let kind = wanted.kind();
    crate::merge::apply(&kind.api_version(), kind.as_str(), Some(before.json()), now.json(), &mut merged);
    if kind.is_namespaced() {
        // The namespace may be omitted in a manifest.
        merged["metadata"]["namespace"] = wanted.metadata().namespace.as_str().into();
    }
    match crate::manifest::read_object(kind, &merged) {
        Ok(mut object) => {
            object.keep(merged.into());
            object
        }
        // The merge is invalid: fall back to the manifest.
        Err(_) => wanted.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::read_bytes;

    /// Objects by kind: `service:db/a`, `namespace:/db`, `node:/n`, each with a label for its version.
    fn objects(names: &str, version: &str) -> Objects {
        let object = |text: &str| {
            let (kind, name) = text.split_once(':').unwrap();
            let (namespace, name) = name.split_once('/').unwrap();
            let kind = match kind {
                "service" => "Service",
                "namespace" => "Namespace",
                _ => "Node",
            };
            let text = format!(
                "{{apiVersion: v1, kind: {kind}, metadata: {{name: {name}, namespace: '{namespace}', labels: {{version: {version}}}}}, spec: {{ports: [{{port: 1}}]}}}}\n"
            );
            let manifest = read_bytes("a.yaml", text.into());
            assert!(manifest.problems.is_empty(), "{:?}", manifest.problems);
            let object = manifest.objects[0].object.clone();
            (object.key(), object)
        };
        names.split_whitespace().map(object).collect()
    }

    #[test]
    fn default_objects_are_complete_after_every_change() {
        // The objects in the manifests, one set after the other.
        let table: &[&[&str]] = &[
            &["", "service:default/a", ""],
            &["service:db/a service:db/b", "service:db/a", "service:web/a", ""],
            &["service:default/kubernetes", "", "service:default/kubernetes service:db/a", "service:db/a"],
            &["service:kube-system/kube-dns", "service:db/a", "service:kube-system/kube-dns"],
            &["node:/one", "node:/one node:/two", "", "node:/node-1", "node:/node-2", ""],
            &["service:db/a", "namespace:/db service:db/a", "service:db/a", "namespace:/db", ""],
            &["namespace:/default namespace:/x", "", "namespace:/kube-system"],
            &["service:a/a service:b/a service:c/a", "service:a/a service:c/a", "service:b/b"],
        ];
        for steps in table {
            let mut desired = Desired::default();
            let mut last = Objects::new();
            for (version, names) in steps.iter().enumerate() {
                let input = objects(names, &format!("v{}", version % 2));
                let gone = last.keys().filter(|key| !input.contains_key(key)).cloned().map(Change::Delete);
                let changes = gone.chain(input.values().cloned().map(Change::Put));
                let before = desired.all.clone();
                let changed = desired.amend(changes, &Range::default_services());
                assert_eq!(
                    desired.all,
                    with_defaults(&input, &Range::default_services(), DEFAULT_NODES),
                    "{names} of {steps:?}"
                );
                // All differences are reported, with the former objects.
                let reported: Objects =
                    changed.iter().filter_map(|(k, o)| Some((k.clone(), o.clone()?))).collect();
                let keys: BTreeSet<&Key> = before.keys().chain(desired.all.keys()).collect();
                for key in keys.into_iter().filter(|key| before.get(key) != desired.all.get(key)) {
                    assert!(changed.iter().any(|(changed, _)| changed == key), "{key} of {steps:?}");
                    assert_eq!(reported.get(key), before.get(key), "{key} of {steps:?}");
                }
                last = input;
            }
        }
    }

    #[test]
    fn objects_in_no_manifest_are_kept() {
        let mut cluster = ControlPlane::new(crate::Settings::default());
        cluster.apply(&objects("service:db/a", "v0"));
        let by_hand = objects("service:db/b", "v0");
        cluster.request(by_hand.values().cloned().map(Change::Put).collect());
        let key = by_hand.keys().next().unwrap();
        cluster.apply_changes([Change::Delete(key.clone())]);
        assert!(cluster.store().object(key).is_some());
        let taken_over = by_hand.values().cloned().map(Change::Put);
        cluster.apply_changes(taken_over);
        cluster.apply_changes([Change::Delete(key.clone())]);
        assert!(cluster.store().object(key).is_none());
    }

    /// The names and the file order faults differently, and deleted ones are between them by name: sorting panics if
    /// the order is not total.
    #[test]
    fn created_and_deleted_faults_have_a_total_order() {
        let fault = |number: usize| {
            format!(
                "---\napiVersion: clusterlocal.dev/v1\nkind: Fault\nmetadata: {{name: f{number:03}}}\nspec: {{actions: [drop]}}\n"
            )
        };
        let read = |numbers: &mut dyn Iterator<Item = usize>| {
            let manifest = read_bytes("f.yaml", numbers.map(fault).collect::<String>().into());
            assert!(manifest.problems.is_empty(), "{:?}", manifest.problems);
            manifest.objects.into_iter().map(|read| (read.object.key(), read.object)).collect::<Objects>()
        };
        let mut cluster = ControlPlane::new(crate::Settings::default());
        cluster.apply(&read(&mut (0..200)));
        let is_gone = |number: &usize| number.is_multiple_of(3);
        let mut kept = read(&mut (0..200).map(|number| number * 77 % 200).filter(|number| !is_gone(number)));
        let changes = (0..200).map(|number| number * 83 % 200).map(|number| {
            let key = Key::new(Kind::Fault, "", format!("f{number:03}"));
            kept.remove(&key).map_or(Change::Delete(key), Change::Put)
        });
        cluster.apply_changes(changes.collect::<Vec<_>>());
        let left = cluster.store().list::<crate::store::Fault>(Kind::Fault).count();
        assert_eq!(left, (0..200).filter(|number| !is_gone(number)).count());
    }

    /// The result must not depend on the feature `api`: features are unified over the dependency graph.
    #[test]
    fn fields_of_other_writers_stay_when_a_manifest_is_applied_again() {
        let service = |fields: &str| {
            let text =
                format!("{{apiVersion: v1, kind: Service, metadata: {{name: db}}, spec: {{{fields}}}}}\n");
            let manifest = read_bytes("db.yaml", text.into());
            assert!(manifest.problems.is_empty(), "{:?}", manifest.problems);
            manifest.objects[0].object.clone()
        };
        let applied_again = |object: Object| Objects::from([(object.key(), object)]);
        let mut cluster = ControlPlane::new(crate::Settings::default());
        cluster.apply(&applied_again(service("ports: [{port: 1}]")));
        cluster.request(vec![Change::Put(service("ports: [{port: 1}], publishNotReadyAddresses: true"))]);
        cluster.apply(&applied_again(service("ports: [{port: 2}]")));
        let found = cluster.store().get::<crate::store::Service>(Kind::Service, "default", "db").expect("it");
        let ports: Vec<_> = found.spec.ports.iter().map(|port| port.port).collect();
        assert_eq!((ports.len(), found.spec.publish_not_ready_addresses), (1, true));
        assert_eq!(found.metadata.given.as_ref().expect("its JSON").json()["spec"]["ports"][0]["port"], 2);
    }
}
