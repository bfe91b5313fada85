//! Volume claims and volumes. They store nothing, but have the requested size.

use serde_json::{Map, Value, json};

use super::{Shown, put};
use clusterlocal_core::controller::DEFAULT_CLASS;
use clusterlocal_core::store::{Kind, PROVISIONED_FOLDER, PersistentVolume, PersistentVolumeClaim, fill};

pub(super) fn claim(shown: &mut Shown<'_>, claim: &PersistentVolumeClaim) {
    if !shown.has("spec") {
        shown.json.insert("spec".into(), requested(claim).into());
    }
    let spec = shown.spec();
    fill_spec(spec);
    put(spec, "volumeName", claim.spec.volume_name.as_str());
    let modes = spec.get("accessModes").cloned();
    let capacity = spec.get("resources").and_then(|resources| resources.get("requests")).cloned();
    let volume =
        shown.context.store.get::<PersistentVolume>(Kind::PersistentVolume, "", &claim.spec.volume_name);
    // A volume that was provisioned for the claim has the requested size.
    let offered = |field: &str| volume.and_then(|volume| volume.written_spec()?.get(field)).cloned();
    let (modes, capacity) = (offered("accessModes").or(modes), offered("capacity").or(capacity));
    let phase = if claim.status.phase.is_empty() { "Pending" } else { claim.status.phase.as_str() };
    let status = shown.status();
    status.insert("phase".into(), phase.into());
    if phase == "Bound" {
        fill(status, "accessModes", modes.unwrap_or_default());
        fill(status, "capacity", capacity.unwrap_or_default());
    }
}

/// The spec with which the claim was created.
fn requested(claim: &PersistentVolumeClaim) -> Map<String, Value> {
    claim.written_spec().and_then(Value::as_object).cloned().unwrap_or_default()
}

fn fill_spec(spec: &mut Map<String, Value>) {
    fill(spec, "accessModes", json!(["ReadWriteOnce"]));
    fill(spec, "resources", json!({ "requests": { "storage": "1Gi" } }));
    fill(spec, "storageClassName", DEFAULT_CLASS);
}

pub(super) fn volume(shown: &mut Shown<'_>, volume: &PersistentVolume) {
    let bound = volume.spec.claim_ref.as_ref();
    let claim = bound.and_then(|claim| {
        let store = shown.context.store;
        store.get::<PersistentVolumeClaim>(Kind::PersistentVolumeClaim, &claim.namespace, &claim.name)
    });
    if !shown.has("spec") {
        // Provisioned for its claim, with its class and size.
        let mut of_claim = claim.map(|claim| requested(claim)).unwrap_or_default();
        fill_spec(&mut of_claim);
        let capacity = of_claim.get("resources").and_then(|resources| resources.get("requests")).cloned();
        let spec = json!({
            "accessModes": of_claim.get("accessModes"),
            "capacity": capacity,
            "hostPath": { "path": format!("{PROVISIONED_FOLDER}/{}", volume.metadata.name), "type": "" },
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": of_claim.get("storageClassName"),
        });
        shown.json.insert("spec".into(), spec);
    }
    let reference = bound.map(|claim| {
        let mut json = shown.reference(claim);
        // Written by the controller when it binds both.
        if volume.status.phase == "Bound" {
            json["apiVersion"] = "v1".into();
        }
        json
    });
    let spec = shown.spec();
    match reference {
        Some(reference) => drop(spec.insert("claimRef".into(), reference)),
        None => drop(spec.remove("claimRef")),
    }
    let phase = match volume.status.phase.as_str() {
        "" => "Available",
        phase => phase,
    };
    let status = shown.status();
    status.insert("phase".into(), phase.into());
}
