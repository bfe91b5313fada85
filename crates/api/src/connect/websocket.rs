//! Upgrades to WebSocket (RFC 6455). Must not depend on what is sent over it.

use std::time::Duration;

use futures_util::StreamExt;
use http_body_util::Either;
use hyper::body::Incoming;
use hyper::header::{
    CONNECTION, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::{Request, Response, StatusCode};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};

use crate::http::reply::Body;
use crate::http::server::{ClientStream, unlimited};
use crate::http::status::Status;

/// A WebSocket to a client.
pub(super) type Socket = WebSocketStream<ClientStream>;

/// Maximum size of a message, in bytes. kubectl sends at most 32 KiB and a byte in one.
const MAX_MESSAGE: usize = 1 << 20;

/// Maximum time without a message of the client or to it: the default of the kubelet's `streamingConnectionIdleTimeout`.
pub(super) const IDLE_LIMIT: Duration = Duration::from_secs(4 * 3600);

/// Maximum time from the last message to the client to its end of the connection.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// The first of `protocols` that the request offers.
///
/// # Errors
/// If it is no upgrade, one to SPDY, or one without any of these protocols.
pub(super) fn negotiate(headers: &HeaderMap, protocols: &[&'static str]) -> Result<&'static str, Status> {
    if !has_token(headers, CONNECTION, "upgrade") {
        return Err(Status::bad_request("Upgrade request required"));
    }
    if !has_token(headers, UPGRADE, "websocket") {
        return Err(Status::unsupported_upgrade());
    }
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13")
        || !headers.contains_key(SEC_WEBSOCKET_KEY)
    {
        return Err(Status::bad_request("the request is no WebSocket handshake of version 13"));
    }
    let offered = |protocol: &&&'static str| has_token(headers, SEC_WEBSOCKET_PROTOCOL, protocol);
    let chosen = protocols.iter().find(offered).copied();
    chosen.ok_or_else(|| {
        let protocols = protocols.join(", ");
        Status::bad_request(format!(
            "the client offers none of the WebSocket subprotocols of this server: {protocols}"
        ))
    })
}

/// Whether a header has `token` in its list.
pub(super) fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|one| one.trim().eq_ignore_ascii_case(token))
}

/// Accepts the upgrade of a request that [`negotiate`] allows. The socket follows after the response.
pub(super) fn accept(
    mut request: Request<Incoming>,
    protocol: &'static str,
) -> (Response<Body>, impl Future<Output = Option<Socket>>) {
    let key = request.headers().get(SEC_WEBSOCKET_KEY).map_or(&b""[..], HeaderValue::as_bytes);
    let accepted = HeaderValue::try_from(derive_accept_key(key)).unwrap_or(HeaderValue::from_static(""));
    let mut response = Response::new(Either::Left(Default::default()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accepted);
    headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
    let upgrade = hyper::upgrade::on(&mut request);
    let socket = async move {
        let (stream, read) = unlimited(upgrade.await.ok()?)?;
        let config =
            WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE));
        Some(WebSocketStream::from_partially_read(stream, read.into(), Role::Server, Some(config)).await)
    };
    (response, socket)
}

/// Closes the connection, once the client has read what it was sent: it would lose that if data of its own was not read.
pub(super) async fn close(mut socket: Socket) {
    let closing = async {
        // kubectl reports all other codes as errors.
        let normal = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        if socket.close(Some(normal)).await.is_ok() {
            while let Some(Ok(_)) = socket.next().await {}
        }
    };
    _ = timeout(CLOSE_LIMIT, closing).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    type Headers = Vec<(&'static str, &'static str)>;
    type Chosen = Result<&'static str, (u16, &'static str)>;

    /// Headers of a request, and the protocol or the code and a part of the message.
    #[test]
    fn the_newest_protocol_of_both_is_used() {
        let handshake = [
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "a2V5"),
        ];
        let with =
            |protocol: &'static str| [&handshake[..], &[("sec-websocket-protocol", protocol)]].concat();
        let table: [(Headers, Chosen); 6] = [
            (with("v5.channel.k8s.io"), Ok("v5.channel.k8s.io")),
            (with("v4.channel.k8s.io, v5.channel.k8s.io"), Ok("v5.channel.k8s.io")),
            (with("v4.channel.k8s.io"), Ok("v4.channel.k8s.io")),
            (with("channel.k8s.io"), Err((400, "v5.channel.k8s.io, v4.channel.k8s.io"))),
            (vec![], Err((400, "Upgrade request required"))),
            (vec![("connection", "Upgrade"), ("upgrade", "SPDY/3.1")], Err((501, "kubectl 1.31"))),
        ];
        for (headers, expected) in table {
            let mut all = HeaderMap::new();
            for (name, value) in &headers {
                all.append(*name, HeaderValue::from_static(value));
            }
            match (negotiate(&all, &["v5.channel.k8s.io", "v4.channel.k8s.io"]), expected) {
                (Ok(protocol), Ok(expected)) => assert_eq!(protocol, expected),
                (Err(status), Err((code, part))) => {
                    assert!(status.code == code && status.message.contains(part), "{headers:?} {status:?}");
                }
                (result, _) => panic!("{headers:?} {result:?}"),
            }
        }
    }
}
