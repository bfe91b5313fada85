//! Takes the place of a cluster as a whole: manifests and requests in, a zone out. Reconciles store, controllers and
//! kubelets until they are idle at the current time, and publishes the zone step by step. Must not depend on files, sockets or
//! the system clock.

mod address_history;
mod external;
mod faults;
mod files;
mod requests;
mod trace;

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::Duration;

use crate::addresses::{Addresses, Range, RangeError, Reuse};
use crate::answer::Faults;
use crate::controller::Controllers;
use crate::manifest::Overrides;
use crate::reconcile::{Delays, Deletion, Kubelets, deletion};
use crate::store::{Change, Key, Object, Store, Stored, Time};
use crate::zone::{Feed, Published, Settings as ZoneSettings, Zone};

use address_history::AddressHistory;
use faults::FaultsInForce;
use files::Desired;
pub use files::Replaced;
pub use trace::DnsChange;
use trace::Trace;

/// The settings of a cluster.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Settings of the DNS.
    pub zone: ZoneSettings,
    /// The range of pod addresses.
    pub pod_range: Range,
    /// The range of ClusterIPs.
    pub service_range: Range,
    /// Which released address the next pod gets.
    pub address_reuse: Reuse,
    /// Delays of pods, which their annotations override.
    pub delays: Delays,
    /// Which kubelets run the pods.
    pub kubelets: Kubelets,
    /// The feature gate `MaxUnavailableStatefulSet`: StatefulSets support `maxUnavailable`.
    pub max_unavailable: bool,
    /// Number of nodes if no manifest contains one. The default is three, or more if required anti-affinity by hostname
    /// would leave pods without one.
    pub nodes: Option<u8>,
    /// Maximum memory of the objects, in bytes, for changes by API clients. Objects in manifests are not limited.
    pub max_store_bytes: usize,
}

/// Default of [`Settings::max_store_bytes`]: enough for 500,000 simulated pods. etcd's quota is 2 GiB, of disk.
pub const MAX_STORE_BYTES: usize = 512 << 20;

impl Default for Settings {
    fn default() -> Self {
        Settings {
            zone: ZoneSettings::default(),
            pod_range: Range::default_pods(),
            service_range: Range::default_services(),
            address_reuse: Reuse::Never,
            delays: Delays::default(),
            kubelets: Kubelets::default(),
            max_unavailable: false,
            nodes: None,
            max_store_bytes: MAX_STORE_BYTES,
        }
    }
}

/// A Topology has invalid settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Topology: {field}: {reason}")]
#[non_exhaustive]
pub struct SettingsError {
    /// The field.
    pub field: &'static str,
    /// Why its value is invalid.
    pub reason: RangeError,
}

fn in_topology(field: &'static str) -> impl FnOnce(RangeError) -> SettingsError {
    move |reason| SettingsError { field, reason }
}

impl Settings {
    /// These settings, overridden by those of Topologies.
    ///
    /// # Errors
    /// If a Topology has an invalid range.
    pub fn with_overrides(mut self, overrides: &Overrides) -> Result<Self, SettingsError> {
        if let Some(domain) = overrides.domain.as_deref().and_then(|domain| domain.parse().ok()) {
            self.zone.domain = domain;
        }
        self.zone.ttl = overrides.ttl.unwrap_or(self.zone.ttl);
        if !overrides.pod_cidr.is_empty() {
            self.pod_range = Range::new(&overrides.pod_cidr).map_err(in_topology("podCIDR"))?;
        }
        if !overrides.service_cidr.is_empty() {
            self.service_range = Range::new(&overrides.service_cidr).map_err(in_topology("serviceCIDR"))?;
        }
        Ok(self)
    }
}

/// Number of events of the store that are kept for watches; with an older resourceVersion clients have to list again.
const EVENTS_KEPT: u64 = 8192;

/// Maximum memory that those events hold besides the current objects, in bytes: 20 changes of the largest objects.
const EVENT_BYTES_KEPT: usize = 64 << 20;

/// Called with each published zone.
type Observer = Box<dyn FnMut(&Zone) + Send>;

/// The store with its controllers, and the zone compiled from it.
pub struct ControlPlane {
    store: Store,
    controllers: Controllers,
    feed: Feed,
    published: Published,
    faults: FaultsInForce,
    trace: Trace,
    address_history: AddressHistory,
    /// Called with each published zone.
    observer: Option<Observer>,
    /// The revision of the store that the zone shows.
    shown: u64,
    now: Time,
    /// The range with the fixed addresses of the default Services.
    service_range: Range,
    /// Number of default nodes, if it was configured.
    nodes: Option<u8>,
    max_store_bytes: usize,
    /// The objects of the last manifests with the default objects; `None` before the first.
    desired: Option<Desired>,
}

impl ControlPlane {
    /// A cluster without manifests: its zone is not synced.
    pub fn new(settings: Settings) -> Self {
        let addresses = Addresses::new(
            settings.pod_range.clone(),
            settings.service_range.clone(),
            settings.address_reuse,
        );
        ControlPlane {
            store: Store::new(),
            feed: Feed::new(settings.zone.clone()),
            published: Published::new(Zone::new(settings.zone.clone())),
            faults: FaultsInForce::default(),
            trace: Trace::default(),
            address_history: AddressHistory::default(),
            observer: None,
            shown: 0,
            now: Time::default(),
            service_range: settings.service_range.clone(),
            nodes: settings.nodes,
            max_store_bytes: settings.max_store_bytes,
            desired: None,
            controllers: Controllers::new(
                addresses,
                settings.delays,
                settings.kubelets,
                settings.max_unavailable,
            ),
        }
    }

    /// Deletes all objects and replaces the settings. Handles to the zone stay valid; the zone is not synced.
    pub fn reset(&mut self, settings: Settings) {
        let mut new = ControlPlane::new(settings);
        new.store.start_after(self.store.revision().max(first_revision(self.now)));
        self.published.publish(Zone::clone(&new.published.load()));
        new.faults = self.faults.cleared();
        let observer = self.observer.take();
        *self = ControlPlane { published: self.published.clone(), now: self.now, observer, ..new };
    }

    /// Advances to `now` and fires all timers that are due by then, each at its time. Time does not go backwards.
    pub fn advance_to(&mut self, now: Time) {
        while let Some(due) = self.due().filter(|due| *due <= now) {
            self.now = self.now.max(due);
            self.controllers.wake(self.now);
            self.reconcile_until_idle(false);
        }
        self.now = self.now.max(now);
        self.store.start_after(first_revision(self.now));
    }

    /// Stores the object that a client wrote, and reconciles its immediate effects. Returns the stored object before
    /// that: an API server replies before any controller runs.
    pub fn request_object(&mut self, object: Object) -> Option<Stored> {
        self.store.set_time(self.now);
        let key = object.key();
        self.put(object);
        let stored = self.store.stored(&key).cloned();
        self.controllers.drive(&self.store);
        self.reconcile_until_idle(false);
        stored
    }

    /// Applies changes of a client, and reconciles their immediate effects. The status of objects is kept.
    pub fn request(&mut self, changes: Vec<Change>) {
        self.store.set_time(self.now);
        for change in changes {
            match change {
                Change::Put(object) => self.put(object),
                Change::Delete(key) => self.store.apply(Change::Delete(key)),
            };
        }
        self.controllers.drive(&self.store);
        self.reconcile_until_idle(false);
    }

    /// Stores `written`, the object with a status that a client wrote. Returns the stored object before controllers
    /// run.
    pub fn request_status(&mut self, written: &Object) -> Option<Stored> {
        self.store.set_time(self.now);
        if let Some(there) = self.store.object(&written.key()) {
            self.store.apply(Change::Put(there.clone().with_status_of(written)));
            self.controllers.enqueue(written.key());
        }
        let stored = self.store.stored(&written.key()).cloned();
        self.controllers.drive(&self.store);
        self.reconcile_until_idle(false);
        stored
    }

    /// Deletes the object at `key` for a client, and reconciles the immediate effects. Returns whether the object
    /// exists.
    pub fn request_deletion(&mut self, key: &Key, deletion: Deletion) -> bool {
        let Some(object) = self.store.object(key) else { return false };
        let change = deletion::delete(&self.store, object, self.now, deletion);
        self.request_changes(change);
        true
    }

    fn request_changes(&mut self, changes: impl IntoIterator<Item = Change>) {
        self.store.set_time(self.now);
        for change in changes {
            self.store.apply(change);
        }
        self.controllers.drive(&self.store);
        self.reconcile_until_idle(false);
    }

    /// Stores a desired object, keeping the live status.
    fn put(&mut self, object: Object) -> bool {
        let object = match self.store.object(&object.key()) {
            Some(there) => object.with_state_of(there),
            None => object,
        };
        let change = deletion::released(&self.store, object);
        self.store.apply(change)
    }

    /// Reconciles until controllers and kubelets are idle at the current time. The direct effects of a request become
    /// visible in one change; after that each change of the DNS is published before the next one can follow from it,
    /// unless `at_once` is set.
    fn reconcile_until_idle(&mut self, at_once: bool) {
        self.store.set_time(self.now);
        // Faults that answer from a past zone need the one before the changes of the same request.
        if self.published.load().is_synced() {
            self.faults.update(&self.store, self.now, &self.published);
        }
        self.controllers.observe(&self.store, self.now);
        if !at_once {
            self.controllers.drain_once(&mut self.store, self.now);
        }
        loop {
            self.controllers.observe(&self.store, self.now);
            if at_once {
                self.feed_zone();
            } else if self.controllers.endpoints_are_synced() {
                self.publish(true);
            }
            if !self.controllers.step(&mut self.store, self.now, at_once) {
                break;
            }
        }
        if at_once {
            // The zone can use the released memory.
            self.store.pack();
            self.controllers.shrink();
        }
        self.controllers.report_shortage();
        self.publish(!at_once);
        self.faults.update(&self.store, self.now, &self.published);
        self.store.compact(self.store.revision().saturating_sub(if at_once { 0 } else { EVENTS_KEPT }));
        self.store.compact_to(EVENT_BYTES_KEPT);
    }

    /// Feeds the zone with the events of a start-up so far if there are many: they have no watchers yet, so they need
    /// not be kept.
    fn feed_zone(&mut self) {
        let (seen, now) = (self.store.oldest_kept(), self.store.revision());
        if now - seen > EVENTS_KEPT {
            self.feed.take_in(&self.store, None);
            self.store.compact(now);
        }
    }

    /// Publishes the zone with the changes of the store.
    fn publish(&mut self, traced: bool) {
        if self.shown == self.store.revision() && self.published.load().is_synced() {
            return;
        }
        for event in self.store.watch(self.shown).into_iter().flatten() {
            self.address_history.observe(event);
        }
        let mut names = Vec::new();
        let zone = self.feed.catch_up(&self.store, self.now.serial(), traced.then_some(&mut names));
        if let Some(zone) = zone {
            let events = self.store.watch(self.shown).ok().filter(|_| traced);
            let cause = events.and_then(|events| trace::cause(events, &names));
            let cause = cause.unwrap_or_else(|| "the cluster began".into());
            self.trace.push(self.now, zone.serial(), names, cause);
            if let Some(observer) = &mut self.observer {
                observer(&zone);
            }
            self.published.publish(zone);
            self.faults.record_zone(self.now, &self.published);
        }
        self.shown = self.store.revision();
    }

    /// When the next timer fires.
    pub fn due(&self) -> Option<Time> {
        self.controllers.due().into_iter().chain(self.faults.due()).min()
    }

    /// The addresses and node ports that the cluster has given away.
    pub fn addresses(&self) -> &Addresses {
        self.controllers.addresses()
    }

    /// What time it is in the cluster.
    pub fn now(&self) -> Time {
        self.now
    }

    /// The serial of the SOA: the zone with this serial shows every change so far.
    pub fn serial(&self) -> u32 {
        self.published.load().serial()
    }

    /// Calls `observer` with every zone at the moment of its publication, including those that the next change replaces
    /// before a client can query them.
    pub fn observe(&mut self, observer: impl FnMut(&Zone) + Send + 'static) {
        self.observer = Some(Box::new(observer));
    }

    /// The latest changes of the DNS, oldest first.
    pub fn trace(&self) -> impl DoubleEndedIterator<Item = &DnsChange> {
        self.trace.iter()
    }

    /// The pods that have or recently had one of `addresses`, as `NAMESPACE/NAME`.
    pub fn pods_at(&self, addresses: &HashSet<IpAddr>) -> HashMap<IpAddr, String> {
        self.address_history.of(&self.store, addresses)
    }

    /// Maximum memory of the objects, in bytes, for changes by API clients.
    pub fn max_store_bytes(&self) -> usize {
        self.max_store_bytes
    }

    /// The stored objects, from manifests, clients and controllers.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Which kubelets run the pods.
    pub fn kubelets(&self) -> Kubelets {
        self.controllers.kubelets()
    }

    /// A handle to the current zone.
    pub fn published(&self) -> Published {
        self.published.clone()
    }

    /// A handle to the faults in force.
    pub fn faults(&self) -> Faults {
        self.faults.published()
    }

    /// Advances by `time`; see [`Self::advance_to`].
    pub fn advance(&mut self, time: Duration) {
        self.advance_to(self.now.after(time));
    }
}

/// The first revision: greater than any that an earlier cluster can have reached, at one change a microsecond.
fn first_revision(now: Time) -> u64 {
    u64::try_from(now.unix_millis()).unwrap_or(0) * 1000
}
