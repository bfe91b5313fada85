//! Where the content of a volume comes from: what Pods and PersistentVolumes have in common.

use super::claims::validate_claim_template;
use super::fields::{require, validate_mode};
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
