//! The way of an object through `clusterlocal-admission`: what kube-apiserver's registry does between decoding and storing.

use std::collections::HashSet;

use serde_json::Value;

use super::{Cause, Invalid};
use crate::schema::resource::group_kind;
use clusterlocal_admission as admission;
use clusterlocal_core::store::Kind;

/// `object` as it is compared: as the API server would write it, with its defaults. What a file brought may be as no API server
/// would write it.
pub(super) fn canonical(kind: Kind, object: &Value) -> Value {
    let Some(of) = group_kind(kind) else { return object.clone() };
    let version = object["apiVersion"].as_str().unwrap_or_default();
    let mut canonical = match admission::decode(version, of.kind, object.clone()) {
        Ok(decoded) => decoded.object,
        Err(_) => object.clone(),
    };
    admission::default(of, &mut canonical);
    canonical
}

/// Makes of `object`, which a client sends, a new one as it is stored.
pub(super) fn create(kind: Kind, object: &mut Value) -> Result<(), Invalid> {
    let Some(of) = group_kind(kind) else { return Ok(()) };
    admission::default(of, object);
    // What it makes of a Job has its UID in it, which the store gives it: a controller does the same there.
    let prepared = &mut if kind == Kind::Job { object.clone() } else { object.take() };
    let admitted = admission::before_create(of, prepared);
    if kind != Kind::Job {
        *object = prepared.take();
    }
    admitted.map_err(|causes| Invalid { causes })
}

/// Makes of `after`, which a client wants in the place of `before`, an object as it is stored. What was wrong with it before may stay so:
/// a file may have brought it.
pub(super) fn update(kind: Kind, after: &mut Value, before: &Value) -> Result<(), Invalid> {
    let Some(of) = group_kind(kind) else { return Ok(()) };
    admission::default(of, after);
    let Err(mut causes) = admission::before_update(of, after, before) else { return Ok(()) };
    let known: HashSet<String> = admission::validate(of, before).iter().map(Cause::to_string).collect();
    causes.retain(|cause| !known.contains(&cause.to_string()));
    if causes.is_empty() { Ok(()) } else { Err(Invalid { causes }) }
}
