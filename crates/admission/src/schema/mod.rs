//! Takes the place of `k8s.io/api`: the types of the API, field by field.

mod decode;
mod internal;
mod quantity;
mod scalars;
mod stored;
pub mod types;

use serde_json::Value;

pub use self::decode::Problem;
use crate::field::Shown;

/// A value of the type called `type_name` as Go's `encoding/json` writes the internal type that it is converted to: that is how
/// `field.Error` shows structs. Also of lists and maps, `[]EnvVar`; a group before the name, `rbac.RoleRef`, says which of several
/// types of the name it is.
pub(crate) fn go_json(type_name: &str, value: &Value) -> Shown {
    Shown::plain(internal::json(type_name, value))
}

/// `object` as the API server reads it: of the types of its kind, without what is JSON's null. An object of another kind than
/// those of Kubernetes is left as it is.
///
/// # Errors
///
/// What strict decoding refuses, in the words of the API server.
pub fn decode(api_version: &str, kind: &str, object: Value) -> Result<Value, String> {
    match types::of_kind(api_version, kind) {
        Some(of) => decode::decode(of, object).map_err(|problems| decode::answer(&problems)),
        None => Ok(object),
    }
}

/// Leaves of `object` what the store keeps of it: no empty lists and maps.
pub(crate) fn drop_empty(object: &mut Value) {
    stored::drop_empty(object);
}

/// All that strict decoding refuses in `object`, with the places: [`decode`] says only the first wrong value, or all unknown
/// fields.
pub fn problems(api_version: &str, kind: &str, object: &Value) -> Vec<Problem> {
    let of = types::of_kind(api_version, kind);
    of.and_then(|of| decode::decode(of, object.clone()).err()).unwrap_or_default()
}
