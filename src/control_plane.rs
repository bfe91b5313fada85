//! The emulated cluster as a whole: manifests in, a zone out. Store, controllers and kubelet work until nothing
//! changes; then the zone is told what did. It must not know files or sockets.

use crate::controller::{Addresses, Controllers, Range, with_defaults};
use crate::store::{Change, Key, Object, Objects, Store};
use crate::zone::{Feed, NameChange, Published, Settings as ZoneSettings, Zone};

/// What a cluster is set up with and keeps for life.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Of the DNS.
    pub zone: ZoneSettings,
    /// Where pods get their addresses from.
    pub pod_range: Range,
    /// Where Services get their addresses from.
    pub service_range: Range,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            zone: ZoneSettings::default(),
            pod_range: Range::default_pods(),
            service_range: Range::default_services(),
        }
    }
}

/// The store, those who work on it, and the zone that shows it.
pub struct ControlPlane {
    store: Store,
    controllers: Controllers,
    feed: Feed,
    published: Published,
    /// Where the cluster's own Services have their fixed addresses.
    service_range: Range,
    /// What was asked for last, with a cluster's own objects.
    desired: Objects,
}

impl ControlPlane {
    /// A cluster that has not been given any manifest yet: its zone is not synced.
    pub fn new(settings: Settings) -> Self {
        let Settings { zone, pod_range, service_range } = settings;
        ControlPlane {
            store: Store::new(),
            controllers: Controllers::new(Addresses::new(pod_range, service_range.clone())),
            feed: Feed::new(zone.clone()),
            published: Published::new(Zone::new(zone)),
            service_range,
            desired: Objects::new(),
        }
    }

    /// Forgets everything and has other settings from now on. Whoever reads the zone goes on reading it, and finds it
    /// not synced.
    pub fn begin_anew(&mut self, settings: Settings) {
        let new = ControlPlane::new(settings);
        self.published.publish(Zone::clone(&new.published.load()));
        *self = ControlPlane { published: self.published.clone(), ..new };
    }

    /// Makes the cluster what `input` asks for; what was asked for last time and is not any more goes. Everything
    /// becomes visible at once.
    ///
    /// `now` is in seconds since 1970 and becomes the SOA's serial. `names` collects the names that came and went.
    /// Tells whether anything visible changed.
    pub fn apply(&mut self, input: &Objects, now: u32, names: Option<&mut Vec<NameChange>>) -> bool {
        let desired = with_defaults(input, &self.service_range);
        for change in difference(&self.desired, &desired) {
            self.store.apply(change);
        }
        self.desired = desired;
        self.controllers.settle(&mut self.store);
        let zone = self.feed.catch_up(&self.store, now, names);
        let changed = zone.is_some();
        if let Some(zone) = zone {
            self.published.publish(zone);
        }
        self.store.compact(self.store.revision());
        changed
    }

    /// The objects, made and given.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Where the zone is to be read.
    pub fn published(&self) -> Published {
        self.published.clone()
    }
}

/// The changes that lead from `old` to `new`.
fn difference(old: &Objects, new: &Objects) -> Vec<Change> {
    let gone = old.keys().filter(|key| !new.contains_key(key)).map(|key: &Key| Change::Delete(key.clone()));
    let put = new.iter().filter(|(key, object): &(&Key, &Object)| old.get(key) != Some(object));
    gone.chain(put.map(|(_, object)| Change::Put(object.clone()))).collect()
}
