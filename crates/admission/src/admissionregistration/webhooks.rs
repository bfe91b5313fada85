//! Webhooks (`pkg/apis/admissionregistration/validation`, `k8s.io/apiserver/pkg/util/webhook/validation.go`).

use std::collections::BTreeSet;

use super::conditions::validate_match_conditions;
use super::policies::{FAILURE_POLICIES, REINVOCATION_POLICIES};
use super::rules::{MATCH_POLICIES, validate_choice, validate_rule_with_operations};
use crate::field::{At, Causes};
use crate::primitives::{domains, metadata, names, selectors, urls};

/// `noSideEffectClasses`, sorted.
const NO_SIDE_EFFECTS: &[&str] = &["None", "NoneOnDryRun"];

/// `AcceptedAdmissionReviewVersions`
const REVIEW_VERSIONS: &[&str] = &["v1", "v1beta1"];

/// `validationOptions`: what is asked of webhooks, unless those that are there do without.
struct Asked {
    no_side_effects: bool,
    known_versions: bool,
    unique_names: bool,
    match_conditions: bool,
}

impl Asked {
    fn of(new: &At<'_>, before: Option<&At<'_>>) -> Self {
        let Some(old) = before else {
            let all = true;
            return Asked {
                no_side_effects: all,
                known_versions: all,
                unique_names: all,
                match_conditions: all,
            };
        };
        let mut seen = BTreeSet::new();
        let has_no_side_effects = |hook: At<'_>| NO_SIDE_EFFECTS.contains(&hook.at("sideEffects").text());
        let has_known_version = |hook: At<'_>| {
            let versions = hook.at("admissionReviewVersions");
            versions.is_empty() || versions.items().any(|version| REVIEW_VERSIONS.contains(&version.text()))
        };
        let conditions = |hooks: &At<'_>| {
            hooks.items().map(|hook| hook.at("matchConditions").value().clone()).collect::<Vec<_>>()
        };
        Asked {
            no_side_effects: old.items().all(has_no_side_effects),
            known_versions: old.items().all(has_known_version),
            unique_names: old.items().all(|hook| seen.insert(hook.at("name").text().to_owned())),
            match_conditions: conditions(new) != conditions(old),
        }
    }
}

/// `validateValidatingWebhookConfiguration`, `validateMutatingWebhookConfiguration`
pub(super) fn validate(
    configuration: &At<'_>,
    before: Option<&At<'_>>,
    is_mutating: bool,
    causes: &mut Causes,
) {
    metadata::validate_object_meta(&configuration.at("metadata"), false, names::dns_subdomain, causes);
    let webhooks = configuration.at("webhooks");
    let asked = Asked::of(&webhooks, before.map(|before| before.at("webhooks")).as_ref());
    let mut seen = BTreeSet::new();
    for webhook in webhooks.items() {
        validate_webhook(&webhook, &asked, is_mutating, causes);
        validate_admission_review_versions(&webhook.at("admissionReviewVersions"), &asked, causes);
        let name = webhook.at("name");
        if asked.unique_names && !name.is_empty() && !seen.insert(name.text()) {
            causes.duplicate(&name, name.text());
        }
    }
}

/// `validateValidatingWebhook`, `validateMutatingWebhook`
fn validate_webhook(webhook: &At<'_>, asked: &Asked, is_mutating: bool, causes: &mut Causes) {
    const SIDE_EFFECTS: &[&str] = &["None", "NoneOnDryRun", "Some", "Unknown"];
    domains::validate_fully_qualified_name(&webhook.at("name"), causes);
    for rule in webhook.at("rules").items() {
        validate_rule_with_operations(&rule, causes);
    }
    validate_choice(&webhook.at("failurePolicy"), FAILURE_POLICIES, causes);
    validate_choice(&webhook.at("matchPolicy"), MATCH_POLICIES, causes);
    let effects = webhook.at("sideEffects");
    let allowed = if asked.no_side_effects { NO_SIDE_EFFECTS } else { SIDE_EFFECTS };
    if !effects.is_set() {
        causes.required(&effects, &format!("must specify one of {}", allowed.join(", ")));
    }
    validate_choice(&effects, allowed, causes);
    let timeout = webhook.at("timeoutSeconds");
    if timeout.number_if_set().is_some_and(|seconds| !(1..=30).contains(&seconds)) {
        causes.invalid(&timeout, timeout.number(), "the timeout value must be between 1 and 30 seconds");
    }
    selectors::validate_label_selector(&webhook.at("namespaceSelector"), causes);
    selectors::validate_label_selector(&webhook.at("objectSelector"), causes);
    if is_mutating {
        validate_choice(&webhook.at("reinvocationPolicy"), REINVOCATION_POLICIES, causes);
    }
    validate_client_config(&webhook.at("clientConfig"), causes);
    if asked.match_conditions {
        validate_match_conditions(&webhook.at("matchConditions"), causes);
    }
}

/// `validateAdmissionReviewVersions`
fn validate_admission_review_versions(versions: &At<'_>, asked: &Asked, causes: &mut Causes) {
    let known = REVIEW_VERSIONS.join(", ");
    if versions.is_empty() {
        return causes.required(versions, &format!("must specify one of {known}"));
    }
    let mut seen = BTreeSet::new();
    for version in versions.items() {
        if seen.insert(version.text()) {
            names::check(&version, names::dns_1035_label, causes);
        } else {
            causes.invalid(&version, version.text(), "duplicate version");
        }
    }
    if asked.known_versions && !REVIEW_VERSIONS.iter().any(|version| seen.contains(version)) {
        causes.invalid(versions, versions.value(), &format!("must include at least one of {known}"));
    }
}

fn validate_client_config(config: &At<'_>, causes: &mut Causes) {
    let (url, service) = (config.at("url"), config.at("service"));
    match (url.is_set(), service.is_set()) {
        (true, false) => validate_webhook_url(&url, causes),
        (false, true) => validate_webhook_service(&service, causes),
        _ => causes.required(config, "exactly one of url or service is required"),
    }
}

/// `ValidateWebhookURL`
fn validate_webhook_url(url: &At<'_>, causes: &mut Causes) {
    const FORM: &str = "; desired format: https://host[/path]";
    let parsed = match urls::parse(url.text()) {
        Ok(parsed) => parsed,
        Err(why) => return causes.required(url, &format!("url must be a valid URL: {why}{FORM}")),
    };
    if parsed.scheme != "https" {
        let why = format!("'https' is the only allowed URL scheme{FORM}");
        causes.invalid(url, parsed.scheme.as_str(), &why);
    }
    if parsed.host.is_empty() {
        causes.invalid(url, "", &format!("host must be specified{FORM}"));
    }
    if let Some(user) = parsed.user {
        causes.invalid(url, user, "user information is not permitted in the URL");
    }
    if !parsed.fragment.is_empty() {
        causes.invalid(url, parsed.fragment, "fragments are not permitted in the URL");
    }
    if !parsed.query.is_empty() {
        causes.invalid(url, parsed.query, "query parameters are not permitted in the URL");
    }
}

/// `ValidateWebhookService`, which is called with name and namespace in each other's place.
fn validate_webhook_service(service: &At<'_>, causes: &mut Causes) {
    for (field, other) in [("name", "namespace"), ("namespace", "name")] {
        if service.at(other).is_empty() {
            causes.required(&service.at(field), "");
        }
    }
    let port = service.at("port");
    let faults = names::port_number(port.number());
    if !faults.is_empty() {
        causes.invalid(&port, port.number(), &format!("port is not valid: {}", faults.join(", ")));
    }
    let path = service.at("path");
    let text = path.text();
    if matches!(text, "" | "/") {
        return;
    }
    if text == "//" {
        return causes.invalid(&path, text, "segment[0] may not be empty");
    }
    if !text.starts_with('/') {
        causes.invalid(&path, text, "must start with a '/'");
    }
    // The first byte is not looked at, be it a slash or not.
    let rest = String::from_utf8_lossy(&text.as_bytes()[1..]);
    for (index, segment) in rest.strip_suffix('/').unwrap_or(&rest).split('/').enumerate() {
        if segment.is_empty() {
            causes.invalid(&path, text, &format!("segment[{index}] may not be empty"));
            continue;
        }
        for fault in names::dns_subdomain(segment) {
            causes.invalid(&path, text, &format!("segment[{index}]: {fault}"));
        }
    }
}
