//! Compiles the store's changes into the zone: only affected Services are compiled again.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::lookup::endpoint_key;
use super::rows::TargetRef;
use super::service::{Body, ServiceRecords};
use super::{Owners, PodNames, Settings, Zone};
use crate::parallel;
use crate::store::{Event, Kind, Name, Object, Pod, Resource, Service, Store};
use crate::wire::{Presentation, push_label};

/// Namespace and name of a Service.
type ServiceId = (Name, Name);

/// The writer of a [`Zone`]: observes the store's events and updates its own copy.
pub struct Feed {
    zone: Zone,
    /// The revision up to which events have been observed.
    revision: u64,
}

/// A name that was added or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NameChange {
    /// Whether it was added.
    pub added: bool,
    /// The name without the cluster domain and `svc`: `cass-0.cass.db`.
    pub name: String,
    /// The address or the alias's target.
    pub target: String,
}

/// `+ cass-0.cass.db  127.244.0.1`
impl fmt::Display for NameChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}  {}", if self.added { '+' } else { '-' }, self.name, self.target)
    }
}

impl Feed {
    /// A feed for an empty zone, before the first event.
    pub fn new(settings: Settings) -> Self {
        Feed { zone: Zone::new(settings), revision: 0 }
    }

    /// The current zone.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// Observes the events of `store` since the last call and returns the zone if it differs.
    ///
    /// The new serial is `now` (seconds since 1970, like CoreDNS's) or the next number, whichever is greater. `names`,
    /// if given, collects the names that were added and removed; the first load of many pods omits it.
    pub fn catch_up(&mut self, store: &Store, now: u32, names: Option<&mut Vec<NameChange>>) -> Option<Zone> {
        let changed = self.take_in(store, names);
        if !changed && self.zone.synced {
            return None;
        }
        self.zone.synced = true;
        self.zone.serial = now.max(self.zone.serial.wrapping_add(1));
        Some(self.zone.clone())
    }

    /// Like [`Self::catch_up`], while more events follow: the zone does not count as synced.
    pub fn take_in(&mut self, store: &Store, mut names: Option<&mut Vec<NameChange>>) -> bool {
        let mut dirty = BTreeSet::new();
        let mut changed = false;
        for event in store.watch(self.revision).expect("the feed catches up before events are compacted") {
            changed |= self.observe(event, &mut dirty);
        }
        self.revision = store.revision();
        let dirty: Vec<ServiceId> = dirty.into_iter().collect();
        let settings = &self.zone.settings;
        let compiled = parallel::map(&dirty, parallel::ITEMS_MIN, |(namespace, name)| {
            let service = store.get::<Service>(Kind::Service, namespace, name);
            let slices = store.slices_of(namespace, name);
            ServiceRecords::new(namespace, name, service.map(|s| &**s), &slices, settings)
        });
        for records in compiled {
            changed |= self.replace(records, names.as_deref_mut());
        }
        changed
    }

    /// Observes an event. Returns whether the zone changed at once; `dirty` collects the Services to compile.
    fn observe(&mut self, event: &Event, dirty: &mut BTreeSet<ServiceId>) -> bool {
        match event.object() {
            Object::Namespace(namespace) => {
                let mut label = Vec::with_capacity(64);
                push_label(&mut label, namespace.metadata.name.as_bytes());
                let exists = event.after.is_some();
                let existed = if exists {
                    self.zone.namespaces.insert(label.into())
                } else {
                    self.zone.namespaces.remove(&label)
                };
                existed != exists
            }
            Object::Service(service) => {
                dirty.insert((service.metadata.namespace.clone(), service.metadata.name.clone()));
                false
            }
            Object::EndpointSlice(_) => {
                for object in event.both() {
                    let Object::EndpointSlice(slice) = object else { continue };
                    // A slice without the label belongs to no Service; CoreDNS would fail on it, here it is ignored.
                    if let Some(service) = slice.service_name() {
                        dirty.insert((slice.metadata.namespace.clone(), service.clone()));
                    }
                }
                false
            }
            Object::Pod(_) if self.zone.settings.pods == PodNames::Verified => {
                let address =
                    |object: Option<&Object>| object.and_then(Pod::of).and_then(|pod| verified_address(pod));
                let (before, after) = (address(event.then()), address(event.now()));
                if before == after {
                    return false;
                }
                for (key, plus) in
                    before.map(|key| (key, false)).into_iter().chain(after.map(|key| (key, true)))
                {
                    let count = self.zone.pods.get(&key).map_or(0, |(_, count)| *count);
                    match if plus { count + 1 } else { count.saturating_sub(1) } {
                        0 => self.zone.pods.remove(&key),
                        count => self.zone.pods.insert((key, count)),
                    };
                }
                true
            }
            _ => false,
        }
    }

    /// Replaces a Service's records; returns whether they differ.
    fn replace(&mut self, new: ServiceRecords, names: Option<&mut Vec<NameChange>>) -> bool {
        let old = self.zone.services.get(new.name()).cloned();
        if old.as_ref().map_or(new.is_empty(), |old| old.equals(&new)) {
            return false;
        }
        self.replace_cluster_ips(old.as_ref(), &new);
        self.replace_endpoints(old.as_ref(), &new);
        if let Some(names) = names {
            let (before, after) = (old.as_ref().map(shown).unwrap_or_default(), shown(&new));
            record_changes(names, false, new.name(), before.difference(&after));
            record_changes(names, true, new.name(), after.difference(&before));
        }
        if new.is_empty() {
            self.zone.services.remove(new.name())
        } else {
            self.zone.services.insert(new)
        };
        true
    }

    /// Replaces the Service's own addresses.
    fn replace_cluster_ips(&mut self, old: Option<&ServiceRecords>, new: &ServiceRecords) {
        fn addresses(records: &ServiceRecords) -> &[IpAddr] {
            match records.body() {
                Body::Cluster(cluster) => &cluster.addresses,
                _ => &[],
            }
        }
        let (before, after) = (old.map(addresses).unwrap_or_default(), addresses(new));
        for ip in before.iter().filter(|ip| !after.contains(ip)) {
            // Another Service may have claimed the address meanwhile and keeps it.
            if self.zone.cluster_ips.get(ip).is_some_and(|(_, prefix)| **prefix == *new.prefix()) {
                self.zone.cluster_ips.remove(ip);
            }
        }
        for ip in after.iter().filter(|ip| !before.contains(ip)) {
            self.zone.cluster_ips.insert((*ip, new.prefix().into()));
        }
    }

    /// Replaces the reverse lookups of endpoints; changes only the addresses that differ.
    fn replace_endpoints(&mut self, old: Option<&ServiceRecords>, new: &ServiceRecords) {
        let addresses = |records: &ServiceRecords| -> FxHashSet<IpAddr> {
            records.rows().filter_map(|(_, row)| row.address()).collect()
        };
        let (before, after) = (old.map(addresses).unwrap_or_default(), addresses(new));
        let without = |owners: Option<&Owners>| {
            let left =
                owners.into_iter().flat_map(|owners| owners.iter()).filter(|other| ***other != *new.prefix());
            let left: Vec<_> = left.cloned().collect();
            (!left.is_empty()).then(|| Owners::new(left))
        };
        self.change_owners(before.difference(&after), without);
        let prefix = self.shared_prefix(new, &before);
        let with = |owners: Option<&Owners>| {
            let others = owners.map(|owners| owners.to_vec()).unwrap_or_default();
            Some(Owners::new([others, vec![Arc::clone(&prefix)]].concat()))
        };
        self.change_owners(after.difference(&before), with);
    }

    /// The prefix of `records` from one of its former `addresses`, to be shared.
    fn shared_prefix(&self, records: &ServiceRecords, addresses: &FxHashSet<IpAddr>) -> Arc<[u8]> {
        let known = addresses.iter().filter_map(|ip| self.zone.endpoints.get(&endpoint_key(*ip)));
        let is_same = |prefix: &&Arc<[u8]>| ***prefix == *records.prefix();
        let shared = known.flat_map(|(_, owners)| owners.iter()).find(is_same);
        shared.map_or_else(|| records.prefix().into(), Arc::clone)
    }

    /// Changes the owners of each of these addresses. Addresses that shared their owners still do.
    fn change_owners<'a>(
        &mut self,
        addresses: impl Iterator<Item = &'a IpAddr>,
        change: impl Fn(Option<&Owners>) -> Option<Owners>,
    ) {
        let mut last: Option<(Option<Owners>, Option<Owners>)> = None;
        for ip in addresses.copied().map(endpoint_key) {
            let before = self.zone.endpoints.get(&ip).map(|(_, owners)| owners.clone());
            let is_alike = |(then, _): &&(Option<Owners>, _)| {
                then.as_ref().map(Arc::as_ptr) == before.as_ref().map(Arc::as_ptr)
            };
            let after = match last.as_ref().filter(is_alike) {
                Some((_, after)) => after.clone(),
                None => change(before.as_ref()),
            };
            match after.clone() {
                Some(owners) => self.zone.endpoints.insert((ip, owners)),
                None => self.zone.endpoints.remove(&ip),
            };
            last = Some((before, after));
        }
    }
}

/// The labels below the Service's name with their targets, for [`NameChange`]: the Service's own, or those of a
/// headless Service's endpoints.
fn shown(records: &ServiceRecords) -> FxHashSet<(&[u8], TargetRef<'_>)> {
    match records.body() {
        Body::Missing => FxHashSet::default(),
        Body::External(target) => [(&[][..], TargetRef::Alias(target.as_wire()))].into_iter().collect(),
        Body::Cluster(cluster) => {
            cluster.addresses.iter().map(|ip| (&[][..], TargetRef::Address(*ip))).collect()
        }
        Body::Headless => records.rows().map(|(_, row)| (row.host, row.target)).collect(),
    }
}

/// Records that `rows` of `service` (`NAME.NAMESPACE` in wire form) were added or removed, sorted.
fn record_changes<'a>(
    names: &mut Vec<NameChange>,
    added: bool,
    service: &[u8],
    rows: impl Iterator<Item = &'a (&'a [u8], TargetRef<'a>)>,
) {
    let from = names.len();
    names.extend(rows.map(|(host, target)| {
        let wire = [host, service, b"\0"].concat();
        let target = match target {
            TargetRef::Address(ip) => ip.to_string(),
            TargetRef::Alias(name) => Presentation(name).to_string(),
        };
        NameChange { added, name: Presentation(&wire).to_string().trim_end_matches('.').to_string(), target }
    }));
    names[from..].sort_unstable_by(|a, b| (&a.name, &a.target).cmp(&(&b.name, &b.target)));
}

/// Namespace and primary address of a pod that has a verified pod name: neither terminating nor in a final phase.
fn verified_address(pod: &Pod) -> Option<(Name, IpAddr)> {
    use crate::store::PodPhase::{Failed, Succeeded, Unknown};
    let gone = pod.is_terminating() || matches!(pod.status.phase, Some(Succeeded | Failed | Unknown));
    let ip = pod.status.ips().next().filter(|_| !gone)?;
    Some((pod.metadata.namespace.clone(), ip))
}
