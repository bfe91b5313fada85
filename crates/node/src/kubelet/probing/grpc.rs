//! The health check of gRPC (`pkg/probe/grpc`; `grpc.health.v1.Health/Check`): one message of one field each way. Must not depend on
//! thresholds.

use std::net::SocketAddr;

use http_body_util::{BodyExt, Full, Limited};
use hyper::HeaderMap;
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::{Asker, Outcome};

/// Maximum size of a reply, in bytes: a health check takes seven.
const MAX_REPLY: usize = 64 << 10;

/// Names of `HealthCheckResponse.ServingStatus`, by number.
const STATUSES: [&str; 4] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];

/// The status that a health check succeeds with.
const SERVING: u64 = 1;

/// Names of status codes of gRPC as Go writes them, by number.
const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

/// `Unimplemented`.
const UNIMPLEMENTED: usize = 12;

/// Asks the server at `to` for the health of `service`.
pub(super) async fn check(asker: &Asker<'_>, to: SocketAddr, service: &str) -> Outcome {
    let unreached =
        |why: String| Outcome::Failure(format!("error: failed to connect service at \"{to}\": {why}"));
    let stream = match asker.connect(to).await {
        Ok(stream) => stream,
        Err(why) => return unreached(why),
    };
    let shaken = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = match shaken {
        Ok(shaken) => shaken,
        Err(error) => return unreached(error.to_string()),
    };
    tokio::spawn(connection);
    let failed = |why: String| Outcome::Failure(format!("error: health rpc probe failed: {why}"));
    let request = hyper::Request::post(format!("http://{to}/grpc.health.v1.Health/Check"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", format!("{}/1.36", asker.agent))
        .body(Full::new(Bytes::from(request(service))));
    let request = match request {
        Ok(request) => request,
        Err(error) => return failed(error.to_string()),
    };
    let response = match sender.send_request(request).await {
        Ok(response) => response,
        Err(error) => return failed(format!("rpc error: code = Unavailable desc = {error}")),
    };
    let headers = response.headers().clone();
    let body = match Limited::new(response.into_body(), MAX_REPLY).collect().await {
        Ok(body) => body,
        Err(error) => return failed(format!("rpc error: code = Unavailable desc = {error}")),
    };
    let trailers = body.trailers().cloned().unwrap_or_default();
    outcome([&trailers, &headers], &body.to_bytes())
}

/// What a reply comes to, whose status is in its trailers or, without a message, in its headers.
fn outcome(headers: [&HeaderMap; 2], body: &[u8]) -> Outcome {
    let of = |name: &str| headers.iter().find_map(|headers| headers.get(name)?.to_str().ok());
    let failed = |why: String| Outcome::Failure(format!("error: health rpc probe failed: {why}"));
    let Some(code) = of("grpc-status").and_then(|code| code.parse::<usize>().ok()) else {
        return failed("rpc error: code = Unknown desc = the reply has no grpc-status".into());
    };
    let message = of("grpc-message").unwrap_or_default();
    match code {
        0 => {}
        UNIMPLEMENTED => {
            return Outcome::Failure(format!(
                "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): {message}"
            ));
        }
        code => {
            let name = CODES.get(code).copied().unwrap_or("Unknown");
            return failed(format!("rpc error: code = {name} desc = {message}"));
        }
    }
    match serving_status(body) {
        Some(SERVING) => Outcome::Success,
        Some(status) => {
            let name = usize::try_from(status).ok().and_then(|status| STATUSES.get(status)).copied();
            let name = name.map_or_else(|| status.to_string(), str::to_string);
            Outcome::Failure(format!("service unhealthy (responded with \"{name}\")"))
        }
        None => failed("rpc error: code = Internal desc = the reply is not a HealthCheckResponse".into()),
    }
}

/// A HealthCheckRequest, with its length before it: field 1 is the name of the service.
fn request(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(1 << 3 | 2);
        let mut length = service.len();
        while length >= 0x80 {
            message.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        message.push(length as u8);
        message.extend_from_slice(service.as_bytes());
    }
    // Not compressed, and its length.
    let mut framed = vec![0];
    framed.extend_from_slice(&(message.len() as u32).to_be_bytes());
    framed.extend(message);
    framed
}

/// Field 1 of a HealthCheckResponse, which is 0 where it is left out.
fn serving_status(body: &[u8]) -> Option<u64> {
    let length = u32::from_be_bytes(body.get(1..5)?.try_into().ok()?);
    let message = body.get(5..)?;
    if body[0] != 0 || message.len() != usize::try_from(length).ok()? {
        return None;
    }
    match message {
        [] => Some(0),
        [0x08, status] if *status < 0x80 => Some(u64::from(*status)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(code: &str, message: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-status", code.parse().unwrap());
        headers.insert("grpc-message", message.parse().unwrap());
        headers
    }

    #[test]
    fn requests_are_length_prefixed() {
        assert_eq!(request(""), [0, 0, 0, 0, 0]);
        assert_eq!(request("db"), [0, 0, 0, 0, 4, 0x0a, 2, b'd', b'b']);
        let long = "s".repeat(300);
        assert_eq!(request(&long)[..8], [0, 0, 0, 1, 47, 0x0a, 0xac, 2]);
    }

    /// Status code and message of gRPC, body, and the message of the Event; an empty one is success.
    #[test]
    fn replies_and_their_outcomes() {
        let serving: &[u8] = &[0, 0, 0, 0, 2, 8, 1];
        let table: [(&str, &str, &[u8], &str); 8] = [
            ("0", "", serving, ""),
            ("0", "", &[0, 0, 0, 0, 2, 8, 2], "service unhealthy (responded with \"NOT_SERVING\")"),
            ("0", "", &[0, 0, 0, 0, 0], "service unhealthy (responded with \"UNKNOWN\")"),
            ("0", "", &[0, 0, 0, 0, 2, 8, 9], "service unhealthy (responded with \"9\")"),
            (
                "0",
                "",
                b"<html>",
                "error: health rpc probe failed: rpc error: code = Internal desc = the reply is not a HealthCheckResponse",
            ),
            (
                "5",
                "unknown service",
                &[],
                "error: health rpc probe failed: rpc error: code = NotFound desc = unknown service",
            ),
            (
                "12",
                "no",
                &[],
                "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): no",
            ),
            (
                "x",
                "",
                serving,
                "error: health rpc probe failed: rpc error: code = Unknown desc = the reply has no grpc-status",
            ),
        ];
        for (code, message, body, expected) in table {
            let outcome = outcome([&headers(code, message), &HeaderMap::new()], body);
            let expected =
                if expected.is_empty() { Outcome::Success } else { Outcome::Failure(expected.to_string()) };
            assert_eq!(outcome, expected, "{code} {body:?}");
        }
    }
}
