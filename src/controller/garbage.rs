//! The garbage collector and the namespace controller: what goes when that goes which it depends on.

use std::sync::Arc;

use super::{Context, Outcome, claims, pods};
use crate::store::{
    Change, ControllerRevision, Key, Kind, Name, Object, PersistentVolumeClaim, Pod, Workload,
};

/// Deletes what the object at `owner`, which is gone, was the owner of.
pub(super) fn collect(context: Context<'_>, owner: &Key) -> Outcome {
    let mut outcome = Outcome::default();
    if context.store.object(owner).is_some() {
        return outcome;
    }
    // Names of what a workload makes begin with its own.
    let prefix = format!("{}-", owner.name);
    match owner.kind {
        Kind::Deployment => {
            let sets = context.store.list_prefixed::<Workload>(Kind::ReplicaSet, &owner.namespace, &prefix);
            let owned = sets.map(|set| &set.metadata).filter(|meta| meta.is_owned_by(owner));
            outcome.changes.extend(owned.map(|meta| Change::Delete(meta.key(Kind::ReplicaSet))));
        }
        Kind::Pod => {}
        _ => {
            let all = pods::of_workload(context.store, owner);
            // Those that nobody owns were never its own.
            let owned = all.filter(|pod| pod.metadata.controller().is_some() && !pod.is_terminating());
            outcome.changes.extend(owned.map(|pod| pods::delete(pod, context.now)));
            let kind = Kind::ControllerRevision;
            let all = context.store.list_prefixed::<ControllerRevision>(kind, &owner.namespace, &prefix);
            let owned = all.map(|revision| &revision.metadata).filter(|meta| meta.is_owned_by(owner));
            outcome.changes.extend(owned.map(|meta| Change::Delete(meta.key(kind))));
        }
    }
    if matches!(owner.kind, Kind::Pod | Kind::StatefulSet) {
        let all =
            context.store.list_in::<PersistentVolumeClaim>(Kind::PersistentVolumeClaim, &owner.namespace);
        let of_owner = |claim: &&Arc<PersistentVolumeClaim>| {
            let meta = &claim.metadata;
            meta.is_owned_by(owner) || meta.deletion_timestamp.is_some()
        };
        outcome.changes.extend(all.filter(of_owner).map(|claim| claims::delete(context, claim)));
    }
    outcome
}

/// Deletes everything in a namespace that terminates, and at last the namespace.
pub(super) fn empty(context: Context<'_>, namespace: &Name) -> Outcome {
    let mut outcome = Outcome::default();
    let key = Key::new(Kind::Namespace, "", namespace.clone());
    let terminates = context.store.object(&key).is_some_and(|o| o.metadata().deletion_timestamp.is_some());
    if !terminates {
        return outcome;
    }
    for kind in Kind::ALL.into_iter().filter(|kind| kind.is_namespaced()) {
        for stored in context.store.all_stored(kind, Some(namespace)) {
            outcome.changes.extend(match &stored.object {
                Object::Pod(pod) if pod.is_terminating() => None,
                Object::Pod(pod) => Some(pods::delete(pod, context.now)),
                Object::PersistentVolumeClaim(claim) => Some(claims::delete(context, claim)),
                // Made of pods and Services, and goes with them.
                Object::EndpointSlice(slice) if slice.metadata.synthesized => None,
                object => Some(Change::Delete(object.key())),
            });
        }
    }
    let pods_left = context.store.list_in::<Pod>(Kind::Pod, namespace).next().is_some();
    if outcome.changes.is_empty() && !pods_left {
        outcome.changes.push(Change::Delete(key));
    }
    outcome
}
