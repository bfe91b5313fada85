//! What the transports of one server have of the cluster, and it of them: the zone, the time, and the log of what was
//! asked. It must not know sockets.

use crate::SharedClock;
use crate::queries::QueryLog;
use crate::zone;

/// What a server answers from. A zone alone will do: nothing is kept of the queries then.
#[derive(Clone)]
#[non_exhaustive]
pub struct View {
    /// Where the zone is to be read.
    pub zone: zone::Published,
    /// The cluster's time.
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

    /// The same, at the time of `clock`.
    #[must_use]
    pub fn at(self, clock: SharedClock) -> Self {
        View { clock, ..self }
    }
}

impl From<zone::Published> for View {
    fn from(zone: zone::Published) -> Self {
        View { zone, clock: SharedClock::default(), queries: None }
    }
}
