//! `changes`: what became visible in the DNS, to be listed and watched. It must not know how the trace is kept.

use std::sync::Arc;

use hyper::body::Bytes;
use serde_json::{Value, json};
use tokio::sync::watch as signal;
use tokio::time::{Instant, sleep_until};

use super::super::accept::Form;
use super::super::http::told;
use super::super::reply::{Reply, Streamed};
use super::super::resource::Resource;
use super::super::route::{Api, Call};
use super::super::status::Status;
use super::super::table::Column;
use super::super::watch;
use super::{Columns, is_get, of_form, reply};
use crate::{ControlPlane, Traced};

/// So many names of a change are in a table's cell.
const NAMES_SHOWN: usize = 3;

/// Requests for `changes`.
pub(in crate::api) fn changes(api: &Arc<Api>, call: Arc<Call>) -> Result<Reply, Status> {
    let resource = call.place.resource;
    if !is_get(&call) {
        return Err(Status::method_not_supported());
    }
    if call.query.watch && call.place.name.is_empty() {
        return Ok(Reply::Stream(Follower::new(api, call).stream()));
    }
    api.driver.read(|cluster| {
        let object = |traced: &Traced| object(resource, traced);
        let (objects, last): (Vec<Value>, u64) = match call.place.name.as_str() {
            "" => (cluster.trace().map(object).collect(), last(cluster)),
            name => {
                let found = cluster.trace().find(|traced| traced.number.to_string() == name);
                (vec![object(found.ok_or_else(|| Status::not_found(resource, name))?)], 0)
            }
        };
        Ok(reply(&call, objects, last, &COLUMNS))
    })
}

/// The number of the latest change.
fn last(cluster: &ControlPlane) -> u64 {
    cluster.trace().next_back().map_or(0, |last| last.number)
}

const COLUMNS: Columns = Columns {
    columns: &[
        Column::text("Name", "The number of the change."),
        Column::text("At", "When it became visible, in the cluster's time."),
        Column::number("Serial", "The serial of the SOA from then on."),
        Column::text("Names", "What came and went."),
        Column::text("Cause", "What happened in the cluster."),
    ],
    cells,
};

fn object(resource: &Resource, traced: &Traced) -> Value {
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

/// One who is told of changes as they happen.
struct Follower {
    api: Arc<Api>,
    call: Arc<Call>,
    /// The last change that was told.
    told: u64,
    columns_told: bool,
    ends: Instant,
    revisions: signal::Receiver<u64>,
    stop: signal::Receiver<bool>,
}

impl Follower {
    /// Begins after the change that the query's `resourceVersion` names: without one, with the first that is kept.
    fn new(api: &Arc<Api>, call: Arc<Call>) -> Self {
        Follower {
            api: api.clone(),
            told: call.query.resource_version.unwrap_or(0),
            columns_told: false,
            ends: watch::end(&call.query),
            revisions: api.driver.revisions(),
            stop: api.stop.clone(),
            call,
        }
    }

    fn stream(self) -> Streamed {
        Streamed::new(async move {
            let (lines, rest) = self.next().await?;
            Some((lines, rest.stream()))
        })
    }

    /// The next lines, once there are any; nothing at the end.
    async fn next(mut self) -> Option<(Bytes, Self)> {
        loop {
            self.revisions.mark_unchanged();
            let lines = self.gather();
            if !lines.is_empty() {
                return Some((lines.into(), self));
            }
            tokio::select! {
                () = told(&mut self.stop) => return None,
                () = sleep_until(self.ends) => return None,
                changed = self.revisions.changed() => changed.ok()?,
            }
        }
    }

    /// What there is to tell now. Changes of the DNS are few and kept ready, so nobody waits for this.
    fn gather(&mut self) -> Vec<u8> {
        let Follower { api, call, told, columns_told, .. } = self;
        let resource = call.place.resource;
        let new: Vec<Value> = api.driver.read(|cluster| {
            // Another cluster began, whose changes are counted anew.
            *told = if *told > last(cluster) { 0 } else { *told };
            let new =
                cluster.trace().filter(|traced| traced.number > *told).map(|t| object(resource, t)).collect();
            *told = last(cluster);
            new
        });
        let line = |object: Value| {
            let shown = match call.form {
                Form::Table => {
                    let mut table = COLUMNS.table(&[object], json!({}), call);
                    if std::mem::replace(columns_told, true) {
                        table["columnDefinitions"] = Value::Null;
                    }
                    table
                }
                form => of_form(object, form),
            };
            watch::line("ADDED", &shown)
        };
        new.into_iter().flat_map(line).collect()
    }
}
