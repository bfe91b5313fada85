//! UDP datagrams to a port of a Service: those of one client go to one endpoint for as long as they follow each other, as with
//! conntrack. Must not depend on connections.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::Route;
use super::choice::Choices;
use crate::Node;

/// Maximum number of clients of a port; datagrams of further ones are dropped.
const CLIENTS_MAX: usize = 4096;

/// Time without a datagram after which a client may get another endpoint (`nf_conntrack_udp_timeout_stream`).
const IDLE: Duration = Duration::from_secs(120);

/// Maximum size of a datagram, in bytes.
const DATAGRAM_MAX: usize = 65_535;

/// The datagrams of one client.
struct Flow {
    endpoint: SocketAddr,
    socket: Arc<UdpSocket>,
    /// Notified of each datagram of the client.
    used: Arc<Notify>,
    replies: JoinHandle<()>,
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.replies.abort();
    }
}

/// Forwards the datagrams of a port, and those that come back.
pub(super) async fn serve(node: Arc<Node>, socket: Arc<UdpSocket>, routes: watch::Receiver<Route>) {
    let choices = Choices::default();
    let mut flows: HashMap<SocketAddr, Flow> = HashMap::new();
    let mut datagram = vec![0; DATAGRAM_MAX];
    loop {
        let Ok((length, client)) = socket.recv_from(&mut datagram).await else {
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        };
        let has_ended = |flow: &Flow| {
            let is_there = routes.borrow().endpoints.iter().any(|one| one.address == flow.endpoint);
            flow.replies.is_finished() || !is_there
        };
        if flows.get(&client).is_some_and(has_ended) {
            flows.remove(&client);
        }
        if flows.len() >= CLIENTS_MAX {
            flows.retain(|_, flow| !flow.replies.is_finished());
        }
        if !flows.contains_key(&client) && flows.len() < CLIENTS_MAX {
            let chosen =
                choices.choose(&routes.borrow(), client.ip(), &node.node_of(client.ip()), Instant::now());
            let begun = chosen.and_then(|endpoint| Flow::begin(&node, &socket, client, endpoint).ok());
            if let Some(flow) = begun {
                flows.insert(client, flow);
            }
        }
        let Some(flow) = flows.get(&client) else { continue };
        if !node.separations().borrow().are_separated(client.ip(), flow.endpoint.ip()) {
            flow.used.notify_one();
            // An error is that of an earlier datagram, which the endpoint refused.
            _ = flow.socket.send(&datagram[..length]).await;
        }
    }
}

impl Flow {
    fn begin(
        node: &Arc<Node>,
        socket: &Arc<UdpSocket>,
        client: SocketAddr,
        endpoint: SocketAddr,
    ) -> io::Result<Flow> {
        let to_endpoint = Arc::new(node.datagrams_to(endpoint)?);
        let used = Arc::new(Notify::new());
        let replies = tokio::spawn(reply(
            node.clone(),
            to_endpoint.clone(),
            socket.clone(),
            (client, endpoint),
            used.clone(),
        ));
        Ok(Flow { endpoint, socket: to_endpoint, used, replies })
    }
}

thread_local! {
    /// For one datagram at a time.
    static REPLY: RefCell<Vec<u8>> = RefCell::new(vec![0; DATAGRAM_MAX]);
}

/// Sends what comes from the endpoint to the client, until there is nothing for a while.
async fn reply(
    node: Arc<Node>,
    from: Arc<UdpSocket>,
    to: Arc<UdpSocket>,
    (client, endpoint): (SocketAddr, SocketAddr),
    used: Arc<Notify>,
) {
    loop {
        let next = async {
            tokio::select! {
                ready = from.readable() => ready.is_ok(),
                () = used.notified() => false,
            }
        };
        match timeout(IDLE, next).await {
            Err(_) => return,
            Ok(false) => continue,
            Ok(true) => {}
        }
        let is_separated = node.separations().borrow().are_separated(client.ip(), endpoint.ip());
        REPLY.with_borrow_mut(|datagram| {
            // An error is that of a datagram that the endpoint refused.
            if let Ok(length) = from.try_recv(datagram)
                && !is_separated
            {
                _ = to.try_send_to(&datagram[..length], client);
            }
        });
    }
}
