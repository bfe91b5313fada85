//! Takes the place of kube-apiserver's read handlers: one object, or the objects of a kind, all or by page, in
//! their current or an earlier state. Must not depend on HTTP.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use hyper::body::Bytes;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::call::{Api, Call};
use super::show::{self, Presentation, Scope};
use crate::http::accept::Form;
use crate::http::outgoing::PIECE_BYTES;
use crate::http::query::{Query, VersionMatch};
use crate::http::reply::{Reply, Streamed};
use crate::http::status::Status;
use clusterlocal_core::store::{Key, Kind, Name, Store, Stored, Undone, View};
use clusterlocal_core::{ControlPlane, Driver};

/// `GET` of one object.
pub(crate) fn get(driver: &Driver, kind: Kind, call: &Call) -> Result<Reply, Status> {
    driver.read(|cluster| {
        let stored = show::stored(cluster.store(), kind, &call.place)?;
        let object = show::rendered_as(call.place.resource, stored, cluster);
        Ok(Reply::ok(&call.presentation(kind).object(object, cluster)))
    })
}

/// `GET` of a collection.
pub(crate) fn list(api: &Arc<Api>, kind: Kind, call: &Call) -> Result<Reply, Status> {
    let scope = Scope::of(kind, &call.place, &call.query)?;
    let page = api.driver.read(|cluster| Page::select(cluster, &scope, &call.query))?;
    let presentation = call.presentation(kind);
    let head = api.driver.read(|cluster| head(&presentation, page.metadata(), cluster)).into_bytes();
    let revision = page.revision;
    let mut listing =
        Listing { api: api.clone(), presentation, items: page.items, revision, at: 0, written: 0, head };
    let first = listing.chunk();
    if listing.at == listing.items.len() {
        return Ok(Reply::Json(hyper::StatusCode::OK, first));
    }
    Ok(Reply::Stream(Streamed::new(async move { Some((Bytes::from(first), listing.stream())) })))
}

/// A list or table up to its first item. `]}` follows after the last.
fn head(presentation: &Presentation, metadata: Value, cluster: &ControlPlane) -> String {
    let (list_kind, api_version) = match presentation.form {
        Form::Table => {
            let mut empty = presentation.empty_table(metadata, cluster).to_string();
            // Keys are in alphabetical order, so `rows` is the last.
            empty.truncate(empty.len() - "]}".len());
            return empty;
        }
        Form::Metadata => ("PartialObjectMetadataList".to_owned(), "meta.k8s.io/v1".to_owned()),
        Form::Json => (presentation.resource.list_kind.to_owned(), presentation.resource.api_version()),
    };
    format!("{{\"kind\":\"{list_kind}\",\"apiVersion\":\"{api_version}\",\"metadata\":{metadata},\"items\":[")
}

/// Maximum number of objects that are rendered at a time, if they are within [`PIECE_BYTES`]: a list needs little memory, and
/// other requests do not wait long for the cluster.
const CHUNK: usize = 512;

/// A list that is being sent.
struct Listing {
    api: Arc<Api>,
    presentation: Presentation,
    /// By key: an object that changes before its turn is not kept for each client that reads slowly.
    items: Vec<Key>,
    /// The revision of the items' state.
    revision: u64,
    /// The number of items processed so far.
    at: usize,
    /// The number of items written so far: a deleted object whose earlier state is no longer kept is left out.
    written: usize,
    /// The bytes before the next item.
    head: Vec<u8>,
}

impl Listing {
    /// The next objects, and the end after the last.
    fn chunk(&mut self) -> Vec<u8> {
        let mut out = std::mem::take(&mut self.head);
        let chunk = self.items[self.at..].iter().take(CHUNK);
        self.api.driver.read(|cluster| {
            let store = cluster.store();
            // If the state is no longer kept, the current one is used.
            let undone = Undone::since(store, self.revision).unwrap_or_default();
            let view = View::past(store, &undone);
            for key in chunk {
                if out.len() >= PIECE_BYTES {
                    break;
                }
                self.at += 1;
                let Some(stored) = view.stored(key) else { continue };
                if self.written > 0 {
                    out.push(b',');
                }
                self.written += 1;
                let object = self.presentation.rendered(stored, cluster, view);
                let item = match self.presentation.form {
                    Form::Json => object,
                    Form::Metadata => show::metadata_only(&object),
                    Form::Table => self.presentation.row(&object, cluster),
                };
                // Writing to memory cannot fail, and neither can JSON with string keys.
                _ = serde_json::to_writer(&mut out, &item);
            }
        });
        if self.at == self.items.len() {
            out.extend_from_slice(b"]}");
        }
        out
    }

    /// Chunk by chunk.
    fn stream(mut self) -> Streamed {
        Streamed::new(async move {
            if self.at == self.items.len() {
                return None;
            }
            let (chunk, rest) = spawn_blocking(move || (self.chunk(), self)).await.ok()?;
            Some((Bytes::from(chunk), rest.stream()))
        })
    }
}

/// Objects of one state of the cluster.
struct Page {
    items: Vec<Key>,
    /// The revision of the state.
    revision: u64,
    /// The last object of the page, and the number of objects after it, if known.
    rest: Option<(Continue, Option<usize>)>,
}

impl Page {
    /// The list that `query` requests.
    fn select(cluster: &ControlPlane, scope: &Scope, query: &Query) -> Result<Page, Status> {
        let store = cluster.store();
        let (revision, after) = match Continue::parse(&query.continue_from)? {
            Some(_) if query.resource_version.is_some_and(|version| version > 0) => {
                return Err(Status::bad_request(
                    "specifying resource version is not allowed when using continue",
                ));
            }
            Some(token) => (token.revision, Some(token)),
            None => (revision(store, query)?, None),
        };
        let objects = as_of(cluster, scope, revision)?;
        let undone =
            Undone::since(store, revision).map_err(|compacted| Status::too_old(revision, compacted.0))?;
        let view = View::past(store, &undone);
        let begin =
            after.map_or(0, |token| objects.partition_point(|stored| position(stored) <= token.position()));
        let mut admitted = objects[begin..].iter().filter(|stored| scope.admits(stored, cluster, view));
        let items: Vec<Key> = admitted
            .by_ref()
            .take(query.limit.unwrap_or(usize::MAX))
            .map(|stored| stored.object.key())
            .collect();
        let next = admitted.next().and(items.last());
        let rest = next.map(|last| {
            let whole = query.label_selector.is_empty() && query.field_selector.is_empty();
            let left = whole.then(|| objects.len() - begin - items.len());
            let Key { namespace, name, .. } = last.clone();
            (Continue { revision, namespace, name }, left)
        });
        drop(admitted);
        Ok(Page { items, revision, rest })
    }

    fn metadata(&self) -> Value {
        let mut metadata = json!({ "resourceVersion": self.revision.to_string() });
        if let Some((token, left)) = &self.rest {
            metadata["continue"] = token.to_string().into();
            if let Some(left) = left {
                metadata["remainingItemCount"] = (*left).into();
            }
        }
        metadata
    }
}

/// The revision of the state that a list has.
fn revision(store: &Store, query: &Query) -> Result<u64, Status> {
    match (query.resource_version, query.version_match) {
        (Some(asked), _) if asked > store.revision() => Err(Status::too_new(asked, store.revision())),
        (Some(0), Some(VersionMatch::Exact)) => {
            Err(Status::bad_request("resourceVersionMatch \"Exact\" is forbidden for resourceVersion \"0\""))
        }
        (Some(asked), Some(VersionMatch::Exact)) => Ok(asked),
        (None, Some(_)) => {
            Err(Status::bad_request("resourceVersionMatch is forbidden unless resourceVersion is provided"))
        }
        _ => Ok(store.revision()),
    }
}

/// The objects of `scope` by namespace and name, as they were at `revision`; its selectors are ignored.
pub(crate) fn as_of<'c>(
    cluster: &'c ControlPlane,
    scope: &Scope,
    revision: u64,
) -> Result<Vec<Cow<'c, Stored>>, Status> {
    let store = cluster.store();
    // The state of an object at that time is the one before its first event since then.
    let mut then: BTreeMap<(&Name, &Name), Option<&Stored>> = BTreeMap::new();
    if revision < store.revision() {
        let events = store.watch(revision).map_err(|compacted| Status::too_old(revision, compacted.0))?;
        for event in events.filter(|event| scope.is_at(&event.object().key())) {
            let metadata = event.object().metadata();
            then.entry((&metadata.namespace, &metadata.name)).or_insert(event.before.as_ref());
        }
    }
    let now = store.all_stored(scope.kind, scope.namespace());
    let now = now.filter(|stored| !then.contains_key(&position(stored)));
    let mut objects: Vec<Cow<'_, Stored>> = now.map(Cow::Borrowed).collect();
    if !then.is_empty() {
        objects.extend(then.into_values().flatten().map(Cow::Borrowed));
        objects.sort_by(|a, b| position(a).cmp(&position(b)));
    }
    Ok(objects)
}

fn position(stored: &Stored) -> (&Name, &Name) {
    let metadata = stored.object.metadata();
    (&metadata.namespace, &metadata.name)
}

/// The start of the next page: after an object, in a state. Opaque to clients, as text `revision/namespace/name`.
#[derive(Debug, PartialEq)]
struct Continue {
    revision: u64,
    namespace: Name,
    name: Name,
}

impl Continue {
    fn parse(text: &str) -> Result<Option<Continue>, Status> {
        if text.is_empty() {
            return Ok(None);
        }
        let read = || {
            let mut parts = text.splitn(3, '/');
            let revision = parts.next()?.parse().ok()?;
            Some(Continue { revision, namespace: parts.next()?.into(), name: parts.next()?.into() })
        };
        read()
            .map(Some)
            .ok_or_else(|| Status::bad_request("continue key is not valid: it is not from this server"))
    }

    fn position(&self) -> (&Name, &Name) {
        (&self.namespace, &self.name)
    }
}

impl std::fmt::Display for Continue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.revision, self.namespace, self.name)
    }
}
