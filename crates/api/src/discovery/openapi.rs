//! The part of OpenAPI that clients look at before they write: which paths there are, and that PATCH takes
//! `fieldValidation` and `dryRun`. kubectl then leaves validation to the server. The types are there with their fields,
//! for `kubectl explain`, without a word about them. kubectl before 1.28 reads version 2, and in protobuf only. It must
//! not know objects.

use serde_json::{Map, Value, json};

use crate::schema::crd;
use crate::schema::protobuf::put;
use crate::schema::registry::Registry;
use crate::schema::resource::{Held, Resource};
use clusterlocal_core::store::Store;
use clusterlocal_core::types::{self, Field, Go, ListType, Own, PatchMerge, Shape, Type};

/// What a PATCH takes in its query.
const PARAMETERS: [&str; 4] = ["dryRun", "fieldManager", "fieldValidation", "force"];

/// `/openapi/v3`: where the document of each group is.
pub(crate) fn index(registry: &Registry) -> Value {
    let mut paths = Map::new();
    for group in registry.groups() {
        for version in registry.versions(group) {
            let path = prefix(group, version);
            // Clients keep a document for as long as this stays the same.
            let url = format!("/openapi/v3/{path}?hash={}", env!("CARGO_PKG_VERSION"));
            paths.insert(path, json!({ "serverRelativeURL": url }));
        }
    }
    json!({ "paths": paths })
}

/// `/openapi/v3/apis/apps/v1`.
pub(crate) fn document(registry: &Registry, store: &Store, group: &str, version: &str) -> Value {
    let mut paths = Map::new();
    for resource in stored(registry).filter(|resource| is_of(resource, group, version)) {
        let kind = json!({ "group": group, "version": version, "kind": resource.kind });
        let operation = |action: &str, parameters: Value| {
            json!({
                "x-kubernetes-action": action,
                "x-kubernetes-group-version-kind": kind,
                "parameters": parameters,
                "responses": { "200": { "description": "OK" } },
            })
        };
        let patch = operation("patch", PARAMETERS.map(parameter).into_iter().collect());
        paths.insert(path(resource), json!({ "patch": patch }));
        // By this one, of all namespaces, `kubectl explain` finds the kind of a resource.
        let collection = format!("/{}/{}", prefix(group, version), resource.plural);
        paths.insert(collection, json!({ "get": operation("list", json!([])) }));
    }
    json!({
        "openapi": "3.0.0",
        "info": { "title": "clusterlocal", "version": env!("CARGO_PKG_VERSION") },
        "paths": paths,
        "components": { "schemas": schemas(registry, store, group, version) },
    })
}

/// The types of the kinds of `group`, and those that they are made of.
fn schemas(registry: &Registry, store: &Store, group: &str, version: &str) -> Map<String, Value> {
    let mut schemas = Map::new();
    let mut wanted: Vec<&'static Type> = Vec::new();
    for resource in stored(registry).filter(|resource| is_of(resource, group, version)) {
        if resource.is_custom() {
            let Some(metadata) = types::named("meta", "ObjectMeta") else { continue };
            let reference = reference(metadata);
            if let Some(definition) = crd::openapi::definition(store, resource, &reference) {
                wanted.push(metadata);
                schemas.insert(crd::openapi::name(resource), definition);
            }
            continue;
        }
        let Some(of) = types::of_kind(&resource.api_version(), resource.kind) else { continue };
        let mut kind = type_schema(of, &mut wanted);
        kind["x-kubernetes-group-version-kind"] =
            json!([{ "group": group, "version": version, "kind": resource.kind }]);
        schemas.insert(of.published_name(), kind);
    }
    while let Some(of) = wanted.pop() {
        let name = of.published_name();
        if !schemas.contains_key(&name) {
            schemas.insert(name, type_schema(of, &mut wanted));
        }
    }
    schemas
}

fn reference(of: &Type) -> String {
    format!("#/components/schemas/{}", of.published_name())
}

/// The schema of a struct; the types of its fields are `wanted` as well.
fn type_schema(of: &'static Type, wanted: &mut Vec<&'static Type>) -> Value {
    let mut properties = Map::new();
    for field in of.fields() {
        let mut property = value_schema(&field.go, wanted);
        let marks = marks(of, field);
        if !marks.is_empty() && property.get("$ref").is_some() {
            // What stands beside a $ref does not count.
            property = json!({ "allOf": [property] });
        }
        if let Some(property) = property.as_object_mut() {
            property.extend(marks);
        }
        properties.insert(field.json.into(), property);
    }
    let mut schema = json!({ "type": "object", "properties": properties });
    let required: Vec<&str> =
        of.fields().iter().filter(|field| field.is_required()).map(|field| field.json).collect();
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    if of.is_atomic() {
        schema["x-kubernetes-map-type"] = "atomic".into();
    }
    schema
}

/// The schema of a value.
fn value_schema(go: &'static Go, wanted: &mut Vec<&'static Type>) -> Value {
    match go.resolved() {
        go if go.is_bytes() => json!({ "type": "string", "format": "byte" }),
        Go::Named(of) => match of.shape() {
            Shape::Own(Own::Time | Own::MicroTime) => json!({ "type": "string", "format": "date-time" }),
            Shape::Own(Own::Quantity) => json!({ "type": "string" }),
            Shape::Own(Own::IntOrString) => json!({ "type": "string", "format": "int-or-string" }),
            Shape::Own(Own::Raw) => json!({ "type": "object" }),
            // kubectl explain fails for an empty schema.
            Shape::Own(Own::SchemaOrBool) => json!({ "description": "A schema, or a boolean." }),
            Shape::Own(Own::SchemaOrArray) => json!({ "description": "A schema, or a list of schemas." }),
            Shape::Own(Own::SchemaOrStrings) => json!({ "description": "A schema, or a list of fields." }),
            _ => {
                wanted.push(of);
                json!({ "$ref": reference(of) })
            }
        },
        Go::List(of) => json!({ "type": "array", "items": value_schema(of, wanted) }),
        Go::Map(_, of) => json!({ "type": "object", "additionalProperties": value_schema(of, wanted) }),
        Go::Text => json!({ "type": "string" }),
        Go::Boolean => json!({ "type": "boolean" }),
        Go::Integer(format @ ("int32" | "int64"), ..) => json!({ "type": "integer", "format": format }),
        Go::Integer(..) => json!({ "type": "integer" }),
        Go::Float => json!({ "type": "number", "format": "double" }),
        Go::Pointer(_) | Go::Any => json!({ "type": "object" }),
    }
}

/// What stands beside the type of a field of `of`.
fn marks(of: &Type, field: &Field) -> Map<String, Value> {
    let mut marks = Map::new();
    let mut mark = |name: &str, value: Value| drop(marks.insert(name.into(), value));
    if of.name == "ObjectMeta" && field.json == "creationTimestamp" {
        mark("description", CREATION_TIMESTAMP.into());
    }
    if let Some(default) = field.default().and_then(|text| serde_json::from_str(text).ok()) {
        mark("default", default);
    }
    if let Some(strategy) = field.patch_strategy() {
        mark("x-kubernetes-patch-strategy", strategy.into());
    }
    if let Some(PatchMerge::ByKey(key)) = field.patch_merge() {
        mark("x-kubernetes-patch-merge-key", key.into());
    }
    match field.list_type() {
        ListType::Map(keys) => {
            mark("x-kubernetes-list-type", "map".into());
            mark("x-kubernetes-list-map-keys", keys.split('/').collect());
        }
        ListType::Set => mark("x-kubernetes-list-type", "set".into()),
        ListType::Atomic => {}
    }
    if let Some(map_type) = field.map_type() {
        mark("x-kubernetes-map-type", map_type.into());
    }
    marks
}

/// The description of `metadata.creationTimestamp`, the only one of a built-in type.
const CREATION_TIMESTAMP: &str = "CreationTimestamp is a timestamp representing the server time when this object was created. It is \
    not guaranteed to be set in happens-before order across separate operations.";

/// `/openapi/v2` in JSON: the types of what clients defined. Those of Kubernetes are in version 3 only.
pub(crate) fn v2_json(registry: &Registry, store: &Store) -> Value {
    let metadata = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
    let of = |resource: &Resource| {
        let definition = crd::openapi::definition(store, resource, &format!("#/definitions/{metadata}"))?;
        Some((crd::openapi::name(resource), definition))
    };
    let mut definitions: Map<String, Value> = registry.all().filter_map(of).collect();
    definitions.insert(metadata.into(), json!({ "type": "object" }));
    let kind = |resource: &Resource| json!({ "group": resource.group, "version": resource.version, "kind": resource.kind });
    let patch = |resource: &Resource| {
        let operation = json!({
            "x-kubernetes-action": "patch",
            "x-kubernetes-group-version-kind": kind(resource),
            "responses": { "200": { "description": "OK" } },
        });
        (path(resource), json!({ "patch": operation }))
    };
    let paths: Map<String, Value> = stored(registry).map(patch).collect();
    json!({
        "swagger": "2.0",
        "info": { "title": "Kubernetes", "version": env!("CARGO_PKG_VERSION") },
        "paths": paths,
        "definitions": definitions,
    })
}

/// What kubectl calls version 2 in protobuf.
pub(crate) const V2_TYPE: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// `/openapi/v2`: the paths with their PATCH, as `openapi.v2.Document` of the project gnostic has them.
pub(crate) fn v2(registry: &Registry) -> Vec<u8> {
    let mut paths = Vec::new();
    for resource in stored(registry) {
        let kind = json!({ "group": resource.group, "version": resource.version, "kind": resource.kind })
            .to_string();
        let mut operation = Vec::new();
        for name in PARAMETERS {
            // ParametersItem, Parameter, NonBodyParameter, QueryParameterSubSchema: each the one field of the last.
            let query = message(&[(2, b"query"), (4, name.as_bytes())]);
            let item = [3, 2, 1].into_iter().fold(query, |inner, number| message(&[(number, &inner)]));
            put(&mut operation, 8, &item);
        }
        let extension =
            message(&[(1, b"x-kubernetes-group-version-kind"), (2, &message(&[(2, kind.as_bytes())]))]);
        put(&mut operation, 13, &extension);
        let named = message(&[(1, path(resource).as_bytes()), (2, &message(&[(8, &operation)]))]);
        put(&mut paths, 2, &named);
    }
    let info = message(&[(1, b"clusterlocal"), (2, env!("CARGO_PKG_VERSION").as_bytes())]);
    message(&[(1, b"2.0"), (2, &info), (8, &paths)])
}

/// A protobuf message of these fields.
fn message(fields: &[(u32, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    fields.iter().for_each(|(number, bytes)| put(&mut out, *number, bytes));
    out
}

/// The resources that can be written.
fn stored(registry: &Registry) -> impl Iterator<Item = &'static Resource> {
    registry.all().filter(|resource| matches!(resource.held, Held::Store(_)))
}

fn is_of(resource: &Resource, group: &str, version: &str) -> bool {
    resource.group == group && resource.version == version
}

/// The path of one object.
fn path(resource: &Resource) -> String {
    let within = if resource.namespaced { "namespaces/{namespace}/" } else { "" };
    format!("/{}/{within}{}/{{name}}", prefix(resource.group, resource.version), resource.plural)
}

fn prefix(group: &str, version: &str) -> String {
    match group {
        "" => format!("api/{version}"),
        group => format!("apis/{group}/{version}"),
    }
}

fn parameter(name: &str) -> Value {
    json!({ "name": name, "in": "query", "schema": { "type": "string", "uniqueItems": true } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_are_validated_here() {
        for resource in stored(Registry::built_in()) {
            let document = document(Registry::built_in(), &Store::new(), resource.group, resource.version);
            let paths = document["paths"].as_object().expect("paths");
            let patch = paths
                .values()
                .map(|path| &path["patch"])
                .find(|patch| patch["x-kubernetes-group-version-kind"]["kind"] == resource.kind);
            let parameters = patch.expect("a PATCH")["parameters"].as_array().expect("parameters");
            assert!(
                parameters.iter().any(|parameter| parameter["name"] == "fieldValidation"),
                "{resource:?}"
            );
        }
    }

    #[test]
    fn types_are_whole() {
        for group in Registry::built_in().groups() {
            let document = document(Registry::built_in(), &Store::new(), group, "v1");
            let schemas = document["components"]["schemas"].as_object().expect("schemas");
            let text = document.to_string();
            for used in text.split("#/components/schemas/").skip(1) {
                let name = used.split('"').next().unwrap_or_default();
                assert!(schemas.contains_key(name), "{group} {name}");
            }
            for (name, property) in
                schemas.values().filter_map(|schema| schema["properties"].as_object()).flatten()
            {
                let inner =
                    property.get("items").or(property.get("additionalProperties")).unwrap_or(property);
                assert!(
                    inner.as_object().is_some_and(|inner| !inner.is_empty()),
                    "{group} {name}: fails kubectl explain"
                );
            }
        }
        let pods = document(Registry::built_in(), &Store::new(), "", "v1");
        let schemas = &pods["components"]["schemas"];
        let volume = &schemas["io.k8s.api.core.v1.Volume"]["properties"];
        assert_eq!(
            volume["emptyDir"]["$ref"], "#/components/schemas/io.k8s.api.core.v1.EmptyDirVolumeSource",
            "stands beside the name"
        );
        let service = &schemas["io.k8s.api.core.v1.ServiceSpec"]["properties"];
        let port = json!({ "$ref": "#/components/schemas/io.k8s.api.core.v1.ServicePort" });
        assert_eq!(
            service["ports"],
            json!({
                "type": "array",
                "items": port,
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["port", "protocol"],
                "x-kubernetes-patch-strategy": "merge",
                "x-kubernetes-patch-merge-key": "port",
            })
        );
        assert_eq!(service["selector"]["x-kubernetes-map-type"], "atomic");
        assert_eq!(schemas["io.k8s.api.core.v1.Container"]["required"], json!(["name"]));
    }
}
