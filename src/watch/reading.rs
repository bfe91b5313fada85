//! Takes the place of one `kubectl apply -f`: one file from its path to what is to be done about its content. It must
//! not know other files, nor what was decided about this one before, but for its last content's hash.

use std::fs;
use std::hash::{BuildHasher, Hash};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use rustc_hash::FxBuildHasher;

use super::settling::Fingerprint;
use super::survey::STANDARD_INPUT;
use crate::manifest::{self, Known, Manifest, Problem, Severity};

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
    /// What it says; only warnings among the problems.
    pub(super) manifest: Manifest,
}

/// What is at `path` now; follows links.
///
/// # Errors
/// Those of `stat`.
pub(super) fn fingerprint(path: &Path) -> io::Result<Fingerprint> {
    fs::metadata(path).map(|meta| Fingerprint::of(&meta))
}

/// Reads the file at `path`, which was `seen` before. `last` is the hash of what it said when it was good last, `known`
/// the objects of that.
pub(super) fn read(path: &Path, seen: Fingerprint, last: Option<u64>, known: &[Known]) -> Reading {
    let fetched = manifest::fetch(path);
    if !fingerprint(path).is_ok_and(|after| after == seen) {
        return Reading::Torn;
    }
    let bytes = match fetched {
        Ok(bytes) => bytes,
        Err(problem) => return Reading::Bad(vec![*problem]),
    };
    let hash = hash(&bytes);
    if last == Some(hash) {
        return Reading::Same;
    }
    let name = path.display().to_string();
    let blank = is_blank(&bytes);
    // A bug that one file brings to light must not keep the others from being read.
    let manifest = catch_unwind(AssertUnwindSafe(|| manifest::read_again(&name, bytes, known)));
    judge(&name, hash, blank, manifest.ok())
}

/// Reads the file at `path`, or standard input, before anybody follows it. Returns the hash of its bytes as well.
pub(super) fn read_first(path: &Path) -> (Option<u64>, Manifest) {
    if path.as_os_str() == STANDARD_INPUT {
        return (None, manifest::read_file(path));
    }
    let name = path.display().to_string();
    match manifest::fetch(path) {
        Ok(bytes) => (Some(hash(&bytes)), manifest::read_bytes(&name, bytes)),
        Err(problem) => {
            (None, Manifest { name: name.into(), problems: vec![*problem], ..Manifest::default() })
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
    match manifest.problems.iter().any(|problem| problem.severity == Severity::Error) {
        true => Reading::Bad(manifest.problems),
        false => Reading::Good(Box::new(Content { hash, blank, manifest })),
    }
}

pub(super) fn hash(content: &(impl Hash + ?Sized)) -> u64 {
    FxBuildHasher.hash_one(content)
}

/// Whether there are only comments, directives and the markers between documents: most likely the moment between an
/// editor's truncation and its first write. Whoever means nothing says so by an empty List.
fn is_blank(bytes: &[u8]) -> bool {
    bytes.split(|&byte| byte == b'\n').all(|line| {
        let line = line.trim_ascii();
        matches!(line, b"" | b"---" | b"..." | b"\xef\xbb\xbf")
            || line.starts_with(b"#")
            || line.starts_with(b"%")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_is_what_says_nothing() {
        let table = [
            ("", true),
            ("\u{feff}\r\n", true),
            ("# a comment\n\n   # another\r\n", true),
            ("%YAML 1.2\n---\n...\n", true),
            ("apiVersion: v1\nkind: List\nitems: []\n", false),
            ("{}", false),
            ("--- {}\n", false),
        ];
        for (text, blank) in table {
            assert_eq!(is_blank(text.as_bytes()), blank, "{text:?}");
        }
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_is_torn() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.yaml");
        fs::write(&path, "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n").unwrap();
        let before = fingerprint(&path).unwrap();
        let Reading::Good(content) = read(&path, before, None, &[]) else { panic!("not good") };
        assert!(matches!(read(&path, before, Some(content.hash), &[]), Reading::Same));
        fs::write(&path, "").unwrap();
        assert!(matches!(read(&path, before, None, &[]), Reading::Torn));
        fs::remove_file(&path).unwrap();
        assert!(matches!(read(&path, before, None, &[]), Reading::Torn));
    }
}
