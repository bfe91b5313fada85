//! From paths to bytes: which files a command line means, and how a file is read that may be no file at all.

use std::fs::{self, DirEntry, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::limits;
use super::problem::Problem;

/// The path that means standard input.
pub(super) const STANDARD_INPUT: &str = "-";

/// The files that `paths` mean, each once: a directory stands for the `*.yaml`, `*.yml` and `*.json` in it, by name,
/// without its subdirectories and without hidden files; `-` stands for standard input.
///
/// Symbolic links are followed: the data of a mounted ConfigMap is one.
///
/// # Errors
/// One problem for each path that does not exist, cannot be listed, or is a directory without manifests.
pub fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Vec<Problem>> {
    let found = find_any(paths);
    let mut problems = found.as_ref().err().cloned().unwrap_or_default();
    for path in paths.iter().filter(|path| path.is_dir() && list(path).is_ok_and(|files| files.is_empty())) {
        problems.push(
            problem(path, "directory without manifests")
                .with_help("put files called *.yaml, *.yml or *.json there; subdirectories are not read"),
        );
    }
    if problems.is_empty() { found } else { Err(problems) }
}

/// As [`find`], for a cluster that may begin empty: so may a directory.
///
/// # Errors
/// One problem for each path that does not exist or cannot be listed.
pub fn find_any(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Vec<Problem>> {
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    for path in paths {
        if path.as_os_str() == STANDARD_INPUT {
            found.push(path.clone());
            continue;
        }
        match fs::metadata(path) {
            Ok(meta) if meta.is_dir() => match list(path) {
                Ok(files) => found.extend(files),
                Err(error) => problems.push(problem(path, format!("cannot list directory: {error}"))),
            },
            Ok(_) => found.push(path.clone()),
            Err(error) => problems.push(problem(path, format!("cannot open: {error}")).with_help(
                "name the manifests to read: files, directories of them, or - for standard input",
            )),
        }
    }
    if paths.len() > 1 {
        let mut seen = std::collections::HashSet::new();
        found.retain(|path| seen.insert(path.clone()));
    }
    if found.len() > limits::FILES {
        let message = format!("{} files to read: at most {} are", found.len(), limits::FILES);
        problems.push(problem(&paths[0], message));
    }
    if problems.is_empty() { Ok(found) } else { Err(problems) }
}

fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let path = entry.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let manifest = path.extension().is_some_and(|ext| ext == "yaml" || ext == "yml" || ext == "json");
        // A dangling link is kept, so that reading it tells of it.
        if manifest && !hidden && !is_directory(&entry, &path) {
            files.push(path);
        }
    }
    // All are in one directory: comparing paths name by name takes ten times as long.
    files.sort_unstable_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
    Ok(files)
}

/// Whether `entry` at `path` is a directory, or a link to one. Most are neither, which the listing itself tells.
fn is_directory(entry: &DirEntry, path: &Path) -> bool {
    match entry.file_type() {
        Ok(kind) if !kind.is_symlink() => kind.is_dir(),
        _ => path.is_dir(),
    }
}

/// The bytes of `path`, or of standard input for `-`.
///
/// Never waits for a FIFO's writer, and reads regular files only, up to 48 MiB.
///
/// # Errors
/// When it cannot be opened or read, is no regular file, or is too large.
pub fn fetch(path: &Path) -> Result<Vec<u8>, Box<Problem>> {
    let failed = |message: String| Box::new(problem(path, message));
    if path.as_os_str() == STANDARD_INPUT {
        return drain(io::stdin().lock(), 0).map_err(failed);
    }
    let file = open(path).map_err(|error| failed(format!("cannot open: {error}")))?;
    let meta = file.metadata().map_err(|error| failed(format!("cannot read: {error}")))?;
    if !meta.is_file() {
        let help = "give a regular file, a directory of them, or - for standard input";
        return Err(Box::new(problem(path, "not a regular file").with_help(help)));
    }
    if meta.len() > limits::FILE_BYTES {
        return Err(failed(too_large()));
    }
    drain(file, meta.len()).map_err(failed)
}

#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    // Opening a FIFO waits for a writer without O_NONBLOCK; a terminal must not become ours.
    let flags = nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY;
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).open(path)
}

/// Everything from `reader`, which may have grown since its size was asked for.
fn drain(reader: impl Read, expected: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or(0) + 1);
    reader
        .take(limits::FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("cannot read: {error}"))?;
    if bytes.len() as u64 > limits::FILE_BYTES { Err(too_large()) } else { Ok(bytes) }
}

fn too_large() -> String {
    format!("larger than {} MiB, which is the most one file may have", limits::FILE_BYTES >> 20)
}

fn problem(path: &Path, message: impl AsRef<str>) -> Problem {
    Problem::of_file(&name(path), message)
}

/// How `path` is shown to people.
pub(super) fn name(path: &Path) -> String {
    if path.as_os_str() == STANDARD_INPUT { "<stdin>".into() } else { path.display().to_string() }
}

/// Bytes that are no text that YAML or JSON could be written in.
pub(super) struct NoText {
    /// The text up to there.
    pub(super) before: String,
    pub(super) reason: String,
}

/// The text in `bytes`, without a byte order mark.
///
/// # Errors
/// At the first character that no YAML or JSON file has.
pub(super) fn text(bytes: Vec<u8>) -> Result<String, NoText> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(NoText { before: String::new(), reason: "UTF-16 text; save the file as UTF-8".into() });
    }
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let reason = format!("byte {:#04x} is not UTF-8; is this a text file?", error.as_bytes()[at]);
        let mut bytes = error.into_bytes();
        bytes.truncate(at);
        NoText { before: String::from_utf8(bytes).unwrap_or_default(), reason }
    })?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    // Most files are plain ASCII, which a glance at the bytes shows.
    let plain = text.bytes().all(|b| matches!(b, b' '..=b'~' | b'\n' | b'\r' | b'\t'));
    let strange = if plain { None } else { text.char_indices().find(|&(_, c)| !printable(c)) };
    match strange {
        None => Ok(text),
        Some((at, c)) => {
            text.truncate(at);
            let reason = match c {
                '\0' => "NUL byte; is this a text file?".into(),
                c => format!("control character U+{:04X}, which YAML does not allow", u32::from(c)),
            };
            Err(NoText { before: text, reason })
        }
    }
}

/// The characters of a YAML stream (YAML 1.2, 5.1), of which JSON's are a part.
fn printable(c: char) -> bool {
    match c {
        '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' => true,
        '\u{feff}' | '\u{fffe}' | '\u{ffff}' => false,
        c => c >= '\u{a0}',
    }
}
