//! Rules about our own kind Fault: whether there is anything that it can hit.

use super::Reviewed;
use clusterlocal_core::explain;
use clusterlocal_core::manifest::Problem;
use clusterlocal_core::store::Fault;

pub(super) fn review(fault: &Reviewed<'_, Fault>, findings: &mut Vec<Problem>) {
    for doubt in explain::doubts(fault.cluster.store, fault.cluster.zone, fault.object, None) {
        let (what, help) = doubt.split_once("; ").unwrap_or((&doubt, "correct the match, or leave it out"));
        findings.push(fault.finding("fault-without-effect", "spec", what, help));
    }
}
