//! The part of OpenAPI that clients look at before they write: which paths there are, and that PATCH takes
//! `fieldValidation` and `dryRun`. kubectl then leaves validation to the server. The types are there with their fields,
//! for `kubectl explain`, without a word about them. kubectl before 1.28 reads version 2, and in protobuf only. It must
//! not know objects.

use serde_json::{Map, Value, json};

use super::protobuf::put;
use super::resource::{Held, Resource, VERSION};
use super::schema::{self, Field, Shape, Type};

/// What a PATCH takes in its query.
const PARAMETERS: [&str; 4] = ["dryRun", "fieldManager", "fieldValidation", "force"];

/// `/openapi/v3`: where the document of each group is.
pub(super) fn index() -> Value {
    let mut paths = Map::new();
    for group in Resource::GROUPS {
        let path = prefix(group);
        // Clients keep a document for as long as this stays the same.
        let url = format!("/openapi/v3/{path}?hash={}", env!("CARGO_PKG_VERSION"));
        paths.insert(path, json!({ "serverRelativeURL": url }));
    }
    json!({ "paths": paths })
}

/// `/openapi/v3/apis/apps/v1`.
pub(super) fn document(group: &str) -> Value {
    let mut paths = Map::new();
    for resource in stored().filter(|resource| resource.group == group) {
        let kind = json!({ "group": group, "version": VERSION, "kind": resource.kind });
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
        let collection = format!("/{}/{}", prefix(group), resource.plural);
        paths.insert(collection, json!({ "get": operation("list", json!([])) }));
    }
    json!({
        "openapi": "3.0.0",
        "info": { "title": "clusterlocal", "version": env!("CARGO_PKG_VERSION") },
        "paths": paths,
        "components": { "schemas": schemas(group) },
    })
}

/// The types of the kinds of `group`, and those that they are made of.
fn schemas(group: &str) -> Map<String, Value> {
    let mut schemas = Map::new();
    let mut wanted: Vec<&'static str> = Vec::new();
    for resource in stored().filter(|resource| resource.group == group) {
        let Some(fields) = schema::fields(resource.kind) else { continue };
        let mut kind = type_schema(fields, &mut wanted);
        for said in ["apiVersion", "kind"] {
            kind["properties"][said] = json!({ "type": "string" });
        }
        kind["x-kubernetes-group-version-kind"] =
            json!([{ "group": group, "version": VERSION, "kind": resource.kind }]);
        schemas.insert(resource.kind.into(), kind);
    }
    while let Some(name) = wanted.pop() {
        if let (false, Some(fields)) = (schemas.contains_key(name), schema::fields(name)) {
            schemas.insert(name.into(), type_schema(fields, &mut wanted));
        }
    }
    schemas
}

/// A type with these fields; those that it is made of are `wanted` as well.
fn type_schema(fields: &'static [Field], wanted: &mut Vec<&'static str>) -> Value {
    let mut properties = Map::new();
    let mut rest = vec![fields];
    while let Some(fields) = rest.pop() {
        for field in fields {
            let one = match field.kind {
                Type::Named(name) if field.shape != Shape::Inline => {
                    wanted.push(name);
                    json!({ "$ref": format!("#/components/schemas/{name}") })
                }
                Type::Named(_) => json!({}),
                Type::String | Type::Quantity => json!({ "type": "string" }),
                Type::Integer => json!({ "type": "integer" }),
                Type::Boolean => json!({ "type": "boolean" }),
                Type::Bytes => json!({ "type": "string", "format": "byte" }),
                Type::Time => json!({ "type": "string", "format": "date-time" }),
                Type::IntOrString => json!({ "type": "string", "format": "int-or-string" }),
                Type::Raw => json!({ "type": "object" }),
            };
            let property = match field.shape {
                Shape::One { .. } => one,
                Shape::List => json!({ "type": "array", "items": one }),
                Shape::Map => json!({ "type": "object", "additionalProperties": one }),
                Shape::Inline => {
                    rest.extend(field.kind.fields());
                    continue;
                }
            };
            properties.insert(field.name.into(), property);
        }
    }
    json!({ "type": "object", "properties": properties })
}

/// What kubectl calls version 2 in protobuf.
pub(super) const V2_TYPE: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// `/openapi/v2`: the paths with their PATCH, as `openapi.v2.Document` of the project gnostic has them.
pub(super) fn v2() -> Vec<u8> {
    let mut paths = Vec::new();
    for resource in stored() {
        let kind = json!({ "group": resource.group, "version": VERSION, "kind": resource.kind }).to_string();
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
fn stored() -> impl Iterator<Item = &'static Resource> {
    Resource::ALL.iter().filter(|resource| matches!(resource.held, Held::Store(_)))
}

/// The path of one object.
fn path(resource: &Resource) -> String {
    let within = if resource.namespaced { "namespaces/{namespace}/" } else { "" };
    format!("/{}/{within}{}/{{name}}", prefix(resource.group), resource.plural)
}

fn prefix(group: &str) -> String {
    match group {
        "" => format!("api/{VERSION}"),
        group => format!("apis/{group}/{VERSION}"),
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
        for resource in stored() {
            let document = document(resource.group);
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
        for group in Resource::GROUPS {
            let document = document(group);
            let schemas = document["components"]["schemas"].as_object().expect("schemas");
            let text = document.to_string();
            for used in text.split("#/components/schemas/").skip(1) {
                let name = used.split('"').next().unwrap_or_default();
                assert!(schemas.contains_key(name), "{group} {name}");
            }
        }
        let pods = document("");
        let volume = &pods["components"]["schemas"]["Volume"]["properties"];
        assert_eq!(
            volume["emptyDir"]["$ref"], "#/components/schemas/EmptyDirVolumeSource",
            "stands beside the name"
        );
    }
}
