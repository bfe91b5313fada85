//! Paths in containers and on nodes.

use crate::field::{At, Causes};

/// `validatePathNoBacksteps`
pub(crate) fn validate_path_no_backsteps(path: &At<'_>, causes: &mut Causes) {
    if path.text().split('/').any(|part| part == "..") {
        causes.invalid(path, path.text(), "must not contain '..'");
    }
}

/// `validateLocalDescendingPath`
pub(crate) fn validate_local_descending_path(path: &At<'_>, causes: &mut Causes) {
    if path.text().starts_with('/') {
        causes.invalid(path, path.text(), "must be a relative path");
    }
    validate_path_no_backsteps(path, causes);
}

/// `ValidateLocalNonReservedPath`: the kubelet keeps names that begin with two dots for itself.
pub(crate) fn validate_local_non_reserved_path(path: &At<'_>, causes: &mut Causes) {
    validate_local_descending_path(path, causes);
    if path.text().starts_with("..") && !path.text().starts_with("../") {
        causes.invalid(path, path.text(), "must not start with '..'");
    }
}

/// Whether `path.Clean` makes the root of it.
pub(crate) fn is_root(path: &str) -> bool {
    let mut depth = 0_usize;
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => depth = depth.saturating_sub(1),
            _ => depth += 1,
        }
    }
    path.starts_with('/') && depth == 0
}
