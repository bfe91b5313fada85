//! Reads one file, from its path to its checked content. Must not depend on other files, nor on earlier decisions about
//! this one, except for the hash and the objects of its last content.

use std::hash::{BuildHasher, Hash};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use rustc_hash::FxBuildHasher;

use super::fingerprint::Fingerprint;
use super::survey::STANDARD_INPUT;
use crate::manifest::{self, Input, Known, Manifest, Problem, Severity};

/// The result of reading a file.
pub(super) enum Reading {
    /// The file changed meanwhile: the bytes may be half of one content and half of another.
    Torn,
    /// The content is unchanged.
    Same,
    /// The content has errors.
    Bad(Vec<Problem>),
    /// The content is valid by itself.
    Good(Box<Content>),
}

/// A file's content that is valid by itself.
pub(super) struct Content {
    /// Hash of the bytes.
    pub(super) hash: u64,
    /// Whether there is nothing but comments.
    pub(super) blank: bool,
    /// The parsed content. Its problems are only warnings, unless it is [foreign](Manifest::foreign).
    pub(super) manifest: Manifest,
}

/// Reviews a manifest that is read again. Returns warnings about those of its objects that are not among the known ones.
pub type Review = fn(&Manifest, &[Known]) -> Vec<Problem>;

/// Reads the file at `path`, which had the fingerprint `seen`. `last` is the hash of its last good content, `known` has the
/// objects of that.
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

/// Parses `bytes`, the content of `name`.
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
    let is_small = bytes.len() <= MAX_REVIEWED;
    // A panic that one file causes must not keep the others from being read.
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

/// Maximum size of what is read at once and reviewed, in bytes: a review takes as long as a reading, and delays the first
/// answer. `check` reviews any amount.
pub(super) const MAX_REVIEWED: usize = 256 << 10;

/// Reads `input` before it is followed. Also returns the hash of its bytes, if it is a file.
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
            "reading it panicked. This is a bug in clusterlocal: please report it",
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
