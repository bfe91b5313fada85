//! Resources of containers and Pods: names, amounts, requests and limits (`ValidateContainerResourceRequirements`).

use crate::field::{At, Causes};
use crate::primitives::names;
use crate::primitives::quantity::Quantity;

/// `standardResources`
const STANDARD: [&str; 20] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "storage",
    "requests.storage",
    "services.nodeports",
    "services.loadbalancers",
];

/// `integerResources`
const INTEGERS: [&str; 9] = [
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
];

/// What a quantity says; nothing counts as zero.
pub(crate) fn amount(quantity: &At<'_>) -> Quantity {
    Quantity::of(quantity.text())
}

/// `helper.IsHugePageResourceName`
pub(crate) fn is_huge_page(name: &str) -> bool {
    name.starts_with("hugepages-")
}

/// `helper.IsNativeResource`
pub(crate) fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

/// `helper.IsExtendedResourceName`
pub(crate) fn is_extended(name: &str) -> bool {
    !is_native(name)
        && !name.starts_with("requests.")
        && names::label_key(&format!("requests.{name}")).is_empty()
}

/// `helper.IsStandardResourceName`
pub(crate) fn is_standard(name: &str) -> bool {
    STANDARD.contains(&name) || is_huge_page(name) || name.starts_with("requests.hugepages-")
}

/// `helper.IsIntegerResourceName`
pub(crate) fn is_integer(name: &str) -> bool {
    INTEGERS.contains(&name) || is_extended(name)
}

/// `helper.IsOvercommitAllowed`
fn is_overcommit_allowed(name: &str) -> bool {
    is_native(name) && !is_huge_page(name)
}

/// `validateResourceName`: whether it is one.
pub(crate) fn validate_resource_name(name: &str, field: &At<'_>, causes: &mut Causes) -> bool {
    let faults = names::label_key(name);
    for fault in &faults {
        causes.invalid(field, name, fault);
    }
    if faults.is_empty() && !name.contains('/') && !is_standard(name) {
        causes.invalid(field, name, "must be a standard resource type or fully qualified");
        return false;
    }
    faults.is_empty()
}

/// `validateContainerResourceName`
pub(crate) fn validate_container_resource_name(name: &str, field: &At<'_>, causes: &mut Causes) {
    validate_resource_name(name, field, causes);
    if name.split('/').count() == 1 {
        if !matches!(name, "cpu" | "memory" | "ephemeral-storage") && !is_huge_page(name) {
            causes.invalid(field, name, "must be a standard resource for containers");
        }
    } else if !is_native(name) && !is_extended(name) {
        causes.invalid(field, name, "doesn't follow extended resource name standard");
    }
}

/// `validatePodResourceName`
fn validate_pod_resource_name(name: &str, field: &At<'_>, causes: &mut Causes) {
    if validate_resource_name(name, field, causes) && !is_pod_level(name) {
        causes.not_supported(field, name, &["cpu", "hugepages-", "memory"]);
    }
}

/// `resourcehelper.IsSupportedPodLevelResource`
pub(crate) fn is_pod_level(name: &str) -> bool {
    matches!(name, "cpu" | "memory") || is_huge_page(name)
}

/// `ValidateNonnegativeQuantity`
pub(crate) fn validate_non_negative_quantity(quantity: &At<'_>, causes: &mut Causes) {
    if amount(quantity) < Quantity::default() {
        causes.invalid(quantity, quantity.text(), "must be greater than or equal to 0");
    }
}

/// `ValidateResourceQuantityValue`
pub(crate) fn validate_resource_quantity_value(name: &str, quantity: &At<'_>, causes: &mut Causes) {
    validate_non_negative_quantity(quantity, causes);
    if is_integer(name) && !amount(quantity).is_whole() {
        causes.invalid(quantity, quantity.text(), "must be an integer");
    }
}
