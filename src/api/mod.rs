//! Takes kube-apiserver's place: the part of the Kubernetes HTTP API that kubectl and client libraries need for the
//! kinds of the store. It must not know the DNS.
//!
//! ```text
//!   http ─▶ guard ─▶ route ─▶ list, watch          ─▶ render, selector, table          ─▶ what the client reads
//!                          ─▶ write, delete, scale ─▶ body, merge, strict, admit       ─▶ the store
//!                          ─▶ discovery, openapi, own
//! ```
//!
//! `schema` has the fields of every kind: `protobuf` reads by it, `strict` knows by it what is misspelt, and `openapi`
//! tells it.

mod accept;
pub mod admit;
mod body;
mod call;
mod cause;
pub mod client;
mod columns;
mod crd;
mod delete;
mod discovery;
mod dns;
mod fault;
mod faults;
mod field;
mod guard;
mod http;
mod identity;
mod kubeconfig;
mod list;
mod openapi;
mod outgoing;
mod own;
mod path;
mod places;
mod pods;
mod protobuf;
mod query;
mod registry;
pub mod render;
mod reply;
mod resource;
mod reviews;
mod room;
mod route;
mod scale;
pub mod selector;
mod show;
mod status;
pub(crate) mod strict;
pub mod table;
mod types;
mod versions;
mod warnings;
mod watch;
mod write;

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch as stopping;

use crate::Driver;
use crate::queries::QueryLog;
use crate::serve::{BindError, Shares};
use call::Api;
use guard::Guard;

pub use http::Limits;
pub use kubeconfig::{file as kubeconfig_file, write as write_kubeconfig};
pub use status::{Details, Status};

/// How the API is served.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Where; port 0 is any free port.
    pub listen: SocketAddr,
    /// Whether an address that other machines can reach is meant. There are no credentials: whoever reaches it may
    /// change everything.
    pub allow_remote: bool,
    /// What clients may take.
    pub limits: Limits,
}

impl Options {
    /// At `listen`, for this machine only.
    pub fn at(listen: SocketAddr) -> Self {
        Options { listen, allow_remote: false, limits: Limits::default() }
    }
}

/// Why the API cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Other machines could reach the address, and nobody said that they may.
    #[error(
        "the API at {0} could be reached from other machines, and it asks nobody who they are: choose a loopback address, \
         or say --api-allow-remote"
    )]
    Remote(SocketAddr),
    /// The address cannot be had.
    #[error(transparent)]
    Bind(#[from] BindError),
}

impl ServerError {
    /// Whether somebody else has the address.
    pub fn is_in_use(&self) -> bool {
        matches!(self, ServerError::Bind(error) if error.reason.kind() == std::io::ErrorKind::AddrInUse)
    }
}

/// The API's socket, bound and not yet served.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    options: Options,
    queries: Option<QueryLog>,
    upstream: Vec<SocketAddr>,
}

impl Server {
    /// Binds the address of `options`.
    ///
    /// # Errors
    /// Where that is not possible, or not safe.
    pub async fn bind(options: Options) -> Result<Self, ServerError> {
        let address = options.listen;
        if !address.ip().is_loopback() && !options.allow_remote {
            return Err(ServerError::Remote(address));
        }
        let failed = |reason| BindError { address, transport: "TCP", reason };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Server { listener, address, options, queries: None, upstream: Vec::new() })
    }

    /// Where it was bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same, which tells of the DNS queries in `queries`. Without this it says that none are written down.
    #[must_use]
    pub fn with_queries(self, queries: QueryLog) -> Self {
        Server { queries: Some(queries), ..self }
    }

    /// The same, which states that the DNS asks these servers for names outside the cluster.
    #[must_use]
    pub fn with_upstream(self, upstream: Vec<SocketAddr>) -> Self {
        Server { upstream, ..self }
    }

    /// Answers for the cluster that `driver` drives until `shutdown` resolves, and then for a moment more: requests
    /// under way are answered, watches end.
    pub async fn serve(self, driver: Driver, shutdown: impl Future<Output = ()>) {
        let Server { listener, address, options, queries, upstream } = self;
        let (stop, stopped) = stopping::channel(false);
        let api = Arc::new(Api {
            driver,
            journal: Default::default(),
            queries,
            upstream,
            address,
            guard: Guard { remote: options.allow_remote, bound: address },
            limits: options.limits,
            stop: stopped.clone(),
        });
        let mut shutdown = pin!(shutdown);
        let limits =
            Limits { connections: options.limits.connections.min(Shares::now().api), ..options.limits };
        let mut serving = pin!(http::serve(listener, limits, stopped, move |request| {
            let api = api.clone();
            async move { api.answer(request).await }
        }));
        tokio::select! {
            () = &mut serving => return,
            () = &mut shutdown => {}
        }
        stop.send_replace(true);
        serving.await;
    }
}
