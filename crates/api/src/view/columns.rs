//! The tables of custom resources: the columns in their definition (`pkg/registry/customresource/tableconvertor`). Must not
//! depend on requests.

use serde_json::{Value, json};

use super::table::{Include, row_of, since};
use crate::schema::field;
use clusterlocal_core::store::Time;

/// The column of an object's age, if a definition has no columns.
fn age() -> Value {
    json!([{
        "name": "Age",
        "type": "date",
        "description": "CreationTimestamp is a timestamp representing the server time when this object was created.",
        "jsonPath": ".metadata.creationTimestamp",
    }])
}

/// The columns in `version` of a definition.
fn additional_columns(version: &Value) -> Vec<Value> {
    let asked = field::items(version, "/additionalPrinterColumns");
    if asked.is_empty() { age().as_array().cloned().unwrap_or_default() } else { asked.to_vec() }
}

/// The column definitions of a table.
pub(crate) fn columns(version: &Value) -> Vec<Value> {
    let name = json!({
        "name": "Name",
        "type": "string",
        "format": "name",
        "description": "The object's name, unique within its namespace.",
        "priority": 0,
    });
    let shown = additional_columns(version).into_iter().map(|column| {
        json!({
            "name": column["name"],
            "type": column["type"],
            "format": field::text(&column, "/format"),
            "description": field::text(&column, "/description"),
            "priority": field::number(&column, "/priority"),
        })
    });
    std::iter::once(name).chain(shown).collect()
}

/// The row of `object` at `now`.
pub(crate) fn row(version: &Value, object: &Value, now: Time, include: Include) -> Value {
    let mut cells = vec![object["metadata"]["name"].clone()];
    for column in additional_columns(version) {
        let found = pick(object, field::text(&column, "/jsonPath"));
        cells.push(match (field::text(&column, "/type"), found) {
            ("date", Some(Value::String(text))) => since(text, now).into(),
            ("date", _) => "<unknown>".into(),
            ("string", Some(value @ (Value::Object(_) | Value::Array(_)))) => value.to_string().into(),
            ("string", Some(value)) => match value {
                Value::String(text) => text.as_str().into(),
                other => other.to_string().into(),
            },
            (_, Some(value)) => value.clone(),
            (_, None) => Value::Null,
        });
    }
    row_of(cells, object, include)
}

/// The value at the JSON path `path`: names and indices, `.spec.items[0].name`, `.metadata.labels['a\.b']`; of a filter,
/// `[?(@.type=="Ready")]`, the first match.
fn pick<'v>(object: &'v Value, path: &str) -> Option<&'v Value> {
    let mut value = object;
    let mut rest = path.trim();
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('[') {
            let end = inside.find(']')?;
            let index = inside[..end].trim();
            rest = &inside[end + 1..];
            value = match index.strip_prefix("?(@.") {
                Some(filter) => {
                    let (name, expected) = filter.trim_end_matches(')').split_once("==")?;
                    let expected = expected.trim().trim_matches(['"', '\'']);
                    value.as_array()?.iter().find(|item| item[name.trim()] == expected)?
                }
                None => match index.parse::<usize>() {
                    Ok(at) => value.get(at)?,
                    Err(_) => value.get(index.trim_matches(['"', '\'']).replace("\\.", "."))?,
                },
            };
            continue;
        }
        rest = rest.strip_prefix('.').unwrap_or(rest);
        let mut name = String::new();
        let mut length = 0;
        let mut escaped = false;
        for c in rest.chars() {
            if !escaped && matches!(c, '.' | '[') {
                break;
            }
            length += c.len_utf8();
            escaped = c == '\\' && !escaped;
            if !escaped {
                name.push(c);
            }
        }
        rest = &rest[length..];
        value = value.get(&name)?;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_paths_select_cells() {
        let object = json!({
            "metadata": { "labels": { "a.b": "c" } },
            "spec": { "items": [{ "name": "x" }] },
            "status": { "conditions": [{ "type": "Ready", "status": "True" }] },
        });
        let table = [
            (".spec.items[0].name", Some(json!("x"))),
            (".metadata.labels['a.b']", Some(json!("c"))),
            (".metadata.labels.a\\.b", Some(json!("c"))),
            (".status.conditions[?(@.type==\"Ready\")].status", Some(json!("True"))),
            (".spec.other", None),
        ];
        for (path, expected) in table {
            assert_eq!(pick(&object, path), expected.as_ref(), "{path}");
        }
    }
}
