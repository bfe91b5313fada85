//! Conditions as most kinds have them (`ValidateConditions` of apimachinery's `pkg/apis/meta/v1/validation`).

use std::collections::HashSet;

use super::names::{self, label_key, regex_error};
use crate::field::{At, Causes};

/// Maximum length of a reason, in bytes: `maxReasonLen`.
const REASON_MAX: usize = 1024;
/// Maximum length of a message, in bytes: `maxMessageLen`.
const MESSAGE_MAX: usize = 32 * 1024;

/// `ValidateConditions`
pub(crate) fn validate_conditions(conditions: &At<'_>, causes: &mut Causes) {
    let mut types = HashSet::new();
    for condition in conditions.items() {
        let kind = condition.at("type");
        if !types.insert(kind.text()) {
            causes.duplicate(&kind, kind.text());
        }
        validate_condition(&condition, causes);
    }
}

/// `ValidateCondition`
fn validate_condition(condition: &At<'_>, causes: &mut Causes) {
    const STATUSES: [&str; 3] = ["False", "True", "Unknown"];
    names::check(&condition.at("type"), label_key, causes);
    let status = condition.at("status");
    if !STATUSES.contains(&status.text()) {
        causes.not_supported(&status, status.text(), &STATUSES);
    }
    let generation = condition.at("observedGeneration");
    if generation.number() < 0 {
        causes.invalid(&generation, generation.number(), "must be greater than or equal to zero");
    }
    if !condition.at("lastTransitionTime").is_set() {
        causes.required(&condition.at("lastTransitionTime"), "");
    }
    let reason = condition.at("reason");
    if reason.is_empty() {
        causes.required(&reason, "");
    } else {
        names::check(&reason, reason_form, causes);
        if reason.text().len() > REASON_MAX {
            causes.too_long(&reason, REASON_MAX);
        }
    }
    if condition.at("message").text().len() > MESSAGE_MAX {
        causes.too_long(&condition.at("message"), MESSAGE_MAX);
    }
}

/// `isValidConditionReason`
fn reason_form(reason: &str) -> names::Faults {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let is_reason = names::is_word(reason, is_inner, |byte| matches!(byte, b',' | b':'))
        && reason.starts_with(|first: char| first.is_ascii_alphabetic());
    if is_reason {
        return Vec::new();
    }
    let words = "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters or '_,:', and must end with an alphanumeric character or '_'";
    let examples = ["my_name", "MY_NAME", "MyName", "ReasonA,ReasonB", "ReasonA:ReasonB"];
    vec![regex_error(words, "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?", &examples)]
}
