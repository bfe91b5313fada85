//! Where the content of a volume comes from: what Pods and PersistentVolumes have in common.

use super::claims::validate_claim_template;
use super::paths::{
    validate_local_descending_path, validate_local_non_reserved_path, validate_path_no_backsteps,
};
use crate::field::{At, Causes};
use crate::primitives::names;

/// A kind of source.
pub(crate) struct Source {
    pub(crate) field: &'static str,
    /// The path of its errors, which is not always that of the field.
    pub(crate) path: &'static str,
    /// The path of the error about one source too many.
    pub(crate) another: &'static str,
    pub(crate) validate: fn(&At<'_>, &mut Causes),
}

/// A source whose path is its field's name.
pub(crate) const fn one(field: &'static str, validate: fn(&At<'_>, &mut Causes)) -> Source {
    Source { field, path: field, another: field, validate }
}

impl Source {
    /// Looks at this source of `of`, which has a source already if `is_another`.
    pub(crate) fn validate(&self, of: &At<'_>, is_another: bool, causes: &mut Causes) {
        if is_another {
            causes.forbidden(&of.at(self.another), "may not specify more than 1 volume type");
        } else {
            (self.validate)(&of.at(self.path).with(of.at(self.field).value()), causes);
        }
    }
}

pub(crate) const ISCSI_TOO_LONG: &str = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.";
/// `InclusiveRangeError(1, 255)`, although 0 is taken.
const PARTITION: &str = "must be between 1 and 255, inclusive";
const LUN: &str = "must be between 0 and 255, inclusive";

/// Reports each of `fields` that is empty.
pub(crate) fn require(source: &At<'_>, fields: &[&'static str], causes: &mut Causes) {
    for field in fields {
        if source.at(field).is_empty() {
            causes.required(&source.at(field), "");
        }
    }
}

/// The mode of a file.
pub(crate) fn validate_mode(mode: &At<'_>, causes: &mut Causes) {
    if !(0..=0o777).contains(&mode.number()) {
        let why = "must be a number between 0 and 0777 (octal), both inclusive";
        causes.invalid(mode, mode.number(), why);
    }
}

/// `validateVolumeSource` on `emptyDir`.
pub(crate) fn validate_empty_dir_volume_source(source: &At<'_>, causes: &mut Causes) {
    let limit = source.at("sizeLimit");
    if limit.text().starts_with('-') {
        causes.forbidden(&limit, "SizeLimit field must be a valid resource quantity");
    }
}

/// `validateHostPathVolumeSource`
pub(crate) fn validate_host_path_volume_source(source: &At<'_>, causes: &mut Causes) {
    const TYPES: &[&str] = &[
        "",
        "BlockDevice",
        "CharDevice",
        "Directory",
        "DirectoryOrCreate",
        "File",
        "FileOrCreate",
        "Socket",
    ];
    let (path, kind) = (source.at("path"), source.at("type"));
    if path.is_empty() {
        causes.required(&path, "");
        return;
    }
    validate_path_no_backsteps(&path, causes);
    if !TYPES.contains(&kind.text()) {
        causes.not_supported(&kind, kind.text(), TYPES);
    }
}

/// `validateLocalVolumeSource`
pub(crate) fn validate_local_volume_source(source: &At<'_>, causes: &mut Causes) {
    require(source, &["path"], causes);
    validate_path_no_backsteps(&source.at("path"), causes);
}

/// `validateGitRepoVolumeSource`
pub(crate) fn validate_git_repo_volume_source(source: &At<'_>, causes: &mut Causes) {
    require(source, &["repository"], causes);
    validate_local_descending_path(&source.at("directory"), causes);
}

/// `validateSecretVolumeSource`
pub(crate) fn validate_secret_volume_source(source: &At<'_>, causes: &mut Causes) {
    require(source, &["secretName"], causes);
    validate_files(source, causes);
}

/// `validateConfigMapVolumeSource`
pub(crate) fn validate_config_map_volume_source(source: &At<'_>, causes: &mut Causes) {
    require(source, &["name"], causes);
    validate_files(source, causes);
}

fn validate_files(source: &At<'_>, causes: &mut Causes) {
    validate_mode(&source.at("defaultMode"), causes);
    for item in source.at("items").items() {
        validate_key_to_path(&item, causes);
    }
}

/// `validateKeyToPath`
pub(crate) fn validate_key_to_path(item: &At<'_>, causes: &mut Causes) {
    require(item, &["key", "path"], causes);
    validate_local_non_reserved_path(&item.at("path"), causes);
    validate_mode(&item.at("mode"), causes);
}

/// `validatePersistentClaimVolumeSource`
pub(crate) fn validate_persistent_claim_volume_source(source: &At<'_>, causes: &mut Causes) {
    require(source, &["claimName"], causes);
}

/// `validateEphemeralVolumeSource`
pub(crate) fn validate_ephemeral_volume_source(source: &At<'_>, causes: &mut Causes) {
    let template = source.at("volumeClaimTemplate");
    if template.is_set() {
        validate_claim_template(&template, causes);
    } else {
        causes.required(&template, "");
    }
}

/// `validateImageVolumeSource`, without the reference.
pub(crate) fn validate_image_volume_source(source: &At<'_>, causes: &mut Causes) {
    const POLICIES: &[&str] = &["Always", "IfNotPresent", "Never"];
    let policy = source.at("pullPolicy");
    match policy.text() {
        "" => causes.required(&policy, ""),
        text if !POLICIES.contains(&text) => causes.not_supported(&policy, text, POLICIES),
        _ => {}
    }
}

/// `ValidateCSIDriverName`
pub(crate) fn validate_csi_driver_name(driver: &At<'_>, causes: &mut Causes) {
    if driver.is_empty() {
        causes.required(driver, "");
        return;
    }
    if driver.text().len() > 63 {
        causes.too_long(driver, 63);
    }
    for fault in names::dns_subdomain(&driver.text().to_lowercase()) {
        causes.invalid(driver, driver.text(), &fault);
    }
}

/// `validateCSIVolumeSource`
pub(crate) fn validate_csi_volume_source(source: &At<'_>, causes: &mut Causes) {
    validate_csi_driver_name(&source.at("driver"), causes);
    if source.at("nodePublishSecretRef").is_set() {
        let name = source.at("nodePublishSecretRef.name");
        if name.is_empty() {
            causes.required(&name, "");
        } else {
            names::check(&source.at("name").with(name.value()), names::dns_subdomain, causes);
        }
    }
}

/// `validateNFSVolumeSource`
pub(crate) fn validate_nfs_volume_source(source: &At<'_>, causes: &mut Causes) {
    require(source, &["server", "path"], causes);
    let path = source.at("path");
    if !path.text().starts_with('/') {
        causes.invalid(&path, path.text(), "must be an absolute path");
    }
}

/// `validateISCSIVolumeSource`
pub(crate) fn validate_iscsi_volume_source(source: &At<'_>, causes: &mut Causes) {
    require(source, &["targetPortal"], causes);
    validate_iscsi(source, "must be valid format starting with iqn, eui, or naa", |_, _| {}, causes);
}

/// `validateISCSIPersistentVolumeSource`
pub(crate) fn validate_iscsi_persistent_volume_source(
    source: &At<'_>,
    volume_name: &str,
    causes: &mut Causes,
) {
    require(source, &["targetPortal"], causes);
    let portal = source.at("targetPortal").text();
    if source.at("initiatorName").is_set() && volume_name.len() + 1 + portal.len() > 64 {
        causes.invalid(&source.at("targetportal"), portal, ISCSI_TOO_LONG);
    }
    let secret = |source: &At<'_>, causes: &mut Causes| {
        if source.at("secretRef").is_set() {
            require(&source.at("secretRef"), &["name"], causes);
        }
    };
    validate_iscsi(source, "must be valid format", secret, causes);
}

fn validate_iscsi(
    source: &At<'_>,
    unknown_form: &str,
    secret: impl Fn(&At<'_>, &mut Causes),
    causes: &mut Causes,
) {
    require(source, &["iqn"], causes);
    let iqn = source.at("iqn");
    validate_iscsi_name(&iqn, &iqn, unknown_form, causes);
    let lun = source.at("lun");
    if !(0..=255).contains(&lun.number()) {
        causes.invalid(&lun, lun.number(), LUN);
    }
    let is_authenticated = source.at("chapAuthDiscovery").is_true() || source.at("chapAuthSession").is_true();
    if is_authenticated && !source.at("secretRef").is_set() {
        causes.required(&source.at("secretRef"), "");
    }
    secret(source, causes);
    let initiator = source.at("initiatorName");
    if initiator.is_set() {
        if initiator.is_empty() {
            causes.invalid(&source.at("initiatorname"), "", unknown_form);
        }
        validate_iscsi_name(&initiator, &source.at("initiatorname"), unknown_form, causes);
    }
}

/// The name of an iSCSI node, if it is not empty: `iqn.2001-04.com.example:a`.
fn validate_iscsi_name(name: &At<'_>, shown_at: &At<'_>, unknown_form: &str, causes: &mut Causes) {
    let text = name.text();
    let is_hex = |begin: &str, length: usize| {
        let mut rest = text.strip_prefix(begin).unwrap_or_default().chars();
        let separator = rest.next().is_some_and(|c| c != '\n');
        separator && rest.as_str().len() == length && rest.all(|c| c.is_ascii_alphanumeric())
    };
    let is_valid = match text.get(..3).unwrap_or(text) {
        "" => return,
        "iqn" => is_iqn(text),
        "eui" => is_hex("eui", 16),
        "naa" => is_hex("naa", 32),
        _ => return causes.invalid(shown_at, text, unknown_form),
    };
    if !is_valid {
        causes.invalid(shown_at, text, "must be valid format");
    }
}

/// `iscsiInitiatorIqnRegex`, which is not bound to the beginning.
fn is_iqn(text: &str) -> bool {
    text.match_indices("iqn.").any(|(at, begin)| {
        let rest = &text[at + begin.len()..];
        let Some((date, rest)) = rest.split_at_checked(8) else { return false };
        let is_date = date.bytes().enumerate().all(|(index, byte)| match index {
            4 => byte == b'-',
            7 => byte == b'.',
            _ => byte.is_ascii_digit(),
        });
        let Some((authority, name)) = rest.split_once(':') else { return false };
        let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
        let is_bad = |c: char| c.is_ascii_whitespace() || ",;*&$|".contains(c);
        is_date
            && !authority.is_empty()
            && authority.chars().all(is_word)
            && !name.is_empty()
            && !name.contains(is_bad)
    })
}

/// `validateFCVolumeSource`
pub(crate) fn validate_fc_volume_source(source: &At<'_>, causes: &mut Causes) {
    let (names, ids, lun) = (source.at("targetWWNs"), source.at("wwids"), source.at("lun"));
    if names.is_empty() && ids.is_empty() {
        causes.required(&names, "must specify either targetWWNs or wwids, but not both");
    }
    if names.is_empty() {
        return;
    }
    if !ids.is_empty() {
        let why = "targetWWNs and wwids can not be specified simultaneously";
        causes.invalid(&names, names.value(), why);
    }
    match lun.number_if_set() {
        None => causes.required(&lun, "lun is required if targetWWNs is specified"),
        Some(number) if !(0..=255).contains(&number) => causes.invalid(&lun, number, LUN),
        Some(_) => {}
    }
}

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
