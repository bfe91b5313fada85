//! Who an object is: its kind, name and namespace, and the fields of its metadata that only the server sets. It must not
//! know what else is in it.

use serde_json::Value;

use crate::http::path::Place;
use crate::http::status::Status;
use crate::schema::resource::{Resource, group_kind};
use clusterlocal_admission::Cause;
use clusterlocal_core::reconcile::names::ALPHABET as NAME_ALPHABET;
use clusterlocal_core::store::{Key, Kind, Namespace, PARTITION, Store};

/// Checks that `object` has the kind of the path; a body without kind or apiVersion is taken to have it.
pub(crate) fn check_type(resource: &Resource, object: &Value) -> Result<(), Status> {
    if !object.is_object() {
        return Err(Status::bad_request(format!(
            "the request body is no {} but another JSON value",
            resource.kind
        )));
    }
    let matches = |field: &str, expected: &str| match object.get(field) {
        None | Some(Value::Null) => true,
        Some(text) => text == expected,
    };
    let api_version = resource.api_version();
    if matches("kind", resource.kind) && matches("apiVersion", &api_version) {
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
    // Faults are tried in the order in which they were created, and are called so; Partitions are typed by users.
    if matches!(kind, Kind::Fault | PARTITION) && name.is_empty() && !prefix.is_empty() {
        let numbers = store
            .all_stored(kind, None)
            .filter_map(|stored| stored.object.key().name.strip_prefix(&*prefix)?.parse::<u64>().ok());
        name = format!("{prefix}{}", numbers.max().unwrap_or(0).saturating_add(1));
    }
    if name.is_empty() && !prefix.is_empty() {
        // Drawn again where it is taken: kube-apiserver does so as well, eight times.
        let ends = (0..=prefix.len().min(GENERATED_MAX)).rev();
        let begin = ends.filter_map(|end| prefix.get(..end)).next().unwrap_or_default();
        name = (0..8)
            .map(|_| format!("{begin}{}", suffix()))
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
        for servers in [
            "uid",
            "creationTimestamp",
            "selfLink",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "managedFields",
        ] {
            metadata.remove(servers);
        }
    }
    Ok(name)
}

/// Maximum length of the beginning of a generated name, in bytes (`MaxGeneratedNameLength`).
const GENERATED_MAX: usize = 58;

/// Whether a new object has a resourceVersion: its storage refuses that (`etcd3.Store.Create`).
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
    let given = metadata["namespace"].as_str().unwrap_or_default();
    if place.resource.namespaced {
        if !given.is_empty() && given != place.namespace {
            return Err(Status::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        metadata["namespace"] = place.namespace.as_str().into();
    } else if let Some(metadata) = metadata.as_object_mut() {
        metadata.remove("namespace");
    }
    Ok(())
}

fn check_name(place: &Place, given: &str) -> Result<(), Status> {
    if given.is_empty() || given == place.name {
        return Ok(());
    }
    Err(Status::bad_request(format!(
        "the name of the object ({given}) does not match the name on the URL ({})",
        place.name
    )))
}

/// Whether `after` is still the object that `before` is, and was made from what is there now. Gives it back what only
/// the server sets.
pub(crate) fn keep(kind: Kind, place: &Place, before: &Value, after: &mut Value) -> Result<(), Status> {
    if after["metadata"].is_object() {
        check_namespace(place, &mut after["metadata"])?;
    }
    let name = after["metadata"]["name"].as_str().unwrap_or_default();
    if name.is_empty() {
        return Err(Status::bad_request(format!(
            "the name of the object ({} based on URL) was undeterminable: name must be provided",
            place.name
        )));
    }
    check_name(place, name)?;
    let metadata = &mut after["metadata"];
    let was = &before["metadata"];
    let text = |metadata: &Value, field: &str| metadata[field].as_str().unwrap_or_default().to_owned();
    let (given, is) = (text(metadata, "uid"), text(was, "uid"));
    if !given.is_empty() && given != is {
        let why = format!(
            "StorageError: invalid object, Code: 4, Key: {}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {given}, UID in object meta: {is}",
            storage_key(place)
        );
        return Err(Status::conflict(place.resource, &place.name, &why));
    }
    let (given, is) = (text(metadata, "resourceVersion"), text(was, "resourceVersion"));
    if !given.is_empty() && given.parse::<u64>().is_err() {
        return Err(Status::unparsed(&format!("strconv.ParseUint: parsing {given:?}: invalid syntax")));
    }
    // An update without one is unconditional.
    if !given.is_empty() && given != "0" && given != is {
        return Err(Status::modified(place.resource, &place.name));
    }
    // For some kinds an update needs one (`AllowUnconditionalUpdate`).
    if given.is_empty() && !group_kind(kind).is_none_or(clusterlocal_admission::is_unconditional) {
        return Err(Status::without_version(place.resource, &place.name));
    }
    // A change of the deletion is refused where the kind's strategy is known.
    let of_deletion = ["deletionTimestamp", "deletionGracePeriodSeconds"];
    let of_deletion = of_deletion.iter().filter(|_| group_kind(kind).is_none());
    for field in
        ["name", "uid", "resourceVersion", "creationTimestamp", "generation"].iter().chain(of_deletion)
    {
        match was.get(*field) {
            Some(value) => metadata[*field] = value.clone(),
            None => drop(metadata.as_object_mut().and_then(|metadata| metadata.remove(*field))),
        }
    }
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.remove("managedFields");
    }
    Ok(())
}

/// Where kube-apiserver would keep the object (`DefaultStorageFactory`, `SpecialDefaultResourcePrefixes`).
fn storage_key(place: &Place) -> String {
    let prefix = match (place.resource.group, place.resource.plural) {
        ("", "endpoints") => "services/endpoints",
        ("", "nodes") => "minions",
        ("", "replicationcontrollers") => "controllers",
        ("", "services") => "services/specs",
        ("networking.k8s.io", "ingresses") => "ingress",
        (_, plural) => plural,
    };
    if place.resource.namespaced {
        format!("/{prefix}/{}/{}", place.namespace, place.name)
    } else {
        format!("/{prefix}/{}", place.name)
    }
}

/// Removes owners that are there twice (`dedupOwnerReferences`). Returns what the client is warned of, if there were any.
pub(crate) fn drop_duplicate_owners(object: &mut Value) -> Option<String> {
    let owners = object["metadata"].get_mut("ownerReferences").and_then(Value::as_array_mut)?;
    let mut kept: Vec<Value> = Vec::new();
    let mut duplicates = Vec::new();
    for owner in owners.drain(..) {
        if kept.contains(&owner) {
            duplicates.push(owner["uid"].as_str().unwrap_or_default().to_owned());
        } else {
            kept.push(owner);
        }
    }
    *owners = kept;
    (!duplicates.is_empty()).then(|| {
        format!(
            ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
            duplicates.join(", ")
        )
    })
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
