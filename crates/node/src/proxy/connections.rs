//! TCP connections to a port of a Service. Must not depend on datagrams.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::Route;
use super::choice::Choices;
use super::splice::both_ways;
use crate::{Node, Separations};

/// Pause after connections could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Forwards the connections of a port.
pub(super) async fn serve(node: Arc<Node>, listener: TcpListener, routes: watch::Receiver<Route>) {
    let choices = Arc::new(Choices::default());
    loop {
        match listener.accept().await {
            Ok((client, from)) => {
                let (node, routes, choices) = (node.clone(), routes.clone(), choices.clone());
                tokio::spawn(async move { lead(&node, client, from.ip(), &routes, &choices).await });
            }
            // Descriptors have run out: connections wait in the kernel's queue.
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn lead(
    node: &Node,
    client: TcpStream,
    from: IpAddr,
    routes: &watch::Receiver<Route>,
    choices: &Choices,
) {
    let route = routes.borrow().clone();
    let of = node.node_of(from);
    let Some(first) = choices.choose(&route, from, &of, Instant::now()) else {
        // Its node has no endpoint: kube-proxy drops the packets.
        let mut client = client;
        _ = tokio::io::copy(&mut client, &mut tokio::io::sink()).await;
        return;
    };
    let mut separations = node.separations();
    // An endpoint that is gone before the route shows it refuses at once: another one is tried.
    let others =
        route.endpoints.iter().filter(|one| !route.is_local || one.node == of).map(|one| one.address);
    for endpoint in std::iter::once(first).chain(others.filter(|endpoint| *endpoint != first)) {
        reach(&mut separations, from, endpoint.ip()).await;
        let Ok(server) = node.connect_to(endpoint).await else { continue };
        // Neither end waits for more to send.
        _ = (client.set_nodelay(true), server.set_nodelay(true));
        let mut copying = std::pin::pin!(both_ways(&client, &server));
        loop {
            tokio::select! {
                _ = &mut copying => return,
                changed = separations.changed() => match changed {
                    Ok(()) => reach(&mut separations, from, endpoint.ip()).await,
                    Err(_) => return,
                },
            }
        }
    }
}

/// Waits until two addresses are not separated: what is sent between them meanwhile waits in the kernel's buffers, as what TCP
/// retransmits does in those of the sender.
async fn reach(separations: &mut watch::Receiver<Arc<Separations>>, one: IpAddr, other: IpAddr) {
    // The sender lives as long as the node.
    _ = separations.wait_for(|separations| !separations.are_separated(one, other)).await;
}
