//! Checks which room uses which, in all packages of the library: the rules of `docs/architecture.md`, compared with the
//! paths in the sources. `cargo test --lib rooms -- --nocapture` prints the rooms and what they use.

mod cycles;
mod folders;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The packages with the rooms. Cargo checks the dependencies between packages; the table below also those within them.
const PACKAGES: &[&str] = &["crates/core/src", "src"];

/// A package that is one room, and its sources. Its folders have their own table.
const API: (&str, &str) = ("api", "crates/api/src");

/// Prefixes of a path that names a room.
const ROOTS: [&str; 2] = ["crate::", "clusterlocal_core::"];

/// Each room with the rooms that it may use. All of them are above it in this table, so that there are no cycles.
const MAY_USE: &[(&str, &[&str])] = &[
    ("bind_error", &[]),
    ("parallel", &[]),
    ("descriptors", &[]),
    ("output_file", &[]),
    ("wire", &[]),
    ("types", &[]),
    ("merge", &["types"]),
    ("text", &[]),
    ("fault", &["text", "wire"]),
    ("store", &["fault", "text"]),
    ("clock", &["store"]),
    ("admission", &["store", "text"]),
    ("reconcile", &["admission", "store"]),
    ("addresses", &["reconcile", "store"]),
    ("manifest", &["fault", "parallel", "store"]),
    ("kubelet", &["addresses", "reconcile", "store"]),
    ("controller", &["addresses", "admission", "kubelet", "parallel", "reconcile", "store", "text"]),
    ("zone", &["parallel", "store", "wire"]),
    ("answer", &["fault", "store", "wire", "zone"]),
    ("queries", &["answer", "fault", "store", "wire"]),
    (
        "control_plane",
        &["addresses", "answer", "controller", "fault", "manifest", "merge", "reconcile", "store", "zone"],
    ),
    ("driver", &["clock", "control_plane", "queries"]),
    ("explain", &["answer", "fault", "manifest", "store", "wire", "zone"]),
    ("serve", &["answer", "bind_error", "clock", "descriptors", "fault", "queries", "store", "wire", "zone"]),
    (
        "api",
        &[
            "admission",
            "answer",
            "bind_error",
            "control_plane",
            "controller",
            "descriptors",
            "driver",
            "explain",
            "fault",
            "manifest",
            "merge",
            "output_file",
            "queries",
            "reconcile",
            "store",
            "types",
            "wire",
            "zone",
        ],
    ),
    ("watch", &["control_plane", "driver", "manifest", "parallel", "store"]),
    ("run", &["api", "control_plane", "driver", "store"]),
    (
        "cluster",
        &[
            "addresses",
            "answer",
            "api",
            "clock",
            "control_plane",
            "driver",
            "fault",
            "manifest",
            "queries",
            "reconcile",
            "run",
            "serve",
            "store",
            "watch",
            "wire",
            "zone",
        ],
    ),
    (
        "play",
        &[
            "addresses",
            "answer",
            "clock",
            "cluster",
            "control_plane",
            "driver",
            "fault",
            "manifest",
            "queries",
            "reconcile",
            "store",
            "wire",
        ],
    ),
];

#[test]
fn rooms_use_only_the_rooms_below_them() {
    let arrows = arrows();
    let mut wrong = Vec::new();
    for (room, used) in &arrows {
        println!("{room} -> {}", used.keys().cloned().collect::<Vec<_>>().join(", "));
        let Some((_, may)) = MAY_USE.iter().find(|(name, _)| name == room) else {
            wrong.push(format!("{room} is not in the table"));
            continue;
        };
        for (other, files) in used.iter().filter(|(other, _)| !may.contains(&other.as_str())) {
            wrong.push(format!("{room} must not use {other}: {files:?}"));
        }
        for unused in may.iter().filter(|other| !used.contains_key(**other)) {
            wrong.push(format!("{room} does not use {unused}: take it out of the table"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_has_no_cycles() {
    for (place, (room, may)) in MAY_USE.iter().enumerate() {
        let above: BTreeSet<_> = MAY_USE[..place].iter().map(|(name, _)| *name).collect();
        let wrong: Vec<_> = may.iter().filter(|other| !above.contains(**other)).collect();
        assert!(wrong.is_empty(), "{room} stands above {wrong:?}");
    }
}

/// The rooms that the sources of each room name, with the files that do.
type Arrows = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

fn arrows() -> Arrows {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let packages = PACKAGES.iter().map(|package| root.join(package));
    let libraries = packages.clone().map(|package| fs::read_to_string(package.join("lib.rs")).unwrap());
    let exported: BTreeMap<_, _> = libraries.flat_map(|lib| exported(&lib)).collect();
    let mut arrows = Arrows::new();
    let mut add = |room: &str, file: String, names: BTreeSet<String>| {
        let used = arrows.entry(room.to_string()).or_default();
        for name in names {
            let other = exported.get(&name).cloned().unwrap_or(name);
            if other != room {
                used.entry(other).or_default().insert(file.clone());
            }
        }
    };
    for package in packages {
        for file in sources(&package) {
            let shown = file.strip_prefix(&package).unwrap().to_string_lossy().into_owned();
            let room = shown.split('/').next().unwrap().trim_end_matches(".rs").to_string();
            if !["lib", "rooms"].contains(&room.as_str()) {
                add(&room, shown, names(&fs::read_to_string(&file).unwrap()));
            }
        }
    }
    for file in sources(&root.join(API.1)) {
        let names = names_after(&fs::read_to_string(&file).unwrap(), "clusterlocal_core::");
        add(API.0, file.strip_prefix(root).unwrap().to_string_lossy().into_owned(), names);
    }
    arrows
}

/// The sources below `folder`, without tests.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        if ["tests", "cases"].contains(&stem.as_str()) {
            continue;
        }
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The rooms named by paths in a source, or exports of `lib.rs`, without its tests and comments.
fn names(source: &str) -> BTreeSet<String> {
    let mut names: BTreeSet<_> = ROOTS.iter().flat_map(|root| names_after(source, root)).collect();
    if !names_after(source, "clusterlocal_api::").is_empty() {
        names.insert(API.0.into());
    }
    names
}

/// The names that follow `prefix` in the paths of a source, without its tests and comments.
fn names_after(source: &str, prefix: &str) -> BTreeSet<String> {
    let code = without_comments(source);
    let mut names = BTreeSet::new();
    for (at, path) in code.match_indices(prefix) {
        if code[..at].ends_with(|before: char| before.is_alphanumeric() || "_:".contains(before)) {
            continue;
        }
        let rest = &code[at + path.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            names.insert(first(rest));
            continue;
        };
        let mut depth = 1;
        let mut starts = true;
        for (at, letter) in group.char_indices() {
            match letter {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => starts = true,
                _ if starts && !letter.is_whitespace() => {
                    names.insert(first(&group[at..]));
                    starts = false;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    names.remove("");
    names
}

/// A source without its tests and comments.
fn without_comments(source: &str) -> String {
    let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let code: Vec<_> = source.lines().map(|line| line.split("//").next().unwrap()).collect();
    code.join("\n")
}

fn first(path: &str) -> String {
    path.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
}

/// The types that `lib.rs` re-exports from its rooms, with the room.
fn exported(lib: &str) -> BTreeMap<String, String> {
    let mut exported = BTreeMap::new();
    for (_, rest) in lib.match_indices("\npub use ").map(|(at, found)| (at, &lib[at + found.len()..])) {
        let statement = &rest[..rest.find(';').unwrap()];
        let room = first(statement);
        if ROOTS.iter().any(|root| root.trim_end_matches("::") == room) {
            continue;
        }
        let names = statement.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
        let types = names.filter(|name| name.starts_with(|letter: char| letter.is_uppercase()));
        exported.extend(types.map(|name| (name.to_string(), room.clone())));
    }
    exported
}

#[test]
fn paths_are_found() {
    let source = "use crate::{Clock, store::{Key, Kind}, zone as names};\nuse crate::answer::Answerer;\n\
        // crate::api\nfn f() { clusterlocal_core::merge::f() }\n#[cfg(test)]\nmod tests {\n use crate::serve;";
    let found: Vec<_> = names(source).into_iter().collect();
    assert_eq!(found, ["Clock", "answer", "merge", "store", "zone"]);
    let lib = "pub mod store;\npub use clock::{Clock, MANUAL_START};\npub use store::fault::Transport;\n\
        pub use clusterlocal_core::Driver;\n";
    let exported = exported(&format!("\n{lib}"));
    assert_eq!(exported["Clock"], "clock");
    assert_eq!(exported["Transport"], "store");
    assert!(!exported.contains_key("Driver"));
}
