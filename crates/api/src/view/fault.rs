//! The status of a Fault, which depends on the time and on the number of its hits. Must not depend on the effects of faults
//! on answers.

use serde_json::{Value, json};

use clusterlocal_core::ControlPlane;
use clusterlocal_core::store::{Fault, Stored};

/// The `status` of `fault`, which is `stored`. Clients cannot write it, and a change of it creates no new revision.
pub(crate) fn status(fault: &Fault, stored: &Stored, cluster: &ControlPlane) -> Value {
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
