//! Files that this program writes for other programs: atomically, and never over a file of another program. Must not
//! depend on their content.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// A file that is written, with the mark by which this program recognizes it.
#[derive(Clone, Debug)]
pub struct OutputFile {
    path: PathBuf,
    /// The first bytes of every version of the file.
    mark: &'static str,
    /// Its permissions as in chmod(2), on systems that have them.
    mode: u32,
}

/// Why a file is not written.
#[derive(Debug, thiserror::Error)]
pub enum OutputFileError {
    /// The path is not a regular file.
    #[error("it is {0}, which is not replaced: name a file that does not exist yet")]
    NotAFile(&'static str),
    /// The content is not this program's.
    #[error(
        "it exists and was not written by clusterlocal, so it is not overwritten: name a file that does not exist yet, or \
         remove this one"
    )]
    NotOurs,
    /// An error of the operating system.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Maximum number of names that are tried for the unfinished file.
const TRIES: u32 = 8;

impl OutputFile {
    /// The file at `path`, of which every version starts with `mark`; only its owner may read it if it is `private`.
    pub fn new(path: impl Into<PathBuf>, mark: &'static str, private: bool) -> Self {
        OutputFile { path: path.into(), mark, mode: if private { 0o600 } else { 0o644 } }
    }

    /// Checks that [`write`](Self::write) would not replace a file of another program. Returns whether the file exists.
    ///
    /// # Errors
    /// If it is a device, a pipe, a link, a directory, or a file without the mark.
    pub fn check(&self) -> Result<bool, OutputFileError> {
        let kind = match fs::symlink_metadata(&self.path) {
            Ok(metadata) => metadata.file_type(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        if kind.is_symlink() {
            return Err(OutputFileError::NotAFile("a link"));
        }
        if kind.is_dir() {
            return Err(OutputFileError::NotAFile("a directory"));
        }
        if !kind.is_file() {
            return Err(OutputFileError::NotAFile("a device, a pipe or a socket"));
        }
        let mut begin = Vec::new();
        File::open(&self.path)?.take(self.mark.len() as u64).read_to_end(&mut begin)?;
        if begin == self.mark.as_bytes() { Ok(true) } else { Err(OutputFileError::NotOurs) }
    }

    /// Writes `text`, which starts with the mark, atomically: readers see all of it or none.
    ///
    /// # Errors
    /// As [`check`](Self::check), and errors of the operating system; no unfinished file is left behind.
    pub fn write(&self, text: &str) -> Result<(), OutputFileError> {
        debug_assert!(text.starts_with(self.mark), "a written file has to be recognized");
        let is_there = self.check()?;
        let (unfinished, mut file) = self.unfinished()?;
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_data());
        drop(file);
        let put = written.and_then(|()| {
            if is_there {
                fs::rename(&unfinished, &self.path)
            } else {
                // Unlike a rename, a new hard link never replaces a file that was created in the meantime.
                match fs::hard_link(&unfinished, &self.path) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                        // The file system has no hard links.
                        fs::rename(&unfinished, &self.path)
                    }
                    linked => linked,
                }
            }
        });
        // The file was renamed, has a second name, or is useless.
        _ = fs::remove_file(&unfinished);
        Ok(put?)
    }

    /// Removes the file if its content is still `text`.
    pub fn remove(&self, text: &str) {
        let is_ours = self.check().unwrap_or(false);
        if is_ours && fs::read(&self.path).is_ok_and(|there| there == text.as_bytes()) {
            _ = fs::remove_file(&self.path);
        }
    }

    /// Creates an unfinished file next to the path, under an unused name.
    fn unfinished(&self) -> io::Result<(PathBuf, File)> {
        let mut options = OpenOptions::new();
        // Opens no existing file and follows no link.
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, self.mode);
        let mut tried = 0;
        loop {
            let mut path = self.path.clone().into_os_string();
            path.push(format!(".{:016x}", fastrand::u64(..)));
            tried += 1;
            match options.open(&path) {
                Ok(file) => return Ok((path.into(), file)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tried < TRIES => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: &str = "# ours\n";

    #[test]
    fn new_files_and_own_files_are_written_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let file = OutputFile::new(folder.path().join("f"), MARK, true);
        for text in ["# ours\none", "# ours\ntwo"] {
            file.write(text).unwrap();
            assert_eq!(fs::read_to_string(file.path()).unwrap(), text);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing unfinished is left");
        file.remove("# ours\none");
        assert!(file.path().exists(), "another process wrote it since");
        file.remove("# ours\ntwo");
        assert!(!file.path().exists());
        let absent = OutputFile::new(folder.path().join("absent/f"), MARK, false);
        assert!(matches!(absent.write(MARK), Err(OutputFileError::Io(_))));
    }

    /// An existing path, and the error. None of them changes.
    #[cfg(unix)]
    #[test]
    fn files_of_other_programs_are_not_replaced() {
        use std::os::unix::fs::{FileTypeExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("text"), "my notes").unwrap();
        fs::write(path("empty"), "").unwrap();
        fs::write(path("mentions"), "see # ours\n").unwrap();
        fs::write(path("ours"), MARK).unwrap();
        symlink(path("ours"), path("link")).unwrap();
        symlink(path("nowhere"), path("dangling")).unwrap();
        fs::create_dir(path("directory")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        let table = [
            ("text", "was not written by clusterlocal"),
            ("empty", "was not written by clusterlocal"),
            ("mentions", "was not written by clusterlocal"),
            ("link", "a link"),
            ("dangling", "a link"),
            ("directory", "a directory"),
            ("socket", "a device, a pipe or a socket"),
        ];
        for (name, reason) in table {
            let file = OutputFile::new(path(name), MARK, false);
            let error = file.write(MARK).unwrap_err().to_string();
            assert!(error.contains(reason), "{name}: {error}");
            file.remove(MARK);
        }
        assert_eq!(fs::read_to_string(path("text")).unwrap(), "my notes");
        assert!(fs::symlink_metadata(path("link")).unwrap().is_symlink());
        assert!(fs::symlink_metadata(path("socket")).unwrap().file_type().is_socket());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 8, "no file was created");
        assert!(matches!(
            OutputFile::new("/dev/null", MARK, false).write(MARK),
            Err(OutputFileError::NotAFile(_))
        ));
    }
}
