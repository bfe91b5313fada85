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
        let hint = hint(&reason, forbidden_by(), has_seccomp_filter());
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

/// The ways on without namespaces of their own, for which no setting has to be changed.
const OTHER_WAYS: &str = "run this program with sudo, or use --network host: pods then have loopback addresses instead of namespaces";

/// What forbids namespaces, as far as it shows, and the ways on.
fn hint(reason: &io::Error, setting: Option<(String, String)>, has_filter: bool) -> String {
    match setting {
        Some((setting, change)) => {
            format!("; {setting} forbids it: change the setting (sudo sysctl -w {change}), {OTHER_WAYS}")
        }
        None if reason.raw_os_error() == Some(Errno::EPERM as i32) && has_filter => format!(
            "; a seccomp filter forbids it, such as that of a container engine: start the container with --security-opt \
             seccomp=unconfined, {OTHER_WAYS}"
        ),
        None if reason.raw_os_error() == Some(Errno::ENOSPC as i32) => format!(
            "; the limit user.max_user_namespaces of this or an outer user namespace is reached: raise it, {OTHER_WAYS}"
        ),
        None => format!("; a security module may forbid it: change its policy, {OTHER_WAYS}"),
    }
}

/// Whether this process has a seccomp filter (`/proc/PID/status`, mode 2).
fn has_seccomp_filter() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().any(|line| line.strip_prefix("Seccomp:").is_some_and(|mode| mode.trim() == "2"))
}

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

#[cfg(test)]
mod tests {
    use super::*;

    /// Error, setting, filter, and what the message names.
    #[test]
    fn the_message_names_the_setting_and_three_ways() {
        let apparmor = (
            "kernel.apparmor_restrict_unprivileged_userns=1",
            "kernel.apparmor_restrict_unprivileged_userns=0",
        );
        let table = [
            (
                Errno::EPERM,
                Some(apparmor),
                false,
                "(sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0)",
            ),
            (Errno::EPERM, None, true, "--security-opt seccomp=unconfined"),
            (Errno::ENOSPC, None, true, "user.max_user_namespaces"),
            (Errno::EPERM, None, false, "security module"),
        ];
        for (error, setting, has_filter, named) in table {
            let setting = setting.map(|(setting, change)| (setting.to_string(), change.to_string()));
            let hint = hint(&error.into(), setting, has_filter);
            for part in [named, "with sudo", "--network host"] {
                assert!(hint.contains(part), "{hint}");
            }
        }
    }
}
