//! Writes down what controllers tell, as Events: what happens again is counted, and what is old is forgotten
//! (client-go's `record`).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashSet;

use crate::reconcile::Told;
use crate::reconcile::names::digest;
use crate::store::{
    Change, EventRecord, EventSource, Key, Kind, Name, Object, ObjectMeta, ObjectReference, Store, Time,
};

/// For so long an Event is kept (kube-apiserver, `--event-ttl`).
const TTL: Duration = Duration::from_secs(3600);

/// So many Events are kept at most.
const KEPT: usize = 2048;

/// Knows which Events there are, oldest first.
#[derive(Default)]
pub(super) struct Recorder {
    kept: VecDeque<(Time, Key)>,
}

impl Recorder {
    /// Writes down what was told at `now`.
    pub(super) fn record(&mut self, store: &mut Store, now: Time, terminating: &FxHashSet<Name>, told: Told) {
        let expired = |(made, _): &(Time, Key)| now.since(*made) >= TTL;
        while self.kept.len() >= KEPT || self.kept.front().is_some_and(expired) {
            let Some((_, oldest)) = self.kept.pop_front() else { break };
            store.apply(Change::Delete(oldest));
        }
        // Events about what has no namespace are in `default`.
        let namespace = if told.about.kind.is_namespaced() {
            told.about.namespace.clone()
        } else {
            arcstr::literal!("default")
        };
        if terminating.contains(&namespace) {
            return;
        }
        let number = digest((&told.about, told.reason, &told.message));
        let name = Name::from(format!("{}.{number:016x}", told.about.name));
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
                        kind: Name::from(told.about.kind.as_str()),
                        name: told.about.name,
                        namespace: told.about.namespace,
                    },
                    reason: Name::from(told.reason),
                    message: told.message,
                    event_type: Name::from(if told.warning { "Warning" } else { "Normal" }),
                    source: EventSource { component: Name::from(told.by) },
                    count: 1,
                    first_timestamp: Some(now),
                    last_timestamp: Some(now),
                }
            }
        };
        store.apply(Change::Put(Object::Event(Arc::new(event))));
    }
}
