//! `ValidateDeployment`, `ValidateDeploymentUpdate`

use super::replica_sets::validate_pod_template_spec_for_replica_set;
use super::{validate_immutable_selector, validate_selector};
use crate::core::validation::metadata as core_metadata;
use crate::field::{At, Causes};
use crate::primitives::{int_or_string, metadata, names};
use crate::schema::go_json;

/// `ValidateDeployment`
pub(in crate::apps) fn validate_deployment(deployment: &At<'_>, causes: &mut Causes) {
    core_metadata::validate_object_meta(&deployment.at("metadata"), true, names::dns_subdomain, causes);
    validate_deployment_spec(&deployment.at("spec"), causes);
}

/// `ValidateDeploymentUpdate`
pub(in crate::apps) fn validate_deployment_update(deployment: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    core_metadata::validate_object_meta_update(&deployment.at("metadata"), &before.at("metadata"), causes);
    validate_deployment_spec(&deployment.at("spec"), causes);
    validate_immutable_selector(&deployment.at("spec"), &before.at("spec"), causes);
}

/// `ValidateDeploymentSpec`
fn validate_deployment_spec(spec: &At<'_>, causes: &mut Causes) {
    metadata::validate_non_negative(&spec.at("replicas"), causes);
    let selector = spec.at("selector");
    if validate_selector(&selector, "deployment", "invalid label selector", causes) {
        validate_pod_template_spec_for_replica_set(&spec.at("template"), &selector, causes);
    }
    validate_deployment_strategy(&spec.at("strategy"), causes);
    let (ready, deadline) = (spec.at("minReadySeconds"), spec.at("progressDeadlineSeconds"));
    metadata::validate_non_negative(&ready, causes);
    metadata::validate_non_negative(&spec.at("revisionHistoryLimit"), causes);
    metadata::validate_non_negative(&deadline, causes);
    if deadline.number_if_set().is_some_and(|seconds| seconds <= ready.number()) {
        causes.invalid(&deadline, deadline.number(), "must be greater than minReadySeconds");
    }
}

/// `ValidateDeploymentStrategy`
fn validate_deployment_strategy(strategy: &At<'_>, causes: &mut Causes) {
    let rolling = strategy.at("rollingUpdate");
    match strategy.at("type").text() {
        "Recreate" if rolling.is_set() => {
            causes.forbidden(&rolling, "may not be specified when strategy `type` is 'Recreate'");
        }
        "Recreate" => {}
        "RollingUpdate" if !rolling.is_set() => {
            causes.required(&rolling, "this should be defaulted and never be nil");
        }
        "RollingUpdate" => validate_rolling_update_deployment(&rolling, causes),
        _ => {
            let shown = go_json("DeploymentStrategy", strategy.value());
            causes.not_supported(strategy, shown, &["Recreate", "RollingUpdate"]);
        }
    }
}

/// `ValidateRollingUpdateDeployment`
fn validate_rolling_update_deployment(rolling: &At<'_>, causes: &mut Causes) {
    let (unavailable, surge) = (rolling.at("maxUnavailable"), rolling.at("maxSurge"));
    int_or_string::validate_positive_int_or_percent(&unavailable, causes);
    int_or_string::validate_positive_int_or_percent(&surge, causes);
    let is_zero = |field: &At<'_>| int_or_string::int_or_percent_value(field) == 0;
    if is_zero(&unavailable) && is_zero(&surge) {
        let shown = int_or_string::shown(&unavailable);
        causes.invalid(&unavailable, shown, "may not be 0 when `maxSurge` is 0");
    }
    int_or_string::validate_not_more_than_100_percent(&unavailable, causes);
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn strategies() {
        let rolling = |unavailable: Value, surge: Value| {
            json!({
                "type": "RollingUpdate",
                "rollingUpdate": { "maxUnavailable": unavailable, "maxSurge": surge },
            })
        };
        let table: [(Value, &[&str]); 4] = [
            (json!({ "type": "Recreate" }), &[]),
            (rolling(json!("25%"), json!(0)), &[]),
            (
                rolling(json!("0%"), json!(0)),
                &["rollingUpdate.maxUnavailable: Invalid value: \"0%\": may not be 0 when `maxSurge` is 0"],
            ),
            (
                json!({ "type": "Recreate", "rollingUpdate": {} }),
                &["rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"],
            ),
        ];
        for (strategy, expected) in table {
            let mut causes = Causes::default();
            validate_deployment_strategy(&At::root(&strategy), &mut causes);
            let causes: Vec<String> = causes.into_vec().iter().map(ToString::to_string).collect();
            assert_eq!(causes, expected, "{strategy}");
        }
    }
}
