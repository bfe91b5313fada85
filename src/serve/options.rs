//! What a server is started with. Must not depend on a transport.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use super::responder::Responder;
use super::upstream::Upstream;
use super::{Stats, View};
use crate::answer::{Order, Outside};

/// How to serve.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen, over UDP and TCP alike; port 0 is any free port, the same for both.
    pub listen: Vec<SocketAddr>,
    /// The largest UDP reply, in bytes, at least 512. `None`: what the client can take on loopback addresses, 1232
    /// elsewhere.
    pub max_udp_size: Option<u16>,
    /// In which order the records of an answer stand.
    pub order: Order,
    /// What shuffles are derived from: the same seed and the same queries over UDP on one address, by one thread, give the
    /// same answers.
    pub seed: u64,
    /// The servers that are asked for names outside the cluster, in this order: the next one where one is silent. Empty:
    /// none is asked, and `outside` decides.
    pub upstream: Vec<SocketAddr>,
    /// The answer for names outside the cluster without an upstream.
    pub outside: Outside,
    /// How many threads, at most, answer over UDP on each address; where the system cannot share an address among sockets
    /// (SO_REUSEPORT, as Linux has it), there is one.
    pub udp_threads: NonZeroUsize,
    /// What TCP clients may take.
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
pub struct TcpLimits {
    /// Connections at a time, on all listeners together. Never more than their [share](super::Shares) of the descriptors.
    pub connections: usize,
    /// Connections at a time of one client address; loopback addresses are exempt.
    pub per_client: usize,
    /// How long a connection may be open without a query.
    pub idle: Duration,
    /// How long a message may take from its first byte to its last.
    pub message: Duration,
    /// How long a client may take to take its answers.
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
