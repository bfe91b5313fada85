//! `clocks`: the cluster's clock, read and advanced. Must not depend on the effects of time.

use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};

use super::{Columns, is_get, reply, revision};
use crate::http::body;
use crate::http::path::Part;
use crate::http::reply::Reply;
use crate::http::status::Status;
use crate::verbs::call::Call;
use crate::view::table::Column;
use clusterlocal_core::Driver;
use clusterlocal_core::store::duration;

/// The name of the clock.
const CLOCK: &str = "cluster";

/// Maximum time of one advance: everything that is due until then happens before the answer.
const LONGEST_ADVANCE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Answers requests for `clocks`.
pub(crate) fn clock(driver: &Driver, call: &Call) -> Result<Reply, Status> {
    let resource = call.place.resource;
    if !matches!(call.place.name.as_str(), "" | CLOCK) {
        return Err(Status::not_found(resource, &call.place.name));
    }
    let action = match call.place.part {
        Part::Subresource(part) => Some(part.name),
        _ => None,
    };
    match (&call.method, action) {
        (_, None) if is_get(call) => {}
        (&Method::POST, Some("advance")) => {
            let by = advance(call)?;
            driver.set_clock(|clock| clock.advance(by));
        }
        (&Method::POST, Some("pause")) => driver.set_clock(|clock| clock.pause()),
        (&Method::POST, Some("resume")) => driver.set_clock(|clock| clock.resume()),
        _ => return Err(Status::method_not_supported()),
    }
    let clock = driver.clock().get();
    let (now, began) = driver.read(|cluster| {
        let began = cluster.trace().next().map_or(cluster.now(), |first| first.at);
        (cluster.now(), began)
    });
    let object = json!({
        "apiVersion": resource.api_version(),
        "kind": resource.kind,
        "metadata": { "name": CLOCK, "creationTimestamp": began.to_string() },
        "status": { "now": now.to_string(), "running": clock.is_running(), "speed": clock.speed() },
    });
    Ok(reply(call, vec![object], revision(0), &COLUMNS))
}

const COLUMNS: Columns = Columns {
    columns: &[
        Column::text("Name", "The name of the clock."),
        Column::text("Now", "The cluster's time."),
        Column::text("Running", "Whether time passes by itself."),
        Column::text("Speed", "How fast it is, relative to real time."),
    ],
    cells,
};

fn cells(clock: &Value) -> Vec<Value> {
    let status = &clock["status"];
    let texts = [status["running"].to_string(), status["speed"].to_string()];
    let [running, speed] = texts.map(Value::from);
    vec![clock["metadata"]["name"].clone(), status["now"].clone(), running, speed]
}

/// The time of an advance: `{"by": "50s"}`.
fn advance(call: &Call) -> Result<Duration, Status> {
    let body = body::object(&call.headers, &call.body)?;
    let by = body["by"].as_str().and_then(duration);
    by.filter(|by| *by <= LONGEST_ADVANCE).ok_or_else(|| {
        Status::bad_request(
            "by: Invalid value: expected a duration of at most 168h, such as {\"by\": \"50s\"} or {\"by\": \"1h30m\"}",
        )
    })
}
