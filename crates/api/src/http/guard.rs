//! Protects the API from web pages: it has no credentials, so a page of another site must not be able to use it. A browser
//! states the origin of a page (`Origin`, `Sec-Fetch-Site`), sends the page's name of the server (`Host`, which reveals a
//! rebound domain), and sends only a few content types without a preflight request. Must not depend on what is requested.

use std::net::{IpAddr, SocketAddr};

use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, UPGRADE, USER_AGENT};
use hyper::{Method, Uri};

use super::body::OBJECT_TYPES;
use super::status::Status;

/// The rules for requests to one address.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    /// Whether clients on other machines are allowed, which use a name of this machine in their network.
    pub(crate) remote: bool,
    /// The address that the request was sent to.
    pub(crate) bound: SocketAddr,
    /// Other names and addresses of the server, in lower case.
    pub(crate) names: Vec<String>,
}

impl Guard {
    /// Refuses requests that a browser sent for a page.
    pub(crate) fn check(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Status> {
        if headers.contains_key(ORIGIN) && !is_handshake_of_a_program(headers) {
            return Err(Status::refused(
                "requests of web pages (those with an Origin header) are not answered; use kubectl or a program",
            ));
        }
        let site = headers.get("sec-fetch-site").map(|value| value.as_bytes());
        if site.is_some_and(|site| site != b"none" && site != b"same-origin") {
            return Err(Status::refused("requests of web pages of other sites are not answered"));
        }
        // RFC 9112 section 3.2.
        if headers.get_all(HOST).iter().count() > 1 {
            return Err(Status::bad_request("the request has more than one Host header"));
        }
        // An absolute URI overrides the header (RFC 9112 section 3.2.2).
        let authority = match uri.authority() {
            Some(authority) => Some(authority.as_str()),
            None => headers.get(HOST).and_then(|host| host.to_str().ok()),
        };
        let Some(host) = authority.map(without_port).filter(|host| !host.is_empty()) else {
            return Err(Status::bad_request("the request has no Host header"));
        };
        if !self.is_ours(host) {
            let bound = self.bound;
            return Err(Status::refused(format!(
                "the request is for host {host:?}, which is not this server; use http://{bound} as the server's address"
            )));
        }
        // What a pod takes may have any type. A browser names the origin of a page for all methods but GET and HEAD (Fetch
        // standard, "append a request Origin header").
        let proxied = uri.path().split('/').any(|part| part == "proxy");
        if is_write(method)
            && !proxied
            && headers.get(CONTENT_TYPE).is_some_and(|value| is_simple(value.as_bytes()))
        {
            return Err(Status::unsupported_media_type(&OBJECT_TYPES));
        }
        Ok(())
    }

    /// Whether `host` is a name of this server. A domain of an attacker that resolves to this server always has a dot:
    /// addresses are safe, and so are names without a dot, which only the local network resolves.
    fn is_ours(&self, host: &str) -> bool {
        let is_named = |name: &String| host.eq_ignore_ascii_case(name);
        if host.eq_ignore_ascii_case("localhost") || self.names.iter().any(is_named) {
            return true;
        }
        let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        match literal.parse::<IpAddr>() {
            Ok(ip) => self.remote || ip.is_loopback() || ip == self.bound.ip(),
            Err(_) => self.remote && !host.contains('.'),
        }
    }
}

/// Whether it is a WebSocket handshake of a client library, some of which name the server itself as the origin. A browser has other
/// user agents, which a page cannot change: a page that a pod shows through the proxy has the same origin.
fn is_handshake_of_a_program(headers: &HeaderMap) -> bool {
    let value = |name: HeaderName| headers.get(name).map_or(&b""[..], HeaderValue::as_bytes);
    value(UPGRADE).eq_ignore_ascii_case(b"websocket")
        && value(ORIGIN).strip_prefix(b"http://") == Some(value(HOST))
        && !value(USER_AGENT).starts_with(b"Mozilla/")
        && !headers.keys().any(|name| name.as_str().starts_with("sec-fetch-"))
}

/// `host` of `host:port`, `[::1]` of `[::1]:port`.
fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !is_bare_ipv6(authority) => host,
        _ => authority,
    }
}

fn is_bare_ipv6(authority: &str) -> bool {
    authority.matches(':').count() > 1 && !authority.starts_with('[')
}

fn is_write(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// The content types that a form or `fetch` may send to any site without a preflight request (Fetch standard,
/// "CORS-safelisted request-header").
fn is_simple(content_type: &[u8]) -> bool {
    let essence = content_type.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
    let simple: [&[u8]; 3] = [b"text/plain", b"application/x-www-form-urlencoded", b"multipart/form-data"];
    simple.iter().any(|simple| essence.eq_ignore_ascii_case(simple))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Headers = [(&'static str, &'static str)];

    /// The code of the answer to a request from this machine, or from any.
    fn asked(remote: bool, method: Method, sent: &Headers) -> u16 {
        let names = ["kubernetes.default.svc", "10.96.0.1"].map(String::from).into();
        let guard = Guard { remote, bound: "127.0.0.1:10054".parse().unwrap(), names };
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let checked = guard.check(&method, &Uri::from_static("/api"), &headers);
        checked.map_or_else(|status| status.code.as_u16(), |()| 200)
    }

    #[test]
    fn hosts_other_than_the_server_are_refused() {
        let table = [
            ("localhost", true, true),
            ("localhost:10054", true, true),
            ("LOCALHOST", true, true),
            ("127.0.0.1:10054", true, true),
            ("127.9.9.9", true, true),
            ("[::1]:10054", true, true),
            ("[::1]", true, true),
            ("::1", true, true),
            ("192.0.2.1:10054", false, true),
            ("clusterlocal:10054", false, true),
            ("127.0.0.1.evil.example", false, false),
            ("localhost.evil.example", false, false),
            ("evil.example:10054", false, false),
            ("kubernetes.default.svc", true, true),
            ("10.96.0.1:443", true, true),
            ("kubernetes.default", false, false),
        ];
        for (host, local, remote) in table {
            for (allowed, expected) in [(false, local), (true, remote)] {
                assert_eq!(
                    asked(allowed, Method::GET, &[("host", host)]) == 200,
                    expected,
                    "{host} {allowed}"
                );
            }
        }
    }

    #[test]
    fn requests_of_other_sites_pages_are_refused() {
        let host = ("host", "localhost");
        let socket = ("upgrade", "websocket");
        let table: [(Method, &Headers, u16); 16] = [
            (Method::GET, &[host, socket], 200),
            (Method::GET, &[host, socket, ("origin", "http://localhost")], 200),
            (Method::GET, &[host, socket, ("origin", "http://evil.example")], 403),
            (
                Method::GET,
                &[host, socket, ("origin", "http://localhost"), ("user-agent", "Mozilla/5.0")],
                403,
            ),
            (
                Method::GET,
                &[host, socket, ("origin", "http://localhost"), ("sec-fetch-mode", "websocket")],
                403,
            ),
            (Method::GET, &[host, ("origin", "http://localhost")], 403),
            (Method::GET, &[], 400),
            (Method::GET, &[host, ("host", "evil.example")], 400),
            (Method::GET, &[host, ("origin", "http://evil.example")], 403),
            (Method::GET, &[host, ("origin", "null")], 403),
            (Method::GET, &[host, ("sec-fetch-site", "cross-site")], 403),
            (Method::GET, &[host, ("sec-fetch-site", "none")], 200),
            (Method::POST, &[host, ("content-type", "text/plain")], 415),
            (Method::POST, &[host, ("content-type", "Text/Plain; charset=utf-8")], 415),
            (Method::DELETE, &[host], 200),
            (Method::POST, &[host, ("content-type", "application/json")], 200),
        ];
        for (method, headers, expected) in table {
            assert_eq!(asked(false, method, headers), expected, "{headers:?}");
        }
    }
}
