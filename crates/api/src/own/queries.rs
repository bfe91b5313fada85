//! `queries`: the DNS queries with their answers, listed, watched and waited for. Must not depend on how the log is stored.

use std::sync::Arc;

use serde_json::{Value, json};

use super::follow::{Follower, Source};
use super::selection::Selection;
use super::{Columns, is_get, reply, revision};
use crate::http::reply::Reply;
use crate::http::status::Status;
use crate::schema::resource::Resource;
use crate::verbs::call::{Api, Call};
use crate::view::table::Column;
use clusterlocal_core::answer::Record;
use clusterlocal_core::queries::{Query, QueryLog};

/// Answers requests for `queries`.
pub(crate) fn queries(api: &Arc<Api>, call: Arc<Call>) -> Result<Reply, Status> {
    let resource = call.place.resource;
    if !is_get(&call) {
        return Err(Status::method_not_supported());
    }
    let log = log(api)?;
    let selection = Selection::read(&call.query)?;
    if call.query.watch && call.place.name.is_empty() {
        let sent = call.query.resource_version.unwrap_or(0);
        let source = Unsent { api: api.clone(), log: log.clone(), resource, selection, sent };
        return Ok(Follower::reply(api, call, &COLUMNS, source));
    }
    let (found, latest) = selection.after(0, log, &api.driver);
    let found = found.into_iter();
    let (objects, latest): (Vec<Value>, u64) = match call.place.name.as_str() {
        "" => (
            found.filter(|query| selection.admits(query)).map(|query| object(resource, &query)).collect(),
            latest,
        ),
        name => {
            let mut found = found.filter(|query| query.number.to_string() == name);
            (vec![object(resource, &found.next().ok_or_else(|| Status::not_found(resource, name))?)], 0)
        }
    };
    let mut metadata = revision(latest);
    metadata["dropped"] = log.dropped().into();
    Ok(reply(&call, objects, metadata, &COLUMNS))
}

/// The log, if there is one.
pub(super) fn log(api: &Api) -> Result<&QueryLog, Status> {
    let none = || Status::refused("there is no query log: the server was started with --query-log 0");
    api.queries.as_ref().ok_or_else(none)
}

static COLUMNS: Columns = Columns {
    columns: &[
        Column::text("Name", "The number of the query."),
        Column::text("At", "When it was received, in the cluster's time."),
        Column::text("Client", "The pod that sent it, or its address."),
        Column::text("Question", "The type, the name and the transport."),
        Column::text("Rcode", "The response code."),
        Column::number("Answers", "The number of records in the answer."),
        Column::text("Fault", "The fault that applied to it."),
        Column::number("Serial", "The serial of the zone that the answer is from."),
    ],
    cells,
};

/// `line` is the query in the format of CoreDNS's `log` plugin.
fn object(resource: &Resource, query: &Query) -> Value {
    let (number, at) = (query.number.to_string(), query.time.to_string());
    let records = |records: &[Record]| -> Vec<Value> {
        let record = |record: &Record| json!({ "name": record.name, "ttl": record.ttl, "type": record.record_type.to_string(), "data": record.data });
        records.iter().map(record).collect()
    };
    json!({
        "apiVersion": resource.api_version(),
        "kind": resource.kind,
        "metadata": { "name": number, "resourceVersion": number, "creationTimestamp": at },
        "at": at,
        "tookSeconds": query.took.as_secs_f64(),
        "client": query.client.to_string(),
        "pod": query.pod,
        "transport": query.transport.to_string(),
        "id": query.id,
        "name": query.name,
        "type": query.qtype.to_string(),
        "edns": query.edns.map(|edns| json!({ "udpSize": edns.udp_size, "dnssecOk": edns.dnssec_ok() })),
        "rcode": query.code().map(|code| code.to_string()),
        "reply": query.reply.as_ref().map(|reply| json!({
            "bytes": query.reply_bytes,
            "authoritative": reply.authoritative,
            "truncated": reply.truncated,
            "answerCount": query.answer_count,
            "recordsOmitted": query.records_omitted,
            "answers": records(&reply.answers),
            "authorities": records(&reply.authorities),
            "additionals": records(&reply.additionals),
        })),
        "fault": query.fault,
        "serial": query.serial,
        "line": query.to_string(),
    })
}

fn cells(query: &Value) -> Vec<Value> {
    let text = |field: &str| query[field].as_str().unwrap_or_default();
    let answers = query["reply"]["answerCount"].as_u64().unwrap_or_default();
    vec![
        query["metadata"]["name"].clone(),
        query["at"].clone(),
        query["pod"].as_str().unwrap_or(text("client")).into(),
        format!("{} {} {}", text("type"), text("name"), text("transport")).into(),
        query["rcode"].as_str().unwrap_or("none").into(),
        answers.into(),
        query["fault"].as_str().unwrap_or("<none>").into(),
        query["serial"].clone(),
    ]
}

/// Maximum size of queries and replies in one piece of a stream, in bytes on the wire: as JSON they are about ten times as
/// large.
const PIECE_BYTES: usize = 32 << 10;

/// The queries that are not sent yet.
struct Unsent {
    api: Arc<Api>,
    log: QueryLog,
    resource: &'static Resource,
    selection: Selection,
    /// Number of the last query that was checked.
    sent: u64,
}

impl Source for Unsent {
    fn gather(&mut self) -> Vec<Value> {
        let (new, latest) = self.selection.first_after(self.sent, PIECE_BYTES, &self.log, &self.api.driver);
        self.sent = latest;
        new.iter()
            .filter(|query| self.selection.admits(query))
            .map(|query| object(self.resource, query))
            .collect()
    }

    async fn more(&mut self) -> bool {
        self.log.arrived(self.sent).await
    }
}
