//! How the descriptors that the process may open are divided, so that no listener can take those of another or those that
//! reading manifests needs. It must not know who listens.

/// Descriptors of the process itself: standard streams, the runtime's, sockets that listen, notification of changes, and
/// the files that are read.
const OWN: usize = 32;

/// How many connections each part of the server may have open at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// TCP connections of DNS clients.
    pub dns: usize,
    /// Connections of API clients.
    pub api: usize,
    /// Sockets on which an upstream is asked.
    pub upstream: usize,
}

impl Shares {
    /// The shares of `descriptors`, the number that the process may open: a half for DNS over TCP, a quarter for the API, an
    /// eighth for the upstream. With very few each has one all the same.
    pub fn of(descriptors: usize) -> Self {
        let shared = descriptors.saturating_sub(OWN);
        Shares { dns: (shared / 2).max(1), api: (shared / 4).max(1), upstream: (shared / 8).max(1) }
    }

    /// The shares of as many as the process may open now.
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
    // What POSIX promises at least, where nothing can be found out.
    const LEAST: u64 = 20;
    let soft = getrlimit(Resource::RLIMIT_NOFILE).map_or(LEAST, |(soft, _)| soft);
    usize::try_from(soft).unwrap_or(usize::MAX)
}

/// Elsewhere descriptors are not limited.
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
