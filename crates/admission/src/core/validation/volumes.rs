//! The volumes of a Pod (`ValidateVolumes`).

use std::collections::{BTreeMap, BTreeSet};

use super::downward_api::validate_downward_api_volume_source;
use super::projected::validate_projected_volume_source;
use super::volume_sources::{self as sources, Source, one};
use super::{product_sources as products, storage_networks as networks};
use crate::field::{At, Causes};
use crate::primitives::names;

/// The volumes in which nothing is wrong, by name: each is a whole `Volume`, so that its source is a field of it.
pub(crate) type Volumes<'o> = BTreeMap<&'o str, At<'o>>;

/// All kinds of sources, in the order in which they are looked at.
const SOURCES: [Source; 30] = [
    one("emptyDir", sources::validate_empty_dir_volume_source),
    one("hostPath", sources::validate_host_path_volume_source),
    one("gitRepo", sources::validate_git_repo_volume_source),
    Source {
        path: "persistentDisk",
        ..one("gcePersistentDisk", products::validate_gce_persistent_disk_volume_source)
    },
    one("awsElasticBlockStore", products::validate_aws_elastic_block_store_volume_source),
    one("secret", sources::validate_secret_volume_source),
    one("nfs", sources::validate_nfs_volume_source),
    one("iscsi", networks::validate_iscsi_volume_source),
    one("glusterfs", products::validate_glusterfs_volume_source),
    one("flocker", products::validate_flocker_volume_source),
    one("persistentVolumeClaim", sources::validate_persistent_claim_volume_source),
    one("rbd", products::validate_rbd_volume_source),
    one("cinder", products::validate_cinder_volume_source),
    Source { another: "cephFS", ..one("cephfs", products::validate_ceph_fs_volume_source) },
    one("quobyte", products::validate_quobyte_volume_source),
    Source { another: "downwarAPI", ..one("downwardAPI", validate_downward_api_volume_source) },
    one("fc", networks::validate_fc_volume_source),
    one("flexVolume", products::validate_flex_volume_source),
    one("configMap", sources::validate_config_map_volume_source),
    one("azureFile", products::validate_azure_file),
    one("vsphereVolume", products::validate_vsphere_volume_source),
    one("photonPersistentDisk", products::validate_photon_persistent_disk_volume_source),
    one("portworxVolume", products::validate_portworx_volume_source),
    one("azureDisk", products::validate_azure_disk),
    one("storageos", products::validate_storage_os_volume_source),
    one("projected", validate_projected_volume_source),
    one("scaleIO", products::validate_scale_io_volume_source),
    one("csi", sources::validate_csi_volume_source),
    one("ephemeral", sources::validate_ephemeral_volume_source),
    one("image", sources::validate_image_volume_source),
];

/// `ValidateVolumes`. `pod_metadata` is that of the Pod; of a template there is none.
pub(crate) fn validate_volumes<'o>(
    volumes: &At<'o>,
    pod_metadata: &At<'_>,
    causes: &mut Causes,
) -> Volumes<'o> {
    let pod = pod_metadata.at("name").text();
    let has_ephemeral = |volume: &At<'o>| !pod.is_empty() && volume.at("ephemeral").is_set();
    let created: BTreeSet<String> = volumes
        .items()
        .filter(has_ephemeral)
        .map(|volume| format!("{pod}-{}", volume.at("name").text()))
        .collect();
    let mut valid = Volumes::new();
    for volume in volumes.items() {
        let mut found = Causes::default();
        validate_volume_source(&volume, pod_metadata, &mut found);
        let name = volume.at("name");
        if name.is_empty() {
            found.required(&name, "");
        } else {
            names::check(&name, names::dns_label, &mut found);
        }
        if valid.contains_key(name.text()) {
            found.duplicate(&name, name.text());
        }
        if found.is_empty() {
            valid.insert(name.text(), volume.clone());
        }
        causes.append(found);
        let claim = volume.at("persistentVolumeClaim.claimName");
        if volume.at("persistentVolumeClaim").is_set() && created.contains(claim.text()) {
            let why = "must not reference a PVC that gets created for an ephemeral volume";
            causes.invalid(&claim, claim.text(), why);
        }
    }
    valid
}

/// `validateVolumeSource`
fn validate_volume_source(volume: &At<'_>, pod_metadata: &At<'_>, causes: &mut Causes) {
    let name = volume.at("name");
    let mut first = None;
    for source in &SOURCES {
        if !volume.at(source.field).is_set() {
            continue;
        }
        let reference = volume.at("image.reference");
        // A template may leave it out (`ResourceIsPod`).
        if source.field == "image" && first.is_none() && pod_metadata.is_set() && reference.is_empty() {
            causes.required(&reference, "");
        }
        source.validate(volume, first.is_some(), causes);
        let is_first = *first.get_or_insert(source.field) == source.field;
        match source.field {
            "iscsi" => {
                let iscsi = volume.at("iscsi");
                let length = name.text().len() + 1 + iscsi.at("targetPortal").text().len();
                if iscsi.at("initiatorName").is_set() && length > 64 {
                    causes.invalid(&name, name.text(), networks::ISCSI_TOO_LONG);
                }
            }
            "ephemeral" if is_first => {
                let pod = pod_metadata.at("name").text();
                let claim = format!("{pod}-{}", name.text());
                let is_named = !pod.is_empty() && !name.is_empty();
                for fault in names::dns_subdomain(&claim).iter().filter(|_| is_named) {
                    causes.invalid(&name, name.text(), &format!("PVC name {claim:?}: {fault}"));
                }
            }
            _ => {}
        }
    }
    if first.is_none() {
        causes.required(volume, "must specify a volume type");
    }
}
