//! The types of custom resources as OpenAPI publishes them (`pkg/controller/openapi/builder`): their schema, and the fields
//! that every object has. It must not know requests.

use serde_json::{Map, Value, json};

use crate::schema::field;
use crate::schema::resource::Resource;
use clusterlocal_core::store::Store;

/// What the definition of a resource is called: `com.example.v1.Ring` (`openapiutil.ToRESTFriendlyName`).
pub(crate) fn name(resource: &Resource) -> String {
    let mut group: Vec<&str> = resource.group.split('.').collect();
    group.reverse();
    format!("{}.{}.{}", group.join("."), resource.version, resource.kind)
}

/// The descriptions of the fields that every object has.
const API_VERSION: &str = "APIVersion defines the versioned schema of this representation of an object. Servers should \
                           convert recognized schemas to the latest internal value, and may reject unrecognized values. \
                           More info: \
                           https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources";
const KIND: &str = "Kind is a string value representing the REST resource this object represents. Servers may infer this \
                    from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: \
                    https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";
const METADATA: &str = "Standard object's metadata. More info: \
     https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";

/// The type of the objects of `resource`, whose metadata is at `metadata`; `None` unless a client defined it.
pub(crate) fn definition(store: &Store, resource: &Resource, metadata: &str) -> Option<Value> {
    let schema = super::schema_of(store, resource)?;
    let in_v2 = !metadata.starts_with("#/components");
    let mut definition = if !schema.is_object() {
        json!({ "type": "object" })
    } else if in_v2 {
        as_v2(schema)
    } else {
        schema.clone()
    };
    if in_v2 && field::flag(schema, PRESERVES) {
        // With any properties, kubectl would refuse all others.
        definition = json!({ "type": "object" });
    } else if schema["type"] == "object" {
        definition["properties"]["apiVersion"] = json!({ "type": "string", "description": API_VERSION });
        definition["properties"]["kind"] = json!({ "type": "string", "description": KIND });
        let reference = json!({ "$ref": metadata });
        definition["properties"]["metadata"] = if in_v2 {
            json!({ "description": METADATA, "$ref": metadata })
        } else {
            json!({ "description": METADATA, "allOf": [reference] })
        };
    }
    definition["x-kubernetes-group-version-kind"] =
        json!([{ "group": resource.group, "version": resource.version, "kind": resource.kind }]);
    Some(definition)
}

/// The extension of a schema whose objects may have fields other than those that it names.
const PRESERVES: &str = "/x-kubernetes-preserve-unknown-fields";

/// `schema` without what version 2 of OpenAPI, or kubectl's reading of it, does not know (`ToStructuralOpenAPIV2`).
fn as_v2(schema: &Value) -> Value {
    let Some(fields) = schema.as_object() else { return schema.clone() };
    let (preserves, nullable) = (field::flag(schema, PRESERVES), field::flag(schema, "/nullable"));
    let mut kept = Map::new();
    for (name, value) in fields {
        let value = match (name.as_str(), value) {
            ("oneOf" | "anyOf" | "not" | "nullable", _) => continue,
            ("items" | "properties", _) if preserves || nullable => continue,
            ("type", _) if nullable || (preserves && matches!(value.as_str(), Some("object" | "array"))) => {
                continue;
            }
            ("properties", Value::Object(all)) => {
                all.iter().map(|(name, of)| (name.clone(), as_v2(of))).collect::<Map<_, _>>().into()
            }
            ("items" | "additionalProperties", value) => as_v2(value),
            (_, value) => value.clone(),
        };
        kept.insert(name.clone(), value);
    }
    kept.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_2_leaves_out_what_kubectl_does_not_read() {
        let table = [
            (json!({ "type": "string", "nullable": true }), json!({})),
            (
                json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": { "a": {} } }),
                json!({ "x-kubernetes-preserve-unknown-fields": true }),
            ),
            (
                json!({ "type": "object", "properties": { "a": { "anyOf": [{ "type": "integer" }], "minimum": 1 } } }),
                json!({ "type": "object", "properties": { "a": { "minimum": 1 } } }),
            ),
            (
                json!({ "type": "array", "items": { "type": "object", "nullable": true, "properties": {} } }),
                json!({ "type": "array", "items": {} }),
            ),
        ];
        for (schema, expected) in table {
            assert_eq!(as_v2(&schema), expected, "{schema}");
        }
    }
}
