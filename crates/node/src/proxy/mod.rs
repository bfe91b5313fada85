//! Takes the place of kube-proxy: connections and datagrams to the address of a Service lead to one of its endpoints, at random. Must
//! not depend on what makes an endpoint ready.

mod choice;
mod connections;
mod datagrams;
mod splice;

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tracing::warn;

use crate::{Node, NodeError};

/// A port of a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port {
    /// Address and port.
    pub address: SocketAddr,
    /// UDP, or else TCP.
    pub is_udp: bool,
    /// A node port: on the machine, and not in the network of the cluster.
    pub is_of_machine: bool,
}

/// An endpoint of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its address and port.
    pub address: SocketAddr,
    /// The name of its node; empty if it has none.
    pub node: String,
}

/// Where a port of a Service leads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// The endpoints. Without one, connections are refused.
    pub endpoints: Vec<Endpoint>,
    /// How long a client is led to the same endpoint (`sessionAffinity: ClientIP`).
    pub affinity: Option<Duration>,
    /// Whether clients are led to endpoints of their own node only (`internalTrafficPolicy: Local`).
    pub is_local: bool,
}

/// Forwards the connections and datagrams of Services by the last route of each port, until the sender is dropped.
pub async fn run(node: Arc<Node>, mut routes: mpsc::Receiver<(Port, Route)>) {
    let mut open: HashMap<Port, Open> = HashMap::new();
    while let Some((port, route)) = routes.recv().await {
        if route.endpoints.is_empty() {
            open.remove(&port);
        } else if let Some(open) = open.get(&port) {
            open.route.send_replace(route);
        } else {
            match Open::begin(&node, port, route) {
                Ok(begun) => _ = open.insert(port, begun),
                Err(error) => warn!("the Service at {} leads nowhere: {error}", port.address),
            }
        }
    }
}

/// A port that takes connections or datagrams.
struct Open {
    route: watch::Sender<Route>,
    serving: JoinHandle<()>,
}

impl Drop for Open {
    fn drop(&mut self) {
        // Its socket is closed: from now on connections are refused. Those that there are go on.
        self.serving.abort();
    }
}

impl Open {
    fn begin(node: &Arc<Node>, port: Port, route: Route) -> Result<Open, NodeError> {
        let (route, routes) = watch::channel(route);
        let node = node.clone();
        let serving = if port.is_udp {
            let socket = if port.is_of_machine {
                UdpSocket::bind(port.address)?
            } else {
                node.bind_datagrams(port.address)?
            };
            tokio::spawn(datagrams::serve(node, of_tokio(socket)?, routes))
        } else {
            let listener = if port.is_of_machine {
                TcpListener::bind(port.address)?
            } else {
                node.listen(port.address)?
            };
            listener.set_nonblocking(true)?;
            tokio::spawn(connections::serve(node, tokio::net::TcpListener::from_std(listener)?, routes))
        };
        Ok(Open { route, serving })
    }
}

fn of_tokio(socket: UdpSocket) -> io::Result<Arc<tokio::net::UdpSocket>> {
    socket.set_nonblocking(true)?;
    tokio::net::UdpSocket::from_std(socket).map(Arc::new)
}
