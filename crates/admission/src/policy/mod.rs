//! Takes the place of `pkg/apis/policy`: PodDisruptionBudgets.

use crate::field::{At, Causes};
use crate::primitives::counts::validate_counts;
use crate::primitives::updates::{prepare_for_create, prepare_for_update};
use crate::primitives::{conditions, int_or_string, selectors};
use crate::schema::go_json;
use crate::strategy::Strategy;

pub(crate) const STRATEGIES: &[Strategy] = &[Strategy {
    unconditional_update: false,
    prepare_for_create,
    prepare_for_update,
    validate: validate_pod_disruption_budget,
    validate_update: |budget, _, causes| validate_pod_disruption_budget(budget, causes),
    validate_status_update: |budget, _, causes| {
        let status = budget.at("status");
        conditions::validate_conditions(&status.at("conditions"), causes);
        let counts = ["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"];
        validate_counts(&status, &counts, causes);
    },
    ..Strategy::of("policy", "PodDisruptionBudget", true)
}];

/// `ValidatePodDisruptionBudget`
fn validate_pod_disruption_budget(budget: &At<'_>, causes: &mut Causes) {
    let spec = budget.at("spec");
    let amounts = ["minAvailable", "maxUnavailable"].map(|name| spec.at(name));
    if amounts.iter().all(At::is_set) {
        let shown = go_json("policy.PodDisruptionBudgetSpec", spec.value());
        causes.invalid(&spec, shown, "minAvailable and maxUnavailable cannot be both set");
    }
    for amount in amounts.iter().filter(|amount| amount.is_set()) {
        int_or_string::validate_positive_int_or_percent(amount, causes);
        int_or_string::validate_not_more_than_100_percent(amount, causes);
    }
    selectors::validate_label_selector(&spec.at("selector"), causes);
    let policy = spec.at("unhealthyPodEvictionPolicy");
    let policies = ["AlwaysAllow", "IfHealthyBudget"];
    if policy.text_if_set().is_some_and(|policy| !policies.contains(&policy)) {
        causes.not_supported(&policy, policy.text(), &policies);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn budgets() {
        let table: [(Value, &[&str]); 3] = [
            (json!({ "minAvailable": "50%", "unhealthyPodEvictionPolicy": "AlwaysAllow" }), &[]),
            (
                json!({ "maxUnavailable": "101%" }),
                &["spec.maxUnavailable: Invalid value: \"101%\": must not be greater than 100%"],
            ),
            (
                json!({ "unhealthyPodEvictionPolicy": "Never" }),
                &[
                    "spec.unhealthyPodEvictionPolicy: Unsupported value: \"Never\": supported values: \"AlwaysAllow\", \"IfHealthyBudget\"",
                ],
            ),
        ];
        for (spec, expected) in table {
            let mut causes = Causes::default();
            validate_pod_disruption_budget(&At::root(&json!({ "spec": spec })), &mut causes);
            let causes: Vec<String> = causes.into_vec().iter().map(ToString::to_string).collect();
            assert_eq!(causes, expected, "{spec}");
        }
    }
}
