//! Takes the place of kubectl's `-f`, `-R` and `-k`: resolves the arguments of a command line into inputs. Must not
//! depend on the content of files, except whether they look like manifests.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::files::{self, STANDARD_INPUT};
use super::folders::{self, Listing};
use super::problem::Problem;
use super::{Manifest, kustomize, limits};

/// The inputs of a command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// Files, directories, or `-` for standard input.
    pub paths: Vec<PathBuf>,
    /// Whether subdirectories are read as well (`-R`).
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

/// One input to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A file given on the command line, or `-`.
    Named(PathBuf),
    /// A file of a directory, which need not be a manifest.
    Listed(PathBuf),
    /// A directory with a kustomization to render.
    Kustomization(PathBuf),
}

impl Input {
    /// Reads the input. Errors are in [`Manifest::problems`].
    pub fn read(&self) -> Manifest {
        match self {
            Input::Named(path) => super::read_file(path),
            Input::Listed(path) => super::read_file(path).skipped_unless_objects(),
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

/// The inputs that were found, in order and without duplicates.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The files and kustomizations.
    pub inputs: Vec<Input>,
    /// Warnings about skipped files that may be manifests.
    pub warnings: Vec<Problem>,
}

/// Resolves `inputs`: a directory stands for its `*.yaml`, `*.yml` and `*.json` files, by name and without hidden ones,
/// and for those in its subdirectories if requested; `-` stands for standard input.
///
/// Symbolic links to files are followed: a mounted ConfigMap consists of them.
///
/// # Errors
/// One problem for each path that does not exist, cannot be listed, is a directory without manifests, or needs
/// rendering by kustomize or Helm.
pub fn find(inputs: impl Into<Inputs>) -> Result<Found, Vec<Problem>> {
    search(&inputs.into(), true)
}

/// Like [`find`], for a cluster that may be empty at first: directories may be empty too.
///
/// # Errors
/// Like those of [`find`], except for directories without manifests.
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
        let message = format!("{} files to read: the maximum is {}", found.inputs.len(), limits::FILES);
        problems.push(files::problem(&inputs.paths[0], message));
    }
    if problems.is_empty() { Ok(found) } else { Err(problems) }
}

/// Adds the files in the `listing` of the directory at `path`.
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

/// Removes duplicates. A file that is both given and listed counts as given.
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

/// The current manifests in the directory at `path`.
///
/// # Errors
/// Why there are none, in one line.
pub fn list(path: &Path, recursive: bool) -> Result<Vec<PathBuf>, String> {
    let listing =
        folders::list(path, recursive).map_err(|error| format!("cannot list directory: {error}"))?;
    let refused = listing.refused();
    if refused.is_empty() {
        return Ok(listing.files);
    }
    Err(refused.iter().map(Problem::to_string).collect::<Vec<_>>().join("; "))
}

/// The directories below `path` in which manifests may be created.
pub fn directories(path: &Path) -> Vec<PathBuf> {
    folders::list(path, true).map(|listing| listing.directories).unwrap_or_default()
}
