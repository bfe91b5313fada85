//! Takes the place of `pkg/apis/resource`: what Pods claim of devices. Expressions are not compiled, and it is not looked up
//! whether the namespace of a claim allows administrative access. The gates DRANodeAllocatableResources and
//! DRAListTypeAttributes are off.

mod capacity;
mod claims;
mod configuration;
mod counters;
mod defaults;
mod device_names;
mod devices;
mod lists;
mod mappings;
mod slices;

use serde_json::Value;

use crate::primitives::updates;
use crate::primitives::updates::keep_status;
use crate::strategy::Strategy;

/// The API group.
const GROUP: &str = "resource.k8s.io";

pub(crate) const STRATEGIES: &[Strategy] = &[
    Strategy {
        default: |claim| defaults::set_defaults_claim(claim.pointer_mut("/spec/devices")),
        prepare_for_create: |claim| {
            claim.as_object_mut().map(|claim| claim.remove("status"));
        },
        prepare_for_update: keep_status,
        validate: claims::validate_resource_claim,
        validate_update: claims::validate_resource_claim_update,
        ..Strategy::of(GROUP, "ResourceClaim", true)
    },
    Strategy {
        default: |template| defaults::set_defaults_claim(template.pointer_mut("/spec/spec/devices")),
        validate: claims::validate_resource_claim_template,
        validate_update: claims::validate_resource_claim_template_update,
        ..Strategy::of(GROUP, "ResourceClaimTemplate", true)
    },
    Strategy {
        prepare_for_create: set_first_generation,
        prepare_for_update: updates::count_generation,
        validate: configuration::validate_device_class,
        validate_update: configuration::validate_device_class_update,
        ..Strategy::of(GROUP, "DeviceClass", false)
    },
    Strategy {
        prepare_for_create: |slice| {
            set_first_generation(slice);
            slices::drop_disabled_fields(slice, None);
        },
        prepare_for_update: |slice, before| {
            updates::count_generation(slice, before);
            slices::drop_disabled_fields(slice, Some(before));
        },
        validate: |slice, causes| slices::validate_resource_slice(slice, causes),
        validate_update: slices::validate_resource_slice_update,
        ..Strategy::of(GROUP, "ResourceSlice", false)
    },
];

fn set_first_generation(object: &mut Value) {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.insert("generation".into(), 1.into());
    }
}
