//! The namespaces of the node's process, without root where the system allows it. Must not depend on pods.

use std::fs;
use std::io;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};

/// Namespaces could not be created.
#[derive(Debug, thiserror::Error)]
#[error("cannot create {what}: {reason}{hint}")]
pub struct NamespaceError {
    what: &'static str,
    reason: io::Error,
    /// The setting that forbids it, and the ways on.
    hint: String,
}

impl NamespaceError {
    fn new(what: &'static str, reason: impl Into<io::Error>) -> Self {
        let reason = reason.into();
        let hint = match forbidden_by() {
            Some((setting, change)) => format!(
                "; {setting} forbids it: change the setting (sudo sysctl -w {change}), or run this program with sudo. `serve` needs no \
                 namespaces: its pods have loopback addresses that processes can bind"
            ),
            None if reason.raw_os_error() == Some(Errno::EPERM as i32) => {
                "; a container engine or security module may forbid it: run this program outside of it, or as root with CAP_SYS_ADMIN. \
                 `serve` needs no namespaces: its pods have loopback addresses that processes can bind"
                    .to_string()
            }
            None => String::new(),
        };
        NamespaceError { what, reason, hint }
    }
}

/// Settings of distributions that keep user namespaces from ordinary users, the value that does, and the value that does not.
const SETTINGS: [(&str, &str, &str, &str); 3] = [
    (
        "kernel/apparmor_restrict_unprivileged_userns",
        "kernel.apparmor_restrict_unprivileged_userns",
        "1",
        "0",
    ),
    ("kernel/unprivileged_userns_clone", "kernel.unprivileged_userns_clone", "0", "1"),
    ("user/max_user_namespaces", "user.max_user_namespaces", "0", "10000"),
];

fn forbidden_by() -> Option<(String, String)> {
    SETTINGS.iter().find_map(|(file, name, forbids, allows)| {
        let value = fs::read_to_string(format!("/proc/sys/{file}")).ok()?;
        (value.trim() == *forbids).then(|| (format!("{name}={forbids}"), format!("{name}={allows}")))
    })
}

/// The user and group of the caller, where the process got a user namespace of its own.
pub(crate) type Caller = Option<(u32, u32)>;

/// Leaves the machine's network and mounts for namespaces of this process. The calling process must have one thread.
///
/// # Errors
/// Where the system does not allow it: the message names the setting.
pub(crate) fn leave_the_machine() -> Result<Caller, NamespaceError> {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    // PID, UTS and IPC as well: a process can return only to namespaces that belong to its user namespace.
    let own = CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC;
    let caller = if user == 0 && unshare(own).is_ok() {
        None
    } else {
        let failed = |what| move |reason: Errno| NamespaceError::new(what, reason);
        unshare(CloneFlags::CLONE_NEWUSER | own).map_err(failed("a user namespace"))?;
        map_user((0, user), (0, group)).map_err(|reason| NamespaceError::new("a user namespace", reason))?;
        Some((user, group))
    };
    // What is mounted here stays here.
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .map_err(|reason| NamespaceError::new("a mount namespace", reason))?;
    Ok(caller)
}

/// Maps one user and one group, each inside and outside, in the user namespace that this process has just created.
pub(crate) fn map_user(user: (u32, u32), group: (u32, u32)) -> io::Result<()> {
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{} {} 1", user.0, user.1))?;
    fs::write("/proc/self/gid_map", format!("{} {} 1", group.0, group.1))
}
