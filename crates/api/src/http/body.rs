//! The body of a request: read within the limits, and decoded by its content type. Must not depend on its purpose.

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

/// The type of a patch, by its content type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PatchType {
    /// RFC 6902.
    Json,
    /// RFC 7386.
    Merge,
    /// Server-side apply.
    Apply,
    /// Kubernetes' strategic merge, which treats some lists as maps.
    Strategic,
}

/// In the order of kube-apiserver's message.
const PATCH_TYPES: [(&str, PatchType); 4] = [
    ("application/json-patch+json", PatchType::Json),
    ("application/merge-patch+json", PatchType::Merge),
    ("application/apply-patch+yaml", PatchType::Apply),
    ("application/strategic-merge-patch+json", PatchType::Strategic),
];

impl PatchType {
    /// Returns the type for the request's content type.
    pub(crate) fn of(headers: &HeaderMap) -> Result<PatchType, Status> {
        let essence = essence(headers);
        let found = PATCH_TYPES.iter().find(|(name, _)| *name == essence);
        found
            .map(|(_, patch)| *patch)
            .ok_or_else(|| Status::unsupported_media_type(&PATCH_TYPES.map(|(name, _)| name)))
    }
}

/// The content type without its parameters, in lower case; empty if there is none.
fn essence(headers: &HeaderMap) -> String {
    let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Reads the whole body.
pub(crate) async fn read(body: Incoming, limits: Limits) -> Result<Bytes, Status> {
    let collected = timeout(limits.body, Limited::new(body, limits.body_bytes).collect()).await;
    match collected {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Status::too_large(limits.body_bytes)),
        Ok(Err(error)) => Err(Status::bad_request(format!("cannot read the request body: {error}"))),
        Err(_) => Err(Status::timeout("the request body did not come in time")),
    }
}

/// Decodes the object in `body` by its content type. A deletion may have none, and has JSON then.
pub(crate) fn object(headers: &HeaderMap, body: &[u8]) -> Result<Value, Status> {
    match essence(headers).as_str() {
        "" | "application/json" => json(body),
        "application/yaml" => yaml(body),
        protobuf::MEDIA_TYPE => protobuf::object(body).map_err(|why| Status::bad_request(why.to_string())),
        _ => Err(Status::unsupported_media_type(&OBJECT_TYPES)),
    }
}

/// Decodes JSON.
pub(crate) fn json(body: &[u8]) -> Result<Value, Status> {
    serde_json::from_slice(body).map_err(|error| Status::bad_request(format!("error decoding JSON: {error}")))
}

/// Decodes YAML, of which JSON is a subset.
pub(crate) fn yaml(body: &[u8]) -> Result<Value, Status> {
    manifest::read_value(body).map_err(|why| Status::bad_request(format!("error decoding YAML: {why}")))
}
