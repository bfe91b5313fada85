//! Takes the place of kube-apiserver's watch handler: what happens to the objects of a kind, as a stream of lines. A
//! watcher is a cursor into the store's events and nothing else: whoever reads slowly holds no queue, and whoever falls
//! too far behind is told to list anew. It must not know how objects change.

mod journal;
mod translate;

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use serde_json::{Value, json};
use tokio::sync::watch as signal;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use super::call::{Api, Call};
use super::list;
use super::show::Scope;
use crate::http::accept::Form;
use crate::http::outgoing::PIECE_BYTES;
use crate::http::query::{Query, VersionMatch};
use crate::http::reply::{Reply, Streamed};
use crate::http::server::told;
use crate::http::status::Status;
use crate::schema::resource::Resource;
use clusterlocal_core::ControlPlane;
use clusterlocal_core::store::{Key, Kind, Object, Store, Stored, Undone, View};

pub(crate) use journal::Journal;
use translate::Lines;

/// A watch that does not say when it ends ends after this time: kube-apiserver draws 30 to 60 minutes.
const LONGEST: Duration = Duration::from_secs(45 * 60);

/// How often a client that wants to hear how far it has come is told: kube-apiserver does so about once a minute.
const BOOKMARKS: Duration = Duration::from_secs(60);

/// Maximum number of events, or objects, that are looked at at a time, as long as they are no more than [`PIECE_BYTES`].
const BATCH: usize = 256;

/// About how long Endpoints are that are computed from slices, in bytes: some hundred addresses.
const ENDPOINTS_BYTES: usize = 64 << 10;

/// About how much `object` takes in a piece of a stream, in bytes.
fn shown_bytes(object: &Object) -> usize {
    match object {
        Object::Endpoints(endpoints) if endpoints.derived.is_some() => ENDPOINTS_BYTES,
        object => object.weight(),
    }
}

/// `GET` of a collection with `watch=true`.
pub(crate) fn begin(api: &Arc<Api>, kind: Kind, call: &Call) -> Result<Reply, Status> {
    let query = &call.query;
    check(query)?;
    let scope = Scope::of(kind, &call.place, query)?;
    let begins = api.driver.read(|cluster| Beginning::of(cluster, &scope, query))?;
    let now = Instant::now();
    let watcher = Watcher {
        // Marked as seen here: what happened after the cursor was taken wakes the watcher.
        revisions: api.driver.revisions(),
        stop: api.stop.clone(),
        api: api.clone(),
        resource: call.place.resource,
        lines: Lines::new(scope, call.presentation(kind)),
        cursor: begins.revision,
        initial: begins.objects.into_iter(),
        announce: query.send_initial_events,
        bookmarks: query.allow_bookmarks,
        next_bookmark: now + BOOKMARKS,
        ends: end(query),
        over: false,
    };
    Ok(Reply::Stream(watcher.stream()))
}

/// When a watch ends that begins now.
pub(crate) fn end(query: &Query) -> Instant {
    Instant::now() + query.timeout.unwrap_or(LONGEST).min(LONGEST)
}

/// What does not go together, in kube-apiserver's words (ValidateListOptions).
fn check(query: &Query) -> Result<(), Status> {
    let wrong = if query.send_initial_events && query.version_match != Some(VersionMatch::NotOlderThan) {
        "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
    } else if !query.send_initial_events && query.version_match.is_some() {
        "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
    } else {
        return Ok(());
    };
    Err(Status::bad_request(wrong))
}

/// Where a watch begins.
struct Beginning {
    /// Events after this one are shown.
    revision: u64,
    /// Objects that are there already and shown first.
    objects: Vec<Key>,
}

impl Beginning {
    fn of(cluster: &ControlPlane, scope: &Scope, query: &Query) -> Result<Beginning, Status> {
        let store = cluster.store();
        let current = store.revision();
        match query.resource_version {
            // A client that knew a later state knew another cluster, before a restart: it has to list anew. The stream
            // tells it so.
            Some(asked @ 1..) if !query.send_initial_events || asked > current => {
                Ok(Beginning { revision: asked, objects: Vec::new() })
            }
            // Without a revision, the state comes first.
            _ => {
                let objects = list::as_of(cluster, scope, current)?;
                let objects =
                    objects.into_iter().filter(|stored| scope.admits(stored, cluster, View::now(store)));
                Ok(Beginning {
                    revision: current,
                    objects: objects.map(|stored| stored.object.key()).collect(),
                })
            }
        }
    }
}

/// One who watches.
struct Watcher {
    api: Arc<Api>,
    resource: &'static Resource,
    lines: Lines,
    /// Everything up to this revision has been shown.
    cursor: u64,
    /// The objects of the beginning that were not shown yet, by key: an object that changes before its turn is not kept for
    /// each client that reads slowly.
    initial: std::vec::IntoIter<Key>,
    /// Whether the end of the initial objects is still to be told.
    announce: bool,
    bookmarks: bool,
    next_bookmark: Instant,
    ends: Instant,
    /// Nothing comes any more.
    over: bool,
    revisions: signal::Receiver<u64>,
    stop: signal::Receiver<bool>,
}

impl Watcher {
    fn stream(self) -> Streamed {
        Streamed::new(async move {
            let (lines, rest) = self.next().await?;
            Some((lines, rest.stream()))
        })
    }

    /// The next lines, once there are any; nothing at the end.
    async fn next(mut self) -> Option<(Bytes, Self)> {
        while !self.over {
            self.revisions.mark_unchanged();
            // The cluster may be busy with what somebody else wants.
            let place = self.api.journal.readers.clone().acquire_owned().await.ok()?;
            let lines;
            (lines, self) = spawn_blocking(move || (self.gather(), self)).await.ok()?;
            drop(place);
            if !lines.is_empty() {
                return Some((lines.into(), self));
            }
            if self.cursor < *self.revisions.borrow() {
                continue;
            }
            tokio::select! {
                () = told(&mut self.stop) => self.over = true,
                () = sleep_until(self.ends) => self.over = true,
                () = sleep_until(self.next_bookmark), if self.bookmarks => {
                    return Some((self.bookmark(json!({})), self));
                }
                changed = self.revisions.changed() => self.over = changed.is_err(),
            }
            if self.over && self.bookmarks {
                // Where to go on from.
                return Some((self.bookmark(json!({})), self));
            }
        }
        None
    }

    /// What there is to show now.
    fn gather(&mut self) -> Vec<u8> {
        let Watcher { api, lines, initial, cursor, .. } = self;
        let (mut out, compacted) = api.driver.read(|cluster| {
            let begun = begin_with(initial, *cursor, cluster.store());
            if !begun.is_empty() {
                return (lines.initial(&begun, cluster), None);
            }
            if *cursor > cluster.store().revision() {
                return (Vec::new(), Some(cluster.store().revision()));
            }
            match api.journal.after(cluster, *cursor, BATCH) {
                Ok(mut entries) => {
                    entries.truncate(lines.fitting(&entries));
                    *cursor = entries.last().map_or(*cursor, |entry| entry.event.revision);
                    (lines.events(&entries, cluster), None)
                }
                Err(compacted) => (Vec::new(), Some(compacted.0)),
            }
        });
        if let Some(oldest) = compacted {
            self.over = true;
            out.extend(line("ERROR", &Status::too_old(self.cursor, oldest).json()));
        }
        if self.announce && self.initial.len() == 0 {
            self.announce = false;
            let bookmark = self.bookmark(json!({ "k8s.io/initial-events-end": "true" }));
            out.extend_from_slice(&bookmark);
        }
        out
    }

    /// A line that tells how far the client has come.
    fn bookmark(&mut self, annotations: Value) -> Bytes {
        self.next_bookmark = Instant::now() + BOOKMARKS;
        let mut metadata = json!({ "resourceVersion": self.cursor.to_string(), "creationTimestamp": null });
        if annotations.as_object().is_some_and(|annotations| !annotations.is_empty()) {
            metadata["annotations"] = annotations;
        }
        let (kind, api_version) = match self.lines.form() {
            Form::Metadata => ("PartialObjectMetadata", "meta.k8s.io/v1".to_owned()),
            _ => (self.resource.kind, self.resource.api_version()),
        };
        line("BOOKMARK", &json!({ "kind": kind, "apiVersion": api_version, "metadata": metadata })).into()
    }
}

/// The next of the objects of the beginning, as they were at `revision`; as they are now, where that is forgotten.
fn begin_with(initial: &mut std::vec::IntoIter<Key>, revision: u64, store: &Store) -> Vec<Stored> {
    if initial.len() == 0 {
        return Vec::new();
    }
    let undone = Undone::since(store, revision).unwrap_or_default();
    let view = View::past(store, &undone);
    let (mut begun, mut bytes) = (Vec::new(), 0);
    while begun.len() < BATCH && bytes < PIECE_BYTES {
        let Some(key) = initial.next() else { break };
        if let Some(stored) = view.stored(&key) {
            bytes += shown_bytes(&stored.object);
            begun.push(stored.clone());
        }
    }
    begun
}

/// An event as a line of JSON.
pub(crate) fn line(event: &str, object: &Value) -> Vec<u8> {
    format!("{{\"type\":\"{event}\",\"object\":{object}}}\n").into_bytes()
}
