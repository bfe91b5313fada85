//! A change that was made, as far as the DNS shows it: for a test to ask what came after. It must not know what was
//! changed.

use crate::queries::{Position, QueryLog};
use crate::zone::NameChange;
use crate::{ControlPlane, DnsChange, Driver};

/// A change, once the DNS shows it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Change {
    /// The SOA's serial since: who sees it, or a later one, sees the change.
    pub serial: u32,
    /// The names that came and went with it.
    pub names: Vec<NameChange>,
    pub(super) mark: Mark,
}

/// A moment, to ask what came after it: of [`Cluster::mark`](super::Cluster::mark), or of a [`Change`].
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

/// Where a change began.
pub(super) struct Before {
    /// The number of the last change of the DNS.
    last: u64,
}

impl Before {
    pub(super) fn now(cluster: &ControlPlane) -> Self {
        Before { last: last(cluster) }
    }

    /// What has changed since.
    pub(super) fn change(&self, driver: &Driver, queries: &QueryLog) -> Change {
        change(driver, queries, |traced| traced.number > self.last)
    }
}

/// The change from `mark` to now.
pub(super) fn since(mark: Mark, driver: &Driver, queries: &QueryLog) -> Change {
    change(driver, queries, |traced| mark.0.serial.is_none_or(|before| traced.serial > before))
}

/// The change that consists of those changes of the DNS that are `part_of` it.
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
