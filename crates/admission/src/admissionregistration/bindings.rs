//! Where policies are in force (`pkg/apis/admissionregistration/validation`).

use std::collections::BTreeSet;

use super::rules::{validate_choice, validate_match_resources, validate_mutating_operations};
use crate::field::{At, Causes};
use crate::primitives::{metadata, names, selectors};

/// `validateValidatingAdmissionPolicyBinding`
pub(super) fn validate_validating_admission_policy_binding(binding: &At<'_>, causes: &mut Causes) {
    validate_common(binding, causes);
    validate_validation_actions(&binding.at("spec.validationActions"), causes);
}

/// `validateMutatingAdmissionPolicyBinding`
pub(super) fn validate_mutating_admission_policy_binding(binding: &At<'_>, causes: &mut Causes) {
    validate_common(binding, causes);
    validate_mutating_operations(&binding.at("spec.matchResources"), causes);
}

fn validate_common(binding: &At<'_>, causes: &mut Causes) {
    metadata::validate_object_meta(&binding.at("metadata"), false, names::dns_subdomain, causes);
    let spec = binding.at("spec");
    let policy = spec.at("policyName");
    if policy.is_empty() {
        causes.required(&policy, "");
    } else {
        names::check(&policy, names::dns_subdomain, causes);
    }
    if spec.at("paramRef").is_set() {
        validate_param_ref(&spec.at("paramRef"), causes);
    }
    validate_match_resources(&spec.at("matchResources"), causes);
}

/// `validateParamRef`
fn validate_param_ref(reference: &At<'_>, causes: &mut Causes) {
    const ONE: &str = "name and selector are mutually exclusive";
    let (name, selector) = (reference.at("name"), reference.at("selector"));
    if !name.is_empty() {
        names::check(&name, names::path_segment, causes);
        if selector.is_set() {
            causes.forbidden(&name, ONE);
        }
    }
    if selector.is_set() {
        selectors::validate_label_selector(&selector, causes);
        if !name.is_empty() {
            causes.forbidden(&selector, ONE);
        }
    }
    if name.is_empty() && !selector.is_set() {
        causes.required(reference, "one of name or selector must be specified");
    }
    let action = reference.at("parameterNotFoundAction");
    if action.is_empty() {
        causes.required(&action, "");
    } else {
        validate_choice(&action, &["Deny", "Allow"], causes);
    }
}

/// `validateValidationActions`
fn validate_validation_actions(actions: &At<'_>, causes: &mut Causes) {
    let mut seen = BTreeSet::new();
    for action in actions.items() {
        validate_choice(&action, &["Audit", "Deny", "Warn"], causes);
        if !seen.insert(action.text()) {
            causes.duplicate(&action, action.text());
        }
    }
    if seen.contains("Deny") && seen.contains("Warn") {
        let why = "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)";
        causes.invalid(actions, actions.value(), why);
    }
    if seen.is_empty() {
        causes.required(actions, "at least one validation action is required");
    }
}
