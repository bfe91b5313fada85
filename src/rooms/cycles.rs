//! Checks that the files and folders of a folder use each other in one direction only, in every folder of these packages:
//! a file that declares others belongs to none of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::{first, names_after, sources, without_comments};

/// The sources that are checked.
const PACKAGES: [&str; 5] =
    ["crates/core/src", "crates/admission/src", "crates/api/src", "src", "program/src"];

/// The files and folders of a folder, with those that each of them uses, and the files that do.
type Arrows = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

#[test]
fn no_folder_has_a_cycle() {
    let mut wrong = Vec::new();
    for package in PACKAGES {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(package);
        check(&root, &root, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn check(root: &Path, folder: &Path, wrong: &mut Vec<String>) {
    for (one, used) in cyclic(arrows(root, folder)) {
        for (other, files) in used {
            wrong.push(format!("{}: {one} uses {other}: {files:?}", folder.display()));
        }
    }
    let folders = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    folders.filter(|path| path.is_dir()).for_each(|below| check(root, &below, wrong));
}

fn arrows(root: &Path, folder: &Path) -> Arrows {
    let path: Vec<_> = folder.strip_prefix(root).unwrap().iter().map(|part| part.to_str().unwrap()).collect();
    let files = ["lib.rs", "main.rs", "mod.rs"].map(|name| folder.join(name));
    let declared_in = files.into_iter().find(|file| file.exists()).unwrap_or(folder.with_extension("rs"));
    let Ok(declared_in) = fs::read_to_string(declared_in) else { return Arrows::new() };
    let declared_in = without_comments(&declared_in);
    let statements = || declared_in.split(';').map(|statement| statement.lines().last().unwrap_or_default());
    let mut arrows: Arrows = statements()
        .filter_map(|statement| {
            statement.rsplit_once("mod ").map(|(_, name)| (name.to_string(), BTreeMap::new()))
        })
        .collect();
    let exported = exported(&declared_in, &arrows);
    let absolute: String = ["crate"].iter().chain(&path).map(|part| format!("{part}::")).collect();
    for file in sources(folder) {
        let shown = file.strip_prefix(folder).unwrap().to_str().unwrap().trim_end_matches(".rs").to_string();
        let shown = shown.trim_end_matches("/mod").to_string();
        let (own, depth) = (first(&shown), shown.split('/').count());
        if !arrows.contains_key(&own) {
            continue;
        }
        let source = fs::read_to_string(&file).unwrap();
        for name in names_after(&source, &absolute).union(&names_after(&source, &"super::".repeat(depth))) {
            let other = if arrows.contains_key(name) { Some(name) } else { exported.get(name) };
            if let Some(other) = other.filter(|other| **other != own) {
                let files = arrows.get_mut(&own).unwrap().entry(other.clone()).or_default();
                files.insert(shown.clone());
            }
        }
    }
    arrows
}

/// The names that the file of a folder takes from its `children`, with the child of each.
fn exported(declared_in: &str, children: &Arrows) -> BTreeMap<String, String> {
    let mut exported = BTreeMap::new();
    for (_, path) in declared_in.split(';').filter_map(|statement| statement.rsplit_once("use ")) {
        let path = path.trim_start_matches("self::");
        let child = first(path);
        if children.contains_key(&child) {
            let names = path.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
            exported.extend(names.map(|name| (name.to_string(), child.clone())));
        }
    }
    exported
}

/// What is left of `arrows` without the places that use none of the others, or that none of the others uses.
fn cyclic(mut arrows: Arrows) -> Arrows {
    loop {
        let left: BTreeSet<String> = arrows.keys().cloned().collect();
        arrows.values_mut().for_each(|used| used.retain(|other, _| left.contains(other)));
        let used: BTreeSet<String> = arrows.values().flat_map(BTreeMap::keys).cloned().collect();
        arrows.retain(|one, others| !others.is_empty() && used.contains(one));
        if arrows.len() == left.len() {
            return arrows;
        }
    }
}

#[test]
fn arrows_are_found() {
    let core = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/core/src");
    // By a path from the folder, by one from the root, and by a name that the folder's file takes from another file.
    let table = [
        ("controller", "mirroring", "slices"),
        ("controller", "deployment", "ownership"),
        ("types", "go", "table"),
        ("", "control_plane", "zone"),
    ];
    for (folder, one, other) in table {
        let arrows = arrows(&core, &core.join(folder));
        assert!(arrows[one].contains_key(other), "{folder}: {one} uses {other}");
    }
}

#[test]
fn cycles_are_found() {
    let arrows = |text: &str| -> Arrows {
        let mut arrows = Arrows::new();
        for (one, other) in text.split(' ').filter_map(|arrow| arrow.split_once('>')) {
            arrows.entry(other.into()).or_default();
            arrows.entry(one.into()).or_default().entry(other.into()).or_default();
        }
        arrows
    };
    let table = [("a>b b>c a>c", ""), ("a>b b>a", "a b"), ("top>a a>b b>c c>a c>ground", "a b c")];
    for (given, expected) in table {
        let found: Vec<_> = cyclic(arrows(given)).into_keys().collect();
        assert_eq!(found.join(" "), expected, "{given}");
    }
}
