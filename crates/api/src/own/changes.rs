//! `changes`: the visible changes of the DNS, listed and watched. Must not depend on how the trace is stored.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::watch as signal;

use super::follow::{Follower, Source};
use super::{Columns, is_get, reply, revision};
use crate::http::reply::Reply;
use crate::http::status::Status;
use crate::schema::resource::Resource;
use crate::verbs::call::{Api, Call};
use crate::view::table::Column;
use clusterlocal_core::{ControlPlane, DnsChange};

/// Maximum number of names of a change in a table's cell.
const NAMES_SHOWN: usize = 3;

/// Answers requests for `changes`.
pub(crate) fn changes(api: &Arc<Api>, call: Arc<Call>) -> Result<Reply, Status> {
    let resource = call.place.resource;
    if !is_get(&call) {
        return Err(Status::method_not_supported());
    }
    if call.query.watch && call.place.name.is_empty() {
        let source = Unsent::new(api, &call);
        return Ok(Follower::reply(api, call, &COLUMNS, source));
    }
    api.driver.read(|cluster| {
        let object = |traced: &DnsChange| object(resource, traced);
        let (objects, last): (Vec<Value>, u64) = match call.place.name.as_str() {
            "" => (cluster.trace().map(object).collect(), last(cluster)),
            name => {
                let found = cluster.trace().find(|traced| traced.number.to_string() == name);
                (vec![object(found.ok_or_else(|| Status::not_found(resource, name))?)], 0)
            }
        };
        Ok(reply(&call, objects, revision(last), &COLUMNS))
    })
}

/// The number of the latest change.
fn last(cluster: &ControlPlane) -> u64 {
    cluster.trace().next_back().map_or(0, |last| last.number)
}

static COLUMNS: Columns = Columns {
    columns: &[
        Column::text("Name", "The number of the change."),
        Column::text("At", "When it became visible, in the cluster's time."),
        Column::number("Serial", "The serial of the SOA from then on."),
        Column::text("Names", "The names that were added and removed."),
        Column::text("Cause", "What happened in the cluster."),
    ],
    cells,
};

fn object(resource: &Resource, traced: &DnsChange) -> Value {
    let number = traced.number.to_string();
    let at = traced.at.to_string();
    json!({
        "apiVersion": resource.api_version(),
        "kind": resource.kind,
        "metadata": { "name": number, "resourceVersion": number, "creationTimestamp": at },
        "at": at,
        "serial": traced.serial,
        "cause": traced.cause,
        "names": traced.names.iter().map(|name| json!({
            "added": name.added,
            "name": name.name,
            "target": name.target,
        })).collect::<Vec<_>>(),
    })
}

fn cells(change: &Value) -> Vec<Value> {
    let names = change["names"].as_array().map_or(&[][..], Vec::as_slice);
    let shown = names.iter().take(NAMES_SHOWN).map(|name| {
        let sign = if name["added"] == true { '+' } else { '-' };
        format!("{sign}{}", name["name"].as_str().unwrap_or_default())
    });
    let mut shown: Vec<String> = shown.collect();
    if names.len() > NAMES_SHOWN {
        shown.push(format!("and {} more", names.len() - NAMES_SHOWN));
    }
    vec![
        change["metadata"]["name"].clone(),
        change["at"].clone(),
        change["serial"].clone(),
        shown.join(" ").into(),
        change["cause"].clone(),
    ]
}

/// Maximum number of names in one piece of a stream, of one change or several.
const PIECE_NAMES: usize = 2048;

/// The changes that are not sent yet.
struct Unsent {
    api: Arc<Api>,
    resource: &'static Resource,
    /// The last change that was sent.
    sent: u64,
    revisions: signal::Receiver<u64>,
}

impl Unsent {
    /// The changes after the query's `resourceVersion`; without one, all that are kept.
    fn new(api: &Arc<Api>, call: &Call) -> Self {
        let sent = call.query.resource_version.unwrap_or(0);
        Unsent { api: api.clone(), resource: call.place.resource, sent, revisions: api.driver.revisions() }
    }
}

impl Source for Unsent {
    fn gather(&mut self) -> Vec<Value> {
        self.revisions.mark_unchanged();
        self.api.driver.read(|cluster| {
            // A new cluster has started, with its own numbers.
            self.sent = if self.sent > last(cluster) { 0 } else { self.sent };
            let new = cluster.trace().filter(|traced| traced.number > self.sent);
            let mut names = 0;
            let within = |traced: &&DnsChange| {
                let is_first = names == 0;
                names += 1 + traced.names.len();
                is_first || names <= PIECE_NAMES
            };
            let new: Vec<&DnsChange> = new.take_while(within).collect();
            self.sent = new.last().map_or(self.sent, |last| last.number);
            new.into_iter().map(|traced| object(self.resource, traced)).collect()
        })
    }

    async fn more(&mut self) -> bool {
        self.revisions.changed().await.is_ok()
    }
}
