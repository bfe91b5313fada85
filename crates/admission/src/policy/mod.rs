//! Takes the place of `pkg/apis/policy`.

use crate::field::{At, Causes};
use crate::primitives::{int_or_string, selectors};
use crate::schema::go_json;
use crate::strategy::Strategy;

pub(crate) const STRATEGIES: &[Strategy] = &[Strategy {
    unconditional_update: false,
    validate: |budget, causes| validate_pod_disruption_budget_spec(&budget.at("spec"), causes),
    validate_update: |budget, _, causes| validate_pod_disruption_budget_spec(&budget.at("spec"), causes),
    ..Strategy::of("policy", "PodDisruptionBudget", true)
}];

fn validate_pod_disruption_budget_spec(spec: &At<'_>, causes: &mut Causes) {
    let (least, most) = (spec.at("minAvailable"), spec.at("maxUnavailable"));
    if least.is_set() && most.is_set() {
        let shown = go_json("policy.PodDisruptionBudgetSpec", spec.value());
        causes.invalid(spec, shown, "minAvailable and maxUnavailable cannot be both set");
    }
    for amount in [least, most].iter().filter(|amount| amount.is_set()) {
        int_or_string::validate_positive_int_or_percent(amount, causes);
        int_or_string::validate_not_more_than_100_percent(amount, causes);
    }
    selectors::validate_label_selector(&spec.at("selector"), causes);
    let policy = spec.at("unhealthyPodEvictionPolicy");
    if policy.text_if_set().is_some_and(|policy| !matches!(policy, "AlwaysAllow" | "IfHealthyBudget")) {
        causes.not_supported(&policy, policy.text(), &["AlwaysAllow", "IfHealthyBudget"]);
    }
}
