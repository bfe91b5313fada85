//! Which folder of the API may use which. A path to another folder is written from the root, `crate::FOLDER::…`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{exported, names_after, sources};

/// The folders of the API, each with those that it may use, all of which stand above it in this table: a circle cannot be written
/// down.
const API: &[(&str, &[&str])] = &[
    ("schema", &[]),
    ("view", &["schema"]),
    ("admit", &["schema", "view"]),
    ("http", &["schema", "view"]),
    ("verbs", &["admit", "http", "schema", "view"]),
    ("own", &["http", "schema", "verbs", "view"]),
    ("discovery", &["http", "schema"]),
    ("kubeconfig", &[]),
    ("review", &["admit"]),
    ("route", &["admit", "discovery", "http", "own", "schema", "verbs"]),
];

#[test]
fn folders_use_only_the_folders_above_them() {
    let room = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/api/src");
    let exported = exported(&fs::read_to_string(room.join("lib.rs")).unwrap());
    let mut wrong = Vec::new();
    let mut used: Vec<BTreeSet<String>> = vec![BTreeSet::new(); API.len()];
    for file in sources(&room) {
        let shown = file.strip_prefix(&room).unwrap().to_string_lossy().into_owned();
        let Some(path) = module(&shown) else { continue };
        let Some(place) = API.iter().position(|(folder, _)| *folder == path[0]) else {
            wrong.push(format!("{shown}: {} is not in the table", path[0]));
            continue;
        };
        for name in names(&fs::read_to_string(&file).unwrap(), "crate::", path.len()) {
            let other = exported.get(&name).cloned().unwrap_or(name);
            if other == path[0] {
                continue;
            }
            if !API[place].1.contains(&other.as_str()) {
                wrong.push(format!("{} must not use {other}: {shown}", path[0]));
            }
            used[place].insert(other);
        }
    }
    for ((folder, may), used) in API.iter().zip(used) {
        println!("api::{folder} -> {}", used.iter().map(String::as_str).collect::<Vec<_>>().join(", "));
        for unused in may.iter().filter(|other| !used.contains(**other)) {
            wrong.push(format!("{folder} does not use {unused}: take it out of the table"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_of_folders_has_no_circles() {
    for (place, (folder, may)) in API.iter().enumerate() {
        let above: BTreeSet<_> = API[..place].iter().map(|(name, _)| *name).collect();
        let wrong: Vec<_> = may.iter().filter(|other| !above.contains(**other)).collect();
        assert!(wrong.is_empty(), "{folder} stands above {wrong:?}");
    }
}

/// The module of a source below the room, `None` for the root of the room, which declares the folders.
fn module(shown: &str) -> Option<Vec<&str>> {
    let mut path: Vec<_> = shown.strip_suffix(".rs").unwrap().split('/').collect();
    if ["lib", "mod"].contains(path.last().unwrap()) {
        path.pop();
    }
    (!path.is_empty()).then_some(path)
}

/// The folders that a source names, by paths from the root of the crate or by `super::` from a module `depth` below the room.
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
