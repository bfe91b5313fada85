//! Takes the place of `pkg/apis/apps` and `pkg/registry/apps`: StatefulSets, Deployments, ReplicaSets, DaemonSets and the
//! ControllerRevisions that they keep.

mod defaults;
pub(crate) mod strategies;
mod validation;

use crate::strategy::Strategy;

pub(crate) const STRATEGIES: &[Strategy] = &[
    Strategy {
        default: defaults::set_defaults_deployment,
        prepare_for_create: strategies::prepare_for_create,
        prepare_for_update: strategies::prepare_deployment_for_update,
        validate: validation::deployments::validate_deployment,
        validate_update: validation::deployments::validate_deployment_update,
        warnings: strategies::warnings,
        prepare_status_for_update: strategies::prepare_deployment_status,
        validate_status_update: validation::statuses::validate_deployment_status_update,
        ..Strategy::of("apps", "Deployment", true)
    },
    Strategy {
        default: defaults::set_defaults_replica_set,
        prepare_for_create: strategies::prepare_for_create,
        prepare_for_update: strategies::prepare_for_update,
        validate: validation::replica_sets::validate_replica_set,
        validate_update: validation::replica_sets::validate_replica_set_update,
        warnings: strategies::warnings,
        validate_status_update: validation::statuses::validate_replica_set_status_update,
        ..Strategy::of("apps", "ReplicaSet", true)
    },
    Strategy {
        default: defaults::set_defaults_stateful_set,
        prepare_for_create: strategies::prepare_stateful_set_for_create,
        prepare_for_update: strategies::prepare_stateful_set_for_update,
        validate: validation::stateful_sets::validate_stateful_set,
        validate_update: validation::stateful_sets::validate_stateful_set_update,
        warnings: strategies::stateful_set_warnings,
        validate_status_update: validation::statuses::validate_stateful_set_status_update,
        ..Strategy::of("apps", "StatefulSet", true)
    },
    Strategy {
        default: defaults::set_defaults_daemon_set,
        prepare_for_create: strategies::prepare_daemon_set_for_create,
        prepare_for_update: strategies::prepare_daemon_set_for_update,
        validate: validation::daemon_sets::validate_daemon_set,
        validate_update: validation::daemon_sets::validate_daemon_set_update,
        warnings: strategies::daemon_set_warnings,
        validate_status_update: validation::statuses::validate_daemon_set_status_update,
        ..Strategy::of("apps", "DaemonSet", true)
    },
    Strategy {
        validate: validation::controller_revisions::validate_controller_revision_create,
        validate_update: validation::controller_revisions::validate_controller_revision_update,
        ..Strategy::of("apps", "ControllerRevision", true)
    },
];
