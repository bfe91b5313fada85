//! Takes the place of `pkg/apis/flowcontrol`: FlowSchemas and PriorityLevelConfigurations.

mod flow_schemas;
mod priority_levels;

use crate::primitives::defaults;
use crate::primitives::updates::{prepare_for_create, prepare_for_update};
use crate::strategy::Strategy;

/// The API group.
const GROUP: &str = "flowcontrol.apiserver.k8s.io";

pub(crate) const STRATEGIES: &[Strategy] = &[
    Strategy {
        default: |schema| {
            if let Some(spec) = defaults::object(schema, "spec") {
                defaults::set_if_zero(spec, "matchingPrecedence", 1000);
            }
        },
        prepare_for_create,
        prepare_for_update,
        validate: flow_schemas::validate_flow_schema,
        validate_update: |schema, _, causes| flow_schemas::validate_flow_schema(schema, causes),
        ..Strategy::of(GROUP, "FlowSchema", false)
    },
    Strategy {
        default: priority_levels::set_defaults_priority_level_configuration,
        prepare_for_create,
        prepare_for_update,
        validate: priority_levels::validate_priority_level_configuration,
        validate_update: |level, _, causes| {
            priority_levels::validate_priority_level_configuration(level, causes);
        },
        ..Strategy::of(GROUP, "PriorityLevelConfiguration", false)
    },
];
