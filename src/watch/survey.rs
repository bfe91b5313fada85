//! Which files the named paths mean now, and their fingerprints. Must not depend on what was there before, except for this: what was
//! named as a file stays one, and so does a directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::fingerprint::Fingerprint;
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
    /// Whether a directory stands for those in it as well.
    recursive: bool,
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
    pub(super) fn new(path: &Path, recursive: bool) -> Self {
        let mut named = Named { path: path.to_path_buf(), kind: None, meant: false, recursive };
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

    /// The directories in which files may come to be, if it stands for those in it as well.
    pub(super) fn directories(&self) -> Vec<PathBuf> {
        if self.recursive && self.kind == Some(Kind::Directory) {
            manifest::directories(&self.path)
        } else {
            Vec::new()
        }
    }

    /// The files it means, or why there is none.
    fn files(&mut self) -> Result<Vec<(PathBuf, Fingerprint)>, String> {
        self.identify();
        match self.kind {
            Some(Kind::StandardInput) => Ok(Vec::new()),
            Some(Kind::Directory) => self.manifests(),
            Some(Kind::File) | None => match Fingerprint::at(&self.path) {
                Ok(seen) => Ok(vec![(self.path.clone(), seen)]),
                Err(error) => Err(format!("cannot open: {error}")),
            },
        }
    }

    fn manifests(&mut self) -> Result<Vec<(PathBuf, Fingerprint)>, String> {
        if self.path.is_file() {
            return Err("not a directory any more".into());
        }
        let found = manifest::list(&self.path, self.recursive)?;
        // A link to nowhere is as good as no file.
        let files = found.into_iter().filter_map(|path| Fingerprint::at(&path).ok().map(|seen| (path, seen)));
        let files: Vec<_> = files.collect();
        self.meant |= !files.is_empty();
        if files.is_empty() && self.meant { Err("directory without manifests".into()) } else { Ok(files) }
    }
}

/// What there is.
#[derive(Default)]
pub(super) struct Survey {
    /// Every file: what it looks like, and what it was found by.
    pub(super) files: BTreeMap<PathBuf, (Fingerprint, FoundBy)>,
    /// Which of the named paths mean no file, and why.
    pub(super) missing: BTreeMap<usize, String>,
}

/// What a file was found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FoundBy {
    /// The first of the named paths that means it.
    pub(super) rank: usize,
    /// The directory that it is in, if it is not named itself.
    pub(super) directory: Option<usize>,
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
                    // A file that is named counts as such, also where its directory is named.
                    let known = survey.files.entry(path).or_insert((seen, FoundBy { rank: at, directory }));
                    known.1.directory = known.1.directory.and(directory);
                }
            }
        }
    }
    survey
}
