//! The traps of peer discovery in `zones/traps`: each passes, with the same result in each run; each expectation is
//! necessary; and the tutorial's data store is queried during each. Their README describes the results.
//!
//! Without Node the tests of the store are listed as ignored, unless `CLUSTERLOCAL_TEST_CLIENTS=all` requires it.

mod pods;
mod store;
mod trap;
mod verdicts;

use std::path::{Path, PathBuf};

use libtest_mimic::Failed;

use crate::Test;
use crate::peers::is_installed;
use trap::Trap;

const TRAPS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../zones/traps");

pub fn tests() -> Vec<Test> {
    let node = is_installed("node");
    let mut tests = vec![
        Test::new("every number has its file", complete),
        Test::new("the README describes the files", readme),
    ];
    for path in files() {
        let name = stem(&path);
        let played = path.clone();
        tests.push(Test::new(format!("{name} passes"), move || Trap::read(&played)?.holds()));
        let played = path.clone();
        tests.push(Test::new(format!("{name} and nothing else"), move || Trap::read(&played)?.counts()));
        if let Some(verdict) = verdicts::all().into_iter().find(|verdict| name.starts_with(&verdict.number))
            && !verdict.moments.is_empty()
        {
            let test = move || Trap::read(&path)?.asks_the_store(&verdict);
            tests.push(Test::new(format!("{name} and the store"), test).needs(node));
        }
    }
    tests
}

fn files() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(TRAPS).expect("zones/traps");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    files
}

fn stem(path: &Path) -> String {
    path.file_stem().expect("a name").to_string_lossy().into_owned()
}

/// There are traps 01 to 36, each in a file of its own, with a verdict on the store.
fn complete() -> Result<(), Failed> {
    let numbered = |names: Vec<String>| names.iter().map(|name| name[..2].to_string()).collect::<Vec<_>>();
    let expected: Vec<_> = (1..=36).map(|number| format!("{number:02}")).collect();
    assert_eq!(numbered(files().iter().map(|path| stem(path)).collect()), expected);
    assert_eq!(numbered(verdicts::all().into_iter().map(|verdict| verdict.number).collect()), expected);
    Ok(())
}

/// Each trap has its row, with its description, where it occurs, and the verdict on the store.
fn readme() -> Result<(), Failed> {
    let readme = std::fs::read_to_string(Path::new(TRAPS).join("README.md")).map_err(|e| e.to_string())?;
    let rows: Vec<_> = readme.lines().filter(|line| line.starts_with("| [")).collect();
    let mut wrong = Vec::new();
    for (at, (path, verdict)) in files().iter().zip(verdicts::all()).enumerate() {
        let (name, trap) = (stem(path), Trap::read(path)?);
        let begins = format!("| [{name}]({name}.yaml) | {} | ", trap.sees());
        let ends = format!(" | {} |", verdict.word);
        let trouble = rows.get(at).and_then(|row| row.strip_prefix(&begins)?.strip_suffix(&ends));
        if trouble.is_none_or(|trouble| trouble.trim().is_empty() || trouble.contains('|')) {
            wrong.push(format!("{begins}…{ends}"));
        }
    }
    if rows.len() == files().len() && wrong.is_empty() {
        return Ok(());
    }
    Err(format!("the README should have:\n{}", wrong.join("\n")).into())
}
