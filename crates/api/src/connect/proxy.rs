//! The proxy to pods and Services: requests with every method, answers, and upgraded connections (`apimachinery/pkg/util/proxy`,
//! `upgradeaware.go`). Must not depend on where the pod is.

use std::sync::Arc;

use http_body_util::{BodyExt, Either};
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, LOCATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;

use super::location::Location;
use super::websocket::has_token;
use super::{Connect, in_go, rewrite};
use crate::http::places;
use crate::http::reply::{Body, Streamed};
use crate::http::server::{stopped, unlimited};
use crate::http::status::Status;
use crate::schema::resource::Held;
use crate::verbs::call::Api;
use clusterlocal_core::store::Kind;

/// Headers of one connection, which are not passed on (Go's `httputil.ReverseProxy`).
const HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("proxy-authenticate"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Headers of answers that would allow pages of other sites to read them (`removeCORSHeaders`).
const CORS: [HeaderName; 4] = [
    HeaderName::from_static("access-control-allow-credentials"),
    HeaderName::from_static("access-control-allow-headers"),
    HeaderName::from_static("access-control-allow-methods"),
    HeaderName::from_static("access-control-allow-origin"),
];

impl Connect {
    pub(super) async fn proxy(self, request: Request<Incoming>) -> Result<Response<Body>, Status> {
        if !matches!(self.place.resource.held, Held::Store(Kind::Pod | Kind::Service)) {
            return Err(Status::simulated(
                "nodes have no proxy here: the proxy of a pod or Service reaches it",
            ));
        }
        let location = self.location().await?;
        let (prefix, path) = parts(request.uri().path());
        if path.is_empty()
            && matches!(*request.method(), Method::GET | Method::HEAD)
            && !is_upgrade(request.headers())
        {
            return Ok(with_slash(request.uri()));
        }
        if location.is_https {
            return Err(Status::simulated("the proxy does not speak TLS to pods: leave out https:"));
        }
        let asked =
            request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default().to_owned();
        let prefix = prefix.to_owned();
        let stream = self.kubelet.dial(location.address).await;
        let stream = stream.map_err(|error| {
            let dialed = format!("dial tcp {}: {}", location.address, in_go(&error));
            unreachable(format!(
                "{}{dialed}",
                if is_upgrade(request.headers()) { "error dialing backend: " } else { "" }
            ))
        })?;
        let mut response = self.pass(request, stream, &prefix, &location).await?;
        let headers = response.headers_mut();
        if let Some(given) = headers.get(LOCATION).and_then(|given| given.to_str().ok()) {
            let led = rewrite::location(given, &prefix, &location.host, &asked);
            if let Ok(led) = HeaderValue::try_from(led) {
                headers.insert(LOCATION, led);
            }
        }
        for name in CORS {
            headers.remove(name);
        }
        Ok(response)
    }

    /// Sends the request to a pod, and returns its answer. If both upgrade, their connections become one.
    async fn pass(
        self,
        mut request: Request<Incoming>,
        stream: TcpStream,
        prefix: &str,
        location: &Location,
    ) -> Result<Response<Body>, Status> {
        let failed =
            |error: &dyn std::fmt::Display| unreachable(format!("read tcp {}: {error}", location.address));
        let upgrades = is_upgrade(request.headers());
        let client = upgrades.then(|| hyper::upgrade::on(&mut request));
        let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| failed(&error))?;
        let mut stop = self.api.stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = connection.with_upgrades() => {}
                () = stopped(&mut stop) => {}
            }
        });
        let request = outgoing(request, prefix, upgrades)?;
        let mut response = sender.send_request(request).await.map_err(|error| failed(&error))?;
        if upgrades && response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let pod = hyper::upgrade::on(&mut response);
            if let Some(client) = client {
                tokio::spawn(join(client, pod, self.api, self.busy));
            }
            return Ok(response.map(|_| Either::Left(Default::default())));
        }
        if upgrades && response.status().as_u16() < 400 {
            let code = response.status().as_u16();
            return Err(Status::internal(format!("invalid upgrade response: status code {code}")));
        }
        without_hop_by_hop(response.headers_mut());
        if let Some(busy) = self.busy {
            response.extensions_mut().insert(busy);
        }
        Ok(response.map(|body| Either::Right(streamed(body))))
    }
}

/// The path up to the proxy, and the rest, both as they were sent: `/api/v1/namespaces/NS/pods/NAME/proxy` has seven components.
fn parts(path: &str) -> (&str, &str) {
    let slash = path.match_indices('/').nth(7).map_or(path.len(), |(at, _)| at);
    path.split_at(slash)
}

fn is_upgrade(headers: &HeaderMap) -> bool {
    has_token(headers, CONNECTION, "upgrade")
}

/// Relative links of a page need the slash at its end (`proxyRedirectsforRootPath`).
fn with_slash(uri: &Uri) -> Response<Body> {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut response = Response::new(Either::Left(Default::default()));
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    if let Ok(location) = HeaderValue::try_from(format!("{}/{query}", uri.path())) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// The request as the pod gets it.
fn outgoing(request: Request<Incoming>, prefix: &str, upgrades: bool) -> Result<Request<Incoming>, Status> {
    let (mut parts, body) = request.into_parts();
    let (_, path) = self::parts(parts.uri.path());
    let mut forwarded = rewrite::join(prefix, path);
    if path.ends_with('/') && !forwarded.ends_with('/') {
        forwarded.push('/');
    }
    let path = if path.is_empty() { "/" } else { path };
    let query = parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    parts.uri = format!("{path}{query}").parse().map_err(|_| Status::bad_request("the path is invalid"))?;
    let upgrade = parts.headers.get(UPGRADE).cloned();
    without_hop_by_hop(&mut parts.headers);
    if let (true, Some(upgrade)) = (upgrades, upgrade) {
        parts.headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        parts.headers.insert(UPGRADE, upgrade);
    }
    if let Ok(forwarded) = HeaderValue::try_from(forwarded) {
        parts.headers.insert("x-forwarded-uri", forwarded);
    }
    parts.extensions.clear();
    Ok(Request::from_parts(parts, body))
}

/// Removes what is about one connection, with the headers that `Connection` names.
fn without_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<String> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    for name in named.iter().filter_map(|name| HeaderName::try_from(name.as_str()).ok()).chain(HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// The body of a pod's answer.
fn streamed(mut body: Incoming) -> Streamed {
    Streamed::new(async move {
        loop {
            match body.frame().await? {
                // Trailers are left out.
                Ok(frame) => match frame.into_data() {
                    Ok(bytes) if !bytes.is_empty() => return Some((bytes, streamed(body))),
                    _ => {}
                },
                Err(_) => return Some((Bytes::new(), Streamed::broken())),
            }
        }
    })
}

/// Makes one connection of two that were upgraded, until both ends or the server have ended it.
async fn join(
    client: hyper::upgrade::OnUpgrade,
    pod: hyper::upgrade::OnUpgrade,
    api: Arc<Api>,
    _busy: Option<Arc<places::Busy>>,
) {
    let (Ok(client), Ok(pod)) = (client.await, pod.await) else { return };
    let (Some((mut client, read)), mut pod) = (unlimited(client), TokioIo::new(pod)) else { return };
    let copied = async {
        pod.write_all(&read).await?;
        copy_bidirectional(&mut client, &mut pod).await
    };
    let mut stop = api.stop.clone();
    tokio::select! {
        _ = copied => {}
        () = stopped(&mut stop) => {}
    }
}

fn unreachable(why: String) -> Status {
    Status::service_unavailable(format!("error trying to reach service: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_divided_at_the_proxy() {
        let table = [
            ("/api/v1/namespaces/n/pods/p/proxy", ("/api/v1/namespaces/n/pods/p/proxy", "")),
            ("/api/v1/namespaces/n/pods/p/proxy/", ("/api/v1/namespaces/n/pods/p/proxy", "/")),
            (
                "/api/v1/namespaces/n/pods/p:80/proxy/a%2Fb//c/",
                ("/api/v1/namespaces/n/pods/p:80/proxy", "/a%2Fb//c/"),
            ),
            (
                "/api/v1/namespaces/proxy/pods/proxy/proxy/proxy",
                ("/api/v1/namespaces/proxy/pods/proxy/proxy", "/proxy"),
            ),
        ];
        for (path, expected) in table {
            assert_eq!(parts(path), expected);
        }
    }

    #[test]
    fn headers_of_a_connection_stay_there() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Once"),
            ("x-once", "1"),
            ("transfer-encoding", "chunked"),
            ("x-kept", "2"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        without_hop_by_hop(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-kept"]);
    }
}
