//! Takes the place of the command line's glob: which files the named paths mean now, and what they look like. It must
//! not know what was there before, but for this: what was named as a file stays one, and so does a directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::slice;

use super::reading::fingerprint;
use super::settling::Fingerprint;
use crate::manifest;

/// The path that means standard input.
pub(super) const STANDARD_INPUT: &str = "-";

/// A path of the command line.
pub(super) struct Named {
    pub(super) path: PathBuf,
    /// What it was when it was there first.
    pub(super) kind: Option<Kind>,
    /// Whether it meant any file before. A directory may begin empty; one that becomes empty is rather being replaced.
    meant: bool,
}

/// What a path of the command line means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    /// The manifests in it.
    Directory,
    /// It is read once.
    StandardInput,
}

impl Named {
    pub(super) fn new(path: &Path) -> Self {
        let mut named = Named { path: path.to_path_buf(), kind: None, meant: false };
        named.identify();
        named
    }

    fn identify(&mut self) {
        if self.path.as_os_str() == STANDARD_INPUT {
            self.kind = Some(Kind::StandardInput);
        } else if self.kind.is_none()
            && let Ok(meta) = std::fs::metadata(&self.path)
        {
            self.kind = Some(if meta.is_dir() { Kind::Directory } else { Kind::File });
        }
    }

    /// The files it means, or why there is none.
    fn files(&mut self) -> Result<Vec<(PathBuf, Fingerprint)>, String> {
        self.identify();
        match self.kind {
            Some(Kind::StandardInput) => Ok(Vec::new()),
            Some(Kind::Directory) => self.manifests(),
            Some(Kind::File) | None => match fingerprint(&self.path) {
                Ok(seen) => Ok(vec![(self.path.clone(), seen)]),
                Err(error) => Err(format!("cannot open: {error}")),
            },
        }
    }

    fn manifests(&mut self) -> Result<Vec<(PathBuf, Fingerprint)>, String> {
        if self.path.is_file() {
            return Err("not a directory any more".into());
        }
        let found = manifest::find_any(slice::from_ref(&self.path));
        let found = found
            .map_err(|problems| problems.into_iter().map(|problem| problem.message).collect::<String>())?;
        // A link to nowhere is as good as no file.
        let files = found.into_iter().filter_map(|path| fingerprint(&path).ok().map(|seen| (path, seen)));
        let files: Vec<_> = files.collect();
        self.meant |= !files.is_empty();
        if files.is_empty() && self.meant { Err("directory without manifests".into()) } else { Ok(files) }
    }
}

/// What there is.
#[derive(Default)]
pub(super) struct Survey {
    /// Every file: what it looks like, and in which of the named directories it is if it is not named itself.
    pub(super) files: BTreeMap<PathBuf, (Fingerprint, Option<usize>)>,
    /// Which of the named paths mean no file, and why.
    pub(super) missing: BTreeMap<usize, String>,
}

/// Looks at all that is `named`.
pub(super) fn survey(named: &mut [Named]) -> Survey {
    let mut survey = Survey::default();
    for (at, named) in named.iter_mut().enumerate() {
        match named.files() {
            Err(why) => drop(survey.missing.insert(at, why)),
            Ok(files) => {
                let directory = Some(at).filter(|_| named.kind == Some(Kind::Directory));
                for (path, seen) in files {
                    // Whoever names a file that is in a named directory as well means the file.
                    let known = survey.files.entry(path).or_insert((seen, directory));
                    known.1 = known.1.and(directory);
                }
            }
        }
    }
    survey
}
