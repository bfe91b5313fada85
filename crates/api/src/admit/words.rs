//! What is wrong with a field, in the words of apimachinery's `field.Error`.

use serde_json::Value;

use super::Cause;
use clusterlocal_core::manifest::{Fault, Finding};

/// The API's cause for a `finding` about `json`.
pub(super) fn cause(json: &Value, finding: Finding) -> Cause {
    let Finding { path, fault, message, .. } = finding;
    // One address, written where only the first is, is the list as well.
    let value =
        at(json, &path).or_else(|| at(json, "spec.clusterIP").filter(|_| path == "spec.clusterIPs[0]"));
    match fault {
        Fault::Missing => match message.split_once(": ") {
            Some((_, why)) => required(path, why),
            None => required(path, ""),
        },
        Fault::Duplicate => duplicate(path, value),
        Fault::Name(rule) => {
            let text = value.and_then(Value::as_str).unwrap_or_default();
            let faults = clusterlocal_admission::name_faults(rule, text);
            // A rule of files may be narrower than the API's.
            invalid(path, value, faults.first().map_or(&message, |fault| fault))
        }
        Fault::Invalid => match unknown_variant(&message) {
            Some((unknown, known)) => not_supported(path, unknown, &known),
            None => invalid(path, value, &message),
        },
    }
}

/// A field that has to be there; `why` may be empty.
pub(super) fn required(field: impl Into<String>, why: &str) -> Cause {
    let message = if why.is_empty() { "Required value".into() } else { format!("Required value: {why}") };
    Cause { field: field.into(), reason: "FieldValueRequired", message }
}

/// A field that may not be like this.
pub(super) fn invalid(field: impl Into<String>, value: Option<&Value>, why: &str) -> Cause {
    let message = format!("Invalid value: {}: {why}", shown(value));
    Cause { field: field.into(), reason: "FieldValueInvalid", message }
}

/// A field that has this value already.
pub(super) fn duplicate(field: impl Into<String>, value: Option<&Value>) -> Cause {
    let message = format!("Duplicate value: {}", shown(value));
    Cause { field: field.into(), reason: "FieldValueDuplicate", message }
}

/// A field that may only be one of a few.
pub(super) fn not_supported(field: impl Into<String>, value: &str, known: &[&str]) -> Cause {
    let known: Vec<String> = known.iter().map(|word| format!("{word:?}")).collect();
    let message = format!("Unsupported value: {value:?}: supported values: {}", known.join(", "));
    Cause { field: field.into(), reason: "FieldValueNotSupported", message }
}

/// Maximum length of a value in a message, in characters.
const VALUE_CHARS: usize = 300;

fn shown(value: Option<&Value>) -> String {
    match value {
        None => "\"\"".into(),
        Some(value) => clusterlocal_core::manifest::legible(&value.to_string(), VALUE_CHARS),
    }
}

/// The value at a path like `spec.ports[0].name` or `metadata.annotations[a.b/c]`.
fn at<'a>(json: &'a Value, path: &str) -> Option<&'a Value> {
    let mut value = json;
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(bracketed) = rest.strip_prefix('[') {
            let (key, after) = bracketed.split_once(']')?;
            value = match key.parse::<usize>() {
                Ok(index) if value.is_array() => value.get(index)?,
                _ => value.get(key)?,
            };
            rest = after;
        } else {
            let field = rest.strip_prefix('.').unwrap_or(rest);
            let end = field.find(['.', '[']).unwrap_or(field.len());
            value = value.get(&field[..end])?;
            rest = &field[end..];
        }
    }
    Some(value)
}

/// `unknown variant `a`, expected `b` or `c``, taken apart.
fn unknown_variant(message: &str) -> Option<(&str, Vec<&str>)> {
    let words = message.strip_prefix("unknown variant `")?;
    let (unknown, expected) = words.split_once('`')?;
    Some((unknown, expected.split('`').skip(1).step_by(2).collect()))
}
