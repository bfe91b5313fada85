//! Lists the names of a zone that have records of their own.
//!
//! It omits other spellings that CoreDNS answers as well (`_port._proto` without underscores, `_` for any), and
//! addresses as names below `pod`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::service::{Body, ServiceRecords};
use super::{PodNames, Zone, dashed};
use crate::wire::{DomainName, labels, push_label, reverse_name};

impl Zone {
    /// The names below the cluster domain: the domain itself, then by namespace.
    pub fn names(&self) -> Vec<DomainName> {
        let domain = self.settings.domain.as_wire();
        let absolute = |relative: &[u8]| DomainName::from_wire([relative, domain].concat());
        let mut names = vec![absolute(b""), absolute(b"\x02ns\x03dns"), absolute(b"\x0bdns-version")];
        for service in self.sorted_services() {
            let below = |host: &[u8]| absolute(&[host, service.prefix()].concat());
            names.push(below(b""));
            let ports = match service.body() {
                Body::Cluster(cluster) => cluster.ports.iter().collect::<Vec<_>>(),
                Body::Headless => service.slices().flat_map(|slice| slice.ports).collect(),
                Body::Missing | Body::External(_) => Vec::new(),
            };
            let named = ports.into_iter().filter(|port| !port.name.is_empty() && port.number.is_some());
            let pairs: BTreeSet<_> = named.map(|port| (&port.name, port.protocol)).collect();
            for (name, protocol) in pairs {
                let mut wire = Vec::with_capacity(32);
                push_label(&mut wire, format!("_{name}").as_bytes());
                push_label(&mut wire, format!("_{}", protocol.label()).as_bytes());
                names.push(below(&wire));
            }
            if !matches!(service.body(), Body::Missing | Body::External(_)) {
                let mut seen = BTreeSet::new();
                names.extend(
                    service.rows().filter(|(_, row)| seen.insert(row.host)).map(|(_, row)| below(row.host)),
                );
            }
        }
        if self.settings.pods == PodNames::Verified {
            let pods: BTreeSet<_> = self.pods.iter().map(|((namespace, ip), _)| (namespace, *ip)).collect();
            for (namespace, ip) in pods {
                let mut wire = Vec::with_capacity(64);
                [dashed(ip).as_str(), namespace, "pod"]
                    .iter()
                    .for_each(|label| push_label(&mut wire, label.as_bytes()));
                names.push(absolute(&wire));
            }
        }
        names
    }

    /// The names of all addresses below `in-addr.arpa` and `ip6.arpa`, by address.
    pub fn reverse_names(&self) -> Vec<DomainName> {
        let all: BTreeSet<IpAddr> = self
            .cluster_ips
            .iter()
            .map(|(ip, _)| *ip)
            .chain(self.endpoints.iter().map(|(ip, _)| IpAddr::V6(*ip).to_canonical()))
            .collect();
        all.into_iter().map(reverse_name).collect()
    }

    /// Number of Services, including aliases and deleted Services whose slices still exist.
    pub fn service_count(&self) -> usize {
        self.services.len()
    }

    fn sorted_services(&self) -> Vec<&ServiceRecords> {
        let mut sorted: BTreeMap<Vec<&[u8]>, &ServiceRecords> = BTreeMap::new();
        for service in self.services.iter() {
            let mut name: Vec<_> = labels(service.name()).collect();
            name.reverse();
            sorted.insert(name, service);
        }
        sorted.into_values().collect()
    }
}

impl DomainName {
    /// The search domains of a pod in `namespace`, in the cluster with this domain, as the kubelet writes them to
    /// resolv.conf: without the final dot.
    pub fn search_domains(&self, namespace: &str) -> [String; 3] {
        let domain = self.to_string();
        let domain = domain.trim_end_matches('.');
        [format!("{namespace}.svc.{domain}"), format!("svc.{domain}"), domain.into()]
    }
}
