//! The part of one Service in the zone: its names, addresses and ports, compiled from the Service and its
//! EndpointSlices.

use std::borrow::Cow;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::Arc;

use hashbrown::HashTable;
use rustc_hash::{FxBuildHasher, FxHashSet};
use smallvec::SmallVec;
use triomphe::ThinArc;

use super::Settings;
use super::rows::{Extent, Row, Rows, Target};
use super::table::Keyed;
use crate::store::{
    AddressType, Endpoint, EndpointPort, EndpointSlice, Name, Protocol, Service, SliceAddress,
};
use crate::wire::{DomainName, push_label};

/// The names of a Service and of its endpoints. Clones share them.
///
/// CoreDNS iterates over all (address, port) pairs of the Service's slices for every question (`kubernetes.go`,
/// findServices); this layout lets [`super::Zone`] do the same without building anything. All of it is in one
/// allocation: with 100,000 pods, each further one would cost a cache miss, more than the work on its content.
#[derive(Clone, Debug)]
pub struct ServiceRecords(ThinArc<Header, u8>);

/// The header before the bytes, which are the Service's prefix and the rows of its slices.
#[derive(Debug)]
struct Header {
    /// Length of the prefix.
    prefix: u32,
    repeats: bool,
    body: Body,
    slices: SmallVec<[Slice; 1]>,
    /// Positions of rows by host label, if there are too many to iterate over.
    by_host: Option<Box<HashTable<Position>>>,
}

/// The endpoints of one slice; each of them has all of its ports.
#[derive(Debug, PartialEq)]
struct Slice {
    ports: Ports,
    extent: Extent,
}

/// A slice with access to its rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct SliceRecords<'z> {
    pub(super) ports: &'z [Port],
    pub(super) rows: Rows<'z>,
}

/// The answer for the Service's own name.
#[derive(Debug, PartialEq)]
pub(super) enum Body {
    /// Slices of a Service which does not exist: only reverse lookups find them.
    Missing,
    /// An alias. Aliases whose target is an IP address do not exist for CoreDNS.
    External(DomainName),
    /// The addresses of the Service, one in each of its families.
    Cluster(Box<Cluster>),
    /// The addresses of its endpoints.
    Headless,
}

/// The own addresses and ports of a Service.
#[derive(Debug, PartialEq)]
pub(super) struct Cluster {
    pub(super) addresses: SmallVec<[IpAddr; 1]>,
    pub(super) ports: Ports,
}

/// Never empty: see [`Port::number`].
type Ports = SmallVec<[Port; 1]>;

/// A port of SRV names and SRV data.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    pub(super) name: Name,
    pub(super) protocol: Protocol,
    /// `None`: no port is declared. Addresses are found through it, SRV records are not (CoreDNS's port -1).
    pub(super) number: Option<u16>,
}

/// The position of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Position {
    slice: u32,
    row: u32,
    /// Offset of its host label among those of the slice.
    host: u32,
}

/// Minimum number of rows for an index by host.
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
        let mut bytes = Vec::with_capacity(256);
        for label in [name, namespace, "svc"] {
            push_label(&mut bytes, label.as_bytes());
        }
        let prefix = bytes.len() as u32;
        let slices: SmallVec<[Slice; 1]> =
            slices.iter().map(|slice| Slice::new(slice, settings, &mut bytes)).collect();
        let rows = || slices.iter().flat_map(|slice| slice.extent.rows(&bytes).iter());
        let count = slices.iter().map(|slice| slice.extent.rows(&bytes).len()).sum();
        let head = Header {
            prefix,
            repeats: repeats(rows(), count),
            body: service.map_or(Body::Missing, Body::new),
            by_host: (count >= INDEXED_FROM).then(|| Box::new(by_host(&slices, &bytes, count))),
            slices,
        };
        ServiceRecords(ThinArc::from_header_and_slice(head, &bytes))
    }

    fn head(&self) -> &Header {
        &self.0.header.header
    }

    /// `NAME.NAMESPACE` in wire form, as in a question.
    pub(super) fn name(&self) -> &[u8] {
        service_part(self.prefix())
    }

    /// The labels `NAME.NAMESPACE.svc` in wire form, without the rest.
    pub(super) fn prefix(&self) -> &[u8] {
        &self.0.slice[..self.head().prefix as usize]
    }

    /// The answer for its own name.
    pub(super) fn body(&self) -> &Body {
        &self.head().body
    }

    /// Whether an address or a host is repeated, so that answers must be de-duplicated.
    pub(super) fn repeats(&self) -> bool {
        self.head().repeats
    }

    /// Its slices, in their order.
    pub(super) fn slices(&self) -> impl Iterator<Item = SliceRecords<'_>> + Clone {
        self.head().slices.iter().map(|slice| slice.records(&self.0.slice))
    }

    /// Whether no name is found through it any more.
    pub(super) fn is_empty(&self) -> bool {
        self.head().body == Body::Missing && self.head().slices.is_empty()
    }

    /// Whether `other` gives the same answers.
    pub(super) fn equals(&self, other: &Self) -> bool {
        let (one, another) = (self.head(), other.head());
        one.body == another.body && one.slices == another.slices && self.0.slice == other.0.slice
    }

    /// The rows below the host `label` (lower case, without its length), each with its slice's ports.
    pub(super) fn host<'a>(&'a self, label: &'a [u8]) -> impl Iterator<Item = (&'a [Port], Row<'a>)> {
        let mut found = SmallVec::<[Position; 2]>::new();
        if let Some(positions) = &self.head().by_host {
            let all = positions.iter_hash(hash(label)).copied();
            found.extend(all.filter(|place| self.at(*place).is_some_and(|(_, row)| &row.host[1..] == label)));
            // In the order of the slices.
            found.sort_unstable();
        }
        let walked = self
            .head()
            .by_host
            .is_none()
            .then(|| self.rows().filter(move |(_, row)| &row.host[1..] == label));
        found.into_iter().filter_map(|place| self.at(place)).chain(walked.into_iter().flatten())
    }

    fn at(&self, place: Position) -> Option<(&[Port], Row<'_>)> {
        let slice = self.head().slices.get(place.slice as usize)?.records(&self.0.slice);
        Some((slice.ports, slice.rows.get(place.row, place.host)?))
    }

    /// The distinct host labels of the rows with address `ip`.
    pub(super) fn hosts_at(&self, ip: IpAddr) -> SmallVec<[&[u8]; 2]> {
        let all = self.rows().filter(|(_, row)| row.address() == Some(ip)).map(|(_, row)| row.host);
        if !self.repeats() {
            return all.take(1).collect();
        }
        let mut distinct = SmallVec::new();
        all.for_each(|host| {
            if !distinct.contains(&host) {
                distinct.push(host);
            }
        });
        distinct
    }

    /// All rows, each with its slice's ports.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&[Port], Row<'_>)> + Clone {
        self.slices().flat_map(|slice| slice.rows.iter().map(move |row| (slice.ports, row)))
    }
}

/// The key is its name.
impl Keyed for ServiceRecords {
    type Key = [u8];

    fn key(&self) -> &[u8] {
        self.name()
    }
}

impl Slice {
    fn records<'z>(&'z self, bytes: &'z [u8]) -> SliceRecords<'z> {
        SliceRecords { ports: &self.ports, rows: self.extent.rows(bytes) }
    }
}

fn by_host(slices: &[Slice], bytes: &[u8], count: usize) -> HashTable<Position> {
    let mut positions = HashTable::with_capacity(count);
    for (slice, records) in (0..).zip(slices) {
        for (row, host, found) in records.extent.rows(bytes).positions() {
            // The capacity is sufficient: no entry is hashed again.
            positions.insert_unique(hash(&found.host[1..]), Position { slice, row, host }, |_| 0);
        }
    }
    positions
}

fn hash(label: &[u8]) -> u64 {
    FxBuildHasher.hash_one(label)
}

/// Whether two rows have the same host or the same address.
fn repeats<'z>(rows: impl Iterator<Item = Row<'z>> + Clone, count: usize) -> bool {
    // For few rows, comparison is faster than hashing.
    if count < INDEXED_FROM {
        let mut others = rows.clone();
        return rows.into_iter().any(|row| {
            others.next();
            others.clone().any(|other| other.host == row.host || other.target == row.target)
        });
    }
    let mut hosts = FxHashSet::with_capacity_and_hasher(count, Default::default());
    let mut targets = FxHashSet::with_capacity_and_hasher(count, Default::default());
    rows.into_iter().any(|row| !hosts.insert(row.host) || !targets.insert(row.target))
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
        let mut ports: Ports = service
            .spec
            .ports
            .iter()
            .map(|p| Port { name: p.name.clone(), protocol: p.protocol, number: Some(p.port) })
            .collect();
        if ports.is_empty() {
            ports.push(Port::undeclared());
        }
        Body::Cluster(Box::new(Cluster { addresses: service.addresses().collect(), ports }))
    }
}

impl Port {
    fn undeclared() -> Self {
        Port { name: Name::default(), protocol: Protocol::TCP, number: None }
    }

    /// Whether the port matches `name` and `protocol` of a question; an empty one matches any, and case is ignored
    /// (CoreDNS, matchPortAndProtocol).
    pub(super) fn matches(&self, name: &[u8], protocol: &[u8]) -> bool {
        // A slice or Service without ports has no protocol either, so only "any" matches it.
        let own: &[u8] = if self.number.is_none() && self.name.is_empty() {
            b""
        } else {
            self.protocol.label().as_bytes()
        };
        (name.is_empty() || self.name.as_bytes().eq_ignore_ascii_case(name))
            && (protocol.is_empty() || own.eq_ignore_ascii_case(protocol))
    }
}

impl Slice {
    /// Appends its rows to `bytes`.
    fn new(slice: &EndpointSlice, settings: &Settings, bytes: &mut Vec<u8>) -> Self {
        let port = |p: &EndpointPort| Port { name: p.name.clone(), protocol: p.protocol, number: p.port };
        let mut ports: Ports = slice.ports.iter().map(port).collect();
        if ports.is_empty() {
            ports.push(Port::undeclared());
        }
        // Only `ready` counts, and absent means ready (object/endpoint.go); serving and terminating are ignored.
        let ready = slice.endpoints.iter().filter(|e| e.conditions.ready != Some(false));
        let rows = ready.flat_map(|endpoint| {
            endpoint
                .addresses
                .iter()
                .filter_map(move |address| row(slice.address_type, endpoint, address, settings))
        });
        Slice { ports, extent: Extent::write(rows, bytes) }
    }
}

/// The label of an endpoint and its target, for one of its addresses.
fn row<'s>(
    kind: AddressType,
    endpoint: &'s Endpoint,
    address: SliceAddress<'_>,
    settings: &Settings,
) -> Option<(Cow<'s, str>, Target)> {
    let target = match kind {
        AddressType::FQDN => Target::Alias(address.to_string().parse().ok()?),
        _ => Target::Address(address.ip().ok()?),
    };
    let host = host_label(endpoint, address, &target, settings);
    // A label that is too long or contains dots cannot be queried (CoreDNS fails to send it).
    let fits = !host.is_empty() && host.len() <= 63 && !host.contains('.');
    fits.then_some((host, target))
}

/// The label of an endpoint below its Service (CoreDNS, endpointHostname): its hostname; else, if configured, its pod's
/// name; else its address with dashes.
fn host_label<'s>(
    endpoint: &'s Endpoint,
    address: SliceAddress<'_>,
    target: &Target,
    settings: &Settings,
) -> Cow<'s, str> {
    if !endpoint.hostname.is_empty() {
        return endpoint.hostname.as_str().into();
    }
    let pod = endpoint
        .target_ref
        .as_ref()
        .map(|r| r.name.as_str())
        .filter(|name| !name.is_empty() && name.len() < 64);
    match (pod, target) {
        (Some(pod), _) if settings.endpoint_pod_names => pod.into(),
        (_, Target::Address(ip)) => dashed(*ip).into(),
        (_, Target::Alias(_)) => address.to_string().replace('.', "-").into(),
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

/// `NAME.NAMESPACE` of `NAME.NAMESPACE.svc`: the key of a Service's records.
pub(super) fn service_part(prefix: &[u8]) -> &[u8] {
    &prefix[..prefix.len() - b"\x03svc".len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_labels() {
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
