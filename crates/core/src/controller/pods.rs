//! Common parts of all controllers that create pods: a pod from a template, the pods of a workload, and their deletion.

use std::sync::Arc;

use crate::admission::{classes, limits};
use crate::reconcile::{Context, delete_pod};
use crate::store::{
    Change, Key, Kind, Labels, Links, Name, ObjectMeta, Owner, Pod, PodSpec, PodStatus, PodTemplate,
    SharedSpec, Store, Stored, Time, ordinal, pinned_ip_annotation,
};

/// Creates the pods of one template, which share their common parts.
pub(super) struct PodBuilder<'a> {
    workload: &'a ObjectMeta,
    links: Links,
    pub(super) labels: Labels,
    annotations: Labels,
    pub(super) spec: PodSpec,
}

impl<'a> PodBuilder<'a> {
    /// For pods of `workload`, an object of `kind`, created from `template`.
    pub(super) fn new(
        store: &Store,
        template: &Arc<PodTemplate>,
        workload: &'a ObjectMeta,
        kind: Kind,
    ) -> Self {
        let template = classes::with_priority(store, template);
        let template = &limits::with_defaults(store, &workload.namespace, &template);
        let uid = store.stored(&workload.key(kind)).map(Stored::uid);
        let owner = Owner::controller(kind, workload.name.clone(), uid);
        let mut links = Links::of_controller(owner, format!("{}-", workload.name));
        if !template.metadata.links.finalizers().is_empty() {
            links.set_finalizers(template.metadata.links.finalizers());
        }
        let shared =
            SharedSpec { template: Some(Arc::clone(template)), ..SharedSpec::clone(&template.spec.shared) };
        PodBuilder {
            workload,
            links,
            labels: template.metadata.labels.clone(),
            annotations: template.metadata.annotations.clone(),
            spec: PodSpec { node_name: Name::default(), shared: Arc::new(shared), ..template.spec.clone() },
        }
    }

    /// The part of the spec that all pods share.
    pub(super) fn shared(&mut self) -> &mut SharedSpec {
        Arc::make_mut(&mut self.spec.shared)
    }

    /// Creates the pod called `name`.
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

    /// The template's annotations, and those with the addresses that the workload pins for the pod.
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

/// The pods of the workload at `key`, by name: those that it owns, and those without an owner that a StatefulSet would
/// adopt. Their names start with its own.
pub(super) fn of_workload<'s>(store: &'s Store, key: &'s Key) -> impl Iterator<Item = &'s Arc<Pod>> {
    let adopted = move |pod: &Pod| {
        key.kind == Kind::StatefulSet && ordinal(&pod.metadata.name).is_some_and(|(set, _)| *set == key.name)
    };
    named_by(store, key)
        .filter(move |pod| pod.metadata.is_owned_by(key) || (pod.metadata.links.is_orphan() && adopted(pod)))
}

/// Whether the pods of the workload at `key` are from a snapshot that no client has changed yet: they are
/// authoritative, and none are created.
pub(super) fn are_snapshot_owned(context: Context<'_>, key: &Key) -> bool {
    !context.driven && of_workload(context.store, key).any(|pod| pod.status.is_recorded())
}

/// The pods whose names start with that of the workload at `key` and a hyphen, by name.
pub(super) fn named_by<'s>(store: &'s Store, key: &Key) -> impl Iterator<Item = &'s Arc<Pod>> + use<'s> {
    store.list_prefixed::<Pod>(Kind::Pod, &key.namespace, &format!("{}-", key.name))
}

/// The change that deletes a pod with the grace period of its spec.
pub(super) fn delete(pod: &Arc<Pod>, now: Time) -> Change {
    delete_pod(pod, now, pod.spec.grace())
}
