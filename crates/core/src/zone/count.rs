//! Counts records without creating them, for a log line at the start of 100,000 pods.

use std::hash::Hash;
use std::net::IpAddr;

use rustc_hash::FxHashSet;

use super::rows::Row;
use super::service::{Body, Cluster, Port, ServiceRecords, SliceRecords};
use super::{PodNames, Zone};
use crate::store::{Name, Protocol};

impl Zone {
    /// Number of records of the names in [`Zone::names`] and [`Zone::reverse_names`]. Endpoints that are names instead
    /// of addresses (slices of type FQDN) are not counted, and settings that hide names are ignored.
    pub fn record_count(&self) -> usize {
        let nameservers = self.nameservers();
        let ns = distinct(nameservers.iter().map(|(name, _)| name));
        let ns_dns = distinct(nameservers.iter().map(|(_, ip)| ip));
        // The SOA, and the TXT record of dns-version.
        let own = 2 + ns + ns_dns;
        let services: usize = self.services.iter().map(|service| service.record_count()).sum();
        let is_endpoint = |ip: &IpAddr| self.cluster_ips.get(ip).is_none();
        let endpoints = self.services.iter().map(|service| service.reverse_count(is_endpoint));
        let reverse = self.cluster_ips.len() + endpoints.sum::<usize>();
        // An address and an SRV record for each.
        let pods = if self.settings.pods == PodNames::Verified { 2 * self.pods.len() } else { 0 };
        own + services + reverse + pods
    }
}

impl ServiceRecords {
    /// Number of records of the Service's own name, of its ports' names and of its endpoints.
    fn record_count(&self) -> usize {
        let own = match self.body() {
            Body::Missing => return 0,
            Body::External(_) => return 1,
            Body::Cluster(cluster) if cluster.addresses.is_empty() => 0,
            Body::Cluster(cluster) => {
                let Cluster { addresses, ports } = &**cluster;
                let count =
                    |ports: &[&Port]| addresses.len() + distinct(ports.iter().filter_map(|port| port.number));
                let all: Vec<&Port> = ports.iter().collect();
                let of_name = |pair| {
                    count(&all.iter().copied().filter(|port| pair_of(port) == pair).collect::<Vec<_>>())
                };
                count(&all) + pairs(ports).into_iter().map(of_name).sum::<usize>()
            }
            Body::Headless => {
                let named = self.slices().flat_map(|slice| slice.ports);
                let of_name = |pair| self.endpoints(|port| pair_of(port) == pair);
                self.endpoints(|_| true) + pairs(named).into_iter().map(of_name).sum::<usize>()
            }
        };
        own + self.hosts()
    }

    /// Number of records of a name that points to all endpoints with one of the ports that `fits` accepts.
    fn endpoints(&self, fits: impl Fn(&Port) -> bool) -> usize {
        let slices = || self.slices().filter(|slice| slice.ports.iter().any(&fits));
        let numbers = |slice: SliceRecords<'_>| -> Vec<u16> {
            let numbers: FxHashSet<u16> =
                slice.ports.iter().filter(|port| fits(port)).filter_map(|port| port.number).collect();
            numbers.into_iter().collect()
        };
        if !self.repeats() {
            return slices().map(|slice| addresses(slice).count() * (1 + numbers(slice).len())).sum();
        }
        let ips = distinct(slices().flat_map(|slice| addresses(slice).map(|row| row.target)));
        let srv = slices().flat_map(|slice| {
            let numbers = numbers(slice);
            addresses(slice)
                .flat_map(move |row| numbers.clone().into_iter().map(move |number| (row.host, number)))
        });
        ips + distinct(srv)
    }

    /// Number of PTR records of its endpoints' addresses that `counts` accepts.
    fn reverse_count(&self, counts: impl Fn(&IpAddr) -> bool) -> usize {
        let named = self.rows().filter_map(|(_, row)| Some((row.address().filter(&counts)?, row.host)));
        if self.repeats() { distinct(named) } else { named.count() }
    }

    /// Number of records of the endpoints' own names.
    fn hosts(&self) -> usize {
        let numbers = |ports: &[Port]| distinct(ports.iter().filter_map(|port| port.number));
        if !self.repeats() {
            return self.slices().map(|slice| addresses(slice).count() * (1 + numbers(slice.ports))).sum();
        }
        let rows = || self.slices().flat_map(|slice| addresses(slice).map(move |row| (slice, row)));
        let ips = distinct(rows().map(|(_, row)| (row.host, row.target)));
        let srv = rows().flat_map(|(slice, row)| {
            slice.ports.iter().filter_map(move |port| Some((row.host, port.number?)))
        });
        ips + distinct(srv)
    }
}

fn addresses<'z>(slice: SliceRecords<'z>) -> impl Iterator<Item = Row<'z>> {
    slice.rows.iter().filter(|row| row.address().is_some())
}

fn distinct<T: Hash + Eq>(all: impl Iterator<Item = T>) -> usize {
    all.collect::<FxHashSet<T>>().len()
}

fn pair_of(port: &Port) -> (&Name, Protocol) {
    (&port.name, port.protocol)
}

/// The names of ports, each with its protocol.
fn pairs<'a>(ports: impl IntoIterator<Item = &'a Port>) -> FxHashSet<(&'a Name, Protocol)> {
    ports.into_iter().filter(|port| !port.name.is_empty() && port.number.is_some()).map(pair_of).collect()
}
