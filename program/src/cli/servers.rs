//! Registry of this user's running servers, by which verbs find one that does not have the default port: a file for each, in a
//! private directory. Must not depend on requests.

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

/// A running server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// The address of its API.
    pub api: SocketAddr,
    /// Whether it was started with --api: verbs then need it, too.
    pub explicit: bool,
    started: SystemTime,
}

/// The file of this server, which is removed on drop.
pub struct Registered(PathBuf);

/// Maximum number of files that are read; servers that are killed leave theirs.
const FILES_MAX: usize = 1000;

/// Maximum time until a server of this machine accepts a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(250);

/// The directory: below XDG_RUNTIME_DIR, which belongs to the user, or else below the directory for temporary files.
fn directory() -> PathBuf {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    match runtime.filter(|path| path.is_dir()) {
        Some(runtime) => runtime.join("clusterlocal"),
        None => std::env::temp_dir().join(format!("clusterlocal-{}", geteuid())),
    }
}

/// Whether `directory` is a directory and private to this user: below /tmp, another user may have created it.
fn is_private(directory: &PathBuf) -> io::Result<bool> {
    let metadata = fs::symlink_metadata(directory)?;
    Ok(metadata.is_dir() && metadata.uid() == geteuid().as_raw() && metadata.mode() & 0o077 == 0)
}

impl Registered {
    /// Registers this process as a server with its API at `api`.
    ///
    /// # Errors
    /// If the directory or the file cannot be created, or other users can read the directory.
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
        // The file of an earlier process with this id.
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

/// The running servers, the last started first.
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
            let (api, origin) = text.trim_end().split_once(' ')?;
            let started = file.metadata().ok()?.modified().ok()?;
            Some(Running { api: api.parse().ok()?, explicit: origin == "explicit", started })
        })
        .collect();
    found.sort_by_key(|server| std::cmp::Reverse(server.started));
    // Process ids are reused: a server that does not listen has ended.
    found.retain(|server| TcpStream::connect_timeout(&server.api, CONNECT_TIMEOUT).is_ok());
    found
}
