//! Removes what programs have left in folders. Must not depend on what the folders are for.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, renameat, unlinkat};
use rustix::io::Errno;

/// Removes `folder` with all in it. Links are removed, not followed; what is mounted below is left, with an error. Permissions that
/// programs took away do not keep it, and neither does the depth of what they made: each inner folder is moved up before it is
/// emptied. It blocks.
///
/// # Errors
/// If the system refuses to remove an entry.
pub(crate) fn remove(folder: &Path) -> io::Result<()> {
    let top = match open(CWD, folder.as_os_str().as_encoded_bytes()) {
        Ok(top) => top,
        Err(Errno::NOENT) => return Ok(()),
        // A link, or a file.
        Err(Errno::NOTDIR | Errno::LOOP) => return fs::remove_file(folder),
        Err(error) => return Err(error.into()),
    };
    // Folders to empty, by their names in `top`.
    let mut waiting = Vec::new();
    let mut moved = 0u64;
    empty(top.as_fd(), |name| {
        waiting.push(name.to_vec());
        Ok(())
    })?;
    while let Some(name) = waiting.pop() {
        let inner = open(top.as_fd(), &name)?;
        empty(inner.as_fd(), |name| {
            // A name that is taken is the next one's.
            let mut new = format!(".removed-{moved}").into_bytes();
            while rustix::fs::statat(&top, &*new, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
                moved += 1;
                new = format!(".removed-{moved}").into_bytes();
            }
            match renameat(&inner, name, &top, &*new) {
                Err(Errno::ACCESS) => {
                    drop(open(inner.as_fd(), name)?);
                    renameat(&inner, name, &top, &*new)?;
                }
                renamed => renamed?,
            }
            waiting.push(new);
            Ok(())
        })?;
        unlinkat(&top, &*name, AtFlags::REMOVEDIR)?;
    }
    fs::remove_dir(folder)
}

/// Opens the folder `name` in `parent`, after it has got the permissions that it takes to empty it.
fn open(parent: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = match openat(parent, name, flags, Mode::empty()) {
        Err(Errno::ACCESS) => {
            let stat = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
                return Err(Errno::NOTDIR);
            }
            rustix::fs::chmodat(parent, name, Mode::RWXU, AtFlags::empty())?;
            openat(parent, name, flags, Mode::empty())
        }
        opened => opened,
    }?;
    // Without the right to write in it, nothing in it can be removed.
    rustix::fs::fchmod(&opened, Mode::RWXU)?;
    Ok(opened)
}

/// Removes the entries of a folder; inner folders are handed to `folder` by their names.
fn empty(parent: BorrowedFd<'_>, mut folder: impl FnMut(&[u8]) -> Result<(), Errno>) -> Result<(), Errno> {
    for entry in Dir::read_from(parent)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        match unlinkat(parent, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            // POSIX has one, Linux the other.
            Err(Errno::PERM | Errno::ISDIR) => folder(name)?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn links_are_removed_and_not_followed() {
        let scratch = tempfile::tempdir().unwrap();
        let (kept, folder) = (scratch.path().join("kept"), scratch.path().join("folder"));
        fs::create_dir(&kept).unwrap();
        fs::write(kept.join("file"), "contents").unwrap();
        fs::create_dir_all(folder.join("inner")).unwrap();
        for link in ["a", "inner/b"] {
            symlink(&kept, folder.join(link)).unwrap();
        }
        symlink(kept.join("file"), folder.join("inner/c")).unwrap();
        fs::write(folder.join(".removed-0"), "taken").unwrap();
        remove(&folder).unwrap();
        assert!(!folder.exists());
        // The folder itself may be a link.
        symlink(&kept, &folder).unwrap();
        remove(&folder).unwrap();
        assert!(fs::symlink_metadata(&folder).is_err());
        assert_eq!(fs::read_to_string(kept.join("file")).unwrap(), "contents");
        remove(&folder).unwrap();
    }

    #[test]
    fn what_a_program_locked_is_removed() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("folder");
        fs::create_dir_all(folder.join("locked/inner")).unwrap();
        fs::write(folder.join("locked/inner/file"), "").unwrap();
        for path in ["locked/inner/file", "locked/inner", "locked", ""] {
            fs::set_permissions(folder.join(path), fs::Permissions::from_mode(0o000)).unwrap();
        }
        remove(&folder).unwrap();
        assert!(!folder.exists());
    }

    /// Deeper than there are descriptors, and than a path may be long.
    #[test]
    fn depth_takes_no_descriptors() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("folder");
        fs::create_dir(&folder).unwrap();
        let mut inner = open(CWD, folder.as_os_str().as_encoded_bytes()).unwrap();
        for _ in 0..3000 {
            rustix::fs::mkdirat(&inner, "d", Mode::RWXU).unwrap();
            inner = open(inner.as_fd(), b"d").unwrap();
        }
        drop(inner);
        remove(&folder).unwrap();
        assert!(!folder.exists());
    }
}
