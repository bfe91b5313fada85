//! An API server without a store: what it makes of a create or an update.

use clusterlocal_admission::{self as admission, Allocator, Cause, GroupKind, Refusal};
use clusterlocal_core::addresses::{Addresses, Range, Reuse};
use serde_json::Value;

#[derive(Debug)]
pub enum Refused {
    Decoding(String),
    Admission(Refusal),
    /// An update without the resourceVersion that its kind requires: the API's handler reports it.
    WithoutVersion,
}

pub fn group_kind(object: &Value) -> (&str, &str) {
    let version = object["apiVersion"].as_str().unwrap_or_default();
    (version.split_once('/').map_or("", |(group, _)| group), object["kind"].as_str().unwrap_or_default())
}

/// The object with its defaults, in the namespace that it was sent to.
fn read(object: &Value, namespaced: bool) -> Result<Value, Refused> {
    let version = object["apiVersion"].as_str().unwrap_or_default();
    let kind = object["kind"].as_str().unwrap_or_default();
    let decoded = admission::decode(version, kind, object.clone()).map_err(Refused::Decoding)?;
    if !decoded.strict.is_empty() {
        return Err(Refused::Decoding(format!("strict decoding error: {}", decoded.strict.join(", "))));
    }
    let mut read = decoded.object;
    let (group, kind) = group_kind(object);
    admission::default(GroupKind { group, kind }, &mut read);
    if namespaced && read["metadata"].is_object() {
        read["metadata"]["namespace"] = "default".into();
    }
    if kind == "Pod" {
        admission::admit_pod(&mut read);
        // The recorded API server runs without the plugin `ServiceAccount`.
        for field in ["serviceAccountName", "serviceAccount"] {
            if let Some(spec) = read["spec"].as_object_mut().filter(|_| object["spec"].get(field).is_none()) {
                spec.remove(field);
            }
        }
        // The priority of a Pod without a class.
        read["spec"]["priority"] = 0.into();
        read["spec"]["preemptionPolicy"] = "PreemptLowerPriority".into();
    }
    Ok(read)
}

/// The range of cluster IPs of the recorded API server.
const SERVICE_RANGE: &str = "10.96.0.0/16,fd00:10:96::/112";

fn begin(of: GroupKind<'_>, object: &mut Value, before: Option<&Value>) -> Result<(), Refused> {
    let services = SERVICE_RANGE.parse().expect("a range");
    let addresses = Addresses::new(Range::default_pods(), services, Reuse::Never);
    let allocator = Allocator { addresses: Some(&addresses), dry_run: true };
    admission::begin(of, object, before, &allocator).map_err(Refused::Admission)
}

fn invalid(causes: Vec<Cause>) -> Refused {
    Refused::Admission(Refusal::Invalid(causes))
}

pub fn create(object: &Value) -> Result<Value, Refused> {
    let (group, kind) = group_kind(object);
    let of = GroupKind { group, kind };
    let mut created = read(object, admission::is_namespaced(of))?;
    if created["metadata"].is_object() {
        created["metadata"]["uid"] = "4711".into();
        created["metadata"]["resourceVersion"] = "1".into();
        created["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z".into();
    }
    begin(of, &mut created, None)?;
    admission::before_create(of, &mut created).map_err(invalid)?;
    match kind {
        // What the plugin `StorageObjectInUseProtection` adds, and no controller here would take away.
        "VolumeAttributesClass" => {
            let finalizers = &mut created["metadata"]["finalizers"];
            let mut all = finalizers.as_array().cloned().unwrap_or_default();
            all.push("kubernetes.io/vac-protection".into());
            *finalizers = all.into();
        }
        // The user of the recorded client.
        "CertificateSigningRequest" => created["spec"]["username"] = "admin".into(),
        _ => {}
    }
    Ok(created)
}

/// `object` as a client sends it that has read the object that is there.
pub fn with_version(object: &Value, before: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("resourceVersion".into(), before["metadata"]["resourceVersion"].clone());
    }
    object
}

pub fn update(object: &Value, before: &Value) -> Result<Value, Refused> {
    let (group, kind) = group_kind(object);
    let of = GroupKind { group, kind };
    let mut updated = read(object, admission::is_namespaced(of))?;
    if !admission::is_unconditional(of) && updated["metadata"]["resourceVersion"].is_null() {
        return Err(Refused::WithoutVersion);
    }
    begin(of, &mut updated, Some(before))?;
    admission::before_update(of, &mut updated, before).map_err(invalid)?;
    Ok(updated)
}
