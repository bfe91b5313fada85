//! The queries that a cluster received: selecting, counting and waiting for them.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::timeout;

use super::error::QueryTimeout;
use super::{Mark, Operation};
use crate::fault::Transport;
use crate::queries::{Filter, Query, QueryLog};
use crate::{Driver, RecordType, ResponseCode};

/// Maximum number of queries that a failure lists, to keep it readable.
const LISTED_QUERIES: usize = 10;

/// The queries that a cluster received. Each method narrows the selection.
///
/// ```
/// # use clusterlocal::{Cluster, RecordType};
/// # use std::time::Duration;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cluster = Cluster::builder().topology("sets: {db: {replicas: 2, ports: {peer: 7000}}}").start().wait()?;
/// let change = cluster.pod("db-1").restart().wait()?;
/// # let asked = std::net::UdpSocket::bind("127.0.0.1:0")?;
/// # asked.send_to(b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\x04db-1\x02db\x07default\x03svc\x07cluster\x05local\0\0\x01\0\x01", cluster.dns_addr())?;
/// // ... the code under test looks db-1 up again ...
/// let again = cluster.queries().name("db-1.*").qtype(RecordType::A).after(&change);
/// let seen = again.wait_for(1, Duration::from_secs(10)).wait()?;
/// assert_eq!(seen[0].answers()[0].data, change.names.last().expect("the new address").target);
/// cluster.queries().assert_none(|query| query.qtype == RecordType::ANY);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a selection does nothing until `all`, `count`, `wait_for` or `assert_none` is called"]
pub struct Queries {
    log: QueryLog,
    driver: Driver,
    runtime: Handle,
    filter: Filter,
    /// Sockets whose queries are excluded.
    others: HashSet<SocketAddr>,
}

impl Queries {
    pub(super) fn new(log: QueryLog, driver: Driver, runtime: Handle) -> Self {
        Queries { log, driver, runtime, filter: Filter::default(), others: HashSet::new() }
    }

    /// Replaces the selection by `filter`.
    #[doc(hidden)]
    pub fn matching(self, filter: Filter) -> Self {
        Queries { filter, ..self }
    }

    /// Excludes queries from these sockets.
    pub(crate) fn excluding(self, others: HashSet<SocketAddr>) -> Self {
        Queries { others, ..self }
    }

    fn narrowed(mut self, narrow: impl FnOnce(&mut Filter)) -> Self {
        narrow(&mut self.filter);
        self
    }

    /// Selects names that match `pattern`: `*` stands for any characters, `?` for one. Case and the trailing dot are
    /// ignored.
    ///
    /// # Panics
    /// If `pattern` is empty or contains spaces or commas.
    #[track_caller]
    pub fn name(self, pattern: &str) -> Self {
        let pattern = pattern.parse().unwrap_or_else(|error| panic!("{error}"));
        self.narrowed(|filter| filter.name = Some(pattern))
    }

    /// Selects queries of this type.
    pub fn qtype(self, qtype: RecordType) -> Self {
        self.narrowed(|filter| filter.qtype = Some(qtype))
    }

    /// Selects queries from this address.
    pub fn client(self, address: IpAddr) -> Self {
        self.narrowed(|filter| filter.client = Some(address))
    }

    /// Selects queries from the pod `NAME` or `NAMESPACE/NAME`: from any address that it has or had.
    pub fn pod(self, name: impl Into<String>) -> Self {
        self.narrowed(|filter| filter.pod = Some(name.into()))
    }

    /// Selects queries over UDP, or over TCP.
    pub fn transport(self, transport: Transport) -> Self {
        self.narrowed(|filter| filter.transport = Some(transport))
    }

    /// Selects queries that were answered with this code.
    pub fn code(self, code: ResponseCode) -> Self {
        self.narrowed(|filter| filter.code = Some(Some(code)))
    }

    /// Selects queries that were not answered.
    pub fn unanswered(self) -> Self {
        self.narrowed(|filter| filter.code = Some(None))
    }

    /// Selects queries that this fault hit.
    pub fn fault(self, name: impl Into<String>) -> Self {
        self.narrowed(|filter| filter.fault = Some(name.into()))
    }

    /// Selects queries that arrived after the DNS showed a [`Change`](super::Change), or after a [`Mark`].
    pub fn after(self, moment: impl Into<Mark>) -> Self {
        self.narrowed(|filter| filter.after = Some(moment.into().0))
    }

    /// Returns the queries so far, oldest first. The log keeps some 15,000 queries; see [`dropped`](Queries::dropped).
    pub fn all(&self) -> Vec<Query> {
        let mut queries = self.log.after(self.filter.after.map_or(0, |after| after.number));
        self.driver.name_pods(&mut queries);
        queries.retain(|query| self.filter.admits(query) && !self.others.contains(&query.client));
        queries
    }

    /// Returns the number of queries so far.
    pub fn count(&self) -> usize {
        self.all().len()
    }

    /// Returns the number of queries, of any kind, that the log has dropped.
    pub fn dropped(&self) -> u64 {
        self.log.dropped()
    }

    /// Waits at most `within`, in real time, until there are at least `count` queries, and returns them. The operation
    /// borrows nothing: it can be awaited in another task.
    ///
    /// # Errors
    /// If there are fewer by then. The error lists the latest queries of any kind.
    pub fn wait_for(
        &self,
        count: usize,
        within: Duration,
    ) -> Operation<'static, Result<Vec<Query>, QueryTimeout>> {
        let queries = self.clone();
        Operation::new(Some(self.runtime.clone()), async move {
            let arrival = async {
                loop {
                    let latest = queries.log.latest();
                    let seen = queries.all();
                    if seen.len() >= count || !queries.log.arrived(latest).await {
                        return seen;
                    }
                }
            };
            let seen = timeout(within, arrival).await.unwrap_or_else(|_| queries.all());
            if seen.len() >= count {
                return Ok(seen);
            }
            let mut latest = queries.log.after(queries.log.latest().saturating_sub(LISTED_QUERIES as u64));
            queries.driver.name_pods(&mut latest);
            Err(QueryTimeout { wanted: count, seen, within, latest })
        })
    }

    /// Fails the test if a query matches `unwanted`, and lists the matches.
    ///
    /// # Panics
    /// If there is one.
    #[track_caller]
    pub fn assert_none(&self, unwanted: impl Fn(&Query) -> bool) {
        let found: Vec<_> = self.all().into_iter().filter(|query| unwanted(query)).collect();
        let lines: Vec<_> = found.iter().take(LISTED_QUERIES).map(|query| format!("  {query}")).collect();
        assert!(found.is_empty(), "{} unexpected queries:\n{}", found.len(), lines.join("\n"));
    }
}
