//! HTTP requests to the API of a running server. Must not depend on which server that is.

use std::error::Error;
use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT, WARNING};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

/// Maximum time until the whole answer of a server.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Maximum length of an answer, and of an event of a watch, in bytes.
const ANSWER_BYTES: usize = 256 << 20;

/// Why a request failed.
#[derive(Debug)]
pub enum ClientError {
    /// No answer over HTTP.
    Unreachable {
        /// The server that was asked.
        address: SocketAddr,
        /// What went wrong.
        why: String,
    },
    /// The server refuses the request.
    Refused {
        /// The HTTP status code.
        code: u16,
        /// The `message` of its Status.
        message: String,
    },
}

impl std::fmt::Display for ClientError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ClientError::Unreachable { address, why } => write!(
                f,
                "cannot reach the API at http://{address}: {why}; is the server running, with this --api address?"
            ),
            ClientError::Refused { message, .. } => f.write_str(message),
        }
    }
}

/// Sends one request to the API at `address`, with `body` as JSON of the media type `content_type`, and returns the JSON of the
/// answer.
///
/// # Errors
/// If there is no answer, or the request is refused.
pub fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: Option<(&str, &Value)>,
) -> Result<Value, ClientError> {
    ask_warned(address, method, path, body).map(|(answer, _)| answer)
}

/// As [`ask`], with the warnings of the server.
///
/// # Errors
/// As [`ask`].
pub fn ask_warned(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: Option<(&str, &Value)>,
) -> Result<(Value, Vec<String>), ClientError> {
    let call = Call { address, method, path, body };
    call.answer(ANSWER_TIMEOUT)
}

/// Gets `path` of the API at `address`, for which the server may take `longer` than usual.
///
/// # Errors
/// As [`ask`].
pub fn wait(address: SocketAddr, path: &str, longer: Duration) -> Result<Value, ClientError> {
    let call = Call { address, method: "GET", path, body: None };
    Ok(call.answer(ANSWER_TIMEOUT.saturating_add(longer))?.0)
}

/// Passes every event of the watch at `path` to `handle`, until that returns false or the server ends the watch.
///
/// # Errors
/// As [`ask`].
pub fn follow(
    address: SocketAddr,
    path: &str,
    mut handle: impl FnMut(&Value) -> bool,
) -> Result<(), ClientError> {
    let call = Call { address, method: "GET", path, body: None };
    let runtime = call.runtime()?;
    let response = call.within(&runtime, ANSWER_TIMEOUT, call.send())?;
    if response.status() != 200 {
        return call.within(&runtime, ANSWER_TIMEOUT, read(response)).and_then(parsed).map(drop);
    }
    let mut body = response.into_body();
    let mut line = Vec::new();
    // The body of a watch has no time limit.
    while let Some(frame) = runtime.block_on(body.frame()) {
        let frame = frame.map_err(|error| call.unreachable(cause(&error)))?;
        let Ok(bytes) = frame.into_data() else { continue };
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            if line.len() + part.len() > ANSWER_BYTES {
                return Err(call.unreachable("an event is longer than 256 MiB"));
            }
            line.extend_from_slice(part);
            if line.ends_with(b"\n") {
                if !handle(&serde_json::from_slice(&line).unwrap_or_default()) {
                    return Ok(());
                }
                line.clear();
            }
        }
    }
    Ok(())
}

/// Copies the body at `path`, which may go on for any time, to `out`. A reader that closes the pipe early ends it.
///
/// # Errors
/// As [`ask`].
pub fn copy(address: SocketAddr, path: &str, out: &mut dyn Write) -> Result<(), ClientError> {
    let call = Call { address, method: "GET", path, body: None };
    let runtime = call.runtime()?;
    let response = call.within(&runtime, ANSWER_TIMEOUT, call.send())?;
    if !response.status().is_success() {
        return call.within(&runtime, ANSWER_TIMEOUT, read(response)).and_then(parsed).map(drop);
    }
    let mut body = response.into_body();
    while let Some(frame) = runtime.block_on(body.frame()) {
        let frame = frame.map_err(|error| call.unreachable(cause(&error)))?;
        let Ok(bytes) = frame.into_data() else { continue };
        if out.write_all(&bytes).and_then(|()| out.flush()).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// `path` with `parameters` as its query.
pub fn with_parameters<'a>(path: &str, parameters: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters);
    match query.finish() {
        query if query.is_empty() => path.into(),
        query => format!("{path}?{query}"),
    }
}

/// A request, over its own connection.
struct Call<'a> {
    address: SocketAddr,
    method: &'a str,
    path: &'a str,
    /// The media type, and the JSON.
    body: Option<(&'a str, &'a Value)>,
}

impl Call<'_> {
    fn runtime(&self) -> Result<Runtime, ClientError> {
        Builder::new_current_thread().enable_all().build().map_err(|error| self.unreachable(cause(&error)))
    }

    /// The JSON of the answer and the warnings of the server, which has to answer within `time`.
    fn answer(&self, time: Duration) -> Result<(Value, Vec<String>), ClientError> {
        let whole = async { read(self.send().await?).await };
        let answer = self.within(&self.runtime()?, time, whole)?;
        let warnings = answer.headers().get_all(WARNING).iter().filter_map(warning).collect();
        Ok((parsed(answer)?, warnings))
    }

    /// The result of a `step` of the request, which may take `time`.
    fn within<T>(
        &self,
        runtime: &Runtime,
        time: Duration,
        step: impl Future<Output = Result<T, Failed>>,
    ) -> Result<T, ClientError> {
        match runtime.block_on(async { timeout(time, step).await }) {
            Ok(result) => result.map_err(|error| self.unreachable(cause(&*error))),
            Err(_) => Err(self.unreachable(format!("no answer within {} s", time.as_secs()))),
        }
    }

    /// Sends the request, and returns the head of the answer.
    async fn send(&self) -> Result<Response<Incoming>, Failed> {
        let stream = TcpStream::connect(self.address).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let mut request = Request::builder()
            .method(self.method)
            .uri(self.path)
            .header(HOST, self.address.to_string())
            .header(USER_AGENT, concat!("clusterlocal/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, "*/*");
        let mut sent = Bytes::new();
        if let Some((content_type, json)) = self.body {
            request = request.header(CONTENT_TYPE, content_type);
            sent = json.to_string().into();
        }
        Ok(sender.send_request(request.body(Full::new(sent))?).await?)
    }

    fn unreachable(&self, why: impl Into<String>) -> ClientError {
        ClientError::Unreachable { address: self.address, why: why.into() }
    }
}

/// The first cause of `error`: hyper's errors have the system's as their source.
fn cause(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// Why there is no answer over HTTP.
type Failed = Box<dyn Error + Send + Sync>;

/// Reads the body of an answer.
async fn read(response: Response<Incoming>) -> Result<Response<Bytes>, Failed> {
    let (head, body) = response.into_parts();
    Ok(Response::from_parts(head, Limited::new(body, ANSWER_BYTES).collect().await?.to_bytes()))
}

/// The JSON of an answer, or the message of its Status.
fn parsed(answer: Response<Bytes>) -> Result<Value, ClientError> {
    let json: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    if answer.status().is_success() {
        return Ok(json);
    }
    let code = answer.status().as_u16();
    let message = json["message"].as_str();
    let message = message.map_or_else(|| format!("the server answered {code}"), String::from);
    Err(ClientError::Refused { code, message })
}

/// The text of a header `299 - "TEXT"` (RFC 9111, 5.5).
fn warning(header: &HeaderValue) -> Option<String> {
    let text = header.to_str().ok()?.split_once('"')?.1.strip_suffix('"')?;
    Some(text.replace("\\\"", "\"").replace("\\\\", "\\"))
}
