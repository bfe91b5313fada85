//! Resources of containers and Pods: names, amounts, requests and limits (`ValidateContainerResourceRequirements`).

use std::collections::BTreeSet;

use super::fields::all_containers;
use crate::field::{At, Causes, Shown};
use crate::primitives::names;
use clusterlocal_core::text::Quantity;

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

/// The value of a quantity; zero if there is none.
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
    if amount(quantity) < Quantity::ZERO {
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

/// `validateResourceQuantityHugePageValue`
fn validate_huge_pages(name: &str, quantity: &At<'_>, causes: &mut Causes) {
    let size = name.strip_prefix("hugepages-").map(Quantity::of);
    let fits = size.is_some_and(|size| {
        size > Quantity::ZERO && size.is_whole() && amount(quantity).value() % size.value() == 0
    });
    if !fits {
        let text = quantity.text();
        causes.invalid(quantity, text, &format!("{text} is not positive integer multiple of {name}"));
    }
}

/// `ValidateContainerResourceRequirements`. `claims` are the names of the resource claims of the Pod.
pub(crate) fn validate_container_resource_requirements(
    requirements: &At<'_>,
    claims: &BTreeSet<&str>,
    causes: &mut Causes,
) {
    validate_resource_requirements(requirements, validate_container_resource_name, claims, causes);
}

/// `validatePodResourceRequirements`
pub(crate) fn validate_pod_resource_requirements(
    requirements: &At<'_>,
    claims: &BTreeSet<&str>,
    causes: &mut Causes,
) {
    validate_resource_requirements(requirements, validate_pod_resource_name, claims, causes);
}

fn validate_resource_requirements(
    requirements: &At<'_>,
    validate_name: fn(&str, &At<'_>, &mut Causes),
    claims: &BTreeSet<&str>,
    causes: &mut Causes,
) {
    let (limits, requests) = (requirements.at("limits"), requirements.at("requests"));
    validate_amounts(&limits, validate_name, causes, |_, _, _| {});
    validate_amounts(&requests, validate_name, causes, |name, request, causes| {
        let limit = limits.key(name);
        if limit.is_set() {
            let relation = amount(request).cmp(&amount(&limit));
            let words = if relation.is_ne() && !is_overcommit_allowed(name) {
                "must be equal to"
            } else if relation.is_gt() {
                "must be less than or equal to"
            } else {
                return;
            };
            causes.invalid(&requests, request.text(), &format!("{words} {name} limit of {}", limit.text()));
        } else if !is_overcommit_allowed(name) {
            causes.required(&limits, "Limit must be set for non overcommitable resources");
        }
    });
    let has = |is: fn(&str) -> bool| limits.entries().chain(requests.entries()).any(|(name, _)| is(name));
    if has(is_huge_page) && !has(|name| matches!(name, "cpu" | "memory")) {
        causes.forbidden(requirements, "HugePages require cpu or memory");
    }
    validate_resource_claim_names(&requirements.at("claims"), claims, causes);
}

fn validate_amounts(
    amounts: &At<'_>,
    validate_name: fn(&str, &At<'_>, &mut Causes),
    causes: &mut Causes,
    compare: impl Fn(&str, &At<'_>, &mut Causes),
) {
    for (name, quantity) in amounts.entries() {
        validate_name(name, &quantity, causes);
        validate_resource_quantity_value(name, &quantity, causes);
        compare(name, &quantity, causes);
        if is_huge_page(name) {
            validate_huge_pages(name, &quantity, causes);
        }
    }
}

/// `validateResourceClaimNames`
fn validate_resource_claim_names(claims: &At<'_>, known: &BTreeSet<&str>, causes: &mut Causes) {
    let mut seen = BTreeSet::<String>::new();
    for claim in claims.items() {
        let (name, request) = (claim.at("name").text(), claim.at("request"));
        if name.is_empty() {
            causes.required(&claim, "");
            continue;
        }
        if seen.contains(name) {
            causes.duplicate(&claim, name);
        } else {
            let key = if request.is_empty() {
                name.to_owned()
            } else {
                names::check(&request, names::dns_label, causes);
                format!("{name}/{}", request.text())
            };
            if seen.contains(&key) {
                causes.duplicate(&claim, key.as_str());
            } else if request.is_empty() {
                for _ in seen.iter().filter(|key| key.split_once('/').is_some_and(|(one, _)| one == name)) {
                    causes.duplicate(&claim, name);
                }
            }
            seen.insert(key);
        }
        if !known.contains(name) {
            let all: Vec<&str> = known.iter().copied().collect();
            let end = if all.is_empty() { " which is empty".into() } else { format!(": {}", all.join(", ")) };
            let why = format!("must be one of the names in pod.spec.resourceClaims{end}");
            causes.not_found_because(&claim, name, &why);
        }
    }
}

/// `validatePodResources`: of a whole Pod.
pub(crate) fn validate_pod_resources(spec: &At<'_>, claims: &BTreeSet<&str>, causes: &mut Causes) {
    let resources = spec.at("resources");
    if !resources.is_set() {
        return;
    }
    if spec.at("os.name").text() == "windows" {
        causes.forbidden(&resources, "may not be set for a windows pod");
        return;
    }
    if resources.at("claims").is_set() {
        causes.forbidden(&resources.at("claims"), "claims may not be set for Resources at pod-level");
    }
    validate_pod_resource_requirements(&resources, claims, causes);
    validate_pod_resource_consistency(spec, &resources, causes);
}

/// `validatePodResourceConsistency`: those of its containers are within those of the Pod.
fn validate_pod_resource_consistency(spec: &At<'_>, resources: &At<'_>, causes: &mut Causes) {
    for (list, words, is_compared) in
        [("requests", "requests", (|_| true) as fn(&str) -> bool), ("limits", "limits", is_huge_page)]
    {
        for (name, of_pod) in resources.at(if list == "limits" { "limits" } else { "requests" }).entries() {
            let mut containers =
                all_containers(spec).map(|container| container.at("resources").at(list).key(name));
            let all = aggregate(spec, list, name);
            if is_compared(name) && containers.any(|amount| amount.is_set()) && all > amount(&of_pod) {
                let why = format!("must be greater than or equal to aggregate container {words} of {all}");
                causes.invalid(&of_pod, of_pod.text(), &why);
            }
        }
    }
    for (index, container) in spec.at("containers").items().enumerate() {
        for (name, limit) in container.at("resources.limits").entries() {
            let of_pod = resources.at("limits").key(name);
            if of_pod.is_set() && amount(&limit) > amount(&of_pod) {
                let field = resources.at("containers").item(index).key(name).at("limits");
                let why = format!("must be less than or equal to pod limits of {}", of_pod.text());
                causes.invalid(&field, Shown::from(limit.text()), &why);
            }
        }
    }
}

/// `AggregateContainerRequests` and `AggregateContainerLimits`: containers run with the sidecars, after the init containers, of
/// which each runs with the sidecars before it.
fn aggregate(spec: &At<'_>, list: &'static str, name: &str) -> Quantity {
    let of = |container: &At<'_>| amount(&container.at("resources").at(list).key(name));
    let (mut sidecars, mut most) = (Quantity::ZERO, Quantity::ZERO);
    for container in spec.at("initContainers").items() {
        if container.at("restartPolicy").text() == "Always" {
            sidecars = sidecars + of(&container);
            most = most.max(sidecars);
        } else {
            most = most.max(sidecars + of(&container));
        }
    }
    let running = spec.at("containers").items().fold(sidecars, |sum, container| sum + of(&container));
    most.max(running)
}
