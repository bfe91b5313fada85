//! What is done to volumes on their way to the store (`SetDefaults_Volume` of `pkg/apis/core/v1`, `pkg/api/pod/util.go`).

use serde_json::{Map, Value, json};

use crate::primitives::defaults::round_up;

/// `SetDefaults_PersistentVolumeClaimSpec`
pub(crate) fn default_claim_spec(spec: &mut Value) {
    put_default(spec, "volumeMode", "Filesystem");
    for list in ["/resources/limits", "/resources/requests"] {
        round_up(spec.pointer_mut(list));
    }
}

/// `SetObjectDefaults_PersistentVolumeClaim`, also of the templates of a StatefulSet.
pub(crate) fn default_claim(claim: &mut Value) {
    put_default(&mut claim["status"], "phase", "Pending");
    for list in ["/status/capacity", "/status/allocatedResources"] {
        round_up(claim.pointer_mut(list));
    }
    default_claim_spec(&mut claim["spec"]);
}

/// All defaults of the volumes of a Pod or template, nested ones included.
pub(crate) fn default_volumes(volumes: &mut Value) {
    for volume in volumes.as_array_mut().into_iter().flatten() {
        default_volume(volume);
    }
}

fn default_volume(volume: &mut Value) {
    let Some(fields) = volume.as_object_mut() else { return };
    if fields.keys().all(|field| field == "name") {
        fields.insert("emptyDir".into(), json!({}));
    }
    let reference =
        fields.get("image").map(|image| image["reference"].as_str().unwrap_or_default().to_owned());
    if let (Some(reference), Some(image)) = (reference, fields.get_mut("image")) {
        let policy = if is_latest(&reference) { "Always" } else { "IfNotPresent" };
        put_default(image, "pullPolicy", policy);
    }
    default_volume_source(fields);
    for name in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(source) = fields.get_mut(name) {
            put_default(source, "defaultMode", 0o644);
        }
    }
    if let Some(api) = fields.get_mut("downwardAPI") {
        default_fields(api);
    }
    let projected = fields.get_mut("projected").and_then(|projected| projected.get_mut("sources"));
    for source in projected.and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(api) = source.get_mut("downwardAPI") {
            default_fields(api);
        }
        if let Some(token) = source.get_mut("serviceAccountToken") {
            put_default(token, "expirationSeconds", 3600);
        }
    }
    if let Some(spec) = volume.pointer_mut("/ephemeral/volumeClaimTemplate/spec") {
        default_claim_spec(spec);
    }
}

/// `SetDefaults_ObjectFieldSelector` of each file.
fn default_fields(downward_api: &mut Value) {
    let items = downward_api.get_mut("items").and_then(Value::as_array_mut);
    for field in items.into_iter().flatten().filter_map(|item| item.get_mut("fieldRef")) {
        put_default(field, "apiVersion", "v1");
    }
}

/// The defaults of sources that Pods and PersistentVolumes have in common.
pub(crate) fn default_volume_source(sources: &mut Map<String, Value>) {
    const DEFAULTS: [(&str, &[(&str, &str)]); 5] = [
        ("rbd", &[("pool", "rbd"), ("user", "admin"), ("keyring", "/etc/ceph/keyring")]),
        ("iscsi", &[("iscsiInterface", "default")]),
        ("azureDisk", &[("cachingMode", "ReadWrite"), ("fsType", "ext4"), ("kind", "Shared")]),
        ("scaleIO", &[("storageMode", "ThinProvisioned"), ("fsType", "xfs")]),
        ("hostPath", &[("type", "")]),
    ];
    for (source, fields) in DEFAULTS {
        let Some(source) = sources.get_mut(source) else { continue };
        for (field, value) in fields {
            put_default(source, field, *value);
        }
    }
    if let Some(disk) = sources.get_mut("azureDisk") {
        put_default(disk, "readOnly", false);
    }
}

/// Sets `field` of an object that does not have it.
pub(crate) fn put_default(object: &mut Value, field: &str, value: impl Into<Value>) {
    if object.is_null() {
        *object = json!({});
    }
    if let Some(map) = object.as_object_mut() {
        map.entry(field).or_insert_with(|| value.into());
    }
}

/// Whether an image has the tag `latest`, explicitly or by default (`ParseImageName`).
fn is_latest(reference: &str) -> bool {
    let last = reference.rsplit('/').next().unwrap_or_default();
    let is_valid = !last.is_empty() && !reference.contains(|c: char| c.is_ascii_whitespace());
    match (reference.contains('@'), last.split_once(':')) {
        (true, _) => false,
        (false, Some((_, tag))) => tag == "latest",
        (false, None) => is_valid && !last.contains(|c: char| c.is_ascii_uppercase()),
    }
}

/// `dropDisabledClusterTrustBundleProjection` and `dropDisabledPodCertificateProjection`: the sources of gates that are off in
/// 1.36. `spec` is that of a Pod or template.
pub(crate) fn drop_disabled_projections(spec: &mut Value) {
    let volumes = spec.get_mut("volumes").and_then(Value::as_array_mut);
    for volume in volumes.into_iter().flatten() {
        let sources = volume.pointer_mut("/projected/sources").and_then(Value::as_array_mut);
        for source in sources.into_iter().flatten().filter_map(Value::as_object_mut) {
            source.remove("clusterTrustBundle");
            source.remove("podCertificate");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_of_volumes() {
        let mut volumes = json!([
            { "name": "a" },
            { "name": "b", "image": { "reference": "r/i" } },
            { "name": "c", "image": { "reference": "localhost:5000/i:1" } },
            { "name": "d", "projected": { "sources": [{ "serviceAccountToken": { "path": "t" } }] } },
        ]);
        default_volumes(&mut volumes);
        let expected = json!([
            { "name": "a", "emptyDir": {} },
            { "name": "b", "image": { "reference": "r/i", "pullPolicy": "Always" } },
            { "name": "c", "image": { "reference": "localhost:5000/i:1", "pullPolicy": "IfNotPresent" } },
            { "name": "d", "projected": {
                "sources": [{ "serviceAccountToken": { "path": "t", "expirationSeconds": 3600 } }],
                "defaultMode": 420,
            } },
        ]);
        assert_eq!(volumes, expected);
    }
}
