//! What a device takes of the node's own resources (`validateNodeAllocatableResourceMappings`).

use crate::autoscaling::sign;
use crate::core::validation::resources::is_native;
use crate::field::{At, Causes};

/// `validateNodeAllocatableResourceMappings`
pub(super) fn validate_node_allocatable_resource_mappings(device: &At<'_>, causes: &mut Causes) {
    let capacity = device.at("capacity");
    for (name, mapping) in device.at("nodeAllocatableResourceMappings").entries() {
        if !is_native(name) {
            causes.invalid(&mapping, name, "must be a node allocatable resource name");
        }
        let (multiplier, key) = (mapping.at("allocationMultiplier"), mapping.at("capacityKey"));
        if !multiplier.is_set() && !key.is_set() {
            let why = "at least one of allocationMultiplier or capacityKey must be set";
            causes.invalid(&mapping, "", why);
        }
        if multiplier.is_set() && sign(&multiplier) <= 0 {
            causes.invalid(&multiplier, multiplier.text(), "must be positive");
        }
        match key.text_if_set() {
            Some("") => causes.invalid(&key, "", "capacityKey must not be an empty string"),
            Some(text) if capacity.value().get(text).is_none() => causes.not_found(&key, text),
            _ => {}
        }
    }
}
