//! Takes the place of kube-apiserver's watch handler: the changes of the objects of a kind, as a stream of lines. A watch
//! is only a cursor into the store's events: a slow client has no queue, and one that falls too far behind gets 410 Gone.
//! Must not depend on how objects change.

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
use crate::http::server::stopped;
use crate::http::status::Status;
use crate::schema::resource::Resource;
use clusterlocal_core::ControlPlane;
use clusterlocal_core::store::{Key, Kind, Object, Store, Stored, Undone, View};

use translate::Lines;

/// Time-out of a watch without one of its own: kube-apiserver draws 30 to 60 minutes.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(45 * 60);

/// Interval of bookmarks: kube-apiserver sends about one a minute.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(60);

/// Maximum number of events, or objects, in one step, if they are within [`PIECE_BYTES`].
const BATCH_SIZE: usize = 256;

/// Approximate size of Endpoints computed from slices, in bytes: some hundred addresses.
const ENDPOINTS_BYTES: usize = 64 << 10;

/// Approximate size of `object` in a piece of a stream, in bytes.
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
        // Marked as seen here: any change after the cursor wakes the watch.
        revisions: api.driver.revisions(),
        stop: api.stop.clone(),
        api: api.clone(),
        resource: call.place.resource,
        lines: Lines::new(scope, call.presentation(kind)),
        cursor: begins.revision,
        initial: begins.objects.into_iter(),
        announce: query.send_initial_events,
        bookmarks: query.allow_bookmarks,
        next_bookmark: now + BOOKMARK_INTERVAL,
        ends: end(query),
        over: false,
    };
    Ok(Reply::Stream(watcher.stream()))
}

/// The end of a watch that begins now.
pub(crate) fn end(query: &Query) -> Instant {
    Instant::now() + query.timeout.unwrap_or(DEFAULT_TIMEOUT).min(DEFAULT_TIMEOUT)
}

/// Refuses invalid combinations, with kube-apiserver's messages (ValidateListOptions).
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

/// The start of a watch.
struct Beginning {
    /// Events after this revision are sent.
    revision: u64,
    /// Objects that exist already and are sent first.
    objects: Vec<Key>,
}

impl Beginning {
    fn of(cluster: &ControlPlane, scope: &Scope, query: &Query) -> Result<Beginning, Status> {
        let store = cluster.store();
        let current = store.revision();
        match query.resource_version {
            // A later revision belongs to another cluster, before a restart: the client has to list again. The stream
            // returns the error.
            Some(asked @ 1..) if !query.send_initial_events || asked > current => {
                Ok(Beginning { revision: asked, objects: Vec::new() })
            }
            // Without a revision, the current objects come first.
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

/// A watch.
struct Watcher {
    api: Arc<Api>,
    resource: &'static Resource,
    lines: Lines,
    /// Everything up to this revision has been sent.
    cursor: u64,
    /// Keys of the initial objects that are not sent yet: an object that changes before its turn is not kept for each slow
    /// client.
    initial: std::vec::IntoIter<Key>,
    /// Whether the bookmark at the end of the initial objects is still to be sent.
    announce: bool,
    bookmarks: bool,
    next_bookmark: Instant,
    ends: Instant,
    /// The stream has ended.
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
            // Another request may be using the cluster.
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
                () = stopped(&mut self.stop) => self.over = true,
                () = sleep_until(self.ends) => self.over = true,
                () = sleep_until(self.next_bookmark), if self.bookmarks => {
                    return Some((self.bookmark(json!({})), self));
                }
                changed = self.revisions.changed() => self.over = changed.is_err(),
            }
            if self.over && self.bookmarks {
                // The revision to continue from.
                return Some((self.bookmark(json!({})), self));
            }
        }
        None
    }

    /// Returns the lines that are available now.
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
            match api.journal.after(cluster, *cursor, BATCH_SIZE) {
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

    /// A bookmark with the client's current revision.
    fn bookmark(&mut self, annotations: Value) -> Bytes {
        self.next_bookmark = Instant::now() + BOOKMARK_INTERVAL;
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

/// Returns the next initial objects as of `revision`, or their current state if that is no longer kept.
fn begin_with(initial: &mut std::vec::IntoIter<Key>, revision: u64, store: &Store) -> Vec<Stored> {
    if initial.len() == 0 {
        return Vec::new();
    }
    let undone = Undone::since(store, revision).unwrap_or_default();
    let view = View::past(store, &undone);
    let (mut begun, mut bytes) = (Vec::new(), 0);
    while begun.len() < BATCH_SIZE && bytes < PIECE_BYTES {
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
