//! `ValidateDaemonSet`, `ValidateDaemonSetUpdate`. The generation of the template is the server's: a client cannot make it wrong.

use super::{shown, validate_immutable_selector, validate_runs_for_ever};
use crate::core::validation::metadata as core_metadata;
use crate::core::validation::pod_spec::validate_pod_template_spec;
use crate::field::{At, Causes};
use crate::primitives::{int_or_string, metadata, names, selectors};
use crate::schema::go_json;

/// `ValidateDaemonSet`
pub(in crate::apps) fn validate_daemon_set(daemon_set: &At<'_>, causes: &mut Causes) {
    core_metadata::validate_object_meta(&daemon_set.at("metadata"), true, names::dns_subdomain, causes);
    validate_daemon_set_spec(&daemon_set.at("spec"), causes);
}

/// `ValidateDaemonSetUpdate`
pub(in crate::apps) fn validate_daemon_set_update(daemon_set: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    core_metadata::validate_object_meta_update(&daemon_set.at("metadata"), &before.at("metadata"), causes);
    validate_immutable_selector(&daemon_set.at("spec"), &before.at("spec"), causes);
    validate_daemon_set_spec(&daemon_set.at("spec"), causes);
}

/// `ValidateDaemonSetSpec`
fn validate_daemon_set_spec(spec: &At<'_>, causes: &mut Causes) {
    let (selector, template) = (spec.at("selector"), spec.at("template"));
    selectors::validate_label_selector(&selector, causes);
    if selectors::is_valid(&selector) {
        super::validate_selected(&selector, &template, causes);
    }
    if selector.is_set() && selectors::is_empty(&selector) {
        causes.invalid(&selector, shown(&selector), "empty selector is invalid for daemonset");
    }
    validate_pod_template_spec(&template, causes);
    validate_runs_for_ever(&template, "DaemonSet", causes);
    metadata::validate_non_negative(&spec.at("minReadySeconds"), causes);
    validate_daemon_set_update_strategy(&spec.at("updateStrategy"), causes);
    metadata::validate_non_negative(&spec.at("revisionHistoryLimit"), causes);
}

/// `ValidateDaemonSetUpdateStrategy`
fn validate_daemon_set_update_strategy(strategy: &At<'_>, causes: &mut Causes) {
    let rolling = strategy.at("rollingUpdate");
    match strategy.at("type").text() {
        "OnDelete" => {}
        "RollingUpdate" if !rolling.is_set() => causes.required(&rolling, ""),
        "RollingUpdate" => validate_rolling_update_daemon_set(&rolling, causes),
        _ => {
            let shown = go_json("DaemonSetUpdateStrategy", strategy.value());
            causes.not_supported(strategy, shown, &["RollingUpdate", "OnDelete"]);
        }
    }
}

/// `ValidateRollingUpdateDaemonSet`
fn validate_rolling_update_daemon_set(rolling: &At<'_>, causes: &mut Causes) {
    let (unavailable, surge) = (rolling.at("maxUnavailable"), rolling.at("maxSurge"));
    for field in [&unavailable, &surge] {
        int_or_string::validate_positive_int_or_percent(field, causes);
    }
    for field in [&unavailable, &surge] {
        int_or_string::validate_not_more_than_100_percent(field, causes);
    }
    match [&unavailable, &surge].map(|field| int_or_string::int_or_percent_value(field) != 0) {
        [true, true] => {
            let shown = int_or_string::shown(&surge);
            causes.invalid(&surge, shown, "may not be set when maxUnavailable is non-zero");
        }
        [false, false] => causes.required(&unavailable, "cannot be 0 when maxSurge is 0"),
        _ => {}
    }
}
