//! What the API server allocates for a Service besides addresses: its families and its node ports
//! (pkg/registry/core/service/storage/alloc.go, pkg/registry/core/service/portallocator).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use rustc_hash::FxHashMap;

use super::shortage::Shortage;
use crate::reconcile::names::digest;
use crate::store::{IpFamily, IpFamilyPolicy, Key, Kind, Name, Service};

/// The ports of nodes that are given to Services (kube-apiserver, `--service-node-port-range`).
const NODE_PORTS: std::ops::RangeInclusive<u16> = 30_000..=32_767;

/// Sets the families of a Service as its policy asks for (initIPFamilyFields): `SingleStack` releases the second family
/// and its address, the others add the missing one where the cluster is `configured` for it.
pub(super) fn set_families(service: &mut Service, configured: impl Fn(IpFamily) -> bool) {
    let before = service.families();
    let selectorless = service.is_headless() && service.spec.selector.is_empty();
    let policy = service.ip_family_policy();
    let mut families = before.clone();
    if policy == IpFamilyPolicy::SingleStack {
        families.truncate(1);
        if service.spec.ip_family_policy.is_some() {
            service.spec.cluster_ips.truncate(1);
        }
    } else if families.len() == 1 {
        families.push(families[0].other());
    }
    if !selectorless && families.len() > 1 {
        let first = families[0];
        families.retain(|family| configured(*family));
        if families.is_empty() {
            families.push(first);
        }
    }
    // Families that follow from the rest of the spec are not stored.
    if families != before {
        service.spec.ip_families = families.into_vec();
    }
}

/// The node ports that Services have.
#[derive(Default)]
pub(super) struct NodePorts {
    owners: BTreeMap<u16, (Name, Name)>,
    ports: FxHashMap<(Name, Name), Vec<u16>>,
    /// How many ports of the range have an owner.
    taken: usize,
    /// Services that could not be given a port.
    shortage: Shortage,
}

impl NodePorts {
    /// Records the node ports of a Service.
    pub(super) fn record(&mut self, service: &Service) {
        let owner = (service.metadata.namespace.clone(), service.metadata.name.clone());
        let ports: Vec<u16> = service.spec.ports.iter().filter_map(|port| port.node_port).collect();
        if ports.is_empty() && !self.ports.contains_key(&owner) {
            return;
        }
        self.free(&owner);
        for port in &ports {
            self.take(*port, &owner);
        }
        if !ports.is_empty() {
            self.ports.insert(owner, ports);
        }
    }

    /// Releases the ports of the Service at `key`.
    pub(super) fn release(&mut self, key: &Key) {
        debug_assert_eq!(key.kind, Kind::Service);
        self.free(&(key.namespace.clone(), key.name.clone()));
    }

    /// Whether a Service has `port`.
    pub(super) fn has(&self, port: u16) -> bool {
        self.owners.contains_key(&port)
    }

    fn free(&mut self, owner: &(Name, Name)) {
        for port in self.ports.remove(owner).into_iter().flatten() {
            if self.owners.get(&port) == Some(owner) {
                self.owners.remove(&port);
                self.taken -= usize::from(NODE_PORTS.contains(&port));
            }
        }
    }

    fn take(&mut self, port: u16, owner: &(Name, Name)) {
        if let Entry::Vacant(entry) = self.owners.entry(port) {
            entry.insert(owner.clone());
            self.taken += usize::from(NODE_PORTS.contains(&port));
        }
    }

    /// Reports the Services without a port, in one line.
    pub(super) fn report_shortage(&mut self) {
        if let Some(refused) = self.shortage.report() {
            tracing::warn!(
                "all node ports from 30000 to 32767 are taken: {refused} Services have none so far"
            );
        }
    }

    /// Allocates the node ports that a Service lacks (initNodePorts). Entries with the same port number, for UDP and
    /// TCP, share one node port. The start of the search depends on the names alone.
    pub(super) fn allocate(&mut self, service: &mut Service) {
        if !service.has_node_ports() || service.spec.ports.iter().all(|port| port.node_port.is_some()) {
            return;
        }
        let owner = (service.metadata.namespace.clone(), service.metadata.name.clone());
        let ports = &mut service.spec.ports;
        for at in 0..ports.len() {
            if ports[at].node_port.is_some() {
                continue;
            }
            let shared = |other: &&crate::store::ServicePort| {
                other.port == ports[at].port && other.protocol != ports[at].protocol
            };
            let shared = ports.iter().filter(shared).find_map(|other| other.node_port);
            let Some(port) = shared.or_else(|| self.find(&owner, ports[at].port)) else {
                self.shortage.count();
                tracing::debug!(service = %owner.1, namespace = %owner.0, "no node port left");
                return;
            };
            self.take(port, &owner);
            ports[at].node_port = Some(port);
        }
    }

    fn find(&self, owner: &(Name, Name), port: u16) -> Option<u16> {
        if self.taken >= NODE_PORTS.len() {
            return None;
        }
        let (first, count) = (*NODE_PORTS.start(), NODE_PORTS.len() as u64);
        let begin = digest((&owner.0, &owner.1, port)) % count;
        let all = (0..count).map(|n| first + ((begin + n) % count) as u16);
        all.into_iter().find(|port| !self.owners.contains_key(port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::ServicePort;

    fn service(spec: &str) -> Service {
        let text = format!("{{metadata: {{name: db, namespace: default}}, spec: {spec}}}");
        serde_yaml::from_str(&text).expect(spec)
    }

    #[test]
    fn families_follow_the_policy() {
        // The spec, whether the cluster has both families, and what families and addresses become of it.
        let table = [
            ("{}", true, "[IPv4] 0"),
            ("{ipFamilyPolicy: PreferDualStack}", true, "[IPv4, IPv6] 0"),
            ("{ipFamilyPolicy: PreferDualStack}", false, "[IPv4] 0"),
            ("{ipFamilyPolicy: RequireDualStack, ipFamilies: [IPv6]}", true, "[IPv6, IPv4] 0"),
            ("{ipFamilies: [IPv6]}", true, "[IPv6] 0"),
            (
                "{clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1], ipFamilies: [IPv4], ipFamilyPolicy: PreferDualStack}",
                true,
                "[IPv4, IPv6] 1",
            ),
            (
                "{clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1, 'fd00::1'], ipFamilies: [IPv4, IPv6], ipFamilyPolicy: SingleStack}",
                true,
                "[IPv4] 1",
            ),
            ("{clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1, 'fd00::1']}", true, "[IPv4, IPv6] 2"),
            ("{clusterIP: None, selector: {a: b}}", true, "[IPv4] 0"),
            ("{clusterIP: None, selector: {a: b}, ipFamilyPolicy: PreferDualStack}", true, "[IPv4, IPv6] 0"),
            ("{clusterIP: None}", true, "[IPv4, IPv6] 0"),
            // Its endpoints are written by hand and may be of any family.
            ("{clusterIP: None}", false, "[IPv4, IPv6] 0"),
            ("{clusterIP: None, ipFamilyPolicy: SingleStack}", true, "[IPv4] 0"),
            ("{clusterIP: None, ipFamilies: [IPv6]}", true, "[IPv6, IPv4] 0"),
            (
                "{clusterIP: None, ipFamilies: [IPv6], ipFamilyPolicy: PreferDualStack}",
                false,
                "[IPv6, IPv4] 0",
            ),
        ];
        for (spec, both, expected) in table {
            let mut service = service(spec);
            set_families(&mut service, |family| both || family == IpFamily::IPv4);
            let families = service.families().to_vec();
            assert_eq!(format!("{families:?} {}", service.addresses().count()), expected, "{spec} {both}");
        }
    }

    #[test]
    fn node_ports_are_of_the_range_and_of_one_service() {
        let mut ports = NodePorts::default();
        let numbers = |service: &Service| -> Vec<Option<u16>> {
            service.spec.ports.iter().map(|port: &ServicePort| port.node_port).collect()
        };
        let of = |ports: &mut NodePorts, name: &str, spec: &str| {
            let mut service = service(spec);
            service.metadata.name = name.into();
            ports.allocate(&mut service);
            ports.record(&service);
            numbers(&service)
        };
        let dns = "{type: NodePort, ports: [{name: a, port: 53, protocol: UDP}, {name: b, port: 53}, {name: c, port: 80, nodePort: 30080}]}";
        let first = of(&mut ports, "dns", dns);
        assert_eq!(first[0], first[1], "one number for both protocols");
        assert_eq!(first[2], Some(30080), "as asked for");
        assert!(first.iter().flatten().all(|port| NODE_PORTS.contains(port)));
        assert_eq!(of(&mut NodePorts::default(), "dns", dns), first, "the same again");
        for spec in [
            "{ports: [{port: 1}]}",
            "{type: LoadBalancer, allocateLoadBalancerNodePorts: false, ports: [{port: 1}]}",
        ] {
            assert_eq!(of(&mut ports, "none", spec), [None], "{spec}");
        }
        let mut all = std::collections::BTreeSet::new();
        for number in 0..200 {
            let found = of(&mut ports, &format!("s{number}"), "{type: LoadBalancer, ports: [{port: 1}]}");
            assert!(all.insert(found[0].expect("a port")), "no two have the same");
        }
    }
}
