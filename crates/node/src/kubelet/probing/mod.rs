//! Takes the place of `pkg/probe`: probes and hooks over the network. Must not depend on what the result is for.

mod grpc;
mod http;
mod tls;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpStream;

use super::Cluster;
use super::probes::Action;
use crate::Node;

/// The result of a probe (`probe.Result`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Success,
    /// It has succeeded, with a message for an Event.
    Warning(String),
    /// It has failed, with the message of the Event.
    Failure(String),
    /// It could not be run: the result does not count. The message is that of the Event.
    Unknown(String),
}

/// Where the requests of a kubelet come from and go to.
pub(crate) struct Asker<'a> {
    pub(crate) node: &'a Arc<Node>,
    pub(crate) cluster: &'a dyn Cluster,
    /// The container, whose ports may be named.
    pub(crate) container: &'a Value,
    /// The address of the pod.
    pub(crate) address: IpAddr,
    /// The product in `User-Agent`: `kube-probe`, `kube-lifecycle`.
    pub(crate) agent: &'static str,
}

impl Asker<'_> {
    /// Asks over the network, within `limit`.
    pub(crate) async fn ask(&self, action: &Action, limit: Duration) -> Outcome {
        let asked = async {
            match action {
                Action::Http { .. } => http::get(self, action).await,
                Action::Tcp { host, port } => match self.target(host.as_deref(), port.number(self.container))
                {
                    Ok(to) => match self.connect(to).await {
                        Ok(_) => Outcome::Success,
                        Err(why) => Outcome::Failure(why),
                    },
                    Err(why) => Outcome::Unknown(why),
                },
                Action::Grpc { port, service } => {
                    grpc::check(self, SocketAddr::new(self.address, *port), service).await
                }
                Action::Exec(_) | Action::Sleep(_) => {
                    Outcome::Unknown("it is not asked over the network".into())
                }
            }
        };
        let end = self.cluster.wait(self.cluster.now().after(limit));
        tokio::select! {
            outcome = asked => outcome,
            () = end => Outcome::Failure(match action {
                Action::Tcp { port, .. } => format!(
                    "dial tcp {}: i/o timeout",
                    SocketAddr::new(self.address, port.number(self.container).unwrap_or(0))
                ),
                Action::Grpc { .. } => format!("timeout: health rpc did not complete within {}s", limit.as_secs()),
                _ => "context deadline exceeded (Client.Timeout exceeded while awaiting headers)".to_string(),
            }),
        }
    }

    fn target(&self, host: Option<&str>, port: Option<u16>) -> Result<SocketAddr, String> {
        let port = port.ok_or("the port has a name that the container does not have")?;
        let host = match host {
            None => self.address,
            Some(host) => host.parse().map_err(|_| format!("host {host:?} is not an address"))?,
        };
        Ok(SocketAddr::new(host, port))
    }

    async fn connect(&self, to: SocketAddr) -> Result<TcpStream, String> {
        self.node.dial(to).await.map_err(|error| format!("dial tcp {to}: connect: {}", described(&error)))
    }
}

/// An error of the system in Go's words: `connection refused`.
fn described(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}
