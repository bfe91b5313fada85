//! Takes the place of apimachinery's codecs: decodes objects into the types of the API and writes them as Go does. The types are
//! those of `clusterlocal_core::types`.

mod decode;
mod internal;
mod scalars;
mod stored;
mod zero;

pub(crate) use self::scalars::{to_base64, unbase64};
use clusterlocal_core::types;
use serde_json::Value;

pub use self::decode::Problem;
use crate::field::Shown;

/// A value of the type called `type_name` as Go's `encoding/json` writes the internal type that it is converted to: that is how
/// `field.Error` shows structs. Also for lists and maps, `[]EnvVar`; a group before the name, `rbac.RoleRef`, selects one of several
/// types with that name.
pub(crate) fn go_json(type_name: &str, value: &Value) -> Shown {
    Shown::plain(internal::json(type_name, value))
}

/// An object as the API server reads it.
#[derive(Clone, Debug, Default)]
pub struct Decoded {
    /// As Go would write it again: without what is JSON's null, of the types of its kind, without unknown fields.
    pub object: Value,
    /// What strict decoding refuses: `unknown field "spec.replcas"`.
    pub strict: Vec<String>,
}

/// `object` as the API server reads it. An object of another kind than those of Kubernetes is left as it is.
///
/// # Errors
///
/// What ends decoding, or the first value of another type than its field, in the words of the API server.
pub fn decode(api_version: &str, kind: &str, object: Value) -> Result<Decoded, String> {
    let Some(of) = types::of_kind(api_version, kind) else {
        return Ok(Decoded { object, strict: Vec::new() });
    };
    let (object, problems) = decode::decode(of, object);
    match decode::wrong(&problems) {
        Some(wrong) => Err(wrong.message.clone()),
        None => Ok(Decoded { object, strict: problems.into_iter().map(|problem| problem.message).collect() }),
    }
}

/// A value of the type called `name` of the package `alias`, as the API server reads it; nothing, if it is of another type.
pub(crate) fn decode_part(alias: &str, name: &str, value: Value) -> Option<Value> {
    let (value, problems) = decode::decode(types::named(alias, name)?, value);
    decode::wrong(&problems).is_none().then_some(value)
}

/// Leaves of `object` what the store keeps of it: no empty lists and maps.
pub(crate) fn drop_empty(object: &mut Value) {
    stored::drop_empty(object);
}

/// All problems that strict decoding finds in `object`, with their paths: [`decode`] reports only the first wrong value, or all
/// unknown fields.
pub fn problems(api_version: &str, kind: &str, object: &Value) -> Vec<Problem> {
    types::of_kind(api_version, kind).map(|of| decode::decode(of, object.clone()).1).unwrap_or_default()
}
