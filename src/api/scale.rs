//! The subresource `scale`: how many pods a workload shall have, in the same form for every kind. It must not know how
//! they come and go.

use serde_json::{Value, json};

use super::body;
use super::reply::Reply;
use super::route::Call;
use super::show;
use super::status::Status;
use super::write::{self, Patch};
use crate::store::{Kind, LabelSelector, Stored};
use crate::{ControlPlane, Driver};

/// `GET` of a scale.
pub(super) fn get(driver: &Driver, kind: Kind, call: &Call) -> Result<Reply, Status> {
    driver.read(|cluster| {
        let stored = show::stored(cluster.store(), kind, &call.place)?;
        Ok(reply(cluster, stored))
    })
}

/// `PUT` of a scale.
pub(super) fn replace(driver: &Driver, kind: Kind, call: &Call) -> Result<Reply, Status> {
    let wanted = body::object(&call.headers, &call.body)?;
    change(driver, kind, call, |_| Ok(wanted))
}

/// `PATCH` of a scale.
pub(super) fn patch(driver: &Driver, kind: Kind, call: &Call) -> Result<Reply, Status> {
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
        let updated = write::update(cluster, kind, call, |object| {
            let wanted = edit(&scale(object))?;
            let mut object = object.clone();
            // Their versions are the object's: a scale of an old state is refused like the object.
            for field in ["uid", "resourceVersion"] {
                object["metadata"][field] = wanted["metadata"][field].clone();
            }
            object["spec"]["replicas"] = wanted["spec"].get("replicas").cloned().unwrap_or(json!(0));
            Ok(object)
        })?;
        Ok(reply(cluster, &updated))
    })
}

fn reply(cluster: &ControlPlane, stored: &Stored) -> Reply {
    Reply::ok(&scale(&show::rendered(stored, cluster)))
}

/// The scale of a workload.
fn scale(object: &Value) -> Value {
    let metadata = &object["metadata"];
    let mut kept = serde_json::Map::new();
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = metadata.get(field) {
            kept.insert(field.into(), value.clone());
        }
    }
    let replicas = |part: &str| object[part].get("replicas").cloned().unwrap_or(json!(0));
    json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": kept,
        "spec": { "replicas": replicas("spec") },
        "status": { "replicas": replicas("status"), "selector": selector(&object["spec"]["selector"]) },
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
        assert_eq!(scale(&set), expected);
    }
}
