//! The bounds of a container, which programs without end meet before the machine does. Must not depend on what runs.

use std::fs;
use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Maximum number of processes and threads of a container: enough for large servers, and far below what a machine has.
const MAX_PROCESSES: u64 = 8192;

/// The first kernel in which `kernel.pid_max` belongs to a PID namespace.
const PID_MAX_OF_NAMESPACE: (u32, u32) = (6, 14);

/// Bounds the processes of the calling process's user in the user namespaces that it creates: the kernel counts those of each
/// namespace for themselves (user_namespaces(7), RLIMIT_NPROC). It does not bind root.
pub(super) fn bound_user() -> io::Result<()> {
    let there = getrlimit(Resource::Nproc);
    let bound = |limit: Option<u64>| Some(limit.map_or(MAX_PROCESSES, |limit| limit.min(MAX_PROCESSES)));
    setrlimit(Resource::Nproc, Rlimit { current: bound(there.current), maximum: bound(there.maximum) })?;
    Ok(())
}

/// Bounds the processes of the PID namespace of the calling process, also those of root, where the kernel can.
pub(super) fn bound_namespace() -> io::Result<()> {
    if kernel().is_none_or(|version| version < PID_MAX_OF_NAMESPACE) {
        // The setting would be that of the machine.
        return Ok(());
    }
    fs::write("/proc/sys/kernel/pid_max", MAX_PROCESSES.to_string())
}

/// The version of the kernel.
fn kernel() -> Option<(u32, u32)> {
    let release = rustix::system::uname();
    let mut numbers = release.release().to_str().ok()?.split(['.', '-']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}
