//! The metadata of core's kinds: apimachinery's rules, and one for finalizers.

use crate::field::{At, Causes};
use crate::primitives::metadata;
use crate::primitives::names::Faults;

/// `ValidateObjectMeta` of `pkg/apis/core/validation`.
pub(crate) fn validate_object_meta(
    meta: &At<'_>,
    namespaced: bool,
    name_rule: impl Fn(&str) -> Faults,
    causes: &mut Causes,
) {
    metadata::validate_object_meta(meta, namespaced, name_rule, causes);
    validate_finalizers(meta, causes);
}

/// `ValidateObjectMetaUpdate` of `pkg/apis/core/validation`.
pub(crate) fn validate_object_meta_update(meta: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    metadata::validate_object_meta_update(meta, before, causes);
    validate_finalizers(meta, causes);
}

fn validate_finalizers(meta: &At<'_>, causes: &mut Causes) {
    for finalizer in meta.at("finalizers").items() {
        validate_kube_finalizer_name(&finalizer, causes);
    }
}

/// `validateKubeFinalizerName`
pub(crate) fn validate_kube_finalizer_name(finalizer: &At<'_>, causes: &mut Causes) {
    let text = finalizer.text();
    if !text.contains('/') && !["kubernetes", "orphan", "foregroundDeletion"].contains(&text) {
        let why = "name is neither a standard finalizer name nor is it fully qualified";
        causes.invalid(finalizer, text, why);
    }
}
