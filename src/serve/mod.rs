//! Takes the place of the CoreDNS process: a DNS server with its sockets, limits, and a shutdown that answers pending
//! queries. Must not depend on YAML, Kubernetes objects or the control plane.
//!
//! ```text
//!   Listeners ─┬▶ udp ───────────────┬▶ responder ─┬▶ answer
//!              ╰▶ tcp ─▶ connection ─┤             ╰▶ upstream
//!   any hickory server ─▶ handler ───╯
//! ```
//!
//! # Why not `hickory_server::Server`
//!
//! `ClusterHandler`, of the feature `hickory`, can be mounted in a `Server` and uses only its transports. The program and
//! the fixture use the transports of this room instead, because `Server` 0.26.3
//!
//! - answers packets that are responses themselves when they are malformed, so that two servers can reply to each other
//!   without end;
//! - has no limit on TCP connections, keeps a core busy when file descriptors run out, and stops listening, without a log
//!   line, at the first connection that is reset before it is accepted;
//! - drops pending answers at shutdown;
//! - replies from the wrong address where it is bound to the wildcard address;
//! - leaves bytes of removed records behind the end of truncated messages;
//! - spawns a task for each datagram and allocates some 27 times for each query.
//!
//! A `RequestHandler` cannot change any of that. Both use the same [`answer`](crate::answer).

mod admission;
mod connection;
mod delays;
#[cfg(feature = "hickory")]
mod handler;
mod listen;
mod options;
mod query_log;
mod responder;
mod stats;
mod tcp;
mod udp;
mod upstream;
mod view;

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

#[doc(inline)]
pub use clusterlocal_core::BindError;
#[doc(inline)]
pub use clusterlocal_core::answer::{Order, Outside};
#[cfg(feature = "hickory")]
pub use handler::ClusterHandler;
pub use options::{Options, TcpLimits};
pub use query_log::TARGET as QUERY_LOG_TARGET;
pub use stats::{Counter, Stats};
pub use view::View;

use crate::descriptors::{self, Shares};
use admission::Admissions;
use listen::Pair;
use options::max_udp;
use tcp::Tcp;

/// Maximum time of draining. The rest of a shutdown is short enough that a process ends within five seconds.
const DRAIN: Duration = Duration::from_secs(4);

/// Bound sockets. Queries wait in their buffers until [`serve`](Listeners::serve).
pub struct Listeners {
    pairs: Vec<Pair>,
    addresses: Vec<SocketAddr>,
    options: Options,
    shares: Shares,
    stats: Arc<Stats>,
}

/// Draining timed out: clients had not read their answers, or an upstream had not replied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("some clients could not be answered within {} s of the shutdown; their connections were closed", DRAIN.as_secs())]
pub struct CutOff;

/// Signals the transports that draining has begun.
#[derive(Clone)]
struct Draining(watch::Receiver<bool>);

impl Draining {
    /// Returns once draining has begun.
    async fn begun(&mut self) {
        // A closed channel means that it has begun as well.
        let _ = self.0.wait_for(|begun| *begun).await;
    }
}

impl Listeners {
    /// Binds UDP and TCP on every address of `options`, all or none, and raises the process's limit of file descriptors as
    /// far as permitted, once per process. Asynchronous because sockets belong to the runtime in which they are bound.
    ///
    /// # Errors
    /// The error of the first address that cannot be bound.
    pub async fn bind(options: &Options) -> Result<Self, BindError> {
        let shares = Shares::of(descriptors::raise_limit());
        let pairs: Vec<Pair> = options
            .listen
            .iter()
            .map(|&address| listen::bind(address, options.udp_threads))
            .collect::<Result<_, _>>()?;
        let addresses: Vec<SocketAddr> = pairs.iter().map(|pair| pair.address).collect();
        for upstream in &options.upstream {
            listen::check_upstream(*upstream, &addresses)?;
        }
        Ok(Listeners { pairs, addresses, options: options.clone(), shares, stats: Arc::default() })
    }

    /// The bound addresses, in the order of the options; port 0 is replaced by the chosen port.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Also serves on these sockets, which are bound to one address already: those of another network namespace.
    ///
    /// # Errors
    /// If the system refuses to set them up.
    pub fn with_sockets(mut self, datagrams: UdpSocket, listener: TcpListener) -> io::Result<Self> {
        let pair = listen::adopt(datagrams, listener)?;
        self.addresses.push(pair.address);
        self.pairs.push(pair);
        Ok(self)
    }

    /// The counters; they go on counting while the listeners serve.
    pub fn stats(&self) -> Arc<Stats> {
        self.stats.clone()
    }

    /// Answers queries from `view` until `shutdown` resolves. Then no new client is accepted, and queries that arrived
    /// earlier are still answered, unless a fault delays the answer.
    ///
    /// # Errors
    /// If draining takes more than four seconds. Connections that are left are closed.
    pub async fn serve(
        self,
        view: impl Into<View>,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), CutOff> {
        let responder = Arc::new(self.options.responder(view.into(), self.shares.upstream, self.stats));
        let limits = self.options.tcp;
        let connections = limits.connections.min(self.shares.dns);
        let admissions = Arc::new(Admissions::new(connections, limits.per_client));
        let (drain, draining) = watch::channel(false);
        let draining = Draining(draining);
        let mut transports = JoinSet::new();
        for Pair { address, datagrams, listener } in self.pairs {
            let max_udp = max_udp(self.options.max_udp_size, address.ip());
            for datagrams in datagrams {
                transports.spawn(udp::serve(datagrams, max_udp, responder.clone(), draining.clone()));
            }
            let (responder, admissions) = (responder.clone(), admissions.clone());
            let tcp = Tcp { listener, limits, admissions, responder, draining: draining.clone() };
            transports.spawn(tcp.serve());
        }
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                // A transport does not end by itself. If one panics, end the server: one that no longer answers must not
                // seem to run.
                Some(Err(ended)) = transports.join_next() => {
                    if let Ok(panic) = ended.try_into_panic() {
                        resume_unwind(panic);
                    }
                }
            }
        }
        drain.send_replace(true);
        responder.give_up_delays();
        let drained = async { while transports.join_next().await.is_some() {} };
        timeout(DRAIN, drained).await.map_err(|_| CutOff)
    }
}
