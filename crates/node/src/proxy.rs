//! Takes the place of kube-proxy: connections to the address of a Service lead to one of its ready endpoints, at random. Must not
//! depend on what makes an endpoint ready.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::warn;

use crate::Node;

/// Where a port of a Service leads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// The ready endpoints. Without one, connections are refused.
    pub endpoints: Vec<SocketAddr>,
    /// For how long a client is led to the same endpoint (`sessionAffinity: ClientIP`).
    pub affinity: Option<Duration>,
}

/// Where the TCP ports of Services lead, by address and port.
pub type Routes = BTreeMap<SocketAddr, Route>;

/// Forwards the connections of Services by `routes`, until the sender is dropped.
pub async fn run(node: Arc<Node>, mut routes: watch::Receiver<Routes>) {
    let mut open: HashMap<SocketAddr, Open> = HashMap::new();
    loop {
        let wanted: Routes = routes.borrow_and_update().clone();
        open.retain(|address, _| wanted.get(address).is_some_and(|route| !route.endpoints.is_empty()));
        for (address, route) in wanted {
            if route.endpoints.is_empty() {
                continue;
            }
            if let Some(open) = open.get(&address) {
                open.route.send_replace(route);
                continue;
            }
            match Open::begin(&node, address, route) {
                Ok(begun) => _ = open.insert(address, begun),
                Err(error) => warn!("the Service at {address} leads nowhere: {error}"),
            }
        }
        if routes.changed().await.is_err() {
            return;
        }
    }
}

/// A port that takes connections.
struct Open {
    route: watch::Sender<Route>,
    accepting: JoinHandle<()>,
}

impl Drop for Open {
    fn drop(&mut self) {
        // Its socket is closed: from now on connections are refused. Those that there are go on.
        self.accepting.abort();
    }
}

impl Open {
    fn begin(node: &Arc<Node>, address: SocketAddr, route: Route) -> Result<Open, String> {
        let listener = node.listen(address).map_err(|error| error.to_string())?;
        listener.set_nonblocking(true).map_err(|error| error.to_string())?;
        let listener = TcpListener::from_std(listener).map_err(|error| error.to_string())?;
        let (route, routes) = watch::channel(route);
        let accepting = tokio::spawn(accept(node.clone(), listener, routes));
        Ok(Open { route, accepting })
    }
}

async fn accept(node: Arc<Node>, listener: TcpListener, routes: watch::Receiver<Route>) {
    let chosen = Arc::new(Chosen::default());
    loop {
        match listener.accept().await {
            Ok((client, from)) => {
                let (node, routes, chosen) = (node.clone(), routes.clone(), chosen.clone());
                tokio::spawn(async move { lead(&node, client, from.ip(), &routes, &chosen).await });
            }
            // Descriptors have run out: connections wait in the kernel's queue.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn lead(
    node: &Node,
    mut client: TcpStream,
    from: IpAddr,
    routes: &watch::Receiver<Route>,
    chosen: &Chosen,
) {
    let route = routes.borrow().clone();
    let Some(first) = chosen.choose(&route, from, Instant::now()) else { return };
    // An endpoint that is gone before the route shows it refuses at once: another one is tried.
    let others = route.endpoints.iter().copied().filter(|endpoint| *endpoint != first);
    for endpoint in std::iter::once(first).chain(others) {
        if let Ok(mut server) = node.dial(endpoint).await {
            _ = copy_bidirectional(&mut client, &mut server).await;
            return;
        }
    }
}

/// Which endpoint each client was led to, and when, where a Service keeps that.
#[derive(Default)]
struct Chosen(Mutex<HashMap<IpAddr, (SocketAddr, Instant)>>);

impl Chosen {
    fn choose(&self, route: &Route, client: IpAddr, now: Instant) -> Option<SocketAddr> {
        let random = || route.endpoints.get(fastrand::usize(..route.endpoints.len().max(1))).copied();
        let Some(affinity) = route.affinity else { return random() };
        let mut chosen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        chosen.retain(|_, (_, at)| now.duration_since(*at) < affinity);
        let before = chosen.get(&client).map(|(endpoint, _)| *endpoint);
        let endpoint = before.filter(|endpoint| route.endpoints.contains(endpoint)).or_else(random)?;
        chosen.insert(client, (endpoint, now));
        Some(endpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_keep_their_endpoint_for_a_while() {
        let endpoints: Vec<SocketAddr> =
            (1..=50).map(|last| SocketAddr::from(([10, 244, 0, last], 80))).collect();
        let route = Route { endpoints: endpoints.clone(), affinity: Some(Duration::from_secs(60)) };
        let (chosen, client, now) = (Chosen::default(), IpAddr::from([10, 244, 1, 1]), Instant::now());
        let first = chosen.choose(&route, client, now).unwrap();
        for second in [10, 60, 110] {
            assert_eq!(
                chosen.choose(&route, client, now + Duration::from_secs(second)),
                Some(first),
                "{second}"
            );
        }
        let without =
            Route { endpoints: endpoints.into_iter().filter(|one| *one != first).collect(), ..route };
        assert_ne!(chosen.choose(&without, client, now + Duration::from_secs(120)), Some(first));
        assert_eq!(chosen.choose(&Route::default(), client, now), None);
    }

    #[test]
    fn endpoints_are_chosen_at_random() {
        let endpoints: Vec<SocketAddr> =
            (1..=3).map(|last| SocketAddr::from(([10, 244, 0, last], 80))).collect();
        let route = Route { endpoints, affinity: None };
        let chosen = Chosen::default();
        let mut counts: HashMap<SocketAddr, u32> = HashMap::new();
        for _ in 0..3000 {
            *counts
                .entry(chosen.choose(&route, IpAddr::from([10, 244, 1, 1]), Instant::now()).unwrap())
                .or_default() += 1;
        }
        assert!(counts.len() == 3 && counts.values().all(|count| *count > 700), "{counts:?}");
    }
}
