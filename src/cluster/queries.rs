//! What was asked of a cluster: which queries are meant, and what is to be known of them.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::timeout;

use super::error::Unseen;
use super::{Mark, Operation};
use crate::fault::Transport;
use crate::queries::{Filter, Query, QueryLog};
use crate::{Driver, RecordType, ResponseCode};

/// So many queries of any kind are told where those that were waited for did not come.
const TOLD: usize = 10;

/// The queries that were asked, or those of them that are meant. Each method says more of which.
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
#[must_use = "which queries are meant is no question yet: ask `all`, `count`, `wait_for` or `assert_none`"]
pub struct Queries {
    log: QueryLog,
    driver: Driver,
    runtime: Handle,
    filter: Filter,
    /// From where they are not meant.
    others: HashSet<SocketAddr>,
}

impl Queries {
    pub(super) fn new(log: QueryLog, driver: Driver, runtime: Handle) -> Self {
        Queries { log, driver, runtime, filter: Filter::default(), others: HashSet::new() }
    }

    /// As `filter` says, instead of what was said before.
    #[doc(hidden)]
    pub fn matching(self, filter: Filter) -> Self {
        Queries { filter, ..self }
    }

    /// None from these sockets.
    pub(crate) fn but_from(self, others: HashSet<SocketAddr>) -> Self {
        Queries { others, ..self }
    }

    fn but(mut self, narrow: impl FnOnce(&mut Filter)) -> Self {
        narrow(&mut self.filter);
        self
    }

    /// For names like `pattern`: `*` stands for any characters, `?` for one. Case and the last dot do not count.
    ///
    /// # Panics
    /// If that is no pattern for names: it is empty, or has spaces or commas in it.
    #[track_caller]
    pub fn name(self, pattern: &str) -> Self {
        let pattern = pattern.parse().unwrap_or_else(|error| panic!("{error}"));
        self.but(|filter| filter.name = Some(pattern))
    }

    /// For records of this type.
    pub fn qtype(self, qtype: RecordType) -> Self {
        self.but(|filter| filter.qtype = Some(qtype))
    }

    /// From this address.
    pub fn client(self, address: IpAddr) -> Self {
        self.but(|filter| filter.client = Some(address))
    }

    /// From the pod `NAME` or `NAMESPACE/NAME`: from an address that it has, or had.
    pub fn pod(self, name: impl Into<String>) -> Self {
        self.but(|filter| filter.pod = Some(name.into()))
    }

    /// Over UDP, or over TCP.
    pub fn transport(self, transport: Transport) -> Self {
        self.but(|filter| filter.transport = Some(transport))
    }

    /// With this outcome.
    pub fn code(self, code: ResponseCode) -> Self {
        self.but(|filter| filter.code = Some(Some(code)))
    }

    /// That nobody answered.
    pub fn unanswered(self) -> Self {
        self.but(|filter| filter.code = Some(None))
    }

    /// That this fault hit.
    pub fn fault(self, name: impl Into<String>) -> Self {
        self.but(|filter| filter.fault = Some(name.into()))
    }

    /// Asked after the DNS showed a [`Change`](super::Change), or after a [`Mark`].
    pub fn after(self, moment: impl Into<Mark>) -> Self {
        self.but(|filter| filter.after = Some(moment.into().0))
    }

    /// All of them so far, oldest first. The log keeps some 15,000 queries; see [`dropped`](Queries::dropped).
    pub fn all(&self) -> Vec<Query> {
        let mut queries = self.log.after(self.filter.after.map_or(0, |after| after.number));
        self.driver.name_pods(&mut queries);
        queries.retain(|query| self.filter.admits(query) && !self.others.contains(&query.client));
        queries
    }

    /// How many there are so far.
    pub fn count(&self) -> usize {
        self.all().len()
    }

    /// How many queries, of any kind, are not kept any more.
    pub fn dropped(&self) -> u64 {
        self.log.dropped()
    }

    /// Waits until there are at least `count`, at most for `within` by the wall, and gives them. What is returned borrows
    /// nothing: it may be awaited in another task.
    ///
    /// # Errors
    /// When there are fewer by then; it says what was asked instead.
    pub fn wait_for(&self, count: usize, within: Duration) -> Operation<'static, Result<Vec<Query>, Unseen>> {
        let queries = self.clone();
        Operation::new(Some(self.runtime.clone()), async move {
            let come = async {
                loop {
                    let latest = queries.log.latest();
                    let seen = queries.all();
                    if seen.len() >= count || !queries.log.arrived(latest).await {
                        return seen;
                    }
                }
            };
            let seen = timeout(within, come).await.unwrap_or_else(|_| queries.all());
            if seen.len() >= count {
                return Ok(seen);
            }
            let mut latest = queries.log.after(queries.log.latest().saturating_sub(TOLD as u64));
            queries.driver.name_pods(&mut latest);
            Err(Unseen { wanted: count, seen, within, latest })
        })
    }

    /// Fails the test if one of them is as `unwanted` says, and tells which.
    ///
    /// # Panics
    /// If there is one.
    #[track_caller]
    pub fn assert_none(&self, unwanted: impl Fn(&Query) -> bool) {
        let found: Vec<_> = self.all().into_iter().filter(|query| unwanted(query)).collect();
        let lines: Vec<_> = found.iter().take(TOLD).map(|query| format!("  {query}")).collect();
        assert!(
            found.is_empty(),
            "{} queries that should not have been asked:\n{}",
            found.len(),
            lines.join("\n")
        );
    }
}
