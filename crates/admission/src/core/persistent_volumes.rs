//! PersistentVolumes and their claims (`pkg/registry/core/persistentvolume`, `pkg/registry/core/persistentvolumeclaim`).

use serde_json::{Value, json};

use super::validation::{claims, persistent_volumes};
use super::volumes::{default_claim, default_volume_source, put_default};
use crate::field::At;
use crate::primitives::defaults::round_up;
use crate::primitives::updates::keep_status;
use crate::strategy::Strategy;
use clusterlocal_core::text::Quantity;

pub(crate) const PERSISTENT_VOLUME: Strategy = Strategy {
    default: |volume| {
        put_default(&mut volume["status"], "phase", "Pending");
        let spec = &mut volume["spec"];
        put_default(spec, "persistentVolumeReclaimPolicy", "Retain");
        put_default(spec, "volumeMode", "Filesystem");
        round_up(spec.get_mut("capacity"));
        if let Some(spec) = spec.as_object_mut() {
            default_volume_source(spec);
        }
    },
    prepare_for_create: |volume| {
        protect(volume, "kubernetes.io/pv-protection");
        volume["status"] = json!({ "phase": "Pending" });
    },
    prepare_for_update: keep_status,
    validate: persistent_volumes::validate_persistent_volume,
    validate_update: persistent_volumes::validate_persistent_volume_update,
    prepare_status_for_update: super::statuses::prepare_persistent_volume_status,
    validate_status_update: super::statuses::validate_persistent_volume_status_update,
    warnings: warnings_for_persistent_volume,
    ..Strategy::of("", "PersistentVolume", false)
};

pub(crate) const PERSISTENT_VOLUME_CLAIM: Strategy = Strategy {
    default: default_claim,
    prepare_for_create: |claim| {
        protect(claim, "kubernetes.io/pvc-protection");
        claim["status"] = json!({ "phase": "Pending" });
        prepare_data_sources(&mut claim["spec"], &Value::Null);
    },
    prepare_for_update: |claim, before| {
        keep_status(claim, before);
        prepare_data_sources(&mut claim["spec"], &before["spec"]);
    },
    validate: claims::validate_persistent_volume_claim,
    validate_update: claims::validate_persistent_volume_claim_update,
    validate_status_update: super::statuses::validate_persistent_volume_claim_status_update,
    warnings: warnings_for_persistent_volume_claim,
    ..Strategy::of("", "PersistentVolumeClaim", true)
};

/// What the admission plugin `StorageObjectInUseProtection`, which is always on, adds to a new object.
fn protect(object: &mut Value, finalizer: &str) {
    let Some(metadata) = object["metadata"].as_object_mut() else { return };
    let finalizers = metadata.entry("finalizers").or_insert_with(|| json!([]));
    if let Some(finalizers) = finalizers.as_array_mut().filter(|all| !all.contains(&finalizer.into())) {
        finalizers.push(finalizer.into());
    }
}

/// `DropDisabledFields`, `EnforceDataSourceBackwardsCompatibility` and `NormalizeDataSources`: sets each of
/// the two fields for a volume's data source from the other.
fn prepare_data_sources(spec: &mut Value, before: &Value) {
    let Some(spec) = spec.as_object_mut() else { return };
    let in_use = |field: &str| before.get(field).is_some();
    let has_namespace =
        |reference: &Value| reference["namespace"].as_str().is_some_and(|name| !name.is_empty());
    if spec.get("dataSourceRef").is_some_and(has_namespace) && !in_use("dataSourceRef") {
        spec.remove("dataSourceRef");
    }
    let is_claim_or_snapshot = |source: &Value| {
        let text = |field: &str| source[field].as_str().unwrap_or_default();
        matches!(
            (text("kind"), text("apiGroup")),
            ("PersistentVolumeClaim", "") | ("VolumeSnapshot", "snapshot.storage.k8s.io")
        )
    };
    let is_free = !in_use("dataSource") && !in_use("dataSourceRef") && !spec.contains_key("dataSourceRef");
    if is_free && !spec.get("dataSource").is_some_and(is_claim_or_snapshot) {
        spec.remove("dataSource");
    }
    match (spec.get("dataSource").cloned(), spec.get("dataSourceRef").cloned()) {
        (Some(source), None) => drop(spec.insert("dataSourceRef".into(), source)),
        (None, Some(mut reference)) if !has_namespace(&reference) => {
            if let Some(reference) = reference.as_object_mut() {
                reference.remove("namespace");
            }
            spec.insert("dataSource".into(), reference);
        }
        _ => {}
    }
}

/// `GetWarningsForPersistentVolumeClaim`
fn warnings_for_persistent_volume_claim(claim: &Value, _: Option<&Value>) -> Vec<String> {
    const CLASS: &str = "volume.beta.kubernetes.io/storage-class";
    let root = At::root(claim);
    let annotation = root.at("metadata.annotations").key(CLASS);
    let mut warnings = Vec::new();
    if annotation.is_set() {
        let why = "deprecated since v1.8; use \"storageClassName\" attribute instead";
        warnings.push(format!("{annotation}: {why}"));
    }
    warnings.extend(warnings_for_claim_spec(&root.at("spec")));
    warnings
}

/// `GetWarningsForPersistentVolumeClaimSpec`
pub(crate) fn warnings_for_claim_spec(spec: &At<'_>) -> Vec<String> {
    let amounts = ["requests", "limits"].map(|name| spec.at("resources").at(name).key("storage"));
    let parts = amounts.iter().filter(|amount| !Quantity::of(amount.text()).is_whole());
    parts
        .map(|at| format!("{at}: fractional byte value {:?} is invalid, must be an integer", at.text()))
        .collect()
}

/// `GetWarningsForPersistentVolume`
fn warnings_for_persistent_volume(volume: &Value, _: Option<&Value>) -> Vec<String> {
    const ANNOTATIONS: [(&str, &str); 2] = [
        (
            "volume.beta.kubernetes.io/storage-class",
            "deprecated since v1.8; use \"storageClassName\" attribute instead",
        ),
        (
            "volume.beta.kubernetes.io/mount-options",
            "deprecated since v1.31; use \"mountOptions\" attribute instead",
        ),
    ];
    const SOURCES: [(&str, &str, &str); 6] = [
        ("cephfs", "cephfs", "deprecated in v1.28, non-functional in v1.31+"),
        ("photonPersistentDisk", "photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
        ("scaleIO", "scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
        ("storageos", "storageOS", "deprecated in v1.22, non-functional in v1.25+"),
        ("glusterfs", "glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
        ("rbd", "rbd", "deprecated in v1.28, non-functional in v1.31+"),
    ];
    let root = At::root(volume);
    let spec = root.at("spec");
    let mut warnings = Vec::new();
    for (key, why) in ANNOTATIONS {
        let annotation = root.at("metadata.annotations").key(key);
        if annotation.is_set() {
            warnings.push(format!("{annotation}: {why}"));
        }
    }
    let policy = spec.at("persistentVolumeReclaimPolicy");
    if policy.text() == "Recycle" {
        let why = "The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.";
        warnings.push(format!("{policy}: {why}"));
    }
    for term in spec.at("nodeAffinity.required.nodeSelectorTerms").items() {
        warnings.extend(super::nodes::warnings_for_node_selector_term(&term, false));
    }
    for (source, shown, why) in SOURCES {
        if spec.at(source).is_set() {
            warnings.push(format!("{}: {why}", spec.at(shown)));
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_sources_say_the_same() {
        let claim = json!({ "kind": "PersistentVolumeClaim", "name": "a" });
        let other = json!({ "apiGroup": "a.b", "kind": "C", "name": "a" });
        let far = json!({ "kind": "PersistentVolumeClaim", "name": "a", "namespace": "b" });
        let table = [
            (json!({ "dataSource": claim }), json!({ "dataSource": claim, "dataSourceRef": claim })),
            (json!({ "dataSource": other }), json!({})),
            (json!({ "dataSourceRef": other }), json!({ "dataSource": other, "dataSourceRef": other })),
            (json!({ "dataSourceRef": far }), json!({})),
        ];
        for (mut spec, expected) in table {
            prepare_data_sources(&mut spec, &Value::Null);
            assert_eq!(spec, expected);
        }
    }
}
