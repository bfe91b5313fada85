//! Which nodes something may be on (`ValidateNodeSelector`, `validateNodeAffinity`).

use crate::field::{At, Causes};
use crate::primitives::names;

/// `ValidateNodeSelector`: what has to be true of a node.
pub(crate) fn validate_node_selector(selector: &At<'_>, allow_invalid_values: bool, causes: &mut Causes) {
    let terms = selector.at("nodeSelectorTerms");
    if terms.is_empty() {
        causes.required(&terms, "must have at least one node selector term");
    }
    for term in terms.items() {
        validate_node_selector_term(&term, allow_invalid_values, causes);
    }
}

/// `ValidateNodeSelectorTerm`
pub(crate) fn validate_node_selector_term(term: &At<'_>, allow_invalid_values: bool, causes: &mut Causes) {
    for requirement in term.at("matchExpressions").items() {
        validate_node_selector_requirement(&requirement, allow_invalid_values, causes);
    }
    for requirement in term.at("matchFields").items() {
        validate_node_field_selector_requirement(&requirement, causes);
    }
}

/// `ValidateNodeSelectorRequirement`: what a label has to be.
fn validate_node_selector_requirement(requirement: &At<'_>, allow_invalid_values: bool, causes: &mut Causes) {
    let values = requirement.at("values");
    let operator = requirement.at("operator");
    match operator.text() {
        "In" | "NotIn" => {
            if values.is_empty() {
                causes.required(&values, "must be specified when `operator` is 'In' or 'NotIn'");
            }
        }
        "Exists" | "DoesNotExist" => {
            if !values.is_empty() {
                let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                causes.forbidden(&values, why);
            }
        }
        "Gt" | "Lt" => {
            if values.list().len() != 1 {
                let why = "must be specified single value when `operator` is 'Lt' or 'Gt'";
                causes.required(&values, why);
            }
        }
        other => causes.invalid(&operator, other, "not a valid selector operator"),
    }
    let key = requirement.at("key");
    for fault in names::label_key(key.text()) {
        causes.invalid(&key, key.text(), &fault);
    }
    for value in values.items().filter(|_| !allow_invalid_values) {
        for fault in names::label_value(value.text()) {
            causes.invalid(&value, value.text(), &fault);
        }
    }
}

/// `ValidateNodeFieldSelectorRequirement`: only the name of a node can be asked for.
fn validate_node_field_selector_requirement(requirement: &At<'_>, causes: &mut Causes) {
    let values = requirement.at("values");
    let operator = requirement.at("operator");
    match operator.text() {
        "In" | "NotIn" => {
            if values.list().len() != 1 {
                let why = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
                causes.required(&values, why);
            }
        }
        other => causes.invalid(&operator, other, "not a valid selector operator"),
    }
    let key = requirement.at("key");
    if key.text() != "metadata.name" {
        causes.invalid(&key, key.text(), "not a valid field selector key");
        return;
    }
    for value in values.items() {
        for fault in names::dns_subdomain(value.text()) {
            causes.invalid(&value, value.text(), &fault);
        }
    }
}

/// `validateNodeAffinity`, of a Pod.
pub(crate) fn validate_node_affinity(affinity: &At<'_>, allow_invalid_values: bool, causes: &mut Causes) {
    let required = affinity.at("requiredDuringSchedulingIgnoredDuringExecution");
    if required.is_set() {
        validate_node_selector(&required, allow_invalid_values, causes);
    }
    validate_preferred_scheduling_terms(
        &affinity.at("preferredDuringSchedulingIgnoredDuringExecution"),
        causes,
    );
}

/// `ValidatePreferredSchedulingTerms`: their labels' values are not looked at.
fn validate_preferred_scheduling_terms(terms: &At<'_>, causes: &mut Causes) {
    for term in terms.items() {
        let weight = term.at("weight");
        if !(1..=100).contains(&weight.number()) {
            causes.invalid(&weight, weight.number(), "must be in the range 1-100");
        }
        validate_node_selector_term(&term.at("preference"), true, causes);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn requirements() {
        let selector = json!({ "nodeSelectorTerms": [
            { "matchExpressions": [
                { "key": "a", "operator": "In", "values": ["b"] },
                { "key": "a", "operator": "Gt" },
                { "key": "a", "operator": "Exists", "values": ["-"] },
            ] },
            { "matchFields": [
                { "key": "metadata.name", "operator": "In", "values": ["a", "b"] },
                { "key": "spec.x", "operator": "Exists" },
            ] },
        ] });
        let mut causes = Causes::default();
        validate_node_selector(&At::root(&selector), true, &mut causes);
        let messages: Vec<String> = causes.into_vec().iter().map(ToString::to_string).collect();
        assert_eq!(
            messages,
            [
                "nodeSelectorTerms[0].matchExpressions[1].values: Required value: must be specified single value when `operator` is 'Lt' or 'Gt'",
                "nodeSelectorTerms[0].matchExpressions[2].values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                "nodeSelectorTerms[1].matchFields[0].values: Required value: must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
                "nodeSelectorTerms[1].matchFields[1].operator: Invalid value: \"Exists\": not a valid selector operator",
                "nodeSelectorTerms[1].matchFields[1].key: Invalid value: \"spec.x\": not a valid field selector key",
            ]
        );
    }
}
