//! GET requests of probes and hooks (`pkg/probe/http`): headers, redirects, status codes. Must not depend on thresholds.

use std::fmt;
use std::net::SocketAddr;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, HOST, LOCATION, USER_AGENT};
use hyper::{Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Asker, Outcome, tls};
use crate::kubelet::probes::Action;

/// Maximum number of redirects (`RedirectChecker`).
const MAX_REDIRECTS: usize = 10;

/// Maximum size of a body in the message of an Event, in bytes (`maxRespBodyLength`).
const MAX_BODY: usize = 10 << 10;

/// Sends the request, and follows redirects to the same host.
pub(super) async fn get(asker: &Asker<'_>, action: &Action) -> Outcome {
    let Action::Http { scheme, host, port, path, headers } = action else {
        return Outcome::Unknown("it is not asked over HTTP".into());
    };
    let first = match asker.target(host.as_deref(), port.number(asker.container)) {
        Ok(first) => first,
        Err(why) => return Outcome::Unknown(why),
    };
    let mut to = Url { is_secure: scheme.eq_ignore_ascii_case("https"), address: first, path: path.clone() };
    for _ in 0..=MAX_REDIRECTS {
        let response = match send(asker, &to, headers).await {
            Ok(response) => response,
            Err(why) => return Outcome::Failure(format!("Get \"{to}\": {why}")),
        };
        let status = response.status();
        if let Some(next) = redirected(&response, first, &to) {
            to = next;
            continue;
        }
        let body = match read(response.into_body()).await {
            Ok(body) => body,
            Err(why) => return Outcome::Unknown(why),
        };
        return match status.as_u16() {
            200..300 => Outcome::Success,
            300..400 => Outcome::Warning(format!("Probe terminated redirects, Response body: {body}")),
            code => Outcome::Failure(format!("HTTP probe failed with statuscode: {code}")),
        };
    }
    Outcome::Failure(format!("Get \"{to}\": stopped after {MAX_REDIRECTS} redirects"))
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Url {
    is_secure: bool,
    address: SocketAddr,
    /// Path and query.
    path: String,
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", if self.is_secure { "https" } else { "http" }, self.address, self.path)
    }
}

async fn send(
    asker: &Asker<'_>,
    to: &Url,
    headers: &[(String, String)],
) -> Result<Response<Incoming>, String> {
    let stream = asker.connect(to.address).await?;
    if to.is_secure {
        return exchange(tls::begin(stream, to.address.ip()).await?, asker, to, headers).await;
    }
    exchange(stream, asker, to, headers).await
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    asker: &Asker<'_>,
    to: &Url,
    headers: &[(String, String)],
) -> Result<Response<Incoming>, String> {
    let failed = |error: hyper::Error| error.to_string();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    tokio::spawn(connection);
    let mut request = hyper::Request::get(&to.path);
    let given = |name: &str| headers.iter().any(|(there, _)| there.eq_ignore_ascii_case(name));
    for (name, value) in [
        (HOST, to.address.to_string()),
        (USER_AGENT, format!("{}/1.36", asker.agent)),
        (ACCEPT, "*/*".to_string()),
    ] {
        if !given(name.as_str()) {
            request = request.header(name, value);
        }
    }
    // An empty value of these two leaves the header out (NewRequestForHTTPGetAction).
    let left_out =
        |name: &str| name.eq_ignore_ascii_case("user-agent") || name.eq_ignore_ascii_case("accept");
    for (name, value) in headers.iter().filter(|(name, value)| !(value.is_empty() && left_out(name))) {
        request = request.header(name, value);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| error.to_string())?;
    sender.send_request(request).await.map_err(failed)
}

/// Where a redirect leads, if that is on the host that was asked first.
fn redirected(response: &Response<Incoming>, first: SocketAddr, from: &Url) -> Option<Url> {
    let follows = [
        StatusCode::MOVED_PERMANENTLY,
        StatusCode::FOUND,
        StatusCode::SEE_OTHER,
        StatusCode::TEMPORARY_REDIRECT,
        StatusCode::PERMANENT_REDIRECT,
    ];
    if !follows.contains(&response.status()) {
        return None;
    }
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    leads_to(location, first, from)
}

/// `location`, relative to `from`; `None` if it is on another host than `first`.
fn leads_to(location: &str, first: SocketAddr, from: &Url) -> Option<Url> {
    let scheme = if from.is_secure { "https:" } else { "http:" };
    let absolute =
        if location.starts_with("//") { format!("{scheme}{location}") } else { location.to_string() };
    if !absolute.contains("://") {
        let folder =
            from.path.split('?').next().unwrap_or("/").rsplit_once('/').map_or("", |(folder, _)| folder);
        let path = if location.starts_with('/') { location.into() } else { format!("{folder}/{location}") };
        return Some(Url { path, ..from.clone() });
    }
    let uri: Uri = absolute.parse().ok()?;
    let host = uri.host()?.trim_matches(['[', ']']).parse().ok()?;
    let (is_secure, port) = match uri.scheme_str()? {
        "http" => (false, 80),
        "https" => (true, 443),
        _ => return None,
    };
    if host != first.ip() {
        return None;
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_string();
    Some(Url { is_secure, address: SocketAddr::new(host, uri.port_u16().unwrap_or(port)), path })
}

/// The beginning of a body.
async fn read(mut body: Incoming) -> Result<String, String> {
    let mut read = Vec::new();
    while read.len() < MAX_BODY {
        match body.frame().await {
            Some(Ok(frame)) => {
                let bytes = frame.into_data().unwrap_or_default();
                read.extend_from_slice(&bytes[..bytes.len().min(MAX_BODY - read.len())]);
            }
            Some(Err(error)) => return Err(error.to_string()),
            None => break,
        }
    }
    Ok(String::from_utf8_lossy(&read).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Redirects to the host that was asked first are followed, on other ports as well.
    #[test]
    fn redirects_that_are_followed() {
        let first: SocketAddr = "10.244.0.5:8080".parse().unwrap();
        let from = Url { is_secure: false, address: first, path: "/health/live?verbose".into() };
        let table = [
            ("/ready", Some("http://10.244.0.5:8080/ready")),
            ("ready?x", Some("http://10.244.0.5:8080/health/ready?x")),
            ("http://10.244.0.5:9090/ready", Some("http://10.244.0.5:9090/ready")),
            ("http://10.244.0.5", Some("http://10.244.0.5:80/")),
            ("//10.244.0.5:1/", Some("http://10.244.0.5:1/")),
            ("https://10.244.0.5/ready", Some("https://10.244.0.5:443/ready")),
            ("http://10.244.0.6:8080/ready", None),
            ("ftp://10.244.0.5:8080/ready", None),
            ("http://example.com/", None),
        ];
        for (location, expected) in table {
            let found = leads_to(location, first, &from).map(|url| url.to_string());
            assert_eq!(found.as_deref(), expected, "{location}");
        }
    }
}
