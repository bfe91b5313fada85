//! Rules about Faults: whether they can hit a query.

use super::Reviewed;
use clusterlocal_core::explain;
use clusterlocal_core::manifest::Problem;
use clusterlocal_core::store::Fault;

pub(super) fn review(fault: &Reviewed<'_, Fault>, findings: &mut Vec<Problem>) {
    for doubt in explain::doubts(fault.cluster.store, fault.cluster.zone, fault.object, None) {
        let (message, help) = doubt.split_once("; ").unwrap_or((&doubt, "correct the match, or remove it"));
        findings.push(fault.finding("fault-without-effect", "spec", message, help));
    }
}
