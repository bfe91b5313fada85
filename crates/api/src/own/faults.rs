//! Warnings for a client that writes a Fault: why it may hit no query. Must not depend on the effects of faults on answers.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::verbs::call::Api;
use clusterlocal_core::explain;
use clusterlocal_core::store::{Fault, Kind, Resource};

/// Returns the reasons why the fault that was written last may hit nothing.
pub(crate) fn doubts(api: &Api) -> Vec<String> {
    // The clients that have sent queries; without the cluster's lock.
    let asked: Option<Vec<IpAddr>> = api.queries.as_ref().map(|log| {
        let clients: BTreeSet<IpAddr> =
            log.after(0).iter().map(|query| query.client.ip().to_canonical()).collect();
        clients.into_iter().collect()
    });
    api.driver.read(|cluster| {
        let latest = cluster.store().all_stored(Kind::Fault, None).max_by_key(|stored| stored.revision);
        let zone = cluster.published().load().clone();
        let fault = latest.and_then(|stored| Fault::of(&stored.object));
        fault.map_or_else(Vec::new, |fault| explain::doubts(cluster.store(), &zone, fault, asked.as_deref()))
    })
}
