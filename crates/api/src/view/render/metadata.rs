//! The metadata of all objects: names, UIDs, revisions, times and owners.

use serde_json::{Map, Value, json};

use super::{Shown, put};
use crate::schema::field;
use clusterlocal_core::store::{Extra, Kind, Owner, put_labels};

/// The metadata of the object; `given` is the part that was written.
pub(super) fn metadata(shown: &Shown<'_>, given: Option<Value>) -> Value {
    let stored = shown.stored;
    let (kind, meta) = (stored.object.kind(), stored.object.metadata());
    let mut json = match given {
        Some(Value::Object(given)) => given,
        _ => Map::new(),
    };
    // Those of a snapshot belong to another cluster.
    for field in ["managedFields", "selfLink", "generation", "clusterName"] {
        json.remove(field);
    }
    json.insert("name".into(), meta.name.as_str().into());
    put(&mut json, "namespace", meta.namespace.as_str());
    put_labels(&mut json, "labels", &meta.labels);
    put_labels(&mut json, "annotations", &meta.annotations);
    json.insert("uid".into(), stored.uid().to_string().into());
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
    put(&mut json, "generateName", meta.links.generate_name().as_str());
    let finalizers = meta.links.finalizers().iter().map(|finalizer| finalizer.as_str());
    let protection = protection(kind).filter(|finalizer| !meta.links.has_finalizer(finalizer));
    let finalizers: Vec<Value> = finalizers.chain(protection).map(Value::from).collect();
    put(&mut json, "finalizers", finalizers);
    json.into()
}

/// Whether changes of the object's spec are counted.
fn has_generation(kind: Kind) -> bool {
    match kind {
        Kind::Pod | Kind::EndpointSlice | Kind::PodDisruptionBudget | Kind::NetworkPolicy | Kind::Ingress => {
            true
        }
        Kind::Extra(extra) => extra_has_generation(extra),
        kind => kind.is_workload(),
    }
}

/// Whether changes of its spec are counted for a kind without its own type.
fn extra_has_generation(extra: Extra) -> bool {
    extra.is_defined()
        || matches!(
            extra.names().kind,
            "CustomResourceDefinition"
                | "CronJob"
                | "ReplicationController"
                | "FlowSchema"
                | "PriorityLevelConfiguration"
                | "MutatingWebhookConfiguration"
                | "ValidatingWebhookConfiguration"
                | "MutatingAdmissionPolicy"
                | "MutatingAdmissionPolicyBinding"
                | "ValidatingAdmissionPolicy"
                | "ValidatingAdmissionPolicyBinding"
                | "IngressClass"
                | "PriorityClass"
                | "PodTemplate"
                | "ResourceSlice"
                | "DeviceClass"
        )
}

/// The finalizer that admission adds to all objects of `kind`, to protect them while they are used.
pub(crate) fn protection(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::PersistentVolumeClaim => Some("kubernetes.io/pvc-protection"),
        Kind::PersistentVolume => Some("kubernetes.io/pv-protection"),
        _ => None,
    }
}

/// Removes the finalizer that protects objects of `kind` from a rendered one.
pub(crate) fn remove_protection(kind: Kind, object: &mut Value) {
    let Some(metadata) = object["metadata"].as_object_mut() else { return };
    if let Some(Value::Array(finalizers)) = metadata.get_mut("finalizers") {
        finalizers.retain(|finalizer| finalizer.as_str() != protection(kind));
        if finalizers.is_empty() {
            metadata.remove("finalizers");
        }
    }
}

/// The owners in the order in which they were written. Those of kinds that the store does not have are returned as written.
fn owners(shown: &Shown<'_>, given: Option<Value>) -> Vec<Value> {
    let links = &shown.stored.object.metadata().links;
    let mut left: Vec<&Owner> = links.owners().iter().collect();
    let mut all: Vec<Value> = Vec::new();
    for reference in given.as_ref().and_then(Value::as_array).into_iter().flatten() {
        let api_version = field::text(reference, "/apiVersion");
        let Some(kind) = Kind::referred(api_version, field::text(reference, "/kind")) else {
            all.push(reference.clone());
            continue;
        };
        let name = field::text(reference, "/name");
        if let Some(at) = left.iter().position(|owner| owner.kind == kind && owner.name == name) {
            let owner = owner(shown, left.remove(at));
            all.extend(owner.map(|mut owner| {
                if !api_version.is_empty() {
                    owner["apiVersion"] = api_version.into();
                }
                owner
            }));
        }
    }
    all.extend(left.into_iter().filter_map(|left| owner(shown, left)));
    all
}

/// An owner. One without a known UID is left out if no object has its name: a reference needs a UID.
fn owner(shown: &Shown<'_>, owner: &Owner) -> Option<Value> {
    let namespace = &shown.stored.object.metadata().namespace;
    let uid = owner.uid.or_else(|| shown.uid_of(&owner.key(namespace)))?;
    let mut json = json!({
        "apiVersion": owner.kind.api_version(),
        "kind": owner.kind.as_str(),
        "name": owner.name.as_str(),
        "uid": uid.to_string(),
    });
    if owner.controller {
        json["controller"] = true.into();
    }
    if owner.blocks_deletion {
        json["blockOwnerDeletion"] = true.into();
    }
    Some(json)
}
