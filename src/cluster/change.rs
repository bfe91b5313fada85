//! Changes of the DNS, for queries that arrive after them. Must not depend on what was changed.

use crate::queries::{Position, QueryLog};
use crate::zone::NameChange;
use crate::{ControlPlane, DnsChange, Driver};

/// A change that is visible in the DNS.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Change {
    /// Serial of the SOA after the change: a client that sees this serial or a later one sees the change.
    pub serial: u32,
    /// Names that were added or removed.
    pub names: Vec<NameChange>,
    pub(super) mark: Mark,
}

/// A point in time, for [`Queries::after`](super::Queries::after): from [`Cluster::mark`](super::Cluster::mark) or a
/// [`Change`].
#[derive(Clone, Copy, Debug)]
pub struct Mark(pub(super) Position);

impl Mark {
    pub(super) fn now(cluster: &ControlPlane, queries: &QueryLog) -> Self {
        Mark(Position { number: queries.latest(), serial: Some(cluster.serial()) })
    }
}

impl From<&Change> for Mark {
    fn from(change: &Change) -> Self {
        change.mark
    }
}

impl From<&Mark> for Mark {
    fn from(mark: &Mark) -> Self {
        *mark
    }
}

/// The state of the DNS before a change.
pub(super) struct Before {
    /// Number of the last change of the DNS.
    last: u64,
}

impl Before {
    pub(super) fn now(cluster: &ControlPlane) -> Self {
        Before { last: last(cluster) }
    }

    /// Returns what has changed since.
    pub(super) fn change(&self, driver: &Driver, queries: &QueryLog) -> Change {
        change(driver, queries, |traced| traced.number > self.last)
    }
}

/// Returns the change from `mark` to now.
pub(super) fn since(mark: Mark, driver: &Driver, queries: &QueryLog) -> Change {
    change(driver, queries, |traced| mark.0.serial.is_none_or(|before| traced.serial > before))
}

/// Returns the changes of the DNS that match `part_of`, as one.
fn change(driver: &Driver, queries: &QueryLog, part_of: impl Fn(&DnsChange) -> bool) -> Change {
    driver.read(|cluster| {
        let parts = cluster.trace().filter(|traced| part_of(traced));
        let names = parts.flat_map(|traced| traced.names.clone()).collect();
        Change { serial: cluster.serial(), names, mark: Mark::now(cluster, queries) }
    })
}

fn last(cluster: &ControlPlane) -> u64 {
    cluster.trace().next_back().map_or(0, |last| last.number)
}
