//! What a real API server answered to updates of the status of objects of many kinds, against what is made of them here. The
//! recording is made by `conformance/objects record --drawn`; a line of it has the object as it was, what was sent, and what
//! came back.

use std::fs::File;
use std::io::{BufRead, BufReader};

use clusterlocal_admission::{self as admission, Cause, GroupKind};
use serde::Deserialize;
use serde_json::{Value, json};

const RECORDING: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../conformance/1.36/recordings/statuses.jsonl.gz");

#[derive(Deserialize)]
struct Record {
    id: String,
    before: Value,
    input: Value,
    real: Outcome,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
struct Outcome {
    code: u16,
    fields: Vec<String>,
    message: String,
    object: Value,
}

fn of(object: &Value) -> (&str, &str) {
    let version = object["apiVersion"].as_str().unwrap_or_default();
    let kind = object["kind"].as_str().unwrap_or_default();
    (version.split_once('/').map_or("", |(group, _)| group), kind)
}

/// The status that the update makes, or why it is refused: the fields and the message.
fn update(object: &Value, before: &Value) -> Result<Value, (Vec<String>, String)> {
    let (group, kind) = of(object);
    let version = object["apiVersion"].as_str().unwrap_or_default();
    let short = version.rsplit('/').next().unwrap_or_default();
    let undecoded = |why: String| {
        let message = format!("{kind} in version {short:?} cannot be handled as a {kind}: {why}");
        (Vec::new(), message)
    };
    let decoded = admission::decode(version, kind, object.clone()).map_err(undecoded)?;
    if !decoded.strict.is_empty() {
        return Err(undecoded(format!("strict decoding error: {}", decoded.strict.join(", "))));
    }
    let of = GroupKind { group, kind };
    let mut updated = decoded.object;
    admission::default(of, &mut updated);
    if before["metadata"].get("namespace").is_some() && updated["metadata"].is_object() {
        updated["metadata"]["namespace"] = before["metadata"]["namespace"].clone();
    }
    admission::before_status_update(of, &mut updated, before).map_err(|causes| refusal(object, &causes))?;
    Ok(updated["status"].take())
}

fn refusal(object: &Value, causes: &[Cause]) -> (Vec<String>, String) {
    let (group, kind) = of(object);
    let mut fields: Vec<String> = causes.iter().map(|cause| cause.field.clone()).collect();
    fields.sort();
    let mut messages: Vec<String> = Vec::new();
    for message in causes.iter().map(ToString::to_string) {
        if !messages.contains(&message) {
            messages.push(message);
        }
    }
    let all = messages.join(", ");
    let all = if messages.len() > 1 { format!("[{all}]") } else { all };
    let group = if group.is_empty() { String::new() } else { format!(".{group}") };
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    (fields, format!("{kind}{group} {name:?} is invalid: {all}"))
}

#[test]
fn statuses_are_taken_and_refused_as_recorded() {
    let reader = BufReader::new(flate2::read::GzDecoder::new(File::open(RECORDING).expect(RECORDING)));
    let (mut differing, mut cases) = (Vec::new(), 0);
    for line in reader.lines() {
        let record: Record = serde_json::from_str(&line.expect("a line")).expect("a record");
        // The name, the version and the UID are compared before anything else.
        if !matches!(record.real.code, 0 | 400 | 422) || record.real.message == "no reply" {
            continue;
        }
        cases += 1;
        let real = match record.real.code {
            0 => Ok(record.real.object.get("status").cloned().unwrap_or_else(|| json!({}))),
            _ => Err((record.real.fields, record.real.message)),
        };
        let ours = update(&record.input, &record.before);
        let ours = ours.map(|status| if status.is_null() { json!({}) } else { status });
        if ours != real {
            differing.push(format!("{}\n  real {real:?}\n  ours {ours:?}", record.id));
        }
    }
    assert!(cases > 500, "{cases} cases");
    assert!(differing.is_empty(), "{} of {cases}:\n{}", differing.len(), differing.join("\n"));
}
