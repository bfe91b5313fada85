//! The emulated cluster as a whole: manifests and requests in, a zone out. Store, controllers and kubelets work until
//! there is nothing left to do at this moment; the zone is told what changed, step by step. It must not know files or
//! sockets, nor what time it is unless it is told.

mod faults;
mod files;
mod requests;
mod tenants;
mod trace;

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::Duration;

use crate::addresses::{Addresses, Range, RangeError, Reuse};
use crate::answer::Faults;
use crate::controller::Controllers;
use crate::manifest::Overrides;
use crate::reconcile::{Delays, Deletion, deletion};
use crate::store::{Change, Key, Object, Store, Stored, Time};
use crate::zone::{Feed, Published, Settings as ZoneSettings, Zone};

use faults::FaultsInForce;
use files::Desired;
pub use files::Replaced;
use tenants::Tenants;
use trace::Trace;
pub use trace::Traced;

/// What a cluster is set up with and keeps for life.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Of the DNS.
    pub zone: ZoneSettings,
    /// Where pods get their addresses from.
    pub pod_range: Range,
    /// Where Services get their addresses from.
    pub service_range: Range,
    /// Which of the addresses given back is given to the next pod.
    pub address_reuse: Reuse,
    /// How long pods take, unless their annotations say otherwise.
    pub delays: Delays,
    /// Whether StatefulSets heed `maxUnavailable`: the feature gate `MaxUnavailableStatefulSet`.
    pub max_unavailable: bool,
    /// How many nodes there are where no manifest names one. `None` is three, and more where required anti-affinity by
    /// hostname would leave pods without one.
    pub nodes: Option<u8>,
    /// Maximum memory of the objects, in bytes, as far as clients of the API add to it. What manifests ask for is there
    /// in any case.
    pub max_store_bytes: usize,
}

/// Default of [`Settings::max_store_bytes`]: room for 500,000 simulated pods. etcd's quota is 2 GiB, of disk.
pub const MAX_STORE_BYTES: usize = 512 << 20;

impl Default for Settings {
    fn default() -> Self {
        Settings {
            zone: ZoneSettings::default(),
            pod_range: Range::default_pods(),
            service_range: Range::default_services(),
            address_reuse: Reuse::Never,
            delays: Delays::default(),
            max_unavailable: false,
            nodes: None,
            max_store_bytes: MAX_STORE_BYTES,
        }
    }
}

/// A Topology asks for what cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Topology: {field}: {reason}")]
#[non_exhaustive]
pub struct SettingsError {
    /// Where.
    pub field: &'static str,
    /// Why not.
    pub reason: RangeError,
}

fn in_topology(field: &'static str) -> impl FnOnce(RangeError) -> SettingsError {
    move |reason| SettingsError { field, reason }
}

impl Settings {
    /// The same, but where a Topology says otherwise.
    ///
    /// # Errors
    /// When it says ranges that cannot be used.
    pub fn heed(mut self, overrides: &Overrides) -> Result<Self, SettingsError> {
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

/// So many of the store's latest events are kept for those who watch; whoever is further behind has to list anew.
const EVENTS_KEPT: u64 = 8192;

/// Maximum memory that those events keep beside the objects there are, in bytes. Of the largest objects, 20 changes.
const EVENT_BYTES_KEPT: usize = 64 << 20;

/// Who wants to see each zone.
type Observer = Box<dyn FnMut(&Zone) + Send>;

/// The store, those who work on it, and the zone that shows it.
pub struct ControlPlane {
    store: Store,
    controllers: Controllers,
    feed: Feed,
    published: Published,
    faults: FaultsInForce,
    trace: Trace,
    tenants: Tenants,
    /// Who sees each zone when it is published.
    observer: Option<Observer>,
    /// Up to which revision the zone shows the store.
    shown: u64,
    now: Time,
    /// Where the cluster's own Services have their fixed addresses.
    service_range: Range,
    /// How many nodes it has where no manifest names one, if that was said.
    nodes: Option<u8>,
    max_store_bytes: usize,
    /// What the manifests asked for last, with a cluster's own objects; `None` before the first.
    desired: Option<Desired>,
}

impl ControlPlane {
    /// A cluster that has not been given any manifest yet: its zone is not synced.
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
            tenants: Tenants::default(),
            observer: None,
            shown: 0,
            now: Time::default(),
            service_range: settings.service_range.clone(),
            nodes: settings.nodes,
            max_store_bytes: settings.max_store_bytes,
            desired: None,
            controllers: Controllers::new(addresses, settings.delays, settings.max_unavailable),
        }
    }

    /// Forgets everything and has other settings from now on. Whoever reads the zone goes on reading it, and finds it
    /// not synced.
    pub fn begin_anew(&mut self, settings: Settings) {
        let mut new = ControlPlane::new(settings);
        new.store.begin_after(self.store.revision().max(first_revision(self.now)));
        self.published.publish(Zone::clone(&new.published.load()));
        new.faults = self.faults.none_left();
        let observer = self.observer.take();
        *self = ControlPlane { published: self.published.clone(), now: self.now, observer, ..new };
    }

    /// Lets everything happen that is due up to `now`, each thing at its time. Time does not go back.
    pub fn advance_to(&mut self, now: Time) {
        while let Some(due) = self.due().filter(|due| *due <= now) {
            self.now = self.now.max(due);
            self.controllers.wake(self.now);
            self.settle(false);
        }
        self.now = self.now.max(now);
        self.store.begin_after(first_revision(self.now));
    }

    /// Puts the object that a client wrote, and lets what follows from it at once happen. Returns what was stored: an API
    /// server answers before any controller has looked.
    pub fn request_object(&mut self, object: Object) -> Option<Stored> {
        self.store.set_time(self.now);
        let key = object.key();
        self.put(object);
        let stored = self.store.stored(&key).cloned();
        self.controllers.drive(&self.store);
        self.settle(false);
        stored
    }

    /// Carries out what a client asked for, and what follows from it at once. The state of objects stays as it is.
    pub fn request(&mut self, changes: Vec<Change>) {
        self.store.set_time(self.now);
        for change in changes {
            match change {
                Change::Put(object) => self.put(object),
                Change::Delete(key) => self.store.apply(Change::Delete(key)),
            };
        }
        self.controllers.drive(&self.store);
        self.settle(false);
    }

    /// Lets an object be in the state that `said` says: what a client writes to its `status`. Returns what was stored.
    pub fn request_status(&mut self, said: &Object) -> Option<Stored> {
        self.store.set_time(self.now);
        if let Some(there) = self.store.object(&said.key()) {
            self.store.apply(Change::Put(there.clone().in_state_said_by(said)));
            self.controllers.look_at(said.key());
        }
        let stored = self.store.stored(&said.key()).cloned();
        self.controllers.drive(&self.store);
        self.settle(false);
        stored
    }

    /// Deletes the object at `key` as a client asks for it, and lets what follows from it at once happen. Returns whether
    /// there is such an object.
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
        self.settle(false);
    }

    /// Puts what is wished for, in the state in which it is.
    fn put(&mut self, object: Object) -> bool {
        let object = match self.store.object(&object.key()) {
            Some(there) => object.in_state_of(there),
            None => object,
        };
        let change = deletion::released(&self.store, object);
        self.store.apply(change)
    }

    /// Lets controllers and kubelets work until there is nothing left to do now. What follows directly from what was
    /// asked for becomes visible in one change; then each change of the DNS does before the next can follow from it,
    /// unless everything `at_once` is wished for.
    fn settle(&mut self, at_once: bool) {
        self.store.set_time(self.now);
        // What a fault keeps of the zone is what showed before the changes that came with it.
        if self.published.load().is_synced() {
            self.faults.heed(&self.store, self.now, &self.published);
        }
        self.controllers.note(&self.store, self.now);
        if !at_once {
            self.controllers.wave(&mut self.store, self.now);
        }
        loop {
            self.controllers.note(&self.store, self.now);
            if at_once {
                self.take_in();
            } else if self.controllers.endpoints_are_settled() {
                self.publish(true);
            }
            if !self.controllers.step(&mut self.store, self.now, at_once) {
                break;
            }
        }
        if at_once {
            // The zone finds room in what is given back.
            self.store.pack();
            self.controllers.settle();
        }
        self.controllers.report_shortage();
        self.publish(!at_once);
        self.faults.heed(&self.store, self.now, &self.published);
        self.store.compact(self.store.revision().saturating_sub(if at_once { 0 } else { EVENTS_KEPT }));
        self.store.compact_to(EVENT_BYTES_KEPT);
    }

    /// Lets the zone take in what a cluster that comes up has done so far, where that is much: nobody has seen any of it,
    /// so its events need not be kept.
    fn take_in(&mut self) {
        let (seen, now) = (self.store.oldest_kept(), self.store.revision());
        if now - seen > EVENTS_KEPT {
            self.feed.take_in(&self.store, None);
            self.store.compact(now);
        }
    }

    /// Shows in the zone what has changed in the store.
    fn publish(&mut self, traced: bool) {
        if self.shown == self.store.revision() && self.published.load().is_synced() {
            return;
        }
        for event in self.store.watch(self.shown).into_iter().flatten() {
            self.tenants.note(event);
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
            self.faults.note(self.now, &self.published);
        }
        self.shown = self.store.revision();
    }

    /// When something is to happen next, if nobody asks for anything before.
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

    /// The SOA's serial: every change so far shows in the zone that has it.
    pub fn serial(&self) -> u32 {
        self.published.load().serial()
    }

    /// Shows every zone to `observer` from now on, in the moment in which it is published: also those that the next
    /// change replaces before anybody could ask.
    pub fn observe(&mut self, observer: impl FnMut(&Zone) + Send + 'static) {
        self.observer = Some(Box::new(observer));
    }

    /// The latest changes of the DNS, oldest first.
    pub fn trace(&self) -> impl DoubleEndedIterator<Item = &Traced> {
        self.trace.iter()
    }

    /// Of `addresses`, those that a pod has or had not long ago, with its `NAMESPACE/NAME`.
    pub fn pods_at(&self, addresses: &HashSet<IpAddr>) -> HashMap<IpAddr, String> {
        self.tenants.of(&self.store, addresses)
    }

    /// Maximum memory of the objects, in bytes, as far as clients add to it.
    pub fn max_store_bytes(&self) -> usize {
        self.max_store_bytes
    }

    /// The objects, made and given.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Where the zone is to be read.
    pub fn published(&self) -> Published {
        self.published.clone()
    }

    /// The faults that are in force, for those who answer.
    pub fn faults(&self) -> Faults {
        self.faults.published()
    }

    /// As [`Self::advance_to`], by a time.
    pub fn advance(&mut self, time: Duration) {
        self.advance_to(self.now.after(time));
    }
}

/// Where revisions begin: further on than an earlier cluster's can have come, at a change a microsecond.
fn first_revision(now: Time) -> u64 {
    u64::try_from(now.unix_millis()).unwrap_or(0) * 1000
}
