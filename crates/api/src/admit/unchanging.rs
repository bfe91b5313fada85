//! What may not be changed in an object that is there.

use serde_json::{Value, json};

use super::words::{forbidden, invalid};
use super::{Cause, policies};
use crate::schema::field;
use clusterlocal_core::controller::POD_UPDATE;
use clusterlocal_core::store::Kind;

/// What `after` changes of `before` that may not be changed. Both are whole, with defaults.
pub(super) fn check(kind: Kind, before: &Value, after: &Value) -> Vec<Cause> {
    match kind {
        Kind::StatefulSet => stateful_set(before, after).into_iter().collect(),
        Kind::Deployment | Kind::ReplicaSet | Kind::DaemonSet => fields(before, after, &["spec.selector"]),
        Kind::Job => job(before, after),
        Kind::Service => service(before, after).into_iter().collect(),
        Kind::Pod => pod(before, after).into_iter().collect(),
        Kind::PersistentVolumeClaim => claim(before, after).into_iter().collect(),
        Kind::EndpointSlice => fields(before, after, &["addressType"]),
        Kind::ControllerRevision => fields(before, after, &["data"]),
        Kind::RoleBinding | Kind::ClusterRoleBinding => fields(before, after, &["roleRef"]),
        _ => Vec::new(),
    }
}

/// The completions of an Indexed Job change with its parallelism, and a template while the Job is suspended
/// (ValidateJobSpecUpdate).
fn job(before: &Value, after: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let completions = |job: &Value| job["spec"]["completions"].clone();
    if field::text(after, "/spec/completionMode") != "Indexed" {
        causes.extend(fields(before, after, &["spec.completions"]));
    } else if completions(before) != completions(after)
        && !completions(after).is_null()
        && completions(after) != after["spec"]["parallelism"]
    {
        let why = "can only be modified in tandem with spec.parallelism";
        causes.push(invalid("spec.completions", Some(&completions(after)), why));
    }
    causes.extend(fields(before, after, &["spec.selector"]));
    if !field::flag(before, "/spec/suspend") {
        causes.extend(fields(before, after, &["spec.template"]));
    }
    causes.extend(fields(before, after, &["spec.completionMode"]));
    let spec = |job: &Value, name: &str| job["spec"].get(name).cloned().unwrap_or_default();
    for (name, shape) in [
        ("podFailurePolicy", Some(policies::FAILURE_POLICY)),
        ("backoffLimitPerIndex", None),
        ("managedBy", None),
        ("successPolicy", Some(policies::SUCCESS_POLICY)),
    ] {
        let (was, is) = (spec(before, name), spec(after, name));
        if was != is {
            let shown = shape.map_or_else(|| is.to_string(), |shape| policies::shown(&is, shape));
            let message = format!("Invalid value: {shown}: field is immutable");
            causes.push(Cause { field: format!("spec.{name}"), reason: "FieldValueInvalid", message });
        }
    }
    causes
}

fn fields(before: &Value, after: &Value, all: &[&str]) -> Vec<Cause> {
    let pointer = |path: &str| format!("/{}", path.replace('.', "/"));
    let changed = all.iter().filter(|path| before.pointer(&pointer(path)) != after.pointer(&pointer(path)));
    changed.map(|path| invalid(*path, after.pointer(&pointer(path)), "field is immutable")).collect()
}

/// Whether the specs differ otherwise than in `free` fields.
fn spec_differs(before: &Value, after: &Value, free: &[&str]) -> bool {
    let spec = |object: &Value| {
        let mut spec = object.get("spec").and_then(Value::as_object).cloned().unwrap_or_default();
        spec.retain(|field, value| !free.contains(&field.as_str()) && !value.is_null());
        spec
    };
    spec(before) != spec(after)
}

fn stateful_set(before: &Value, after: &Value) -> Option<Cause> {
    const FREE: [&str; 7] = [
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    ];
    spec_differs(before, after, &FREE).then(|| {
        forbidden(
            "spec",
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', \
             'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        )
    })
}

fn service(before: &Value, after: &Value) -> Option<Cause> {
    let is_alias = |object: &Value| field::text(object, "/spec/type") == "ExternalName";
    let was = field::text(before, "/spec/clusterIP");
    if is_alias(before) || is_alias(after) || was.is_empty() || was == field::text(after, "/spec/clusterIP") {
        return None;
    }
    let value = Value::from(vec![after.pointer("/spec/clusterIP").cloned().unwrap_or_default()]);
    Some(invalid("spec.clusterIPs[0]", Some(&value), "may not change once set"))
}

fn pod(before: &Value, after: &Value) -> Option<Cause> {
    let without_images = |object: &Value| {
        let mut spec = object.get("spec").cloned().unwrap_or_default();
        for list in ["containers", "initContainers"] {
            let containers = spec.get_mut(list).and_then(Value::as_array_mut);
            for container in containers.into_iter().flatten().filter_map(Value::as_object_mut) {
                container.remove("image");
            }
        }
        json!({ "spec": spec })
    };
    let tolerations = field::items(after, "/spec/tolerations");
    let stays = |toleration: &Value| tolerations.contains(toleration);
    let free = ["activeDeadlineSeconds", "tolerations", "ephemeralContainers", "schedulingGates"];
    let differs = spec_differs(&without_images(before), &without_images(after), &free)
        || !field::items(before, "/spec/tolerations").iter().all(stays);
    differs.then(|| forbidden("spec", POD_UPDATE))
}

fn claim(before: &Value, after: &Value) -> Option<Cause> {
    spec_differs(before, after, &["resources", "volumeAttributesClassName", "volumeName"]).then(|| {
        forbidden(
            "spec",
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims",
        )
    })
}
