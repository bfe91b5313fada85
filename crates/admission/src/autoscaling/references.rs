//! References to objects that an autoscaler reads or scales (`pkg/apis/autoscaling/validation`).

use crate::field::{At, Causes};
use crate::primitives::names;

/// Which API versions references may have (`CrossVersionObjectReferenceValidationOptions`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Versions {
    Any,
    /// Those that can be parsed.
    Valid,
    /// Those of a named group.
    Grouped,
}

/// `ValidateCrossVersionObjectReference`
pub(super) fn validate_cross_version_object_reference(
    reference: &At<'_>,
    versions: Versions,
    causes: &mut Causes,
) {
    for name in ["kind", "name"] {
        validate_path_segment(&reference.at(name), "", causes);
    }
    let version = reference.at("apiVersion");
    if let Some(why) = api_version_fault(version.text(), versions) {
        causes.invalid(&version, version.text(), &why);
    }
}

/// `content.IsPathSegmentName`, of what is required.
pub(super) fn validate_path_segment(field: &At<'_>, required: &str, causes: &mut Causes) {
    if field.is_empty() {
        causes.required(field, required);
    }
    for fault in names::path_segment(field.text()) {
        causes.invalid(field, field.text(), &fault);
    }
}

/// `ValidateAPIVersion`
pub(super) fn api_version_fault(version: &str, versions: Versions) -> Option<String> {
    let has_group = match version.matches('/').count() {
        _ if versions == Versions::Any => return None,
        0 => false,
        1 => !version.starts_with('/'),
        _ => return Some(format!("unexpected GroupVersion string: {version}")),
    };
    (versions == Versions::Grouped && !has_group).then(|| "apiVersion must specify API group".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_versions_of_targets() {
        let table = [
            ("apps/v1", Versions::Grouped, None),
            ("v1", Versions::Valid, None),
            ("", Versions::Grouped, Some("apiVersion must specify API group")),
            ("/v1", Versions::Grouped, Some("apiVersion must specify API group")),
            ("a/b/c", Versions::Valid, Some("unexpected GroupVersion string: a/b/c")),
            ("a/b/c", Versions::Any, None),
        ];
        for (version, versions, fault) in table {
            assert_eq!(api_version_fault(version, versions).as_deref(), fault, "{version}");
        }
    }
}
