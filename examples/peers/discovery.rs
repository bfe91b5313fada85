//! Who the peers are, by the SRV records of a headless Service. What it has learnt from clusters:
//!
//! - no such name, or no records, means that nobody is ready yet: nobody is known then;
//! - an answer that does not come, or SERVFAIL, means nothing at all: who was known stays known;
//! - names stay and addresses do not: both are looked up each time;
//! - the first answer is not all there is: whoever needs a quorum waits for it.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;

/// A peer: its name, which stays, and where it is now.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Peer {
    /// `db-0.db.default.svc.cluster.local`
    pub name: String,
    /// Its address and the port of the service.
    pub address: SocketAddr,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.name, self.address)
    }
}

/// The peers of one service.
pub struct Discovery {
    resolver: TokioResolver,
    service: String,
    peers: BTreeSet<Peer>,
}

impl Discovery {
    /// Nobody is known yet.
    pub fn new(resolver: TokioResolver, service: impl Into<String>) -> Self {
        Discovery { resolver, service: service.into(), peers: BTreeSet::new() }
    }

    /// Who was there when it was last known.
    pub fn peers(&self) -> &BTreeSet<Peer> {
        &self.peers
    }

    /// Looks all of them up again.
    ///
    /// # Errors
    /// When nobody can tell; who was known stays known.
    pub async fn refresh(&mut self) -> Result<&BTreeSet<Peer>, NetError> {
        let found = match self.resolver.srv_lookup(self.service.as_str()).await {
            Ok(found) => found,
            // NXDOMAIN or NODATA; SERVFAIL and the like are no such error.
            Err(error) if error.is_no_records_found() => {
                self.peers.clear();
                return Ok(&self.peers);
            }
            Err(error) => return Err(error),
        };
        let mut peers = BTreeSet::new();
        for record in found.answers() {
            let RData::SRV(srv) = &record.data else { continue };
            // One peer that went meanwhile is no reason to lose the others.
            let Ok(addresses) = self.resolver.lookup_ip(srv.target.clone()).await else { continue };
            let name = srv.target.to_string().trim_end_matches('.').to_string();
            let all = addresses.iter().map(|ip| Peer { name: name.clone(), address: (ip, srv.port).into() });
            peers.extend(all);
        }
        self.peers = peers;
        Ok(&self.peers)
    }

    /// Asks again, every `interval`, until so many are known.
    pub async fn quorum(&mut self, count: usize, interval: Duration) -> &BTreeSet<Peer> {
        while self.refresh().await.map_or(0, BTreeSet::len) < count {
            tokio::time::sleep(interval).await;
        }
        &self.peers
    }
}

/// A resolver that asks `server`, and keeps nothing.
pub fn resolver(server: SocketAddr) -> Result<TokioResolver, NetError> {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = server.port();
        connection
    });
    let server = NameServerConfig::new(server.ip(), true, connections.into());
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    builder.options_mut().cache_size = 0;
    builder.build()
}
