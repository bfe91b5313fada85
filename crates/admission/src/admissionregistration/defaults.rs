//! `pkg/apis/admissionregistration/v1/defaults.go`

use clusterlocal_core::store;
use serde_json::{Map, Value, json};

/// `SetObjectDefaults_ValidatingWebhookConfiguration`
pub(super) fn set_defaults_validating_webhook_configuration(configuration: &mut Value) {
    for_each(configuration.get_mut("webhooks"), set_defaults_webhook);
}

/// `SetObjectDefaults_MutatingWebhookConfiguration`
pub(super) fn set_defaults_mutating_webhook_configuration(configuration: &mut Value) {
    for_each(configuration.get_mut("webhooks"), |webhook| {
        set_defaults_webhook(webhook);
        webhook.entry("reinvocationPolicy").or_insert_with(|| "Never".into());
    });
}

/// `SetObjectDefaults_ValidatingAdmissionPolicy`, `SetObjectDefaults_MutatingAdmissionPolicy`
pub(super) fn set_defaults_admission_policy(policy: &mut Value) {
    let Some(policy) = policy.as_object_mut() else { return };
    let spec = store::object(policy, "spec");
    spec.entry("failurePolicy").or_insert_with(|| "Fail".into());
    set_defaults_match_resources(spec.get_mut("matchConstraints"));
}

/// `SetObjectDefaults_ValidatingAdmissionPolicyBinding`, `SetObjectDefaults_MutatingAdmissionPolicyBinding`
pub(super) fn set_defaults_admission_policy_binding(binding: &mut Value) {
    set_defaults_match_resources(binding.pointer_mut("/spec/matchResources"));
}

fn set_defaults_webhook(webhook: &mut Map<String, Value>) {
    webhook.entry("failurePolicy").or_insert_with(|| "Fail".into());
    set_defaults_selection(webhook);
    webhook.entry("timeoutSeconds").or_insert_with(|| 10.into());
    let service = webhook.get_mut("clientConfig").and_then(|config| config.get_mut("service"));
    if let Some(service) = service.and_then(Value::as_object_mut) {
        service.entry("port").or_insert_with(|| 443.into());
    }
    for_each(webhook.get_mut("rules"), set_defaults_rule);
}

fn set_defaults_match_resources(resources: Option<&mut Value>) {
    let Some(resources) = resources.and_then(Value::as_object_mut) else { return };
    set_defaults_selection(resources);
    for rules in ["resourceRules", "excludeResourceRules"] {
        for_each(resources.get_mut(rules), set_defaults_rule);
    }
}

/// What webhooks and policies have in common.
fn set_defaults_selection(of: &mut Map<String, Value>) {
    of.entry("matchPolicy").or_insert_with(|| "Equivalent".into());
    of.entry("namespaceSelector").or_insert_with(|| json!({}));
    of.entry("objectSelector").or_insert_with(|| json!({}));
}

fn set_defaults_rule(rule: &mut Map<String, Value>) {
    rule.entry("scope").or_insert_with(|| "*".into());
}

fn for_each(list: Option<&mut Value>, set: impl Fn(&mut Map<String, Value>)) {
    for item in list.and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut) {
        set(item);
    }
}
