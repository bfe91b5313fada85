//! Takes the place of kube-apiserver's create, update and patch handlers: from what a client sends to a change of the
//! store, or to the reason why not. It must not know what a kind's fields mean, nor what follows from a change.

use serde_json::Value;

use super::admit;
use super::body::{self, PatchType};
use super::identity;
use super::path::{Part, Place};
use super::reply::Reply;
use super::resource::Resource;
use super::route::Call;
use super::show;
use super::status::Status;
use super::strict;
use super::warnings;
use crate::merge::{self, MergeError};
use crate::store::{Change, Key, Kind, Store, Stored};
use crate::{ControlPlane, Driver};

/// `POST` to a collection.
pub(super) fn create(driver: &Driver, kind: Kind, call: &Call) -> Result<Reply, Status> {
    let object = body::object(&call.headers, &call.body)?;
    driver.write(|cluster| {
        let created = put_new(cluster, kind, call, object)?;
        Ok(reply(cluster, kind, call, &created, hyper::StatusCode::CREATED))
    })
}

/// `PUT` of an object or its status.
pub(super) fn replace(driver: &Driver, kind: Kind, call: &Call) -> Result<Reply, Status> {
    let object = body::object(&call.headers, &call.body)?;
    driver.write(|cluster| {
        let updated = update(cluster, kind, call, |_| Ok(object))?;
        Ok(reply(cluster, kind, call, &updated, hyper::StatusCode::OK))
    })
}

/// `PATCH` of an object or its status. Server-side apply makes what is not there.
pub(super) fn patch(driver: &Driver, kind: Kind, call: &Call) -> Result<Reply, Status> {
    let patch = Patch::read(call)?;
    driver.write(|cluster| {
        let key = Key::new(kind, &call.place.namespace, &call.place.name);
        if patch.of == PatchType::Apply && cluster.store().stored(&key).is_none() {
            let created = put_new(cluster, kind, call, patch.json)?;
            return Ok(reply(cluster, kind, call, &created, hyper::StatusCode::CREATED));
        }
        let updated = update(cluster, kind, call, |object| patch.apply(call.place.resource, object))?;
        Ok(reply(cluster, kind, call, &updated, hyper::StatusCode::OK))
    })
}

fn reply(cluster: &ControlPlane, kind: Kind, call: &Call, stored: &Stored, code: hyper::StatusCode) -> Reply {
    let object = show::rendered(stored, cluster);
    // Warnings are about what was written, not about what a controller says in its status.
    let said =
        if matches!(call.place.part, Part::Whole) { warnings::of_object(kind, &object) } else { vec![] };
    let shown = show::object(kind, object, call.form, call.query.include_object, cluster.now());
    Reply::json(code, &shown).warned(said)
}

/// What a client wants to be different.
pub(super) struct Patch {
    of: PatchType,
    json: Value,
}

impl Patch {
    /// What `call` carries.
    pub(super) fn read(call: &Call) -> Result<Patch, Status> {
        let of = PatchType::of(&call.headers)?;
        let json = match of {
            PatchType::Apply => body::yaml(&call.body)?,
            _ => body::json(&call.body)?,
        };
        Ok(Patch { of, json })
    }

    /// `object` with the differences.
    pub(super) fn apply(&self, resource: &Resource, object: &Value) -> Result<Value, Status> {
        let mut patched = object.clone();
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let merged = match self.of {
            PatchType::Json => merge::json_patch(&mut patched, &self.json),
            PatchType::Merge => {
                merge::json_merge(&mut patched, &self.json);
                Ok(())
            }
            PatchType::Strategic => merge::strategic(resource.kind, &mut patched, &self.json),
            PatchType::Apply => {
                merge::apply(resource.kind, None, &self.json, &mut patched);
                Ok(())
            }
        };
        match merged {
            Ok(()) => Ok(patched),
            Err(MergeError::Malformed(why)) => Err(Status::bad_request(why)),
            Err(MergeError::DoesNotApply(why)) => Err(Status::unprocessable(resource, name, why)),
            Err(MergeError::TooLarge(why)) => Err(Status::too_costly(why)),
        }
    }
}

/// Makes `object` in the store, unless `call` is only to be tried.
fn put_new(cluster: &mut ControlPlane, kind: Kind, call: &Call, mut object: Value) -> Result<Stored, Status> {
    let resource = call.place.resource;
    identity::check_type(resource, &object)?;
    if call.query.strict {
        strict::check(resource, &object, None)?;
    }
    let name = identity::begin(cluster.store(), kind, &call.place, &mut object)?;
    identity::check_namespace_lives(cluster.store(), resource, &call.place.namespace, &name)?;
    let key = Key::new(kind, &call.place.namespace, &name);
    if cluster.store().stored(&key).is_some() {
        return Err(Status::already_exists(resource, &name));
    }
    let admitted = admit::create(kind, object);
    let object = admitted.map_err(|invalid| Status::invalid(resource, &name, invalid.causes))?;
    // What it is before anybody looks after it, should it be tried only, or be gone at once.
    let mut alone = Store::new();
    alone.set_time(cluster.now());
    alone.apply(Change::Put(object.clone()));
    if !call.query.dry_run {
        cluster.request(vec![Change::Put(object)]);
    }
    let made = cluster.store().stored(&key).or(alone.stored(&key));
    Ok(made.expect("it was put there").clone())
}

/// Makes of the object that `call` names what `edit` makes of its JSON, unless `call` is only to be tried.
pub(super) fn update(
    cluster: &mut ControlPlane,
    kind: Kind,
    call: &Call,
    edit: impl FnOnce(&Value) -> Result<Value, Status>,
) -> Result<Stored, Status> {
    let Place { resource, name, part, .. } = &call.place;
    let old = show::stored(cluster.store(), kind, &call.place)?.clone();
    let before = show::rendered(&old, cluster);
    let mut after = edit(&before)?;
    identity::check_type(resource, &after)?;
    if call.query.strict {
        strict::check(resource, &after, Some(&before))?;
    }
    identity::keep(&call.place, &before, &mut after)?;
    // A part is written through its own path only.
    let is_status = matches!(part, Part::Subresource(part) if part.name == "status");
    if is_status {
        let status = after["status"].take();
        after = before.clone();
        after["status"] = status;
    } else if resource.subresource("status").is_some() {
        match before.get("status") {
            Some(status) => after["status"] = status.clone(),
            None => drop(after.as_object_mut().and_then(|after| after.remove("status"))),
        }
    }
    if after == before {
        return Ok(old);
    }
    let written = is_status.then(|| after["status"].clone());
    let admitted = admit::update(&old.object, &before, after);
    let mut object = admitted.map_err(|invalid| Status::invalid(resource, name, invalid.causes))?;
    if let Some(status) = written {
        object = object.with_written_status(status);
    }
    let key = object.key();
    let mut updated = old;
    updated.object = object.clone();
    if call.query.dry_run {
        return Ok(updated);
    }
    if is_status {
        cluster.request_status(&object);
    } else {
        cluster.request(vec![Change::Put(object)]);
    }
    Ok(cluster.store().stored(&key).cloned().unwrap_or(updated))
}
