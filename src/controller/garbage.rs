//! The garbage collector and the namespace controller: what goes when that goes which it depends on.

use std::sync::Arc;

use super::{Context, Outcome, claims, pods};
use crate::store::{
    Change, ControllerRevision, Key, Kind, Name, Object, PersistentVolumeClaim, Pod, Resource, Workload,
};

/// Deletes what the object at `owner`, which is gone, was the owner of.
pub(super) fn collect(context: Context<'_>, owner: &Key) -> Outcome {
    let mut outcome = Outcome::default();
    if context.store.object(owner).is_some() {
        return outcome;
    }
    match owner.kind {
        Kind::Deployment => {
            for set in dependants::<Workload>(context, owner, Kind::ReplicaSet) {
                outcome.changes.push(Change::Delete(set));
            }
        }
        Kind::Pod => {}
        _ => {
            let all = pods::of_workload(context.store, owner);
            // Those that nobody owns were never its own.
            let owned = all.filter(|pod| pod.metadata.owner.is_some() && !pod.is_terminating());
            outcome.changes.extend(owned.map(|pod| pods::delete(pod, context.now)));
            for revision in dependants::<ControllerRevision>(context, owner, Kind::ControllerRevision) {
                outcome.changes.push(Change::Delete(revision));
            }
        }
    }
    if matches!(owner.kind, Kind::Pod | Kind::StatefulSet) {
        let all =
            context.store.list_in::<PersistentVolumeClaim>(Kind::PersistentVolumeClaim, &owner.namespace);
        let of_owner = |claim: &&Arc<PersistentVolumeClaim>| {
            let meta = &claim.metadata;
            meta.owner.as_ref().is_some_and(|of| of.is(owner)) || meta.deletion_timestamp.is_some()
        };
        outcome.changes.extend(all.filter(of_owner).map(|claim| claims::delete(context, claim)));
    }
    outcome
}

/// The keys of the objects of a kind that `owner` owns. Their names begin with its own.
fn dependants<'a, T: Resource + Dependant + 'a>(
    context: Context<'a>,
    owner: &'a Key,
    kind: Kind,
) -> impl Iterator<Item = Key> + 'a {
    let prefix = format!("{}-", owner.name);
    let all =
        context.store.list_prefixed::<T>(kind, &owner.namespace, &prefix).map(|object| object.metadata());
    all.filter(|meta| meta.owner.as_ref().is_some_and(|of| of.is(owner)))
        .map(move |meta| Key::new(kind, meta.namespace.clone(), meta.name.clone()))
}

/// What has metadata.
trait Dependant {
    fn metadata(&self) -> &crate::store::ObjectMeta;
}

impl Dependant for Workload {
    fn metadata(&self) -> &crate::store::ObjectMeta {
        &self.metadata
    }
}

impl Dependant for ControllerRevision {
    fn metadata(&self) -> &crate::store::ObjectMeta {
        &self.metadata
    }
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
