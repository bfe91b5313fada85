//! The files that a container sees: the machine's, read-only, with its mounts in their places. As bubblewrap does it, the new root
//! is an empty file system into which the old one's folders are bound, so that places can be made that the machine has not.
//! Must not depend on what is mounted.

use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::pivot_root;

use super::protocol::{Mount, Process};
use super::sub_path;

/// Where programs may write on the machine, apart from their mounts.
const WRITABLE: [&str; 4] = ["dev", "proc", "sys", "tmp"];

/// A container's files could not be put together.
#[derive(Debug, thiserror::Error)]
#[error("cannot mount {}: {reason}", path.display())]
pub(crate) struct MountError {
    path: PathBuf,
    reason: io::Error,
}

fn at(path: &Path) -> impl Fn(io::Error) -> MountError {
    move |reason| MountError { path: path.to_path_buf(), reason }
}

/// Leaves the files of the node's process for those of a container.
pub(crate) fn enter(process: &Process) -> Result<(), MountError> {
    let root = &process.scratch;
    build(process, root)?;
    // The old root is put over the new one, and taken away.
    pivot_root(root, root).map_err(|reason| at(root)(reason.into()))?;
    umount2("/", MntFlags::MNT_DETACH).map_err(|reason| at(Path::new("/"))(reason.into()))?;
    std::env::set_current_dir("/").map_err(at(Path::new("/")))
}

fn build(process: &Process, root: &Path) -> Result<(), MountError> {
    unshare(CloneFlags::CLONE_NEWNS).map_err(|reason| at(root)(reason.into()))?;
    mount_at("/", None, None, MsFlags::MS_REC | MsFlags::MS_PRIVATE)?;
    mount_at(root, None, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV)?;
    copy_mode(Path::new("/"), root)?;
    copy_entries(Path::new("/"), root)?;
    // The processes of the container only. Where the machine hides parts of /proc, the kernel keeps its own from being mounted.
    let proc = root.join("proc");
    match mount_at(&proc, None, Some("proc"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC) {
        Err(error) if error.reason.raw_os_error() != Some(Errno::EPERM as i32) => return Err(error),
        _ => {}
    }
    if !process.writable {
        protect(root)?;
    }
    for (number, wanted) in process.mounts.iter().enumerate() {
        place(root, wanted, number)?;
    }
    if !process.writable {
        read_only(root, MsFlags::MS_NOSUID | MsFlags::MS_NODEV)?;
    }
    Ok(())
}

/// Gives a folder the mode of another one: in one that all may write, as that of a new tmpfs is, the kernel keeps devices of others from
/// being opened with O_CREAT (`may_create_in_sticky`), as a shell opens /dev/null.
fn copy_mode(from: &Path, to: &Path) -> Result<(), MountError> {
    let permissions = fs::metadata(from).map_err(at(from))?.permissions();
    fs::set_permissions(to, permissions).map_err(at(to))
}

/// Binds the entries of the folder `from` into the empty folder `to`; links become links.
fn copy_entries(from: &Path, to: &Path) -> Result<(), MountError> {
    for entry in fs::read_dir(from).map_err(at(from))? {
        let entry = entry.map_err(at(from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(at(&source))?;
        if kind.is_symlink() {
            let leads_to = fs::read_link(&source).map_err(at(&source))?;
            symlink(leads_to, &target).map_err(at(&target))?;
        } else {
            bind(&source, &target, kind.is_dir())?;
        }
    }
    Ok(())
}

fn bind(source: &Path, target: &Path, is_folder: bool) -> Result<(), MountError> {
    if is_folder {
        fs::create_dir_all(target).map_err(at(target))?;
    } else if !target.exists() {
        fs::write(target, "").map_err(at(target))?;
    }
    mount_at(target, Some(source), None, MsFlags::MS_BIND | MsFlags::MS_REC)
}

/// Puts a file or folder at its place below `root`. Places that the machine has not are made without writing to it.
fn place(root: &Path, wanted: &Mount, number: usize) -> Result<(), MountError> {
    let refused = |why| at(&wanted.target)(io::Error::new(io::ErrorKind::InvalidInput, why));
    if !wanted.target.is_absolute() || wanted.target.components().any(|part| part == Component::ParentDir) {
        return Err(refused("an absolute path without .. is expected, for instance /var/lib/store"));
    }
    let below: PathBuf = wanted.target.components().skip(1).collect();
    if below.as_os_str().is_empty() {
        return Err(refused("a container cannot have another root"));
    }
    let of_kernel = |below: &Path| below.starts_with("proc") || below.starts_with("sys");
    if of_kernel(&below) {
        return Err(refused("the kernel's own files cannot be replaced"));
    }
    let target = make_room(root, &below, number)?;
    // Links of the machine lead there as well.
    if target.strip_prefix(root).is_ok_and(of_kernel) {
        return Err(refused("the kernel's own files cannot be replaced"));
    }
    let opened =
        sub_path::open(&wanted.source, &wanted.below).map_err(at(&wanted.source.join(&wanted.below)))?;
    // The descriptor's own path: nothing can be put in its way any more.
    let source = PathBuf::from(format!("/proc/self/fd/{}", opened.as_raw_fd()));
    let is_folder = fs::metadata(&source).map_err(at(&wanted.source))?.is_dir();
    bind(&source, &target, is_folder)?;
    if wanted.read_only {
        read_only(&target, MsFlags::empty())?;
    }
    Ok(())
}

/// The path of `below` in the new root, made where it is missing: an empty file system takes the place of the deepest folder that
/// is there, with that folder's entries bound into it.
fn make_room(root: &Path, below: &Path, number: usize) -> Result<PathBuf, MountError> {
    let mut there = PathBuf::new();
    for part in below.components() {
        let next = there.join(part);
        match fs::symlink_metadata(root.join(&next)) {
            Ok(kind) if kind.is_symlink() => {
                let leads_to = fs::read_link(root.join(&next)).map_err(at(&next))?;
                let rest = below.strip_prefix(&next).unwrap_or(Path::new(""));
                let resolved = within(&there, &leads_to).join(rest);
                return if resolved.components().count() > MAX_DEPTH {
                    Err(at(below)(io::Error::from_raw_os_error(Errno::ELOOP as i32)))
                } else {
                    make_room(root, &resolved, number)
                };
            }
            Ok(_) => there = next,
            Err(_) => break,
        }
    }
    let target = root.join(below);
    if there == below {
        return Ok(target);
    }
    let parent = root.join(&there);
    if !there.as_os_str().is_empty() {
        // Built beside, in a folder of the new root that goes with it.
        let beside = root.join(format!(".{number}"));
        fs::create_dir_all(&beside).map_err(at(&beside))?;
        mount_at(&beside, None, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV)?;
        copy_mode(&parent, &beside)?;
        copy_entries(&parent, &beside)?;
        mount_at(&parent, Some(&beside), None, MsFlags::MS_BIND | MsFlags::MS_REC)?;
        umount2(&beside, MntFlags::MNT_DETACH).map_err(|reason| at(&beside)(reason.into()))?;
        fs::remove_dir(&beside).map_err(at(&beside))?;
    }
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder).map_err(at(folder))?;
    }
    Ok(target)
}

/// Maximum number of components of a path whose links are followed: a circle of links grows beyond it.
const MAX_DEPTH: usize = 256;

/// The path that a link in `folder` leads to, below the root.
fn within(folder: &Path, leads_to: &Path) -> PathBuf {
    let mut path = if leads_to.is_absolute() { PathBuf::new() } else { folder.to_path_buf() };
    for part in leads_to.components() {
        match part {
            Component::ParentDir => {
                path.pop();
            }
            Component::Normal(name) => path.push(name),
            _ => {}
        }
    }
    path
}

/// Makes what is mounted below `root` read-only, apart from [`WRITABLE`].
fn protect(root: &Path) -> Result<(), MountError> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(at(Path::new("/proc/self/mountinfo")))?;
    for line in mounts.lines() {
        // proc_pid_mountinfo(5): number, parent, device, root, mount point, options.
        let mut fields = line.split(' ').skip(4);
        let (Some(point), Some(options)) = (fields.next(), fields.next()) else { continue };
        let point = PathBuf::from(unescape(point));
        let Ok(below) = point.strip_prefix(root) else { continue };
        let first = below.components().next();
        let exempt = first.is_none_or(|first| WRITABLE.iter().any(|name| first.as_os_str() == *name));
        if exempt {
            continue;
        }
        match read_only(&point, flags(options)) {
            // Mounted over, or of another user.
            Err(error)
                if matches!(
                    error.reason.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
                ) => {}
            result => result?,
        }
    }
    Ok(())
}

/// The flags that a mount keeps, because a user namespace may not take them away.
fn flags(options: &str) -> MsFlags {
    options.split(',').fold(MsFlags::empty(), |flags, option| {
        flags
            | match option {
                "nosuid" => MsFlags::MS_NOSUID,
                "nodev" => MsFlags::MS_NODEV,
                "noexec" => MsFlags::MS_NOEXEC,
                "noatime" => MsFlags::MS_NOATIME,
                "nodiratime" => MsFlags::MS_NODIRATIME,
                "relatime" => MsFlags::MS_RELATIME,
                _ => MsFlags::empty(),
            }
    })
}

/// A path as `mountinfo` writes it: space, tab, newline and backslash as three octal digits.
fn unescape(path: &str) -> String {
    let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    escapes.iter().fold(path.to_string(), |path, (escaped, plain)| path.replace(escaped, plain))
}

fn read_only(path: &Path, keeps: MsFlags) -> Result<(), MountError> {
    mount_at(path, None, None, MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY | keeps)
}

fn mount_at(
    target: impl AsRef<Path>,
    source: Option<&Path>,
    kind: Option<&str>,
    flags: MsFlags,
) -> Result<(), MountError> {
    let target = target.as_ref();
    let source = source.or_else(|| kind.map(Path::new));
    mount(source, target, kind, flags, None::<&str>).map_err(|reason| at(target)(reason.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A link at a folder, where it leads to, and the path below the root.
    #[test]
    fn links_stay_below_the_root() {
        let table = [
            ("var", "/run", "run"),
            ("var", "../run", "run"),
            ("var/lib", "x/y", "var/lib/x/y"),
            ("var", "../../../etc", "etc"),
        ];
        for (folder, leads_to, expected) in table {
            assert_eq!(
                within(Path::new(folder), Path::new(leads_to)),
                Path::new(expected),
                "{folder} {leads_to}"
            );
        }
    }

    #[test]
    fn mount_points_are_unescaped() {
        assert_eq!(unescape("/a\\040b\\134c"), "/a b\\c");
    }
}
