//! Traffic to the address of a Service.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use clusterlocal_node::proxy::{self, Endpoint, Port, Route};
use clusterlocal_node::{Pod, Separations};
use tokio::sync::mpsc;

use super::programs::PORT;
use super::{SILENCE, SOON, World};

const SERVICE: &str = "10.96.1.1";

/// Pods on two nodes, the first of which is the client, and the Service.
struct Traffic {
    world: World,
    pods: Vec<Pod>,
    routes: mpsc::Sender<(Port, Route)>,
}

fn address(pod: usize) -> IpAddr {
    format!("10.244.0.{}", pod + 1).parse().unwrap()
}

fn endpoints(pods: &[usize]) -> Vec<Endpoint> {
    let endpoint = |pod: &usize| Endpoint {
        address: SocketAddr::new(address(*pod), PORT),
        node: format!("node-{}", pod % 2),
    };
    pods.iter().map(endpoint).collect()
}

impl Traffic {
    fn new(pods: usize) -> Traffic {
        let world = World::new();
        let created = (0..pods).map(|pod| world.pod(&format!("node-{}", pod % 2), &address(pod).to_string()));
        let pods = created.collect();
        let (routes, changes) = mpsc::channel(8);
        world.runtime.spawn(proxy::run(world.node.clone(), changes));
        Traffic { world, pods, routes }
    }

    /// Lets the Service lead to these pods.
    fn lead(&self, is_udp: bool, pods: &[usize]) {
        let port =
            Port { address: SocketAddr::new(SERVICE.parse().unwrap(), PORT), is_udp, is_of_machine: false };
        let route = Route { endpoints: endpoints(pods), ..Route::default() };
        self.routes.blocking_send((port, route)).unwrap();
        // Taken once the next one is.
        let none = Port { address: SocketAddr::new(SERVICE.parse().unwrap(), 1), ..port };
        for _ in 0..16 {
            self.routes.blocking_send((none, Route::default())).unwrap();
        }
    }

    /// Starts the program in a pod, and waits until it is up.
    fn serve(&self, pod: usize, id: u64, arguments: &[&str]) -> std::sync::mpsc::Receiver<String> {
        let lines = self.world.lines(&self.pods[pod], id, arguments);
        assert_eq!(lines.recv_timeout(SOON).unwrap(), "up");
        lines
    }
}

/// Number of connections of the test; `CLUSTERLOCAL_CONNECTIONS` sets another.
const CONNECTIONS: usize = 2000;

/// Between two of its changes the Service always has an endpoint.
pub fn connections_are_not_lost() {
    let traffic = Traffic::new(4);
    let _servers = [1, 2, 3].map(|pod| traffic.serve(pod, 1, &["greet", "x"]));
    traffic.lead(false, &[1]);
    let count = std::env::var("CLUSTERLOCAL_CONNECTIONS").unwrap_or_else(|_| CONNECTIONS.to_string());
    let result = traffic.world.lines(&traffic.pods[0], 2, &["clients", SERVICE, &count]);
    let mut changes = 0;
    let lost = loop {
        for pods in [&[1, 2][..], &[2], &[2, 3], &[3], &[3, 1], &[1]] {
            traffic.lead(false, pods);
            changes += 1;
        }
        match result.recv_timeout(Duration::from_millis(5)) {
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
            lost => break lost.unwrap(),
        }
    };
    assert_eq!((lost.as_str(), changes > 10), ("0 lost", true), "{changes} changes");
}

/// The pods of the Service, and the reply.
pub fn datagrams_reach_an_endpoint() {
    let traffic = Traffic::new(3);
    let _servers = [(1, "one"), (2, "two")].map(|(pod, name)| traffic.serve(pod, 1, &["greet", name]));
    let table = [(&[][..], "ConnectionRefused"), (&[1], "one"), (&[2], "two"), (&[], "ConnectionRefused")];
    for (at, (pods, expected)) in table.into_iter().enumerate() {
        traffic.lead(true, pods);
        let reply = traffic.world.lines(&traffic.pods[0], 10 + at as u64, &["datagram", SERVICE]);
        assert_eq!(reply.recv_timeout(SOON).unwrap(), expected, "{pods:?}");
        traffic.world.runtime.block_on(traffic.pods[0].event()).unwrap();
    }
}

/// In one run, the best of three rounds: the machine may have other work.
pub fn a_service_passes_half() {
    let traffic = Traffic::new(2);
    let speeds = traffic.serve(1, 1, &["sink"]);
    traffic.lead(false, &[1]);
    let direct = address(1).to_string();
    let mut id = 1;
    let mut speed = |to: &str| -> f64 {
        id += 1;
        let _sent = traffic.world.lines(&traffic.pods[0], id, &["fill", to]);
        let speed = speeds.recv_timeout(SOON).unwrap().parse().unwrap();
        traffic.world.runtime.block_on(traffic.pods[0].event()).unwrap();
        speed
    };
    let rounds = [0; 3].map(|_| (speed(&direct), speed(SERVICE)));
    let best = rounds.iter().map(|(direct, through)| through / direct).fold(0.0, f64::max);
    println!("direct and through the Service, in MB/s: {rounds:.0?}; at best {best:.2}");
    assert!(best >= 0.5, "{rounds:?}");
}

/// An existing connection through the Service hangs while client and endpoint are separated, and goes on afterwards.
pub fn partitions_hold_for_services() {
    let traffic = Traffic::new(2);
    let _echo = traffic.serve(1, 1, &["echo"]);
    traffic.lead(false, &[1]);
    let numbers = traffic.world.lines(&traffic.pods[0], 2, &["count", SERVICE]);
    let mut last = numbers.recv_timeout(SOON).unwrap();
    let mut apart = Separations::default();
    apart.separate(address(0), address(1));
    traffic.world.node.separate(apart).unwrap();
    while let Ok(number) = numbers.recv_timeout(SILENCE) {
        last = number;
    }
    traffic.world.node.separate(Separations::default()).unwrap();
    let next = numbers.recv_timeout(SOON).unwrap();
    assert_eq!(next.parse::<u32>().unwrap(), last.parse::<u32>().unwrap() + 1);
}
