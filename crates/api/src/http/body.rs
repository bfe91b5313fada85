//! The body of a request: read whole within bounds, and understood by its content type. It must not know what it is
//! for.

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap};
use serde_json::Value;
use tokio::time::timeout;

use super::server::Limits;
use super::status::Status;
use crate::schema::protobuf;
use clusterlocal_core::manifest;

/// The content types of objects.
pub(crate) const OBJECT_TYPES: [&str; 3] = ["application/json", "application/yaml", protobuf::MEDIA_TYPE];

/// How a patch is meant, by its content type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PatchType {
    /// RFC 6902.
    Json,
    /// RFC 7386.
    Merge,
    /// Server-side apply.
    Apply,
    /// Kubernetes' own merge, which knows which lists are maps.
    Strategic,
}

/// In the order in which kube-apiserver lists them.
const PATCH_TYPES: [(&str, PatchType); 4] = [
    ("application/json-patch+json", PatchType::Json),
    ("application/merge-patch+json", PatchType::Merge),
    ("application/apply-patch+yaml", PatchType::Apply),
    ("application/strategic-merge-patch+json", PatchType::Strategic),
];

impl PatchType {
    /// The one that the request's content type names.
    pub(crate) fn of(headers: &HeaderMap) -> Result<PatchType, Status> {
        let essence = essence(headers);
        let found = PATCH_TYPES.iter().find(|(name, _)| *name == essence);
        found
            .map(|(_, patch)| *patch)
            .ok_or_else(|| Status::unsupported_media_type(&PATCH_TYPES.map(|(name, _)| name)))
    }
}

/// The content type without its parameters, in lower case; empty where there is none.
fn essence(headers: &HeaderMap) -> String {
    let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The whole body.
pub(crate) async fn read(body: Incoming, limits: Limits) -> Result<Bytes, Status> {
    let collected = timeout(limits.body, Limited::new(body, limits.body_bytes).collect()).await;
    match collected {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Status::too_large(limits.body_bytes)),
        Ok(Err(error)) => Err(Status::bad_request(format!("cannot read the request body: {error}"))),
        Err(_) => Err(Status::timeout("the request body did not come in time")),
    }
}

/// The object that `body` is, by the content type. A deletion may have none, and has JSON then.
pub(crate) fn object(headers: &HeaderMap, body: &[u8]) -> Result<Value, Status> {
    match essence(headers).as_str() {
        "" | "application/json" => json(body),
        "application/yaml" => yaml(body),
        protobuf::MEDIA_TYPE => protobuf::object(body).map_err(|why| Status::bad_request(why.to_string())),
        _ => Err(Status::unsupported_media_type(&OBJECT_TYPES)),
    }
}

/// JSON in `body`.
pub(crate) fn json(body: &[u8]) -> Result<Value, Status> {
    serde_json::from_slice(body).map_err(|error| Status::bad_request(format!("error decoding JSON: {error}")))
}

/// YAML, or JSON, which is YAML as well, in `body`.
pub(crate) fn yaml(body: &[u8]) -> Result<Value, Status> {
    manifest::read_value(body).map_err(|why| Status::bad_request(format!("error decoding YAML: {why}")))
}
