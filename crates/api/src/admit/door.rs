//! The way of an object through `clusterlocal-admission`: what kube-apiserver's registry does between decoding and storing.

use serde_json::Value;

use super::Invalid;
use crate::schema::resource::{Resource, group_kind};
use clusterlocal_admission::{self as admission, Cause, GroupKind};
use clusterlocal_core::store::Kind;

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

/// Makes of `object`, which a client sends, a new one as it is stored; of one that is only to be tried (`dry_run`) as it would be.
pub(super) fn create(kind: Kind, object: &mut Value, dry_run: bool) -> Result<(), Invalid> {
    let Some(of) = group_kind(kind).filter(|_| is_decoded(kind, object)) else { return Ok(()) };
    admission::default(of, object);
    if kind != Kind::Job {
        return admission::before_create(of, object).map_err(|causes| Invalid { causes });
    }
    // What it makes of a Job has the UID in it that the store is going to give it: a controller does the same there.
    let mut prepared = object.clone();
    prepared["metadata"]["uid"] = NO_UID.into();
    admission::before_create(of, &mut prepared).map_err(|causes| Invalid { causes })?;
    if dry_run {
        *object = prepared;
    }
    Ok(())
}

/// Makes of `after`, which a client wants in the place of `before`, an object as it is stored. What would be refused if nothing
/// changed may stay: a file may have brought it.
pub(super) fn update(kind: Kind, after: &mut Value, before: &Value) -> Result<(), Invalid> {
    let Some(of) = group_kind(kind).filter(|_| is_decoded(kind, after)) else { return Ok(()) };
    if kind == Kind::Pod {
        keep_admitted(after, before);
    }
    admission::default(of, after);
    refuse_changed(admission::before_update, of, after, before)
}

/// Makes of `after`, which is `before` with another status and metadata, an object as it is stored.
pub(super) fn update_status(kind: Kind, after: &mut Value, before: &Value) -> Result<(), Invalid> {
    let Some(of) = group_kind(kind).filter(|_| is_decoded(kind, after)) else { return Ok(()) };
    admission::default(of, after);
    refuse_changed(admission::before_status_update, of, after, before)
}

type Validate = fn(GroupKind<'_>, &mut Value, &Value) -> Result<(), Vec<Cause>>;

/// Refuses what would not be refused if nothing changed.
fn refuse_changed(
    validate: Validate,
    of: GroupKind<'_>,
    after: &mut Value,
    before: &Value,
) -> Result<(), Invalid> {
    let Err(mut causes) = validate(of, after, before) else { return Ok(()) };
    let unchanged = validate(of, &mut before.clone(), before).err().unwrap_or_default();
    causes.retain(|cause| !unchanged.contains(cause));
    if causes.is_empty() { Ok(()) } else { Err(Invalid { causes }) }
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
