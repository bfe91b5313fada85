//! Values of the types that an API server converts objects to (`pkg/apis`), as `encoding/json` writes them: `field.Error` shows
//! structs so.

use std::borrow::Cow;

use serde_json::{Map, Value};

use clusterlocal_core::types::{self, Field, Go, Own, Shape, Type};

/// The packages in which a type is looked for that is called by its name alone, in this order.
const PACKAGES: [&str; 18] = [
    "core",
    "apps",
    "batch",
    "networking",
    "policy",
    "rbac",
    "storage",
    "autoscaling/v2",
    "discovery",
    "coordination",
    "scheduling",
    "node",
    "admissionregistration",
    "apiextensions",
    "certificates",
    "flowcontrol",
    "resource",
    "meta",
];

/// `value`, which is of the type called `type_name`, as JSON of the type of the API server: `RoleRef`, `rbac.RoleRef`,
/// `[]EnvVar`, `{}string`.
pub(super) fn json(type_name: &str, value: &Value) -> String {
    let mut out = String::new();
    root(type_name, value, &mut out);
    out
}

fn root(type_name: &str, value: &Value, out: &mut String) {
    if let Some(of) = type_name.strip_prefix("[]") {
        return list(value, out, |item, out| root(of, item, out));
    }
    if let Some((_, of)) = type_name.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        return map(value, out, |entry, out| root(of, entry, out));
    }
    let name = type_name.trim_start_matches('*');
    if name.len() < type_name.len() && value.is_null() {
        return out.push_str("null");
    }
    let sent = match name.rsplit_once('.') {
        Some((alias, name)) => types::named(alias, name),
        None => PACKAGES.iter().find_map(|alias| types::named(alias, name)),
    };
    let Some(sent) = sent else { return plain(value, out) };
    let group = sent.alias.split('/').next().unwrap_or_default();
    let internal = types::named(&format!("internal/{group}"), sent.name).unwrap_or(sent);
    named(internal, Some(sent), value, out);
}

/// JSON as it is, but for the characters that Go does not write into JSON.
fn plain(value: &Value, out: &mut String) {
    let text = value.to_string();
    if !text.contains(['<', '>', '&', '\u{2028}', '\u{2029}', '\u{7f}']) {
        return out.push_str(&text);
    }
    for c in text.chars() {
        match c {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            c => out.push(c),
        }
    }
}

fn text(text: &str, out: &mut String) {
    plain(&Value::from(text), out);
}

fn list(value: &Value, out: &mut String, each: impl Fn(&Value, &mut String)) {
    let Some(items) = value.as_array() else { return out.push_str("null") };
    out.push('[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        each(item, out);
    }
    out.push(']');
}

fn map(value: &Value, out: &mut String, each: impl Fn(&Value, &mut String)) {
    let Some(entries) = value.as_object() else { return out.push_str("null") };
    let mut entries: Vec<(&String, &Value)> = entries.iter().collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    out.push('{');
    for (at, (key, entry)) in entries.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        text(key, out);
        out.push(':');
        each(entry, out);
    }
    out.push('}');
}

/// The type of what is in a list, a map or a pointer.
fn inner(go: &Go) -> Option<&Go> {
    match go {
        Go::Pointer(of) | Go::List(of) | Go::Map(_, of) => Some(of),
        Go::Named(of) => match of.shape() {
            Shape::Other(other) => inner(other),
            _ => None,
        },
        _ => None,
    }
}

/// `value`, which is of the type `sent` where the client sends it and of the type `go` here.
fn write(go: &Go, sent: Option<&Go>, value: &Value, out: &mut String) {
    let below = sent.and_then(inner);
    match go {
        Go::Pointer(_) | Go::Any if value.is_null() => out.push_str("null"),
        // A pointer on one side only.
        Go::Pointer(of) => {
            write(of, if matches!(sent, Some(Go::Pointer(_))) { below } else { sent }, value, out)
        }
        Go::List(_) if go.is_bytes() => plain(value, out),
        Go::List(of) => list(value, out, |item, out| write(of, below, item, out)),
        Go::Map(_, of) => map(value, out, |entry, out| write(of, below, entry, out)),
        Go::Named(of) => {
            let sent = if matches!(sent, Some(Go::Pointer(_))) { below } else { sent };
            match of.shape() {
                Shape::Other(other) => write(other, sent, value, out),
                _ => named(of, sent.and_then(named_type), value, out),
            }
        }
        Go::Text => text(value.as_str().unwrap_or_default(), out),
        Go::Boolean => plain(&value.as_bool().unwrap_or_default().into(), out),
        Go::Integer(..) | Go::Float if value.is_null() => out.push('0'),
        Go::Integer(..) | Go::Float | Go::Any => plain(value, out),
    }
}

fn named_type(go: &Go) -> Option<&'static Type> {
    match go {
        Go::Named(of) => Some(of),
        _ => None,
    }
}

fn named(of: &'static Type, sent: Option<&'static Type>, value: &Value, out: &mut String) {
    match of.shape() {
        Shape::Other(other) => write(other, None, value, out),
        Shape::Own(Own::Quantity) if value.is_null() => out.push_str("\"0\""),
        Shape::Own(Own::IntOrString) if value.is_null() => out.push('0'),
        Shape::Own(_) => plain(value, out),
        Shape::Struct(fields) => structure(of, fields, sent, value, out),
    }
}

/// The fields of [`Type`] `PodSpec` that are in the security context of the API server's.
const OF_THE_POD: [&str; 5] = ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "hostUsers"];

fn structure(of: &Type, fields: &[Field], sent: Option<&'static Type>, value: &Value, out: &mut String) {
    let mut first = true;
    out.push('{');
    for field in fields {
        if field.within.first() == Some(&"TypeMeta") && of.alias.starts_with("internal/") {
            continue;
        }
        let (value, sent) = source(field, sent, value);
        if is_omitted(field, &value) {
            continue;
        }
        if !first {
            out.push(',');
        }
        first = false;
        text(field.json, out);
        out.push(':');
        write(&field.go, sent.as_ref(), &value, out);
    }
    out.push('}');
}

/// Where the client sends the value of a field of the API server's type, and its type there.
fn source<'v>(field: &Field, sent: Option<&'static Type>, value: &'v Value) -> (Cow<'v, Value>, Option<Go>) {
    let name = field.go_name();
    let find = |of: &'static Type| of.fields().iter().find(|sent| sent.go_name() == name);
    let of = |value: &'v Value, json: &str| Cow::Borrowed(value.get(json).unwrap_or(&Value::Null));
    let metadata = || sent?.fields().iter().find(|sent| sent.json == "metadata");
    if field.within.first() == Some(&"ObjectMeta")
        && let Some(metadata) = metadata()
    {
        let metadata = value.get(metadata.json).unwrap_or(&Value::Null);
        return (of(metadata, field.json), Some(field.go.clone()));
    }
    match sent.and_then(find) {
        Some(found) if name == "SecurityContext" && sent.is_some_and(|sent| sent.name == "PodSpec") => {
            let mut context = value.get(found.json).and_then(Value::as_object).cloned().unwrap_or_default();
            let of_the_pod =
                OF_THE_POD.iter().filter_map(|name| Some(((*name).to_owned(), value.get(*name)?.clone())));
            context.extend(of_the_pod);
            (Cow::Owned(Value::Object(context)), Some(found.go.clone()))
        }
        Some(found) => (of(value, found.json), Some(found.go.clone())),
        None => {
            let mut json = name.into_owned();
            json[..1].make_ascii_lowercase();
            (of(value, &json), None)
        }
    }
}

/// Whether a tag of the field leaves `value` out.
fn is_omitted(field: &Field, value: &Value) -> bool {
    let is_empty = match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
    };
    let by_value = matches!(field.go, Go::Pointer(_)) || field.go.is_struct();
    let is_empty = if by_value { value.is_null() && !field.go.is_struct() } else { is_empty };
    field.omit_empty && is_empty
        || field.omit_zero && (value.is_null() || *value == Value::Object(Map::new()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn structs_are_shown_with_the_names_of_the_api_server() {
        let table = [
            (
                "RoleRef",
                json!({ "apiGroup": "a", "kind": "<R>" }),
                r#"{"APIGroup":"a","Kind":"\u003cR\u003e","Name":""}"#,
            ),
            (
                "StatefulSetUpdateStrategy",
                json!({ "type": "x", "rollingUpdate": { "partition": -1 } }),
                r#"{"Type":"x","RollingUpdate":{"Partition":-1,"MaxUnavailable":null}}"#,
            ),
            ("LabelSelector", json!({ "matchLabels": { "app": "a" } }), r#"{"matchLabels":{"app":"a"}}"#),
            ("LabelSelector", json!({}), "{}"),
            ("VolumeNodeAffinity", json!({}), r#"{"Required":null}"#),
            ("[]IngressRule", Value::Null, "null"),
            (
                "ServicePort",
                json!({ "port": 80, "targetPort": "web" }),
                r#"{"Name":"","Protocol":"","AppProtocol":null,"Port":80,"TargetPort":"web","NodePort":0}"#,
            ),
        ];
        for (name, value, expected) in table {
            assert_eq!(json(name, &value), expected, "{name}");
        }
        let template = json!({ "metadata": { "labels": { "a": "b" } },
                               "spec": { "hostNetwork": true, "containers": [{ "name": "c", "resources": {} }] } });
        let shown = json("PodTemplateSpec", &template);
        let begin = r#"{"labels":{"a":"b"},"Spec":{"Volumes":null,"InitContainers":null,"Containers":[{"Name":"c","Image":"","#;
        assert!(shown.starts_with(begin), "{shown}");
        assert!(shown.contains(r#""SecurityContext":{"HostNetwork":true,"HostPID":false,"#), "{shown}");
        assert!(shown.contains(r#""Resources":{"Limits":null,"Requests":null,"Claims":null}"#), "{shown}");
    }
}
