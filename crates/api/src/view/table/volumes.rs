//! The columns of volumes and the claims to them.

use serde_json::Value;

use super::age::age;
use super::{AGE, Column, NAME, field, name, or};
use clusterlocal_core::store::Time;

const ACCESS_MODES: Column = Column::text("Access Modes", "The access modes.");
const CLASS: Column = Column::text("StorageClass", "The StorageClass.");
const ATTRIBUTES_CLASS: Column = Column::text("VolumeAttributesClass", "The VolumeAttributesClass.");
const MODE: Column = Column::text("VolumeMode", "Filesystem or Block.").wide();

pub(super) const CLAIM: &[Column] = &[
    NAME,
    Column::text("Status", "The phase of the claim."),
    Column::text("Volume", "The volume that it is bound to."),
    Column::text("Capacity", "The capacity of the volume."),
    ACCESS_MODES,
    CLASS,
    ATTRIBUTES_CLASS,
    AGE,
    MODE,
];

pub(super) fn claim(claim: &Value, now: Time) -> Vec<Value> {
    let volume = field::text(claim, "/spec/volumeName");
    let (capacity, modes) = match volume {
        "" => (String::new(), String::new()),
        _ => (quantity(claim, "/status/capacity/storage"), access_modes(claim, "/status/accessModes")),
    };
    vec![
        name(claim),
        phase(claim).into(),
        volume.into(),
        capacity.into(),
        modes.into(),
        class(claim).into(),
        or(field::text(claim, "/spec/volumeAttributesClassName"), "<unset>").into(),
        age(claim, now).into(),
        or(field::text(claim, "/spec/volumeMode"), "<unset>").into(),
    ]
}

pub(super) const VOLUME: &[Column] = &[
    NAME,
    Column::text("Capacity", "The capacity."),
    ACCESS_MODES,
    Column::text("Reclaim Policy", "What happens to it when its claim is deleted."),
    Column::text("Status", "The phase of the volume."),
    Column::text("Claim", "The claim that it is bound to."),
    CLASS,
    ATTRIBUTES_CLASS,
    Column::text("Reason", "Why it is in that status."),
    AGE,
    MODE,
];

pub(super) fn volume(volume: &Value, now: Time) -> Vec<Value> {
    let claim = match volume.pointer("/spec/claimRef") {
        Some(claim) => format!("{}/{}", field::text(claim, "/namespace"), field::text(claim, "/name")),
        None => String::new(),
    };
    vec![
        name(volume),
        quantity(volume, "/spec/capacity/storage").into(),
        access_modes(volume, "/spec/accessModes").into(),
        field::text(volume, "/spec/persistentVolumeReclaimPolicy").into(),
        phase(volume).into(),
        claim.into(),
        class(volume).into(),
        or(field::text(volume, "/spec/volumeAttributesClassName"), "<unset>").into(),
        field::text(volume, "/status/reason").into(),
        age(volume, now).into(),
        or(field::text(volume, "/spec/volumeMode"), "<unset>").into(),
    ]
}

fn phase(object: &Value) -> &str {
    if field::is_set(object, "/metadata/deletionTimestamp") {
        "Terminating"
    } else {
        field::text(object, "/status/phase")
    }
}

fn class(object: &Value) -> &str {
    let annotation = "/metadata/annotations/volume.beta.kubernetes.io~1storage-class";
    or(field::text(object, annotation), field::text(object, "/spec/storageClassName"))
}

/// A quantity as written: `10Gi`, or a number.
fn quantity(object: &Value, pointer: &str) -> String {
    match object.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// In Kubernetes' order and abbreviations, without duplicates.
fn access_modes(object: &Value, pointer: &str) -> String {
    let modes = field::items(object, pointer);
    let all = [
        ("ReadWriteOnce", "RWO"),
        ("ReadOnlyMany", "ROX"),
        ("ReadWriteMany", "RWX"),
        ("ReadWriteOncePod", "RWOP"),
    ];
    let has = |mode: &str| modes.iter().any(|listed| listed == mode);
    let listed = all.into_iter().filter(|(mode, _)| has(mode)).map(|(_, short)| short);
    listed.collect::<Vec<_>>().join(",")
}
