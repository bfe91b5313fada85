//! Takes the place of the allocators of addresses: the API server's for ClusterIPs, a CNI plugin's for pod addresses.
//!
//! The search for an address starts at a number derived from the owner's name alone, so the same manifests give the
//! same addresses and a new object leaves those of others unchanged. A released address is not allocated again before
//! the range has gone round: a client with a stale address must not reach another pod.

mod allocation;
mod range;
mod shortage;

use std::net::IpAddr;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::reconcile::names::digest;
use crate::store::{
    Change, ClusterIp, Event, IpFamily, IpList, Key, Kind, Name, Object, Service, Store, is_out_of_reach,
};

use allocation::NodePorts;
pub use range::{Range, RangeError};
use shortage::Shortage;

/// Which released address is allocated next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reuse {
    /// None, before the range has gone round: a stale client does not reach another pod.
    #[default]
    Never,
    /// The one released last: a stale client reaches another pod as soon as possible.
    Lifo,
}

/// Namespace and name of a pod or Service. Pods and Services have separate pools.
type Owner = (Name, Name);

fn owner(key: &Key) -> Owner {
    (key.namespace.clone(), key.name.clone())
}

/// One range, and the owners of its numbers.
struct Pool {
    range: Range,
    /// The number each owner has; its addresses in both families follow from it.
    owners: FxHashMap<Owner, u32>,
    /// The numbers that objects have because a manifest requests them.
    requested: FxHashMap<Owner, SmallVec<[u32; 1]>>,
    /// Numbers in use, requested, or used since the range last went round.
    spent: Bits,
    /// Where the search continues when the block of an owner is full.
    next: u32,
    reuse: Reuse,
    /// Released numbers that can be allocated again, the last one first.
    returned: Vec<u32>,
    /// Whether no number was left, and none has been released since: no search is needed.
    full: bool,
    /// Owners that got no number.
    shortage: Shortage,
    /// How many numbers the searches have examined, for tests of their cost.
    #[cfg(test)]
    examined: usize,
}

impl Pool {
    fn new(range: Range, reuse: Reuse) -> Self {
        Pool {
            range,
            reuse,
            returned: Vec::new(),
            full: false,
            shortage: Shortage::default(),
            #[cfg(test)]
            examined: 0,
            owners: FxHashMap::default(),
            requested: FxHashMap::default(),
            spent: Bits::default(),
            next: 1,
        }
    }

    /// Allocates a number for the owner, searching from `preferred` on; `None` if the range is full.
    fn assign(&mut self, owner: Owner, preferred: u32) -> Option<u32> {
        if let Some(number) = self.owners.get(&owner) {
            return Some(*number);
        }
        if let Some(number) = self.returned.pop() {
            self.owners.insert(owner, number);
            return Some(number);
        }
        if self.full {
            return None;
        }
        let end = self.range.end();
        let near =
            (preferred..preferred.saturating_add(256).min(end)).find(|n| *n > 0 && !self.spent.has(*n));
        let number = near.or_else(|| self.next_free(end)).or_else(|| {
            // The range has gone round: numbers without an owner are free again.
            self.spent = self.owners.values().chain(self.requested.values().flatten()).copied().collect();
            self.next = 1;
            self.next_free(end)
        });
        self.full = number.is_none();
        let number = number?;
        self.spent.add(number);
        self.owners.insert(owner, number);
        Some(number)
    }

    fn next_free(&mut self, end: u32) -> Option<u32> {
        let found = (self.next..end).find(|n| !self.spent.has(*n));
        #[cfg(test)]
        {
            self.examined += (found.unwrap_or(end) - self.next) as usize;
        }
        let found = found?;
        self.next = found + 1;
        Some(found)
    }

    /// Records the addresses of an object; those that a manifest requests are not allocated to others.
    fn record(&mut self, object: &Object, ips: impl Iterator<Item = IpAddr>) {
        let numbers: SmallVec<[u32; 1]> = ips.filter_map(|ip| self.range.number(ip)).collect();
        let meta = object.metadata();
        let key = (meta.namespace.clone(), meta.name.clone());
        let given = self.owners.get(&key);
        if numbers.iter().all(|number| Some(number) == given) {
            return;
        }
        numbers.iter().for_each(|number| self.spent.add(*number));
        self.requested.insert(key, numbers);
    }

    /// Whether `number` has an owner.
    fn has(&self, number: u32) -> bool {
        self.owners.values().chain(self.requested.values().flatten()).any(|other| *other == number)
    }

    fn release(&mut self, key: &Owner) {
        let number = self.owners.remove(key);
        if self.reuse == Reuse::Lifo {
            self.returned.extend(number);
        }
        self.requested.remove(key);
        self.full = false;
    }

    /// Counts an owner that gets no number.
    fn refuse(&mut self, owner: &Key) {
        self.shortage.count();
        tracing::debug!(range = %self.range, %owner, "no address left");
    }

    /// Reports the owners without a number, in one line.
    fn report(&mut self, what: &str, flag: &str) {
        if let Some(refused) = self.shortage.report() {
            tracing::warn!(range = %self.range, "all addresses are taken: {refused} {what} have none so far; widen {flag}");
        }
    }

    /// Transfers the number of `owner` to `heir`.
    fn hand_over(&mut self, owner: &Owner, heir: Owner) {
        if let Some(number) = self.owners.remove(owner) {
            self.owners.insert(heir, number);
        }
    }
}

/// A growing set of numbers, one bit each.
#[derive(Default)]
struct Bits(Vec<u64>);

impl Bits {
    fn has(&self, n: u32) -> bool {
        self.0.get(n as usize / 64).is_some_and(|word| word >> (n % 64) & 1 == 1)
    }

    fn add(&mut self, n: u32) {
        let at = n as usize / 64;
        if at >= self.0.len() {
            self.0.resize(at + 1, 0);
        }
        self.0[at] |= 1 << (n % 64);
    }
}

impl FromIterator<u32> for Bits {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        let mut bits = Bits::default();
        numbers.into_iter().for_each(|n| bits.add(n));
        bits
    }
}

/// Pods of one workload are adjacent in a block of 256, like those of one node in a cluster.
const BLOCK: u32 = 256;

/// Blocks are spread over the first 65,536 numbers: 127.244.x.x of the default range.
const SPREAD: u32 = 1 << 16;

/// The addresses of pods and Services.
pub struct Addresses {
    pods: Pool,
    services: Pool,
    node_ports: NodePorts,
}

impl Addresses {
    /// Allocates addresses from these ranges.
    pub fn new(pods: Range, services: Range, reuse: Reuse) -> Self {
        Addresses {
            pods: Pool::new(pods, reuse),
            services: Pool::new(services, Reuse::Never),
            node_ports: NodePorts::default(),
        }
    }

    /// The range of Services.
    pub fn service_range(&self) -> &Range {
        &self.services.range
    }

    /// Whether a Service has the address `ip`.
    pub fn is_of_service(&self, ip: IpAddr) -> bool {
        self.services.range.number(ip).is_some_and(|number| self.services.has(number))
    }

    /// Whether a Service has the node port `port`.
    pub fn has_node_port(&self, port: u16) -> bool {
        self.node_ports.has(port)
    }

    /// Records the addresses that manifests request, and releases those of deleted objects. An object whose name has
    /// been taken by a newer one does not count as deleted.
    pub(crate) fn observe(&mut self, store: &Store, event: &Event) {
        match event.now() {
            Some(object @ Object::Service(service)) => {
                self.services.record(object, service.addresses());
                self.node_ports.record(service);
            }
            Some(object @ Object::Pod(pod)) => self.pods.record(object, pod.status.ips()),
            Some(Object::Node(node)) => {
                // What still ran on a partitioned node has been stopped.
                let Some(Object::Node(then)) = event.then() else { return };
                let stopped =
                    then.status.left_behind.iter().filter(|left| !node.status.left_behind.contains(left));
                stopped.for_each(|left| {
                    self.pods.release(&left_behind(&left.namespace, &left.pod, &then.metadata.name))
                });
            }
            Some(_) => {}
            None => {
                let key = event.object().key();
                if let Object::Pod(pod) = event.object()
                    && is_out_of_reach(store, pod)
                    && !pod.is_terminal()
                {
                    self.pods
                        .hand_over(&owner(&key), left_behind(&key.namespace, &key.name, &pod.spec.node_name));
                }
                if store.object(&key).is_none() {
                    self.release(&key);
                }
            }
        }
    }

    /// Reports the allocations that failed since the last report.
    pub(crate) fn report_shortage(&mut self) {
        self.pods.report("pods", "--pod-cidr");
        self.services.report("Services", "--service-cidr");
        self.node_ports.report_shortage();
    }

    /// Releases the addresses of the object at `key`. They are not allocated again before the range has gone round.
    pub(crate) fn release(&mut self, key: &Key) {
        match key.kind {
            Kind::Service => {
                self.services.release(&owner(key));
                self.node_ports.release(key);
            }
            Kind::Pod => self.pods.release(&owner(key)),
            _ => {}
        }
    }

    /// The addresses of the pod at `key`, primary family first; none if the range is full. Pods of `set` (name and
    /// number among its pods) are adjacent.
    pub(crate) fn pod(&mut self, key: &Key, set: Option<(&Name, u32)>) -> IpList {
        let end = self.pods.range.end();
        let blocks = (end.min(SPREAD) / BLOCK).max(1);
        let (name, offset) = set.unwrap_or((&key.name, 0));
        let block = (digest((&key.namespace, name)) % u64::from(blocks)) as u32;
        let preferred = (block * BLOCK + 1).saturating_add(offset);
        let Some(number) = self.pods.assign(owner(key), preferred) else {
            self.pods.refuse(key);
            return IpList::default();
        };
        let range = &self.pods.range;
        [IpFamily::IPv4, IpFamily::IPv6]
            .into_iter()
            .filter_map(|family| range.address(family, number))
            .collect()
    }

    /// The change that gives the Service at `key` what it still lacks: families, addresses, node ports. What it no
    /// longer needs is released (pkg/registry/core/service/storage/alloc.go).
    pub(crate) fn reconcile_service(&mut self, store: &Store, key: &Key) -> Option<Change> {
        let service = store.get::<Service>(Kind::Service, &key.namespace, &key.name)?;
        let mut wanted = Service::clone(service);
        if !service.is_external_name() {
            let configured = |family| self.services.range.address(family, 1).is_some();
            allocation::set_families(&mut wanted, configured);
            if !service.is_headless() {
                self.allocate(&mut wanted, key);
            }
        }
        self.node_ports.allocate(&mut wanted);
        (wanted.spec != service.spec).then(|| Change::Put(Object::Service(Arc::new(wanted))))
    }

    /// Allocates the addresses of the Service at `key` in the families in which it has none.
    fn allocate(&mut self, service: &mut Service, key: &Key) {
        let mut ips: Vec<IpAddr> = service.addresses().collect();
        let families = service.families();
        if ips.len() >= families.len() {
            return;
        }
        let end = self.services.range.end();
        // The lower band is for addresses that users choose (KEP-3070).
        let band = (end / 16).clamp(1, 256).min(end - 1);
        let preferred = band + (digest((&key.namespace, &key.name)) % u64::from(end - band)) as u32;
        let Some(number) = self.services.assign(owner(key), preferred) else {
            self.services.refuse(key);
            return;
        };
        let range = &self.services.range;
        let missing = families.into_iter().skip(ips.len());
        ips.extend(missing.filter_map(|family| range.address(family, number)));
        service.spec.cluster_ip = ips.first().copied().map_or(ClusterIp::Unassigned, ClusterIp::Address);
        service.spec.cluster_ips = ips.into_iter().map(ClusterIp::Address).collect();
    }
}

/// The owner of a deleted pod's address while its containers still run.
fn left_behind(namespace: &Name, pod: &Name, node: &Name) -> Owner {
    (namespace.clone(), arcstr::format!("{pod}@{node}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(name: &str) -> Key {
        Key::new(Kind::Pod, "default", name)
    }

    fn addresses(pods: &str) -> Addresses {
        Addresses::new(pods.parse().unwrap(), Range::default_services(), Reuse::Never)
    }

    #[test]
    fn pods_of_a_set_are_adjacent_and_a_replacement_gets_a_new_address() {
        let mut addresses = addresses("10.244.0.0/16");
        let set = Name::from("db");
        let mut last = |name: &str, ordinal| match addresses.pod(&key(name), Some((&set, ordinal))).first() {
            Some(IpAddr::V4(ip)) => ip.octets()[3],
            _ => unreachable!("an IPv4 range"),
        };
        assert_eq!([last("db-0", 0), last("db-1", 1), last("db-2", 2)], [1, 2, 3]);
        assert_eq!(last("db-1", 1), 2, "the same on a second request");
        addresses.pods.owners.remove(&owner(&key("db-1")));
        let again = addresses.pod(&key("db-1"), Some((&set, 1))).first().expect("an address");
        assert!(again.to_string().ends_with(".4"), "{again}");
    }

    #[test]
    fn a_full_range_allocates_only_released_addresses() {
        let mut addresses = addresses("10.0.0.0/28");
        let given: Vec<_> = (0..15).map(|n| addresses.pod(&key(&format!("p{n}")), None)).collect();
        assert_eq!(given.iter().filter(|ips| !ips.is_empty()).count(), 14, "16 less network and broadcast");
        addresses.release(&key("p3"));
        assert_eq!(addresses.pod(&key("new"), None), given[3]);
    }

    /// A full range is not searched again: the work is linear in the number of failed requests.
    #[test]
    fn a_full_range_is_not_searched_again() {
        let mut addresses = addresses("10.0.0.0/16");
        let given = (0..200_000).filter(|n| !addresses.pod(&key(&format!("p{n}")), None).is_empty()).count();
        assert_eq!(given, 65_534);
        assert!(addresses.pods.full);
        let examined = addresses.pods.examined;
        assert!(examined < 3 * 65_536, "{examined} numbers were examined");
        addresses.release(&key("p3"));
        assert!(!addresses.pod(&key("new"), None).is_empty(), "the released number is found");
        assert!(addresses.pod(&key("newer"), None).is_empty());
    }

    proptest! {
        /// While owners come and go, addresses are unique and stable.
        #[test]
        fn addresses_are_unique_and_stable(steps in prop::collection::vec((0u8..60, any::<bool>()), 1..200)) {
            let mut addresses = addresses("10.0.0.0/24");
            let mut has = std::collections::BTreeMap::new();
            for (pod, comes) in steps {
                let key = key(&format!("p{pod}"));
                if comes {
                    let ips = addresses.pod(&key, None);
                    prop_assert_eq!(has.entry(pod).or_insert_with(|| ips.clone()), &ips);
                } else {
                    addresses.pods.owners.remove(&owner(&key));
                    has.remove(&pod);
                }
                let distinct: std::collections::BTreeSet<_> = has.values().map(IpList::first).collect();
                prop_assert_eq!(distinct.len(), has.len());
            }
        }
    }
}
