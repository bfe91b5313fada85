//! Takes the place of kubectl's `-f`, `-R` and `-k`: from what a command line names to what is read, one after the other.
//! It must not know what is in files, beyond whether they look like manifests.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::files::{self, STANDARD_INPUT};
use super::folders::{self, Listing};
use super::problem::Problem;
use super::{Manifest, kustomize, limits};

/// What a command line names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// Files, directories, or `-` for standard input.
    pub paths: Vec<PathBuf>,
    /// Whether a directory stands for the directories in it as well (`-R`).
    pub recursive: bool,
    /// Directories with a kustomization (`-k`).
    pub kustomizations: Vec<PathBuf>,
}

impl From<&[PathBuf]> for Inputs {
    fn from(paths: &[PathBuf]) -> Self {
        Inputs { paths: paths.to_vec(), ..Inputs::default() }
    }
}

impl From<&Vec<PathBuf>> for Inputs {
    fn from(paths: &Vec<PathBuf>) -> Self {
        Inputs::from(&**paths)
    }
}

impl<const N: usize> From<&[PathBuf; N]> for Inputs {
    fn from(paths: &[PathBuf; N]) -> Self {
        Inputs::from(&paths[..])
    }
}

impl From<&Inputs> for Inputs {
    fn from(inputs: &Inputs) -> Self {
        inputs.clone()
    }
}

/// One thing to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A file that the command line names, or `-`.
    Named(PathBuf),
    /// A file of a directory, which may hold no manifest at all.
    Listed(PathBuf),
    /// A directory whose kustomization is rendered.
    Kustomization(PathBuf),
}

impl Input {
    /// Reads it. What is wrong is in [`Manifest::problems`].
    pub fn read(&self) -> Manifest {
        match self {
            Input::Named(path) => super::read_file(path),
            Input::Listed(path) => super::read_file(path).passed_over(),
            Input::Kustomization(directory) => {
                let name = kustomize::name(directory);
                match kustomize::render(directory) {
                    Ok(bytes) => super::read_bytes(&name, bytes),
                    Err(problem) => {
                        Manifest { name: name.into(), problems: vec![*problem], ..Manifest::default() }
                    }
                }
            }
        }
    }
}

/// What there is to read, in order and each once.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The files and kustomizations.
    pub inputs: Vec<Input>,
    /// What is left out that may have been meant.
    pub warnings: Vec<Problem>,
}

/// What `inputs` mean: a directory stands for the `*.yaml`, `*.yml` and `*.json` in it, by name, without hidden ones, and
/// for those in its subdirectories if that is asked for; `-` stands for standard input.
///
/// Symbolic links to files are followed: the data of a mounted ConfigMap is one.
///
/// # Errors
/// One problem for each path that does not exist, cannot be listed, is a directory without manifests, or one of which only
/// kustomize or Helm knows what its files mean.
pub fn find(inputs: impl Into<Inputs>) -> Result<Found, Vec<Problem>> {
    search(&inputs.into(), true)
}

/// As [`find`], for a cluster that may begin empty: so may a directory.
///
/// # Errors
/// As those of [`find`], but for directories without manifests.
pub fn find_any(inputs: impl Into<Inputs>) -> Result<Found, Vec<Problem>> {
    search(&inputs.into(), false)
}

fn search(inputs: &Inputs, not_empty: bool) -> Result<Found, Vec<Problem>> {
    let (mut found, mut problems) = (Found::default(), Vec::new());
    for path in &inputs.paths {
        if path.as_os_str() == STANDARD_INPUT {
            found.inputs.push(Input::Named(path.clone()));
            continue;
        }
        match fs::metadata(path) {
            Ok(meta) if meta.is_dir() => match folders::list(path, inputs.recursive) {
                Ok(listing) => directory(path, listing, not_empty, &mut found, &mut problems),
                Err(error) => {
                    problems.push(files::problem(path, format!("cannot list directory: {error}")));
                }
            },
            Ok(_) => found.inputs.push(Input::Named(path.clone())),
            Err(error) => problems.push(files::problem(path, format!("cannot open: {error}")).with_help(
                "name the manifests to read: files, directories of them, or - for standard input",
            )),
        }
    }
    found.inputs.extend(inputs.kustomizations.iter().cloned().map(Input::Kustomization));
    if inputs.paths.len() > 1 {
        each_once(&mut found.inputs);
    }
    if found.inputs.len() > limits::FILES {
        let message = format!("{} files to read: at most {} are", found.inputs.len(), limits::FILES);
        problems.push(files::problem(&inputs.paths[0], message));
    }
    if problems.is_empty() { Ok(found) } else { Err(problems) }
}

/// Adds what the `listing` of the directory at `path` means.
fn directory(path: &Path, listing: Listing, not_empty: bool, found: &mut Found, problems: &mut Vec<Problem>) {
    let refused = listing.refused();
    if !refused.is_empty() {
        return problems.extend(refused);
    }
    found.warnings.extend(listing.charts_left_out());
    match (listing.files.is_empty(), listing.subdirectories_left_out(path)) {
        (true, Some(left_out)) if not_empty => {
            problems.push(Problem { severity: super::Severity::Error, ..left_out })
        }
        (true, None) if not_empty => problems.push(
            files::problem(path, "directory without manifests")
                .with_help("put files called *.yaml, *.yml or *.json there, or name another directory"),
        ),
        (_, left_out) => found.warnings.extend(left_out),
    }
    found.inputs.extend(listing.files.into_iter().map(Input::Listed));
}

/// Leaves out what is there a second time. A file that is named as well as listed was meant by its name.
fn each_once(inputs: &mut Vec<Input>) {
    let mut seen: HashMap<PathBuf, usize> = HashMap::new();
    let mut kept: Vec<Input> = Vec::with_capacity(inputs.len());
    for input in inputs.drain(..) {
        let (Input::Named(path) | Input::Listed(path) | Input::Kustomization(path)) = &input;
        match seen.get(path) {
            None => {
                seen.insert(path.clone(), kept.len());
                kept.push(input);
            }
            Some(&at) => {
                if matches!(input, Input::Named(_)) {
                    kept[at] = input;
                }
            }
        }
    }
    *inputs = kept;
}

/// The files that the directory at `path` stands for now.
///
/// # Errors
/// Why it stands for none, in one line.
pub fn list(path: &Path, recursive: bool) -> Result<Vec<PathBuf>, String> {
    let listing =
        folders::list(path, recursive).map_err(|error| format!("cannot list directory: {error}"))?;
    let refused = listing.refused();
    if refused.is_empty() {
        return Ok(listing.files);
    }
    Err(refused.iter().map(Problem::to_string).collect::<Vec<_>>().join("; "))
}

/// The directories below `path` in which manifests may come to be.
pub fn directories(path: &Path) -> Vec<PathBuf> {
    folders::list(path, true).map(|listing| listing.directories).unwrap_or_default()
}
