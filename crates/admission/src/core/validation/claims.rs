//! PersistentVolumeClaims (`ValidatePersistentVolumeClaim`).

use serde_json::{Value, json};

use super::fields::require;
use crate::core::validation::metadata as core_metadata;
use crate::field::{At, Causes, Shown};
use crate::primitives::diff::diff_go_json;
use crate::primitives::equality::semantically_equal;
use crate::primitives::{metadata, names, selectors};
use clusterlocal_core::text::Quantity;

const STORAGE_CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";

/// `supportedAccessModes`, sorted.
const ACCESS_MODES: &[&str] = &["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
/// `supportedVolumeModes`, sorted.
const VOLUME_MODES: &[&str] = &["Block", "Filesystem"];

/// What a change may leave as it was although it is wrong (`ValidationOptionsForPersistentVolumeClaim`).
#[derive(Clone, Copy, Default)]
pub(crate) struct Allowed {
    invalid_api_group: bool,
}

/// `ValidatePersistentVolumeClaim`
pub(crate) fn validate_persistent_volume_claim(claim: &At<'_>, causes: &mut Causes) {
    validate_claim(claim, Allowed::default(), causes);
}

fn validate_claim(claim: &At<'_>, allowed: Allowed, causes: &mut Causes) {
    core_metadata::validate_object_meta(&claim.at("metadata"), true, names::dns_subdomain, causes);
    validate_persistent_volume_claim_spec(&claim.at("spec"), allowed, causes);
}

/// `ValidatePersistentVolumeClaimTemplate`, of a volume of a Pod.
pub(crate) fn validate_claim_template(template: &At<'_>, causes: &mut Causes) {
    validate_template_object_meta(&template.at("metadata"), causes);
    validate_persistent_volume_claim_spec(&template.at("spec"), Allowed::default(), causes);
}

/// `ValidateTemplateObjectMeta`
pub(crate) fn validate_template_object_meta(meta: &At<'_>, causes: &mut Causes) {
    // In the order of the fields of `ObjectMeta`.
    const METADATA: [&str; 13] = [
        "name",
        "generateName",
        "namespace",
        "selfLink",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "ownerReferences",
        "finalizers",
        "managedFields",
    ];
    metadata::validate_annotations(&meta.at("annotations"), causes);
    metadata::validate_labels(&meta.at("labels"), causes);
    for field in METADATA {
        let field = meta.at(field);
        let is_zero = field.value() == &json!("") || field.value() == &json!(0);
        if field.is_set() && !is_zero {
            causes.forbidden(&field, "cannot be set");
        }
    }
}

/// Access modes of claims and volumes: `ReadWriteOncePod` goes with no other.
pub(crate) fn validate_access_modes(modes: &At<'_>, causes: &mut Causes) {
    let mut has = (false, false);
    for mode in modes.items() {
        if !ACCESS_MODES.contains(&mode.text()) {
            causes.not_supported(modes, mode.text(), ACCESS_MODES);
        } else if mode.text() == "ReadWriteOncePod" {
            has.0 = true;
        } else {
            has.1 = true;
        }
    }
    if has == (true, true) {
        causes.forbidden(modes, "may not use ReadWriteOncePod with other access modes");
    }
}

/// The volume mode of claims and volumes.
pub(crate) fn validate_volume_mode(mode: &At<'_>, causes: &mut Causes) {
    if mode.is_set() && !VOLUME_MODES.contains(&mode.text()) {
        causes.not_supported(mode, mode.text(), VOLUME_MODES);
    }
}

/// `ValidatePositiveQuantityValue`. A quantity stands in its canonical form.
pub(crate) fn validate_positive_quantity(quantity: &At<'_>, causes: &mut Causes) {
    if quantity.text() == "0" || quantity.text().starts_with('-') {
        causes.invalid(quantity, quantity.text(), "must be greater than zero");
    }
}

/// `ValidatePersistentVolumeClaimSpec`
pub(crate) fn validate_persistent_volume_claim_spec(spec: &At<'_>, allowed: Allowed, causes: &mut Causes) {
    let modes = spec.at("accessModes");
    if modes.is_empty() {
        causes.required(&modes, "at least 1 access mode is required");
    }
    selectors::validate_label_selector(&spec.at("selector"), causes);
    validate_access_modes(&modes, causes);
    let storage = spec.at("resources.requests").value().get("storage");
    let at = spec.at("resources").key("storage");
    match storage {
        Some(storage) => validate_positive_quantity(&at.with(storage), causes),
        None => causes.required(&at, ""),
    }
    validate_class_name(&spec.at("storageClassName"), causes);
    validate_volume_mode(&spec.at("volumeMode"), causes);
    let (source, reference) = (spec.at("dataSource"), spec.at("dataSourceRef"));
    for source in [&source, &reference] {
        if source.is_set() {
            validate_data_source(source, allowed, causes);
        }
    }
    // The value in the message is the path itself, a struct without public fields.
    let shown = || Shown::plain("{}");
    if source.is_set() && !reference.at("namespace").is_empty() {
        causes.invalid(spec, shown(), "may not be specified when dataSourceRef.namespace is specified");
    } else if source.is_set() && reference.is_set() {
        let is_same = |field| source.at(field).value() == reference.at(field).value();
        if !["apiGroup", "kind", "name"].into_iter().all(is_same) {
            causes.invalid(spec, shown(), "must match dataSourceRef");
        }
    }
    validate_class_name(&spec.at("volumeAttributesClassName"), causes);
}

fn validate_class_name(name: &At<'_>, causes: &mut Causes) {
    if !name.is_empty() {
        names::check(name, names::dns_subdomain, causes);
    }
}

/// `validateDataSource` and `validateDataSourceRef`, which may have a namespace.
fn validate_data_source(source: &At<'_>, allowed: Allowed, causes: &mut Causes) {
    require(source, &["name", "kind"], causes);
    let (group, kind) = (source.at("apiGroup"), source.at("kind"));
    if group.is_empty() && kind.text() != "PersistentVolumeClaim" {
        let why = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
        causes.invalid(source, kind.text(), why);
    }
    if !group.is_empty() && !allowed.invalid_api_group {
        names::check(&group, names::dns_subdomain, causes);
    }
    let namespace = source.at("namespace");
    if !namespace.is_empty() {
        names::check(&namespace, names::dns_label, causes);
    }
}

/// `ValidatePersistentVolumeClaimUpdate`
pub(crate) fn validate_persistent_volume_claim_update(claim: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    core_metadata::validate_object_meta_update(&claim.at("metadata"), &before.at("metadata"), causes);
    let has_group = |field| before.at(field).at("apiGroup").is_set();
    let allowed =
        Allowed { invalid_api_group: has_group("spec.dataSource") || has_group("spec.dataSourceRef") };
    validate_claim(claim, allowed, causes);

    let (spec, old) = (claim.at("spec"), before.at("spec"));
    let (mut new_copy, mut old_copy) = (spec.value().clone(), old.value().clone());
    let put = |copy: &mut Value, field: &str, value: &Value| {
        if let Some(map) = copy.as_object_mut() {
            match value {
                Value::Null => drop(map.remove(field)),
                value => drop(map.insert(field.into(), value.clone())),
            }
        }
    };
    // Only once a claim gets its volume.
    if old.at("volumeName").is_empty() {
        put(&mut old_copy, "volumeName", spec.at("volumeName").value());
    }
    let class = |at: &At<'_>| at.at("storageClassName").value().as_str().map(str::to_owned);
    let annotation = |at: &At<'_>| {
        let annotations = at.at("metadata.annotations");
        annotations.value().get(STORAGE_CLASS_ANNOTATION).and_then(Value::as_str).map(str::to_owned)
    };
    let (new_class, old_class) = (class(&spec), class(&old));
    let (new_annotation, old_annotation) = (annotation(claim), annotation(before));
    let is_moved = old_annotation.is_some()
        && old_class.is_none()
        && new_class == old_annotation
        && (new_annotation.is_none() || new_annotation == old_annotation);
    if is_moved {
        put(&mut new_copy, "storageClassName", &Value::Null);
    } else {
        if new_annotation.as_deref().unwrap_or_default() != old_annotation.as_deref().unwrap_or_default() {
            causes.invalid(
                &claim.at("metadata.annotations").at(STORAGE_CLASS_ANNOTATION),
                new_annotation.as_deref().unwrap_or_default(),
                "field is immutable",
            );
        }
        if new_class.is_some()
            && old_class.is_none()
            && (old_annotation.is_none() || new_class == old_annotation)
        {
            put(&mut new_copy, "storageClassName", &Value::Null);
        }
    }
    if claim.at("status.phase").text() == "Bound" {
        if let Some(requests) = new_copy.pointer_mut("/resources/requests") {
            put(requests, "storage", &old.at("resources.requests").value()["storage"]);
        }
        put(&mut new_copy, "volumeAttributesClassName", old.at("volumeAttributesClassName").value());
    }
    if !semantically_equal(&new_copy, &old_copy) {
        let diff = diff_go_json("PersistentVolumeClaimSpec", &old_copy, &new_copy);
        let why = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
        causes.forbidden(&spec, &format!("{why}\n{diff}"));
    }
    validate_size_update(claim, before, causes);
    let mode = claim.at("volumeMode").with(spec.at("volumeMode").value());
    metadata::validate_immutable(&mode, &old.at("volumeMode"), causes);

    let (class, old_class) = (spec.at("volumeAttributesClassName"), old.at("volumeAttributesClassName"));
    if class.value() != old_class.value() && before.at("status.currentVolumeAttributesClassName").is_set() {
        let to = match class.text_if_set() {
            None => "nil",
            Some("") => "empty string",
            Some(_) => return,
        };
        let why =
            format!("update to {to} is forbidden when status.currentVolumeAttributesClassName is not nil");
        causes.forbidden(&class, &why);
    }
}

/// A claim may be made smaller as long as that is more than it has.
fn validate_size_update(claim: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    let storage = claim.at("spec.resources.requests.storage");
    let size = Quantity::of;
    let new = size(storage.text());
    let old = size(before.at("spec.resources.requests.storage").text());
    let has = size(before.at("status.capacity.storage").text());
    if new < old && new <= has {
        causes.forbidden(&storage, "field can not be less than status.capacity");
    }
}
