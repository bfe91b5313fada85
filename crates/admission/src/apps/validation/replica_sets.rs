//! `ValidateReplicaSet`, `ValidateReplicaSetUpdate`

use super::{validate_immutable_selector, validate_runs_for_ever, validate_selected, validate_selector};
use crate::core::validation::metadata as core_metadata;
use crate::core::validation::pod_spec::validate_pod_template_spec;
use crate::field::{At, Causes};
use crate::primitives::{metadata, names};

/// `ValidateReplicaSet`
pub(in crate::apps) fn validate_replica_set(replica_set: &At<'_>, causes: &mut Causes) {
    core_metadata::validate_object_meta(&replica_set.at("metadata"), true, names::dns_subdomain, causes);
    validate_replica_set_spec(&replica_set.at("spec"), causes);
}

/// `ValidateReplicaSetUpdate`
pub(in crate::apps) fn validate_replica_set_update(
    replica_set: &At<'_>,
    before: &At<'_>,
    causes: &mut Causes,
) {
    core_metadata::validate_object_meta_update(&replica_set.at("metadata"), &before.at("metadata"), causes);
    validate_replica_set_spec(&replica_set.at("spec"), causes);
    validate_immutable_selector(&replica_set.at("spec"), &before.at("spec"), causes);
}

/// `ValidateReplicaSetSpec`
fn validate_replica_set_spec(spec: &At<'_>, causes: &mut Causes) {
    metadata::validate_non_negative(&spec.at("replicas"), causes);
    metadata::validate_non_negative(&spec.at("minReadySeconds"), causes);
    let selector = spec.at("selector");
    // The message for a ReplicaSet.
    if validate_selector(&selector, "deployment", "invalid label selector", causes) {
        validate_pod_template_spec_for_replica_set(&spec.at("template"), &selector, causes);
    }
}

/// `ValidatePodTemplateSpecForReplicaSet`
pub(super) fn validate_pod_template_spec_for_replica_set(
    template: &At<'_>,
    selector: &At<'_>,
    causes: &mut Causes,
) {
    validate_selected(selector, template, causes);
    validate_pod_template_spec(template, causes);
    validate_runs_for_ever(template, "ReplicaSet", causes);
}
