//! What all objects have: names, UIDs, revisions, times and owners.

use serde_json::{Map, Value, json};

use super::{Shown, api_version, put};
use crate::api::field;
use crate::store::{Key, Kind, Name, Owner, put_labels};

/// The metadata of the object, of which `given` was written.
pub(super) fn metadata(shown: &Shown<'_>, given: Option<Value>) -> Value {
    let stored = shown.stored;
    let (kind, meta) = (stored.object.kind(), stored.object.metadata());
    let mut json = match given {
        Some(Value::Object(given)) => given,
        _ => Map::new(),
    };
    // A snapshot's are another cluster's.
    for field in ["managedFields", "selfLink", "generation", "clusterName"] {
        json.remove(field);
    }
    json.insert("name".into(), meta.name.as_str().into());
    put(&mut json, "namespace", meta.namespace.as_str());
    put_labels(&mut json, "labels", &meta.labels);
    put_labels(&mut json, "annotations", &meta.annotations);
    json.insert("uid".into(), stored.uid().into());
    json.insert("resourceVersion".into(), stored.revision.to_string().into());
    json.insert("creationTimestamp".into(), shown.created().into());
    if has_generation(kind) {
        json.insert("generation".into(), stored.generation.into());
    }
    match meta.deletion_timestamp {
        Some(by) => {
            json.insert("deletionTimestamp".into(), by.to_string().into());
            let grace = meta.deletion_grace_period_seconds;
            json.insert("deletionGracePeriodSeconds".into(), grace.into());
        }
        None => {
            json.remove("deletionTimestamp");
            json.remove("deletionGracePeriodSeconds");
        }
    }
    let owners = owners(shown, json.remove("ownerReferences"));
    put(&mut json, "ownerReferences", owners);
    if meta.synthesized
        && let Some(owner) = meta.owner.as_ref().filter(|_| is_named_for_owner(kind))
    {
        json.insert("generateName".into(), format!("{}-", owner.name).into());
    }
    if let Some(finalizer) = protection(kind) {
        let finalizers = json.entry("finalizers").or_insert_with(|| json!([]));
        if let Value::Array(finalizers) = finalizers
            && !finalizers.iter().any(|other| other == finalizer)
        {
            finalizers.push(finalizer.into());
        }
    }
    json.into()
}

/// Whether a change of the object's spec counts.
fn has_generation(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::StatefulSet
            | Kind::Deployment
            | Kind::ReplicaSet
            | Kind::DaemonSet
            | Kind::Job
            | Kind::EndpointSlice
    )
}

/// Whether what a controller makes of this kind is called after its owner.
fn is_named_for_owner(kind: Kind) -> bool {
    matches!(kind, Kind::Pod | Kind::EndpointSlice)
}

/// The finalizer that admission gives all objects of `kind`, so that they stay while they are used.
pub(in crate::api) fn protection(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::PersistentVolumeClaim => Some("kubernetes.io/pvc-protection"),
        Kind::PersistentVolume => Some("kubernetes.io/pv-protection"),
        _ => None,
    }
}

/// The owners: those that were written, with today's UIDs, and the controller that the object has.
fn owners(shown: &Shown<'_>, given: Option<Value>) -> Vec<Value> {
    let meta = shown.stored.object.metadata();
    let is_controller = |reference: &Value| field::flag(reference, "/controller");
    let is = |reference: &Value, owner: &Owner| {
        field::text(reference, "/kind") == owner.kind.as_str()
            && field::text(reference, "/name") == owner.name
    };
    let mut all: Vec<Value> = Vec::new();
    for mut reference in given.as_ref().and_then(Value::as_array).into_iter().flatten().cloned() {
        let kind = known(&reference);
        let left = is_controller(&reference)
            && kind.is_some()
            && !meta.owner.as_ref().is_some_and(|owner| is(&reference, owner));
        if left {
            continue;
        }
        let name = field::text(&reference, "/name");
        if let Some(uid) = kind.and_then(|kind| uid(shown, kind, name)) {
            reference["uid"] = uid.into();
        }
        all.push(reference);
    }
    if let Some(owner) = &meta.owner
        && !all.iter().any(|reference| is_controller(reference) && is(reference, owner))
        && let Some(uid) = uid(shown, owner.kind, &owner.name)
    {
        all.push(json!({
            "apiVersion": api_version(owner.kind),
            "kind": owner.kind.as_str(),
            "name": owner.name.as_str(),
            "uid": uid,
            "controller": true,
            "blockOwnerDeletion": true,
        }));
    }
    all
}

fn known(reference: &Value) -> Option<Kind> {
    let kind = field::text(reference, "/kind");
    Kind::ALL.into_iter().find(|known| known.as_str() == kind)
}

/// The UID of an owner, if it is there.
fn uid(shown: &Shown<'_>, kind: Kind, name: &str) -> Option<String> {
    let namespace = &shown.stored.object.metadata().namespace;
    let namespace = if kind.is_namespaced() { namespace.clone() } else { Name::default() };
    shown.uid_of(&Key::new(kind, namespace, name))
}
