//! Reads one file, from its path to a judgement of its content. Must not depend on other files, nor on what was decided about this one
//! before, except for the hash and the objects of its last content.

use std::hash::{BuildHasher, Hash};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use rustc_hash::FxBuildHasher;

use super::fingerprint::Fingerprint;
use super::survey::STANDARD_INPUT;
use crate::manifest::{self, Input, Known, Manifest, Problem, Severity};

/// What came of reading a file.
pub(super) enum Reading {
    /// It changed meanwhile: what was read may be half of one content and half of another.
    Torn,
    /// It says what it said.
    Same,
    /// None of it may be served.
    Bad(Vec<Problem>),
    /// It is fine on its own.
    Good(Box<Content>),
}

/// A file's content that is fine on its own.
pub(super) struct Content {
    /// Of the bytes.
    pub(super) hash: u64,
    /// Whether there is nothing, or nothing but comments.
    pub(super) blank: bool,
    /// What it says; only warnings among the problems, unless it is [foreign](Manifest::foreign).
    pub(super) manifest: Manifest,
}

/// Judges a manifest that is read again: warnings about those of its objects that are not among the known ones.
pub type Review = fn(&Manifest, &[Known]) -> Vec<Problem>;

/// Reads the file at `path`, which was `seen` before. `last` is the hash of its last good content, `known` the objects of that.
pub(super) fn read(
    path: &Path,
    seen: Fingerprint,
    last: Option<u64>,
    known: &[Known],
    review: Review,
) -> Reading {
    let fetched = manifest::fetch(path);
    if !Fingerprint::at(path).is_ok_and(|after| after == seen) {
        return Reading::Torn;
    }
    match fetched {
        Ok(bytes) => judge_bytes(&path.display().to_string(), bytes, last, known, review),
        Err(problem) => Reading::Bad(vec![*problem]),
    }
}

/// What comes of `bytes`, the content of what is called `name`.
pub(super) fn judge_bytes(
    name: &str,
    bytes: Vec<u8>,
    last: Option<u64>,
    known: &[Known],
    review: Review,
) -> Reading {
    let hash = hash(&bytes);
    if last == Some(hash) {
        return Reading::Same;
    }
    let blank = manifest::is_blank(&bytes);
    let is_small = bytes.len() <= REVIEWED_BYTES;
    // A bug that one file brings to light must not keep the others from being read.
    let manifest = catch_unwind(AssertUnwindSafe(|| {
        let mut manifest = manifest::read_again(name, bytes, known);
        if is_small {
            let reviewed = review(&manifest, known);
            manifest.problems.extend(reviewed);
        }
        manifest
    }));
    judge(name, hash, blank, manifest.ok())
}

/// Maximum length of what is read at once and reviewed, in bytes: a review takes as long as a reading, and the first answer is
/// waited for. `check` reviews any amount.
pub(super) const REVIEWED_BYTES: usize = 256 << 10;

/// Reads `input` before it is followed. Returns the hash of its bytes as well, if it is a file.
pub(super) fn read_first(input: &Input) -> (Option<u64>, Manifest) {
    let (path, listed) = match input {
        Input::Named(path) if path.as_os_str() != STANDARD_INPUT => (path, false),
        Input::Listed(path) => (path, true),
        other => return (None, other.read()),
    };
    let name = path.display().to_string();
    match manifest::fetch(path) {
        Ok(bytes) => {
            let (hash, manifest) = (hash(&bytes), manifest::read_bytes(&name, bytes));
            (Some(hash), if listed { manifest.skipped_unless_objects() } else { manifest })
        }
        Err(problem) => {
            let problems = vec![*problem];
            (None, Manifest { name: name.into(), problems, ..Manifest::default() })
        }
    }
}

/// Reads standard input to its end.
pub(super) fn read_standard_input(path: &Path) -> Reading {
    judge("<stdin>", 0, false, Some(manifest::read_file(path)))
}

fn judge(name: &str, hash: u64, blank: bool, manifest: Option<Manifest>) -> Reading {
    let Some(manifest) = manifest else {
        return Reading::Bad(vec![Problem::of_file(
            name,
            "reading it failed; this is a bug of clusterlocal",
        )]);
    };
    if !manifest.foreign && manifest.problems.iter().any(|problem| problem.severity == Severity::Error) {
        Reading::Bad(manifest.problems)
    } else {
        Reading::Good(Box::new(Content { hash, blank, manifest }))
    }
}

pub(super) fn hash(content: &(impl Hash + ?Sized)) -> u64 {
    FxBuildHasher.hash_one(content)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const NONE: Review = |_, _| Vec::new();

    #[test]
    fn a_file_that_changes_while_it_is_read_is_torn() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.yaml");
        fs::write(&path, "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n").unwrap();
        let before = Fingerprint::at(&path).unwrap();
        let Reading::Good(content) = read(&path, before, None, &[], NONE) else { panic!("not good") };
        assert!(matches!(read(&path, before, Some(content.hash), &[], NONE), Reading::Same));
        fs::write(&path, "").unwrap();
        assert!(matches!(read(&path, before, None, &[], NONE), Reading::Torn));
        fs::remove_file(&path).unwrap();
        assert!(matches!(read(&path, before, None, &[], NONE), Reading::Torn));
    }
}
