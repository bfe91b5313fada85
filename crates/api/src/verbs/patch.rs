//! Takes the place of kube-apiserver's patch handler: applies a patch to an object, and again if another client has changed it in
//! the meantime. Must not depend on the meaning of a kind's fields.

use serde_json::Value;

use super::call::Call;
use super::show;
use super::write::{put_new, reply, update, write};
use crate::http::body::{self, PatchType};
use crate::http::reply::Reply;
use crate::http::status::Status;
use crate::schema::resource::Resource;
use clusterlocal_core::Driver;
use clusterlocal_core::merge::{self, MergeError};
use clusterlocal_core::store::{Key, Kind};

/// `PATCH` of an object or its status. Server-side apply makes what is not there.
pub(crate) fn patch(driver: &Driver, kind: Kind, call: &Call) -> Result<Reply, Status> {
    let patch = Patch::read(call)?;
    let resource = call.place.resource;
    let key = Key::new(kind, &call.place.namespace, &call.place.name);
    // The cluster is not locked while the patch is computed. Where the object has changed in the meantime, it is
    // computed again; where that happens every time, at last while all others wait.
    for _ in 0..PATCH_TRIES {
        let read = driver.read(|cluster| {
            let stored = cluster.store().stored(&key)?;
            Some((stored.revision, show::rendered_as(resource, stored, cluster)))
        });
        let Some((revision, object)) = read else { break };
        let patched = patch.apply(resource, &object)?;
        let updated = driver.write(|cluster| {
            let same = cluster.store().stored(&key).filter(|stored| stored.revision == revision)?.clone();
            let updated = write(cluster, call, same, object, patched);
            Some(updated.map(|updated| reply(cluster, kind, call, &updated, hyper::StatusCode::OK)))
        });
        if let Some(updated) = updated {
            return updated;
        }
    }
    driver.write(|cluster| {
        if patch.of == PatchType::Apply && cluster.store().stored(&key).is_none() {
            let created = put_new(cluster, kind, call, patch.json)?;
            return Ok(reply(cluster, kind, call, &created, hyper::StatusCode::CREATED));
        }
        let updated = update(cluster, kind, call, |object| patch.apply(resource, object))?;
        Ok(reply(cluster, kind, call, &updated, hyper::StatusCode::OK))
    })
}

/// How often a patch is computed for an object that others change at the same time: kube-apiserver's
/// `maxRetryWhenPatchConflicts`.
const PATCH_TRIES: u32 = 5;

/// The change that a client requests.
pub(crate) struct Patch {
    of: PatchType,
    json: Value,
}

impl Patch {
    /// Parses the body of `call`.
    pub(crate) fn read(call: &Call) -> Result<Patch, Status> {
        let of = PatchType::of(&call.headers)?;
        let json = match of {
            PatchType::Apply => body::yaml(&call.body)?,
            _ => body::json(&call.body)?,
        };
        Ok(Patch { of, json })
    }

    /// `object` with the differences.
    pub(crate) fn apply(&self, resource: &Resource, object: &Value) -> Result<Value, Status> {
        let mut patched = object.clone();
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let merged = match self.of {
            PatchType::Json => merge::json_patch(&mut patched, &self.json),
            PatchType::Merge => {
                merge::json_merge(&mut patched, &self.json);
                Ok(())
            }
            PatchType::Strategic => {
                merge::strategic(&resource.api_version(), resource.kind, &mut patched, &self.json)
            }
            PatchType::Apply => {
                merge::apply(&resource.api_version(), resource.kind, None, &self.json, &mut patched);
                Ok(())
            }
        };
        match merged {
            Ok(()) => Ok(patched),
            Err(MergeError::Malformed(why)) => Err(Status::bad_request(why)),
            Err(MergeError::DoesNotApply(why)) => Err(Status::unprocessable(resource, name, why)),
            Err(MergeError::TooLarge(why)) => Err(Status::too_costly(why)),
            Err(MergeError::TooMuchWork(why)) => Err(Status::unprocessable(resource, name, why)),
        }
    }
}
