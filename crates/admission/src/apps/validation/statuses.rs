//! `ValidateStatefulSetStatusUpdate`, `ValidateDeploymentStatusUpdate`, `ValidateReplicaSetStatusUpdate`,
//! `ValidateDaemonSetStatusUpdate`.

use crate::core::statuses::validate_replica_set_status;
use crate::core::validation::metadata::validate_object_meta_update;
use crate::field::{At, Causes};
use crate::primitives::counts::{validate_at_most_replicas, validate_counts};

/// `IsDecremented`, of the count of collisions.
fn validate_collision_count(status: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    let (count, old) = (status.at("collisionCount"), before.at("status.collisionCount").number_if_set());
    if old.is_some_and(|old| count.number_if_set().is_none_or(|count| count < old)) {
        causes.invalid(&count, count.number(), "cannot be decremented");
    }
}

/// `ValidateStatefulSetStatusUpdate`
pub(in crate::apps) fn validate_stateful_set_status_update(
    stateful_set: &At<'_>,
    before: &At<'_>,
    causes: &mut Causes,
) {
    let status = stateful_set.at("status");
    let counts = [
        "replicas",
        "readyReplicas",
        "currentReplicas",
        "updatedReplicas",
        "availableReplicas",
        "observedGeneration",
        "collisionCount",
    ];
    validate_counts(&status, &counts, causes);
    let limited = ["readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"];
    validate_at_most_replicas(&status, &limited, "cannot be greater than status.readyReplicas", causes);
    validate_object_meta_update(&stateful_set.at("metadata"), &before.at("metadata"), causes);
    validate_collision_count(&status, before, causes);
}

/// `ValidateDeploymentStatusUpdate`
pub(in crate::apps) fn validate_deployment_status_update(
    deployment: &At<'_>,
    before: &At<'_>,
    causes: &mut Causes,
) {
    validate_object_meta_update(&deployment.at("metadata"), &before.at("metadata"), causes);
    let status = deployment.at("status");
    let counts = [
        "observedGeneration",
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
        "unavailableReplicas",
        "terminatingReplicas",
        "collisionCount",
    ];
    validate_counts(&status, &counts, causes);
    let limited = ["updatedReplicas", "readyReplicas", "availableReplicas"];
    validate_at_most_replicas(&status, &limited, "cannot be greater than readyReplicas", causes);
    validate_collision_count(&status, before, causes);
}

/// `ValidateReplicaSetStatusUpdate`
pub(in crate::apps) fn validate_replica_set_status_update(
    replica_set: &At<'_>,
    before: &At<'_>,
    causes: &mut Causes,
) {
    validate_object_meta_update(&replica_set.at("metadata"), &before.at("metadata"), causes);
    validate_replica_set_status(&replica_set.at("status"), causes);
}

/// `ValidateDaemonSetStatusUpdate`
pub(in crate::apps) fn validate_daemon_set_status_update(
    daemon_set: &At<'_>,
    before: &At<'_>,
    causes: &mut Causes,
) {
    validate_object_meta_update(&daemon_set.at("metadata"), &before.at("metadata"), causes);
    let status = daemon_set.at("status");
    let counts = [
        "currentNumberScheduled",
        "numberMisscheduled",
        "desiredNumberScheduled",
        "numberReady",
        "observedGeneration",
        "updatedNumberScheduled",
        "numberAvailable",
        "numberUnavailable",
        "collisionCount",
    ];
    validate_counts(&status, &counts, causes);
    validate_collision_count(&status, before, causes);
}
