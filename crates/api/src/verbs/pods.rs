//! The requests that only a process in a pod could answer: pods are simulated, and no process runs. Must not depend on how
//! pods are simulated.

use super::call::Call;
use super::show;
use crate::http::reply::Reply;
use crate::http::status::Status;
use clusterlocal_core::Driver;
use clusterlocal_core::store::Kind;

/// Refuses the log of a pod: any text would look like the output of a process.
pub(crate) fn log(driver: &Driver, call: &Call) -> Result<Reply, Status> {
    driver.read(|cluster| show::stored(cluster.store(), Kind::Pod, &call.place).map(|_| ()))?;
    let (namespace, name) = (&call.place.namespace, &call.place.name);
    Err(Status::simulated(format!(
        "clusterlocal simulates pods: no process runs in {namespace}/{name}, so there is no log; `clusterlocal run` \
         runs processes"
    )))
}

/// `exec`, `attach`, `portforward` and `proxy`.
pub(crate) fn process(driver: &Driver, kind: Kind, call: &Call, part: &str) -> Result<Reply, Status> {
    driver.read(|cluster| show::stored(cluster.store(), kind, &call.place).map(|_| ()))?;
    let (resource, name) = (call.place.resource.plural, &call.place.name);
    Err(Status::simulated(format!(
        "{part} of {resource} {name:?} is not possible: clusterlocal simulates pods and runs no process; `clusterlocal \
         run` does, or bind your own to the pod's address"
    )))
}
