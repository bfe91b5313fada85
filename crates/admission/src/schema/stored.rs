//! An object as it is stored: protobuf does not distinguish an empty list or map from none.

use serde_json::Value;

use clusterlocal_core::types::{self, Field, Go, Shape};

/// Drops the lists and maps of `object` that are empty; one that Go does not omit is null then.
pub(super) fn drop_empty(object: &mut Value) {
    let text = |name| object.get(name).and_then(Value::as_str).unwrap_or_default();
    if let Some(of) = types::of_kind(text("apiVersion"), text("kind")) {
        fields(of.fields(), object);
    }
}

fn fields(known: &[Field], value: &mut Value) {
    let Some(map) = value.as_object_mut() else { return };
    for field in known {
        let Some(value) = map.get_mut(field.json) else { continue };
        if drops(&field.go, value) {
            if field.omit_empty {
                map.remove(field.json);
            } else {
                *value = Value::Null;
            }
        }
    }
}

/// Drops what is empty in a value of the type `go`; whether it is empty itself.
fn drops(go: &Go, value: &mut Value) -> bool {
    match (go, value) {
        (Go::Pointer(of), value) => {
            drops(of, value);
            false
        }
        (Go::Named(of), value) => match of.shape() {
            Shape::Struct(known) => {
                fields(known, value);
                false
            }
            Shape::Other(other) => drops(other, value),
            Shape::Own(_) => false,
        },
        (Go::List(of), Value::Array(items)) => {
            for item in &mut *items {
                drops(of, item);
            }
            items.is_empty()
        }
        (Go::Map(_, of), Value::Object(entries)) => {
            for (_, entry) in &mut *entries {
                drops(of, entry);
            }
            entries.is_empty()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn empty_lists_are_dropped_and_empty_structs_kept() {
        let mut role = json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {}, "rules": [] });
        drop_empty(&mut role);
        assert_eq!(role.get("rules"), Some(&Value::Null), "Go does not omit it");
        let mut pod = json!({ "apiVersion": "v1", "kind": "Pod", "spec":
            { "containers": [], "securityContext": {}, "volumes": [{ "name": "v", "emptyDir": {} }] } });
        drop_empty(&mut pod);
        assert_eq!(
            pod["spec"],
            json!({ "containers": null, "securityContext": {}, "volumes": [{ "name": "v", "emptyDir": {} }] })
        );
    }
}
