//! Takes the place of `pkg/apis/admissionregistration`: webhooks and policies. Expressions are not compiled: an error within
//! one is not reported.

mod bindings;
mod conditions;
mod defaults;
mod policies;
mod rules;
mod webhooks;

use serde_json::Value;

use crate::primitives::equality::semantically_equal;
use crate::primitives::updates;
use crate::primitives::updates::keep_status;
use crate::strategy::Strategy;

const fn strategy(kind: &'static str) -> Strategy {
    Strategy {
        unconditional_update: false,
        prepare_for_create: updates::prepare_for_create,
        prepare_for_update: |object, before| {
            keep_status(object, before);
            updates::count_generation(object, before);
        },
        warnings: |object, _| warnings_for_static_suffix(object),
        ..Strategy::of("admissionregistration.k8s.io", kind, false)
    }
}

pub(crate) const STRATEGIES: &[Strategy] = &[
    Strategy {
        default: defaults::set_defaults_validating_webhook_configuration,
        prepare_for_update: count_generation_of_webhooks,
        validate: |configuration, causes| webhooks::validate(configuration, None, false, causes),
        validate_update: |configuration, before, causes| {
            webhooks::validate(configuration, Some(before), false, causes);
        },
        ..strategy("ValidatingWebhookConfiguration")
    },
    Strategy {
        default: defaults::set_defaults_mutating_webhook_configuration,
        prepare_for_update: count_generation_of_webhooks,
        validate: |configuration, causes| webhooks::validate(configuration, None, true, causes),
        validate_update: |configuration, before, causes| {
            webhooks::validate(configuration, Some(before), true, causes);
        },
        ..strategy("MutatingWebhookConfiguration")
    },
    Strategy {
        default: defaults::set_defaults_admission_policy,
        validate: |policy, causes| policies::validate_validating_admission_policy(policy, None, causes),
        validate_update: |policy, before, causes| {
            policies::validate_validating_admission_policy(policy, Some(before), causes);
        },
        ..strategy("ValidatingAdmissionPolicy")
    },
    Strategy {
        default: defaults::set_defaults_admission_policy,
        validate: |policy, causes| policies::validate_mutating_admission_policy(policy, None, causes),
        validate_update: |policy, before, causes| {
            policies::validate_mutating_admission_policy(policy, Some(before), causes);
        },
        ..strategy("MutatingAdmissionPolicy")
    },
    Strategy {
        default: defaults::set_defaults_admission_policy_binding,
        validate: bindings::validate_validating_admission_policy_binding,
        validate_update: |binding, _, causes| {
            bindings::validate_validating_admission_policy_binding(binding, causes);
        },
        ..strategy("ValidatingAdmissionPolicyBinding")
    },
    Strategy {
        default: defaults::set_defaults_admission_policy_binding,
        validate: bindings::validate_mutating_admission_policy_binding,
        validate_update: |binding, _, causes| {
            bindings::validate_mutating_admission_policy_binding(binding, causes);
        },
        ..strategy("MutatingAdmissionPolicyBinding")
    },
];

/// A change of the webhooks is a new generation.
fn count_generation_of_webhooks(configuration: &mut Value, before: &Value) {
    if !semantically_equal(&configuration["webhooks"], &before["webhooks"]) {
        updates::add_generation(configuration, before);
    }
}

/// `WarningsForStaticSuffix`
fn warnings_for_static_suffix(object: &Value) -> Vec<String> {
    const SUFFIX: &str = ".static.k8s.io";
    let is_reserved = object["metadata"]["name"].as_str().is_some_and(|name| name.ends_with(SUFFIX));
    let warning = format!(
        "metadata.name: names ending with {SUFFIX:?} are reserved for static manifest-based configurations and cannot be managed via the API"
    );
    is_reserved.then_some(warning).into_iter().collect()
}
