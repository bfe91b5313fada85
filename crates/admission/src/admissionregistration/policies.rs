//! ValidatingAdmissionPolicies and MutatingAdmissionPolicies (`pkg/apis/admissionregistration/validation`).

use std::collections::BTreeSet;

use super::conditions::{require_expression, validate_match_conditions, validate_variable};
use super::rules::{
    validate_choice, validate_match_resources, validate_mutating_operations, validate_required_choice,
};
use crate::field::{At, Causes};
use crate::primitives::equality::semantically_equal;
use crate::primitives::{metadata, names};
use crate::schema::go_json;

/// `supportedFailurePolicies`, sorted.
pub(super) const FAILURE_POLICIES: &[&str] = &["Fail", "Ignore"];

/// `supportedReinvocationPolicies`, sorted.
pub(super) const REINVOCATION_POLICIES: &[&str] = &["IfNeeded", "Never"];

/// Maximum number of audit annotations of a policy (`maxAuditAnnotations`).
const ANNOTATIONS_MAX: usize = 20;

/// Maximum length of the expression of an audit annotation, in bytes (`maxAuditAnnotationValueExpressionLength`).
const ANNOTATION_MAX: usize = 5 << 10;

/// `validateValidatingAdmissionPolicy`
pub(super) fn validate_validating_admission_policy(
    policy: &At<'_>,
    before: Option<&At<'_>>,
    causes: &mut Causes,
) {
    metadata::validate_object_meta(&policy.at("metadata"), false, names::dns_subdomain, causes);
    let spec = policy.at("spec");
    validate_common(&spec, before, false, causes);
    let (validations, annotations) = (spec.at("validations"), spec.at("auditAnnotations"));
    if validations.is_empty() && annotations.is_empty() {
        for field in [validations, annotations] {
            causes.required(&field, "validations or auditAnnotations must contain at least one item");
        }
        return;
    }
    for validation in validations.items() {
        validate_validation(&validation, causes);
    }
    validate_audit_annotations(policy.at("metadata.name").text(), &annotations, causes);
}

/// `validateMutatingAdmissionPolicy`
pub(super) fn validate_mutating_admission_policy(
    policy: &At<'_>,
    before: Option<&At<'_>>,
    causes: &mut Causes,
) {
    metadata::validate_object_meta(&policy.at("metadata"), false, names::dns_subdomain, causes);
    let spec = policy.at("spec");
    validate_common(&spec, before, true, causes);
    let mutations = spec.at("mutations");
    if mutations.is_empty() {
        causes.required(&mutations, "mutations must contain at least one item");
    }
    for mutation in mutations.items() {
        validate_mutation(&mutation, causes);
    }
    let reinvocation = spec.at("reinvocationPolicy");
    if reinvocation.is_empty() {
        causes.required(&reinvocation, "");
    } else {
        validate_choice(&reinvocation, REINVOCATION_POLICIES, causes);
    }
}

/// What both kinds of policies begin with.
fn validate_common(spec: &At<'_>, before: Option<&At<'_>>, is_mutating: bool, causes: &mut Causes) {
    validate_required_choice(&spec.at("failurePolicy"), FAILURE_POLICIES, causes);
    let kind = spec.at("paramKind");
    if kind.is_set() {
        validate_param_kind(&kind, causes);
    }
    let constraints = spec.at("matchConstraints");
    if constraints.is_set() {
        validate_match_resources(&constraints, causes);
        if constraints.at("resourceRules").is_empty() {
            causes.required(&constraints.at("resourceRules"), "");
        }
        if is_mutating {
            validate_mutating_operations(&constraints, causes);
        }
    } else {
        causes.required(&constraints, "");
    }
    let is_as_before = |old: At<'_>, name| semantically_equal(spec.at(name).value(), old.at(name).value());
    let ignores_conditions = before.is_some_and(|before| {
        ["paramKind", "matchConditions"].into_iter().all(|name| is_as_before(before.at("spec"), name))
    });
    if !ignores_conditions {
        validate_match_conditions(&spec.at("matchConditions"), causes);
    }
    for variable in spec.at("variables").items() {
        validate_variable(&variable, causes);
    }
}

/// `validateParamKind`
fn validate_param_kind(param: &At<'_>, causes: &mut Causes) {
    let (api_version, kind) = (param.at("apiVersion"), param.at("kind"));
    let text = api_version.text();
    if text.is_empty() {
        causes.required(&api_version, "");
    } else if text.matches('/').count() > 1 {
        causes.invalid(&api_version, text, &format!("unexpected GroupVersion string: {text}"));
    } else {
        let (group, version) = text.split_once('/').unwrap_or(("", text));
        let faults = names::dns_subdomain(group);
        if !group.is_empty() && !faults.is_empty() {
            causes.invalid(&api_version, group, &faults.join(","));
        }
        let faults = names::dns_1035_label(version);
        if version.is_empty() {
            causes.invalid(&api_version, text, "version must be specified");
        } else if !faults.is_empty() {
            causes.invalid(&api_version, version, &faults.join(","));
        }
    }
    let faults = names::dns_1035_label(&kind.text().to_lowercase());
    if kind.is_empty() {
        causes.required(&kind, "");
    } else if !faults.is_empty() {
        let why = format!("may have mixed case, but should otherwise match: {}", faults.join(","));
        causes.invalid(&kind, kind.text(), &why);
    }
}

/// `validateValidation`
fn validate_validation(validation: &At<'_>, causes: &mut Causes) {
    const BLANK: &str = "must be non-empty if specified";
    const REASONS: &[&str] = &["Forbidden", "Invalid", "RequestEntityTooLarge"];
    let is_blank = |field: &At<'_>| !field.is_empty() && field.text().trim().is_empty();
    require_expression(&validation.at("expression"), "expression is not specified", causes);
    let (by_expression, message) = (validation.at("messageExpression"), validation.at("message"));
    if is_blank(&by_expression) {
        causes.invalid(&by_expression, by_expression.text(), BLANK);
    }
    if is_blank(&message) {
        causes.invalid(&message, message.text(), BLANK);
    } else if message.text().trim().contains(['\n', '\r']) {
        causes.invalid(&message, message.text(), "must not contain line breaks");
    }
    validate_choice(&validation.at("reason"), REASONS, causes);
}

/// `validateAuditAnnotation`, of each
fn validate_audit_annotations(policy: &str, annotations: &At<'_>, causes: &mut Causes) {
    if annotations.list().len() > ANNOTATIONS_MAX {
        let shown = go_json("[]AuditAnnotation", annotations.value());
        let why = format!("must not have more than {ANNOTATIONS_MAX} auditAnnotations");
        causes.invalid(annotations, shown, &why);
    }
    let mut seen = BTreeSet::new();
    for annotation in annotations.items() {
        let (key, expression) = (annotation.at("key"), annotation.at("valueExpression"));
        if policy.is_empty() {
            causes.invalid(&key, key.text(), "requires metadata.name be non-empty");
        } else {
            let name = format!("{policy}/{}", key.text());
            for fault in names::label_key(&name) {
                causes.invalid(&key, name.as_str(), &fault);
            }
        }
        require_expression(&expression, "valueExpression is not specified", causes);
        if expression.text().trim().len() > ANNOTATION_MAX {
            causes.required(&expression, &format!("must not exceed {ANNOTATION_MAX} bytes in length"));
        }
        if !seen.insert(key.text()) {
            causes.duplicate(&key, key.text());
        }
    }
}

/// `validateMutation`
fn validate_mutation(mutation: &At<'_>, causes: &mut Causes) {
    const TYPES: [(&str, &str); 2] =
        [("ApplyConfiguration", "applyConfiguration"), ("JSONPatch", "jsonPatch")];
    let patch_type = mutation.at("patchType");
    if patch_type.is_empty() {
        return causes.required(&patch_type, "");
    }
    let [apply, patch] = TYPES;
    let ((name, own), (_, other)) = match patch_type.text() {
        "ApplyConfiguration" => (apply, patch),
        "JSONPatch" => (patch, apply),
        unknown => return causes.not_supported(&patch_type, unknown, &TYPES.map(|(name, _)| name)),
    };
    if mutation.at(own).is_set() {
        require_expression(&mutation.at(own).at("expression"), "", causes);
    } else {
        causes.required(&mutation.at(own), &format!("must be specified when patchType is {name}"));
    }
    if mutation.at(other).is_set() {
        let why = format!("must not be specified when patchType is {name}");
        causes.invalid(&mutation.at(other), format!("{{{other}}}").as_str(), &why);
    }
}
