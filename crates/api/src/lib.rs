//! Takes the place of kube-apiserver: the part of the Kubernetes HTTP API that kubectl and client libraries need for the kinds of the
//! store. Only `own::dns` depends on the DNS.
//!
//! | folder | contents | in Kubernetes |
//! |---|---|---|
//! | `schema` | resources, versions, fields, CustomResourceDefinitions, protobuf | apimachinery's scheme and codecs, apiextensions-apiserver |
//! | `view` | objects as JSON and as tables, selectors | printers, `fields` and `labels` |
//! | `admit` | strict decoding, defaults, validation, warnings | the strategies of `registry` |
//! | `http` | connections, limits, bodies, paths, queries, statuses | filters, `RequestInfo`, content negotiation |
//! | `verbs` | get, list, watch, create, update, patch, delete; subresources and reviews | `endpoints/handlers` |
//! | `own` | `clusterlocal.dev/v1`, `/dns/…`, `/fixture/…` | nothing: what a cluster does not offer |
//! | `connect` | logs, exec, attach, port-forward, proxy: what a kubelet or a pod answers | connectors of pods and Services |
//! | `discovery` | groups, resources, OpenAPI | `endpoints/discovery`, kube-openapi |
//!
//! `route` passes a request through `http` to its handler. A folder uses only those above it in this table, which a test of
//! the package `clusterlocal` checks. [`review`] inspects files by the same schema and rules.
//!
//! Internal: its API may change with any release.

pub mod admit;
#[cfg(feature = "connect")]
mod connect;
mod discovery;
mod http;
mod kubeconfig;
#[cfg(feature = "connect")]
pub mod kubelet;
mod own;
pub mod review;
mod route;
mod schema;
mod verbs;
mod view;

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch as stopping;

use clusterlocal_core::descriptors::Shares;
use clusterlocal_core::queries::QueryLog;
use clusterlocal_core::{BindError, Driver};
use http::guard::Guard;
use http::server;
use verbs::call::Api;

pub use clusterlocal_admission::KUBERNETES_VERSION;
pub use http::server::Limits;
pub use http::status::{Details, Status};
pub use kubeconfig::{file as kubeconfig_file, text as kubeconfig, write as write_kubeconfig};
pub use verbs::call::{Fixture, FixtureError, FixtureReply};
pub use verbs::quota::{check_growth, growth};
pub use verbs::reviews::token_of;
pub use view::render;

/// Options of the API server.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The address to listen on; port 0 is any free port.
    pub listen: SocketAddr,
    /// Whether an address that other machines can reach is allowed. There are no credentials: every client that reaches it
    /// may change everything.
    pub allow_remote: bool,
    /// The limits of clients.
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
    /// Other machines could reach the address, and that is not allowed.
    #[error(
        "the API at {0} would be reachable from other machines, and has no authentication: choose a loopback address, \
         or pass --api-allow-remote"
    )]
    Remote(SocketAddr),
    /// The address is not available.
    #[error(transparent)]
    Bind(#[from] BindError),
}

impl ServerError {
    /// Whether the address is in use.
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
    fixture: Option<Fixture>,
    #[cfg(feature = "connect")]
    kubelet: Option<Arc<dyn kubelet::Kubelet>>,
    names: Vec<String>,
}

impl Server {
    /// Binds the address of `options`.
    ///
    /// # Errors
    /// If the address is not available, or not allowed.
    pub async fn bind(options: Options) -> Result<Self, ServerError> {
        let address = options.listen;
        if !address.ip().is_loopback() && !options.allow_remote {
            return Err(ServerError::Remote(address));
        }
        let failed = |reason| BindError { address, transport: "TCP", reason };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Server {
            listener,
            address,
            options,
            queries: None,
            upstream: Vec::new(),
            fixture: None,
            names: Vec::new(),
            #[cfg(feature = "connect")]
            kubelet: None,
        })
    }

    /// The bound address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves the DNS queries recorded in `queries`. Without it, requests for them are refused.
    #[must_use]
    pub fn with_queries(self, queries: QueryLog) -> Self {
        Server { queries: Some(queries), ..self }
    }

    /// Sets the servers to which the DNS forwards queries outside the cluster, for explanations.
    #[must_use]
    pub fn with_upstream(self, upstream: Vec<SocketAddr>) -> Self {
        Server { upstream, ..self }
    }

    /// Serves the verbs of `fixture` below `/fixture/`. Without it there are none.
    #[must_use]
    pub fn with_fixture(self, fixture: Fixture) -> Self {
        Server { fixture: Some(fixture), ..self }
    }

    /// Sets the kubelets, which answer requests about what runs in pods. Without them, such requests are refused.
    #[cfg(feature = "connect")]
    #[must_use]
    pub fn with_kubelet(self, kubelet: Arc<dyn kubelet::Kubelet>) -> Self {
        Server { kubelet: Some(kubelet), ..self }
    }

    /// Answers requests for other hosts than the bound address: names and addresses that lead pods of the cluster to this server. A
    /// web page must not be able to have one of these names.
    #[must_use]
    pub fn with_names(self, names: Vec<String>) -> Self {
        Server { names, ..self }
    }

    /// Answers requests for the cluster of `driver` until `shutdown` resolves. Then watches end, and requests in progress
    /// are answered for a moment.
    pub async fn serve(self, driver: Driver, shutdown: impl Future<Output = ()>) {
        let Server {
            listener,
            address,
            options,
            queries,
            upstream,
            fixture,
            names,
            #[cfg(feature = "connect")]
            kubelet,
        } = self;
        let (stop, stopped) = stopping::channel(false);
        let api = Arc::new(Api {
            driver,
            fixture,
            journal: Default::default(),
            queries,
            upstream,
            address,
            guard: Guard { remote: options.allow_remote, bound: address, names },
            limits: options.limits,
            #[cfg(feature = "connect")]
            kubelet,
            stop: stopped.clone(),
        });
        let mut shutdown = pin!(shutdown);
        let limits =
            Limits { connections: options.limits.connections.min(Shares::now().api), ..options.limits };
        let mut serving = pin!(server::serve(listener, limits, stopped, move |request| {
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
