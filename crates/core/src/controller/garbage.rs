//! The garbage collector (`pkg/controller/garbagecollector`): deletes objects whose owners have been deleted.

use crate::reconcile::deletion::{self, Deletion, Propagation};
use crate::reconcile::{Context, SyncResult};
use crate::store::{Change, FOREGROUND_FINALIZER, Key, Kind, ORPHAN_FINALIZER, Object, Owner, Store, Stored};

/// Reporting component of its Events.
const COMPONENT: &str = "garbage-collector-controller";

/// Processes the dependents of the object at `owner`, which has been or is being deleted, according to its propagation
/// policy.
pub(super) fn collect(context: Context<'_>, owner: &Key) -> SyncResult {
    let mut result = SyncResult::default();
    let dependents = dependents(context.store, owner);
    let Some(stored) = context.store.stored(owner) else {
        for dependent in dependents {
            result.changes.extend(attempt_to_delete(context, dependent));
        }
        return result;
    };
    let meta = stored.object.metadata();
    if deletion::is_orphaning(meta) {
        for dependent in dependents {
            let mut left = dependent.object.clone();
            left.metadata_mut().links.remove_owners(|other| other.is(owner));
            result.changes.push(deletion::released(context.store, left));
        }
        result.changes.push(without_finalizer(context.store, &stored.object, ORPHAN_FINALIZER));
    } else if deletion::is_foreground(meta) {
        let blocks = |other: &Owner| other.is(owner) && other.has_uid(stored.uid()) && other.blocks_deletion;
        let blocking = |dependent: &&Stored| dependent.object.metadata().links.owners().iter().any(blocks);
        if !dependents.iter().any(blocking) {
            result.changes.push(without_finalizer(context.store, &stored.object, FOREGROUND_FINALIZER));
        }
        for dependent in dependents {
            result.changes.extend(attempt_to_delete(context, dependent));
        }
    } else {
        // Objects may refer to an earlier object of that name.
        let stale = |other: &Owner| other.is(owner) && !other.has_uid(stored.uid());
        for dependent in dependents {
            if dependent.object.metadata().links.owners().iter().any(stale) {
                result.changes.extend(attempt_to_delete(context, dependent));
            }
        }
    }
    result
}

/// Deletes the object at `key` if none of its owners exists any more.
pub(super) fn check_owners(context: Context<'_>, key: &Key) -> SyncResult {
    let mut result = SyncResult::default();
    let Some(stored) = context.store.stored(key) else { return result };
    result.changes.extend(attempt_to_delete(context, stored));
    for owner in stored.object.metadata().links.owners() {
        if let Some(invalid) = invalid_reference(context.store, &stored.object, owner) {
            let message = format!("ownerRef {invalid} does not exist in namespace {:?}", key.namespace);
            result.emit_warning(COMPONENT, key.clone(), "OwnerRefInvalidNamespace", message);
        }
    }
    result
}

/// The owner reference of `object` to an object in another namespace, which is invalid, in the words of the event
/// (reportInvalidNamespaceOwnerRef).
fn invalid_reference(store: &Store, object: &Object, owner: &Owner) -> Option<String> {
    let meta = object.metadata();
    let uid = owner.uid.filter(|_| owner.kind.is_namespaced())?;
    if store.stored(&owner.key(&meta.namespace)).is_some_and(|stored| stored.uid() == uid) {
        return None;
    }
    store.all_stored(owner.kind, None).find(|stored| stored.uid() == uid)?;
    let references = meta.given.as_ref()?.json().pointer("/metadata/ownerReferences")?.as_array()?;
    let written = references.iter().find(|reference| reference["uid"] == uid.to_string())?;
    let api_version = written["apiVersion"].as_str().unwrap_or_default();
    let (kind, name, namespace) = (owner.kind, &owner.name, &meta.namespace);
    Some(format!("[{api_version}/{kind}, namespace: {namespace}, name: {name}, uid: {uid}]"))
}

/// Updates an object some of whose owners may have been deleted (`attemptToDeleteItem`): with an existing one it loses
/// the references to the others, without any it is deleted.
fn attempt_to_delete(context: Context<'_>, item: &Stored) -> Option<Change> {
    let store = context.store;
    let meta = item.object.metadata();
    if meta.deletion_timestamp.is_some() && !deletion::is_foreground(meta) {
        return None;
    }
    let owners = meta.links.owners();
    // Owners of unknown kinds cannot be looked up, and namespaced owners of cluster-scoped objects are not
    // (isDangling).
    let is_unknown = |owner: &Owner| meta.namespace.is_empty() && owner.kind.is_namespaced();
    if meta.links.has_foreign_owner() || owners.iter().any(is_unknown) {
        return None;
    }
    let state = |owner: &Owner| match store.stored(&owner.key(&meta.namespace)) {
        Some(stored) if !owner.has_uid(stored.uid()) => State::Dangling,
        Some(stored) if deletion::is_foreground(stored.object.metadata()) => State::Waiting,
        Some(_) => State::Solid,
        None => State::Dangling,
    };
    let states: Vec<State> = owners.iter().map(state).collect();
    if owners.is_empty() || states.iter().all(|state| *state == State::Solid) {
        return None;
    }
    if states.contains(&State::Solid) {
        let mut left = item.object.clone();
        let kept = owners.iter().zip(&states).filter(|(_, state)| **state == State::Solid);
        left.metadata_mut().links.set_owners(kept.map(|(owner, _)| owner.clone()).collect::<Vec<_>>());
        return Some(Change::Put(left));
    }
    let mut object = item.object.clone();
    let below = if states.contains(&State::Waiting) { dependents(store, &object.key()) } else { Vec::new() };
    if below.iter().any(|dependent| deletion::is_foreground(dependent.object.metadata())) {
        // Owners in a cycle would wait for each other: this object no longer blocks its owners.
        let unblocked = owners.iter().map(|owner| Owner { blocks_deletion: false, ..owner.clone() });
        object.metadata_mut().links.set_owners(unblocked.collect::<Vec<_>>());
    }
    let propagation = (!below.is_empty()).then_some(Propagation::Foreground);
    deletion::delete(store, &object, context.now, Deletion { propagation, grace: None })
}

/// The state of an owner.
#[derive(Clone, Copy, PartialEq)]
enum State {
    /// It exists and is not waiting.
    Solid,
    /// It has been deleted, or another object has its name.
    Dangling,
    /// It waits for the deletion of its dependents.
    Waiting,
}

/// The objects that refer to the one at `owner` as an owner. Most have names that start with the owner's and are found
/// first; the whole namespace is searched only if the index counts more.
fn dependents<'s>(store: &'s Store, owner: &Key) -> Vec<&'s Stored> {
    let count = store.dependents_count(owner);
    if count == 0 {
        return Vec::new();
    }
    let namespace = owner.kind.is_namespaced().then_some(owner.namespace.as_str());
    let is_dependent =
        |stored: &&Stored| stored.object.metadata().links.owners().iter().any(|other| other.is(owner));
    let Some(namespace) = namespace else {
        return store.all().filter(is_dependent).collect();
    };
    let prefix = format!("{}-", owner.name);
    let kinds = Kind::ALL.into_iter().filter(|kind| kind.is_namespaced());
    let near = kinds.flat_map(|kind| store.stored_prefixed(kind, namespace, &prefix));
    let near: Vec<&Stored> = near.filter(is_dependent).collect();
    if near.len() == count { near } else { store.all_in(namespace).filter(is_dependent).collect() }
}

fn without_finalizer(store: &Store, object: &Object, finalizer: &str) -> Change {
    let mut object = object.clone();
    object.metadata_mut().links.remove_finalizer(finalizer);
    deletion::released(store, object)
}
