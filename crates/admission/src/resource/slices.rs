//! ResourceSlices (`pkg/apis/resource/validation`, `pkg/registry/resource/resourceslice/strategy.go`).

use serde_json::Value;

use super::counters::validate_counter_set;
use super::device_names::validate_pool_name;
use super::devices::validate_device;
use super::lists::validate_set;
use crate::core::validation::metadata;
use crate::core::validation::node_selector::validate_node_selector;
use crate::core::validation::volume_sources::validate_csi_driver_name;
use crate::field::{At, Causes, Shown};
use crate::primitives::metadata::validate_immutable;
use crate::primitives::names;
use crate::schema::go_json;

/// Maximum number of devices, and of those with taints or counters (`ResourceSliceMaxDevices`,
/// `ResourceSliceMaxDevicesWithAdvancedFeatures`).
const DEVICES_MAX: usize = 128;
const ADVANCED_DEVICES_MAX: usize = 64;

/// Maximum number of sets of counters (`ResourceSliceMaxCounterSets`).
const COUNTER_SETS_MAX: usize = 8;

/// `dropDisabledFields`, of the gates that are off.
pub(super) fn drop_disabled_fields(slice: &mut Value, before: Option<&Value>) {
    const LISTS: [&str; 4] = ["bools", "ints", "strings", "versions"];
    let devices = |slice: &Value| slice["spec"]["devices"].as_array().cloned().unwrap_or_default();
    let old = before.map(devices).unwrap_or_default();
    let has_mappings = |device: &Value| {
        device["nodeAllocatableResourceMappings"].as_object().is_some_and(|all| !all.is_empty())
    };
    let has_lists = |device: &Value| {
        let attributes = device["attributes"].as_object();
        let mut all = attributes.into_iter().flatten();
        all.any(|(_, attribute)| LISTS.iter().any(|list| attribute.get(*list).is_some()))
    };
    let (keeps_mappings, keeps_lists) = (old.iter().any(has_mappings), old.iter().any(has_lists));
    let devices = slice.pointer_mut("/spec/devices").and_then(Value::as_array_mut);
    for device in devices.into_iter().flatten().filter_map(Value::as_object_mut) {
        if !keeps_mappings {
            device.remove("nodeAllocatableResourceMappings");
        }
        let attributes = device.get_mut("attributes").and_then(Value::as_object_mut);
        for (_, attribute) in attributes.into_iter().flatten().filter(|_| !keeps_lists) {
            if let Some(attribute) = attribute.as_object_mut() {
                attribute.retain(|field, _| !LISTS.contains(&field.as_str()));
            }
        }
    }
}

/// `ValidateResourceSlice`
pub(super) fn validate_resource_slice(slice: &At<'_>, causes: &mut Causes) {
    metadata::validate_object_meta(&slice.at("metadata"), false, names::dns_subdomain, causes);
    validate_spec(&slice.at("spec"), None, causes);
}

/// `ValidateResourceSliceUpdate`
pub(super) fn validate_resource_slice_update(slice: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    metadata::validate_object_meta_update(&slice.at("metadata"), &before.at("metadata"), causes);
    validate_spec(&slice.at("spec"), Some(&before.at("spec")), causes);
}

/// `validateResourceSliceSpec`
fn validate_spec(spec: &At<'_>, before: Option<&At<'_>>, causes: &mut Causes) {
    validate_csi_driver_name(&spec.at("driver"), causes);
    validate_pool(&spec.at("pool"), causes);
    if let Some(old) = before {
        validate_immutable(&spec.at("pool.name"), &old.at("pool.name"), causes);
        validate_immutable(&spec.at("driver"), &old.at("driver"), causes);
        let name = spec.at("nodeName");
        if name.value() != old.at("nodeName").value() {
            let shown = name.text_if_set().map_or_else(Shown::nil, Shown::from);
            causes.invalid(&name, shown, "field is immutable");
        }
    }
    validate_nodes(spec, causes);
    let (devices, counters) = (spec.at("devices"), spec.at("sharedCounters"));
    if counters.is_set() && devices.is_set() {
        causes.invalid(spec, "", "only one of `sharedCounters` or `devices` is allowed");
    }
    let is_advanced =
        |device: At<'_>| !device.at("taints").is_empty() || !device.at("consumesCounters").is_empty();
    let max = if devices.items().any(is_advanced) { ADVANCED_DEVICES_MAX } else { DEVICES_MAX };
    let is_per_device = spec.at("perDeviceNodeSelection").is_true();
    let validate = |device: &At<'_>, causes: &mut Causes| {
        let name = device.at("name").text();
        let mut all = before.map(|old| old.at("devices")).into_iter().flat_map(|devices| devices.items());
        let old = all.find(|old| old.at("name").text() == name);
        validate_device(device, old.as_ref(), is_per_device, causes);
    };
    validate_set(&devices, max, validate, |device| device.at("name").text(), causes);
    validate_set(&counters, COUNTER_SETS_MAX, validate_counter_set, |set| set.at("name").text(), causes);
}

/// `validateResourcePool`
fn validate_pool(pool: &At<'_>, causes: &mut Causes) {
    validate_pool_name(&pool.at("name"), causes);
    let (count, generation) = (pool.at("resourceSliceCount"), pool.at("generation"));
    if count.number() <= 0 {
        causes.invalid(&count, count.number(), "must be greater than zero");
    }
    if generation.number() < 0 {
        causes.invalid(&generation, generation.number(), "must be greater than or equal to zero");
    }
}

/// Which nodes the devices are on: exactly one field.
fn validate_nodes(spec: &At<'_>, causes: &mut Causes) {
    const ONE: &str =
        "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";
    let mut fields = Vec::new();
    let name = spec.at("nodeName");
    if name.is_set() {
        if name.is_empty() {
            causes.invalid(&name, "", "must be either unset or set to a non-empty string");
        } else {
            fields.push("`nodeName`");
            names::check(&name, names::dns_subdomain, causes);
        }
    }
    let selector = spec.at("nodeSelector");
    if selector.is_set() {
        fields.push("`nodeSelector`");
        validate_node_selector(&selector, false, causes);
        let terms = selector.at("nodeSelectorTerms");
        if terms.list().len() != 1 {
            let shown = go_json("[]NodeSelectorTerm", terms.value());
            causes.invalid(&terms, shown, "must have exactly one node selector term");
        }
    }
    for (field, shown) in [("allNodes", "`allNodes`"), ("perDeviceNodeSelection", "`perDeviceNodeSelection`")]
    {
        let field = spec.at(field);
        if field.is_true() {
            fields.push(shown);
        } else if field.is_set() {
            causes.invalid(&field, false, "must be either unset or set to true");
        }
    }
    match fields.len() {
        0 => causes.required(spec, ONE),
        1 => {}
        _ => {
            let shown = format!("{{{}}}", fields.join(", "));
            causes.invalid(spec, shown.as_str(), &format!("{ONE}, but multiple fields are set"));
        }
    }
}
