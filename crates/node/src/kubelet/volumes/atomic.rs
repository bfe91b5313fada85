//! The files of a volume, changed as one (`pkg/volume/util/atomic_writer.go`). Must not depend on where their contents come from.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use super::remove::remove;

/// Maximum length of a path in a volume, in bytes (`maxPathLength`).
const MAX_PATH: usize = 4096;

/// A file of a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VolumeFile {
    /// Its path in the volume.
    pub(crate) path: PathBuf,
    pub(crate) contents: Vec<u8>,
    pub(crate) mode: u32,
}

/// Writes the files of a volume so that a reader sees all of one version: into a folder of their own, to which the link `..data`
/// leads, to which the links of the files lead.
pub(super) fn write(folder: &Path, files: &[VolumeFile]) -> io::Result<()> {
    for file in files {
        check(&file.path)?;
    }
    let before = fs::read_link(folder.join("..data")).ok();
    let version = (1..).map(|number| format!("..{number}")).find(|name| !folder.join(name).exists());
    let version = version.ok_or_else(|| io::Error::other("no name is left"))?;
    fs::create_dir_all(folder.join(&version))?;
    for VolumeFile { path, contents, mode } in files {
        let file = folder.join(&version).join(path);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent)?;
        }
        // Of two with the same path, the later one counts.
        _ = fs::remove_file(&file);
        fs::write(&file, contents)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(*mode))?;
    }
    let shown = shown(files);
    for name in &shown {
        let link = folder.join(name);
        if fs::symlink_metadata(&link).is_err() {
            symlink(Path::new("..data").join(name), link)?;
        }
    }
    _ = fs::remove_file(folder.join("..data_tmp"));
    symlink(&version, folder.join("..data_tmp"))?;
    fs::rename(folder.join("..data_tmp"), folder.join("..data"))?;
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        if !shown.contains(name.as_os_str()) && !name.as_encoded_bytes().starts_with(b"..") {
            fs::remove_file(folder.join(name))?;
        }
    }
    match before {
        Some(before) => remove(&folder.join(before)),
        None => Ok(()),
    }
}

/// The names at the top of the volume.
fn shown(files: &[VolumeFile]) -> BTreeSet<OsString> {
    files.iter().filter_map(|file| file.path.iter().next().map(OsStr::to_os_string)).collect()
}

/// Whether a path stays in the volume, and off the names of this room (`validatePath`).
fn check(path: &Path) -> io::Result<()> {
    let bytes = path.as_os_str().as_encoded_bytes();
    let is_in = path.components().all(|part| matches!(part, Component::Normal(_)));
    if bytes.is_empty() || bytes.len() > MAX_PATH || bytes.starts_with(b"..") || !is_in {
        let expected = "a relative path that does not begin with .. is expected";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{}: {expected}", path.display())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, contents: &str) -> VolumeFile {
        VolumeFile { path: path.into(), contents: contents.into(), mode: 0o440 }
    }

    fn listed(folder: &Path) -> Vec<String> {
        let names =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| !name.starts_with("..")).collect();
        names.sort();
        names
    }

    #[test]
    fn files_change_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        write(folder, &[file("a", "1"), file("deep/b", "1"), file("gone", "1")]).unwrap();
        assert_eq!(listed(folder), ["a", "deep", "gone"]);
        // What is open, or mounted, stays as it was.
        let open = fs::canonicalize(folder.join("a")).unwrap();
        let before = fs::read_link(folder.join("..data")).unwrap();
        write(folder, &[file("a", "2"), file("deep/b", "2"), file("new", "2")]).unwrap();
        assert_eq!(listed(folder), ["a", "deep", "new"]);
        assert_ne!(fs::read_link(folder.join("..data")).unwrap(), before);
        assert_eq!(fs::read_link(folder.join("a")).unwrap(), Path::new("..data/a"));
        for path in ["a", "deep/b", "new"] {
            assert_eq!(fs::read_to_string(folder.join(path)).unwrap(), "2");
        }
        assert!(!open.exists(), "the folder of the version before is removed");
        let mode = fs::metadata(folder.join("a")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o440);
    }

    #[test]
    fn paths_stay_in_the_volume() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["", "/etc/x", "../x", "a/../../x", "..data", "..x"] {
            assert!(write(folder.path(), &[file(path, "")]).is_err(), "{path}");
        }
        let long = "a/".repeat(MAX_PATH);
        assert!(write(folder.path(), &[file(&long, "")]).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
