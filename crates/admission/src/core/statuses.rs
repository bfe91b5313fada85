//! What a client may write into the status of core's kinds: `ValidateServiceStatusUpdate`, `ValidateNamespaceStatusUpdate`,
//! `ValidatePersistentVolumeStatusUpdate`, `ValidatePersistentVolumeClaimStatusUpdate`,
//! `ValidateReplicationControllerStatusUpdate`.

use serde_json::Value;

use super::validation::metadata::validate_object_meta_update;
use super::validation::resources::{amount, is_native, validate_resource_quantity_value};
use crate::field::{At, Causes};
use crate::primitives::counts::{validate_at_most_replicas, validate_counts};
use crate::primitives::{addresses, names};

/// `ValidateServiceStatusUpdate`
pub(super) fn validate_service_status_update(service: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    validate_object_meta_update(&service.at("metadata"), &before.at("metadata"), causes);
    let points = service.at("status.loadBalancer.ingress");
    if service.at("spec.type").text() != "LoadBalancer" && !points.is_empty() {
        causes.forbidden(&points, "may only be used when `spec.type` is 'LoadBalancer'");
        return;
    }
    let known = before.at("status.loadBalancer.ingress");
    for point in points.items() {
        validate_ingress_ip(&point, &known, causes);
        validate_ip_mode(&point, causes);
        validate_ingress_hostname(&point, causes);
    }
}

fn validate_ip_mode(point: &At<'_>, causes: &mut Causes) {
    const MODES: [&str; 2] = ["Proxy", "VIP"];
    let (has_ip, mode) = (!point.at("ip").is_empty(), point.at("ipMode"));
    match mode.text_if_set() {
        None if has_ip => causes.required(&mode, "must be specified when `ip` is set"),
        Some(_) if !has_ip => causes.forbidden(&mode, "may not be specified when `ip` is not set"),
        Some(text) if !MODES.contains(&text) => causes.not_supported(&mode, text, &MODES),
        _ => {}
    }
}

/// The address of a point of entry of a load balancer. One that was there before may stay.
pub(crate) fn validate_ingress_ip(point: &At<'_>, known: &At<'_>, causes: &mut Causes) {
    let ip = point.at("ip");
    if !ip.is_empty() {
        let old: Value = known.items().map(|point| point.at("ip").value().clone()).collect();
        addresses::is_valid_ip_for_legacy_field(&ip, &At::root(&old), causes);
    }
}

/// The name of a point of entry of a load balancer.
pub(crate) fn validate_ingress_hostname(point: &At<'_>, causes: &mut Causes) {
    let hostname = point.at("hostname");
    if hostname.is_empty() {
        return;
    }
    names::check(&hostname, names::dns_subdomain, causes);
    if addresses::parse_ip_sloppy(hostname.text()).is_some() {
        causes.invalid(&hostname, hostname.text(), "must be a DNS name, not an IP address");
    }
}

/// `ValidateNamespaceStatusUpdate`. The path of the phase has a capital letter.
pub(super) fn validate_namespace_status_update(namespace: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    validate_object_meta_update(&namespace.at("metadata"), &before.at("metadata"), causes);
    let phase = namespace.at("status.phase").text();
    let at = namespace.at("status.Phase");
    if !namespace.at("metadata.deletionTimestamp").is_set() {
        if phase != "Active" {
            causes.invalid(&at, phase, "may only be 'Active' if `deletionTimestamp` is empty");
        }
    } else if phase != "Terminating" {
        causes.invalid(&at, phase, "may only be 'Terminating' if `deletionTimestamp` is not empty");
    }
}

/// `PrepareForUpdate` of the status of PersistentVolumes: a phase that stays keeps its time.
pub(super) fn prepare_persistent_volume_status(volume: &mut Value, before: &Value) {
    const TIME: &str = "lastPhaseTransitionTime";
    if volume["status"]["phase"] == before["status"]["phase"]
        && volume["status"].get(TIME).is_none()
        && let (Some(status), Some(time)) = (volume["status"].as_object_mut(), before["status"].get(TIME))
    {
        status.insert(TIME.into(), time.clone());
    }
}

/// `ValidatePersistentVolumeStatusUpdate`
pub(super) fn validate_persistent_volume_status_update(
    volume: &At<'_>,
    before: &At<'_>,
    causes: &mut Causes,
) {
    validate_object_meta_update(&volume.at("metadata"), &before.at("metadata"), causes);
}

/// `ValidatePersistentVolumeClaimStatusUpdate`
pub(super) fn validate_persistent_volume_claim_status_update(
    claim: &At<'_>,
    before: &At<'_>,
    causes: &mut Causes,
) {
    validate_object_meta_update(&claim.at("metadata"), &before.at("metadata"), causes);
    if claim.at("spec.accessModes").is_empty() {
        causes.required(&claim.at("Spec.accessModes"), "");
    }
    for (_, capacity) in claim.at("status.capacity").entries() {
        validate_basic_resource(&capacity, causes);
    }
    // Errors of keys have the path of their map.
    let statuses = claim.at("status.allocatedResourceStatuses");
    for (key, status) in statuses.entries() {
        validate_claim_resource_key(key, &statuses, causes);
        if !RESIZE_STATUSES.contains(&status.text()) {
            causes.not_supported(&statuses, key, &RESIZE_STATUSES);
        }
    }
    let allocated = claim.at("status.allocatedResources");
    for (key, quantity) in allocated.entries() {
        if validate_claim_resource_key(key, &allocated, causes) && validate_basic_resource(&quantity, causes)
        {
            validate_resource_quantity_value("storage", &quantity, causes);
        }
    }
}

/// `resizeStatusSet`
const RESIZE_STATUSES: [&str; 5] = [
    "ControllerResizeInProgress",
    "ControllerResizeInfeasible",
    "NodeResizeInProgress",
    "NodeResizeInfeasible",
    "NodeResizePending",
];

/// `validateBasicResource`: whether it is one.
fn validate_basic_resource(quantity: &At<'_>, causes: &mut Causes) -> bool {
    let value = amount(quantity).low_value();
    let is_valid = value >= 0;
    if !is_valid {
        causes.invalid(quantity, value, "must be a valid resource quantity");
    }
    is_valid
}

/// `validatePersistentVolumeClaimResourceKey`: whether it is one.
fn validate_claim_resource_key(key: &str, field: &At<'_>, causes: &mut Causes) -> bool {
    let faults = names::label_key(key);
    for fault in &faults {
        causes.invalid(field, key, fault);
    }
    let is_supported = !is_native(key) || key == "storage";
    if faults.is_empty() && !is_supported {
        causes.not_supported(field, key, &["storage"]);
    }
    faults.is_empty() && is_supported
}

/// `ValidateReplicaSetStatusUpdate`, and that of ReplicationControllers, whose metadata has rules of its own.
pub(crate) fn validate_replica_set_status(status: &At<'_>, causes: &mut Causes) {
    let counts = [
        "replicas",
        "fullyLabeledReplicas",
        "readyReplicas",
        "availableReplicas",
        "observedGeneration",
        "terminatingReplicas",
    ];
    validate_counts(status, &counts, causes);
    let limited = ["fullyLabeledReplicas", "readyReplicas", "availableReplicas"];
    validate_at_most_replicas(status, &limited, "cannot be greater than readyReplicas", causes);
}

/// `ValidateReplicationControllerStatusUpdate`
pub(super) fn validate_replication_controller_status_update(
    controller: &At<'_>,
    before: &At<'_>,
    causes: &mut Causes,
) {
    validate_object_meta_update(&controller.at("metadata"), &before.at("metadata"), causes);
    validate_replica_set_status(&controller.at("status"), causes);
}
