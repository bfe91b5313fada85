//! What strategies do with the status and the generation of an object (`PrepareForCreate` and `PrepareForUpdate` of most
//! kinds with a status).

use serde_json::{Map, Value, json};

use super::equality::semantically_equal;

/// The field `name` of an object, which is created if it is absent.
pub(crate) fn field<'v>(object: &'v mut Value, name: &str) -> Option<&'v mut Map<String, Value>> {
    object.as_object_mut()?.entry(name).or_insert_with(|| json!({})).as_object_mut()
}

/// `PrepareForCreate` of the kinds that count the generations of their spec: no status, and the first generation.
pub(crate) fn prepare_for_create(object: &mut Value) {
    object.as_object_mut().map(|object| object.remove("status"));
    field(object, "metadata").map(|metadata| metadata.insert("generation".into(), 1.into()));
}

/// `PrepareForUpdate` of these kinds: the status is as before, and a change of the spec is a new generation.
pub(crate) fn prepare_for_update(object: &mut Value, before: &Value) {
    keep_status(object, before);
    count_generation(object, before);
}

/// Copies the status from `before`: it is changed by requests of its own.
pub(crate) fn keep_status(object: &mut Value, before: &Value) {
    let Some(object) = object.as_object_mut() else { return };
    match before.get("status") {
        Some(status) => drop(object.insert("status".into(), status.clone())),
        None => drop(object.remove("status")),
    }
}

/// Makes of an object whose spec differs from that of `before` its next generation.
pub(crate) fn count_generation(object: &mut Value, before: &Value) {
    if !semantically_equal(&object["spec"], &before["spec"]) {
        add_generation(object, before);
    }
}

/// Makes of `object` the next generation of `before`.
pub(crate) fn add_generation(object: &mut Value, before: &Value) {
    let generation = before["metadata"]["generation"].as_i64().unwrap_or_default() + 1;
    field(object, "metadata").map(|metadata| metadata.insert("generation".into(), generation.into()));
}
