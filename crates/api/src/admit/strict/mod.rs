//! Takes the place of apimachinery's strict decoding: fields that a kind does not have are most likely misspelt. It must
//! not know what the others mean.

mod document;

use std::collections::HashSet;

use serde::de::IgnoredAny;
use serde_json::Value;

use crate::schema::crd;
use crate::schema::resource::Resource;
use clusterlocal_core::manifest;
use document::{first_wrong, in_order};

/// Maximum number of fields that a finding about a file names: a wrong file has thousands.
const FIELDS_MAX: usize = 20;

/// Maximum number of errors of strict decoding (`sigs.k8s.io/json`).
const ERRORS_MAX: usize = 100;

/// The errors of strict decoding about fields of `object`, of a custom `resource` or one of ours, that its kind does not have, but for
/// those that `before` has already: a file may have brought them. Of custom resources, `schema` knows the fields.
pub(crate) fn unknown(
    resource: &Resource,
    object: &Value,
    schema: Option<&Value>,
    before: Option<&Value>,
) -> Vec<String> {
    let unknown = |object: &Value| match schema {
        Some(schema) => {
            let paths = crd::unknown_fields(object, schema).into_iter();
            paths.map(|path| format!("unknown field {path:?}")).collect()
        }
        None if resource.is_custom() => Vec::new(),
        None => {
            let all = clusterlocal_admission::problems(&resource.api_version(), resource.kind, object);
            all.into_iter().filter(|problem| problem.unknown).map(|problem| problem.message).collect()
        }
    };
    let mut new = unknown(object);
    if let Some(before) = before.filter(|_| !new.is_empty()) {
        let had: HashSet<String> = unknown(before).into_iter().collect();
        new.retain(|error| !had.contains(error));
    }
    new
}

/// The errors of strict decoding: keys that stand twice in the YAML or JSON `body`, and the `unknown` fields, in the order of the
/// document.
pub(crate) fn errors(unknown: Vec<String>, body: &[u8]) -> Vec<String> {
    repeated_in_yaml(body).into_iter().chain(in_order(unknown, body)).take(ERRORS_MAX).collect()
}

/// The error of Go's YAML parser for the keys that stand more than once in a map of the YAML `body`.
pub(crate) fn repeated_in_yaml(body: &[u8]) -> Option<String> {
    let is_json = || serde_json::from_slice::<IgnoredAny>(body).is_ok();
    let text = std::str::from_utf8(body).ok().filter(|_| !body.is_empty() && !is_json())?;
    yaml_error(text)
}

/// The same for a server-side apply, which is YAML in any case.
pub(crate) fn repeated_in_apply(body: &[u8]) -> Option<String> {
    let error = yaml_error(std::str::from_utf8(body).ok()?)?;
    Some(format!("error converting YAML to JSON: {error}"))
}

fn yaml_error(text: &str) -> Option<String> {
    let mut repeated = manifest::repeated_keys(text);
    repeated.truncate(FIELDS_MAX);
    (!repeated.is_empty()).then(|| format!("yaml: unmarshal errors:\n  {}", repeated.join("\n  ")))
}

/// Reads `object`, of a built-in `resource`, as its type has it, and returns the errors of strict decoding. What is wrong with
/// `before` already is no error: a file may have brought it.
///
/// # Errors
///
/// The first value of another type than its field, in the order of the JSON `body`.
pub(crate) fn decode(
    resource: &Resource,
    object: &mut Value,
    before: Option<&Value>,
    body: &[u8],
) -> Result<Vec<String>, String> {
    let decode = |object: &Value| {
        clusterlocal_admission::decode(&resource.api_version(), resource.kind, object.clone())
    };
    let mut decoded = match decode(object) {
        Ok(decoded) => decoded,
        // It stays as the file has it.
        Err(_) if before.is_some_and(|before| decode(before).is_err()) => return Ok(Vec::new()),
        Err(message) => {
            let problems = clusterlocal_admission::problems(&resource.api_version(), resource.kind, object);
            let message = first_wrong(&problems, body).map_or(message, |first| first.message.clone());
            let (kind, version) = (resource.kind, resource.version);
            return Err(format!("{kind} in version {version:?} cannot be handled as a {kind}: {message}"));
        }
    };
    *object = decoded.object;
    if let Some(before) = before.filter(|_| !decoded.strict.is_empty()) {
        let had = decode(before).map(|before| before.strict).unwrap_or_default();
        decoded.strict.retain(|error| !had.contains(error));
    }
    Ok(decoded.strict)
}

/// Refuses an object of `resource` with `errors` of strict decoding.
pub(crate) fn check(resource: &Resource, errors: &[String]) -> Result<(), String> {
    if errors.is_empty() {
        return Ok(());
    }
    // What a schema knows is checked after decoding, and its errors name nothing else.
    if resource.is_custom() {
        return Err(format!("strict decoding error: {}", errors.join(", ")));
    }
    Err(format!(
        "{kind} in version {version:?} cannot be handled as a {kind}: strict decoding error: {}",
        errors.join(", "),
        kind = resource.kind,
        version = resource.version,
    ))
}

#[cfg(test)]
mod tests;
