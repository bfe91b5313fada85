//! Takes the place of `apis/meta/v1/validation` and `metav1.LabelSelectorAsSelector`: label selectors.

use serde_json::Value;

use super::names;
use crate::field::{At, Causes};

/// `ValidateLabelSelector`
pub(crate) fn validate_label_selector(selector: &At<'_>, causes: &mut Causes) {
    super::metadata::validate_labels(&selector.at("matchLabels"), causes);
    for requirement in selector.at("matchExpressions").items() {
        validate_requirement(&requirement, causes);
    }
}

fn validate_requirement(requirement: &At<'_>, causes: &mut Causes) {
    let values = requirement.at("values");
    let operator = requirement.at("operator");
    match operator.text() {
        "In" | "NotIn" if values.is_empty() => {
            causes.required(&values, "must be specified when `operator` is 'In' or 'NotIn'");
        }
        "In" | "NotIn" => {}
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            causes.forbidden(&values, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
        }
        "Exists" | "DoesNotExist" => {}
        other => causes.invalid(&operator, other, "not a valid selector operator"),
    }
    let key = requirement.at("key");
    for fault in names::label_key(key.text()) {
        causes.invalid(&key, key.text(), &fault);
    }
    for value in values.items() {
        for fault in names::label_value(value.text()) {
            causes.invalid(&value, value.text(), &fault);
        }
    }
}

/// Whether `selector` is empty: `len(MatchLabels) + len(MatchExpressions) == 0`.
pub(crate) fn is_empty(selector: &At<'_>) -> bool {
    selector.at("matchLabels").is_empty() && selector.at("matchExpressions").is_empty()
}

/// Whether `LabelSelectorAsSelector` takes it.
pub(crate) fn is_valid(selector: &At<'_>) -> bool {
    let mut causes = Causes::default();
    validate_label_selector(selector, &mut causes);
    causes.is_empty()
}

/// Whether `selector`, which is valid, matches `labels`.
pub(crate) fn matches(selector: &At<'_>, labels: &At<'_>) -> bool {
    let label = |key: &str| labels.value().get(key).and_then(Value::as_str);
    let same = |(key, value): (&str, At<'_>)| label(key) == Some(value.text());
    selector.at("matchLabels").entries().all(same)
        && selector.at("matchExpressions").items().all(|requirement| {
            let key = requirement.at("key");
            let is_listed = |value: &str| requirement.at("values").items().any(|one| one.text() == value);
            match (requirement.at("operator").text(), label(key.text())) {
                ("In", Some(value)) => is_listed(value),
                ("NotIn", Some(value)) => !is_listed(value),
                ("NotIn" | "DoesNotExist", None) | ("Exists", Some(_)) => true,
                _ => false,
            }
        })
}
