//! `ValidateControllerRevisionCreate`, `ValidateControllerRevisionUpdate`

use serde_json::Value;

use crate::core::validation::metadata as core_metadata;
use crate::field::{At, Causes};
use crate::primitives::{metadata, names};

/// `ValidateControllerRevisionCreate`
pub(in crate::apps) fn validate_controller_revision_create(revision: &At<'_>, causes: &mut Causes) {
    validate_controller_revision(revision, causes);
    let data = revision.at("data");
    match data.value() {
        Value::Null => causes.required(&data, "data is mandatory"),
        Value::Object(_) => {}
        _ => causes.required(&data, "data must be a valid JSON object"),
    }
}

/// `ValidateControllerRevisionUpdate`
pub(in crate::apps) fn validate_controller_revision_update(
    revision: &At<'_>,
    before: &At<'_>,
    causes: &mut Causes,
) {
    core_metadata::validate_object_meta_update(&revision.at("metadata"), &before.at("metadata"), causes);
    validate_controller_revision(revision, causes);
    metadata::validate_immutable(&revision.at("data"), &before.at("data"), causes);
}

/// `validateControllerRevision`
fn validate_controller_revision(revision: &At<'_>, causes: &mut Causes) {
    core_metadata::validate_object_meta(&revision.at("metadata"), true, names::dns_subdomain, causes);
    metadata::validate_non_negative(&revision.at("revision"), causes);
}
