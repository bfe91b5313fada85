//! What is served: the zone, what is wrong with it, and the time; and where what was asked is written down. It must not
//! know who keeps them up to date.

use crate::answer::Faults;
use crate::queries::QueryLog;
use crate::{Driver, SharedClock, zone};

/// What answers are made from. A clone shows the same.
#[derive(Clone)]
#[non_exhaustive]
pub struct View {
    /// The names.
    pub zone: zone::Published,
    /// What goes wrong.
    pub faults: Faults,
    /// What time it is in the cluster, for what goes wrong with time.
    pub clock: SharedClock,
    /// Where queries are written down, if anywhere.
    pub queries: Option<QueryLog>,
}

impl View {
    /// The same, with every query written down in `queries`.
    #[must_use]
    pub fn with_queries(self, queries: QueryLog) -> Self {
        View { queries: Some(queries), ..self }
    }
}

/// A zone with which nothing goes wrong.
impl From<zone::Published> for View {
    fn from(zone: zone::Published) -> Self {
        View { zone, faults: Faults::default(), clock: SharedClock::default(), queries: None }
    }
}

/// A cluster that is kept in time.
impl From<&Driver> for View {
    fn from(driver: &Driver) -> Self {
        let (zone, faults) = driver.read(|cluster| (cluster.published(), cluster.faults()));
        View { zone, faults, clock: driver.clock().clone(), queries: None }
    }
}
