//! PersistentVolumes (`ValidatePersistentVolume`).

use serde_json::Value;

use super::claims::{validate_access_modes, validate_positive_quantity, validate_volume_mode};
use super::fields::require;
use super::metadata;
use super::node_selector::validate_node_selector;
use super::paths::is_root;
use super::volume_sources::{self as sources, Source, one};
use super::{product_sources as products, storage_networks as networks};
use crate::field::{At, Causes};
use crate::primitives::diff::diff_go_json;
use crate::primitives::equality::semantically_equal;
use crate::primitives::metadata::validate_immutable;
use crate::primitives::names;
use crate::schema;
use clusterlocal_core::text::Quantity;

const MOUNT_OPTIONS_ANNOTATION: &str = "volume.beta.kubernetes.io/mount-options";

/// All kinds of sources of a PersistentVolume, in the order in which they are looked at. `local` and `iscsi` need more.
const SOURCES: [Source; 21] = [
    one("hostPath", sources::validate_host_path_volume_source),
    Source {
        path: "persistentDisk",
        ..one("gcePersistentDisk", products::validate_gce_persistent_disk_volume_source)
    },
    one("awsElasticBlockStore", products::validate_aws_elastic_block_store_volume_source),
    one("glusterfs", products::validate_glusterfs_persistent_volume_source),
    one("flocker", products::validate_flocker_volume_source),
    one("nfs", sources::validate_nfs_volume_source),
    one("rbd", products::validate_rbd_volume_source),
    one("quobyte", products::validate_quobyte_volume_source),
    Source { another: "cephFS", ..one("cephfs", products::validate_ceph_fs_volume_source) },
    one("iscsi", |_, _| {}),
    one("cinder", products::validate_cinder_persistent_volume_source),
    one("fc", networks::validate_fc_volume_source),
    one(FLEX, products::validate_flex_volume_source),
    one("azureFile", products::validate_azure_file_pv),
    one("vsphereVolume", products::validate_vsphere_volume_source),
    one("photonPersistentDisk", products::validate_photon_persistent_disk_volume_source),
    one("portworxVolume", products::validate_portworx_volume_source),
    one("azureDisk", products::validate_azure_disk),
    one("scaleIO", products::validate_scale_io_volume_source),
    one("local", sources::validate_local_volume_source),
    one("storageos", products::validate_storage_os_persistent_volume_source),
];

/// A FlexVolume is never reported as one source too many.
const FLEX: &str = "flexVolume";

/// Sources of which a mount knows options (`checkMountOption` of `pkg/volume/validation`).
const MOUNTED: [&str; 13] = [
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "glusterfs",
    "nfs",
    "rbd",
    "quobyte",
    "iscsi",
    "cinder",
    "cephfs",
    "azureFile",
    "vsphereVolume",
    "azureDisk",
    "photonPersistentDisk",
];

/// What `Strategy.Validate` does.
pub(crate) fn validate_persistent_volume(volume: &At<'_>, causes: &mut Causes) {
    validate_volume(volume, causes);
    check_mount_option(volume, causes);
}

/// `ValidatePersistentVolume`
fn validate_volume(volume: &At<'_>, causes: &mut Causes) {
    let meta = volume.at("metadata");
    metadata::validate_object_meta(&meta, false, names::dns_subdomain, causes);
    validate_persistent_volume_spec(&volume.at("spec"), meta.at("name").text(), causes);
}

fn check_mount_option(volume: &At<'_>, causes: &mut Causes) {
    let spec = volume.at("spec");
    let annotations = volume.at("metadata.annotations");
    let is_set = annotations.value().get(MOUNT_OPTIONS_ANNOTATION).is_some();
    if is_set && !MOUNTED.iter().any(|source| spec.at(source).is_set()) {
        let why = "may not specify mount options for this volume type";
        causes.forbidden(&annotations.at(MOUNT_OPTIONS_ANNOTATION), why);
    }
}

/// `ValidatePersistentVolumeSpec`
fn validate_persistent_volume_spec(spec: &At<'_>, name: &str, causes: &mut Causes) {
    const POLICIES: &[&str] = &["Delete", "Recycle", "Retain"];
    validate_modes(&spec.at("accessModes"), causes);
    validate_capacity(&spec.at("capacity"), causes);
    let policy = spec.at("persistentVolumeReclaimPolicy");
    if !policy.is_empty() && !POLICIES.contains(&policy.text()) {
        causes.not_supported(&policy, policy.text(), POLICIES);
    }
    let affinity = spec.at("nodeAffinity");
    if affinity.is_set() {
        let required = affinity.at("required");
        if required.is_set() {
            validate_node_selector(&required, false, causes);
        } else {
            causes.required(&required, "must specify required node constraints");
        }
    }
    validate_source(spec, name, causes);
    validate_recycling(spec, causes);
    let class = spec.at("storageClassName");
    if !class.is_empty() {
        names::check(&class, names::dns_subdomain, causes);
    }
    validate_volume_mode(&spec.at("volumeMode"), causes);
    validate_attributes_class(spec, causes);
}

/// `ValidatePersistentVolumeSpec` of a volume that a VolumeAttachment has within itself.
pub(crate) fn validate_inline_volume_spec(spec: &At<'_>, causes: &mut Causes) {
    const INLINE: &str = "in the context of inline volumes";
    let forbid = |name: &'static str, is_said: bool, causes: &mut Causes| {
        if is_said {
            causes.forbidden(&spec.at(name), &format!("may not be specified {INLINE}"));
        }
    };
    forbid("claimRef", spec.at("claimRef").is_set(), causes);
    forbid("capacity", !spec.at("capacity").is_empty(), causes);
    if !spec.at("csi").is_set() {
        causes.required(&spec.at("csi"), &format!("has to be specified {INLINE}"));
    }
    validate_modes(&spec.at("accessModes"), causes);
    let policy = spec.at("persistentVolumeReclaimPolicy");
    if !matches!(policy.text(), "" | "Retain") {
        causes.forbidden(&policy, &format!("may only be Retain {INLINE}"));
    }
    forbid("nodeAffinity", spec.at("nodeAffinity").is_set(), causes);
    validate_source(spec, "", causes);
    validate_recycling(spec, causes);
    forbid("storageClassName", !spec.at("storageClassName").is_empty(), causes);
    let mode = spec.at("volumeMode");
    if mode.text_if_set().is_some_and(|mode| mode != "Filesystem") {
        let why = format!("may not specify volumeMode other than Filesystem {INLINE}");
        causes.forbidden(&mode, &why);
    }
}

fn validate_modes(modes: &At<'_>, causes: &mut Causes) {
    if modes.is_empty() {
        causes.required(modes, "");
    }
    validate_access_modes(modes, causes);
}

fn validate_recycling(spec: &At<'_>, causes: &mut Causes) {
    let policy = spec.at("persistentVolumeReclaimPolicy");
    let path = spec.at("hostPath.path");
    if spec.at("hostPath").is_set() && is_root(path.text()) && policy.text() == "Recycle" {
        causes.forbidden(&policy, "may not be 'recycle' for a hostPath mount of '/'");
    }
}

fn validate_attributes_class(spec: &At<'_>, causes: &mut Causes) {
    let class = spec.at("volumeAttributesClassName");
    if class.is_set() {
        if class.is_empty() {
            causes.required(&class, "an empty string is disallowed");
        } else {
            names::check(&class, names::dns_subdomain, causes);
        }
        if !spec.at("csi").is_set() {
            let why = "has to be specified when using volumeAttributesClassName";
            causes.required(&spec.at("csi"), why);
        }
    }
}

fn validate_capacity(capacity: &At<'_>, causes: &mut Causes) {
    if capacity.is_empty() {
        causes.required(capacity, "");
    }
    let amounts = capacity.map().map_or(0, serde_json::Map::len);
    if capacity.value().get("storage").is_none() || amounts > 1 {
        causes.not_supported(capacity, capacity.value(), &["storage"]);
    }
    for (_, amount) in capacity.entries() {
        // `validateBasicResource`
        let value = Quantity::of(amount.text()).low_value();
        if value < 0 {
            causes.invalid(&amount, value, "must be a valid resource quantity");
        }
        validate_positive_quantity(&amount, causes);
    }
}

fn validate_source(spec: &At<'_>, name: &str, causes: &mut Causes) {
    let mut count = 0;
    for source in &SOURCES {
        if !spec.at(source.field).is_set() {
            continue;
        }
        let is_another = count > 0 && source.field != FLEX;
        source.validate(spec, is_another, causes);
        count += 1;
        match source.field {
            "iscsi" if !is_another => {
                networks::validate_iscsi_persistent_volume_source(&spec.at("iscsi"), name, causes);
            }
            "local" if !is_another && !spec.at("nodeAffinity").is_set() => {
                causes.required(&spec.at("nodeAffinity"), "Local volume requires node affinity");
            }
            _ => {}
        }
    }
    if spec.at("csi").is_set() {
        one("csi", validate_csi_persistent_volume_source).validate(spec, count > 0, causes);
        count += 1;
    }
    if count == 0 {
        causes.required(spec, "must specify a volume type");
    }
}

/// `validateCSIPersistentVolumeSource`
fn validate_csi_persistent_volume_source(source: &At<'_>, causes: &mut Causes) {
    sources::validate_csi_driver_name(&source.at("driver"), causes);
    require(source, &["volumeHandle"], causes);
    for field in [
        "controllerPublishSecretRef",
        "controllerExpandSecretRef",
        "nodePublishSecretRef",
        "nodeExpandSecretRef",
    ] {
        let secret = source.at(field);
        if secret.is_set() {
            validate_pv_secret_reference(&secret, causes);
        }
    }
}

/// `validatePVSecretReference`
fn validate_pv_secret_reference(secret: &At<'_>, causes: &mut Causes) {
    let rules = [("name", names::dns_subdomain as fn(&str) -> _), ("namespace", names::dns_label)];
    for (field, rule) in rules {
        let field = secret.at(field);
        if field.is_empty() {
            causes.required(&field, "");
        } else {
            names::check(&field, rule, causes);
        }
    }
}

/// What `Strategy.ValidateUpdate` does: it looks at the new volume twice.
pub(crate) fn validate_persistent_volume_update(volume: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    validate_persistent_volume(volume, causes);
    validate_volume(volume, causes);
    let (spec, old) = (volume.at("spec"), before.at("spec"));
    let mut new_source = spec.value().clone();
    let secret = "controllerExpandSecretRef";
    // It may be added to a CSI volume that has none.
    let is_added = old.at("csi").is_set() && !old.at("csi").at(secret).is_set();
    if let Some(csi) = new_source.get_mut("csi").and_then(Value::as_object_mut).filter(|_| is_added) {
        csi.remove(secret);
    }
    let fields = SOURCES.iter().map(|source| source.field).chain(["csi"]);
    let old_source = old.value();
    let none = Value::Null;
    let is_same = |field: &str| {
        let (one, other) = (new_source.get(field), old_source.get(field));
        semantically_equal(one.unwrap_or(&none), other.unwrap_or(&none))
    };
    if !fields.into_iter().all(is_same) {
        let diff = diff_go_json("PersistentVolumeSource", old_source, &new_source);
        let why = format!("spec.persistentvolumesource is immutable after creation\n{diff}");
        causes.forbidden(&spec.at("persistentvolumesource"), &why);
    }
    let mode = volume.at("volumeMode").with(spec.at("volumeMode").value());
    validate_immutable(&mode, &old.at("volumeMode"), causes);
    if old.at("nodeAffinity").is_set() {
        validate_pv_node_affinity(&spec.at("nodeAffinity"), &old.at("nodeAffinity"), volume, causes);
    }
    let class = spec.at("volumeAttributesClassName");
    if old.at("volumeAttributesClassName").is_set() && !class.is_set() {
        causes.forbidden(&class, "update from non-nil value to nil is forbidden");
    }
}

/// `validatePvNodeAffinity`: only the beta names of labels may become those that are stable.
fn validate_pv_node_affinity(new: &At<'_>, old: &At<'_>, volume: &At<'_>, causes: &mut Causes) {
    const STABLE: [(&str, &str); 5] = [
        ("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"),
        ("failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region"),
        ("beta.kubernetes.io/os", "kubernetes.io/os"),
        ("beta.kubernetes.io/arch", "kubernetes.io/arch"),
        ("beta.kubernetes.io/instance-type", "node.kubernetes.io/instance-type"),
    ];
    let mut masked = old.value().clone();
    let terms = masked.pointer_mut("/required/nodeSelectorTerms").and_then(Value::as_array_mut);
    for (index, term) in terms.into_iter().flatten().enumerate() {
        for name in ["matchExpressions", "matchFields"] {
            let new = new.at("required.nodeSelectorTerms").item(index).at(name);
            let requirements = term.get_mut(name).and_then(Value::as_array_mut);
            for (requirement, new) in requirements.into_iter().flatten().zip(new.items()) {
                let key = new.at("key");
                let old = requirement["key"].as_str().unwrap_or_default();
                // A label that has no other name has the empty one.
                let stable = STABLE.iter().find(|(beta, _)| *beta == old).map_or("", |(_, stable)| stable);
                if stable == key.text() {
                    match key.value() {
                        Value::Null => drop(requirement.as_object_mut().and_then(|map| map.remove("key"))),
                        value => requirement["key"] = value.clone(),
                    }
                }
            }
        }
    }
    if !semantically_equal(new.value(), &masked) {
        let at = volume.at("nodeAffinity");
        let shown = match new.value() {
            Value::Null => crate::field::Shown::nil(),
            value => schema::go_json("VolumeNodeAffinity", value),
        };
        causes.invalid(&at, shown, "field is immutable, except for updating from beta label to GA");
    }
}
