//! What is served: the zone, the faults in force and the time, and where queries are recorded. Must not depend on what keeps them up
//! to date.

use crate::answer::Faults;
use crate::queries::QueryLog;
use crate::{SharedClock, zone};

/// What answers are made from. A clone shows the same.
#[derive(Clone)]
#[non_exhaustive]
pub struct View {
    /// The names.
    #[doc(hidden)]
    pub zone: zone::Published,
    /// What goes wrong.
    #[doc(hidden)]
    pub faults: Faults,
    /// What time it is in the cluster, for what goes wrong with time.
    #[doc(hidden)]
    pub clock: SharedClock,
    /// Where queries are written down, if anywhere.
    #[doc(hidden)]
    pub queries: Option<QueryLog>,
}

impl View {
    /// The same, with every query written down in `queries`.
    #[doc(hidden)]
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
