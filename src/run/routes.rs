//! The Services of the cluster, for the proxy: which port leads to which endpoints. Follows the changes of Services and their slices,
//! at a cost that does not depend on how many others there are. Must not depend on pods.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use clusterlocal_node::proxy::{Endpoint, Port, Route};
use serde_json::Value;

use super::api::shown;
use crate::ControlPlane;
use crate::store::{EndpointConditions, EndpointSlice, Key, Kind, Object, Service};

/// Where the ports of one Service lead.
type Ports = BTreeMap<Port, Route>;

/// Where all Services lead, as the proxy knows it.
pub(super) struct Routing {
    known: HashMap<Key, Ports>,
    /// The store's revision that is known; nothing before the first.
    revision: Option<u64>,
    /// Whether node ports are on the loopback of the machine.
    node_ports: bool,
}

impl Routing {
    /// No Services yet.
    pub(super) fn new(node_ports: bool) -> Self {
        Routing { known: HashMap::new(), revision: None, node_ports }
    }

    /// The ports that changed since the last call, with where they lead now. Those that lead nowhere any more are first: another Service
    /// may have got their address.
    pub(super) fn changes(&mut self, cluster: &ControlPlane) -> Vec<(Port, Route)> {
        let mut changes = BTreeMap::new();
        for key in self.changed(cluster) {
            let ports = ports(cluster, &key, self.node_ports);
            let before = self.known.insert(key, ports.clone()).unwrap_or_default();
            for port in before.keys().filter(|port| !ports.contains_key(port)) {
                changes.entry(*port).or_default();
            }
            changes.extend(ports.into_iter().filter(|(port, route)| before.get(port) != Some(route)));
        }
        self.known.retain(|_, ports| !ports.is_empty());
        self.revision = Some(cluster.store().revision());
        let (gone, mut ordered): (Vec<_>, Vec<_>) =
            changes.into_iter().partition(|(_, route): &(Port, Route)| route.endpoints.is_empty());
        ordered.splice(0..0, gone);
        ordered
    }

    /// The keys of the Services that changed, or whose endpoints did: all of them if the changes are not kept any more.
    fn changed(&self, cluster: &ControlPlane) -> BTreeSet<Key> {
        let store = cluster.store();
        let events = self.revision.and_then(|revision| store.watch(revision).ok());
        let Some(events) = events else {
            let all = store.list::<Service>(Kind::Service).map(|service| service.metadata.key(Kind::Service));
            return all.chain(self.known.keys().cloned()).collect();
        };
        let of = |object: &Object| match object {
            Object::Service(service) => Some(service.metadata.key(Kind::Service)),
            Object::EndpointSlice(slice) => {
                let name = slice.service_name()?.clone();
                Some(Key::new(Kind::Service, slice.metadata.namespace.clone(), name))
            }
            _ => None,
        };
        events.flat_map(|event| event.both().filter_map(of).collect::<Vec<_>>()).collect()
    }
}

/// Default of `sessionAffinityConfig.clientIP.timeoutSeconds`, in seconds (`v1.DefaultClientIPServiceAffinitySeconds`).
const DEFAULT_AFFINITY_SECONDS: u64 = 10_800;

/// Where the ports of a Service lead; none if it does not exist.
fn ports(cluster: &ControlPlane, key: &Key, node_ports: bool) -> Ports {
    let mut ports = Ports::new();
    let Some(service) = shown(cluster, key) else { return ports };
    let spec = &service["spec"];
    let addresses = spec["clusterIPs"].as_array().into_iter().flatten();
    let addresses: Vec<IpAddr> = addresses.filter_map(|ip| ip.as_str()?.parse().ok()).collect();
    let affinity = (spec["sessionAffinity"] == "ClientIP").then(|| {
        let seconds = spec.pointer("/sessionAffinityConfig/clientIP/timeoutSeconds").and_then(Value::as_u64);
        Duration::from_secs(seconds.unwrap_or(DEFAULT_AFFINITY_SECONDS))
    });
    let is_local = spec["internalTrafficPolicy"] == "Local";
    let slices = cluster.store().list_in::<EndpointSlice>(Kind::EndpointSlice, &key.namespace);
    let slices: Vec<_> = slices.filter(|slice| slice.service_name() == Some(&key.name)).collect();
    for port in spec["ports"].as_array().into_iter().flatten() {
        let is_udp = match port["protocol"].as_str() {
            None | Some("TCP") => false,
            Some("UDP") => true,
            Some(_) => continue,
        };
        let name = port["name"].as_str().unwrap_or_default();
        let number = |field: &str| {
            port[field].as_u64().and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0)
        };
        let mut lead = |address: SocketAddr, is_of_machine: bool, is_local: bool| {
            let endpoints = usable(all(&slices, name, address.ip()), is_local);
            ports.insert(Port { address, is_udp, is_of_machine }, Route { endpoints, affinity, is_local });
        };
        if let Some(port) = number("port") {
            addresses.iter().for_each(|address| lead(SocketAddr::new(*address, port), false, is_local));
        }
        if let Some(port) = number("nodePort").filter(|_| node_ports) {
            // The machine is no node of the cluster: policies for traffic of a node do not apply.
            lead(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port), true, false);
        }
    }
    ports
}

/// The endpoints of the port called `name`, of the family of `address`.
fn all(
    slices: &[&std::sync::Arc<EndpointSlice>],
    name: &str,
    address: IpAddr,
) -> Vec<(Endpoint, EndpointConditions)> {
    let mut found = Vec::new();
    for slice in slices {
        let named = slice.ports.iter().find(|port| port.name.as_str() == name);
        let Some(number) = named.and_then(|port| port.port) else { continue };
        for endpoint in &slice.endpoints {
            let ips = endpoint.addresses.iter().filter_map(|address| address.ip().ok());
            let of_family = ips.filter(|ip| ip.is_ipv4() == address.is_ipv4());
            found.extend(of_family.map(|ip| {
                let node = endpoint.node_name.to_string();
                (Endpoint { address: SocketAddr::new(ip, number), node }, endpoint.conditions)
            }));
        }
    }
    found
}

/// The endpoints that get traffic: the ready ones, or if there are none, those that are terminating and still serve; of each node by
/// itself if traffic is local (pkg/proxy/topology.go, CategorizeEndpoints).
fn usable(all: Vec<(Endpoint, EndpointConditions)>, is_local: bool) -> Vec<Endpoint> {
    let mut groups: BTreeMap<String, (Vec<Endpoint>, Vec<Endpoint>)> = BTreeMap::new();
    for (endpoint, conditions) in all {
        let group = if is_local { endpoint.node.clone() } else { String::new() };
        let (ready, terminating) = groups.entry(group).or_default();
        let is_ready = conditions.ready != Some(false);
        if is_ready {
            ready.push(endpoint);
        } else if conditions.serving == Some(true) && conditions.terminating == Some(true) {
            terminating.push(endpoint);
        }
    }
    let of_group = |(ready, terminating): (Vec<Endpoint>, Vec<Endpoint>)| {
        if ready.is_empty() { terminating } else { ready }
    };
    groups.into_values().flat_map(of_group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The last number of each endpoint's address, whether it is ready, serving and terminating, and its node.
    fn endpoints(text: &str) -> Vec<(Endpoint, EndpointConditions)> {
        let one = |word: &str| {
            let mut parts = word.split(':');
            let last = parts.next().unwrap().parse().unwrap();
            let conditions = parts.next().unwrap();
            let node = parts.next().unwrap_or_default().to_owned();
            let has = |letter| Some(conditions.contains(letter));
            let conditions = match conditions {
                "-" => EndpointConditions::default(),
                _ => EndpointConditions { ready: has('r'), serving: has('s'), terminating: has('t') },
            };
            (Endpoint { address: SocketAddr::from(([10, 244, 0, last], 80)), node }, conditions)
        };
        text.split_whitespace().map(one).collect()
    }

    /// Endpoints, whether traffic is local, and which of them get traffic.
    #[test]
    fn endpoints_are_those_of_kube_proxy() {
        let table = [
            ("1:rs 2:rs 3:x", false, "1 2"),
            // Conditions that are absent are those of a ready endpoint.
            ("1:- 2:x", false, "1"),
            ("1:rs 2:st", false, "1"),
            ("1:st 2:t 3:s", false, "1"),
            ("1:t 2:x", false, ""),
            ("1:rs:a 2:st:b 3:st:a", true, "1 2"),
            ("1:rs:a 2:st:b 3:st:a", false, "1"),
        ];
        for (given, is_local, expected) in table {
            let usable = usable(endpoints(given), is_local);
            let shown: Vec<String> = usable
                .iter()
                .map(|one| one.address.ip().to_string().rsplit('.').next().unwrap().to_owned())
                .collect();
            assert_eq!(shown.join(" "), expected, "{given} {is_local}");
        }
    }
}
