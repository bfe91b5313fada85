//! Records the controllers' Events: repetitions increase a count, and old Events are deleted (client-go's `record`).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashSet;

use crate::reconcile::EmittedEvent;
use crate::reconcile::names::digest;
use crate::store::{
    Change, EventRecord, EventSource, Key, Kind, Name, Object, ObjectMeta, ObjectReference, Store, Time,
};

/// Lifetime of an Event (kube-apiserver, `--event-ttl`).
const TTL: Duration = Duration::from_secs(3600);

/// Maximum number of Events.
const EVENTS_MAX: usize = 2048;

/// Tracks the stored Events, oldest first.
#[derive(Default)]
pub(super) struct Recorder {
    kept: VecDeque<(Time, Key)>,
}

impl Recorder {
    /// Records an event at `now`.
    pub(super) fn record(
        &mut self,
        store: &mut Store,
        now: Time,
        terminating: &FxHashSet<Name>,
        event: EmittedEvent,
    ) {
        let expired = |(made, _): &(Time, Key)| now.since(*made) >= TTL;
        while self.kept.len() >= EVENTS_MAX || self.kept.front().is_some_and(expired) {
            let Some((_, oldest)) = self.kept.pop_front() else { break };
            store.apply(Change::Delete(oldest));
        }
        // Events about objects without a namespace are in `default`.
        let namespace = if event.about.kind.is_namespaced() {
            event.about.namespace.clone()
        } else {
            arcstr::literal!("default")
        };
        if terminating.contains(&namespace) {
            return;
        }
        let number = digest((&event.about, &*event.reason, &event.message));
        let name = Name::from(format!("{}.{number:016x}", event.about.name));
        let key = Key::new(Kind::Event, namespace.clone(), name.clone());
        let event = match store.get::<EventRecord>(Kind::Event, &namespace, &name) {
            Some(there) => {
                let mut again = (**there).clone();
                again.count += 1;
                again.last_timestamp = Some(now);
                again
            }
            None => {
                self.kept.push_back((now, key));
                EventRecord {
                    metadata: ObjectMeta { name, namespace, synthesized: true, ..ObjectMeta::default() },
                    involved_object: ObjectReference {
                        kind: Name::from(event.about.kind.as_str()),
                        name: event.about.name,
                        namespace: event.about.namespace,
                    },
                    reason: Name::from(&*event.reason),
                    message: event.message,
                    event_type: Name::from(if event.warning { "Warning" } else { "Normal" }),
                    source: EventSource { component: Name::from(event.component) },
                    count: 1,
                    first_timestamp: Some(now),
                    last_timestamp: Some(now),
                }
            }
        };
        store.apply(Change::Put(Object::Event(Arc::new(event))));
    }
}
