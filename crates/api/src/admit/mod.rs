//! Takes the place of kube-apiserver's strategies: converts JSON of a client to an object of the store, or returns its errors,
//! by field and with Kubernetes' messages. What is refused in manifests is refused for clients as well, who also have to set some
//! fields that manifests may leave out. Must not depend on requests, nor on other objects.

mod door;
mod keep;
pub(crate) mod strict;
mod words;

#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use crate::schema::resource::group_kind;
use crate::view::render;
use clusterlocal_admission::Allocator;
pub use clusterlocal_admission::{Cause, Refusal};
use clusterlocal_core::manifest;
use clusterlocal_core::store::{
    self, Change, Given, Kind, NAMESPACE_NAME_LABEL, NOT_READY_TAINT, Object, Store,
};

/// What an update writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The object, but for its status.
    Whole,
    /// A part with a path and rules of its own: the status, or the finalizers of a namespace.
    Part,
}

/// The new object of `kind` that `json` asks for: with its name and namespace, which the caller has seen to. Of one that is only
/// tried it is shown what a controller undoes at once.
///
/// # Errors
///
/// What the API server would refuse in it.
pub(crate) fn create(kind: Kind, mut json: Value, allocator: &Allocator<'_>) -> Result<Object, Refusal> {
    if let Some(json) = json.as_object_mut() {
        // No controller has processed it yet. A node's kubelet sets its status from the beginning.
        // Of a custom resource only where the status has a path of its own, which the caller has seen to.
        let is_custom = matches!(kind, Kind::Extra(extra) if extra.is_defined());
        if kind != Kind::Node && !is_custom {
            json.remove("status");
        }
        if kind == Kind::Namespace {
            let metadata = store::object(json, "metadata");
            let name = metadata.get("name").cloned().unwrap_or_default();
            store::object(metadata, "labels").insert(NAMESPACE_NAME_LABEL.into(), name);
        }
    }
    door::create(kind, &mut json, allocator)?;
    if let Some(json) = json.as_object_mut() {
        strip(kind, json);
        // A status that is kept would be believed, as that of a snapshot is.
        if kind != Kind::Node && group_kind(kind).is_some() {
            json.remove("status");
        }
        // The taint that a node has until it is ready: here it is at once.
        if kind == Kind::Node
            && !allocator.dry_run
            && let Some(Value::Array(taints)) = json.get_mut("spec").and_then(|spec| spec.get_mut("taints"))
        {
            taints.retain(|taint| taint["key"] != NOT_READY_TAINT || taint["effect"] != "NoSchedule");
        }
    }
    let mut object = read(kind, &json)?;
    keep::template_of_revision(&mut object, &json);
    object.keep(Given::from(json));
    Ok(object)
}

/// What becomes of `old`, which the API shows as `before`, when a client wants it to be `after`. Its identity and the
/// fields that only the server sets are as before, which the caller has seen to. It is in the state in which it was,
/// unless `after` has another status.
///
/// # Errors
///
/// What the API server would refuse in it, or in the change.
pub(crate) fn update(
    old: &Object,
    before: &Value,
    mut after: Value,
    written: Written,
    allocator: &Allocator<'_>,
) -> Result<Object, Refusal> {
    let kind = old.kind();
    // Of a part nothing else changes, so that it is compared as it is shown.
    let compared = |shown: Value| match written {
        Written::Whole => door::canonical(kind, shown),
        Written::Part => shown,
    };
    let was = compared(before.clone());
    if written == Written::Whole {
        door::update(kind, &mut after, &was, allocator)?;
    }
    if let Some(json) = after.as_object_mut() {
        strip(kind, json);
    }
    let mut object = read(kind, &after)?;
    object.keep(Given::from(after.clone()));
    // A spec that the client left as it was shown is the same with its defaults.
    let is_left = (kind == Kind::Pod || kind.is_workload()) && was.get("spec") == after.get("spec");
    let whole = (!is_left).then(|| compared(whole(&object)));
    let changed =
        |pointer: &str| whole.as_ref().is_some_and(|whole| was.pointer(pointer) != whole.pointer(pointer));
    let changes = keep::Changes {
        spec: changed("/spec"),
        template: changed("/spec/template"),
        claims: changed("/spec/volumeClaimTemplates"),
        status: after.get("status").is_some_and(|status| Some(status) != before.get("status")),
    };
    let given = old.metadata().given.as_ref().and_then(|given| given.json().get("spec"));
    if let Some(spec) = given.filter(|_| !changes.spec) {
        // Left alone, and not the less so for being shown with its defaults.
        after["spec"] = spec.clone();
    }
    if is_status_worked_out(old)
        && let Some(after) = after.as_object_mut()
    {
        after.remove("status");
    }
    if keep::is_known(old, before, &after, changes) {
        object.metadata_mut().given = None
    } else {
        object.keep(Given::from(after))
    }
    Ok(keep::unchanged(old, object, changes))
}

/// Makes of `after`, which is `before` with another status and metadata, an object as it is stored.
///
/// # Errors
///
/// What the API server would refuse in the status or the metadata.
pub(crate) fn accept_status(kind: Kind, before: &Value, after: &mut Value) -> Result<(), Refusal> {
    door::update_status(kind, after, before)
}

/// What an update of `old` to `new` would change that may not be changed: what `kubectl apply` of a manifest answers.
pub fn forbidden_changes(old: &Object, new: &Object) -> Vec<Cause> {
    let kind = old.kind();
    let namespace = new.metadata().namespace.clone();
    let (old, mut new) = (door::canonical(kind, whole(old)), door::canonical(kind, whole(new)));
    let wrong = refusals(kind, &namespace, &new);
    let causes = causes(door::update(kind, &mut new, &old, &Allocator::default()));
    causes.into_iter().filter(|cause| !wrong.contains(cause)).collect()
}

/// What an API server would refuse in `json`, a new object of `kind` as it was written, in `namespace`.
pub(crate) fn refusals(kind: Kind, namespace: &str, json: &Value) -> Vec<Cause> {
    let mut json = json.clone();
    if let Some(json) = json.as_object_mut().filter(|_| kind.is_namespaced()) {
        store::object(json, "metadata").insert("namespace".into(), namespace.into());
    }
    causes(door::create(kind, &mut json, &Allocator::default()))
}

/// What is wrong with an object. What cannot be allocated for it is nothing that its file could change.
fn causes(admitted: Result<(), Refusal>) -> Vec<Cause> {
    match admitted {
        Err(Refusal::Invalid(causes)) => causes,
        Ok(()) | Err(Refusal::Failed(_) | Refusal::Internal(_)) => Vec::new(),
    }
}

fn refuse(causes: Vec<Cause>) -> Result<(), Refusal> {
    if causes.is_empty() { Ok(()) } else { Err(Refusal::Invalid(causes)) }
}

/// Whether the API works out the whole status of such an object: what was shown of it last need not be kept.
fn is_status_worked_out(object: &Object) -> bool {
    match object {
        Object::Pod(pod) => !pod.status.is_recorded(),
        Object::StatefulSet(_)
        | Object::Deployment(_)
        | Object::ReplicaSet(_)
        | Object::ReplicationController(_)
        | Object::DaemonSet(_)
        | Object::Job(_)
        | Object::CronJob(_)
        | Object::PersistentVolumeClaim(_)
        | Object::Fault(_) => true,
        _ => false,
    }
}

/// Renders `object` without other objects, with its defaults.
fn whole(object: &Object) -> Value {
    let mut alone = Store::new();
    alone.apply(Change::Put(object.clone()));
    let stored = alone.stored(&object.key()).expect("it was put there");
    render::object(stored, &render::Context::now(&alone))
}

/// The object that `json` is. Where an API server validates its kind, that has been done: only what is not supported here is
/// refused, in the words of manifests.
fn read(kind: Kind, json: &Value) -> Result<Object, Refusal> {
    let is_validated = group_kind(kind).is_some_and(clusterlocal_admission::is_validated);
    let read = if is_validated { manifest::read_validated } else { manifest::read_object };
    read(kind, json).map_err(|findings| {
        Refusal::Invalid(findings.into_iter().map(|finding| words::cause(json, finding)).collect())
    })
}

/// Removes the fields that only the server sets: a client's values would be out of date at once.
fn strip(kind: Kind, json: &mut Map<String, Value>) {
    let Some(metadata) = json.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    for field in ["uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink"] {
        metadata.remove(field);
    }
    if let Some(finalizer) = render::protection(kind)
        && let Some(Value::Array(finalizers)) = metadata.get_mut("finalizers")
    {
        finalizers.retain(|other| other != finalizer);
        if finalizers.is_empty() {
            metadata.remove("finalizers");
        }
    }
}
