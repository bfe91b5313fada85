//! What a real API server answered to updates of the status of objects of many kinds, against what is made of them here. The
//! recording is made by `conformance/objects record --drawn`; a line of it has the object as it was, what was sent, and what
//! came back.

use std::fs::File;
use std::io::{BufRead, BufReader};

use clusterlocal_admission::{self as admission, Cause, GroupKind};
use serde::Deserialize;
use serde_json::{Map, Value};

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

/// What the recording is without (`VOLATILE` of `conformance/objects`), and the time of a phase, which is that of the request.
const VOLATILE: [&str; 4] = ["uid", "resourceVersion", "generation", "lastPhaseTransitionTime"];

/// What of a value is neither nothing nor empty: how that is written follows from the types of Go.
fn filled(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.into_iter().filter(|(key, _)| !VOLATILE.contains(&key.as_str()));
            let kept = kept.map(|(key, value)| (key, filled(value)));
            let kept: Map<String, Value> = kept.filter(|(_, value)| !is_void(value)).collect();
            if kept.is_empty() { Value::Null } else { Value::Object(kept) }
        }
        Value::Array(items) if items.is_empty() => Value::Null,
        Value::Array(items) => Value::Array(items.into_iter().map(filled).collect()),
        other => other,
    }
}

fn is_void(value: &Value) -> bool {
    value.is_null() || *value == 0 || *value == "" || *value == false
}

/// The parts of a message in order: Go visits maps in none.
fn in_order(message: &str) -> Vec<String> {
    let mut parts: Vec<String> =
        message.split(", ").map(|part| part.trim_matches(['[', ']']).to_owned()).collect();
    if let Some((begin, first)) = parts[0].clone().split_once(" is invalid: ") {
        parts[0] = first.trim_matches(['[', ']']).to_owned();
        parts.push(begin.to_owned());
    }
    parts.sort();
    parts
}

#[test]
fn statuses_are_taken_and_refused_as_recorded() {
    let reader = BufReader::new(flate2::read::GzDecoder::new(File::open(RECORDING).expect(RECORDING)));
    let (mut differing, mut cases) = (Vec::new(), 0);
    for line in reader.lines() {
        let record: Record = serde_json::from_str(&line.expect("a line")).expect("a record");
        // A number of more than 64 bits is written as serde_json has it.
        let words = &record.real.message;
        if words == "no reply" || words.contains("number 18446744073709551616") {
            continue;
        }
        cases += 1;
        let real = match record.real.code {
            0 => Ok(filled(record.real.object["status"].clone())),
            _ => Err((record.real.fields, in_order(&record.real.message))),
        };
        let ours = update(&record.input, &record.before);
        let ours = ours.map(filled).map_err(|(fields, message)| (fields, in_order(&message)));
        if ours != real {
            let (real, ours) = (format!("{real:?}"), format!("{ours:?}"));
            let same = real.bytes().zip(ours.bytes()).take_while(|(a, b)| a == b).count();
            let shown = |text: &str| text.chars().skip(same.saturating_sub(80)).take(400).collect::<String>();
            differing.push(format!("{}\n  real {}\n  ours {}", record.id, shown(&real), shown(&ours)));
        }
    }
    assert!(cases > 500, "{cases} cases");
    assert!(differing.is_empty(), "{} of {cases}:\n{}", differing.len(), differing.join("\n"));
}
