//! Peer discovery by the SRV records of a headless Service, with the lessons of real clusters:
//!
//! - NXDOMAIN and NODATA mean that no peer is ready yet: the list is empty;
//! - no answer, or SERVFAIL, means nothing: the last list stays;
//! - names stay and addresses change: both are looked up each time;
//! - the first answer may be incomplete: a quorum has to be waited for.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;

/// A peer: its name, which stays, and its current address.
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
    /// No peer is known yet.
    pub fn new(resolver: TokioResolver, service: impl Into<String>) -> Self {
        Discovery { resolver, service: service.into(), peers: BTreeSet::new() }
    }

    /// The peers of the last successful lookup.
    pub fn peers(&self) -> &BTreeSet<Peer> {
        &self.peers
    }

    /// Looks up all peers again.
    ///
    /// # Errors
    /// If the lookup fails; the known peers stay.
    pub async fn refresh(&mut self) -> Result<&BTreeSet<Peer>, NetError> {
        let found = match self.resolver.srv_lookup(self.service.as_str()).await {
            Ok(found) => found,
            // NXDOMAIN or NODATA; other codes such as SERVFAIL are not this error.
            Err(error) if error.is_no_records_found() => {
                self.peers.clear();
                return Ok(&self.peers);
            }
            Err(error) => return Err(error),
        };
        let mut peers = BTreeSet::new();
        for record in found.answers() {
            let RData::SRV(srv) = &record.data else { continue };
            // A peer that has gone meanwhile must not hide the others.
            let Ok(addresses) = self.resolver.lookup_ip(srv.target.clone()).await else { continue };
            let name = srv.target.to_string().trim_end_matches('.').to_string();
            let all = addresses.iter().map(|ip| Peer { name: name.clone(), address: (ip, srv.port).into() });
            peers.extend(all);
        }
        self.peers = peers;
        Ok(&self.peers)
    }

    /// Looks up the peers every `interval`, until `count` are known.
    pub async fn quorum(&mut self, count: usize, interval: Duration) -> &BTreeSet<Peer> {
        while self.refresh().await.map_or(0, BTreeSet::len) < count {
            tokio::time::sleep(interval).await;
        }
        &self.peers
    }
}

/// A resolver that uses `server`, without a cache.
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
