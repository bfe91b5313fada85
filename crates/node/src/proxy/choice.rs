//! The endpoint that a client is led to. Must not depend on sockets.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::Route;

/// Which endpoint each client was led to, and when, if a Service has affinity.
#[derive(Default)]
pub(super) struct Choices(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    by_client: HashMap<IpAddr, (SocketAddr, Instant)>,
    /// Number of clients at which those whose time is over are removed.
    limit: usize,
}

/// Minimum number of clients that are kept before any is removed.
const CLIENTS_MIN: usize = 64;

impl Choices {
    /// The endpoint for `client`, on the node `node`.
    pub(super) fn choose(
        &self,
        route: &Route,
        client: IpAddr,
        node: &str,
        now: Instant,
    ) -> Option<SocketAddr> {
        let random = || {
            let usable = || route.endpoints.iter().filter(|one| !route.is_local || one.node == node);
            let count = usable().count();
            usable().nth(fastrand::usize(..count.max(1))).map(|endpoint| endpoint.address)
        };
        let Some(affinity) = route.affinity else { return random() };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.by_client.len() > kept.limit.max(CLIENTS_MIN) {
            kept.by_client.retain(|_, (_, at)| now.duration_since(*at) < affinity);
            kept.limit = kept.by_client.len() * 2;
        }
        let before = kept.by_client.get(&client).filter(|(_, at)| now.duration_since(*at) < affinity);
        let before = before.map(|(endpoint, _)| *endpoint);
        let is_there = |address: &SocketAddr| route.endpoints.iter().any(|one| one.address == *address);
        let endpoint = before.filter(is_there).or_else(random)?;
        kept.by_client.insert(client, (endpoint, now));
        Some(endpoint)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::proxy::Endpoint;

    fn endpoints(count: u8) -> Vec<Endpoint> {
        let endpoint = |last| Endpoint {
            address: SocketAddr::from(([10, 244, 0, last], 80)),
            node: format!("node-{}", last % 3),
        };
        (1..=count).map(endpoint).collect()
    }

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 244, 1, 1));

    #[test]
    fn clients_keep_their_endpoint_for_a_while() {
        let route =
            Route { endpoints: endpoints(50), affinity: Some(Duration::from_secs(60)), is_local: false };
        let (choices, now) = (Choices::default(), Instant::now());
        let first = choices.choose(&route, CLIENT, "", now).unwrap();
        for second in [10, 60, 110] {
            let then = now + Duration::from_secs(second);
            assert_eq!(choices.choose(&route, CLIENT, "", then), Some(first), "{second}");
        }
        let mut without = route.clone();
        without.endpoints.retain(|one| one.address != first);
        assert_ne!(choices.choose(&without, CLIENT, "", now + Duration::from_secs(120)), Some(first));
        assert_eq!(choices.choose(&Route::default(), CLIENT, "", now), None);
    }

    #[test]
    fn clients_whose_time_is_over_are_removed() {
        let route =
            Route { endpoints: endpoints(3), affinity: Some(Duration::from_secs(1)), is_local: false };
        let (choices, now) = (Choices::default(), Instant::now());
        for second in 0..1000_u32 {
            let client = IpAddr::from(second.to_be_bytes());
            choices.choose(&route, client, "", now + Duration::from_secs(second.into()));
        }
        assert!(choices.0.lock().unwrap().by_client.len() <= CLIENTS_MIN + 1);
    }

    #[test]
    fn endpoints_are_chosen_at_random() {
        let route = Route { endpoints: endpoints(3), ..Route::default() };
        let choices = Choices::default();
        let mut counts: HashMap<SocketAddr, u32> = HashMap::new();
        for _ in 0..3000 {
            *counts.entry(choices.choose(&route, CLIENT, "", Instant::now()).unwrap()).or_default() += 1;
        }
        assert!(counts.len() == 3 && counts.values().all(|count| *count > 700), "{counts:?}");
    }

    /// The client's node, and the endpoint.
    #[test]
    fn local_traffic_stays_on_its_node() {
        let route = Route { endpoints: endpoints(2), is_local: true, ..Route::default() };
        let table = [("node-1", Some("10.244.0.1:80")), ("node-2", Some("10.244.0.2:80")), ("node-0", None)];
        for (node, expected) in table {
            let chosen = Choices::default().choose(&route, CLIENT, node, Instant::now());
            assert_eq!(chosen, expected.map(|address| address.parse().unwrap()), "{node}");
        }
    }
}
