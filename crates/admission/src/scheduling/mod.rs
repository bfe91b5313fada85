//! Takes the place of `pkg/apis/scheduling`.

use serde_json::Value;

use crate::core::validation::metadata;
use crate::field::{At, Causes, Shown};
use crate::primitives::names;
use crate::strategy::Strategy;
use clusterlocal_core::admission::classes;

pub(crate) const STRATEGIES: &[Strategy] = &[Strategy {
    default: set_defaults_priority_class,
    prepare_for_create: |class| class["metadata"]["generation"] = 1.into(),
    validate: validate_priority_class,
    validate_update: validate_priority_class_update,
    ..Strategy::of("scheduling.k8s.io", "PriorityClass", false)
}];

/// The highest priority that a user may define (`HighestUserDefinablePriority`).
const HIGHEST: i64 = 1_000_000_000;

fn set_defaults_priority_class(class: &mut Value) {
    if let Some(class) = class.as_object_mut() {
        class.entry("preemptionPolicy").or_insert_with(|| "PreemptLowerPriority".into());
    }
}

fn validate_priority_class(class: &At<'_>, causes: &mut Causes) {
    metadata::validate_object_meta(&class.at("metadata"), false, names::dns_subdomain, causes);
    let (name, value) = (class.at("metadata.name"), class.at("value"));
    if name.text().starts_with("system-") {
        if let Some(error) =
            system_class_error(name.text(), value.number(), class.at("globalDefault").is_true())
        {
            let why = format!(
                "priority class names with 'system-' prefix are reserved for system use only. error: {error}"
            );
            causes.forbidden(&name, &why);
        }
    } else if value.number() > HIGHEST {
        causes.forbidden(&value, &format!("maximum allowed value of a user defined priority is {HIGHEST}"));
    }
    validate_preemption_policy(&class.at("preemptionPolicy"), causes);
}

/// `IsKnownSystemPriorityClass`
fn system_class_error(name: &str, value: i64, is_default: bool) -> Option<String> {
    let Some((_, known)) = classes::SYSTEM.into_iter().find(|(system, _)| *system == name) else {
        return Some(format!("{name} is not a known system priority class"));
    };
    if known != value {
        return Some(format!("value of {name} PriorityClass must be {known}"));
    }
    is_default.then(|| format!("globalDefault of {name} PriorityClass must be false"))
}

/// `ValidatePreemptionPolicy` of `pkg/apis/core/validation`.
pub(crate) fn validate_preemption_policy(policy: &At<'_>, causes: &mut Causes) {
    match policy.text_if_set() {
        None | Some("PreemptLowerPriority" | "Never") => {}
        Some("") => causes.required(policy, ""),
        Some(other) => causes.not_supported(policy, other, &["PreemptLowerPriority", "Never"]),
    }
}

fn validate_priority_class_update(class: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    metadata::validate_object_meta_update(&class.at("metadata"), &before.at("metadata"), causes);
    if class.at("value").number() != before.at("value").number() {
        causes.forbidden(&class.at("value"), "may not be changed in an update.");
    }
    let policy = class.at("preemptionPolicy");
    if policy.value() != before.at("preemptionPolicy").value() {
        let shown = policy.text_if_set().map_or_else(Shown::nil, Shown::from);
        causes.invalid(&policy, shown, "field is immutable");
    }
}
