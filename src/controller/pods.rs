//! What all controllers that make pods have in common: a pod from a template, whose pods are whose, and how one is
//! deleted.

use std::sync::Arc;

use super::deletion;
#[cfg(feature = "api")]
use super::limits;
use crate::store::{
    Change, Key, Kind, Labels, Links, Name, ObjectMeta, Owner, Pod, PodSpec, PodStatus, PodTemplate,
    SharedSpec, Store, Stored, Time, pinned_ip_annotation,
};

/// What the pods of one template have in common, and share.
pub(super) struct Mould<'a> {
    workload: &'a ObjectMeta,
    links: Links,
    pub(super) labels: Labels,
    annotations: Labels,
    pub(super) spec: PodSpec,
}

impl<'a> Mould<'a> {
    /// For pods of `workload`, which is of `kind`, made from `template`.
    pub(super) fn new(
        store: &Store,
        template: &Arc<PodTemplate>,
        workload: &'a ObjectMeta,
        kind: Kind,
    ) -> Self {
        #[cfg(feature = "api")]
        let template = &limits::with_defaults(store, &workload.namespace, template);
        let uid = store.stored(&workload.key(kind)).map(Stored::uid);
        let owner = Owner::controller(kind, workload.name.clone(), uid);
        let mut links = Links::of_controller(owner, format!("{}-", workload.name));
        if !template.metadata.links.finalizers().is_empty() {
            links.set_finalizers(template.metadata.links.finalizers());
        }
        let shared =
            SharedSpec { template: Some(Arc::clone(template)), ..SharedSpec::clone(&template.spec.shared) };
        Mould {
            workload,
            links,
            labels: template.metadata.labels.clone(),
            annotations: template.metadata.annotations.clone(),
            spec: PodSpec { node_name: Name::default(), shared: Arc::new(shared), ..template.spec.clone() },
        }
    }

    /// The part of the spec that all its pods share.
    pub(super) fn shared(&mut self) -> &mut SharedSpec {
        Arc::make_mut(&mut self.spec.shared)
    }

    /// The pod called `name`.
    pub(super) fn pod(&self, name: Name) -> Pod {
        let metadata = ObjectMeta {
            namespace: self.workload.namespace.clone(),
            labels: self.labels.clone(),
            annotations: self.annotations(&name),
            links: self.links.clone(),
            synthesized: true,
            name,
            ..ObjectMeta::default()
        };
        Pod { metadata, spec: self.spec.clone(), status: PodStatus::default() }
    }

    /// The template's, and the addresses that the workload's pin the pod to.
    fn annotations(&self, pod: &Name) -> Labels {
        let annotations = &self.annotations;
        if self.workload.annotations.is_empty() {
            return annotations.clone();
        }
        let pin = pinned_ip_annotation(pod);
        match self.workload.annotations.written(&pin).cloned() {
            Some(addresses) => annotations.with([(pin, addresses)]),
            None => annotations.clone(),
        }
    }
}

/// The key of a pod.
pub(super) fn key_of(pod: &Pod) -> Key {
    pod.metadata.key(Kind::Pod)
}

/// Whether `name` is `SET-ORDINAL`, and which (stateful_set_utils.go, getParentNameAndOrdinal).
pub(crate) fn ordinal(name: &str) -> Option<(&str, u32)> {
    let digits = name.bytes().rev().take_while(u8::is_ascii_digit).count();
    let (set, ordinal) = name.split_at(name.len() - digits);
    Some((set.strip_suffix('-')?, ordinal.parse().ok()?))
}

/// The name of a pod's workload and the pod's number among its pods.
pub(crate) fn set_of(pod: &Pod) -> Option<(&Name, u32)> {
    let owner = pod.metadata.controller()?;
    Some((&owner.name, ordinal(&pod.metadata.name).map_or(0, |(_, ordinal)| ordinal)))
}

/// The StatefulSet that makes a pod of that name, whether or not there is one.
pub(super) fn set_named_by(pod: &Pod) -> Option<Key> {
    let (set, _) = ordinal(&pod.metadata.name)?;
    Some(Key::new(Kind::StatefulSet, pod.metadata.namespace.clone(), set))
}

/// The workload that manages a pod. One without a controller may be adopted by the StatefulSet that its name is of.
pub(super) fn owner_of(pod: &Pod) -> Option<Key> {
    let namespace = || pod.metadata.namespace.clone();
    match pod.metadata.controller() {
        Some(owner) => Some(Key::new(owner.kind, namespace(), owner.name.clone())),
        None => set_named_by(pod),
    }
}

/// The pods of the workload at `key`, by name: all that it owns, and those without an owner that a StatefulSet would
/// adopt. Their names begin with its own.
pub(super) fn of_workload<'s>(store: &'s Store, key: &'s Key) -> impl Iterator<Item = &'s Arc<Pod>> {
    let adopted = move |pod: &Pod| {
        key.kind == Kind::StatefulSet && ordinal(&pod.metadata.name).is_some_and(|(set, _)| *set == key.name)
    };
    named_by(store, key)
        .filter(move |pod| pod.metadata.is_owned_by(key) || (pod.metadata.links.is_orphan() && adopted(pod)))
}

/// The pods whose names begin with that of the workload at `key` and a hyphen, by name.
pub(super) fn named_by<'s>(store: &'s Store, key: &Key) -> impl Iterator<Item = &'s Arc<Pod>> + use<'s> {
    store.list_prefixed::<Pod>(Kind::Pod, &key.namespace, &format!("{}-", key.name))
}

/// The change that deletes a pod, which has as much time to stop as its spec says.
pub(super) fn delete(pod: &Arc<Pod>, now: Time) -> Change {
    deletion::delete_pod(pod, now, pod.spec.grace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinals_of_names() {
        let table = [
            ("db-0", Some(("db", 0))),
            ("my-db-12", Some(("my-db", 12))),
            ("db-x", None),
            ("db", None),
            ("db-", None),
            ("db-99999999999", None),
        ];
        for (name, expected) in table {
            assert_eq!(ordinal(name), expected, "{name}");
        }
    }
}
