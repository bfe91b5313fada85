//! Takes the place of `kubectl apply -f DIRECTORY`: finds the manifests of a directory, and refuses directories whose
//! files kustomize or Helm has to render first.

use std::fs::{self, DirEntry, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::files;
use super::limits;
use super::problem::Problem;

/// The files of a kustomization, in kustomize's order (`konfig.RecognizedKustomizationFileNames`).
pub(super) const KUSTOMIZATIONS: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// The file of a Helm chart.
const CHART: &str = "Chart.yaml";

/// Maximum number of directories in a message.
const NAMED: usize = 5;

/// Maximum number of subdirectories that are searched for manifests that are not read.
const PEEKED_DIRECTORIES: usize = 100;

/// Maximum number of files of one subdirectory that are searched, and of bytes of each: enough to recognize manifests,
/// at little cost.
const PEEKED_FILES: usize = 4;
const PEEKED_BYTES: u64 = 16 << 10;

/// The content of a directory.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// The files that may be manifests, in kubectl's order.
    pub(super) files: Vec<PathBuf>,
    /// The directories with a kustomization, as paths of its file.
    kustomizations: Vec<PathBuf>,
    /// The directory itself, if it is a Helm chart.
    chart: Option<PathBuf>,
    /// The charts below it.
    charts: Vec<PathBuf>,
    /// Its subdirectories that are not read.
    subdirectories: Vec<PathBuf>,
    /// Its subdirectories that are read.
    pub(super) directories: Vec<PathBuf>,
}

/// Lists `directory`, and its subdirectories if `recursive`.
///
/// Hidden entries and links to directories are skipped: the data of a mounted ConfigMap is in both.
pub(super) fn list(directory: &Path, recursive: bool) -> io::Result<Listing> {
    let mut listing = Listing::default();
    let flat = enter(directory, true, &mut listing)?;
    if !recursive {
        listing.subdirectories = flat;
        return Ok(listing);
    }
    let mut rest = flat;
    let mut entered = 0;
    while let Some(next) = rest.pop() {
        entered += 1;
        if entered > limits::FILES || listing.files.len() > limits::FILES {
            let message = format!("it contains more than {} files and directories", limits::FILES);
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        match enter(&next, false, &mut listing) {
            Ok(more) => {
                rest.extend(more);
                listing.directories.push(next);
            }
            // A directory that is deleted during the listing is skipped.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(io::Error::new(error.kind(), format!("{}: {error}", next.display()))),
        }
    }
    // In the order of `filepath.Walk`: by name, directory by directory.
    listing.files.sort();
    listing.kustomizations.sort();
    listing.charts.sort();
    Ok(listing)
}

/// Adds the files of one directory. Returns its subdirectories.
fn enter(directory: &Path, is_root: bool, listing: &mut Listing) -> io::Result<Vec<PathBuf>> {
    let (mut files, mut subdirectories, mut chart) = (Vec::new(), Vec::new(), false);
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        let manifest = path.extension().is_some_and(|ext| ext == "yaml" || ext == "yml" || ext == "json");
        let marks = KUSTOMIZATIONS.iter().any(|&mark| *name == *mark);
        if !manifest && !marks {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                subdirectories.push(path);
            }
            continue;
        }
        // A dangling link is kept, so that reading it reports an error.
        if is_directory(&entry, &path) {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                subdirectories.push(path);
            }
        } else if marks {
            listing.kustomizations.push(path);
        } else {
            chart |= *name == *CHART;
            files.push(path);
        }
    }
    if chart && !is_root {
        listing.charts.push(directory.to_path_buf());
        return Ok(Vec::new());
    }
    if chart {
        listing.chart = Some(directory.to_path_buf());
    }
    // All are in one directory: comparing paths component by component takes ten times as long.
    files.sort_unstable_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
    subdirectories.sort_unstable();
    listing.files.append(&mut files);
    Ok(subdirectories)
}

/// Whether `entry` at `path` is a directory, or a link to one. Usually the listing itself contains the type.
fn is_directory(entry: &DirEntry, path: &Path) -> bool {
    match entry.file_type() {
        Ok(kind) if !kind.is_symlink() => kind.is_dir(),
        _ => path.is_dir(),
    }
}

impl Listing {
    /// Why the files must not be read one by one, if so.
    pub(super) fn refused(&self) -> Vec<Problem> {
        let kustomized = self.kustomizations.iter().take(NAMED).map(|path| {
            let directory = path.parent().unwrap_or(path);
            let name = path.file_name().unwrap_or_default().display();
            files::problem(directory, format!("has a {name}, which changes the files next to it"))
                .with_help(format!("render it: -k {}", shown(directory)))
        });
        let mut problems: Vec<Problem> = kustomized.collect();
        let more = self.kustomizations.len().saturating_sub(NAMED);
        if let (1.., Some(last)) = (more, problems.last_mut()) {
            last.message.push_str(&format!("; as do {more} more directories"));
        }
        problems.extend(self.chart.iter().map(|chart| {
            files::problem(chart, "is a Helm chart, which has to be rendered").with_help(helm(chart))
        }));
        problems
    }

    /// A warning about charts below the directory, which are skipped.
    pub(super) fn charts_left_out(&self) -> Option<Problem> {
        let first = self.charts.first()?;
        let message = format!("skipped, a Helm chart: {}", names(&self.charts, |_| String::new()));
        Some(files::problem(first, message).with_help(helm(first)).as_warning())
    }

    /// A warning about subdirectories of `directory` with manifests that are not read.
    pub(super) fn subdirectories_left_out(&self, directory: &Path) -> Option<Problem> {
        let mut left_out: Vec<(PathBuf, usize)> = Vec::new();
        let (mut kustomization, mut chart) = (None, None);
        let mut rest: Vec<PathBuf> = self.subdirectories.iter().rev().cloned().collect();
        for _ in 0..PEEKED_DIRECTORIES {
            let Some(next) = rest.pop() else { break };
            let mut below = Listing::default();
            let Ok(more) = enter(&next, false, &mut below) else { continue };
            rest.extend(more.into_iter().rev());
            if kustomization.is_none() && !below.kustomizations.is_empty() {
                kustomization = Some(next.clone());
            }
            if chart.is_none() {
                chart = below.charts.pop();
            }
            if below.files.iter().take(PEEKED_FILES).any(|file| looks_like_manifest(file)) {
                left_out.push((next, below.files.len()));
            }
        }
        if left_out.is_empty() && chart.is_none() && kustomization.is_none() {
            return None;
        }
        let mut all: Vec<PathBuf> = left_out.iter().map(|(path, _)| path.clone()).collect();
        all.extend(
            kustomization
                .iter()
                .chain(&chart)
                .filter(|path| !left_out.iter().any(|(p, _)| p == *path))
                .cloned(),
        );
        let count = |path: &Path| {
            let files = left_out.iter().find(|(other, _)| other == path).map(|(_, files)| *files);
            files.map_or_else(String::new, |files| {
                format!(" ({files} file{})", if files == 1 { "" } else { "s" })
            })
        };
        let relative: Vec<PathBuf> =
            all.iter().map(|path| path.strip_prefix(directory).unwrap_or(path).to_path_buf()).collect();
        let listed = names(&relative, |path| count(&directory.join(path)));
        let help = match (kustomization, chart) {
            (Some(kustomization), _) => {
                format!("-k {} renders a kustomization; -R reads all subdirectories", shown(&kustomization))
            }
            (None, Some(chart)) => format!("-R reads the subdirectories; {}", helm(&chart)),
            (None, None) => "-R reads the subdirectories as well".into(),
        };
        Some(
            files::problem(directory, format!("manifests in subdirectories are not read: {listed}"))
                .with_help(help)
                .as_warning(),
        )
    }
}

/// `a (2 files), b and 3 more`
fn names(paths: &[PathBuf], after: impl Fn(&Path) -> String) -> String {
    let named: Vec<String> =
        paths.iter().take(NAMED).map(|path| format!("{}{}", path.display(), after(path))).collect();
    let more = paths.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", named.join(", "))
}

/// How to render the file called `name`, if it is input for kustomize or Helm.
pub(super) fn how_to_render(name: &str) -> Option<String> {
    let path = Path::new(name);
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match path.file_name()?.to_str()? {
        name if KUSTOMIZATIONS.contains(&name) => Some(format!("render it: -k {}", shown(directory))),
        CHART => Some(helm(directory)),
        _ => None,
    }
}

/// How to render a chart.
pub(super) fn helm(chart: &Path) -> String {
    format!("render it: helm template NAME {} | clusterlocal serve -", shown(chart))
}

/// A path for a shell, if it contains no special characters.
fn shown(path: &Path) -> String {
    let text = path.display().to_string();
    if text.contains([' ', '\'', '"', '$', '(', ')', '&', ';']) { format!("{text:?}") } else { text }
}

/// Whether the start of the file looks like an object of a cluster. A Scenario of `play` does not count.
fn looks_like_manifest(path: &Path) -> bool {
    if !path.is_file() {
        return false;
    }
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(PEEKED_BYTES).read_to_end(&mut bytes));
    let text = String::from_utf8_lossy(&bytes);
    read.is_ok() && text.contains("apiVersion") && text.contains("kind") && !text.contains("kind: Scenario")
}

#[cfg(test)]
mod tests;
