//! The files at the named paths, with their fingerprints. Must not depend on earlier surveys, except that a path keeps its
//! kind: file or directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::fingerprint::Fingerprint;
use crate::manifest;

/// The path of standard input.
pub(super) const STANDARD_INPUT: &str = "-";

/// A path of the command line.
pub(super) struct Named {
    pub(super) path: PathBuf,
    /// Its kind when it first existed.
    pub(super) kind: Option<Kind>,
    /// Whether it had a file before. A directory may be empty at first; one that becomes empty is more likely being
    /// replaced.
    had_files: bool,
    /// Whether subdirectories are included.
    recursive: bool,
}

/// The kind of a path of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    /// A directory: its manifests.
    Directory,
    /// Standard input, which is read once.
    StandardInput,
}

impl Named {
    pub(super) fn new(path: &Path, recursive: bool) -> Self {
        let mut named = Named { path: path.to_path_buf(), kind: None, had_files: false, recursive };
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

    /// Returns the subdirectories, in which files may be created, if they are included.
    pub(super) fn directories(&self) -> Vec<PathBuf> {
        if self.recursive && self.kind == Some(Kind::Directory) {
            manifest::directories(&self.path)
        } else {
            Vec::new()
        }
    }

    /// Returns its files, or why there is none.
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
            return Err("no longer a directory".into());
        }
        let found = manifest::list(&self.path, self.recursive)?;
        // A link without a target counts as no file.
        let files = found.into_iter().filter_map(|path| Fingerprint::at(&path).ok().map(|seen| (path, seen)));
        let files: Vec<_> = files.collect();
        self.had_files |= !files.is_empty();
        if files.is_empty() && self.had_files { Err("directory without manifests".into()) } else { Ok(files) }
    }
}

/// The files that exist.
#[derive(Default)]
pub(super) struct Survey {
    /// Every file, with its fingerprint and the path that led to it.
    pub(super) files: BTreeMap<PathBuf, (Fingerprint, FoundBy)>,
    /// Indices of the named paths that have no file, with the reasons.
    pub(super) missing: BTreeMap<usize, String>,
}

/// The named path that led to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FoundBy {
    /// Index of the first named path that includes the file.
    pub(super) rank: usize,
    /// Index of the directory that includes it, if it is not named itself.
    pub(super) directory: Option<usize>,
}

/// Surveys all `named` paths.
pub(super) fn survey(named: &mut [Named]) -> Survey {
    let mut survey = Survey::default();
    for (at, named) in named.iter_mut().enumerate() {
        match named.files() {
            Err(why) => drop(survey.missing.insert(at, why)),
            Ok(files) => {
                let directory = Some(at).filter(|_| named.kind == Some(Kind::Directory));
                for (path, seen) in files {
                    // A file that is named itself counts as such, even if its directory is named as well.
                    let known = survey.files.entry(path).or_insert((seen, FoundBy { rank: at, directory }));
                    known.1.directory = known.1.directory.and(directory);
                }
            }
        }
    }
    survey
}
