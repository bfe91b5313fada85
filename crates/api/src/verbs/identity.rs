//! Who an object is: its kind, name and namespace, and the fields of its metadata that only the server sets. It must not
//! know what else is in it.

use serde_json::Value;

use crate::http::path::Place;
use crate::http::status::Status;
use crate::schema::resource::{Resource, group_kind};
use clusterlocal_admission::Cause;
use clusterlocal_core::reconcile::names::ALPHABET as NAME_ALPHABET;
use clusterlocal_core::store::{Key, Kind, Namespace, Store};

/// Whether `object` is of the kind that the path is for; a body that says nothing of itself is taken for it.
pub(crate) fn check_type(resource: &Resource, object: &Value) -> Result<(), Status> {
    if !object.is_object() {
        return Err(Status::bad_request(format!(
            "the request body is no {} but another JSON value",
            resource.kind
        )));
    }
    let said = |field: &str, expected: &str| match object.get(field) {
        None | Some(Value::Null) => true,
        Some(text) => text == expected,
    };
    let api_version = resource.api_version();
    if said("kind", resource.kind) && said("apiVersion", &api_version) {
        return Ok(());
    }
    let text = |field: &str| object[field].as_str().unwrap_or_default().to_owned();
    Err(Status::bad_request(format!(
        "the API version in the data ({}, Kind={}) does not match the expected API version ({api_version}, Kind={})",
        text("apiVersion"),
        text("kind"),
        resource.kind
    )))
}

/// Completes the metadata of a new object: its namespace is the path's, its name is drawn if it wants that. Returns the
/// name.
pub(crate) fn begin(store: &Store, kind: Kind, place: &Place, object: &mut Value) -> Result<String, Status> {
    let resource = place.resource;
    object["apiVersion"] = resource.api_version().into();
    object["kind"] = resource.kind.into();
    if !object["metadata"].is_object() {
        object["metadata"] = Value::Object(Default::default());
    }
    let metadata = &mut object["metadata"];
    let text = |metadata: &Value, field: &str| metadata[field].as_str().unwrap_or_default().to_owned();
    check_namespace(place, metadata)?;
    let (mut name, prefix) = (text(metadata, "name"), text(metadata, "generateName"));
    if !place.name.is_empty() {
        check_name(place, &name)?;
        name.clone_from(&place.name);
    }
    // Faults are tried in the order in which they were created, and are called so.
    if kind == Kind::Fault && name.is_empty() && !prefix.is_empty() {
        let numbers = store
            .all_stored(kind, None)
            .filter_map(|stored| stored.object.key().name.strip_prefix(&*prefix)?.parse::<u64>().ok());
        name = format!("{prefix}{}", numbers.max().unwrap_or(0).saturating_add(1));
    }
    if name.is_empty() && !prefix.is_empty() {
        // Drawn again where it is taken: kube-apiserver does so as well, eight times.
        name = (0..8)
            .map(|_| format!("{prefix}{}", suffix()))
            .find(|name| store.stored(&Key::new(kind, &place.namespace, name)).is_none())
            .ok_or_else(|| Status::already_exists(resource, &prefix))?;
    }
    // Where the kind is validated, this is found together with all else that is wrong.
    if name.is_empty() && !group_kind(kind).is_some_and(clusterlocal_admission::is_validated) {
        let why = "name or generateName is required";
        let cause = Cause {
            field: "metadata.name".into(),
            reason: "FieldValueRequired",
            message: format!("Required value: {why}"),
        };
        return Err(Status::invalid(resource, "", vec![cause]));
    }
    metadata["name"] = name.as_str().into();
    if let Some(metadata) = metadata.as_object_mut() {
        for servers in
            ["uid", "creationTimestamp", "generation", "selfLink", "deletionTimestamp", "managedFields"]
        {
            metadata.remove(servers);
        }
    }
    Ok(name)
}

/// Whether a new object says what version it is of: its storage refuses that (`etcd3.Store.Create`).
pub(crate) fn has_version(object: &Value) -> bool {
    let version = object["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    version.parse::<u64>().is_ok_and(|version| version != 0)
}

/// Five characters that spell no word, as apimachinery draws them.
fn suffix() -> String {
    (0..5).map(|_| char::from(NAME_ALPHABET[fastrand::usize(..NAME_ALPHABET.len())])).collect()
}

/// The namespace of the path, and none other, is the object's.
fn check_namespace(place: &Place, metadata: &mut Value) -> Result<(), Status> {
    let said = metadata["namespace"].as_str().unwrap_or_default();
    if !said.is_empty() && said != place.namespace {
        return Err(Status::bad_request(format!(
            "the namespace of the provided object does not match the namespace sent on the request: {said:?} in the \
             object, {:?} in the path",
            place.namespace
        )));
    }
    if place.resource.namespaced {
        metadata["namespace"] = place.namespace.as_str().into();
    }
    Ok(())
}

fn check_name(place: &Place, said: &str) -> Result<(), Status> {
    if said.is_empty() || said == place.name {
        return Ok(());
    }
    Err(Status::bad_request(format!(
        "the name of the object ({said}) does not match the name on the URL ({})",
        place.name
    )))
}

/// Whether `after` is still the object that `before` is, and was made from what is there now. Gives it back what only
/// the server sets.
pub(crate) fn keep(kind: Kind, place: &Place, before: &Value, after: &mut Value) -> Result<(), Status> {
    let name = after["metadata"]["name"].as_str().unwrap_or_default();
    if name.is_empty() {
        return Err(Status::bad_request(format!(
            "the name of the object ({} based on URL) was undeterminable: name must be provided",
            place.name
        )));
    }
    check_name(place, name)?;
    let metadata = &mut after["metadata"];
    check_namespace(place, metadata)?;
    let was = &before["metadata"];
    let text = |metadata: &Value, field: &str| metadata[field].as_str().unwrap_or_default().to_owned();
    let (said, is) = (text(metadata, "uid"), text(was, "uid"));
    if !said.is_empty() && said != is {
        let why = format!("Precondition failed: UID in precondition: {said}, UID in object meta: {is}");
        return Err(Status::conflict(place.resource, &place.name, &why));
    }
    let (said, is) = (text(metadata, "resourceVersion"), text(was, "resourceVersion"));
    // Without one the client does not mind what is there.
    if !said.is_empty() && said != "0" && said != is {
        return Err(Status::modified(place.resource, &place.name));
    }
    // Of some kinds an update has to say what it is of (`AllowUnconditionalUpdate`).
    if said.is_empty() && !group_kind(kind).is_none_or(clusterlocal_admission::is_unconditional) {
        return Err(Status::without_version(place.resource, &place.name));
    }
    for field in [
        "name",
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "generation",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ] {
        match was.get(field) {
            Some(value) => metadata[field] = value.clone(),
            None => drop(metadata.as_object_mut().and_then(|metadata| metadata.remove(field))),
        }
    }
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.remove("managedFields");
    }
    Ok(())
}

/// New objects need a namespace that is there to stay.
pub(crate) fn check_namespace_lives(
    store: &Store,
    resource: &Resource,
    namespace: &str,
    name: &str,
) -> Result<(), Status> {
    if !resource.namespaced {
        return Ok(());
    }
    let Some(found) = store.get::<Namespace>(Kind::Namespace, "", namespace) else {
        return Err(Status::not_found(Resource::of_kind(Kind::Namespace), namespace));
    };
    if found.metadata.deletion_timestamp.is_some() {
        let why =
            format!("unable to create new content in namespace {namespace} because it is being terminated");
        return Err(Status::forbidden(resource, name, &why));
    }
    Ok(())
}
