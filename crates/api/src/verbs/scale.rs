//! The subresource `scale`: how many pods a workload shall have, in the same form for every kind. It must not know how
//! they come and go.

use serde_json::{Value, json};

use super::call::Call;
use super::patch::Patch;
use super::show;
use super::write;
use crate::http::body;
use crate::http::reply::Reply;
use crate::http::status::Status;
use crate::schema::crd;
use clusterlocal_core::store::{Kind, LabelSelector, Stored};
use clusterlocal_core::{ControlPlane, Driver};

/// `GET` of a scale.
pub(crate) fn get(driver: &Driver, kind: Kind, call: &Call) -> Result<Reply, Status> {
    driver.read(|cluster| {
        let stored = show::stored(cluster.store(), kind, &call.place)?;
        Ok(reply(cluster, call, stored))
    })
}

/// `PUT` of a scale.
pub(crate) fn replace(driver: &Driver, kind: Kind, call: &Call) -> Result<Reply, Status> {
    let wanted = body::object(&call.headers, &call.body)?;
    change(driver, kind, call, |_| Ok(wanted))
}

/// `PATCH` of a scale.
pub(crate) fn patch(driver: &Driver, kind: Kind, call: &Call) -> Result<Reply, Status> {
    let patch = Patch::read(call)?;
    change(driver, kind, call, |scale| patch.apply(call.place.resource, scale))
}

fn change(
    driver: &Driver,
    kind: Kind,
    call: &Call,
    edit: impl FnOnce(&Value) -> Result<Value, Status>,
) -> Result<Reply, Status> {
    driver.write(|cluster| {
        let paths = Paths::of(cluster, call);
        let updated = write::update(cluster, kind, call, |object| {
            let wanted = edit(&scale(object, &paths))?;
            let mut object = object.clone();
            // Their versions are the object's: a scale of an old state is refused like the object.
            for field in ["uid", "resourceVersion"] {
                object["metadata"][field] = wanted["metadata"][field].clone();
            }
            let replicas = wanted["spec"].get("replicas").cloned().unwrap_or(json!(0));
            put_at(&mut object, &paths.replicas, replicas);
            Ok(object)
        })?;
        Ok(reply(cluster, call, &updated.stored))
    })
}

fn reply(cluster: &ControlPlane, call: &Call, stored: &Stored) -> Reply {
    let object = show::rendered_as(call.place.resource, stored, cluster);
    Reply::ok(&scale(&object, &Paths::of(cluster, call)))
}

/// JSON pointers to the requested and the current number of pods. For custom resources the definition has them.
struct Paths {
    replicas: String,
    status: String,
    /// Of a label selector as text; the pointer of a selector's JSON otherwise.
    selector: Option<String>,
}

impl Paths {
    fn of(cluster: &ControlPlane, call: &Call) -> Paths {
        let version = crd::version(cluster.store(), call.place.resource);
        let custom = version.map(|version| &version["subresources"]["scale"]);
        let pointer = |field: &str, other: &str| {
            let path = custom.and_then(|scale| scale[field].as_str());
            path.map_or_else(|| other.to_owned(), |path| path.replace('.', "/"))
        };
        Paths {
            replicas: pointer("specReplicasPath", "/spec/replicas"),
            status: pointer("statusReplicasPath", "/status/replicas"),
            selector: custom.map(|_| pointer("labelSelectorPath", "/-")),
        }
    }
}

/// `object` with `value` at `pointer`, whose parents are made where they are missing.
fn put_at(object: &mut Value, pointer: &str, value: Value) {
    let mut at = object;
    for name in pointer.split('/').skip(1) {
        at = &mut at[name];
    }
    *at = value;
}

/// The scale of a workload.
fn scale(object: &Value, paths: &Paths) -> Value {
    let metadata = &object["metadata"];
    let mut kept = serde_json::Map::new();
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = metadata.get(field) {
            kept.insert(field.into(), value.clone());
        }
    }
    let replicas = |pointer: &str| object.pointer(pointer).cloned().unwrap_or(json!(0));
    let selector = match &paths.selector {
        Some(pointer) => object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned(),
        None => selector(&object["spec"]["selector"]),
    };
    json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": kept,
        "spec": { "replicas": replicas(&paths.replicas) },
        "status": { "replicas": replicas(&paths.status), "selector": selector },
    })
}

/// A label selector as text: `app=db,tier in (a,b)`.
fn selector(json: &Value) -> String {
    <LabelSelector as serde::Deserialize>::deserialize(json).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_tells_what_autoscalers_ask() {
        let set = json!({
            "metadata": { "name": "db", "namespace": "x", "uid": "u", "resourceVersion": "7", "labels": {} },
            "spec": {
                "replicas": 3,
                "selector": {
                    "matchLabels": { "app": "db" },
                    "matchExpressions": [
                        { "key": "tier", "operator": "In", "values": ["a", "b"] },
                        { "key": "old", "operator": "DoesNotExist" },
                    ],
                },
            },
            "status": { "replicas": 2 },
        });
        let expected = json!({
            "kind": "Scale",
            "apiVersion": "autoscaling/v1",
            "metadata": { "name": "db", "namespace": "x", "uid": "u", "resourceVersion": "7" },
            "spec": { "replicas": 3 },
            "status": { "replicas": 2, "selector": "app=db,!old,tier in (a,b)" },
        });
        let paths =
            Paths { replicas: "/spec/replicas".into(), status: "/status/replicas".into(), selector: None };
        assert_eq!(scale(&set, &paths), expected);
    }
}
