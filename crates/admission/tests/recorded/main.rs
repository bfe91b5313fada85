//! What a real API server answered to small changes of objects of many kinds, against what is made of them here. The recording is
//! made by `conformance/judge`; a line of it has what was sent, how, and what came back.
//!
//! `RECORDED=Pod,Service cargo test -p clusterlocal-admission --test recorded -- --nocapture` prints the differences of these kinds.

mod outcome;
mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader};

use clusterlocal_admission::{self as admission, GroupKind};
use clusterlocal_core::manifest::{self, Severity};
use serde::Deserialize;
use serde_json::{Map, Value};

use outcome::{Differs, Outcome, compare, outcome};
use server::{create, group_kind, update, with_version};

const RECORDINGS: [&str; 3] = [
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../conformance/1.36/recordings/objects.jsonl.gz"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../conformance/1.36/recordings/drawn.jsonl.gz"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../conformance/1.36/recordings/administration.jsonl.gz"),
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
