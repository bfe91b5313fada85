//! Lookup in the name tree: the object of a name, and its (address, port) pairs. The rules are those of the plugin's
//! `kubernetes.go` (Records, findServices, findPods).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use smallvec::SmallVec;

use super::parse::{Namespace, QName, Tree};
use super::rows::{Row, TargetRef};
use super::service::{Body, ServiceRecords, service_part};
use super::{PodNames, Zone};
use crate::wire::{DomainName, IN, labels};

/// The result of a lookup.
#[derive(Debug)]
pub enum Found<'z> {
    /// Nothing: the name does not exist.
    Missing,
    /// The name exists and has no records of its own: the apex, `svc`, `pod`, a namespace.
    Container,
    /// A Service, a port of it or an endpoint: at least one pair.
    Pairs(Matches<'z>),
    /// An address spelled as a pod's name, with the number of pods that have it, at least 1.
    Pod(IpAddr, u32),
}

/// The (address, port) pairs of a name, in the order of the Service's slices.
#[derive(Clone, Copy, Debug)]
pub struct Matches<'z> {
    service: &'z ServiceRecords,
    selector: Selector<'z>,
}

#[derive(Clone, Copy, Debug)]
enum Selector<'z> {
    Host(&'z [u8]),
    /// Empty: any.
    Port {
        name: &'z [u8],
        protocol: &'z [u8],
    },
}

/// Which of the pairs [`Matches::each`] visits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Each {
    /// All.
    Pair,
    /// One for each address, regardless of the number of its ports.
    Target,
}

/// A pair. CoreDNS counts these for the SRV weight, before it drops duplicates.
#[derive(Clone, Copy, Debug)]
pub struct Tuple<'z> {
    /// The endpoint's label in wire form; empty for the Service itself.
    pub host: &'z [u8],
    /// An address or an alias.
    pub target: TargetRef<'z>,
    /// `None`: there is an address, but no port for an SRV record.
    pub port: Option<u16>,
}

impl<'z> Matches<'z> {
    /// `NAME.NAMESPACE.svc` in wire form: the part after an endpoint's host label.
    pub fn prefix(&self) -> &'z [u8] {
        self.service.prefix()
    }

    /// Whether an address or a host may be repeated.
    pub fn repeats(&self) -> bool {
        self.service.repeats()
    }

    /// Calls `visit` with every pair until it returns false; returns whether it never did.
    pub fn each(&self, each: Each, mut visit: impl FnMut(Tuple<'z>) -> bool) -> bool {
        let ports_each = match each {
            Each::Pair => usize::MAX,
            Each::Target => 1,
        };
        match (self.service.body(), self.selector) {
            (Body::Missing, _) => true,
            (Body::External(target), Selector::Port { name: b"", protocol: b"" }) => {
                visit(Tuple { host: b"", target: TargetRef::Alias(target.as_wire()), port: None })
            }
            // An alias has neither ports nor endpoints (since CoreDNS 1.11.0).
            (Body::External(_), _) => true,
            (Body::Cluster(cluster), Selector::Port { name, protocol }) => {
                let mut fitting =
                    cluster.ports.iter().filter(|port| port.matches(name, protocol)).take(ports_each);
                fitting.all(|port| {
                    let tuple =
                        |ip: &IpAddr| Tuple { host: b"", target: TargetRef::Address(*ip), port: port.number };
                    cluster.addresses.iter().all(|ip| visit(tuple(ip)))
                })
            }
            (_, Selector::Host(label)) => self.service.host(label).all(|(ports, row)| {
                let mut fitting = ports.iter().filter(|port| port.matches(b"", b"")).take(ports_each);
                fitting.all(|port| visit(Tuple { host: row.host, target: row.target, port: port.number }))
            }),
            (Body::Headless, Selector::Port { name, protocol }) => self.service.slices().all(|slice| {
                let fitting = slice.ports.iter().filter(|port| port.matches(name, protocol));
                let fitting: SmallVec<[Option<u16>; 4]> =
                    fitting.take(ports_each).map(|port| port.number).collect();
                let tuple = |row: Row<'z>, port| Tuple { host: row.host, target: row.target, port };
                fitting.is_empty()
                    || slice.rows.iter().all(|row| fitting.iter().all(|&port| visit(tuple(row, port))))
            }),
        }
    }
}

impl Zone {
    /// The served zone that a question for `name` (lower case, wire form) is about: where it begins in the name, and whether
    /// it is a reverse zone. The longest, if one is within another (CoreDNS's `plugin.Zones`, Matches). `None` outside the
    /// served zones, which are of class IN.
    pub fn locate(&self, name: &[u8], class: u16) -> Option<(usize, bool)> {
        let begins = |zone: &DomainName| {
            let at = name.len().checked_sub(zone.as_wire().len())?;
            (name[at] != 0 && zone.equals(&name[at..]) && begins_label(name, at)).then_some(at)
        };
        let own = begins(&self.settings.domain).map(|at| (at, false));
        let reverse = self.settings.reverse_zones.iter().filter_map(begins).map(|at| (at, true));
        own.into_iter().chain(reverse).min().filter(|_| class == IN)
    }

    /// Whether one of the served zones is below `name` (lower case, wire form).
    pub fn is_below(&self, name: &[u8]) -> bool {
        let zones = std::iter::once(&self.settings.domain).chain(&self.settings.reverse_zones);
        zones.map(DomainName::as_wire).any(|own| {
            let at = own.len().checked_sub(name.len());
            at.is_some_and(|at| own[at..].eq_ignore_ascii_case(name) && begins_label(own, at))
        })
    }

    /// Looks `name` up: the part of a question's name left of the zone, in wire form and lower case, without the root.
    /// In a `reverse` zone no object has a name.
    pub fn find<'z>(&'z self, name: &'z [u8], reverse: bool) -> Found<'z> {
        let (of, selector) = match QName::parse(name) {
            None => return Found::Missing,
            Some(QName::Container(_, None)) => return Found::Container,
            Some(_) if reverse => return Found::Missing,
            Some(QName::Container(Tree::Pod, Some(namespace))) => return self.find_pod(namespace, None),
            Some(QName::Container(Tree::Svc, Some(namespace))) => {
                return if self.shows(namespace) { Found::Container } else { Found::Missing };
            }
            Some(QName::Pod(address, namespace)) => return self.find_pod(namespace, Some(address)),
            Some(QName::Service(of)) => (of, Selector::Port { name: b"", protocol: b"" }),
            Some(QName::Endpoint(host, of)) => (of, Selector::Host(host)),
            Some(QName::Port(name, protocol, of)) => (of, Selector::Port { name, protocol }),
        };
        if !self.shows(of.namespace) {
            return Found::Missing;
        }
        let Some(service) = self.services.get(of.key) else { return Found::Missing };
        let settings = &*self.settings;
        let of_endpoints = *service.body() == Body::Headless || matches!(selector, Selector::Host(_));
        let is_cluster = matches!(service.body(), Body::Cluster(_));
        if settings.no_endpoints && of_endpoints
            || settings.ignore_empty_services && is_cluster && service.rows().next().is_none()
        {
            return Found::Missing;
        }
        let matches = Matches { service, selector };
        // "At least one": the walk stops at the first.
        if matches.each(Each::Pair, |_| false) { Found::Missing } else { Found::Pairs(matches) }
    }

    /// Whether the namespace exists and is not hidden.
    fn shows(&self, Namespace(namespace): Namespace<'_>) -> bool {
        self.namespaces.get(namespace).is_some() && self.is_allowed(&namespace[1..])
    }

    fn is_allowed(&self, namespace: &[u8]) -> bool {
        let allowed = &self.settings.namespaces;
        allowed.is_empty() || allowed.iter().any(|name| name.as_bytes() == namespace)
    }

    fn find_pod(&self, namespace: Namespace<'_>, label: Option<&[u8]>) -> Found<'_> {
        match (self.settings.pods, label) {
            (PodNames::Disabled, _) => Found::Missing,
            _ if !self.shows(namespace) => Found::Missing,
            (_, None) => Found::Container,
            (mode, Some(label)) => match (parse_pod_label(label), mode) {
                (None, _) => Found::Missing,
                (Some((ip, _)), PodNames::Insecure) => Found::Pod(ip, 1),
                // The plugin compares text: another spelling of the address finds no pod.
                (Some((ip, text)), _) if ip.to_string() == text => {
                    let namespace = std::str::from_utf8(&namespace.0[1..]).unwrap_or_default();
                    self.pods
                        .get(&(namespace.into(), ip))
                        .map_or(Found::Missing, |&(_, count)| Found::Pod(ip, count))
                }
                _ => Found::Missing,
            },
        }
    }

    /// The names of `ip`, each in labels left of the cluster domain: its Service's if it is a ClusterIP, else every
    /// endpoint's (`reverse.go`).
    pub fn names_of(&self, ip: IpAddr) -> impl Iterator<Item = [&[u8]; 2]> {
        let is_allowed =
            |prefix: &[u8]| labels(prefix).nth(1).is_some_and(|namespace| self.is_allowed(namespace));
        let service = self.cluster_ips.get(&ip).map(|(_, prefix)| prefix).filter(|prefix| is_allowed(prefix));
        let known = service.is_some() || self.settings.no_endpoints;
        let hosts = (!known).then(|| self.endpoints_at(ip)).into_iter().flatten();
        let hosts = hosts.filter(move |[_, prefix]| is_allowed(prefix));
        service.map(|prefix| [&[][..], &prefix[..]]).into_iter().chain(hosts)
    }

    /// The endpoints with the address `ip`: host labels, each with its Service's.
    fn endpoints_at(&self, ip: IpAddr) -> impl Iterator<Item = [&[u8]; 2]> {
        let services =
            self.endpoints.get(&endpoint_key(ip)).into_iter().flat_map(|(_, owners)| owners.iter());
        services
            .filter_map(|prefix| self.services.get(service_part(prefix)))
            .flat_map(move |service| service.hosts_at(ip).into_iter().map(|host| [host, service.prefix()]))
    }

    /// The zone's name servers: names (in labels left of the zone) with their addresses, as `ns.go` finds them: the
    /// Services with the server's own address as an endpoint, or `ns.dns` with that address if there is none.
    pub fn nameservers(&self) -> Vec<([&[u8]; 2], IpAddr)> {
        let own = self.own_addresses();
        let mut found = Vec::new();
        for [_, prefix] in own.iter().flat_map(|ip| self.endpoints_at(*ip)) {
            let Some(service) = self.services.get(service_part(prefix)) else { continue };
            match service.body() {
                Body::Cluster(cluster) => {
                    found.extend(cluster.addresses.iter().map(|&ip| ([&[][..], service.prefix()], ip)));
                }
                Body::Headless => found.extend(
                    service
                        .rows()
                        .filter_map(|(_, row)| Some(([row.host, service.prefix()], row.address()?))),
                ),
                Body::Missing | Body::External(_) => {}
            }
        }
        if found.is_empty() {
            found.extend(own.iter().map(|&ip| ([&[][..], b"\x02ns\x03dns"], ip)));
        }
        found
    }

    fn own_addresses(&self) -> SmallVec<[IpAddr; 2]> {
        if !self.settings.nameserver.is_empty() {
            return self.settings.nameserver.as_slice().into();
        }
        let kube_dns = self.services.get(&b"\x08kube-dns\x0bkube-system"[..]);
        let first = kube_dns.and_then(|service| service.rows().next());
        match first {
            Some((_, row)) => row.address().into_iter().collect(),
            // A name server without an address would make the apex NS invalid; loopback is the default listening
            // address.
            None => SmallVec::from_slice(&[IpAddr::V4(Ipv4Addr::LOCALHOST)]),
        }
    }
}

/// Whether a label of `name`, in wire form, begins `at` there.
fn begins_label(name: &[u8], at: usize) -> bool {
    let mut label = 0;
    while label < at {
        label += 1 + usize::from(name[label]);
    }
    label == at
}

/// The key of the endpoints at an address: one type for both families.
pub(super) fn endpoint_key(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

/// Parses the address in a pod's label; returns it with its text. Exactly three hyphens, none adjacent, make it IPv4;
/// all else is IPv6.
fn parse_pod_label(label: &[u8]) -> Option<(IpAddr, String)> {
    let label = std::str::from_utf8(label).ok()?;
    let v4 = label.matches('-').count() == 3 && !label.contains("--");
    let text = label.replace('-', if v4 { "." } else { ":" });
    let ip = if v4 {
        IpAddr::V4(text.parse().ok()?)
    } else {
        let v6: Ipv6Addr = text.parse().ok()?;
        // The plugin treats an IPv4-mapped address as an IPv4 address, with an A record.
        v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4)
    };
    Some((ip, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pod_labels_are_parsed_as_addresses() {
        let table = [
            ("10-244-1-10", Some("10.244.1.10")),
            ("256-1-1-1", None),
            ("01-2-3-4", None),
            ("cass-0", None),
            ("fd00-10-244-3--9", Some("fd00:10:244:3::9")),
            ("--1", Some("::1")),
            ("--ffff-102-304", Some("1.2.3.4")),
            ("1-2-3", None),
        ];
        for (label, ip) in table {
            let parsed = parse_pod_label(label.as_bytes()).map(|(ip, _)| ip.to_string());
            assert_eq!(parsed.as_deref(), ip, "{label}");
        }
    }
}
