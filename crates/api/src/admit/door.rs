//! The way of an object through `clusterlocal-admission`: what kube-apiserver's registry does between decoding and storing.

use serde_json::Value;

use crate::schema::resource::{Resource, group_kind};
use clusterlocal_admission::{self as admission, Allocator, GroupKind, Refusal};
use clusterlocal_core::store::{Kind, objects};

/// `object` as it is compared: as the API server would write it, with its defaults. What a file brought may be as no API server
/// would write it.
pub(super) fn canonical(kind: Kind, mut object: Value) -> Value {
    if let Some(of) = group_kind(kind)
        && is_decoded(kind, &mut object)
    {
        admission::default(of, &mut object);
    }
    object
}

/// Reads `object` as its type, if it can be read: what a file brought, and no write changed, is not validated.
fn is_decoded(kind: Kind, object: &mut Value) -> bool {
    let resource = Resource::of_kind(kind);
    let decoded = admission::decode(&resource.api_version(), resource.kind, object.clone());
    decoded.map(|decoded| *object = decoded.object).is_ok() && object.is_object()
}

/// The UID of a Job that is not stored yet.
const NO_UID: &str = "00000000-0000-0000-0000-000000000000";

/// Makes of `object`, which a client sends, a new one as it is stored.
pub(super) fn create(kind: Kind, object: &mut Value, allocator: &Allocator<'_>) -> Result<(), Refusal> {
    let Some(of) = group_kind(kind).filter(|_| is_decoded(kind, object)) else { return Ok(()) };
    admission::default(of, object);
    if kind != Kind::Job {
        admission::begin(of, object, None, allocator)?;
        admission::before_create(of, object).map_err(Refusal::Invalid)?;
        drop_impossible_ports(kind, object, allocator);
        return Ok(());
    }
    // What it makes of a Job has the UID in it that the store is going to give it: a controller does the same there.
    let mut prepared = object.clone();
    prepared["metadata"]["uid"] = NO_UID.into();
    admission::before_create(of, &mut prepared).map_err(Refusal::Invalid)
}

/// Takes away the node ports that no node has: a dry run takes any number, and nothing is stored.
fn drop_impossible_ports(kind: Kind, object: &mut Value, allocator: &Allocator<'_>) {
    let Some(spec) = object["spec"].as_object_mut() else { return };
    if kind == Kind::Service && allocator.dry_run {
        for port in objects(spec, "ports") {
            let is_possible = |port: &Value| port.as_i64().is_some_and(|port| u16::try_from(port).is_ok());
            if !port.get("nodePort").is_none_or(is_possible) {
                port.remove("nodePort");
            }
        }
    }
}

/// Makes of `after`, which a client wants in the place of `before`, an object as it is stored. What would be refused if nothing
/// changed may stay: a file may have brought it.
pub(super) fn update(
    kind: Kind,
    after: &mut Value,
    before: &Value,
    allocator: &Allocator<'_>,
) -> Result<(), Refusal> {
    let Some(of) = group_kind(kind).filter(|_| is_decoded(kind, after)) else { return Ok(()) };
    if kind == Kind::Pod {
        keep_admitted(after, before);
    }
    admission::default(of, after);
    let refusal = change(of, after, before, allocator).err();
    drop_impossible_ports(kind, after, allocator);
    refuse_new(refusal, || change(of, &mut before.clone(), before, allocator))
}

/// Refuses for the causes that an update without a change would not have.
fn refuse_new(
    refusal: Option<Refusal>,
    unchanged: impl FnOnce() -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let Some(Refusal::Invalid(mut causes)) = refusal else { return refusal.map_or(Ok(()), Err) };
    if let Err(Refusal::Invalid(unchanged)) = unchanged() {
        causes.retain(|cause| !unchanged.contains(cause));
    }
    super::refuse(causes)
}

fn change(
    of: GroupKind<'_>,
    after: &mut Value,
    before: &Value,
    allocator: &Allocator<'_>,
) -> Result<(), Refusal> {
    admission::begin(of, after, Some(before), allocator)?;
    admission::before_update(of, after, before).map_err(Refusal::Invalid)
}

/// Makes of `after`, which is `before` with another status and metadata, an object as it is stored. What would be refused if nothing
/// changed may stay.
pub(super) fn update_status(kind: Kind, after: &mut Value, before: &Value) -> Result<(), Refusal> {
    let Some(of) = group_kind(kind).filter(|_| is_decoded(kind, after)) else { return Ok(()) };
    admission::default(of, after);
    let change =
        |after: &mut Value| admission::before_status_update(of, after, before).map_err(Refusal::Invalid);
    refuse_new(change(after).err(), || change(&mut before.clone()))
}

/// What admission plugins gave a Pod stays where an update leaves it out (`plugin/pkg/admission/priority`), and is given again
/// where it is gone.
fn keep_admitted(after: &mut Value, before: &Value) {
    let (Some(spec), Some(was)) = (after["spec"].as_object_mut(), before["spec"].as_object()) else { return };
    for field in ["priority", "preemptionPolicy", "serviceAccount", "serviceAccountName"] {
        if let Some(value) = was.get(field) {
            spec.entry(field).or_insert_with(|| value.clone());
        }
    }
    admission::admit_pod(after);
}
