//! Takes the place of the controllers that establish definitions: which names were accepted, and since when.

use serde_json::{Map, Value, json};

use crate::schema::field;
use clusterlocal_core::store::fill;

/// Fills in what a client may leave out of the spec of a definition (`defaults.go`).
pub(crate) fn fill_spec(definition: &mut Map<String, Value>) {
    let spec = clusterlocal_core::store::object(definition, "spec");
    fill(spec, "conversion", json!({ "strategy": "None" }));
    let names = clusterlocal_core::store::object(spec, "names");
    let kind = names.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
    fill(names, "singular", kind.to_lowercase());
    fill(names, "listKind", format!("{kind}List"));
}

/// The status of `definition`, made at `created`: what was written, and what is missing of it.
pub(crate) fn status(definition: &Value, created: &str) -> Value {
    let mut status = definition["status"].as_object().cloned().unwrap_or_default();
    fill(&mut status, "acceptedNames", definition["spec"]["names"].clone());
    let storage = field::items(definition, "/spec/versions").iter();
    let storage = storage.filter(|version| field::flag(version, "/storage"));
    let storage: Vec<Value> = storage.map(|version| version["name"].clone()).collect();
    fill(&mut status, "storedVersions", storage);
    let conditions = status.entry("conditions").or_insert_with(|| json!([]));
    let Some(conditions) = conditions.as_array_mut() else { return status.into() };
    for (kind, reason, message) in [
        ("NamesAccepted", "NoConflicts", "no conflicts found"),
        ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
    ] {
        if conditions.iter().all(|condition| condition["type"] != kind) {
            conditions.push(json!({
                "type": kind,
                "status": "True",
                "lastTransitionTime": created,
                "reason": reason,
                "message": message,
            }));
        }
    }
    status.into()
}
