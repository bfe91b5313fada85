//! Takes the place of apimachinery's `errors`: the answer to a request that fails, a `Status` object with Kubernetes'
//! messages. Must not depend on the client, or on where objects are stored.

use std::collections::HashSet;

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::schema::resource::Resource;
use clusterlocal_admission::Cause;

/// Time after which a client that was refused by a limit may retry, in seconds.
pub(crate) const RETRY_AFTER: u32 = 1;

/// A failure of a request: the API's `Status` with `status: Failure`.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// The HTTP status code.
    pub code: StatusCode,
    /// The reason, for programs: `NotFound`, `AlreadyExists`, …; empty if Kubernetes has none.
    pub reason: &'static str,
    /// The message.
    pub message: String,
    /// The object, and its errors.
    pub details: Option<Box<Details>>,
}

/// The details of a failure.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Details {
    /// The name of the object.
    pub name: String,
    /// The API group; empty for the core.
    pub group: &'static str,
    /// The resource (`pods`), or for an invalid object its kind (`Pod`), as in kube-apiserver.
    pub kind: String,
    /// The errors by field.
    pub causes: Vec<Cause>,
    /// Seconds after which to retry.
    pub retry_after: Option<u32>,
}

impl Status {
    fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Status { code, reason, message: message.into(), details: None }
    }

    fn with(self, details: Details) -> Self {
        Status { details: Some(Box::new(details)), ..self }
    }

    fn about(self, resource: &Resource, name: &str) -> Self {
        let (name, kind) = (name.into(), resource.plural.into());
        self.with(Details { name, group: resource.group, kind, ..Details::default() })
    }

    /// The object does not exist.
    pub(crate) fn not_found(resource: &Resource, name: &str) -> Self {
        let message = format!("{} {name:?} not found", resource.qualified());
        Status::new(StatusCode::NOT_FOUND, "NotFound", message).about(resource, name)
    }

    /// An object does not exist, for the reason `why`.
    pub(crate) fn absent(why: impl Into<String>) -> Self {
        Status::new(StatusCode::NOT_FOUND, "NotFound", why)
    }

    /// An eviction would violate a PodDisruptionBudget, for the reason `why`.
    pub(crate) fn disruption_budget(why: String) -> Self {
        let message = "Cannot evict pod as it would violate the pod's disruption budget.";
        let cause = Cause { field: String::new(), reason: "DisruptionBudget", message: why };
        let status = Status::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message);
        status.with(Details { causes: vec![cause], ..Details::default() })
    }

    /// A failure without a reason, as kube-apiserver answers plain errors of handlers.
    pub(crate) fn untyped(message: impl Into<String>) -> Self {
        Status::new(StatusCode::INTERNAL_SERVER_ERROR, "", message)
    }

    /// The resource or path does not exist.
    pub(crate) fn no_such_path() -> Self {
        let message = "the server could not find the requested resource";
        Status::new(StatusCode::NOT_FOUND, "NotFound", message).with(Details::default())
    }

    /// The path exists, but does not support the method.
    pub(crate) fn method_not_supported() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Status::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message).with(Details::default())
    }

    /// An object of that name exists already.
    pub(crate) fn already_exists(resource: &Resource, name: &str) -> Self {
        let message = format!("{} {name:?} already exists", resource.qualified());
        Status::new(StatusCode::CONFLICT, "AlreadyExists", message).about(resource, name)
    }

    /// The object is not in the state that the request requires. `why` is Kubernetes' message.
    pub(crate) fn conflict(resource: &Resource, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} {name:?}: {why}", resource.qualified());
        Status::new(StatusCode::CONFLICT, "Conflict", message).about(resource, name)
    }

    /// A valid patch that cannot be applied to this object.
    pub(crate) fn unprocessable(resource: &Resource, name: &str, why: impl Into<String>) -> Self {
        Status::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", why).about(resource, name)
    }

    /// A request without a limit on its cost.
    pub(crate) fn too_costly(why: impl Into<String>) -> Self {
        Status::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", why)
    }

    /// The store has no space for `more` bytes.
    pub(crate) fn storage_full(used: usize, more: usize, most: usize) -> Self {
        let message = format!(
            "the store is full: its objects take {used} bytes of memory, this one needs {more} more, and at most {most} are \
             kept: delete objects, or start the server with a larger --max-store-size"
        );
        Status::new(StatusCode::INSUFFICIENT_STORAGE, "InsufficientStorage", message)
    }

    /// Another client changed the object since it was read.
    pub(crate) fn modified(resource: &Resource, name: &str) -> Self {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        Status::conflict(resource, name, why)
    }

    /// The object is invalid; `causes` is not empty.
    pub(crate) fn invalid(resource: &Resource, name: &str, causes: Vec<Cause>) -> Self {
        Status::invalid_kind(&resource.qualified_kind(), (resource.group, resource.kind), name, causes)
    }

    /// The options of a request for the object `name` are invalid; `causes` is not empty.
    #[cfg(feature = "connect")]
    pub(crate) fn invalid_options(kind: &'static str, name: &str, causes: Vec<Cause>) -> Self {
        Status::invalid_kind(kind, ("", kind), name, causes)
    }

    fn invalid_kind(
        qualified: &str,
        (group, kind): (&'static str, &'static str),
        name: &str,
        causes: Vec<Cause>,
    ) -> Self {
        // The causes include each error, the message equal ones only once (`errors.NewAggregate`).
        let mut seen = HashSet::new();
        let mut all: Vec<String> = causes.iter().map(Cause::to_string).collect();
        all.retain(|error| seen.insert(error.clone()));
        let message = match &all[..] {
            [one] => format!("{qualified} {name:?} is invalid: {one}"),
            many => format!("{qualified} {name:?} is invalid: [{}]", many.join(", ")),
        };
        let details = Details { name: name.into(), group, kind: kind.into(), causes, retry_after: None };
        let status = Status::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message);
        status.with(details)
    }

    /// An update of such an object needs its resource version (`genericregistry.Store.Update`).
    pub(crate) fn without_version(resource: &Resource, name: &str) -> Self {
        let field = "metadata.resourceVersion".to_owned();
        let message = "Invalid value: 0: must be specified for an update".to_owned();
        let text = format!("{} {name:?} is invalid: {field}: {message}", resource.qualified());
        let causes = vec![Cause { field, reason: "FieldValueInvalid", message }];
        let (group, kind) = (resource.group, resource.plural.into());
        let status = Status::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", text);
        status.with(Details { name: name.into(), group, kind, causes, retry_after: None })
    }

    /// The operation is forbidden.
    pub(crate) fn forbidden(resource: &Resource, name: &str, why: &str) -> Self {
        let message = format!("{} {name:?} is forbidden: {why}", resource.qualified());
        Status::new(StatusCode::FORBIDDEN, "Forbidden", message).about(resource, name)
    }

    /// The client is not allowed to send the request.
    pub(crate) fn refused(why: impl Into<String>) -> Self {
        Status::new(StatusCode::FORBIDDEN, "Forbidden", why)
    }

    /// A value of the client cannot be parsed; kube-apiserver has no reason for that.
    pub(crate) fn unparsed(why: &str) -> Self {
        Status::new(StatusCode::INTERNAL_SERVER_ERROR, "", why)
    }

    /// The request is malformed.
    pub(crate) fn bad_request(why: impl Into<String>) -> Self {
        Status::new(StatusCode::BAD_REQUEST, "BadRequest", why)
    }

    /// An expectation of the client does not hold.
    pub(crate) fn expectation_failed(why: impl Into<String>) -> Self {
        Status::new(StatusCode::EXPECTATION_FAILED, "ExpectationFailed", why)
    }

    /// The path does not support the content type of the body.
    pub(crate) fn unsupported_media_type(accepted: &[&str]) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            accepted.join(", ")
        );
        Status::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
    }

    /// No form that the client accepts is supported.
    pub(crate) fn not_acceptable(offered: &[&str]) -> Self {
        let message = format!("only the following media types are accepted: {}", offered.join(", "));
        Status::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message)
    }

    /// The body is larger than `limit` bytes.
    pub(crate) fn too_large(limit: usize) -> Self {
        let message = format!("Request entity too large: limit is {limit}");
        Status::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message)
    }

    /// The state at that version is no longer kept: list again.
    pub(crate) fn expired(why: impl Into<String>) -> Self {
        Status::new(StatusCode::GONE, "Expired", why)
    }

    /// A watch, or a list, from a revision that is no longer kept.
    pub(crate) fn too_old(asked: u64, oldest: u64) -> Self {
        Status::expired(format!("too old resource version: {asked} ({oldest})"))
    }

    /// The state at that version is in the future: kube-apiserver waits for some time before it answers this.
    pub(crate) fn too_new(asked: u64, current: u64) -> Self {
        let message = format!("Too large resource version: {asked}, current: {current}");
        let cause = Cause {
            field: String::new(),
            reason: "ResourceVersionTooLarge",
            message: "Too large resource version".into(),
        };
        let details = Details { causes: vec![cause], retry_after: Some(1), ..Details::default() };
        let status = Status::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", message);
        status.with(details)
    }

    /// The maximum number of connections is reached.
    pub(crate) fn too_many() -> Self {
        let message = "The server has received too many requests and has asked us to try again later";
        let details = Details { retry_after: Some(RETRY_AFTER), ..Details::default() };
        let status = Status::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message);
        status.with(details)
    }

    /// The body was not received in time.
    pub(crate) fn timeout(why: impl Into<String>) -> Self {
        Status::new(StatusCode::REQUEST_TIMEOUT, "Timeout", why)
    }

    /// The state that the request waits for was not reached.
    pub(crate) fn not_in_time(why: impl Into<String>) -> Self {
        Status::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", why)
    }

    /// A pod or Service does not answer.
    #[cfg(feature = "connect")]
    pub(crate) fn service_unavailable(why: impl Into<String>) -> Self {
        Status::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", why)
    }

    /// An upgrade to a protocol other than WebSocket: SPDY, which kubectl spoke before.
    #[cfg(feature = "connect")]
    pub(crate) fn unsupported_upgrade() -> Self {
        let message = "exec, attach and port-forward use WebSocket here, not SPDY: use kubectl 1.31 or later, or set \
                       KUBECTL_REMOTE_COMMAND_WEBSOCKETS=true for kubectl 1.29 and 1.30 (KUBECTL_PORT_FORWARD_WEBSOCKETS=true for \
                       port-forward of 1.30)";
        Status::new(StatusCode::NOT_IMPLEMENTED, "", message)
    }

    /// An operation that needs real pods.
    pub(crate) fn simulated(why: impl Into<String>) -> Self {
        Status::new(StatusCode::NOT_IMPLEMENTED, "", why)
    }

    /// An internal error.
    pub(crate) fn internal(why: impl std::fmt::Display) -> Self {
        let message = format!("Internal error occurred: {why}");
        Status::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message)
    }

    /// The `Status` object.
    pub fn json(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "code": self.code.as_u16(),
        });
        if !self.reason.is_empty() {
            status["reason"] = self.reason.into();
        }
        if let Some(details) = &self.details {
            status["details"] = details.json();
        }
        status
    }
}

impl Details {
    fn json(&self) -> Value {
        let mut details = serde_json::Map::new();
        let mut set = |key: &str, value: &str| {
            if !value.is_empty() {
                details.insert(key.into(), value.into());
            }
        };
        set("name", &self.name);
        set("group", self.group);
        set("kind", &self.kind);
        if !self.causes.is_empty() {
            details.insert("causes".into(), self.causes.iter().map(cause_json).collect());
        }
        if let Some(seconds) = self.retry_after {
            details.insert("retryAfterSeconds".into(), seconds.into());
        }
        details.into()
    }
}

fn cause_json(cause: &Cause) -> Value {
    let mut json = json!({ "reason": cause.reason, "message": cause.message });
    if !cause.field.is_empty() {
        json["field"] = cause.field.as_str().into();
    }
    json
}

/// The `Status` of a deleted object.
pub(crate) fn deleted(resource: &Resource, name: &str, uid: &str) -> Value {
    let mut details = json!({ "name": name, "kind": resource.plural, "uid": uid });
    if !resource.group.is_empty() {
        details["group"] = resource.group.into();
    }
    json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::registry::Registry;

    fn resource(plural: &str) -> &'static Resource {
        Registry::built_in().all().find(|resource| resource.plural == plural).expect("a resource")
    }

    #[test]
    fn messages_are_those_of_kubernetes() {
        let (pods, sets) = (resource("pods"), resource("statefulsets"));
        let required = |field: &str| Cause {
            field: field.into(),
            reason: "FieldValueRequired",
            message: "Required value".into(),
        };
        let table = [
            (Status::not_found(pods, "a"), 404, "NotFound", r#"pods "a" not found"#),
            (Status::not_found(sets, "a"), 404, "NotFound", r#"statefulsets.apps "a" not found"#),
            (Status::already_exists(pods, "a"), 409, "AlreadyExists", r#"pods "a" already exists"#),
            (
                Status::modified(sets, "a"),
                409,
                "Conflict",
                "Operation cannot be fulfilled on statefulsets.apps \"a\": the object has been modified; please apply \
                 your changes to the latest version and try again",
            ),
            (
                Status::invalid(sets, "db", vec![required("spec.selector")]),
                422,
                "Invalid",
                r#"StatefulSet.apps "db" is invalid: spec.selector: Required value"#,
            ),
            (
                Status::invalid(pods, "p", vec![required("spec.a"), required("spec.b")]),
                422,
                "Invalid",
                r#"Pod "p" is invalid: [spec.a: Required value, spec.b: Required value]"#,
            ),
            (Status::too_old(5, 100), 410, "Expired", "too old resource version: 5 (100)"),
        ];
        for (status, code, reason, message) in table {
            let json = status.json();
            assert_eq!(
                (json["code"].as_u64(), json["reason"].as_str()),
                (Some(code), Some(reason)),
                "{json}"
            );
            assert_eq!(json["message"], message);
        }
        let invalid = Status::invalid(sets, "db", vec![required("spec.selector")]).json();
        let cause =
            json!({ "field": "spec.selector", "reason": "FieldValueRequired", "message": "Required value" });
        let details = json!({ "name": "db", "group": "apps", "kind": "StatefulSet", "causes": [cause] });
        assert_eq!(invalid["details"], details);
    }
}
