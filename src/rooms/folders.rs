//! Checks which folder of the API uses which, which controller, and which file of the command line. Paths to another folder
//! begin at the root.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{exported, names_after, sources};

/// A folder or file, with those that it may use. All of them are above it in its table, so that there are no cycles.
type Row = (&'static str, &'static [&'static str]);

/// A room, the location of its sources, the file that declares its folders, the root of paths to them, and its table.
const ROOMS: [(&str, &str, &str, &str, &[Row]); 3] = [
    ("api", "crates/api/src", "lib.rs", "crate::", API),
    ("controller", "crates/core/src/controller", "mod.rs", "crate::controller::", CONTROLLERS),
    ("cli", "program/src/cli", "mod.rs", "crate::cli::", CLI),
];

const API: &[Row] = &[
    ("kubelet", &[]),
    ("schema", &[]),
    ("view", &["schema"]),
    ("admit", &["schema", "view"]),
    ("http", &["schema", "view"]),
    ("verbs", &["admit", "http", "kubelet", "schema", "view"]),
    ("own", &["http", "schema", "verbs", "view"]),
    ("connect", &["http", "kubelet", "schema", "verbs"]),
    ("discovery", &["http", "schema"]),
    ("kubeconfig", &[]),
    ("review", &["admit"]),
    ("route", &["connect", "discovery", "http", "own", "schema", "verbs"]),
];

/// What controllers share, and the controllers.
const CONTROLLERS: &[Row] = &[
    ("events", &[]),
    ("ownership", &[]),
    ("pods", &[]),
    ("queue", &[]),
    ("revisions", &[]),
    ("slices", &[]),
    ("volumes", &[]),
    ("refusal", &["queue"]),
    ("disruption", &[]),
    ("endpoints", &[]),
    ("garbage", &[]),
    ("namespace", &[]),
    ("quota", &[]),
    ("termination", &[]),
    ("scheduler", &["ownership", "queue"]),
    ("node", &["pods", "scheduler"]),
    ("binding", &["scheduler", "volumes"]),
    ("mirroring", &["endpoints", "slices"]),
    ("endpointslice", &["endpoints", "mirroring", "slices"]),
    ("deployment", &["ownership", "pods"]),
    ("job", &["ownership", "pods", "refusal"]),
    ("cronjob", &["ownership", "refusal"]),
    ("daemon_history", &["ownership"]),
    ("daemonset", &["daemon_history", "ownership", "pods", "refusal", "scheduler"]),
    ("replicaset", &["ownership", "pods", "refusal", "scheduler"]),
    ("statefulset", &["pods", "refusal", "revisions", "scheduler", "volumes"]),
    ("defaults", &["mirroring"]),
    ("concerns", &["cronjob", "disruption", "endpointslice", "namespace", "node", "queue", "quota"]),
];

/// The verbs of the program, and what they share.
const CLI: &[Row] = &[
    ("recipes", &[]),
    ("changes", &[]),
    ("client", &[]),
    ("failure", &[]),
    ("given", &[]),
    ("help", &[]),
    ("process", &[]),
    ("servers", &[]),
    ("values", &[]),
    ("usage", &["help", "values"]),
    ("life", &["values"]),
    ("output", &["failure"]),
    ("running", &["client", "failure", "given", "servers", "values"]),
    ("upstream", &["failure", "values"]),
    ("words", &["failure"]),
    ("clock", &["failure", "output", "running", "values"]),
    ("cluster", &["failure", "running", "values"]),
    ("fault", &["failure", "help", "output", "running", "values"]),
    ("generate", &["failure", "output"]),
    ("get", &["failure", "output", "running"]),
    ("health", &["failure", "output", "values"]),
    ("log", &["output", "values"]),
    ("node", &["failure", "output", "running", "values"]),
    ("partition", &["failure", "output", "running", "values"]),
    ("pod", &["failure", "output", "running"]),
    ("logs", &["client", "failure", "running"]),
    ("session", &["failure"]),
    ("exec", &["client", "failure", "running", "session", "values"]),
    ("queries", &["client", "failure", "output", "running", "values"]),
    ("resolv_conf", &["failure", "output", "values"]),
    ("source", &["failure", "given", "running"]),
    ("check", &["cluster", "failure", "help", "output", "values"]),
    ("env", &["failure", "output", "resolv_conf"]),
    ("explain", &["client", "cluster", "failure", "output", "source"]),
    ("play", &["cluster", "failure", "output", "values"]),
    ("query", &["client", "cluster", "failure", "output", "source"]),
    ("records", &["cluster", "failure", "output", "running", "source"]),
    ("pod_log", &[]),
    ("serve", &["cluster", "failure", "life", "log", "output", "servers", "upstream", "values"]),
    ("run", &["failure", "serve", "values"]),
];

#[test]
fn folders_use_only_the_folders_above_them() {
    let mut wrong = Vec::new();
    for (room, sources_at, declared_in, root, table) in ROOMS {
        let sources_at = Path::new(env!("CARGO_MANIFEST_DIR")).join(sources_at);
        let exported = exported(&fs::read_to_string(sources_at.join(declared_in)).unwrap());
        let mut used: Vec<BTreeSet<String>> = vec![BTreeSet::new(); table.len()];
        for file in sources(&sources_at) {
            let shown = file.strip_prefix(&sources_at).unwrap().to_string_lossy().into_owned();
            let Some(path) = module(&shown) else { continue };
            let Some(place) = table.iter().position(|(folder, _)| *folder == path[0]) else {
                wrong.push(format!("{shown}: {} is not in the table of {room}", path[0]));
                continue;
            };
            for name in names(&fs::read_to_string(&file).unwrap(), root, path.len()) {
                let other = exported.get(&name).cloned().unwrap_or(name);
                if other == path[0] {
                    continue;
                }
                if !table[place].1.contains(&other.as_str()) {
                    wrong.push(format!("{} must not use {other}: {shown}", path[0]));
                }
                used[place].insert(other);
            }
        }
        for ((folder, may), used) in table.iter().zip(used) {
            println!(
                "{room}::{folder} -> {}",
                used.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
            );
            for unused in may.iter().filter(|other| !used.contains(**other)) {
                wrong.push(format!("{folder} does not use {unused}: take it out of the table of {room}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_tables_of_folders_have_no_cycles() {
    for (.., table) in ROOMS {
        for (place, (folder, may)) in table.iter().enumerate() {
            let above: BTreeSet<_> = table[..place].iter().map(|(name, _)| *name).collect();
            let wrong: Vec<_> = may.iter().filter(|other| !above.contains(**other)).collect();
            assert!(wrong.is_empty(), "{folder} stands above {wrong:?}");
        }
    }
}

/// The module of a source below the room; `None` for the room's root, which declares the folders.
fn module(shown: &str) -> Option<Vec<&str>> {
    let mut path: Vec<_> = shown.strip_suffix(".rs").unwrap().split('/').collect();
    if ["lib", "mod"].contains(path.last().unwrap()) {
        path.pop();
    }
    (!path.is_empty()).then_some(path)
}

/// The folders named by paths in a source, from the root of the crate or by `super::` from a module `depth` below the room.
fn names(source: &str, root: &str, depth: usize) -> BTreeSet<String> {
    let mut names = names_after(source, root);
    names.extend(names_after(source, &"super::".repeat(depth)));
    names
}

#[test]
fn folders_are_found() {
    let source = "use crate::http::{Reply, Status};\nuse super::super::view;\nfn f() { super::g() }";
    let found: Vec<_> = names(source, "crate::", 2).into_iter().collect();
    assert_eq!(found, ["http", "view"]);
    assert_eq!(module("verbs/watch/mod.rs"), Some(vec!["verbs", "watch"]));
    assert_eq!(module("lib.rs"), None);
}
