//! Takes the place of kube-apiserver's create and update handlers: from what a client sends to a change of the
//! store, or to the reason why not. It must not know what a kind's fields mean, nor what follows from a change.

use hyper::Method;
use serde_json::Value;

use super::call::Call;
use super::{identity, quota, show};
use crate::admit::{self, Written, strict};
use crate::http::body;
use crate::http::path::{Part, Place};
use crate::http::query::FieldValidation;
use crate::http::reply::Reply;
use crate::http::status::Status;
use crate::schema::resource::{Held, Resource, group_kind};
use crate::schema::{crd, field, versions};
use crate::view::render;
use clusterlocal_admission::{Allocator, GroupKind, Refusal};
use clusterlocal_core::admission::{Charges, classes, limits};
use clusterlocal_core::controller::with_own_selector;
use clusterlocal_core::store::{Change, Key, Kind, Object, Store, Stored};
use clusterlocal_core::{ControlPlane, Driver};

/// `POST` to a collection.
pub(crate) fn create(driver: &Driver, kind: Kind, call: &Call) -> Result<Reply, Status> {
    let object = body::object(&call.headers, &call.body)?;
    driver.write(|cluster| {
        let created = put_new(cluster, kind, call, object)?;
        Ok(reply(cluster, kind, call, &created, hyper::StatusCode::CREATED))
    })
}

/// `PUT` of an object or its status.
pub(crate) fn replace(driver: &Driver, kind: Kind, call: &Call) -> Result<Reply, Status> {
    let object = body::object(&call.headers, &call.body)?;
    driver.write(|cluster| {
        let updated = update(cluster, kind, call, |_| Ok(object))?;
        Ok(reply(cluster, kind, call, &updated, hyper::StatusCode::OK))
    })
}

pub(super) fn reply(
    cluster: &ControlPlane,
    kind: Kind,
    call: &Call,
    written: &Answered,
    code: hyper::StatusCode,
) -> Reply {
    let mut object = show::rendered_as(call.place.resource, &written.stored, cluster);
    if written.is_unprotected {
        render::remove_protection(kind, &mut object);
    }
    // Warnings are about the written object, not about a status that a controller writes.
    let of = group_kind(kind).filter(|_| matches!(call.place.part, Part::Whole));
    let warnings = of.map(|of| clusterlocal_admission::warnings(of, &object, None)).unwrap_or_default();
    Reply::json(code, &call.presentation(kind).object(object, cluster)).warned(warnings)
}

/// The result of a write.
pub(crate) struct Answered {
    pub(crate) stored: Stored,
    /// Whether the client took away the finalizer that protects the object. The answer is without it; then the controller gives it
    /// back.
    is_unprotected: bool,
}

/// The answer to a refused write of `name`.
fn refused(resource: &Resource, name: &str, refusal: Refusal) -> Status {
    match refusal {
        Refusal::Invalid(causes) => Status::invalid(resource, name, causes),
        Refusal::Failed(why) => Status::untyped(why),
        Refusal::Internal(why) => Status::internal(why),
    }
}

/// Makes `object` in the store, unless `call` is only to be tried.
pub(super) fn put_new(
    cluster: &mut ControlPlane,
    kind: Kind,
    call: &Call,
    mut object: Value,
) -> Result<Answered, Status> {
    let resource = call.place.resource;
    identity::check_type(resource, &object)?;
    decode(cluster.store(), call, &mut object, None)?;
    call.warn(identity::drop_duplicate_owners(&mut object).into_iter().collect());
    let name = identity::begin(cluster.store(), kind, &call.place, &mut object)?;
    check_event(resource, &name, &object, None)?;
    if resource.is_custom() && resource.subresource("status").is_some() {
        object.as_object_mut().map(|object| object.remove("status"));
    }
    identity::check_namespace_lives(cluster.store(), resource, &call.place.namespace, &name)?;
    let key = Key::new(kind, &call.place.namespace, &name);
    let (dry_run, has_version) = (call.query.dry_run, identity::has_version(&object));
    let mut object = to_store(cluster.store(), resource, &name, object)?;
    let admitted = admit_by_plugins(cluster.store(), kind, &call.place.namespace, &mut object);
    admitted.map_err(|why| Status::forbidden(resource, &name, &why))?;
    let allocator = Allocator { addresses: Some(cluster.addresses()), dry_run };
    let admitted = admit::create(kind, object, &allocator);
    let object = admitted.map_err(|refusal| refused(resource, &name, refusal))?;
    let admitted = Charges::of(cluster.store(), &call.place.namespace).admit(&object);
    admitted.map_err(|why| Status::forbidden(resource, &name, &why))?;
    if has_version && !dry_run {
        return Err(Status::untyped("resourceVersion should not be set on objects to be created"));
    }
    if let Some(there) = cluster.store().stored(&key) {
        let status = Status::already_exists(resource, &name);
        let is_deleted = there.object.metadata().deletion_timestamp.is_some();
        let message = format!("object is being deleted: {}", status.message);
        return Err(if is_deleted { Status { message, ..status } } else { status });
    }
    quota::check(cluster, None, &object)?;
    // What it is before a controller has seen it, should it only be tried, or be gone at once.
    let alone = alone(cluster, object.clone());
    let first = if dry_run { None } else { cluster.request_object(object) };
    let first = first.filter(|_| is_answered_as_written(kind));
    let stored = first.or_else(|| cluster.store().stored(&key).cloned()).unwrap_or(alone);
    Ok(Answered { stored, is_unprotected: false })
}

/// `object` as the API server stores it, before a controller has seen it.
fn alone(cluster: &ControlPlane, object: Object) -> Stored {
    let put = |object: Object| {
        let mut store = Store::new();
        store.set_time(cluster.now());
        let key = object.key();
        store.apply(Change::Put(object));
        store.stored(&key).expect("it was put there").clone()
    };
    let stored = put(object);
    match with_own_selector(&stored) {
        Some(job) => put(job),
        None => stored,
    }
}

/// What the admission plugins that every API server runs make of a new object, in their order.
///
/// # Errors
///
/// Why it is forbidden.
fn admit_by_plugins(store: &Store, kind: Kind, namespace: &str, object: &mut Value) -> Result<(), String> {
    match kind {
        Kind::Pod => {
            if let Some(why) = limits::admit(store, namespace, object) {
                return Err(why);
            }
            clusterlocal_admission::admit_pod(object);
            classes::set_priority(store, object)?;
            classes::set_runtime_class(store, object)
        }
        Kind::PersistentVolumeClaim => {
            classes::default_storage_class(store, object);
            Ok(())
        }
        Kind::Ingress => {
            classes::default_ingress_class(store, object);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Makes of the object that `call` names what `edit` makes of its JSON, unless `call` is only to be tried.
pub(crate) fn update(
    cluster: &mut ControlPlane,
    kind: Kind,
    call: &Call,
    edit: impl FnOnce(&Value) -> Result<Value, Status>,
) -> Result<Answered, Status> {
    let old = show::stored(cluster.store(), kind, &call.place)?.clone();
    let shown = show::rendered_as(call.place.resource, &old, cluster);
    let after = edit(&shown)?;
    write(cluster, call, old, shown, after)
}

/// Makes `after` of the object that `call` names, which is `old` and of which the client was `shown` that.
pub(super) fn write(
    cluster: &mut ControlPlane,
    call: &Call,
    old: Stored,
    shown: Value,
    mut after: Value,
) -> Result<Answered, Status> {
    let kind = old.object.kind();
    let Place { resource, name, part, .. } = &call.place;
    identity::check_type(resource, &after)?;
    decode(cluster.store(), call, &mut after, Some(&shown))?;
    call.warn(identity::drop_duplicate_owners(&mut after).into_iter().collect());
    identity::keep(kind, &call.place, &shown, &mut after)?;
    check_event(resource, name, &after, Some(&shown))?;
    let is_before = resource.is_custom() || call.presentation(kind).is_stored_form();
    let before = if is_before { shown } else { show::rendered(&old, cluster) };
    versions::accept(resource, &mut after);
    // A part is written through its own path only.
    let subresource = match part {
        Part::Subresource(part) => part.name,
        _ => "",
    };
    let is_status = matches!(subresource, "status" | "approval");
    if is_status {
        let (status, metadata) = (after["status"].take(), after["metadata"].take());
        after = before.clone();
        after["status"] = status;
        // The strategies of `status` reset the spec; those of Deployments the labels as well.
        let labels = before["metadata"].get("labels").cloned();
        after["metadata"] = metadata;
        if kind == Kind::Deployment
            && let Some(metadata) = after["metadata"].as_object_mut()
        {
            metadata.remove("labels");
            metadata.extend(labels.map(|labels| ("labels".to_owned(), labels)));
        }
    } else if subresource == "finalize" {
        let finalizers = after["spec"]["finalizers"].take();
        after = before.clone();
        after["spec"]["finalizers"] =
            if finalizers.is_null() { Value::Array(Vec::new()) } else { finalizers };
    } else if resource.subresource("status").is_some() {
        match before.get("status") {
            Some(status) => after["status"] = status.clone(),
            None => drop(after.as_object_mut().and_then(|after| after.remove("status"))),
        }
    }
    if after == before {
        return Ok(Answered { stored: old, is_unprotected: false });
    }
    let is_unprotected = is_unprotected(kind, &before, &after);
    // The controller gives it back to any other (pvc_protection_controller.go, pv_protection_controller.go).
    let is_released = is_unprotected && field::is_set(&before, "/metadata/deletionTimestamp");
    let mut after = to_store(cluster.store(), resource, name, after)?;
    if subresource == "status" {
        let admitted = admit::accept_status(kind, &before, &mut after);
        admitted.map_err(|refusal| refused(resource, name, refusal))?;
    }
    let written = is_status.then(|| after["status"].clone());
    let is_part = is_status || subresource == "finalize";
    let part = if is_part { Written::Part } else { Written::Whole };
    let allocator = Allocator { addresses: Some(cluster.addresses()), dry_run: call.query.dry_run };
    let admitted = admit::update(&old.object, &before, after, part, &allocator);
    let mut object = admitted.map_err(|refusal| refused(resource, name, refusal))?;
    if let Some(status) = written {
        object = object.with_written_status(status);
    }
    quota::check(cluster, Some(&old.object), &object)?;
    let key = object.key();
    let mut updated = old;
    updated.object = object.clone();
    if call.query.dry_run {
        return Ok(Answered { stored: updated, is_unprotected });
    }
    let written = if is_released && object.metadata().links.finalizers().is_empty() {
        cluster.request(vec![Change::Delete(key.clone())]);
        None
    } else if is_status && !keeps_status(kind) {
        // What has no type of its own has no controller that keeps its status.
        cluster.request_status(&object)
    } else {
        cluster.request_object(object)
    };
    let written = written.filter(|_| is_status || is_answered_as_written(kind));
    let stored = written.or_else(|| cluster.store().stored(&key).cloned()).unwrap_or(updated);
    Ok(Answered { stored, is_unprotected })
}

/// Whether the answer shows such an object before its controller has looked at it, as kube-apiserver's does: clients watch
/// from its resourceVersion on. Of others a controller here also works out what kube-apiserver sets itself, such as a
/// Service's addresses and a Job's selector.
fn is_answered_as_written(kind: Kind) -> bool {
    kind.is_workload() && !matches!(kind, Kind::Job | Kind::CronJob)
}

/// Whether a client takes away the finalizer that protects what is in use.
fn is_unprotected(kind: Kind, before: &Value, after: &Value) -> bool {
    let Some(finalizer) = render::protection(kind) else { return false };
    let has =
        |object: &Value| field::items(object, "/metadata/finalizers").iter().any(|own| own == finalizer);
    has(before) && !has(after)
}

/// Whether the status of such an object is what was written: no controller here works it out.
fn keeps_status(kind: Kind) -> bool {
    kind.is_inert() || matches!(kind, Kind::Namespace | Kind::Service)
}

/// Reads `object` as its kind: refuses values of other types, and fields that are misspelt, or warns of them, as `call` wants it
/// (`fieldValidation`). What `before` has already may stay: a file may have brought it.
fn decode(store: &Store, call: &Call, object: &mut Value, before: Option<&Value>) -> Result<(), Status> {
    let resource = call.place.resource;
    let schema = crd::schema_of(store, resource);
    // A patch has another order than the object.
    let body = if call.method == Method::PATCH { &[][..] } else { &call.body };
    let unknown = if resource.is_built_in() {
        strict::decode(resource, object, before, body).map_err(Status::bad_request)?
    } else {
        strict::unknown(resource, object, schema, before)
    };
    if call.query.validation == FieldValidation::Ignore {
        return Ok(());
    }
    let mut errors = strict::errors(unknown, body);
    // A scan of the whole body, which may be megabytes: only where it counts.
    let repeated = if call.is_apply() { strict::repeated_in_apply(&call.body) } else { None };
    if call.query.validation == FieldValidation::Warn {
        errors.extend(repeated);
        call.warn(errors);
        return Ok(());
    }
    if call.is_apply() && !errors.is_empty() {
        // Server-side apply reads the patch by the schema (`managedfields`, `typed.AsTyped`).
        let fields = errors.iter().filter_map(|error| error.strip_prefix("unknown field \""));
        let fields =
            fields.map(|field| format!(".{}: field not declared in schema", field.trim_end_matches('"')));
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        return Err(Status::untyped(format!(
            "failed to create typed patch object ({}/{name}; {}, Kind={}): {}",
            call.place.namespace,
            resource.api_version(),
            resource.kind,
            fields.collect::<Vec<_>>().join("\n"),
        )));
    }
    if let Some(repeated) = repeated {
        return Err(Status::bad_request(format!("error strict decoding YAML: {repeated}")));
    }
    strict::check(resource, &errors).map_err(Status::bad_request)
}

/// Validates an Event of `events.k8s.io`, which has stricter rules than the Event of `v1` that it is stored as.
fn check_event(
    resource: &Resource,
    name: &str,
    object: &Value,
    before: Option<&Value>,
) -> Result<(), Status> {
    if resource.group != "events.k8s.io" {
        return Ok(());
    }
    let of = GroupKind { group: resource.group, kind: resource.kind };
    let mut prepared = object.clone();
    clusterlocal_admission::default(of, &mut prepared);
    let admitted = match before {
        None => clusterlocal_admission::before_create(of, &mut prepared),
        Some(before) => clusterlocal_admission::before_update(of, &mut prepared, before),
    };
    // The error names the Event of `v1`.
    admitted.map_err(|causes| Status::invalid(Resource::of_kind(Kind::Event), name, causes))
}

/// `object` as its resource keeps it: a custom resource by its schema, a definition with what is left out of it.
fn to_store(store: &Store, resource: &Resource, name: &str, mut object: Value) -> Result<Value, Status> {
    versions::accept(resource, &mut object);
    let causes = if resource.is_custom() {
        match crd::schema_of(store, resource) {
            Some(schema) => {
                crd::complete(&mut object, schema);
                crd::check_object(&object, schema)
            }
            None => Vec::new(),
        }
    } else if resource.held == Held::Store(limits::LIMIT_RANGE) {
        limits::complete(&mut object);
        Vec::new()
    } else if resource.held == Held::Store(crd::DEFINITION) {
        if let Some(object) = object.as_object_mut() {
            crd::fill_spec(object);
        }
        let causes = crd::check(&object);
        if causes.is_empty() {
            // From now on owner references to this kind are known.
            crd::kind(&object);
        }
        causes
    } else {
        Vec::new()
    };
    if causes.is_empty() { Ok(object) } else { Err(Status::invalid(resource, name, causes)) }
}
