//! Gives away addresses: ClusterIPs, as the API server's allocator does, and pod addresses, as a CNI plugin does.
//!
//! Where an address begins to be looked for follows from the owner's name alone, so the same manifests give the same
//! addresses and a new object leaves the others theirs. An address that was given back is not given away again before
//! the range has gone round: a stale peer must not meet a stranger.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use ipnet::IpNet;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::names::digest;
use super::node;
use crate::store::{
    Change, ClusterIp, Event, IpFamily, IpFamilyPolicy, IpList, Key, Kind, Name, Object, Service, Store,
};

/// A range of addresses: one network, or one of each family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    v4: Option<ipnet::Ipv4Net>,
    v6: Option<ipnet::Ipv6Net>,
}

/// Why a text is not a range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// Not `ADDRESS/LENGTH`.
    #[error("{0:?} is not a network: write ADDRESS/LENGTH, for instance 10.244.0.0/16")]
    NotANetwork(String),
    /// Two networks of one family.
    #[error("a range has at most one IPv4 and one IPv6 network")]
    SameFamily,
    /// Nothing to give away.
    #[error("network {0} is too small: it must hold at least 16 addresses")]
    TooSmall(IpNet),
}

/// Fewer than this cannot hold what every cluster has.
const SMALLEST: u32 = 16;

/// More than this are not given away, however large the network is.
const LARGEST: u32 = 1 << 24;

impl FromStr for Range {
    type Err = RangeError;

    /// Reads `10.244.0.0/16`, `fd00:10:244::/64` or both with a comma between.
    fn from_str(text: &str) -> Result<Self, RangeError> {
        let nets = text.split(',').map(str::trim);
        let nets = nets.map(|net| net.parse().map_err(|_| RangeError::NotANetwork(net.into())));
        Range::new(&nets.collect::<Result<Vec<IpNet>, _>>()?)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nets = self.v4.iter().map(ToString::to_string).chain(self.v6.iter().map(ToString::to_string));
        f.write_str(&nets.collect::<Vec<_>>().join(","))
    }
}

impl Range {
    /// The range of these networks; bits behind their prefixes do not count.
    ///
    /// # Errors
    /// When there are two of one family, or one is too small.
    pub fn new(nets: &[IpNet]) -> Result<Self, RangeError> {
        let mut range = Range { v4: None, v6: None };
        for net in nets {
            let taken = match net.trunc() {
                IpNet::V4(net) => range.v4.replace(net).is_some(),
                IpNet::V6(net) => range.v6.replace(net).is_some(),
            };
            if taken {
                return Err(RangeError::SameFamily);
            }
            if u32::from(net.max_prefix_len() - net.prefix_len()) < SMALLEST.ilog2() {
                return Err(RangeError::TooSmall(*net));
            }
        }
        Ok(range)
    }

    /// kubeadm's usual 10.244.0.0/16, moved into loopback, where a local process can bind it without setup. Four times
    /// as large, so that 100,000 pods fit.
    pub fn default_pods() -> Self {
        "127.244.0.0/14,fd00:10:244::/64".parse().expect("a valid range")
    }

    /// kubeadm's 10.96.0.0/12, moved into loopback and made as small as most clusters have it.
    pub fn default_services() -> Self {
        "127.96.0.0/16,fd00:10:96::/112".parse().expect("a valid range")
    }

    /// The first number that is not an address of its own (the last one of IPv4 is the broadcast address).
    fn end(&self) -> u32 {
        let v4 =
            self.v4.map_or(LARGEST, |net| ((1u64 << (32 - net.prefix_len())) - 1).min(LARGEST.into()) as u32);
        let v6 = self.v6.map_or(LARGEST, |net| {
            let bits = u32::from(128 - net.prefix_len()).min(LARGEST.ilog2());
            1u32 << bits
        });
        v4.min(v6)
    }

    fn address(&self, family: IpFamily, number: u32) -> Option<IpAddr> {
        match family {
            IpFamily::IPv4 => {
                let net = self.v4?;
                Some(IpAddr::V4(Ipv4Addr::from(u32::from(net.network()) + number)))
            }
            IpFamily::IPv6 => {
                let net = self.v6?;
                Some(IpAddr::V6(Ipv6Addr::from(u128::from(net.network()) + u128::from(number))))
            }
        }
    }

    /// The address of that number, of the family that comes first.
    pub(super) fn primary(&self, number: u32) -> Option<IpAddr> {
        self.address(IpFamily::IPv4, number).or_else(|| self.address(IpFamily::IPv6, number))
    }

    fn number(&self, ip: IpAddr) -> Option<u32> {
        let number = match (ip, self.v4, self.v6) {
            (IpAddr::V4(ip), Some(net), _) if net.contains(&ip) => u32::from(ip) - u32::from(net.network()),
            (IpAddr::V6(ip), _, Some(net)) if net.contains(&ip) => {
                u32::try_from(u128::from(ip) - u128::from(net.network())).ok()?
            }
            _ => return None,
        };
        (number < self.end()).then_some(number)
    }
}

/// Which of the addresses given back is given away next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reuse {
    /// None, before the range has gone round: a stale peer does not meet a stranger.
    #[default]
    Never,
    /// The one given back last: a stale peer meets a stranger as soon as can be.
    Lifo,
}

/// One range, and who has what of it.
struct Pool {
    range: Range,
    /// The number each owner has; its addresses in both families follow from it.
    owners: FxHashMap<Key, u32>,
    /// The numbers that objects have of themselves, because a manifest says so.
    asked: FxHashMap<Key, SmallVec<[u32; 1]>>,
    /// Numbers that somebody has, asked for, or had since the range last went round.
    spent: Bits,
    /// Where to go on when there is no room where an owner would begin.
    next: u32,
    reuse: Reuse,
    /// Numbers given back, to be used again; the last comes first.
    returned: Vec<u32>,
}

impl Pool {
    fn new(range: Range, reuse: Reuse) -> Self {
        Pool {
            range,
            reuse,
            returned: Vec::new(),
            owners: FxHashMap::default(),
            asked: FxHashMap::default(),
            spent: Bits::default(),
            next: 1,
        }
    }

    /// The owner's number, found from `preferred` on; `None` if the range is full.
    fn assign(&mut self, owner: &Key, preferred: u32) -> Option<u32> {
        if let Some(number) = self.owners.get(owner) {
            return Some(*number);
        }
        if let Some(number) = self.returned.pop() {
            self.owners.insert(owner.clone(), number);
            return Some(number);
        }
        let end = self.range.end();
        let near =
            (preferred..preferred.saturating_add(256).min(end)).find(|n| *n > 0 && !self.spent.has(*n));
        let number = near.or_else(|| self.next_free(end)).or_else(|| {
            // The range has gone round: what nobody has any more is free again.
            self.spent = self.owners.values().chain(self.asked.values().flatten()).copied().collect();
            self.next = 1;
            self.next_free(end)
        })?;
        self.spent.add(number);
        self.owners.insert(owner.clone(), number);
        Some(number)
    }

    fn next_free(&mut self, end: u32) -> Option<u32> {
        let found = (self.next..end).find(|n| !self.spent.has(*n))?;
        self.next = found + 1;
        Some(found)
    }

    /// Notes the addresses that an object has; where a manifest asked for them, they are not given away.
    fn note(&mut self, object: &Object, ips: impl Iterator<Item = IpAddr>) {
        let numbers: SmallVec<[u32; 1]> = ips.filter_map(|ip| self.range.number(ip)).collect();
        let key = object.key();
        let given = self.owners.get(&key);
        if numbers.iter().all(|number| Some(number) == given) {
            return;
        }
        numbers.iter().for_each(|number| self.spent.add(*number));
        self.asked.insert(key, numbers);
    }

    fn release(&mut self, key: &Key) {
        let number = self.owners.remove(key);
        if self.reuse == Reuse::Lifo {
            self.returned.extend(number);
        }
        self.asked.remove(key);
    }

    /// Lets another have what `owner` has.
    fn hand_over(&mut self, owner: &Key, heir: Key) {
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

/// Pods of one workload lie side by side in a block of 256, as those of one node do in a cluster.
const BLOCK: u32 = 256;

/// Blocks are spread over the first 65,536 numbers: 127.244.x.x of the default range.
const SPREAD: u32 = 1 << 16;

/// The addresses of pods and Services.
pub struct Addresses {
    pods: Pool,
    services: Pool,
}

impl Addresses {
    /// Gives away addresses of these ranges.
    pub fn new(pods: Range, services: Range, reuse: Reuse) -> Self {
        Addresses { pods: Pool::new(pods, reuse), services: Pool::new(services, Reuse::Never) }
    }

    /// Takes notice of addresses that manifests ask for, and of owners that have gone. One whose name another has taken
    /// since has not gone.
    pub(super) fn note(&mut self, store: &Store, event: &Event) {
        match event.now() {
            Some(object @ Object::Service(service)) => self.services.note(object, service.addresses()),
            Some(object @ Object::Pod(pod)) => self.pods.note(object, pod.status.ips()),
            Some(Object::Node(node)) => {
                // Whatever ran on behind a partition has been stopped.
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
                    && node::is_out_of_reach(store, pod)
                    && !pod.is_terminal()
                {
                    self.pods.hand_over(&key, left_behind(&key.namespace, &key.name, &pod.spec.node_name));
                }
                if store.object(&key).is_none() {
                    self.release(&key);
                }
            }
        }
    }

    /// Takes back what the object at `key` has. It is not given to anybody else before the range has gone round.
    pub(crate) fn release(&mut self, key: &Key) {
        match key.kind {
            Kind::Service => self.services.release(key),
            Kind::Pod => self.pods.release(key),
            _ => {}
        }
    }

    /// The addresses of the pod at `key`, primary family first; none if the range is full. Pods of `owner` (name and
    /// number among its pods) lie side by side.
    pub(crate) fn pod(&mut self, key: &Key, owner: Option<(&Name, u32)>) -> IpList {
        let end = self.pods.range.end();
        let blocks = (end.min(SPREAD) / BLOCK).max(1);
        let (name, offset) = owner.unwrap_or((&key.name, 0));
        let block = (digest((&key.namespace, name)) % u64::from(blocks)) as u32;
        let preferred = (block * BLOCK + 1).saturating_add(offset);
        let Some(number) = self.pods.assign(key, preferred) else {
            tracing::warn!(range = %self.pods.range, pod = %key, "no pod address left: widen --pod-cidr");
            return IpList::new();
        };
        let range = &self.pods.range;
        [IpFamily::IPv4, IpFamily::IPv6]
            .into_iter()
            .filter_map(|family| range.address(family, number))
            .collect()
    }

    /// The change that gives the Service at `key` its addresses, if it still needs some.
    pub(super) fn reconcile_service(&mut self, store: &Store, key: &Key) -> Option<Change> {
        let service = store.get::<Service>(Kind::Service, &key.namespace, &key.name)?;
        if service.is_external_name() || service.is_headless() || service.addresses().next().is_some() {
            return None;
        }
        let end = self.services.range.end();
        // The lower band is for addresses that people choose (KEP-3070).
        let band = (end / 16).clamp(1, 256).min(end - 1);
        let preferred = band + (digest((&key.namespace, &key.name)) % u64::from(end - band)) as u32;
        let Some(number) = self.services.assign(key, preferred) else {
            tracing::warn!(range = %self.services.range, service = %key, "no Service address left: widen --service-cidr");
            return None;
        };
        let range = &self.services.range;
        let ips: Vec<_> =
            wanted_families(service).into_iter().filter_map(|family| range.address(family, number)).collect();
        let mut service = (**service).clone();
        service.spec.cluster_ip = ips.first().copied().map_or(ClusterIp::Unassigned, ClusterIp::Address);
        service.spec.cluster_ips = ips.into_iter().map(ClusterIp::Address).collect();
        Some(Change::Put(Object::Service(Arc::new(service))))
    }
}

/// Who has the address of a pod whose object is gone, while what ran in it runs on.
fn left_behind(namespace: &Name, pod: &Name, node: &Name) -> Key {
    Key::new(Kind::Pod, namespace.clone(), Name::from(format!("{pod}@{node}")))
}

fn wanted_families(service: &Service) -> Vec<IpFamily> {
    let spec = &service.spec;
    match spec.ip_family_policy {
        _ if spec.ip_families.len() > 1 => spec.ip_families.clone(),
        Some(IpFamilyPolicy::PreferDualStack | IpFamilyPolicy::RequireDualStack) => {
            match spec.ip_families.first() {
                Some(IpFamily::IPv6) => vec![IpFamily::IPv6, IpFamily::IPv4],
                _ => vec![IpFamily::IPv4, IpFamily::IPv6],
            }
        }
        _ => vec![spec.ip_families.first().copied().unwrap_or(IpFamily::IPv4)],
    }
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
    fn ranges() {
        let ok = ["10.244.0.0/16", "10.0.0.7/8,fd00::/64", "127.244.0.0/28"];
        for text in ok {
            assert!(text.parse::<Range>().is_ok(), "{text}");
        }
        let table = [
            ("10.244.0.0", "is not a network"),
            ("10.0.0.0/8,10.0.0.0/9", "at most one IPv4"),
            ("10.0.0.0/29", "too small"),
            ("", "is not a network"),
        ];
        for (text, error) in table {
            let message = text.parse::<Range>().unwrap_err().to_string();
            assert!(message.contains(error), "{text}: {message}");
        }
    }

    #[test]
    fn pods_of_a_set_lie_side_by_side_and_a_replaced_one_moves_on() {
        let mut addresses = addresses("10.244.0.0/16");
        let set = Name::from("db");
        let mut last = |name: &str, ordinal| match addresses.pod(&key(name), Some((&set, ordinal)))[0] {
            IpAddr::V4(ip) => ip.octets()[3],
            IpAddr::V6(_) => unreachable!("an IPv4 range"),
        };
        assert_eq!([last("db-0", 0), last("db-1", 1), last("db-2", 2)], [1, 2, 3]);
        assert_eq!(last("db-1", 1), 2, "asked again, it has the same");
        addresses.pods.owners.remove(&key("db-1"));
        let again = addresses.pod(&key("db-1"), Some((&set, 1)))[0];
        assert!(again.to_string().ends_with(".4"), "{again}");
    }

    #[test]
    fn a_full_range_gives_nothing_and_then_what_was_given_back() {
        let mut addresses = addresses("10.0.0.0/28");
        let given: Vec<_> = (0..15).map(|n| addresses.pod(&key(&format!("p{n}")), None)).collect();
        assert_eq!(given.iter().filter(|ips| !ips.is_empty()).count(), 14, "16 less network and broadcast");
        addresses.pods.owners.remove(&key("p3"));
        assert_eq!(addresses.pod(&key("new"), None), given[3]);
    }

    proptest! {
        /// Whoever comes and goes: no two have one address, and nobody's changes.
        #[test]
        fn nobody_moves_and_nobody_shares(steps in prop::collection::vec((0u8..60, any::<bool>()), 1..200)) {
            let mut addresses = addresses("10.0.0.0/24");
            let mut has = std::collections::BTreeMap::new();
            for (pod, comes) in steps {
                let key = key(&format!("p{pod}"));
                if comes {
                    let ips = addresses.pod(&key, None);
                    prop_assert_eq!(has.entry(pod).or_insert_with(|| ips.clone()), &ips);
                } else {
                    addresses.pods.owners.remove(&key);
                    has.remove(&pod);
                }
                let distinct: std::collections::BTreeSet<_> = has.values().collect();
                prop_assert_eq!(distinct.len(), has.len());
            }
        }
    }
}
