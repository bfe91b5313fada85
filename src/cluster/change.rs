//! A change that was made, as far as the DNS shows it: for a test to ask what came after. It must not know what was
//! changed.

use crate::queries::{Position, QueryLog};
use crate::zone::NameChange;
use crate::{ControlPlane, Driver};

/// A change, once the DNS shows it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Change {
    /// The SOA's serial since: who sees it, or a later one, sees the change.
    pub serial: u32,
    /// The names that came and went with it.
    pub names: Vec<NameChange>,
    pub(super) position: Position,
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
        driver.read(|cluster| {
            let since = cluster.trace().filter(|traced| traced.number > self.last);
            let (serial, names) = (cluster.serial(), since.flat_map(|traced| traced.names.clone()).collect());
            Change { serial, names, position: Position { number: queries.latest(), serial: Some(serial) } }
        })
    }
}

fn last(cluster: &ControlPlane) -> u64 {
    cluster.trace().next_back().map_or(0, |last| last.number)
}
