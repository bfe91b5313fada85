//! The counts in the status of a controller's object.

use super::metadata::validate_non_negative;
use crate::field::{At, Causes};

/// `ValidateNonnegativeField`, of each of the fields.
pub(crate) fn validate_counts(status: &At<'_>, counts: &[&'static str], causes: &mut Causes) {
    for count in counts {
        validate_non_negative(&status.at(count), causes);
    }
}

/// Refuses a count that is greater than another one.
pub(crate) fn validate_at_most(
    status: &At<'_>,
    count: &'static str,
    limit: &'static str,
    why: &str,
    causes: &mut Causes,
) {
    let count = status.at(count);
    if count.number() > status.at(limit).number() {
        causes.invalid(&count, count.number(), why);
    }
}

const ABOVE_REPLICAS: &str = "cannot be greater than status.replicas";

/// Refuses each of the counts that is greater than `status.replicas`, and more Pods that are available than are ready.
pub(crate) fn validate_at_most_replicas(
    status: &At<'_>,
    counts: &[&'static str],
    above_ready: &str,
    causes: &mut Causes,
) {
    for count in counts {
        validate_at_most(status, count, "replicas", ABOVE_REPLICAS, causes);
    }
    validate_at_most(status, "availableReplicas", "readyReplicas", above_ready, causes);
}
