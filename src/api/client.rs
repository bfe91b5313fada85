//! The other end: one request to a running server, for the verbs of the program. It must not know which server that is.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a server may take for its answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest answer that is read, in bytes.
const ANSWER_BYTES: usize = 256 << 20;

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers, or not with HTTP.
    #[error(
        "cannot ask the API at http://{address}: {why}; is the server running, and is that its --api address?"
    )]
    Unreachable {
        /// Who was asked.
        address: SocketAddr,
        /// What went wrong.
        why: String,
    },
    /// The server says no, and why.
    #[error("{message}")]
    Refused {
        /// The HTTP status code.
        code: u16,
        /// The `message` of its Status.
        message: String,
    },
}

/// Sends one request to the API at `address`, with `body` as JSON of the media type `content_type`, and returns the
/// JSON that it is answered with.
///
/// # Errors
/// Where no answer comes, or one that says no.
pub async fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: Option<(&str, &Value)>,
) -> Result<Value, ClientError> {
    let exchanged = timeout(PATIENCE, exchange(address, method, path, body)).await;
    let exchanged =
        exchanged.unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs()).into()));
    let (code, answer) =
        exchanged.map_err(|error| ClientError::Unreachable { address, why: error.to_string() })?;
    let json: Value = serde_json::from_slice(&answer).unwrap_or_default();
    if (200..300).contains(&code) {
        return Ok(json);
    }
    let message =
        json["message"].as_str().map_or_else(|| format!("the server answered {code}"), String::from);
    Err(ClientError::Refused { code, message })
}

type Failed = Box<dyn std::error::Error + Send + Sync>;

async fn exchange(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: Option<(&str, &Value)>,
) -> Result<(u16, Bytes), Failed> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let mut request = Request::builder()
        .method(Method::from_bytes(method.as_bytes())?)
        .uri(path)
        .header(HOST, address.to_string())
        .header(USER_AGENT, concat!("clusterlocal/", env!("CARGO_PKG_VERSION")));
    let mut bytes = Bytes::new();
    if let Some((content_type, json)) = body {
        request = request.header(CONTENT_TYPE, content_type);
        bytes = json.to_string().into();
    }
    let response = sender.send_request(request.body(Full::new(bytes))?).await?;
    let code = response.status().as_u16();
    let answer = Limited::new(response.into_body(), ANSWER_BYTES).collect().await?.to_bytes();
    connection.abort();
    Ok((code, answer))
}
