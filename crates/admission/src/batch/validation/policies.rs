//! The rules by which a Job fails or succeeds before its end: `validatePodFailurePolicy`, `validateSuccessPolicy`.

use std::collections::HashSet;

use super::indexes::validate_indexes_format;
use crate::field::{At, Causes, Shown};
use crate::primitives::{metadata, names};

/// Maximum number of rules of a policy (`maxPodFailurePolicyRules`, `maxSuccessPolicyRule`).
const RULES_MAX: usize = 20;
/// Maximum number of patterns of a rule (`maxPodFailurePolicyOnPodConditionsPatterns`).
const PATTERNS_MAX: usize = 20;
/// Maximum number of exit codes of a rule (`maxPodFailurePolicyOnExitCodesValues`).
const EXIT_CODES_MAX: usize = 255;
/// Maximum length of `succeededIndexes`, in bytes (`maxJobSuccessPolicySucceededIndexesLimit`).
const SUCCEEDED_INDEXES_MAX: usize = 64 * 1024;

/// `validatePodFailurePolicy`
pub(super) fn validate_pod_failure_policy(spec: &At<'_>, causes: &mut Causes) {
    let rules = spec.at("podFailurePolicy.rules");
    if rules.list().len() > RULES_MAX {
        causes.too_many(&rules, rules.list().len(), RULES_MAX);
    }
    let containers = ["containers", "initContainers"].map(|list| spec.at("template.spec").at(list));
    let containers: HashSet<&str> =
        containers.iter().flat_map(At::items).map(|container| container.at("name").text()).collect();
    let has_index_limit = spec.at("backoffLimitPerIndex").is_set();
    for rule in rules.items() {
        validate_pod_failure_policy_rule(&rule, has_index_limit, &containers, causes);
    }
}

/// `validatePodFailurePolicyRule`
fn validate_pod_failure_policy_rule(
    rule: &At<'_>,
    has_index_limit: bool,
    containers: &HashSet<&str>,
    causes: &mut Causes,
) {
    let action = rule.at("action");
    if action.text() == "FailIndex" && !has_index_limit {
        causes.invalid(&action, action.text(), "requires the backoffLimitPerIndex to be set");
    }
    validate_word(&action, &["Count", "FailIndex", "FailJob", "Ignore"], causes);
    let (codes, patterns) = (rule.at("onExitCodes"), rule.at("onPodConditions"));
    if codes.is_set() {
        validate_on_exit_codes(&codes, containers, causes);
    }
    if patterns.list().len() > PATTERNS_MAX {
        causes.too_many(&patterns, patterns.list().len(), PATTERNS_MAX);
    }
    for pattern in patterns.items() {
        let kind = pattern.at("type");
        for fault in names::label_key(kind.text()) {
            causes.invalid(&kind, kind.text(), &fault);
        }
        validate_word(&pattern.at("status"), &["False", "True", "Unknown"], causes);
    }
    let why = match (codes.is_set(), !patterns.is_empty()) {
        (true, true) => "specifying both OnExitCodes and OnPodConditions is not supported",
        (false, false) => "specifying one of OnExitCodes and OnPodConditions is required",
        _ => return,
    };
    causes.invalid_without_value(rule, why);
}

/// Refuses a word that is missing, or is none of `known`.
fn validate_word(word: &At<'_>, known: &[&str], causes: &mut Causes) {
    if word.is_empty() {
        let known: Vec<String> = known.iter().map(|word| format!("{word:?}")).collect();
        causes.required(word, &format!("valid values: [{}]", known.join(" ")));
    } else if !known.contains(&word.text()) {
        causes.not_supported(word, word.text(), known);
    }
}

/// `validatePodFailurePolicyRuleOnExitCodes`
fn validate_on_exit_codes(codes: &At<'_>, containers: &HashSet<&str>, causes: &mut Causes) {
    let operator = codes.at("operator");
    validate_word(&operator, &["In", "NotIn"], causes);
    let container = codes.at("containerName");
    if container.text_if_set().is_some_and(|name| !containers.contains(name)) {
        let why = "must be one of the container or initContainer names in the pod template";
        causes.invalid(&container, container.text(), why);
    }
    let values = codes.at("values");
    let shown = || if values.is_set() { Shown::from(values.value()) } else { Shown::nil() };
    if values.is_empty() {
        causes.invalid(&values, shown(), "at least one value is required");
    } else if values.list().len() > EXIT_CODES_MAX {
        causes.too_many(&values, values.list().len(), EXIT_CODES_MAX);
    }
    let mut seen = HashSet::new();
    for value in values.items() {
        if value.number() == 0 && operator.text() == "In" {
            causes.invalid(&value, 0, "must not be 0 for the In operator");
        }
        if !seen.insert(value.number()) {
            causes.duplicate(&value, value.number());
        }
    }
    if !values.items().map(|value| value.number()).is_sorted() {
        causes.invalid(&values, shown(), "must be ordered");
    }
}

/// `validateSuccessPolicy`
pub(super) fn validate_success_policy(spec: &At<'_>, causes: &mut Causes) {
    let rules = spec.at("successPolicy.rules");
    if rules.is_empty() {
        causes.required(&rules, "at least one rules must be specified when the successPolicy is specified");
    }
    if rules.list().len() > RULES_MAX {
        causes.too_many(&rules, rules.list().len(), RULES_MAX);
    }
    // Their absence is reported elsewhere.
    let completions = spec.at("completions").number_if_set().unwrap_or(1);
    for rule in rules.items() {
        validate_success_policy_rule(&rule, completions, causes);
    }
}

/// `validateSuccessPolicyRule`
fn validate_success_policy_rule(rule: &At<'_>, completions: i64, causes: &mut Causes) {
    let (indexes, count) = (rule.at("succeededIndexes"), rule.at("succeededCount"));
    if !indexes.is_set() && !count.is_set() {
        causes.required(rule, "at least one of succeededCount or succeededIndexes must be specified");
    }
    let mut total = 0;
    if let Some(text) = indexes.text_if_set() {
        if text.len() > SUCCEEDED_INDEXES_MAX {
            causes.too_long(&indexes, SUCCEEDED_INDEXES_MAX);
        }
        match validate_indexes_format(text, completions) {
            Ok(all) => total = all,
            Err(why) => causes.invalid(&indexes, text, &format!("error parsing succeededIndexes: {why}")),
        }
    }
    let Some(number) = count.number_if_set() else { return };
    metadata::validate_non_negative(&count, causes);
    let mut at_most = |max: i64, what: &str| {
        if number > max {
            causes.invalid(&count, number, &format!("must be less than or equal to {max} ({what})"));
        }
    };
    at_most(completions, "the number of specified completions");
    if indexes.is_set() {
        at_most(total, "the number of indexes in the specified succeededIndexes field");
    }
}
