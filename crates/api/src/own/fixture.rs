//! `/fixture/VERB`: what a test does with a cluster in one call, for clients in other languages. Must not depend on what a verb
//! does.

use hyper::body::Bytes;
use hyper::header::HeaderMap;
use serde_json::Value;

use crate::http::body;
use crate::http::reply::Reply;
use crate::http::status::Status;
use crate::verbs::call::{Api, FixtureError};

/// Calls the verb with the object in `body`.
///
/// # Errors
///
/// If the server has no such verb, or the verb fails.
pub(crate) async fn call(
    api: &Api,
    verb: String,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Reply, Status> {
    let fixture = api.fixture.as_ref().ok_or_else(Status::no_such_path)?;
    let arguments = body::object(headers, body)?;
    if !arguments.is_object() {
        return Err(Status::bad_request("the arguments of a verb are an object"));
    }
    let reply: Value = fixture(verb, arguments).await.map_err(status)?;
    Ok(Reply::ok(&reply))
}

fn status(error: FixtureError) -> Status {
    match error {
        FixtureError::Unknown => Status::no_such_path(),
        FixtureError::Missing(why) => Status::absent(why),
        FixtureError::Refused(why) => Status::bad_request(why),
        FixtureError::Timeout(why) => Status::not_in_time(why),
    }
}
