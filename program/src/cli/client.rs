//! HTTP requests to the API of a running server. Must not depend on which server that is.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use ureq::config::Config;
use ureq::http::header::{CONTENT_TYPE, HeaderValue, WARNING};
use ureq::http::{Request, Response};
use ureq::{Agent, Body};

/// Maximum time until the whole answer of a server.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Maximum length of an answer, and of an event of a watch, in bytes.
const ANSWER_BYTES: u64 = 256 << 20;

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
    let response = send(within(ANSWER_TIMEOUT), address, method, path, body)
        .map_err(|error| unreachable(address, error, ANSWER_TIMEOUT))?;
    let warnings = response.headers().get_all(WARNING).iter().filter_map(warning).collect();
    Ok((answer(address, response, ANSWER_TIMEOUT)?, warnings))
}

/// Gets `path` of the API at `address`, for which the server may take `longer` than usual.
///
/// # Errors
/// As [`ask`].
pub fn wait(address: SocketAddr, path: &str, longer: Duration) -> Result<Value, ClientError> {
    let time = ANSWER_TIMEOUT.saturating_add(longer);
    let response = send(within(time), address, "GET", path, None);
    answer(address, response.map_err(|error| unreachable(address, error, time))?, time)
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
    let failed = |error| unreachable(address, error, ANSWER_TIMEOUT);
    // The body of a watch has no time limit.
    let config = Agent::config_builder()
        .timeout_connect(Some(ANSWER_TIMEOUT))
        .timeout_recv_response(Some(ANSWER_TIMEOUT));
    let response = send(config, address, "GET", path, None).map_err(failed)?;
    if response.status() != 200 {
        return answer(address, response, ANSWER_TIMEOUT).map(drop);
    }
    let mut lines = BufReader::new(response.into_body().into_reader());
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = lines.by_ref().take(ANSWER_BYTES).read_until(b'\n', &mut line);
        let length = read.map_err(|error| failed(error.into()))?;
        if line.pop_if(|last| *last == b'\n').is_some() {
            let event = serde_json::from_slice(&line).unwrap_or_default();
            if !handle(&event) {
                return Ok(());
            }
        } else if length as u64 == ANSWER_BYTES {
            return Err(ClientError::Unreachable { address, why: "an event is longer than 256 MiB".into() });
        } else {
            return Ok(());
        }
    }
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

type ConfigBuilder = ureq::config::ConfigBuilder<ureq::typestate::AgentScope>;

/// Configuration of a request with the maximum `time`.
fn within(time: Duration) -> ConfigBuilder {
    Agent::config_builder().timeout_global(Some(time))
}

/// Sends a request over its own connection. An HTTP error status is not an error here.
fn send(
    config: ConfigBuilder,
    address: SocketAddr,
    method: &str,
    path: &str,
    body: Option<(&str, &Value)>,
) -> Result<Response<Body>, ureq::Error> {
    let config: Config = config
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        // The server is on this machine or at an address of the command line.
        .proxy(None)
        .user_agent(concat!("clusterlocal/", env!("CARGO_PKG_VERSION")))
        .build();
    let agent = Agent::new_with_config(config);
    let request = Request::builder().method(method).uri(format!("http://{address}{path}"));
    match body {
        Some((content_type, json)) => {
            agent.run(request.header(CONTENT_TYPE, content_type).body(json.to_string())?)
        }
        None => agent.run(request.body(())?),
    }
}

/// The JSON of `response`; `time` is the timeout it was requested with.
fn answer(address: SocketAddr, response: Response<Body>, time: Duration) -> Result<Value, ClientError> {
    let code = response.status();
    let body = response.into_body().into_with_config().limit(ANSWER_BYTES).read_to_vec();
    let body = body.map_err(|error| unreachable(address, error, time))?;
    let json: Value = serde_json::from_slice(&body).unwrap_or_default();
    if code.is_success() {
        return Ok(json);
    }
    let code = code.as_u16();
    let message = json["message"].as_str();
    let message = message.map_or_else(|| format!("the server answered {code}"), String::from);
    Err(ClientError::Refused { code, message })
}

fn unreachable(address: SocketAddr, error: ureq::Error, time: Duration) -> ClientError {
    let why = match error {
        ureq::Error::Io(error) => error.to_string(),
        ureq::Error::Timeout(_) => format!("no answer within {} s", time.as_secs()),
        ureq::Error::Protocol(error) => error.to_string(),
        error => error.to_string(),
    };
    ClientError::Unreachable { address, why }
}

/// The text of a header `299 - "TEXT"` (RFC 9111, 5.5).
fn warning(header: &HeaderValue) -> Option<String> {
    let text = header.to_str().ok()?.split_once('"')?.1.strip_suffix('"')?;
    Some(text.replace("\\\"", "\"").replace("\\\\", "\\"))
}
