//! Events and their JSON, shared by all who watch: an event's object is written once, however many want it. The store
//! keeps the events; what is kept here is only a window of the latest. It must not know who watches.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use hyper::body::Bytes;
use tokio::sync::Semaphore;

use crate::verbs::show;
use clusterlocal_core::ControlPlane;
use clusterlocal_core::store::{Compacted, Event, Stored, View};

/// So many of the latest events keep their JSON. Whoever is further behind has to make it again.
const SHARED: usize = 1024;

/// So many watchers look at the cluster at a time. An event wakes all of them, and each thread that waits for the cluster
/// has memory of its own.
const READERS: usize = 2;

/// The longest JSON that is kept, in bytes. Objects of a cluster have a few thousand; clients may write much longer ones.
const SHARED_BYTES: usize = 16 << 10;

/// The latest events.
pub(crate) struct Journal {
    window: Mutex<VecDeque<Arc<Entry>>>,
    /// Whoever wants to look waits for one of these.
    pub(super) readers: Arc<Semaphore>,
}

impl Default for Journal {
    fn default() -> Self {
        Journal { window: Mutex::default(), readers: Arc::new(Semaphore::new(READERS)) }
    }
}

/// An event.
pub(super) struct Entry {
    pub(super) event: Event,
    json: OnceLock<Bytes>,
}

impl Journal {
    /// Up to `limit` events after `revision`, oldest first.
    pub(super) fn after(
        &self,
        cluster: &ControlPlane,
        revision: u64,
        limit: usize,
    ) -> Result<Vec<Arc<Entry>>, Compacted> {
        let events = cluster.store().watch(revision)?.take(limit);
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        // The cluster began anew.
        if window.back().is_some_and(|last| last.event.revision > cluster.store().revision()) {
            window.clear();
        }
        // What the store has forgotten is not kept here either: it bounds the bytes.
        let oldest = cluster.store().oldest_kept();
        while window.front().is_some_and(|first| first.event.revision <= oldest) {
            window.pop_front();
        }
        Ok(events.map(|event| share(&mut window, event)).collect())
    }
}

/// The entry of `event` that others have too, if it is among the latest.
fn share(window: &mut VecDeque<Arc<Entry>>, event: &Event) -> Arc<Entry> {
    let found = window.binary_search_by_key(&event.revision, |entry| entry.event.revision);
    match found {
        Ok(at) => window[at].clone(),
        Err(at) => {
            let entry = Arc::new(Entry { event: event.clone(), json: OnceLock::new() });
            if at == window.len() {
                window.push_back(entry.clone());
                if window.len() > SHARED {
                    window.pop_front();
                }
            }
            entry
        }
    }
}

impl Entry {
    /// The object as it is after the event, or as it was last; either way with the event's revision.
    pub(super) fn object(&self) -> Stored {
        let stored = self.event.after.as_ref().or(self.event.before.as_ref());
        self.at_its_revision(stored.expect("an event is about an object"))
    }

    /// The object as it was before the event, if it was there, with the event's revision.
    pub(super) fn before(&self) -> Option<Stored> {
        self.event.before.as_ref().map(|stored| self.at_its_revision(stored))
    }

    fn at_its_revision(&self, stored: &Stored) -> Stored {
        let mut stored = stored.clone();
        stored.revision = self.event.revision;
        stored
    }

    /// The JSON of [`Self::object`]; `view` is the store after the event.
    pub(super) fn json(&self, cluster: &ControlPlane, view: View<'_>) -> Bytes {
        if let Some(json) = self.json.get() {
            return json.clone();
        }
        let json = Bytes::from(show::rendered_in(&self.object(), cluster, view).to_string());
        if json.len() <= SHARED_BYTES {
            // Whoever was quicker made the same.
            _ = self.json.set(json.clone());
        }
        json
    }
}
