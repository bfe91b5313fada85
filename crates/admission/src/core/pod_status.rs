//! What a client may write into the status of a Pod: `podStatusStrategy`, `ValidatePodStatusUpdate`.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::container_statuses;
use super::defaults::items;
use super::validation::annotations::validate_pod_specific_annotation_updates;
use super::validation::metadata::validate_object_meta_update;
use super::validation::resources::is_native;
use crate::field::{At, Causes, Shown};
use crate::primitives::defaults::round_up;
use crate::primitives::{addresses, names};
use crate::schema::go_json;
use clusterlocal_core::text::Quantity;

/// The defaults of the status of a Pod: its amounts are in whole thousandths.
pub(super) fn default_pod_status(pod: &mut Value) {
    default_pod_ips(pod);
    let Some(status) = pod.get_mut("status").filter(|status| status.is_object()) else { return };
    round_up_resources(status);
    for list in ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"] {
        items(status, list).for_each(round_up_resources);
    }
}

fn round_up_resources(of: &mut Value) {
    for list in ["/allocatedResources", "/resources/limits", "/resources/requests"] {
        round_up(of.pointer_mut(list));
    }
}

/// `Convert_v1_PodStatus_To_core_PodStatus`, and back: of the two fields for the addresses of a Pod the older counts.
fn default_pod_ips(pod: &mut Value) {
    let Some(status) = pod.get_mut("status").and_then(Value::as_object_mut) else { return };
    let first = status.get("podIPs").and_then(|all| all.get(0)).map(|first| first["ip"].clone());
    match (status.get("podIP").cloned(), first) {
        (Some(ip), first) if ip != "" && first.as_ref() != Some(&ip) => {
            status.insert("podIPs".into(), json!([{ "ip": ip }]));
        }
        (_, Some(first)) if first.is_string() => drop(status.insert("podIP".into(), first)),
        _ => {}
    }
}

/// `PrepareForUpdate` of the status of Pods
pub(super) fn prepare_pod_status(pod: &mut Value, before: &Value) {
    // They are not the kubelet's to write.
    for field in ["ownerReferences", "deletionTimestamp"] {
        let Some(metadata) = pod["metadata"].as_object_mut() else { return };
        match before["metadata"].get(field) {
            Some(value) => _ = metadata.insert(field.into(), value.clone()),
            None => _ = metadata.remove(field),
        }
    }
    let (old, Some(status)) = (&before["status"], pod["status"].as_object_mut()) else { return };
    for (field, zero) in [("qosClass", json!("")), ("observedGeneration", json!(0))] {
        let is_left = status.get(field).is_none_or(|value| *value == zero);
        if let Some(value) = old.get(field).filter(|_| is_left) {
            status.insert(field.into(), value.clone());
        }
    }
    // The gate `DRANodeAllocatableResources` is off.
    if old.get("nodeAllocatableResourceClaimStatuses").is_none() {
        status.remove("nodeAllocatableResourceClaimStatuses");
    }
    preserve_observed_generations(&mut pod["status"], old);
    container_statuses::drop_image_volume_digests(&mut pod["status"], old);
}

/// `preserveOldObservedGeneration`: one for each condition of a type, in order.
fn preserve_observed_generations(status: &mut Value, old: &Value) {
    let mut known: Vec<&Value> = old["conditions"].as_array().into_iter().flatten().collect();
    for condition in items(status, "conditions") {
        let Some(at) = known.iter().position(|old| old["type"] == condition["type"]) else { continue };
        let generation = &known.remove(at)["observedGeneration"];
        let is_left = condition["observedGeneration"].as_i64().unwrap_or_default() == 0;
        if let Some(condition) = condition.as_object_mut().filter(|_| is_left && !generation.is_null()) {
            condition.insert("observedGeneration".into(), generation.clone());
        }
    }
}

/// `ValidatePodStatusUpdate`
pub(super) fn validate_pod_status_update(pod: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    let (metadata, spec) = (pod.at("metadata"), pod.at("spec"));
    validate_object_meta_update(&metadata, &before.at("metadata"), causes);
    validate_pod_specific_annotation_updates(
        &metadata.at("annotations"),
        &before.at("metadata.annotations"),
        &spec,
        causes,
    );
    let (status, old) = (pod.at("status"), before.at("status"));
    validate_pod_conditions(&status.at("conditions"), causes);
    validate_nominated_node_name(&status, before, causes);
    validate_generation(&status, causes);
    let (class, was) = (status.at("qosClass"), old.at("qosClass"));
    if class.text() != was.text() {
        causes.invalid(&class, class.text(), "field is immutable");
    }
    container_statuses::validate_transitions(&status, &old, &spec, causes);
    validate_pod_resource_claim_statuses(&status, &spec, causes);
    validate_pod_extended_resource_claim_status(&status, &spec, causes);
    validate_node_allocatable_resource_claim_statuses(&status, &spec, causes);
    validate_ips(&status.at("podIPs"), &old.at("podIPs"), "PodIP", causes);
    let host_ips = status.at("hostIPs");
    if !host_ips.is_empty() {
        let first = host_ips.item(0).at("ip");
        if status.at("hostIP").text() != first.text() {
            causes.invalid(&first, first.text(), "must be equal to `hostIP`");
        }
        validate_ips(&host_ips, &old.at("hostIPs"), "HostIP", causes);
    }
    container_statuses::validate_users(&status, &spec, causes);
    container_statuses::validate_allocated_resources(&status, &spec, causes);
}

/// `validatePodConditions`. The path of the type has a capital letter.
fn validate_pod_conditions(conditions: &At<'_>, causes: &mut Causes) {
    for condition in conditions.items() {
        validate_generation(&condition, causes);
        let kind = condition.at("type");
        if !matches!(kind.text(), "PodScheduled" | "Ready" | "Initialized") {
            names::check(&condition.at("Type").with(kind.value()), names::label_key, causes);
        }
    }
}

fn validate_generation(of: &At<'_>, causes: &mut Causes) {
    let generation = of.at("observedGeneration");
    if generation.number() < 0 {
        causes.invalid(&generation, generation.number(), "must be a non-negative integer");
    }
}

fn validate_nominated_node_name(status: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    let name = status.at("nominatedNodeName");
    if name.is_empty() || name.text() == before.at("status.nominatedNodeName").text() {
        return;
    }
    names::check(&name, names::dns_subdomain, causes);
    if !before.at("spec.nodeName").is_empty() {
        causes.forbidden(&name, "may not be set on pods that are already bound to a node");
    }
}

/// `validatePodResourceClaimStatuses`
fn validate_pod_resource_claim_statuses(status: &At<'_>, spec: &At<'_>, causes: &mut Causes) {
    let mut seen = HashSet::new();
    for claim in status.at("resourceClaimStatuses").items() {
        let name = claim.at("name");
        if !spec.at("resourceClaims").items().any(|one| one.at("name").text() == name.text()) {
            let why = "must match the name of an entry in `spec.resourceClaims`";
            causes.invalid(&name, name.text(), why);
        }
        if !seen.insert(name.text()) {
            causes.duplicate(&name, name.text());
        }
        if claim.at("resourceClaimName").is_set() {
            names::check(&claim.at("resourceClaimName"), names::dns_subdomain, causes);
        }
    }
}

/// `validatePodExtendedResourceClaimStatus`. All names of requests have one path.
fn validate_pod_extended_resource_claim_status(status: &At<'_>, spec: &At<'_>, causes: &mut Causes) {
    let extended = status.at("extendedResourceClaimStatus");
    if !extended.is_set() {
        return;
    }
    let mappings = extended.at("requestMappings");
    if mappings.is_empty() {
        causes.required(&mappings, "at least one request mapping is required");
    }
    let mut seen = HashSet::new();
    for mapping in mappings.items() {
        let [container, resource, request] =
            ["containerName", "resourceName", "requestName"].map(|name| mapping.at(name));
        let mut containers =
            ["containers", "initContainers"].into_iter().flat_map(|list| spec.at(list).items());
        match containers.find(|one| one.at("name").text() == container.text()) {
            Some(one) if one.at("resources.requests").key(resource.text()).is_set() => {}
            Some(_) => causes.invalid(
                &resource,
                resource.text(),
                "must match the extended resource name of an entry in spec.initContainers.resources.requests or spec.containers.resources.requests",
            ),
            None => causes.invalid(
                &container,
                container.text(),
                "must match the name of an entry in spec.initContainers.name or spec.containers.name",
            ),
        }
        names::check(&extended.at("requestName").with(request.value()), names::dns_label, causes);
        if !seen.insert([&container, &resource, &request].map(At::text)) {
            for name in [&container, &resource, &request] {
                causes.duplicate(name, name.text());
            }
        }
    }
    let name = extended.at("resourceClaimName");
    if name.is_empty() {
        causes.required(&name, "");
    } else {
        names::check(&name, names::dns_subdomain, causes);
    }
}

/// `validateNodeAllocatableResourceClaimStatus`
fn validate_node_allocatable_resource_claim_statuses(status: &At<'_>, spec: &At<'_>, causes: &mut Causes) {
    for claim in status.at("nodeAllocatableResourceClaimStatuses").items() {
        let name = claim.at("resourceClaimName");
        if name.is_empty() {
            causes.required(&name, "must not be empty");
        }
        let mut known = [spec.at("resourceClaims"), status.at("resourceClaimStatuses")]
            .into_iter()
            .flat_map(|list| list.items());
        if !known.any(|one| one.at("resourceClaimName").text_if_set() == Some(name.text())) {
            causes.invalid(&name, name.text(), "no mapping found in pod reference");
        }
        let (containers, resources) = (claim.at("containers"), claim.at("resources"));
        for list in [&containers, &resources].into_iter().filter(|list| list.is_empty()) {
            causes.required(list, "must not be empty");
        }
        for (resource, quantity) in resources.entries() {
            if !is_native(resource) {
                causes.invalid(&quantity, resource, "must be a node allocatable resource name");
            }
            if Quantity::of(quantity.text()) < Quantity::ZERO {
                causes.invalid(&quantity, quantity.text(), "must be non-negative");
            }
        }
    }
}

/// `validatePodIPs`, `validateHostIPs`: one address of each family. What was there before may stay.
fn validate_ips(ips: &At<'_>, before: &At<'_>, type_name: &str, causes: &mut Causes) {
    let old: Value = before.items().map(|one| one.at("ip").value().clone()).collect();
    for one in ips.items() {
        addresses::is_valid_ip_for_legacy_field(&one.with(&one.value()["ip"]), &At::root(&old), causes);
    }
    let all: Vec<&str> = ips.items().map(|one| one.at("ip").text()).collect();
    if all.len() < 2 {
        return;
    }
    let parsed: Vec<_> = all.iter().map(|ip| addresses::parse_ip_sloppy(ip)).collect();
    if let Some(index) = parsed.iter().position(Option::is_none) {
        let why = format!("failed to check for dual stack with error:invalid IP[{index}]: {}", all[index]);
        causes.internal_error(ips, &why);
    }
    let has = |is_v4: bool| parsed.iter().flatten().any(|ip| ip.is_ipv4() == is_v4);
    let is_dual = parsed.iter().all(Option::is_some) && has(true) && has(false);
    if !is_dual || all.len() > 2 {
        let shown: Vec<String> = ips.items().map(|one| go_json(type_name, one.value()).into_text()).collect();
        let shown = Shown::plain(format!("[{}]", shown.join(",")));
        causes.invalid(ips, shown, "may specify no more than one IP for each IP family");
    }
}
