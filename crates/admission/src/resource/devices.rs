//! Devices of a ResourceSlice, their taints, and what tolerates them (`pkg/apis/resource/validation`).

use std::collections::BTreeSet;

use super::capacity::validate_request_policy;
use super::counters::validate_counters;
use super::device_names::{QUALIFIED_MAX, validate_qualified_name};
use super::lists::{validate_map, validate_set, validate_slice};
use super::mappings::validate_node_allocatable_resource_mappings;
use crate::core::validation::node_selector::validate_node_selector;
use crate::field::{At, Causes, Shown};
use crate::primitives::equality::semantically_equal;
use crate::primitives::names;
use crate::schema::go_json;

/// Maximum numbers of attributes and capacities together, and of the values of attributes
/// (`ResourceSliceMaxAttributesAndCapacitiesPerDevice`, `ResourceSliceMaxAttributeValuesPerDevice`).
const ATTRIBUTES_MAX: usize = 32;
const VALUES_MAX: usize = 48;

/// Maximum numbers of taints, of consumed sets of counters, and of conditions of a kind (`DeviceTaintsMaxLength`,
/// `ResourceSliceMaxDeviceCounterConsumptionsPerDevice`, `BindingConditionsMaxSize`).
const TAINTS_MAX: usize = 16;
const CONSUMED_MAX: usize = 2;
const CONDITIONS_MAX: usize = 4;

/// Maximum length of the value of an attribute, in bytes (`DeviceAttributeMaxValueLength`).
const VALUE_MAX: usize = 64;

/// `validDeviceTaintEffects`, sorted.
const EFFECTS: &[&str] = &["NoExecute", "NoSchedule", "None"];

/// The fields of an attribute, and whether it is a list.
const VALUES: [(&str, bool); 8] = [
    ("bool", false),
    ("int", false),
    ("string", false),
    ("version", false),
    ("bools", true),
    ("ints", true),
    ("strings", true),
    ("versions", true),
];

/// `validateDevice`
pub(super) fn validate_device(
    device: &At<'_>,
    before: Option<&At<'_>>,
    is_per_device: bool,
    causes: &mut Causes,
) {
    names::check(&device.at("name"), names::dns_label, causes);
    let (attributes, capacity) = (device.at("attributes"), device.at("capacity"));
    let length = |map: &At<'_>| map.map().map_or(0, serde_json::Map::len);
    let count = length(&attributes) + length(&capacity);
    if count > ATTRIBUTES_MAX {
        let why = format!("the total number of attributes and capacities must not exceed {ATTRIBUTES_MAX}");
        causes.invalid(device, count as i64, &why);
    }
    let values: usize = attributes.entries().map(|(_, attribute)| values(&attribute)).sum();
    if values > VALUES_MAX {
        let why = format!("the total number of attribute values must not exceed {VALUES_MAX}");
        causes.invalid(device, values as i64, &why);
    }
    validate_map(&attributes, None, QUALIFIED_MAX, validate_qualified_name, validate_attribute, causes);
    let is_shared = device.at("allowMultipleAllocations").is_true();
    let validate = |capacity: &At<'_>, causes: &mut Causes| {
        let policy = capacity.at("requestPolicy");
        if policy.is_set() && is_shared {
            validate_request_policy(&capacity.at("value"), &policy, causes);
        } else if policy.is_set() {
            causes.forbidden(&policy, "allowMultipleAllocations must be true");
        }
    };
    validate_map(&capacity, None, QUALIFIED_MAX, validate_qualified_name, validate, causes);
    let taints = device.at("taints");
    if before.is_none_or(|old| !semantically_equal(old.at("taints").value(), taints.value())) {
        validate_slice(&taints, TAINTS_MAX, validate_taint, causes);
    }
    let validate = |consumed: &At<'_>, causes: &mut Causes| {
        validate_counters(&consumed.at("counterSet"), &consumed.at("counters"), causes);
    };
    let consumed = device.at("consumesCounters");
    validate_set(&consumed, CONSUMED_MAX, validate, |one| one.at("counterSet").text(), causes);
    validate_node(device, is_per_device, causes);
    validate_binding(device, causes);
    validate_node_allocatable_resource_mappings(device, causes);
}

/// The node of a device, which it has of its own with `perDeviceNodeSelection`.
fn validate_node(device: &At<'_>, is_per_device: bool, causes: &mut Causes) {
    const ONE: &str = "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec";
    let (name, selector, all) = (device.at("nodeName"), device.at("nodeSelector"), device.at("allNodes"));
    if !is_per_device {
        if name.is_set() || selector.is_set() || all.is_set() {
            let why = "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec";
            causes.invalid(device, Shown::nil(), why);
        }
        return;
    }
    let mut fields = Vec::new();
    if name.is_set() && name.is_empty() {
        causes.invalid(&name, "", "must not be empty");
    } else if name.is_set() {
        fields.push("`nodeName`");
        names::check(&name, names::dns_subdomain, causes);
    }
    if selector.is_set() {
        fields.push("`nodeSelector`");
        validate_node_selector(&selector, false, causes);
    }
    if all.is_true() {
        fields.push("`allNodes`");
    } else if all.is_set() {
        causes.invalid(&all, false, "must be either unset or set to true");
    }
    match fields.len() {
        0 => causes.required(device, ONE),
        1 => {}
        _ => causes.invalid(device, format!("{{{}}}", fields.join(", ")).as_str(), ONE),
    }
}

/// `numEntriesDeviceAttribute`, of one attribute.
fn values(attribute: &At<'_>) -> usize {
    let lists = VALUES.into_iter().filter(|(_, is_list)| *is_list);
    let count: usize = lists.map(|(name, _)| attribute.at(name).list().len()).sum();
    count.max(1)
}

/// `validateDeviceAttribute`
fn validate_attribute(attribute: &At<'_>, causes: &mut Causes) {
    const ONE: &str = "exactly one value must be specified";
    let mut count = 0;
    for (name, is_list) in VALUES {
        let value = attribute.at(name);
        if !value.is_set() {
            continue;
        }
        count += 1;
        if is_list && value.is_empty() {
            causes.invalid(&value, value.value(), "must not be empty if specified");
        }
        let items: Vec<At<'_>> = if is_list { value.items().collect() } else { vec![value] };
        for item in items {
            if name.starts_with("version") && !is_semver(item.text()) {
                causes.invalid(&item, item.text(), "must be a string compatible with semver.org spec 2.0.0");
            }
            if item.text().len() > VALUE_MAX {
                causes.too_long(&item, VALUE_MAX);
            }
        }
    }
    match count {
        0 => causes.invalid(attribute, "", ONE),
        1 => {}
        _ => causes.invalid(attribute, go_json("resource.DeviceAttribute", attribute.value()), ONE),
    }
}

/// `semverRe`
fn is_semver(text: &str) -> bool {
    let is_number = |part: &str| {
        let is_digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        is_digits && (part == "0" || !part.starts_with('0'))
    };
    let is_word = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let (rest, build) = text.split_once('+').map_or((text, None), |(rest, build)| (rest, Some(build)));
    let (version, release) =
        rest.split_once('-').map_or((rest, None), |(version, rest)| (version, Some(rest)));
    let is_release =
        |part: &str| is_word(part) && (is_number(part) || part.bytes().any(|byte| !byte.is_ascii_digit()));
    version.split('.').count() == 3
        && version.split('.').all(is_number)
        && release.is_none_or(|release| release.split('.').all(is_release))
        && build.is_none_or(|build| build.split('.').all(is_word))
}

/// `validateDeviceTaint`
fn validate_taint(taint: &At<'_>, causes: &mut Causes) {
    let effect = taint.at("effect");
    names::check(&taint.at("key"), names::label_key, causes);
    names::check(&taint.at("value"), names::label_value, causes);
    if effect.is_empty() {
        causes.required(&effect, "");
    } else {
        validate_effect(&effect, causes);
    }
}

fn validate_effect(effect: &At<'_>, causes: &mut Causes) {
    if !effect.is_empty() && !EFFECTS.contains(&effect.text()) {
        causes.not_supported(effect, effect.text(), EFFECTS);
    }
}

/// `validateDeviceToleration`
pub(super) fn validate_toleration(toleration: &At<'_>, causes: &mut Causes) {
    let (key, operator) = (toleration.at("key"), toleration.at("operator"));
    let value = toleration.at("value");
    if !key.is_empty() {
        names::check(&key, names::label_key, causes);
    }
    match operator.text() {
        "Exists" if !value.is_empty() => {
            causes.invalid(&value, value.text(), "must be empty for operator `Exists`");
        }
        "Exists" => {}
        "Equal" => names::check(&value, names::label_value, causes),
        "" => causes.required(&operator, ""),
        other => causes.not_supported(&operator, other, &["Equal", "Exists"]),
    }
    validate_effect(&toleration.at("effect"), causes);
}

/// `validateDeviceBindingParameters`
fn validate_binding(device: &At<'_>, causes: &mut Causes) {
    let (conditions, failures) = (device.at("bindingConditions"), device.at("bindingFailureConditions"));
    let validate =
        |condition: &At<'_>, causes: &mut Causes| names::check(condition, names::label_key, causes);
    validate_slice(&conditions, CONDITIONS_MAX, validate, causes);
    validate_slice(&failures, CONDITIONS_MAX, validate, causes);
    let mut seen = BTreeSet::new();
    for condition in conditions.items() {
        if !seen.insert(condition.text()) {
            causes.duplicate(&condition, condition.text());
        }
    }
    let mut failed = BTreeSet::new();
    for failure in failures.items() {
        if !failed.insert(failure.text()) {
            causes.duplicate(&failure, failure.text());
        }
        if seen.contains(failure.text()) {
            let why = "bindingFailureConditions must not overlap with bindingConditions";
            causes.invalid(&failure, failure.text(), why);
        }
    }
    let shown = |list: &At<'_>| if list.is_set() { Shown::from(list.value()) } else { Shown::nil() };
    if conditions.is_empty() && !failures.is_empty() {
        let why = "bindingConditions are required to use bindingFailureConditions";
        causes.invalid(&conditions, shown(&conditions), why);
    }
    if failures.is_empty() && !conditions.is_empty() {
        let why = "bindingFailureConditions are required to use bindingConditions";
        causes.invalid(&failures, shown(&failures), why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        let table = [
            ("1.0.0", true),
            ("1.0.0-alpha.1+b.01", true),
            ("1.0.0-0a", true),
            ("1.0", false),
            ("01.0.0", false),
            ("1.0.0-01", false),
            ("1.0.0+", false),
        ];
        for (text, expected) in table {
            assert_eq!(is_semver(text), expected, "{text}");
        }
    }
}
