//! Takes the place of etcd's quota: the space of the store. Must not depend on the contents of objects.

use crate::http::status::Status;
use clusterlocal_core::ControlPlane;
use clusterlocal_core::store::{OBJECT_BYTES, Object};

/// Refuses a change of `old` to `new` that exceeds the maximum size of the store. A change that needs no more space is always
/// accepted: in a full store, objects can be deleted, and finalizers removed.
///
/// # Errors
/// A `Status` with code 507 that has the maximum.
pub(crate) fn check(cluster: &ControlPlane, old: Option<&Object>, new: &Object) -> Result<(), Status> {
    check_growth(cluster, growth(old, new))
}

/// Returns the number of bytes that a change of `old` to `new` needs, with those of the pods that it requests.
pub fn growth(old: Option<&Object>, new: &Object) -> usize {
    let needs = |object: &Object| object.weight().saturating_add(pods(object).saturating_mul(OBJECT_BYTES));
    needs(new).saturating_sub(old.map_or(0, needs))
}

/// Refuses changes that need `more` bytes if that exceeds the maximum size of the store.
///
/// # Errors
/// A `Status` with code 507 that has the maximum.
pub fn check_growth(cluster: &ControlPlane, more: usize) -> Result<(), Status> {
    let (used, most) = (cluster.store().bytes(), cluster.max_store_bytes());
    if more == 0 || used.saturating_add(more) <= most {
        return Ok(());
    }
    Err(Status::storage_full(used, more, most))
}

/// The number of pods that a workload requests.
fn pods(object: &Object) -> usize {
    let replicas = match object {
        Object::StatefulSet(set) => set.spec.replicas.unwrap_or(1),
        Object::Deployment(workload)
        | Object::ReplicaSet(workload)
        | Object::ReplicationController(workload) => workload.spec.replicas.unwrap_or(1),
        _ => 0,
    };
    usize::try_from(replicas).unwrap_or(usize::MAX >> 10)
}
