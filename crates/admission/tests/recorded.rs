//! What a real API server answered to small changes of objects of many kinds, against what is made of them here. The recording is
//! made by `conformance/judge`; a line of it has what was sent, how, and what came back.
//!
//! `RECORDED=Pod,Service cargo test -p clusterlocal-admission --test recorded -- --nocapture` prints the differences of these kinds.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader};

use clusterlocal_admission::{self as admission, Allocator, Cause, GroupKind, Refusal};
use clusterlocal_core::addresses::{Addresses, Range, Reuse};
use clusterlocal_core::manifest::{self, Severity};
use serde::Deserialize;
use serde_json::{Map, Value, json};

const RECORDINGS: [&str; 3] = [
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../conformance/1.36/recordings/objects.jsonl.gz"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../conformance/1.36/recordings/drawn.jsonl.gz"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../conformance/1.36/recordings/administration.jsonl.gz"),
];

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

/// What differs, by the beginning of its name, and why. Nothing else may, and all of it has to.
const KNOWN: [(&str, &str); 10] = [
    ("Service/7-1058 ", "the allocator gave it an address before"),
    ("Pod/7-1345 create", "the plugin Priority refuses it"),
    ("Pod/7-1642 create", "the plugin RuntimeClass refuses it"),
    ("Job/7-1362 create", "the UID of the Job is in the message"),
    ("PersistentVolumeClaim/pvc-a create spec.storageClassName ", "the plugin DefaultStorageClass gives it"),
    ("LimitRange/limits-a create metadata", "one without a name gets a UID for a name"),
    ("ControllerRevision/revision-a replace data.a \"\\u00e9\"", "JSON is repeated as it was sent"),
    (
        "ResourceClaim/claim-a replace spec.devices.config.0.opaque.parameters.a ",
        "JSON is repeated as it was sent",
    ),
    ("ResourceSlice/slice-a create spec.devices.0.taints.0.timeAdded ", "there is no clock"),
    ("ResourceSlice/slice-a replace spec.devices.0.taints.0.timeAdded ", "there is no clock"),
];

/// Whether the real server refuses nothing but an expression, which is not compiled here.
fn is_expression(real: &Outcome) -> bool {
    !real.fields.is_empty() && real.fields.iter().all(|field| field.ends_with("xpression"))
}

#[derive(Deserialize)]
struct Record {
    id: String,
    verb: String,
    input: Value,
    /// The object that an update changes, where it is not the one that was sent unchanged before.
    base: Option<Value>,
    real: Outcome,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
struct Outcome {
    ok: bool,
    object: Value,
    code: u16,
    reason: Option<String>,
    fields: Vec<String>,
    message: String,
}

/// The first thing that differs, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Differs {
    Verdict,
    Code,
    Fields,
    Message,
    Object,
}

fn records() -> impl Iterator<Item = Record> {
    RECORDINGS.into_iter().flat_map(|path| {
        let file = File::open(path).expect(path);
        let lines = BufReader::new(flate2::read::GzDecoder::new(file)).lines();
        lines.map(|line| serde_json::from_str(&line.expect("a line")).expect("a record"))
    })
}

#[test]
fn objects_are_taken_and_refused_as_recorded() {
    let asked = std::env::var("RECORDED").ok();
    let asked: Vec<&str> = asked.as_deref().map(|kinds| kinds.split(',').collect()).unwrap_or_default();
    let mut table: BTreeMap<String, BTreeMap<Option<Differs>, usize>> = BTreeMap::new();
    let (mut known, mut unknown) = (BTreeSet::new(), Vec::new());
    let mut expressions = 0;
    let mut standing = Value::Null;
    for record in records() {
        let kind = record.id.split('/').next().unwrap_or_default().to_owned();
        if !asked.is_empty() && !asked.contains(&kind.as_str()) {
            continue;
        }
        let (object, words) = (&record.input, record.id.ends_with("as it is"));
        if words {
            standing = create(object).expect("the unchanged object is taken");
        }
        if let Some(base) = &record.base {
            standing = create(base).expect("the unchanged object is taken");
        }
        // What is refused for its name is refused before the object is decoded.
        if record.real.message.starts_with("the name of the object")
            || record.real.code == 0 && !record.real.ok
        {
            continue;
        }
        let ours = match record.verb.as_str() {
            "create" => create(object),
            "update" => update(object, &standing),
            _ => update(&with_version(object, &standing), &standing),
        };
        let ours = outcome(object, ours);
        let differs = compare(&record.real, &ours);
        if differs == Some(Differs::Verdict) && is_expression(&record.real) {
            expressions += 1;
        } else if differs.is_some() {
            match KNOWN.iter().position(|(begin, _)| record.id.starts_with(begin)) {
                Some(at) => drop(known.insert(at)),
                None => unknown.push(format!("{} {differs:?}", record.id)),
            }
        }
        *table.entry(format!("{kind} {}", record.verb)).or_default().entry(differs).or_default() += 1;
        if let Some(differs) = differs.filter(|_| !asked.is_empty()) {
            println!("{} — {differs:?}", record.id);
            if differs == Differs::Object {
                print_differences("", &record.real.object, &ours.object);
            } else {
                println!("  real {}", shown(&record.real));
                println!("  ours {}", shown(&ours));
            }
        }
    }
    let mut all = BTreeMap::<Option<Differs>, usize>::new();
    println!(
        "{:32}{:>7}{:>8}{:>9}{:>7}{:>8}{:>9}{:>8}",
        "", "cases", "same", "verdict", "code", "fields", "message", "object"
    );
    for (name, row) in &table {
        print_row(name, row);
        for (differs, count) in row {
            *all.entry(*differs).or_default() += count;
        }
    }
    print_row("all", &all);
    assert_eq!(unknown, Vec::<String>::new(), "what differs and is not listed");
    if asked.is_empty() {
        assert!(expressions > 0, "expressions are refused as well");
        assert_eq!(known.len(), KNOWN.len(), "what is listed and does not differ any more: {known:?}");
    }
}

fn print_row(name: &str, row: &BTreeMap<Option<Differs>, usize>) {
    let of = |differs| row.get(&differs).copied().unwrap_or(0);
    let cases: usize = row.values().sum();
    println!(
        "{name:32}{cases:7}{:7.1}%{:9}{:7}{:8}{:9}{:8}",
        100.0 * of(None) as f64 / cases as f64,
        of(Some(Differs::Verdict)),
        of(Some(Differs::Code)),
        of(Some(Differs::Fields)),
        of(Some(Differs::Message)),
        of(Some(Differs::Object)),
    );
}

fn shown(outcome: &Outcome) -> String {
    if outcome.ok {
        return "ok".into();
    }
    format!("{} {:?} {}", outcome.code, outcome.fields, outcome.message)
}

fn print_differences(path: &str, real: &Value, ours: &Value) {
    match (real, ours) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let at = |map: &Map<String, Value>| map.get(key).cloned().unwrap_or_default();
                print_differences(&format!("{path}.{key}"), &at(a), &at(b));
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                print_differences(&format!("{path}[{index}]"), a, b);
            }
        }
        (a, b) if a == b => {}
        (a, b) => println!("  {path}: real {a}, ours {b}"),
    }
}

#[derive(Debug)]
enum Refused {
    Decoding(String),
    Admission(Refusal),
    /// An update without the resourceVersion that its kind requires: the API's handler reports it.
    WithoutVersion,
}

fn group_kind(object: &Value) -> (&str, &str) {
    let version = object["apiVersion"].as_str().unwrap_or_default();
    (version.split_once('/').map_or("", |(group, _)| group), object["kind"].as_str().unwrap_or_default())
}

/// The object with its defaults, in the namespace that it was sent to.
fn read(object: &Value, namespaced: bool) -> Result<Value, Refused> {
    let version = object["apiVersion"].as_str().unwrap_or_default();
    let kind = object["kind"].as_str().unwrap_or_default();
    let decoded = admission::decode(version, kind, object.clone()).map_err(Refused::Decoding)?;
    if !decoded.strict.is_empty() {
        return Err(Refused::Decoding(format!("strict decoding error: {}", decoded.strict.join(", "))));
    }
    let mut read = decoded.object;
    let (group, kind) = group_kind(object);
    admission::default(GroupKind { group, kind }, &mut read);
    if namespaced && read["metadata"].is_object() {
        read["metadata"]["namespace"] = "default".into();
    }
    if kind == "Pod" {
        admission::admit_pod(&mut read);
        // The recorded API server runs without the plugin `ServiceAccount`.
        for field in ["serviceAccountName", "serviceAccount"] {
            if let Some(spec) = read["spec"].as_object_mut().filter(|_| object["spec"].get(field).is_none()) {
                spec.remove(field);
            }
        }
        // The priority of a Pod without a class.
        read["spec"]["priority"] = 0.into();
        read["spec"]["preemptionPolicy"] = "PreemptLowerPriority".into();
    }
    Ok(read)
}

/// The range of cluster IPs of the recorded API server.
const SERVICE_RANGE: &str = "10.96.0.0/16,fd00:10:96::/112";

fn begin(of: GroupKind<'_>, object: &mut Value, before: Option<&Value>) -> Result<(), Refused> {
    let services = SERVICE_RANGE.parse().expect("a range");
    let addresses = Addresses::new(Range::default_pods(), services, Reuse::Never);
    let allocator = Allocator { addresses: Some(&addresses), dry_run: true };
    admission::begin(of, object, before, &allocator).map_err(Refused::Admission)
}

fn invalid(causes: Vec<Cause>) -> Refused {
    Refused::Admission(Refusal::Invalid(causes))
}

fn create(object: &Value) -> Result<Value, Refused> {
    let (group, kind) = group_kind(object);
    let of = GroupKind { group, kind };
    let mut created = read(object, admission::is_namespaced(of))?;
    if created["metadata"].is_object() {
        created["metadata"]["uid"] = "4711".into();
        created["metadata"]["resourceVersion"] = "1".into();
        created["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z".into();
    }
    begin(of, &mut created, None)?;
    admission::before_create(of, &mut created).map_err(invalid)?;
    match kind {
        // What the plugin `StorageObjectInUseProtection` adds, and no controller here would take away.
        "VolumeAttributesClass" => {
            let finalizers = &mut created["metadata"]["finalizers"];
            let mut all = finalizers.as_array().cloned().unwrap_or_default();
            all.push("kubernetes.io/vac-protection".into());
            *finalizers = all.into();
        }
        // The user of the recorded client.
        "CertificateSigningRequest" => created["spec"]["username"] = "admin".into(),
        _ => {}
    }
    Ok(created)
}

/// `object` as a client sends it that has read the object that is there.
fn with_version(object: &Value, before: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("resourceVersion".into(), before["metadata"]["resourceVersion"].clone());
    }
    object
}

fn update(object: &Value, before: &Value) -> Result<Value, Refused> {
    let (group, kind) = group_kind(object);
    let of = GroupKind { group, kind };
    let mut updated = read(object, admission::is_namespaced(of))?;
    if !admission::is_unconditional(of) && updated["metadata"]["resourceVersion"].is_null() {
        return Err(Refused::WithoutVersion);
    }
    begin(of, &mut updated, Some(before))?;
    admission::before_update(of, &mut updated, before).map_err(invalid)?;
    Ok(updated)
}

fn outcome(object: &Value, ours: Result<Value, Refused>) -> Outcome {
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

fn compare(real: &Outcome, ours: &Outcome) -> Option<Differs> {
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

/// What a cluster takes may stand in a file as well, but for items of lists that are null. A file is no dry run: its node ports are
/// those of nodes.
#[test]
fn what_a_cluster_takes_is_read_from_files() {
    let (mut refused, mut taken) = (Vec::new(), 0);
    for record in records() {
        if !record.real.ok || record.verb != "create" {
            continue;
        }
        taken += 1;
        let (path, value) = record.id.rsplit_once(' ').expect("a path and a value");
        let is_null_item =
            value == "[null]" || value == "null" && path.ends_with(|c: char| c.is_ascii_digit());
        if is_null_item || record.id.ends_with("nodePort -1") {
            continue;
        }
        let read = manifest::read_bytes("a.json", record.input.to_string().into_bytes());
        let problems = read.problems.iter().filter(|problem| problem.severity == Severity::Error);
        refused.extend(problems.map(|problem| format!("{}: {}", record.id, problem.message)));
    }
    assert!(taken > 2_500, "{taken} objects were taken");
    assert_eq!(refused, Vec::<String>::new());
}

/// Files may have what no client can send: it is shown all the same, with defaults where there is room for them.
#[test]
fn defaults_are_set_whatever_the_types() {
    let mut failed = Vec::new();
    for record in records() {
        let (group, kind) = group_kind(&record.input);
        let of = GroupKind { group, kind };
        let mut object = record.input.clone();
        let defaulted = std::panic::catch_unwind(move || {
            admission::default(of, &mut object);
            if of.kind == "Pod" {
                admission::admit_pod(&mut object);
            }
        });
        if defaulted.is_err() {
            failed.push(record.id);
        }
    }
    assert_eq!(failed, Vec::<String>::new());
}
