//! How a container is asked: a program in it, HTTP, TCP (`pkg/probe`). Must not depend on what the result is for.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::time::timeout;

use super::Shared;
use super::probes::Action;

/// Probes a container over the network, within `limit`. The error is the message of the kubelet's Event.
pub(crate) async fn ask(
    shared: &Shared,
    action: &Action,
    container: &Value,
    address: IpAddr,
    limit: Duration,
) -> Result<(), String> {
    let asked = async {
        match action {
            Action::Http { scheme, host, port, path, headers } => {
                let to = target(host.as_deref(), address, port.number(container))?;
                if scheme.eq_ignore_ascii_case("https") {
                    // Certificates of pods are not checked in a cluster either: that the port takes connections is what is asked.
                    return connect(shared, to).await.map(drop);
                }
                http(shared, to, path, headers).await
            }
            Action::Tcp { host, port } => {
                let to = target(host.as_deref(), address, port.number(container))?;
                connect(shared, to).await.map(drop)
            }
            Action::Grpc { port, .. } => connect(shared, SocketAddr::new(address, *port)).await.map(drop),
            Action::Exec(_) => Err("exec is not asked over the network".to_string()),
        }
    };
    match timeout(limit, asked).await {
        Ok(result) => result,
        Err(_) => {
            Err("context deadline exceeded (Client.Timeout exceeded while awaiting headers)".to_string())
        }
    }
}

fn target(host: Option<&str>, address: IpAddr, port: Option<u16>) -> Result<SocketAddr, String> {
    let port = port.ok_or("the port has a name that the container does not have")?;
    let host = match host {
        None => address,
        Some(host) => host.parse().map_err(|_| format!("host {host:?} is not an address"))?,
    };
    Ok(SocketAddr::new(host, port))
}

async fn connect(shared: &Shared, to: SocketAddr) -> Result<tokio::net::TcpStream, String> {
    shared.node.dial(to).await.map_err(|error| format!("dial tcp {to}: connect: {error}"))
}

async fn http(
    shared: &Shared,
    to: SocketAddr,
    path: &str,
    headers: &[(String, String)],
) -> Result<(), String> {
    let stream = connect(shared, to).await.map_err(|error| format!("Get \"http://{to}{path}\": {error}"))?;
    let failed = |error: hyper::Error| format!("Get \"http://{to}{path}\": {error}");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    tokio::spawn(connection);
    let mut request =
        hyper::Request::get(path).header("User-Agent", "kube-probe/1.36").header("Accept", "*/*");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        request = request.header("Host", to.to_string());
    }
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| error.to_string())?;
    let response = sender.send_request(request).await.map_err(failed)?;
    let status = response.status();
    // Redirects count as success, as those to other hosts do in a cluster.
    if status.is_success() || status.is_redirection() {
        return Ok(());
    }
    Err(format!("HTTP probe failed with statuscode: {}", status.as_u16()))
}
