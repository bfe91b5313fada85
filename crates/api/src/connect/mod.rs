//! Takes the place of kube-apiserver's connectors (`pkg/registry/core/pod/rest`, `apiserver/pkg/util/proxy`): requests that it passes
//! on to a kubelet, a pod or a Service. Must not depend on how pods run.

mod location;
mod log;
mod port_forward;
mod proxy;
mod remote_command;
mod rewrite;
mod spdy;
#[cfg(test)]
mod tests;
mod websocket;

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use serde_json::Value;

use crate::http::path::{Part, Place};
use crate::http::places;
use crate::http::reply::Body;
use crate::http::status::Status;
use crate::kubelet::Kubelet;
use crate::schema::resource::Held;
use crate::verbs::call::Api;
use crate::verbs::show;
use clusterlocal_core::ControlPlane;
use clusterlocal_core::store::Kind;

/// A request that is passed on.
pub(crate) struct Connect {
    api: Arc<Api>,
    kubelet: Arc<dyn Kubelet>,
    place: Place,
    /// The connection is not closed for others while this is kept.
    busy: Option<Arc<places::Busy>>,
}

/// What a request is passed on for.
enum Purpose {
    Log,
    Exec,
    Attach,
    PortForward,
    Proxy,
}

impl Purpose {
    fn of(place: &Place, method: &Method) -> Option<Purpose> {
        match (place.part, method) {
            (Part::Proxy, _) => Some(Purpose::Proxy),
            (Part::Subresource(part), &Method::GET) if part.name == "log" => Some(Purpose::Log),
            (Part::Subresource(part), &Method::GET | &Method::POST) => match part.name {
                "exec" => Some(Purpose::Exec),
                "attach" => Some(Purpose::Attach),
                "portforward" => Some(Purpose::PortForward),
                _ => None,
            },
            _ => None,
        }
    }
}

/// An error of a connection in Go's words.
fn in_go(error: &std::io::Error) -> String {
    use std::io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable, TimedOut};
    match error.kind() {
        ConnectionRefused => "connect: connection refused".into(),
        HostUnreachable => "connect: no route to host".into(),
        NetworkUnreachable => "connect: network is unreachable".into(),
        TimedOut => "i/o timeout".into(),
        _ => error.to_string(),
    }
}

/// Whether a request is passed on.
pub(crate) fn is_connect(place: &Place, method: &Method) -> bool {
    Purpose::of(place, method).is_some()
}

impl Connect {
    pub(crate) fn new(
        api: Arc<Api>,
        kubelet: Arc<dyn Kubelet>,
        place: Place,
        busy: Option<Arc<places::Busy>>,
    ) -> Self {
        Connect { api, kubelet, place, busy }
    }

    /// Passes the request on.
    pub(crate) async fn answer(self, request: Request<Incoming>) -> Result<Response<Body>, Status> {
        match Purpose::of(&self.place, request.method()) {
            Some(Purpose::Log) => self.log(request.uri().query().unwrap_or_default()).await,
            Some(Purpose::Exec) => self.remote_command(request, "exec").await,
            Some(Purpose::Attach) => self.remote_command(request, "attach").await,
            Some(Purpose::Proxy) => self.proxy(request).await,
            Some(Purpose::PortForward) => self.port_forward(request).await,
            None => Err(Status::method_not_supported()),
        }
    }

    /// The pod of the place, as the API shows it.
    async fn pod(&self) -> Result<Value, Status> {
        let (resource, namespace, name) =
            (self.place.resource, self.place.namespace.clone(), self.place.name.clone());
        self.read(move |cluster| {
            let place = Place { resource, namespace, name, part: Part::Whole };
            show::stored(cluster.store(), Kind::Pod, &place).map(|stored| show::rendered(stored, cluster))
        })
        .await
    }

    /// Reads the cluster, whose lock may be held for some time.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&ControlPlane) -> Result<T, Status> + Send + 'static,
    ) -> Result<T, Status> {
        let api = self.api.clone();
        let read = tokio::task::spawn_blocking(move || api.driver.read(read)).await;
        read.map_err(|_| Status::internal("the request handler failed; see the log"))?
    }

    /// Whether the place is of this kind.
    fn is_of(&self, kind: Kind) -> bool {
        matches!(self.place.resource.held, Held::Store(of) if of == kind)
    }
}
