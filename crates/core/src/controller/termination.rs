//! The namespace controller (`pkg/controller/namespace`): deletes all objects of a terminating namespace, and finally
//! the namespace. Its status states what remains.

mod conditions;

use std::sync::Arc;
use std::time::Duration;

use crate::reconcile::deletion::{self, Deletion, Propagation};
use crate::reconcile::{Context, SyncResult};
use crate::store::{Change, Key, Kind, NAMESPACE_FINALIZER, Name, Namespace, Object, Stored, Time};

/// The remaining objects of a namespace.
struct Contents<'s> {
    /// The objects that are held after their deletion.
    remaining: Vec<&'s Stored>,
    /// Whether there are pods among them: no other object is deleted before (the feature gate
    /// `OrderedNamespaceDeletion`).
    has_pods: bool,
    /// When the pods without a finalizer should have been removed (estimateGracefulTermination).
    estimate: Option<Time>,
}

/// Syncs a namespace (`namespacedResourcesDeleter.Delete`).
pub(super) fn sync(context: Context<'_>, name: &Name) -> SyncResult {
    let mut result = SyncResult::default();
    let key = Key::new(Kind::Namespace, "", name.clone());
    let found = context.store.get::<Namespace>(Kind::Namespace, "", name);
    let Some(namespace) = found.filter(|namespace| namespace.metadata.deletion_timestamp.is_some()) else {
        return result;
    };
    let finalizers = namespace.spec_finalizers();
    if !finalizers.iter().any(|finalizer| finalizer == NAMESPACE_FINALIZER) {
        return result;
    }
    let contents = delete_contents(context, namespace, &mut result);
    let is_empty = contents.remaining.is_empty() && result.changes.is_empty();
    if let Some(estimate) = contents.estimate {
        result.requeue_at(estimate);
    }
    let conditions = conditions::update(context, namespace, &contents);
    let put = |namespace| Change::Put(Object::Namespace(Arc::new(namespace)));
    if !is_empty {
        result.changes.extend(conditions.map(put));
        return result;
    }
    let mut left = finalizers;
    left.retain(|finalizer| finalizer != NAMESPACE_FINALIZER);
    if left.is_empty() && namespace.metadata.links.finalizers().is_empty() {
        result.changes.push(Change::Delete(key));
        return result;
    }
    let stated = conditions.as_ref().unwrap_or(namespace);
    result.changes.push(put(stated.with_spec_finalizers(&left)));
    result
}

/// Deletes the pods of a namespace, and once none is left all other objects (deleteAllContent).
fn delete_contents<'s>(context: Context<'s>, namespace: &Namespace, result: &mut SyncResult) -> Contents<'s> {
    let name = &namespace.metadata.name;
    let store = context.store;
    let pods: Vec<&Stored> = store.all_stored(Kind::Pod, Some(name)).collect();
    let estimate = estimate(namespace, &pods).filter(|estimate| *estimate > context.now);
    let mut remaining = delete(context, pods.into_iter(), result);
    let has_pods = !remaining.is_empty();
    if !has_pods && result.changes.is_empty() {
        remaining = delete(context, store.all_in(name), result);
    }
    Contents { remaining, has_pods, estimate: estimate.filter(|_| has_pods) }
}

/// Deletes the objects. Returns those that are still held.
fn delete<'s>(
    context: Context<'s>,
    objects: impl Iterator<Item = &'s Stored>,
    result: &mut SyncResult,
) -> Vec<&'s Stored> {
    let deletion = Deletion { grace: None, propagation: Some(Propagation::Background) };
    let mut remaining = Vec::new();
    for stored in objects {
        // The controllers that create slices of pods and Services delete them with those.
        if matches!(&stored.object, Object::EndpointSlice(slice) if slice.metadata.synthesized) {
            continue;
        }
        let change = deletion::delete(context.store, &stored.object, context.now, deletion);
        if !matches!(change, Some(Change::Delete(_))) {
            remaining.push(stored);
        }
        result.changes.extend(change);
    }
    remaining
}

/// The maximum grace period of the pods that have not ended, from the deletion of the namespace on
/// (estimateGracefulTerminationForPods).
fn estimate(namespace: &Namespace, pods: &[&Stored]) -> Option<Time> {
    let running = pods.iter().filter_map(|stored| match &stored.object {
        Object::Pod(pod) if !pod.is_terminal() => Some(pod.spec.grace()),
        _ => None,
    });
    let longest = Duration::from_secs(running.max()?.into());
    Some(namespace.metadata.deletion_timestamp?.after(longest))
}
