//! Options of a DNS server. Must not depend on a transport.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use super::responder::Responder;
use super::upstream::Upstream;
use super::{Stats, View};
use crate::answer::{Order, Outside};

/// Options of a DNS server: the defaults, with fields that are set afterwards.
///
/// ```
/// use clusterlocal::serve::{Options, Order};
///
/// let mut options = Options::default();
/// options.order = Order::Stable;
/// options.tcp.connections = 100;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Addresses to listen on, over both UDP and TCP. Port 0 is any free port, the same for both.
    pub listen: Vec<SocketAddr>,
    /// Maximum size of a UDP reply, in bytes, at least 512. `None`: the size that the client accepts on loopback addresses,
    /// 1232 on others.
    pub max_udp_size: Option<u16>,
    /// Order of the records in an answer.
    pub order: Order,
    /// Seed of the shuffles. With one UDP thread and one address, the same seed and the same queries give the same answers.
    pub seed: u64,
    /// Servers to which queries outside the cluster domain are forwarded, in this order: the next one if one does not
    /// reply. If empty, `outside` decides.
    pub upstream: Vec<SocketAddr>,
    /// Answer to queries outside the cluster domain if there is no upstream.
    pub outside: Outside,
    /// Maximum number of UDP threads for each address. One on systems where sockets cannot share an address (SO_REUSEPORT
    /// with the semantics of Linux).
    pub udp_threads: NonZeroUsize,
    /// Limits for TCP clients.
    pub tcp: TcpLimits,
}

impl Default for Options {
    /// Any free port of 127.0.0.1, one UDP thread, no upstream.
    fn default() -> Self {
        Options {
            listen: vec![(Ipv4Addr::LOCALHOST, 0).into()],
            max_udp_size: None,
            order: Order::Shuffle,
            seed: 0,
            upstream: Vec::new(),
            outside: Outside::NxDomain,
            udp_threads: NonZeroUsize::MIN,
            tcp: TcpLimits::default(),
        }
    }
}

impl Options {
    pub(super) fn responder(&self, view: View, sockets: usize, stats: Arc<Stats>) -> Responder {
        let upstream = (!self.upstream.is_empty()).then(|| Upstream::new(self.upstream.clone(), sockets));
        Responder::new(view, self.order, self.seed, (upstream, self.outside), stats)
    }
}

/// Maximum size in bytes of a UDP reply of a listener at `address`: 1232 bytes pass every path without fragments (the DNS flag day of
/// 2020, RFC 9715); loopback has no such limit.
pub(super) fn max_udp(asked: Option<u16>, address: IpAddr) -> u16 {
    let usual = if address.is_loopback() { u16::MAX } else { 1232 };
    asked.map_or(usual, |size| size.max(512))
}

/// Limits for TCP clients. The defaults are for a server that any host can reach.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TcpLimits {
    /// Maximum number of open connections, on all listeners together. It is capped at their [share](super::Shares) of the
    /// file descriptors.
    pub connections: usize,
    /// Maximum number of open connections of one client address. Loopback addresses are exempt.
    pub per_client: usize,
    /// Maximum time without a query on a connection.
    pub idle: Duration,
    /// Maximum time from the first byte of a message to its last.
    pub message: Duration,
    /// Maximum time for a client to read its answers.
    pub write: Duration,
}

impl Default for TcpLimits {
    fn default() -> Self {
        TcpLimits {
            connections: 10_000,
            per_client: 256,
            // CoreDNS's; RFC 7766 section 6.2.3 asks for "a few seconds".
            idle: Duration::from_secs(10),
            message: Duration::from_secs(10),
            write: Duration::from_secs(5),
        }
    }
}
