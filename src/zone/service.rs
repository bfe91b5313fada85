//! What one Service contributes to the zone: its names, addresses and ports, compiled from the Service and its
//! EndpointSlices.

use std::net::IpAddr;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::Settings;
use super::name::{DomainName, push_label};
use crate::store::{AddressType, Endpoint, EndpointPort, EndpointSlice, Name, Protocol, Service, parse_ip};

/// The names of a Service and of its endpoints.
///
/// CoreDNS walks all (address, port) pairs of the Service's slices for every question (`kubernetes.go`, findServices);
/// what is kept here lets [`super::Zone`] do the same walk without building anything.
#[derive(Debug, PartialEq)]
pub struct ServiceRecords {
    /// The labels `NAME.NAMESPACE.svc` in wire form, without what follows.
    pub(super) prefix: Arc<[u8]>,
    pub(super) body: Body,
    pub(super) slices: Box<[SliceRecords]>,
    /// Rows by host label, where there are too many to walk: (slice, row).
    by_host: FxHashMap<Arc<[u8]>, Vec<(u32, u32)>>,
    /// Whether an address or a host occurs more than once, so that answers must be de-duplicated.
    pub(super) repeats: bool,
}

/// What the Service's own name answers with.
#[derive(Debug, PartialEq)]
pub(super) enum Body {
    /// Slices that name a Service which does not exist: only reverse lookups show them.
    Missing,
    /// An alias. Not the ones whose target is an IP address: those do not exist for CoreDNS.
    External(DomainName),
    /// An address of its own, in each of its families.
    Cluster { addresses: Box<[IpAddr]>, ports: Box<[Port]> },
    /// The addresses of its endpoints.
    Headless,
}

/// The endpoints of one slice; every port goes with every one of them.
#[derive(Debug, PartialEq)]
pub(super) struct SliceRecords {
    pub(super) ports: Box<[Port]>,
    pub(super) rows: Box<[Row]>,
}

/// One address of one endpoint.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    /// The label (in wire form) below the Service's name; shared with the reverse names.
    pub(super) host: Arc<[u8]>,
    pub(super) target: Target,
}

/// Where a name leads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// An A or AAAA record.
    Address(IpAddr),
    /// A CNAME: from an ExternalName Service, or a slice of address type FQDN.
    Alias(DomainName),
}

/// A port as SRV names and SRV data show it.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    pub(super) name: Name,
    pub(super) protocol: Protocol,
    /// `None`: nothing was declared. Addresses are found through it, SRV records are not (CoreDNS's port -1).
    pub(super) number: Option<u16>,
}

/// From how many rows on a host is looked up instead of searched.
const INDEXED_FROM: usize = 16;

impl ServiceRecords {
    /// Compiles `service` (absent: the slices belong to a Service that does not exist) and its `slices`.
    pub(super) fn new(
        namespace: &str,
        name: &str,
        service: Option<&Service>,
        slices: &[&Arc<EndpointSlice>],
        settings: &Settings,
    ) -> Self {
        let slices: Box<[_]> = slices.iter().map(|slice| SliceRecords::new(slice, settings)).collect();
        let rows = || slices.iter().flat_map(|slice| slice.rows.iter());
        let count = rows().count();
        let mut by_host: FxHashMap<Arc<[u8]>, Vec<(u32, u32)>> = FxHashMap::default();
        if count >= INDEXED_FROM {
            for (s, slice) in slices.iter().enumerate() {
                for (r, row) in slice.rows.iter().enumerate() {
                    by_host.entry(row.host.clone()).or_default().push((s as u32, r as u32));
                }
            }
        }
        ServiceRecords {
            prefix: prefix(namespace, name),
            body: service.map_or(Body::Missing, Body::new),
            repeats: repeats(rows(), count),
            slices,
            by_host,
        }
    }

    /// Whether there is nothing to be found through it any more.
    pub(super) fn is_empty(&self) -> bool {
        self.body == Body::Missing && self.slices.is_empty()
    }

    /// The rows below the host `label` (lower case, without its length), each with its slice's ports.
    pub(super) fn host<'a>(&'a self, label: &'a [u8]) -> impl Iterator<Item = (&'a [Port], &'a Row)> {
        let indexed = !self.by_host.is_empty();
        // The key is the label in wire form; building it on the stack avoids an allocation per query.
        let mut wire = [0u8; 64];
        wire[0] = label.len() as u8;
        wire[1..=label.len()].copy_from_slice(label);
        let known = if indexed { self.by_host.get(&wire[..=label.len()]) } else { None };
        let found = known.into_iter().flatten().map(|&(s, r)| {
            let slice = &self.slices[s as usize];
            (&*slice.ports, &slice.rows[r as usize])
        });
        let walked = (!indexed).then(|| self.rows().filter(move |(_, row)| row.host.get(1..) == Some(label)));
        found.chain(walked.into_iter().flatten())
    }

    /// All rows, each with its slice's ports.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&[Port], &Row)> {
        self.slices.iter().flat_map(|slice| slice.rows.iter().map(|row| (&*slice.ports, row)))
    }
}

/// `NAME.NAMESPACE.svc` in wire form.
fn prefix(namespace: &str, name: &str) -> Arc<[u8]> {
    let mut wire = Vec::with_capacity(name.len() + namespace.len() + 6);
    for label in [name, namespace, "svc"] {
        push_label(&mut wire, label.as_bytes());
    }
    wire.into()
}

/// Whether two rows have the same host or the same address.
fn repeats<'a>(rows: impl Iterator<Item = &'a Row> + Clone, count: usize) -> bool {
    // Few rows are compared sooner than they are hashed.
    if count < INDEXED_FROM {
        let mut others = rows.clone();
        return rows.into_iter().any(|row| {
            others.next();
            others.clone().any(|other| other.host == row.host || other.target == row.target)
        });
    }
    let mut hosts = FxHashSet::with_capacity_and_hasher(count, Default::default());
    let mut targets = FxHashSet::with_capacity_and_hasher(count, Default::default());
    rows.into_iter().any(|row| !hosts.insert(&row.host) || !targets.insert(&row.target))
}

impl Body {
    fn new(service: &Service) -> Self {
        if service.is_external_name() {
            let target = service.spec.external_name.as_deref().unwrap_or_default();
            return match target.parse::<DomainName>() {
                Ok(name) if target.parse::<IpAddr>().is_err() => Body::External(name),
                _ => Body::Missing,
            };
        }
        if service.is_headless() {
            return Body::Headless;
        }
        let mut ports: Vec<Port> = service
            .spec
            .ports
            .iter()
            .map(|p| Port { name: p.name.clone(), protocol: p.protocol, number: Some(p.port) })
            .collect();
        if ports.is_empty() {
            ports.push(Port::undeclared());
        }
        Body::Cluster { addresses: service.addresses().collect(), ports: ports.into() }
    }
}

impl Port {
    fn undeclared() -> Self {
        Port { name: Name::default(), protocol: Protocol::TCP, number: None }
    }

    /// Whether the port is meant by `name` and `protocol` of a question; an empty one means any, and case does not
    /// matter (CoreDNS, matchPortAndProtocol).
    pub(super) fn matches(&self, name: &[u8], protocol: &[u8]) -> bool {
        // A slice or Service without ports has no protocol either, so only "any" finds it.
        let own: &[u8] = if self.number.is_none() && self.name.is_empty() {
            b""
        } else {
            self.protocol.label().as_bytes()
        };
        (name.is_empty() || self.name.as_bytes().eq_ignore_ascii_case(name))
            && (protocol.is_empty() || own.eq_ignore_ascii_case(protocol))
    }
}

impl SliceRecords {
    fn new(slice: &EndpointSlice, settings: &Settings) -> Self {
        let port = |p: &EndpointPort| Port { name: p.name.clone(), protocol: p.protocol, number: p.port };
        let mut ports: Vec<Port> = slice.ports.iter().map(port).collect();
        if ports.is_empty() {
            ports.push(Port::undeclared());
        }
        // Only `ready` counts, and absent means ready (object/endpoint.go); serving and terminating do not matter.
        let ready = slice.endpoints.iter().filter(|e| e.conditions.ready != Some(false));
        let rows = ready.flat_map(|endpoint| {
            endpoint
                .addresses
                .iter()
                .filter_map(move |address| Row::new(slice.address_type, endpoint, address, settings))
        });
        SliceRecords { ports: ports.into(), rows: rows.collect() }
    }
}

impl Row {
    fn new(kind: AddressType, endpoint: &Endpoint, address: &Name, settings: &Settings) -> Option<Self> {
        let target = match kind {
            AddressType::FQDN => Target::Alias(address.parse().ok()?),
            _ => Target::Address(parse_ip(address).ok()?),
        };
        let host = host_label(endpoint, address, &target, settings);
        // Longer than a label can be, or with dots in it: nobody could ask for it (CoreDNS fails to send it).
        if host.is_empty() || host.len() > 63 || host.contains('.') {
            return None;
        }
        let mut wire = Vec::with_capacity(host.len() + 1);
        push_label(&mut wire, host.to_ascii_lowercase().as_bytes());
        Some(Row { host: wire.into(), target })
    }
}

/// The label of an endpoint below its Service (CoreDNS, endpointHostname): its hostname; else, if asked for, its pod's
/// name; else its address with dashes.
fn host_label(endpoint: &Endpoint, address: &str, target: &Target, settings: &Settings) -> String {
    if !endpoint.hostname.is_empty() {
        return endpoint.hostname.to_string();
    }
    let pod = endpoint
        .target_ref
        .as_ref()
        .map(|r| r.name.as_str())
        .filter(|name| !name.is_empty() && name.len() < 64);
    match (pod, target) {
        (Some(pod), _) if settings.endpoint_pod_names => pod.to_string(),
        (_, Target::Address(ip)) => dashed(*ip),
        (_, Target::Alias(_)) => address.replace('.', "-"),
    }
}

/// An address as a label: `10-244-1-7`, `fd00-10--9`. A label must not end in a hyphen, so `fd00::` becomes
/// `fd00--0` (CoreDNS since 1.12.3).
pub fn dashed(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string().replace('.', "-"),
        IpAddr::V6(ip) => {
            let label = ip.to_string().replace(':', "-");
            if label.ends_with('-') { label + "0" } else { label }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashed_addresses() {
        let table = [
            ("10.244.1.7", "10-244-1-7"),
            ("fd00:10:244:3::9", "fd00-10-244-3--9"),
            ("fd00:10:244:3::", "fd00-10-244-3--0"),
            ("::1", "--1"),
        ];
        for (ip, label) in table {
            assert_eq!(dashed(ip.parse().unwrap()), label);
        }
    }

    #[test]
    fn ports_match_by_name_and_protocol() {
        let cql = Port { name: "cql".into(), protocol: Protocol::TCP, number: Some(9042) };
        let table = [
            ("cql", "tcp", true),
            ("CQL", "TCP", true),
            ("", "tcp", true),
            ("cql", "", true),
            ("cql", "udp", false),
            ("http", "tcp", false),
        ];
        for (name, protocol, expected) in table {
            assert_eq!(cql.matches(name.as_bytes(), protocol.as_bytes()), expected, "{name}/{protocol}");
        }
        assert!(Port::undeclared().matches(b"", b"") && !Port::undeclared().matches(b"", b"tcp"));
    }
}
