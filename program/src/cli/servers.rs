//! Running servers of this user, so that verbs find one whose usual port was taken: a file for each, in a private
//! directory. Must not depend on what is asked of a server.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::process;
use std::time::{Duration, SystemTime};

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::{Pid, geteuid};

/// A server that is running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// Where its API is.
    pub api: SocketAddr,
    /// Whether that was asked for with --api: verbs then need it too.
    pub explicit: bool,
    began: SystemTime,
}

/// A file that says where this server is, for as long as that runs.
pub struct Registered(PathBuf);

/// Maximum number of files that are looked at, of servers that ended without removing theirs.
const FILES_MAX: usize = 1000;

/// Maximum time until a server of this machine accepts a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(250);

/// The directory: below XDG_RUNTIME_DIR, which is the user's own, or else below the directory for temporary files.
fn directory() -> PathBuf {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    match runtime.filter(|path| path.is_dir()) {
        Some(runtime) => runtime.join("clusterlocal"),
        None => std::env::temp_dir().join(format!("clusterlocal-{}", geteuid())),
    }
}

/// Whether `directory` is one, and private to this user: below /tmp, another user may have made it.
fn is_private(directory: &PathBuf) -> io::Result<bool> {
    let there = fs::symlink_metadata(directory)?;
    Ok(there.is_dir() && there.uid() == geteuid().as_raw() && there.mode() & 0o077 == 0)
}

impl Registered {
    /// Records that a server with its API at `api` runs in this process.
    ///
    /// # Errors
    /// Where the directory or the file cannot be made, or the directory is open to others.
    pub fn new(api: SocketAddr, explicit: bool) -> io::Result<Self> {
        let directory = directory();
        match DirBuilder::new().mode(0o700).create(&directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        if !is_private(&directory)? {
            let message = format!("{} is open to other users: remove it, or chmod 700", directory.display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
        }
        let path = directory.join(process::id().to_string());
        // Of a process that had this id before.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        writeln!(file, "{api} {}", if explicit { "explicit" } else { "default" })?;
        Ok(Registered(path))
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        _ = fs::remove_file(&self.0);
    }
}

/// The servers that run, the one that began last first.
pub fn running() -> Vec<Running> {
    let directory = directory();
    if !is_private(&directory).unwrap_or(false) {
        return Vec::new();
    }
    let files = fs::read_dir(&directory).into_iter().flatten().flatten().take(FILES_MAX);
    let mut found: Vec<Running> = files
        .filter_map(|file| {
            let pid: i32 = file.file_name().to_str()?.parse().ok()?;
            if kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH) {
                _ = fs::remove_file(file.path());
                return None;
            }
            let text = fs::read_to_string(file.path()).ok()?;
            let (api, how) = text.trim_end().split_once(' ')?;
            let began = file.metadata().ok()?.modified().ok()?;
            Some(Running { api: api.parse().ok()?, explicit: how == "explicit", began })
        })
        .collect();
    found.sort_by_key(|server| std::cmp::Reverse(server.began));
    // Ids are reused: where nothing listens, the id is another process's.
    found.retain(|server| TcpStream::connect_timeout(&server.api, CONNECT_TIMEOUT).is_ok());
    found
}
