//! Takes the place of etcd's quota: whether the store has room for what a client writes. It must not know what is
//! written.

use crate::http::status::Status;
use clusterlocal_core::ControlPlane;
use clusterlocal_core::store::{OBJECT_BYTES, Object};

/// Refuses to make `new` of `old` where the store would hold more than it may then. What does not grow is always taken:
/// a full store can be emptied, and finalizers can be removed.
///
/// # Errors
/// A `Status` with code 507 that names the bound.
pub(crate) fn check(cluster: &ControlPlane, old: Option<&Object>, new: &Object) -> Result<(), Status> {
    let needs = |object: &Object| object.weight() + pods(object) * OBJECT_BYTES;
    let more = needs(new).saturating_sub(old.map_or(0, needs));
    let (used, most) = (cluster.store().bytes(), cluster.max_store_bytes());
    if more == 0 || used.saturating_add(more) <= most {
        return Ok(());
    }
    Err(Status::storage_full(used, more, most))
}

/// How many pods a workload requests.
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
