//! Takes the place of apimachinery's `errors`: what a request that fails is answered with, a `Status` object in the
//! words that users of kubectl know. It must not know who asks or where the objects are.

use std::collections::HashSet;

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::schema::resource::Resource;
use clusterlocal_admission::Cause;

/// Interval after which a client that was refused for lack of room may try again, in seconds.
pub(crate) const RETRY_AFTER: u32 = 1;

/// Why a request fails: the API's `Status` with `status: Failure`.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// The HTTP status code.
    pub code: StatusCode,
    /// For programs: `NotFound`, `AlreadyExists`, …; empty where Kubernetes has no word.
    pub reason: &'static str,
    /// For people.
    pub message: String,
    /// Which object it is about, and what is wrong in it.
    pub details: Option<Box<Details>>,
}

/// What a failed request was about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Details {
    /// The object's name.
    pub name: String,
    /// The API group; empty for the core.
    pub group: &'static str,
    /// The resource (`pods`), or for an invalid object its kind (`Pod`): so does kube-apiserver.
    pub kind: String,
    /// What is wrong, field by field.
    pub causes: Vec<Cause>,
    /// In how many seconds to try again.
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

    /// There is no such object.
    pub(crate) fn not_found(resource: &Resource, name: &str) -> Self {
        let message = format!("{} {name:?} not found", resource.qualified());
        Status::new(StatusCode::NOT_FOUND, "NotFound", message).about(resource, name)
    }

    /// An eviction would violate a PodDisruptionBudget, for the reason `why`.
    pub(crate) fn disruption_budget(why: String) -> Self {
        let message = "Cannot evict pod as it would violate the pod's disruption budget.";
        let cause = Cause { field: String::new(), reason: "DisruptionBudget", message: why };
        let status = Status::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message);
        status.with(Details { causes: vec![cause], ..Details::default() })
    }

    /// A failure without a reason of its own, as kube-apiserver answers where a handler returned a plain error.
    pub(crate) fn untyped(message: impl Into<String>) -> Self {
        Status::new(StatusCode::INTERNAL_SERVER_ERROR, "", message)
    }

    /// There is no such resource or path.
    pub(crate) fn no_such_path() -> Self {
        let message = "the server could not find the requested resource";
        Status::new(StatusCode::NOT_FOUND, "NotFound", message).with(Details::default())
    }

    /// The path exists and the verb is not for it.
    pub(crate) fn method_not_supported() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Status::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message).with(Details::default())
    }

    /// An object of that name is there already.
    pub(crate) fn already_exists(resource: &Resource, name: &str) -> Self {
        let message = format!("{} {name:?} already exists", resource.qualified());
        Status::new(StatusCode::CONFLICT, "AlreadyExists", message).about(resource, name)
    }

    /// The object is not what the request takes it for. `why` is Kubernetes' sentence.
    pub(crate) fn conflict(resource: &Resource, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} {name:?}: {why}", resource.qualified());
        Status::new(StatusCode::CONFLICT, "Conflict", message).about(resource, name)
    }

    /// A patch that is one, but not for this object as it is.
    pub(crate) fn unprocessable(resource: &Resource, name: &str, why: impl Into<String>) -> Self {
        Status::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", why).about(resource, name)
    }

    /// A request whose cost has no bounds.
    pub(crate) fn too_costly(why: impl Into<String>) -> Self {
        Status::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", why)
    }

    /// The store has no room for `more` bytes.
    pub(crate) fn storage_full(used: usize, more: usize, most: usize) -> Self {
        let message = format!(
            "the store is full: its objects take {used} bytes of memory, this one needs {more} more, and at most {most} are \
             kept: delete objects, or start the server with a larger --max-store-size"
        );
        Status::new(StatusCode::INSUFFICIENT_STORAGE, "InsufficientStorage", message)
    }

    /// Somebody else changed the object since the client read it.
    pub(crate) fn modified(resource: &Resource, name: &str) -> Self {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        Status::conflict(resource, name, why)
    }

    /// The object breaks rules of its kind; `causes` is not empty.
    pub(crate) fn invalid(resource: &Resource, name: &str, causes: Vec<Cause>) -> Self {
        let kind = resource.qualified_kind();
        // The causes have each error, the message has equal ones once (`errors.NewAggregate`).
        let mut said = HashSet::new();
        let mut all: Vec<String> = causes.iter().map(Cause::to_string).collect();
        all.retain(|error| said.insert(error.clone()));
        let message = match &all[..] {
            [one] => format!("{kind} {name:?} is invalid: {one}"),
            many => format!("{kind} {name:?} is invalid: [{}]", many.join(", ")),
        };
        let details = Details {
            name: name.into(),
            group: resource.group,
            kind: resource.kind.into(),
            causes,
            retry_after: None,
        };
        let status = Status::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message);
        status.with(details)
    }

    /// An update of such an object has to have its resource version (`genericregistry.Store.Update`).
    pub(crate) fn without_version(resource: &Resource, name: &str) -> Self {
        let field = "metadata.resourceVersion".to_owned();
        let message = "Invalid value: 0: must be specified for an update".to_owned();
        let text = format!("{} {name:?} is invalid: {field}: {message}", resource.qualified());
        let causes = vec![Cause { field, reason: "FieldValueInvalid", message }];
        let (group, kind) = (resource.group, resource.plural.into());
        let status = Status::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", text);
        status.with(Details { name: name.into(), group, kind, causes, retry_after: None })
    }

    /// The object may not be made or changed like this.
    pub(crate) fn forbidden(resource: &Resource, name: &str, why: &str) -> Self {
        let message = format!("{} {name:?} is forbidden: {why}", resource.qualified());
        Status::new(StatusCode::FORBIDDEN, "Forbidden", message).about(resource, name)
    }

    /// Whoever asks may not.
    pub(crate) fn refused(why: impl Into<String>) -> Self {
        Status::new(StatusCode::FORBIDDEN, "Forbidden", why)
    }

    /// What a client says cannot be parsed, and kube-apiserver has no reason for that.
    pub(crate) fn unparsed(why: &str) -> Self {
        Status::new(StatusCode::INTERNAL_SERVER_ERROR, "", why)
    }

    /// The request cannot be understood.
    pub(crate) fn bad_request(why: impl Into<String>) -> Self {
        Status::new(StatusCode::BAD_REQUEST, "BadRequest", why)
    }

    /// What the client expects is not so.
    pub(crate) fn expectation_failed(why: impl Into<String>) -> Self {
        Status::new(StatusCode::EXPECTATION_FAILED, "ExpectationFailed", why)
    }

    /// The body is written in a way that the path does not take.
    pub(crate) fn unsupported_media_type(accepted: &[&str]) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            accepted.join(", ")
        );
        Status::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
    }

    /// The client takes nothing that is made here.
    pub(crate) fn not_acceptable(offered: &[&str]) -> Self {
        let message = format!("only the following media types are accepted: {}", offered.join(", "));
        Status::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message)
    }

    /// The body is longer than `limit` bytes.
    pub(crate) fn too_large(limit: usize) -> Self {
        let message = format!("Request entity too large: limit is {limit}");
        Status::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message)
    }

    /// The state of that time is forgotten: list again.
    pub(crate) fn expired(why: impl Into<String>) -> Self {
        Status::new(StatusCode::GONE, "Expired", why)
    }

    /// A watch, or a list, from a revision that is forgotten.
    pub(crate) fn too_old(asked: u64, oldest: u64) -> Self {
        Status::expired(format!("too old resource version: {asked} ({oldest})"))
    }

    /// The state of that time is yet to come: kube-apiserver waits for it for a while, and then says this.
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

    /// There are as many connections as there may be.
    pub(crate) fn too_many() -> Self {
        let message = "The server has received too many requests and has asked us to try again later";
        let details = Details { retry_after: Some(RETRY_AFTER), ..Details::default() };
        let status = Status::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message);
        status.with(details)
    }

    /// The body did not come in time.
    pub(crate) fn timeout(why: impl Into<String>) -> Self {
        Status::new(StatusCode::REQUEST_TIMEOUT, "Timeout", why)
    }

    /// Something that a cluster with real pods could do.
    pub(crate) fn simulated(why: impl Into<String>) -> Self {
        Status::new(StatusCode::NOT_IMPLEMENTED, "", why)
    }

    /// A fault of ours.
    pub(crate) fn internal(why: impl std::fmt::Display) -> Self {
        let message = format!("Internal error occurred: {why}");
        Status::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message)
    }

    /// As the API writes it.
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

/// The `Status` of an object that is gone now.
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
    fn in_the_words_of_kubernetes() {
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
