//! What an API server answered, and what is answered here, in a form in which they are compared.

use clusterlocal_admission::Refusal;
use serde::Deserialize;
use serde_json::{Value, json};

use super::server::{Refused, group_kind};

/// What differs from run to run, or is given by parts of a cluster that this package is not.
const VOLATILE: [&str; 12] = [
    "uid",
    "creationTimestamp",
    "resourceVersion",
    "managedFields",
    "clusterIP",
    "clusterIPs",
    "nodePort",
    "generation",
    "healthCheckNodePort",
    "serviceAccount",
    "serviceAccountName",
    "batch.kubernetes.io/controller-uid",
];

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct Outcome {
    pub ok: bool,
    pub object: Value,
    pub code: u16,
    pub reason: Option<String>,
    pub fields: Vec<String>,
    pub message: String,
}

/// The first thing that differs, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Differs {
    Verdict,
    Code,
    Fields,
    Message,
    Object,
}

pub fn outcome(object: &Value, ours: Result<Value, Refused>) -> Outcome {
    let (group, kind) = group_kind(object);
    let version = object["apiVersion"].as_str().unwrap_or_default();
    let version = version.rsplit('/').next().unwrap_or_default();
    match ours {
        Ok(object) => Outcome { ok: true, object: normal(object), ..Outcome::default() },
        Err(Refused::Decoding(message)) => Outcome {
            code: 400,
            reason: Some("BadRequest".into()),
            message: format!("{kind} in version {version:?} cannot be handled as a {kind}: {message}"),
            ..Outcome::default()
        },
        Err(Refused::WithoutVersion) => {
            let field = "metadata.resourceVersion";
            let why = format!("{field}: Invalid value: 0: must be specified for an update");
            let (plural, name) = (format!("{}s.{group}", kind.to_lowercase()), &object["metadata"]["name"]);
            let message = format!("{plural} {name} is invalid: {why}");
            let fields = vec![field.to_owned()];
            Outcome { code: 422, reason: Some("Invalid".into()), fields, message, ..Outcome::default() }
        }
        Err(Refused::Admission(Refusal::Failed(message))) => {
            Outcome { code: 500, message, ..Outcome::default() }
        }
        Err(Refused::Admission(Refusal::Internal(why))) => Outcome {
            code: 500,
            reason: Some("InternalError".into()),
            message: format!("Internal error occurred: {why}"),
            ..Outcome::default()
        },
        Err(Refused::Admission(Refusal::Invalid(causes))) => {
            let mut fields: Vec<String> = causes.iter().map(|cause| cause.field.clone()).collect();
            fields.sort();
            let mut messages: Vec<String> = Vec::new();
            for cause in &causes {
                let message = cause.to_string();
                if !messages.contains(&message) {
                    messages.push(message);
                }
            }
            let all = messages.join(", ");
            let all = if messages.len() > 1 { format!("[{all}]") } else { all };
            // Events have one kind in the API server, whatever group they are sent to.
            let is_plain = group.is_empty() || kind == "Event";
            let group = if is_plain { String::new() } else { format!(".{group}") };
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            let message = format!("{kind}{group} {name:?} is invalid: {all}");
            Outcome { code: 422, reason: Some("Invalid".into()), fields, message, ..Outcome::default() }
        }
    }
}

fn normal(value: Value) -> Value {
    match value {
        Value::Object(mut map) => {
            map.remove("status");
            inner(Value::Object(map))
        }
        other => other,
    }
}

fn inner(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.into_iter().filter(|(key, value)| {
                let is_headless =
                    key == "clusterIP" && value == "None" || key == "clusterIPs" && *value == json!(["None"]);
                // Go writes null for some of what is not there, which is left out here.
                let is_plain =
                    key != "controller-uid" && !VOLATILE.contains(&key.as_str()) && !value.is_null();
                is_headless || is_plain
            });
            Value::Object(kept.map(|(key, value)| (key, inner(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(inner).collect()),
        other => other,
    }
}

pub fn compare(real: &Outcome, ours: &Outcome) -> Option<Differs> {
    if real.ok != ours.ok {
        return Some(Differs::Verdict);
    }
    if real.ok {
        return (inner(real.object.clone()) != ours.object).then_some(Differs::Object);
    }
    if (real.code, &real.reason) != (ours.code, &ours.reason) {
        return Some(Differs::Code);
    }
    if real.fields != ours.fields {
        return Some(Differs::Fields);
    }
    (in_order(&real.message) != in_order(&ours.message)).then_some(Differs::Message)
}

/// The parts of a message in order: Go visits maps in none.
fn in_order(message: &str) -> Vec<&str> {
    let all =
        message.split_once(" is invalid: [").map_or(message, |(_, causes)| causes.trim_end_matches(']'));
    let mut parts: Vec<&str> = all.split(", ").collect();
    parts.sort_unstable();
    parts
}
