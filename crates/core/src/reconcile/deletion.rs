//! Deletion of objects: kube-apiserver's registry (`registry/rest/delete.go`, BeforeDelete;
//! `registry/generic/registry/store.go`, deletionFinalizersForGarbageCollection). Pods have a grace period, and
//! finalizers hold every object.

use std::sync::Arc;

use crate::store::{
    Change, FOREGROUND_FINALIZER, Kind, ORPHAN_FINALIZER, Object, ObjectMeta, PersistentVolumeClaim, Pod,
    Store, Time,
};

/// What happens to the dependents of a deleted object (`metav1.DeletionPropagation`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// They are deleted afterwards.
    Background,
    /// They are deleted first, those that block the owner's deletion.
    Foreground,
    /// They stay, without this owner.
    Orphan,
}

/// The options of a deletion.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deletion {
    /// Grace period of a pod, in seconds; that of its spec if absent.
    pub grace: Option<u32>,
    /// Absent: as the finalizers of the object determine, and otherwise in the background.
    pub propagation: Option<Propagation>,
}

/// The change that deletes `object` at `now`; `None` if it is being deleted already, and this would not be sooner.
pub fn delete(store: &Store, object: &Object, now: Time, deletion: Deletion) -> Option<Change> {
    let change = released(store, marked(object, now, deletion));
    Some(change).filter(|change| !matches!(change, Change::Put(marked) if marked == object))
}

/// `object` with its deletion requested at `now`.
fn marked(object: &Object, now: Time, deletion: Deletion) -> Object {
    let mut marked = object.clone();
    let meta = marked.metadata_mut();
    match deletion.propagation {
        None => {}
        Some(Propagation::Background) => {
            meta.links.remove_finalizer(FOREGROUND_FINALIZER);
            meta.links.remove_finalizer(ORPHAN_FINALIZER);
        }
        Some(Propagation::Foreground) => {
            meta.links.remove_finalizer(ORPHAN_FINALIZER);
            meta.links.add_finalizer(FOREGROUND_FINALIZER);
        }
        Some(Propagation::Orphan) => {
            meta.links.remove_finalizer(FOREGROUND_FINALIZER);
            meta.links.add_finalizer(ORPHAN_FINALIZER);
        }
    }
    let grace = match object {
        // A pod without a node, or one that has ended, has no containers to stop.
        Object::Pod(pod) if pod.spec.node_name.is_empty() || pod.is_terminal() => 0,
        Object::Pod(pod) => deletion.grace.unwrap_or_else(|| pod.spec.grace()),
        _ => 0,
    };
    // A repeated request can shorten the time from the first request on, but not extend it.
    if meta.deletion_timestamp.is_none() || grace < meta.deletion_grace_period_seconds {
        let requested = meta.deletion_requested().unwrap_or(now);
        meta.deletion_timestamp = Some(requested.after_secs(grace));
        meta.deletion_grace_period_seconds = grace;
    }
    marked
}

/// The change that deletes a pod at `now` with a grace period of `grace` seconds.
pub fn delete_pod(pod: &Arc<Pod>, now: Time, grace: u32) -> Change {
    let deletion = Deletion { grace: Some(grace), propagation: None };
    let marked = marked(&Object::Pod(pod.clone()), now, deletion);
    if is_held_by_metadata(marked.metadata()) { Change::Put(marked) } else { Change::Delete(marked.key()) }
}

/// The change that puts `object`, or removes it if its deletion was requested and nothing holds it any more.
pub fn released(store: &Store, object: Object) -> Change {
    if is_held(store, &object) { Change::Put(object) } else { Change::Delete(object.key()) }
}

/// Whether `object` is not being deleted, or is held: by its grace period, a finalizer, the pods that use a claim, the
/// claim of a volume, or the finalizers in the spec of a namespace.
fn is_held(store: &Store, object: &Object) -> bool {
    is_held_by_metadata(object.metadata())
        || match object {
            Object::Namespace(namespace) => !namespace.spec_finalizers().is_empty(),
            Object::PersistentVolumeClaim(claim) => is_claim_used(store, claim),
            // `kubernetes.io/pv-protection`
            Object::PersistentVolume(volume) => volume.status.phase == "Bound",
            _ => false,
        }
}

/// Whether the grace period or a finalizer holds an object.
fn is_held_by_metadata(meta: &ObjectMeta) -> bool {
    !meta.is_deleted_but_for_finalizers() || !meta.links.finalizers().is_empty()
}

/// The change after a deleted pod has stopped: it is removed, unless finalizers hold it.
pub fn stopped(mut pod: Pod, now: Time) -> Change {
    pod.metadata.deletion_timestamp.get_or_insert(now);
    pod.metadata.deletion_grace_period_seconds = 0;
    if pod.metadata.links.finalizers().is_empty() {
        Change::Delete(pod.metadata.key(Kind::Pod))
    } else {
        Change::Put(Object::Pod(pod.into()))
    }
}

/// Whether a pod uses the claim, which the finalizer `kubernetes.io/pvc-protection` then holds: a pod with a node, even
/// if it has ended (pvc_protection_controller.go, podUsesPVCForDeletion).
pub fn is_claim_used(store: &Store, claim: &PersistentVolumeClaim) -> bool {
    let meta = &claim.metadata;
    let mut pods = store.list_in::<Pod>(Kind::Pod, &meta.namespace);
    pods.any(|pod| !pod.spec.node_name.is_empty() && pod.uses_claim(&meta.name))
}

/// Whether the object's deletion waits for the deletion of its dependents.
pub(crate) fn is_foreground(meta: &ObjectMeta) -> bool {
    meta.deletion_timestamp.is_some() && meta.links.has_finalizer(FOREGROUND_FINALIZER)
}

/// Whether the object's deletion waits until its dependents are orphaned.
pub(crate) fn is_orphaning(meta: &ObjectMeta) -> bool {
    meta.deletion_timestamp.is_some() && meta.links.has_finalizer(ORPHAN_FINALIZER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{PodPhase, PodStatus};

    #[test]
    fn a_repeated_deletion_does_not_extend_the_grace_period() {
        /// The second of the request, and its grace period in seconds.
        type Deletions = &'static [(i64, u32)];
        let at = |seconds: i64| Time::from_unix_millis(seconds * 1000);
        // Whether the pod has ended; the requests; the second of the removal, if it is not immediate.
        let table: [(bool, Deletions, Option<i64>); 5] = [
            (false, &[(0, 30)], Some(30)),
            (false, &[(0, 30), (10, 60)], Some(30)),
            (false, &[(0, 30), (10, 5)], Some(5)),
            (false, &[(0, 30), (100, 0)], None),
            (true, &[(0, 30)], None),
        ];
        for (ended, deletions, expected) in table {
            let phase = Some(if ended { PodPhase::Failed } else { PodPhase::Running });
            let mut pod = Pod { status: PodStatus { phase, ..PodStatus::default() }, ..Pod::default() };
            pod.spec.node_name = arcstr::literal!("node-1");
            let mut pod = Arc::new(pod);
            let mut goes = None;
            for (now, grace) in deletions {
                goes = match delete_pod(&pod, at(*now), *grace) {
                    Change::Put(Object::Pod(marked)) => {
                        pod = marked;
                        pod.metadata.deletion_timestamp
                    }
                    _ => None,
                };
            }
            assert_eq!(goes, expected.map(at), "{ended} {deletions:?}");
            // A finalizer still holds it.
            let mut held = (*pod).clone();
            held.metadata.links.add_finalizer("example.com/hold");
            let change = delete_pod(&Arc::new(held), at(200), 0);
            assert!(matches!(change, Change::Put(_)), "{deletions:?}");
        }
    }
}
