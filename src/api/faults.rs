//! What becomes of a Fault: the part of it that depends on the time and on what was asked. It must not know what faults do
//! to answers.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::{Value, json};

use super::route::Api;
use crate::ControlPlane;
use crate::explain;
use crate::store::{Fault, Kind, Resource, Stored};

/// The `status` of `fault`, which is `stored`. It is nobody's to write, and no change of the object when it changes.
pub(super) fn status(fault: &Fault, stored: &Stored, cluster: &ControlPlane) -> Value {
    let spec = fault.spec.expanded();
    let begins = stored.created.after(spec.after);
    let ends = spec.lasting.map(|lasting| begins.after(lasting));
    let (now, hits) = (cluster.now(), cluster.faults().hits(&fault.metadata.name));
    let phase = if ends.is_some_and(|ends| ends <= now) {
        "Ended"
    } else if spec.times.is_some_and(|times| u64::from(times) <= hits) {
        "Spent"
    } else if now < begins {
        "Pending"
    } else {
        "Active"
    };
    let mut status = json!({
        "phase": phase,
        "hits": hits,
        "match": spec.matching.to_string(),
        "actions": if spec.sequence.is_empty() { spec.actions.to_string() } else { format!("in turn: {}", spec.sequence.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ")) },
        "begins": begins.to_string(),
    });
    if let Some(ends) = ends {
        status["ends"] = ends.to_string().into();
    }
    status
}

/// Reasons why the fault that was written last may hit nothing, for the client that wrote it.
pub(super) fn doubts(api: &Api) -> Vec<String> {
    // Which clients have asked; not under the cluster's lock.
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
