//! What the answer says of a Pod or template that is taken (`pkg/api/pod/warnings.go`).

use serde_json::Value;

/// `WarningsOnCreate`; an update of a Pod has none.
pub(crate) fn warnings_for_pod(pod: &Value, before: Option<&Value>) -> Vec<String> {
    _ = (pod, before);
    Vec::new()
}
