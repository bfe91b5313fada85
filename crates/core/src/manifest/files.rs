//! Reads files, some of which may not be regular files.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

use super::limits;
use super::problem::Problem;

/// The path that stands for standard input.
pub(super) const STANDARD_INPUT: &str = "-";

/// Reads `path`, or standard input for `-`.
///
/// Does not block on a FIFO without a writer, and reads only regular files of up to 48 MiB.
///
/// # Errors
/// If it cannot be opened or read, is not a regular file, or is too large; if standard input ends without an object,
/// for instance because `helm template` failed in a pipe.
pub fn fetch(path: &Path) -> Result<Vec<u8>, Box<Problem>> {
    let failed = |message: String| Box::new(problem(path, message));
    if path.as_os_str() == STANDARD_INPUT {
        let bytes = drain(io::stdin().lock(), 0).map_err(failed)?;
        return if is_blank(&bytes) {
            Err(Box::new(problem(path, "nothing on standard input").with_help(
                "the command before the pipe has failed, or printed nothing; for an empty cluster use a List without items",
            )))
        } else {
            Ok(bytes)
        };
    }
    let file = open(path).map_err(|error| failed(format!("cannot open: {error}")))?;
    let meta = file.metadata().map_err(|error| failed(format!("cannot read: {error}")))?;
    if !meta.is_file() {
        let help = "use a regular file, a directory of them, or - for standard input";
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
    // Without O_NONBLOCK, opening a FIFO waits for a writer; with O_NOCTTY, a terminal does not become the controlling
    // one.
    let flags = nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY;
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).open(path)
}

/// Reads all of `reader`, whose size may have grown since it was determined.
fn drain(reader: impl Read, expected: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or(0) + 1);
    reader
        .take(limits::FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("cannot read: {error}"))?;
    if bytes.len() as u64 > limits::FILE_BYTES { Err(too_large()) } else { Ok(bytes) }
}

fn too_large() -> String {
    format!("larger than {} MiB, the maximum size of a file", limits::FILE_BYTES >> 20)
}

/// An error in the file or directory at `path` as a whole.
pub(super) fn problem(path: &Path, message: impl AsRef<str>) -> Problem {
    Problem::of_file(&name(path), message)
}

/// Whether there are only comments, directives and markers between documents: probably the moment between an editor's
/// truncation and its first write, or the output of a failed command. An intentionally empty file is an empty List.
pub fn is_blank(bytes: &[u8]) -> bool {
    bytes.split(|&byte| byte == b'\n').all(|line| {
        let line = line.trim_ascii();
        matches!(line, b"" | b"---" | b"..." | b"\xef\xbb\xbf")
            || line.starts_with(b"#")
            || line.starts_with(b"%")
    })
}

/// The display name of `path`.
pub(super) fn name(path: &Path) -> String {
    if path.as_os_str() == STANDARD_INPUT { "<stdin>".into() } else { path.display().to_string() }
}

/// Bytes that are not a text of YAML or JSON.
pub(super) struct InvalidText {
    /// The text before the first invalid byte.
    pub(super) before: String,
    pub(super) reason: String,
}

/// Decodes `bytes` as text, without a byte order mark.
///
/// # Errors
/// At the first character that YAML and JSON do not allow.
pub(super) fn text(bytes: Vec<u8>) -> Result<String, InvalidText> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(InvalidText {
            before: String::new(),
            reason: "UTF-16 text; save the file as UTF-8".into(),
        });
    }
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let reason = format!("byte {:#04x} is not UTF-8; is this a text file?", error.as_bytes()[at]);
        let mut bytes = error.into_bytes();
        bytes.truncate(at);
        InvalidText { before: String::from_utf8(bytes).unwrap_or_default(), reason }
    })?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    // Most files are printable ASCII, which is quickly checked.
    let plain = text.bytes().all(|b| matches!(b, b' '..=b'~' | b'\n' | b'\r' | b'\t'));
    let unprintable = if plain { None } else { text.char_indices().find(|&(_, c)| !printable(c)) };
    match unprintable {
        None => Ok(text),
        Some((at, c)) => {
            text.truncate(at);
            let reason = match c {
                '\0' => "NUL byte; is this a text file?".into(),
                c => format!("control character U+{:04X}, which YAML does not allow", u32::from(c)),
            };
            Err(InvalidText { before: text, reason })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_without_content_are_blank() {
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
}
