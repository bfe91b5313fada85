//! How much of a device a claim may take (`validateRequestPolicy` of `pkg/apis/resource/validation`).

use super::lists::validate_set;
use crate::core::validation::resources::amount;
use crate::field::{At, Causes};

/// Maximum number of amounts to choose from (`CapacityRequestPolicyDiscreteMaxOptions`).
const OPTIONS_MAX: usize = 10;

/// `validateRequestPolicy`, of a device that has `capacity` of something.
pub(super) fn validate_request_policy(capacity: &At<'_>, policy: &At<'_>, causes: &mut Causes) {
    let (values, range, default) = (policy.at("validValues"), policy.at("validRange"), policy.at("default"));
    if !values.is_empty() && range.is_set() {
        let why = "exactly one policy can be specified, cannot specify \"validValues\" and \"validRange\" at the same time";
        return causes.forbidden(policy, why);
    }
    let (field, is_said) = match (values.is_empty(), range.is_set()) {
        (false, _) => ("validValues", true),
        (true, is_said) => ("validRange", is_said),
    };
    if !is_said {
        return;
    }
    if !default.is_set() {
        causes.required(&default, &format!("required when {field} is defined"));
    } else if range.is_set() {
        validate_range(&default, capacity, &range, causes);
    } else {
        validate_values(&default, capacity, &values, causes);
    }
}

/// `validateRequestPolicyValidValues`
fn validate_values(default: &At<'_>, capacity: &At<'_>, values: &At<'_>, causes: &mut Causes) {
    let all: Vec<At<'_>> = values.items().collect();
    for pair in all.windows(2).filter(|pair| amount(&pair[0]) > amount(&pair[1])) {
        causes.invalid(&pair[1], pair[1].text(), "values must be sorted in ascending order");
    }
    let validate = |option: &At<'_>, causes: &mut Causes| {
        if amount(option) > amount(capacity) {
            let why = format!("option is larger than capacity value: {}", capacity.text());
            causes.invalid(option, option.text(), &why);
        }
    };
    validate_set(values, OPTIONS_MAX, validate, At::text, causes);
    if !all.iter().any(|option| amount(option) == amount(default)) {
        causes.invalid(values, default.text(), "default value is not valid according to the requestPolicy");
    }
}

/// `validateRequestPolicyRange`
fn validate_range(default: &At<'_>, capacity: &At<'_>, range: &At<'_>, causes: &mut Causes) {
    let (min, max, step) = (range.at("min"), range.at("max"), range.at("step"));
    if !min.is_set() {
        return causes.required(&min, "required when validRange is defined");
    }
    let larger = |field: &At<'_>, what: &str, causes: &mut Causes| {
        if amount(field) > amount(capacity) {
            let why = format!("{what} is larger than capacity value: {}", capacity.text());
            causes.invalid(field, field.text(), &why);
        }
    };
    larger(&min, "min", causes);
    if amount(default) < amount(&min) {
        causes.invalid(&min, default.text(), &format!("default is less than min: {}", min.text()));
    }
    if max.is_set() {
        if amount(&min) > amount(&max) {
            causes.invalid(&max, min.text(), &format!("min is larger than max: {}", max.text()));
        }
        larger(&max, "max", causes);
        if amount(default) > amount(&max) {
            causes.invalid(&max, default.text(), &format!("default is more than max: {}", max.text()));
        }
    }
    if step.is_set() {
        let first = amount(&min) + amount(&step);
        if first > amount(capacity) {
            let why =
                format!("one step {} is larger than capacity value: {}", first.value(), capacity.text());
            causes.invalid(&step, step.text(), &why);
        }
        for value in [Some(default), Some(&max).filter(|max| max.is_set())].into_iter().flatten() {
            validate_step(value, &min, &step, causes);
        }
    }
}

/// `validateRequestPolicyRangeStep`
fn validate_step(value: &At<'_>, min: &At<'_>, step: &At<'_>, causes: &mut Causes) {
    let added = amount(value).value() - amount(min).value();
    if added.checked_rem(amount(step).value()).is_none_or(|rest| rest != 0) {
        let why = format!("value is not a multiple of a given step ({}) from ({})", step.text(), min.text());
        causes.invalid(step, value.text(), &why);
    }
}
