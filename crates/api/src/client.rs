//! The other end: requests to a running server, for the verbs of the program. It must not know which server that is.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue, USER_AGENT, WARNING};
use hyper::{Method, Request, Response};
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
    answer_within(PATIENCE, address, exchange(address, method, path, body)).await
}

/// As [`ask`], and what the server warns of.
///
/// # Errors
/// As [`ask`].
pub async fn ask_warned(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: Option<(&str, &Value)>,
) -> Result<(Value, Vec<String>), ClientError> {
    let mut warnings = Vec::new();
    let exchange = async {
        let response = send(address, method, path, body).await?;
        warnings.extend(response.headers().get_all(WARNING).iter().filter_map(warning));
        let code = response.status().as_u16();
        let answer = Limited::new(response.into_body(), ANSWER_BYTES).collect().await?.to_bytes();
        Ok((code, answer))
    };
    let answer = answer_within(PATIENCE, address, exchange).await?;
    Ok((answer, warnings))
}

/// The text of a header `299 - "TEXT"` (RFC 9111, 5.5).
fn warning(header: &HeaderValue) -> Option<String> {
    let text = header.to_str().ok()?.split_once('"')?.1.strip_suffix('"')?;
    Some(text.replace("\\\"", "\"").replace("\\\\", "\\"))
}

/// Asks the API at `address` for what is at `path`, which the server may take `within` to find out.
///
/// # Errors
/// As [`ask`].
pub async fn wait(address: SocketAddr, path: &str, within: Duration) -> Result<Value, ClientError> {
    answer_within(PATIENCE.saturating_add(within), address, exchange(address, "GET", path, None)).await
}

/// Hands every event of the watch at `path` to `told`, until that says that it was the last, or the server ends it.
///
/// # Errors
/// As [`ask`].
pub async fn follow(
    address: SocketAddr,
    path: &str,
    mut told: impl FnMut(&Value) -> bool,
) -> Result<(), ClientError> {
    let unreachable = |error: Failed| ClientError::Unreachable { address, why: error.to_string() };
    let begun = timeout(PATIENCE, send(address, "GET", path, None)).await;
    let response = begun.unwrap_or_else(|_| Err(silence(PATIENCE))).map_err(unreachable)?;
    let code = response.status().as_u16();
    let mut body = response.into_body();
    if code != 200 {
        let answer = Limited::new(body, ANSWER_BYTES).collect().await.map_err(unreachable)?;
        return Err(refused(code, &answer.to_bytes()));
    }
    let mut text = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| unreachable(error.into()))?.into_data() else { continue };
        text.extend_from_slice(&data);
        while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
            let event: Value = serde_json::from_slice(&text[..end]).unwrap_or_default();
            text.drain(..=end);
            if !told(&event) {
                return Ok(());
            }
        }
        if text.len() > ANSWER_BYTES {
            return Err(unreachable("an event is too long".into()));
        }
    }
    Ok(())
}

/// `path` with parameters behind it.
pub fn with_parameters<'a>(path: &str, parameters: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters);
    match query.finish() {
        query if query.is_empty() => path.into(),
        query => format!("{path}?{query}"),
    }
}

/// What an exchange comes to, if it comes to something in time.
async fn answer_within(
    patience: Duration,
    address: SocketAddr,
    exchange: impl Future<Output = Result<(u16, Bytes), Failed>>,
) -> Result<Value, ClientError> {
    let exchanged = timeout(patience, exchange).await.unwrap_or_else(|_| Err(silence(patience)));
    let (code, answer) =
        exchanged.map_err(|error| ClientError::Unreachable { address, why: error.to_string() })?;
    match code {
        200..300 => Ok(serde_json::from_slice(&answer).unwrap_or_default()),
        _ => Err(refused(code, &answer)),
    }
}

fn silence(patience: Duration) -> Failed {
    format!("no answer within {} s", patience.as_secs()).into()
}

/// What the server says where it says no.
fn refused(code: u16, answer: &[u8]) -> ClientError {
    let json: Value = serde_json::from_slice(answer).unwrap_or_default();
    let message =
        json["message"].as_str().map_or_else(|| format!("the server answered {code}"), String::from);
    ClientError::Refused { code, message }
}

type Failed = Box<dyn std::error::Error + Send + Sync>;

async fn exchange(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: Option<(&str, &Value)>,
) -> Result<(u16, Bytes), Failed> {
    let response = send(address, method, path, body).await?;
    let code = response.status().as_u16();
    let answer = Limited::new(response.into_body(), ANSWER_BYTES).collect().await?.to_bytes();
    Ok((code, answer))
}

/// Sends a request over a connection of its own, which lasts as long as somebody reads the answer.
async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: Option<(&str, &Value)>,
) -> Result<Response<Incoming>, Failed> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
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
    Ok(sender.send_request(request.body(Full::new(bytes))?).await?)
}
