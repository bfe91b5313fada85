//! Divides the file descriptors of the process, so that no listener can take those of another or those needed to read
//! manifests. Must not depend on the listeners.

/// Descriptors that are reserved for the process: standard streams, the runtime, listening sockets, change
/// notification, and files being read.
const OWN: usize = 32;

/// Maximum number of open connections of each part of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// TCP connections of DNS clients.
    pub dns: usize,
    /// Connections of API clients.
    pub api: usize,
    /// Sockets to an upstream.
    pub upstream: usize,
}

impl Shares {
    /// Divides `descriptors`, the limit of the process: a half for DNS over TCP, a quarter for the API, an eighth for
    /// the upstream. Each share is at least one.
    pub fn of(descriptors: usize) -> Self {
        let shared = descriptors.saturating_sub(OWN);
        Shares { dns: (shared / 2).max(1), api: (shared / 4).max(1), upstream: (shared / 8).max(1) }
    }

    /// The shares of the current limit.
    pub fn now() -> Self {
        Shares::of(limit())
    }
}

/// Raises the limit of open descriptors as far as the process may, and returns it. Best effort.
#[cfg(unix)]
pub fn raise_limit() -> usize {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
    limit()
}

#[cfg(unix)]
fn limit() -> usize {
    use nix::sys::resource::{Resource, getrlimit};
    // The minimum that POSIX guarantees, if the limit is unknown.
    const POSIX_MIN: u64 = 20;
    let soft = getrlimit(Resource::RLIMIT_NOFILE).map_or(POSIX_MIN, |(soft, _)| soft);
    usize::try_from(soft).unwrap_or(usize::MAX)
}

/// Other systems have no limit.
#[cfg(not(unix))]
pub fn raise_limit() -> usize {
    limit()
}

#[cfg(not(unix))]
fn limit() -> usize {
    usize::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Descriptors; the shares of DNS over TCP, API, upstream.
    #[test]
    fn shares_leave_descriptors_for_the_process_itself() {
        let table = [
            (64, [16, 8, 4]),
            (256, [112, 56, 28]),
            (1024, [496, 248, 124]),
            (20_000, [9984, 4992, 2496]),
            (20, [1, 1, 1]),
        ];
        for (descriptors, expected) in table {
            let Shares { dns, api, upstream } = Shares::of(descriptors);
            assert_eq!([dns, api, upstream], expected, "of {descriptors}");
            assert!(descriptors < OWN || dns + api + upstream + OWN <= descriptors, "of {descriptors}");
        }
    }
}
