//! The two patch types that do not depend on Kubernetes: JSON merge patch (RFC 7386) and JSON patch (RFC 6902), within
//! the limits of the API server.

use json_patch::{PatchErrorKind, PatchOperation};
use serde_json::Value;

use super::MergeError;
use super::work::Work;

/// Maximum number of operations in a JSON patch; the API server's limit.
const OPERATIONS: usize = 10_000;

/// Maximum size of the values that the `copy` operations of a JSON patch copy, in bytes of JSON: the maximum of a
/// request. Each could double the object otherwise.
const COPIED: usize = 3 << 20;

/// Maximum nesting depth of a patched object: the limit of the parser that will read it again.
const DEPTH: usize = 128;

/// Patches `live` with a JSON merge patch: `null` removes a field, objects merge, anything else replaces.
pub fn json_merge(live: &mut Value, patch: &Value) {
    json_patch::merge(live, patch);
}

/// Patches `live` with a JSON patch: a list of operations, all of which have to succeed.
///
/// # Errors
///
/// [`MergeError::Malformed`] if `patch` is not a list of operations, [`MergeError::DoesNotApply`] if a path does not
/// exist or a `test` fails, [`MergeError::TooLarge`] if the patch exceeds a limit of the API server,
/// [`MergeError::TooMuchWork`] if its operations move too many list items.
pub fn json_patch(live: &mut Value, patch: &Value) -> Result<(), MergeError> {
    let Value::Array(operations) = patch else {
        return Err(MergeError::Malformed("a JSON patch has to be a list of operations".into()));
    };
    if operations.len() > OPERATIONS {
        let message = format!(
            "The allowed maximum operations in a JSON patch is {OPERATIONS}, got {}",
            operations.len()
        );
        return Err(MergeError::TooLarge(message));
    }
    let mut copied = 0;
    let mut work = Work::default();
    for (at, operation) in operations.iter().enumerate() {
        let operation: PatchOperation = serde::Deserialize::deserialize(operation)
            .map_err(|error| MergeError::Malformed(format!("operation {at} of the JSON patch: {error}")))?;
        work.spend(moved(live, &operation))?;
        if let PatchOperation::Copy(copy) = &operation {
            copied += live.pointer(copy.from.as_str()).map_or(0, |value| value.to_string().len());
            if copied > COPIED {
                let message = format!("the JSON patch copies more than {COPIED} bytes");
                return Err(MergeError::TooLarge(message));
            }
        }
        json_patch::patch(live, std::slice::from_ref(&operation))
            .map_err(|error| refused(&operation, &error.kind))?;
    }
    if nested_deeper(live, DEPTH) {
        return Err(MergeError::TooLarge(format!("the object would be nested deeper than {DEPTH} levels")));
    }
    Ok(())
}

/// Number of list items that `operation` moves by an insertion or removal.
fn moved(live: &Value, operation: &PatchOperation) -> usize {
    let behind = |path: &str| {
        let (parent, index) = path.rsplit_once('/')?;
        let items = live.pointer(parent)?.as_array()?;
        // `-` appends.
        Some(items.len().saturating_sub(index.parse().unwrap_or(items.len())))
    };
    let behind = |path: &str| behind(path).unwrap_or(0);
    match operation {
        PatchOperation::Add(add) => behind(add.path.as_str()),
        PatchOperation::Remove(remove) => behind(remove.path.as_str()),
        PatchOperation::Copy(copy) => behind(copy.path.as_str()),
        PatchOperation::Move(of) => behind(of.from.as_str()) + behind(of.path.as_str()),
        PatchOperation::Replace(_) | PatchOperation::Test(_) => 0,
    }
}

fn refused(operation: &PatchOperation, kind: &PatchErrorKind) -> MergeError {
    let name = match operation {
        PatchOperation::Add(_) => "add",
        PatchOperation::Remove(_) => "remove",
        PatchOperation::Replace(_) => "replace",
        PatchOperation::Move(_) => "move",
        PatchOperation::Copy(_) => "copy",
        PatchOperation::Test(_) => "test",
    };
    let path = operation.path();
    MergeError::DoesNotApply(match kind {
        PatchErrorKind::TestFailed => format!("testing value {path} failed"),
        PatchErrorKind::InvalidPointer => {
            format!("{name} operation does not apply: doc is missing path: {path}: missing value")
        }
        kind => format!("{name} operation does not apply: {path}: {kind}"),
    })
}

/// Whether `value` is nested deeper than `depth` levels.
fn nested_deeper(value: &Value, depth: usize) -> bool {
    let Some(below) = depth.checked_sub(1) else { return true };
    match value {
        Value::Object(map) => map.values().any(|value| nested_deeper(value, below)),
        Value::Array(items) => items.iter().any(|value| nested_deeper(value, below)),
        _ => false,
    }
}
