//! The input of a server: the zone, the faults in force, the time, and the record of queries. Must not depend on what
//! updates them.

use crate::answer::Faults;
use crate::queries::QueryLog;
use crate::{SharedClock, zone};

/// The source of answers. Clones share it.
#[derive(Clone)]
#[non_exhaustive]
pub struct View {
    /// The published zone.
    #[doc(hidden)]
    pub zone: zone::Published,
    /// The faults in force.
    #[doc(hidden)]
    pub faults: Faults,
    /// The cluster's clock, for faults that depend on time.
    #[doc(hidden)]
    pub clock: SharedClock,
    /// The record of queries, if they are recorded.
    #[doc(hidden)]
    pub queries: Option<QueryLog>,
}

impl View {
    /// Returns the view with every query recorded in `queries`.
    #[doc(hidden)]
    #[must_use]
    pub fn with_queries(self, queries: QueryLog) -> Self {
        View { queries: Some(queries), ..self }
    }
}

/// A zone without faults.
impl From<zone::Published> for View {
    fn from(zone: zone::Published) -> Self {
        View { zone, faults: Faults::default(), clock: SharedClock::default(), queries: None }
    }
}
