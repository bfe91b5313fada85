//! `changes`: what became visible in the DNS, to be listed and watched. It must not know how the trace is kept.

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

/// So many names of a change are in a table's cell.
const NAMES_SHOWN: usize = 3;

/// Requests for `changes`.
pub(crate) fn changes(api: &Arc<Api>, call: Arc<Call>) -> Result<Reply, Status> {
    let resource = call.place.resource;
    if !is_get(&call) {
        return Err(Status::method_not_supported());
    }
    if call.query.watch && call.place.name.is_empty() {
        let untold = Untold::new(api, &call);
        return Ok(Follower::reply(api, call, &COLUMNS, untold));
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
        Column::text("Names", "What came and went."),
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
    let told = names.iter().take(NAMES_SHOWN).map(|name| {
        let sign = if name["added"] == true { '+' } else { '-' };
        format!("{sign}{}", name["name"].as_str().unwrap_or_default())
    });
    let mut told: Vec<String> = told.collect();
    if names.len() > NAMES_SHOWN {
        told.push(format!("and {} more", names.len() - NAMES_SHOWN));
    }
    vec![
        change["metadata"]["name"].clone(),
        change["at"].clone(),
        change["serial"].clone(),
        told.join(" ").into(),
        change["cause"].clone(),
    ]
}

/// Maximum number of names, of one change or several, that are made into one piece of a stream.
const PIECE_NAMES: usize = 2048;

/// The changes that were not told yet.
struct Untold {
    api: Arc<Api>,
    resource: &'static Resource,
    /// The last change that was told.
    told: u64,
    revisions: signal::Receiver<u64>,
}

impl Untold {
    /// Those after the change that the query's `resourceVersion` names: without one, all that are kept.
    fn new(api: &Arc<Api>, call: &Call) -> Self {
        let told = call.query.resource_version.unwrap_or(0);
        Untold { api: api.clone(), resource: call.place.resource, told, revisions: api.driver.revisions() }
    }
}

impl Source for Untold {
    fn gather(&mut self) -> Vec<Value> {
        self.revisions.mark_unchanged();
        self.api.driver.read(|cluster| {
            // Another cluster began, whose changes are counted anew.
            self.told = if self.told > last(cluster) { 0 } else { self.told };
            let new = cluster.trace().filter(|traced| traced.number > self.told);
            let mut names = 0;
            let within = |traced: &&DnsChange| {
                let is_first = names == 0;
                names += 1 + traced.names.len();
                is_first || names <= PIECE_NAMES
            };
            let new: Vec<&DnsChange> = new.take_while(within).collect();
            self.told = new.last().map_or(self.told, |last| last.number);
            new.into_iter().map(|traced| object(self.resource, traced)).collect()
        })
    }

    async fn more(&mut self) -> bool {
        self.revisions.changed().await.is_ok()
    }
}
