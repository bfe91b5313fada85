//! Paths below a volume that stay in it (`pkg/volume/util/subpath`). Must not depend on what the volume is.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, mkdirat, openat, openat2};
use rustix::io::Errno;

/// Mode of folders that are made for a `subPath`, as those of the kubelet.
const MODE: Mode = Mode::from_raw_mode(0o750);

/// Opens `below` in `volume` for a mount. A link that leads out of the volume is an error.
pub(crate) fn open(volume: &Path, below: &Path) -> io::Result<OwnedFd> {
    let volume = openat(CWD, volume, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    if below.as_os_str().is_empty() {
        return Ok(volume);
    }
    Ok(beneath(&volume, below)?)
}

/// Makes the folders of `below` in `volume` that are missing.
pub(crate) fn make(volume: &Path, below: &Path) -> io::Result<()> {
    let volume = openat(CWD, volume, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let mut path = PathBuf::new();
    let mut parent = None;
    for part in below.components() {
        let Component::Normal(name) = part else { continue };
        path.push(name);
        let opened = match beneath(&volume, &path) {
            Err(Errno::NOENT) => {
                match mkdirat(parent.as_ref().unwrap_or(&volume), name, MODE) {
                    // A link that leads nowhere, or another container was first.
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(error.into()),
                }
                beneath(&volume, &path)
            }
            opened => opened,
        };
        parent = Some(opened?);
    }
    Ok(())
}

fn beneath(volume: &OwnedFd, path: &Path) -> Result<OwnedFd, Errno> {
    let stays = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    openat2(volume, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), stays)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// A path in a volume, and whether it is one that stays there.
    #[test]
    fn links_do_not_lead_out() {
        let scratch = tempfile::tempdir().unwrap();
        let (volume, outside) = (scratch.path().join("volume"), scratch.path().join("outside"));
        for folder in [&volume, &outside] {
            fs::create_dir(folder).unwrap();
        }
        fs::create_dir(volume.join("there")).unwrap();
        symlink("there", volume.join("inside")).unwrap();
        symlink("../outside", volume.join("up")).unwrap();
        symlink(&outside, volume.join("absolute")).unwrap();
        symlink("/proc/self/root", volume.join("magic")).unwrap();
        symlink("nowhere", volume.join("dangling")).unwrap();
        let table = [
            ("there", true),
            ("inside", true),
            ("inside/new/deeper", true),
            ("new", true),
            ("up", false),
            ("up/new", false),
            ("absolute/new", false),
            ("magic/tmp", false),
            ("dangling", false),
        ];
        for (below, expected) in table {
            let opened = make(&volume, Path::new(below)).and_then(|()| open(&volume, Path::new(below)));
            assert_eq!(opened.is_ok(), expected, "{below}");
        }
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
        assert!(volume.join("there/new/deeper").is_dir());
    }
}
