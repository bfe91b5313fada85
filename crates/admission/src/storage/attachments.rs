//! VolumeAttachments (`pkg/apis/storage/validation`).

use serde_json::{Map, Value, json};

use super::GROUP;
use crate::core::validation::metadata;
use crate::core::validation::persistent_volumes::validate_inline_volume_spec;
use crate::core::validation::volume_sources::validate_csi_driver_name;
use crate::core::volumes::default_volume_source;
use crate::field::{At, Causes};
use crate::primitives::defaults::round_up;
use crate::primitives::equality::semantically_equal;
use crate::primitives::names;
use crate::primitives::updates::keep_status;
use crate::schema::go_json;
use crate::strategy::Strategy;

pub(super) const VOLUME_ATTACHMENT: Strategy = Strategy {
    unconditional_update: false,
    default: |attachment| {
        if let Some(inline) =
            attachment.pointer_mut("/spec/source/inlineVolumeSpec").and_then(Value::as_object_mut)
        {
            set_defaults_inline_volume(inline);
        }
    },
    prepare_for_create: |attachment| {
        if let Some(attachment) = attachment.as_object_mut() {
            attachment.insert("status".into(), json!({ "attached": false }));
        }
    },
    prepare_for_update: keep_status,
    validate: validate_volume_attachment,
    validate_update: |attachment, before, causes| {
        validate_volume_attachment(attachment, causes);
        let (spec, old) = (attachment.at("spec"), before.at("spec"));
        if !semantically_equal(spec.value(), old.value()) {
            causes.invalid(&spec, go_json("VolumeAttachmentSpec", spec.value()), "field is immutable");
        }
    },
    ..Strategy::of(GROUP, "VolumeAttachment", false)
};

fn set_defaults_inline_volume(inline: &mut Map<String, Value>) {
    round_up(inline.get_mut("capacity"));
    default_volume_source(inline);
}

/// `ValidateVolumeAttachment`. The status is that of the object before, or empty.
fn validate_volume_attachment(attachment: &At<'_>, causes: &mut Causes) {
    metadata::validate_object_meta(&attachment.at("metadata"), false, names::dns_subdomain, causes);
    let spec = attachment.at("spec");
    validate_csi_driver_name(&spec.at("attacher"), causes);
    validate_source(&spec.at("source"), causes);
    names::check(&spec.at("nodeName"), names::dns_subdomain, causes);
    let name = spec.at("source.persistentVolumeName");
    if name.is_set() {
        names::check(&name, names::dns_subdomain, causes);
    }
}

/// `validateVolumeAttachmentSource`
fn validate_source(source: &At<'_>, causes: &mut Causes) {
    const ONE: &str = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
    let (inline, name) = (source.at("inlineVolumeSpec"), source.at("persistentVolumeName"));
    match (inline.is_set(), name.is_set()) {
        (false, false) => causes.required(source, ONE),
        (true, true) => causes.forbidden(source, ONE),
        (false, true) if name.is_empty() => {
            causes.required(&name, "must specify non empty persistentVolumeName");
        }
        (false, true) => {}
        (true, false) => validate_inline_volume_spec(&inline, causes),
    }
}
