//! Volumes of single products: those of clouds, and those that the in-tree plugins mounted before CSI.

use super::fields::require;
use crate::field::{At, Causes};
use crate::primitives::names;

/// `InclusiveRangeError(1, 255)`, although 0 is taken.
const PARTITION: &str = "must be between 1 and 255, inclusive";

/// `validateGCEPersistentDiskVolumeSource`
pub(crate) fn validate_gce_persistent_disk_volume_source(source: &At<'_>, causes: &mut Causes) {
    require(source, &["pdName"], causes);
    validate_partition(&source.at("partition"), causes);
}

/// `validateAWSElasticBlockStoreVolumeSource`
pub(crate) fn validate_aws_elastic_block_store_volume_source(source: &At<'_>, causes: &mut Causes) {
    require(source, &["volumeID"], causes);
    validate_partition(&source.at("partition"), causes);
}

fn validate_partition(partition: &At<'_>, causes: &mut Causes) {
    if !(0..=255).contains(&partition.number()) {
        causes.invalid(partition, partition.number(), PARTITION);
    }
}

/// `validateQuobyteVolumeSource`
pub(crate) fn validate_quobyte_volume_source(source: &At<'_>, causes: &mut Causes) {
    const PAIRS: &str = "must be a host:port pair or multiple pairs separated by commas";
    let registry = source.at("registry");
    if registry.is_empty() {
        causes.required(&registry, PAIRS);
    } else if source.at("tenant").text().len() >= 65 {
        let why = "must be a UUID and may not exceed a length of 64 characters";
        causes.required(&source.at("tenant"), why);
    } else {
        for _ in registry.text().split(',').filter(|pair| !is_host_and_port(pair)) {
            causes.invalid(&registry, registry.text(), PAIRS);
        }
    }
    require(source, &["volume"], causes);
}

/// Whether Go's `net.SplitHostPort` takes it.
fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let host = match host.strip_prefix('[') {
        Some(host) => host.strip_suffix(']'),
        None => Some(host).filter(|host| !host.contains(':')),
    };
    host.is_some_and(|host| !host.contains(['[', ']'])) && !port.contains(['[', ']'])
}

/// `validateGlusterfsVolumeSource`
pub(crate) fn validate_glusterfs_volume_source(source: &At<'_>, causes: &mut Causes) {
    require(source, &["endpoints", "path"], causes);
}

/// `validateGlusterfsPersistentVolumeSource`
pub(crate) fn validate_glusterfs_persistent_volume_source(source: &At<'_>, causes: &mut Causes) {
    require(source, &["endpoints", "path"], causes);
    let namespace = source.at("endpointsNamespace");
    match namespace.text_if_set() {
        Some("") => {
            let why = "if the endpointnamespace is set, it must be a valid namespace name";
            causes.invalid(&namespace, "", why);
        }
        Some(_) => names::check(&namespace, names::dns_label, causes),
        None => {}
    }
}

/// `validateFlockerVolumeSource`
pub(crate) fn validate_flocker_volume_source(source: &At<'_>, causes: &mut Causes) {
    let (name, id) = (source.at("datasetName"), source.at("datasetUUID"));
    if name.is_empty() && id.is_empty() {
        causes.required(source, "one of datasetName and datasetUUID is required");
    }
    if !name.is_empty() && !id.is_empty() {
        let why = "datasetName and datasetUUID can not be specified simultaneously";
        causes.invalid(source, "resource", why);
    }
    if name.text().contains('/') {
        causes.invalid(&name, name.text(), "must not contain '/'");
    }
}

/// `validateRBDVolumeSource`
pub(crate) fn validate_rbd_volume_source(source: &At<'_>, causes: &mut Causes) {
    require(source, &["monitors", "image"], causes);
}

/// `validateCinderVolumeSource`
pub(crate) fn validate_cinder_volume_source(source: &At<'_>, causes: &mut Causes) {
    require(source, &["volumeID"], causes);
    require_secret(source, &["name"], causes);
}

/// `validateCinderPersistentVolumeSource`
pub(crate) fn validate_cinder_persistent_volume_source(source: &At<'_>, causes: &mut Causes) {
    require(source, &["volumeID"], causes);
    require_secret(source, &["name", "namespace"], causes);
}

fn require_secret(source: &At<'_>, fields: &[&'static str], causes: &mut Causes) {
    let secret = source.at("secretRef");
    if secret.is_set() {
        require(&secret, fields, causes);
    }
}

/// `validateCephFSVolumeSource`
pub(crate) fn validate_ceph_fs_volume_source(source: &At<'_>, causes: &mut Causes) {
    require(source, &["monitors"], causes);
}

/// `validateFlexVolumeSource`
pub(crate) fn validate_flex_volume_source(source: &At<'_>, causes: &mut Causes) {
    require(source, &["driver"], causes);
    for (key, option) in source.at("options").entries() {
        let namespace = key.split_once('/').map_or(key, |(namespace, _)| namespace);
        let normalized = format!(".{}", namespace.to_lowercase());
        if normalized.ends_with(".kubernetes.io") || normalized.ends_with(".k8s.io") {
            causes.invalid(&option, key, "kubernetes.io and k8s.io namespaces are reserved");
        }
    }
}

/// `validateAzureFile`
pub(crate) fn validate_azure_file(source: &At<'_>, causes: &mut Causes) {
    require(source, &["secretName", "shareName"], causes);
}

/// `validateAzureFilePV`
pub(crate) fn validate_azure_file_pv(source: &At<'_>, causes: &mut Causes) {
    validate_azure_file(source, causes);
    if source.at("secretNamespace").is_set() {
        require(source, &["secretNamespace"], causes);
    }
}

/// `validateAzureDisk`
pub(crate) fn validate_azure_disk(source: &At<'_>, causes: &mut Causes) {
    const MANAGED: &str =
        "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}";
    const BLOB: &str = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd";
    require(source, &["diskName", "diskURI"], causes);
    let kind = source.at("kind");
    for (field, supported) in
        [("cachingMode", ["None", "ReadOnly", "ReadWrite"]), ("kind", ["Dedicated", "Managed", "Shared"])]
    {
        let field = source.at(field);
        if field.is_set() && !supported.contains(&field.text()) {
            causes.not_supported(&field, field.text(), &supported);
        }
    }
    let uri = source.at("diskURI");
    let (begin, form) = match kind.text() {
        "Managed" => ("/subscriptions/", MANAGED),
        _ => ("https://", BLOB),
    };
    if kind.is_set() && !uri.text().starts_with(begin) {
        causes.not_supported(&uri, uri.text(), &[form]);
    }
}

/// `validateVsphereVolumeSource`
pub(crate) fn validate_vsphere_volume_source(source: &At<'_>, causes: &mut Causes) {
    require(source, &["volumePath"], causes);
}

/// `validatePhotonPersistentDiskVolumeSource`
pub(crate) fn validate_photon_persistent_disk_volume_source(source: &At<'_>, causes: &mut Causes) {
    require(source, &["pdID"], causes);
}

/// `validatePortworxVolumeSource`
pub(crate) fn validate_portworx_volume_source(source: &At<'_>, causes: &mut Causes) {
    require(source, &["volumeID"], causes);
}

/// `validateScaleIOVolumeSource`
pub(crate) fn validate_scale_io_volume_source(source: &At<'_>, causes: &mut Causes) {
    require(source, &["gateway", "system", "volumeName"], causes);
}

/// `validateStorageOSVolumeSource`
pub(crate) fn validate_storage_os_volume_source(source: &At<'_>, causes: &mut Causes) {
    validate_storage_os(source, &["name"], causes);
}

/// `validateStorageOSPersistentVolumeSource`
pub(crate) fn validate_storage_os_persistent_volume_source(source: &At<'_>, causes: &mut Causes) {
    validate_storage_os(source, &["name", "namespace"], causes);
}

fn validate_storage_os(source: &At<'_>, secret: &[&'static str], causes: &mut Causes) {
    require(source, &["volumeName"], causes);
    for field in ["volumeName", "volumeNamespace"] {
        if !source.at(field).is_empty() {
            names::check(&source.at(field), names::dns_label, causes);
        }
    }
    require_secret(source, secret, causes);
}
