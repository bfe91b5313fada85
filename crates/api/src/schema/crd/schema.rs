//! Structural schemas at work on the objects of custom resources: what they do not know goes, what they have a default for
//! comes, and what breaks them is refused (`pkg/apiserver/schema`: pruning, defaulting, validation). It must not know which
//! resource a schema is of.

use serde_json::{Map, Value};

use crate::schema::field;
use clusterlocal_admission::Cause;
use clusterlocal_core::types;

/// The fields that every object has, independent of its schema.
const OF_ALL: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Makes of `object` what is stored, or shown, by the schema of its version: unknown fields are pruned and defaults are
/// filled in.
pub(crate) fn complete(object: &mut Value, schema: &Value) {
    if schema.is_null() {
        return;
    }
    prune(object, schema, true);
    default(object, schema);
}

/// Whether `schema` lets an object have fields that it does not name.
fn preserves(schema: &Value) -> bool {
    field::flag(schema, "/x-kubernetes-preserve-unknown-fields")
}

fn is_embedded(schema: &Value) -> bool {
    field::flag(schema, "/x-kubernetes-embedded-resource")
}

/// The schema of the field `name` of an object with `schema`; `None` where the field is unknown.
fn of_field<'s>(schema: &'s Value, name: &str) -> Option<&'s Value> {
    if let Some(named) = schema["properties"].get(name) {
        return Some(named);
    }
    match &schema["additionalProperties"] {
        Value::Bool(false) | Value::Null => None,
        other => Some(other),
    }
}

fn prune(value: &mut Value, schema: &Value, is_resource: bool) {
    match value {
        Value::Object(map) => {
            let keeps = |name: &str| is_resource && OF_ALL.contains(&name);
            if !preserves(schema) {
                map.retain(|name, _| keeps(name) || of_field(schema, name).is_some());
            }
            for (name, value) in map.iter_mut().filter(|(name, _)| !keeps(name)) {
                if let Some(schema) = of_field(schema, name) {
                    prune(value, schema, is_embedded(schema));
                }
            }
        }
        Value::Array(items) if schema["items"].is_object() => {
            let schema = &schema["items"];
            items.iter_mut().for_each(|item| prune(item, schema, is_embedded(schema)));
        }
        _ => {}
    }
}

fn default(value: &mut Value, schema: &Value) {
    match value {
        Value::Object(map) => {
            for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
                let absent = match map.get(name) {
                    None => true,
                    Some(Value::Null) => !field::flag(schema, "/nullable"),
                    Some(_) => false,
                };
                if let Some(default) = schema.get("default").filter(|_| absent) {
                    map.insert(name.clone(), default.clone());
                }
            }
            for (name, value) in map.iter_mut() {
                if let Some(schema) = of_field(schema, name) {
                    default(value, schema);
                }
            }
        }
        Value::Array(items) if schema["items"].is_object() => {
            items.iter_mut().for_each(|item| default(item, &schema["items"]));
        }
        _ => {}
    }
}

/// The paths of the fields of `object` that `schema` would prune.
pub(crate) fn unknown_fields(object: &Value, schema: &Value) -> Vec<String> {
    let mut found = Vec::new();
    if !schema.is_null() {
        search(object, schema, String::new(), true, &mut found);
    }
    found
}

fn search(value: &Value, schema: &Value, path: String, is_resource: bool, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (name, value) in
                map.iter().filter(|(name, _)| !(is_resource && OF_ALL.contains(&name.as_str())))
            {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                match of_field(schema, name) {
                    Some(schema) => search(value, schema, path, is_embedded(schema), found),
                    None if preserves(schema) => {}
                    None => found.push(path),
                }
            }
            if is_resource {
                found.extend(unknown_metadata(map.get("metadata").unwrap_or(&Value::Null), &path));
            }
        }
        Value::Array(items) if schema["items"].is_object() => {
            let schema = &schema["items"];
            for (at, item) in items.iter().enumerate() {
                search(item, schema, format!("{path}[{at}]"), is_embedded(schema), found);
            }
        }
        _ => {}
    }
}

/// The fields of `metadata`, that of the object at `path`, that ObjectMeta does not have.
fn unknown_metadata(metadata: &Value, path: &str) -> Vec<String> {
    let known = types::named("meta", "ObjectMeta");
    let fields = metadata.as_object().into_iter().flat_map(Map::keys);
    let unknown = fields.filter(|name| known.is_none_or(|of| of.field(name).is_none()));
    unknown
        .map(
            |name| {
                if path.is_empty() { format!("metadata.{name}") } else { format!("{path}.metadata.{name}") }
            },
        )
        .collect()
}

/// What of `object` breaks `schema`.
pub(crate) fn check(object: &Value, schema: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    if !schema.is_null() {
        validate(object, schema, String::new(), true, &mut causes);
    }
    causes
}

fn validate(value: &Value, schema: &Value, path: String, is_resource: bool, causes: &mut Vec<Cause>) {
    let mut add = |reason: &'static str, message: String| {
        let field = if path.is_empty() { "<nil>".into() } else { path.clone() };
        causes.push(Cause { field, reason, message });
    };
    if value.is_null() {
        if field::flag(schema, "/nullable") || is_resource {
            return;
        }
        let kind = field::text(schema, "/type");
        if !kind.is_empty() {
            add(
                "FieldValueTypeInvalid",
                format!("Invalid value: \"null\": {path} in body must be of type {kind}: \"null\""),
            );
        }
        return;
    }
    let int_or_string = field::flag(schema, "/x-kubernetes-int-or-string");
    let expected = field::text(schema, "/type");
    let actual = match value {
        Value::Object(_) => "object",
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        _ => "integer",
    };
    let fits = match expected {
        "" => !int_or_string || matches!(actual, "integer" | "string"),
        "number" => matches!(actual, "number" | "integer"),
        expected => expected == actual,
    };
    if !fits {
        let expected = if expected.is_empty() { "integer,string" } else { expected };
        add(
            "FieldValueTypeInvalid",
            format!("Invalid value: {actual:?}: {path} in body must be of type {expected}: {actual:?}"),
        );
        return;
    }
    if let Some(values) = schema["enum"].as_array().filter(|values| !values.contains(value)) {
        let supported: Vec<String> = values.iter().map(Value::to_string).collect();
        add(
            "FieldValueNotSupported",
            format!("Unsupported value: {value}: supported values: {}", supported.join(", ")),
        );
    }
    if let Some(number) = value.as_f64() {
        let bound = |name: &str| schema[name].as_f64();
        if let Some(minimum) = bound("minimum").filter(|minimum| number < *minimum) {
            add(
                "FieldValueInvalid",
                format!(
                    "Invalid value: {value}: {path} in body should be greater than or equal to {minimum}"
                ),
            );
        }
        if let Some(maximum) = bound("maximum").filter(|maximum| number > *maximum) {
            add(
                "FieldValueInvalid",
                format!("Invalid value: {value}: {path} in body should be less than or equal to {maximum}"),
            );
        }
    }
    if let Value::Object(map) = value {
        for name in field::items(schema, "/required").iter().filter_map(Value::as_str) {
            if !map.contains_key(name) {
                let field = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
                causes.push(Cause { field, reason: "FieldValueRequired", message: "Required value".into() });
            }
        }
        for (name, value) in map.iter().filter(|(name, _)| !(is_resource && OF_ALL.contains(&name.as_str())))
        {
            if let Some(schema) = of_field(schema, name) {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                validate(value, schema, path, is_embedded(schema), causes);
            }
        }
    }
    if let (Value::Array(items), true) = (value, schema["items"].is_object()) {
        for (at, item) in items.iter().enumerate() {
            validate(item, &schema["items"], format!("{path}[{at}]"), false, causes);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({
            "type": "object",
            "properties": {
                "spec": {
                    "type": "object",
                    "required": ["size"],
                    "properties": {
                        "size": { "type": "integer", "minimum": 1 },
                        "mode": { "type": "string", "default": "slow", "enum": ["slow", "fast"] },
                        "free": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
                        "tags": { "type": "object", "additionalProperties": { "type": "string" } },
                        "items": { "type": "array", "items": { "type": "object", "properties": {
                            "name": { "type": "string" },
                            "port": { "type": "integer", "default": 80 },
                        } } },
                    },
                },
            },
        })
    }

    #[test]
    fn objects_are_pruned_and_completed() {
        let table = [
            (json!({ "spec": { "size": 1 } }), json!({ "spec": { "size": 1, "mode": "slow" } })),
            (
                json!({ "kind": "Ring", "metadata": { "name": "a" }, "other": 1, "spec": { "sise": 1, "free": { "x": 1 } } }),
                json!({ "kind": "Ring", "metadata": { "name": "a" }, "spec": { "mode": "slow", "free": { "x": 1 } } }),
            ),
            (
                json!({ "spec": { "mode": null, "tags": { "a": "b" }, "items": [{ "name": "x", "y": 1 }] } }),
                json!({ "spec": { "mode": "slow", "tags": { "a": "b" }, "items": [{ "name": "x", "port": 80 }] } }),
            ),
        ];
        for (mut object, expected) in table {
            complete(&mut object, &schema());
            assert_eq!(object, expected);
        }
        let mut anything = json!({ "x": 1 });
        complete(&mut anything, &Value::Null);
        assert_eq!(anything, json!({ "x": 1 }), "no schema knows nothing, and prunes nothing");
    }

    #[test]
    fn what_breaks_a_schema_is_refused() {
        let table = [
            (json!({ "spec": { "size": 1 } }), vec![]),
            (json!({ "spec": {} }), vec!["spec.size: Required value"]),
            (
                json!({ "spec": { "size": 0, "mode": "new" } }),
                vec![
                    "spec.mode: Unsupported value: \"new\": supported values: \"slow\", \"fast\"",
                    "spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1",
                ],
            ),
            (
                json!({ "spec": { "size": "one" } }),
                vec![
                    "spec.size: Invalid value: \"string\": spec.size in body must be of type integer: \"string\"",
                ],
            ),
        ];
        for (object, expected) in table {
            let causes = check(&object, &schema());
            let problems: Vec<String> =
                causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
            assert_eq!(problems, expected, "{object}");
        }
        let odd = json!({ "metadata": { "name": "a", "nmae": 1 }, "spec": { "size": 1, "items": [{ "prot": 1 }] } });
        assert_eq!(unknown_fields(&odd, &schema()), ["spec.items[0].prot", "metadata.nmae"]);
    }
}
