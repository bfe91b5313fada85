//! Programs that run in pods: the test itself, by a verb.

use std::convert::Infallible;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Runs the program of a verb, if it is one.
pub fn run(arguments: &[String]) -> Option<ExitCode> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["__http", port] => http(port),
        ["__https", port] => https(port),
        ["__grpc", port] => grpc(port),
        ["__threads"] => threads(),
        _ => return None,
    }
    Some(ExitCode::SUCCESS)
}

/// Answers as the path of a request says: `/status/CODE`, `/header/NAME/VALUE` is 200 if the request has that header, and so on.
fn http(port: &str) {
    let listener = TcpListener::bind(format!("0.0.0.0:{port}")).unwrap();
    for stream in listener.incoming() {
        _ = answer(stream.unwrap(), port);
    }
}

/// The same over TLS, with a certificate of its own.
fn https(port: &str) {
    let issued = rcgen::generate_simple_self_signed(["server".to_string()]).unwrap();
    let key = PrivateKeyDer::try_from(issued.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![issued.cert.der().clone()], key);
    let config = Arc::new(config.unwrap());
    let listener = TcpListener::bind(format!("0.0.0.0:{port}")).unwrap();
    for stream in listener.incoming() {
        let connection = ServerConnection::new(config.clone()).unwrap();
        _ = answer(StreamOwned::new(connection, stream.unwrap()), port);
    }
}

fn answer(mut stream: impl Read + Write, port: &str) -> std::io::Result<()> {
    let mut lines = BufReader::new(&mut stream).lines();
    let Some(first) = lines.next() else { return Ok(()) };
    let path = first?.split(' ').nth(1).unwrap_or_default().to_string();
    let headers: Vec<String> = lines
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .map(|line| line.to_lowercase())
        .collect();
    let has = |name: &str, value: &str| headers.contains(&format!("{name}: {value}").to_lowercase());
    let (code, location, body) = if let Some(code) = path.strip_prefix("/status/") {
        (code.to_string(), String::new(), "")
    } else if let Some((name, value)) = path.strip_prefix("/header/").and_then(|rest| rest.split_once('/')) {
        (if has(name, value) { "200" } else { "400" }.to_string(), String::new(), "")
    } else if let Some(agent) = path.strip_prefix("/agent/") {
        (if has("user-agent", agent) { "200" } else { "400" }.to_string(), String::new(), "")
    } else if let Some(to) = path.strip_prefix("/redirect") {
        ("302".to_string(), to.to_string(), "")
    } else if path == "/away" {
        ("302".to_string(), format!("http://127.0.0.1:{port}/"), "away")
    } else {
        ("302".to_string(), path, "")
    };
    write!(
        stream,
        "HTTP/1.1 {code} X\r\nLocation: {location}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    stream.flush()
}

/// The health service of gRPC: the services `up` and the server itself serve, `down` does not, others are not known.
fn grpc(port: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(format!("0.0.0.0:{port}")).await.unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = hyper::service::service_fn(check);
            let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(async { _ = connection.await });
        }
    });
}

async fn check(
    request: Request<Incoming>,
) -> Result<Response<impl hyper::body::Body<Data = Bytes, Error = Infallible>>, Infallible> {
    let is_check = request.uri().path() == "/grpc.health.v1.Health/Check"
        && request.headers()["content-type"] == "application/grpc"
        && request.headers()["te"] == "trailers";
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let name = body.get(7..).map(|name| String::from_utf8_lossy(name).into_owned()).unwrap_or_default();
    let (status, message, reply): (&str, &str, &[u8]) = match name.as_str() {
        _ if !is_check => ("12", "unimplemented", &[]),
        "" | "up" => ("0", "", &[0, 0, 0, 0, 2, 8, 1]),
        "down" => ("0", "", &[0, 0, 0, 0, 2, 8, 2]),
        _ => ("5", "unknown service", &[]),
    };
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", status.parse().unwrap());
    trailers.insert("grpc-message", message.parse().unwrap());
    let body = Full::new(Bytes::copy_from_slice(reply)).with_trailers(async move { Some(Ok(trailers)) });
    Ok(Response::builder().header("content-type", "application/grpc").body(body).unwrap())
}

/// Starts threads until the system refuses, and writes how many it has started.
fn threads() {
    let mut started = 0;
    let park = || loop {
        std::thread::park();
    };
    while std::thread::Builder::new().stack_size(16 << 10).spawn(park).is_ok() {
        started += 1;
        if started >= 100_000 {
            break;
        }
    }
    println!("{started}");
}
