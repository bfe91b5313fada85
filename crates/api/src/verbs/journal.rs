//! Events and their JSON, shared by all watches: an event's object is rendered once, however many clients receive it. The
//! store keeps the events; this is only a window of the latest. Must not depend on its watchers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use hyper::body::Bytes;
use tokio::sync::Semaphore;

use crate::verbs::show;
use clusterlocal_core::ControlPlane;
use clusterlocal_core::store::{Compacted, Event, Stored, View};

/// Number of the latest events whose JSON is kept. Older ones are rendered again.
const SHARED_EVENTS: usize = 1024;

/// Maximum number of watches that read the cluster at a time. An event wakes all of them, and each thread that waits for
/// the cluster has its own memory.
const READERS: usize = 2;

/// Maximum size of the JSON that is kept, in bytes. Objects of a cluster have a few thousand; clients may write much larger
/// ones.
const SHARED_BYTES: usize = 16 << 10;

/// The latest events.
pub(crate) struct Journal {
    window: Mutex<VecDeque<Arc<Entry>>>,
    /// The permits for reading the cluster.
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
    /// Returns up to `limit` events after `revision`, oldest first.
    pub(super) fn after(
        &self,
        cluster: &ControlPlane,
        revision: u64,
        limit: usize,
    ) -> Result<Vec<Arc<Entry>>, Compacted> {
        let events = cluster.store().watch(revision)?.take(limit);
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        // The cluster was reset.
        if window.back().is_some_and(|last| last.event.revision > cluster.store().revision()) {
            window.clear();
        }
        // Events that the store has dropped are dropped here as well: the store bounds the bytes.
        let oldest = cluster.store().oldest_kept();
        while window.front().is_some_and(|first| first.event.revision <= oldest) {
            window.pop_front();
        }
        Ok(events.map(|event| share(&mut window, event)).collect())
    }
}

/// Returns the shared entry of `event`, if it is among the latest.
fn share(window: &mut VecDeque<Arc<Entry>>, event: &Event) -> Arc<Entry> {
    let found = window.binary_search_by_key(&event.revision, |entry| entry.event.revision);
    match found {
        Ok(at) => window[at].clone(),
        Err(at) => {
            let entry = Arc::new(Entry { event: event.clone(), json: OnceLock::new() });
            if at == window.len() {
                window.push_back(entry.clone());
                if window.len() > SHARED_EVENTS {
                    window.pop_front();
                }
            }
            entry
        }
    }
}

impl Entry {
    /// The object after the event, or its last state; with the event's revision either way.
    pub(super) fn object(&self) -> Stored {
        let stored = self.event.after.as_ref().or(self.event.before.as_ref());
        self.at_its_revision(stored.expect("an event is about an object"))
    }

    /// The object before the event, if it existed, with the event's revision.
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
            // A concurrent watch may have stored the same JSON first.
            _ = self.json.set(json.clone());
        }
        json
    }
}
