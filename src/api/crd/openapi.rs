//! The types of custom resources as OpenAPI publishes them (`pkg/controller/openapi/builder`): their schema, and the fields
//! that every object has. It must not know requests.

use serde_json::{Value, json};

use super::super::resource::Resource;
use crate::store::Store;

/// What the definition of a resource is called: `com.example.v1.Ring` (`openapiutil.ToRESTFriendlyName`).
pub(in crate::api) fn name(resource: &Resource) -> String {
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
pub(in crate::api) fn definition(store: &Store, resource: &Resource, metadata: &str) -> Option<Value> {
    let schema = super::schema_of(store, resource)?;
    let mut definition = if schema.is_object() { schema.clone() } else { json!({ "type": "object" }) };
    let is_resource = definition["type"] == "object";
    if is_resource {
        definition["properties"]["apiVersion"] = json!({ "type": "string", "description": API_VERSION });
        definition["properties"]["kind"] = json!({ "type": "string", "description": KIND });
        let reference = json!({ "$ref": metadata });
        definition["properties"]["metadata"] = match metadata.starts_with("#/components") {
            true => json!({ "description": METADATA, "allOf": [reference] }),
            false => json!({ "description": METADATA, "$ref": metadata }),
        };
    }
    definition["x-kubernetes-group-version-kind"] =
        json!([{ "group": resource.group, "version": resource.version, "kind": resource.kind }]);
    Some(definition)
}
