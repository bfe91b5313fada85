//! Which requests a webhook or a policy is about (`pkg/apis/admissionregistration/validation`).

use std::collections::BTreeSet;

use crate::field::{At, Causes};
use crate::primitives::{names, selectors};

/// `supportedOperations`, sorted.
const OPERATIONS: &[&str] = &["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];

/// `supportedMatchPolicies`, sorted.
pub(super) const MATCH_POLICIES: &[&str] = &["Equivalent", "Exact"];

/// Reports a value that is set and none of `supported`.
pub(super) fn validate_choice(field: &At<'_>, supported: &[&str], causes: &mut Causes) {
    if field.text_if_set().is_some_and(|text| !supported.contains(&text)) {
        causes.not_supported(field, field.text(), supported);
    }
}

/// As [`validate_choice`], of a field that has to be set.
pub(super) fn validate_required_choice(field: &At<'_>, supported: &[&str], causes: &mut Causes) {
    if field.is_set() {
        validate_choice(field, supported, causes);
    } else {
        causes.required(field, "");
    }
}

/// `validateMatchResources`
pub(super) fn validate_match_resources(resources: &At<'_>, causes: &mut Causes) {
    if !resources.is_set() {
        return;
    }
    validate_required_choice(&resources.at("matchPolicy"), MATCH_POLICIES, causes);
    for selector in ["namespaceSelector", "objectSelector"].map(|name| resources.at(name)) {
        if selector.is_set() {
            selectors::validate_label_selector(&selector, causes);
        } else {
            causes.required(&selector, "");
        }
    }
    for rules in ["resourceRules", "excludeResourceRules"].map(|name| resources.at(name)) {
        for rule in rules.items() {
            validate_resource_names(&rule.at("resourceNames"), causes);
            validate_rule_with_operations(&rule, causes);
        }
    }
}

/// What of the rules of a policy that mutates is about an operation that mutates nothing.
pub(super) fn validate_mutating_operations(resources: &At<'_>, causes: &mut Causes) {
    const MUTATING: &[&str] = &["*", "CONNECT", "CREATE", "UPDATE"];
    let rules = resources.at("resourceRules");
    for rule in rules.items() {
        for operation in rule.at("operations").items().filter(|one| !MUTATING.contains(&one.text())) {
            causes.not_supported(&rules.at("operations"), operation.text(), MUTATING);
        }
    }
}

/// `validateNamedRuleWithOperations`, of the names
fn validate_resource_names(all: &At<'_>, causes: &mut Causes) {
    let mut seen = BTreeSet::new();
    for name in all.items() {
        names::check(&name, names::path_segment, causes);
        if !seen.insert(name.text()) {
            causes.duplicate(&name, name.text());
        }
    }
}

/// `validateRuleWithOperations`
pub(super) fn validate_rule_with_operations(rule: &At<'_>, causes: &mut Causes) {
    let operations = rule.at("operations");
    validate_list(&operations, "operations", causes);
    for operation in operations.items().filter(|one| !OPERATIONS.contains(&one.text())) {
        causes.not_supported(&operation, operation.text(), OPERATIONS);
    }
    validate_rule(rule, causes);
}

/// A list that has to have something in it, and nothing else if it has a wildcard.
fn validate_list(list: &At<'_>, others: &str, causes: &mut Causes) {
    if list.is_empty() {
        causes.required(list, "");
    }
    if list.list().len() > 1 && list.list().iter().any(|item| item == "*") {
        causes.invalid(list, list.value(), &format!("if '*' is present, must not specify other {others}"));
    }
}

/// `validateRule`
fn validate_rule(rule: &At<'_>, causes: &mut Causes) {
    validate_list(&rule.at("apiGroups"), "API groups", causes);
    let versions = rule.at("apiVersions");
    validate_list(&versions, "API versions", causes);
    for version in versions.items().filter(At::is_empty) {
        causes.required(&version, "");
    }
    validate_resources(&rule.at("resources"), causes);
    validate_choice(&rule.at("scope"), &["*", "Cluster", "Namespaced"], causes);
}

/// `validateResources`
fn validate_resources(resources: &At<'_>, causes: &mut Causes) {
    if resources.is_empty() {
        causes.required(resources, "");
    }
    // Resources of which all subresources are named, and subresources that are named of all resources.
    let (mut whole, mut everywhere) = (BTreeSet::new(), BTreeSet::new());
    // The API server counts only the last one without a subresource.
    let mut last_is_plain = false;
    for resource in resources.items() {
        let text = resource.text();
        if text.is_empty() {
            causes.required(&resource, "");
            continue;
        }
        let Some((name, part)) = text.split_once('/') else {
            last_is_plain = text != "*";
            continue;
        };
        if whole.contains(name) {
            let why = format!("if '{name}/*' is present, must not specify {text}");
            causes.invalid(&resource, text, &why);
        }
        if everywhere.contains(part) {
            let why = format!("if '*/{part}' is present, must not specify {text}");
            causes.invalid(&resource, text, &why);
        }
        if part == "*" {
            whole.insert(name);
        }
        if name == "*" {
            everywhere.insert(part);
        }
    }
    let has = |text: &str| resources.list().iter().any(|item| item == text);
    if resources.list().len() > 1 && has("*/*") {
        let why = "if '*/*' is present, must not specify other resources";
        causes.invalid(resources, resources.value(), why);
    }
    if has("*") && last_is_plain {
        let why = "if '*' is present, must not specify other resources without subresources";
        causes.invalid(resources, resources.value(), why);
    }
}
