//! Secrets (`pkg/registry/core/secret/strategy.go`, `ValidateSecret`).

use serde_json::{Map, Value};

use super::config::CONTENT_MAX;
use super::validation::metadata;
use super::volumes::put_default;
use crate::field::{At, Causes};
use crate::primitives::metadata::validate_immutable;
use crate::primitives::names;
use crate::schema::{to_base64, unbase64};
use crate::strategy::Strategy;

pub(crate) const SECRET: Strategy = Strategy {
    default: |secret| {
        put_default(secret, "type", "Opaque");
        merge_string_data(secret);
    },
    prepare_for_update: |secret, before| {
        if secret["type"] == "" {
            secret["type"] = before["type"].clone();
        }
    },
    validate: validate_secret,
    validate_update: validate_secret_update,
    warnings: warnings_for_secret,
    ..Strategy::of("", "Secret", true)
};

/// `Convert_v1_Secret_To_core_Secret`: what is written as text wins over `data`.
fn merge_string_data(secret: &mut Value) {
    let Some(secret) = secret.as_object_mut() else { return };
    let Some(Value::Object(strings)) = secret.remove("stringData") else { return };
    if strings.is_empty() {
        return;
    }
    let data = secret.entry("data").or_insert_with(|| Map::new().into());
    if let Some(data) = data.as_object_mut() {
        data.extend(strings.into_iter().map(|(key, text)| {
            let text = text.as_str().unwrap_or_default();
            (key, to_base64(text.as_bytes()).into())
        }));
    }
}

fn bytes(value: &At<'_>) -> Vec<u8> {
    unbase64(value.text().as_bytes()).unwrap_or_default()
}

fn validate_secret(secret: &At<'_>, causes: &mut Causes) {
    metadata::validate_object_meta(&secret.at("metadata"), true, names::dns_subdomain, causes);
    let data = secret.at("data");
    let mut size = 0;
    for (key, value) in data.entries() {
        for fault in names::config_map_key(key) {
            causes.invalid(&value, key, &fault);
        }
        size += bytes(&value).len();
    }
    if size > CONTENT_MAX {
        causes.too_long(&data, CONTENT_MAX);
    }
    let has = |key: &str| data.value().get(key).is_some();
    let require = |keys: &[&str], causes: &mut Causes| {
        for key in keys.iter().filter(|key| !has(key)) {
            causes.required(&data.key(key), "");
        }
    };
    match secret.at("type").text() {
        "kubernetes.io/service-account-token" => {
            let account = secret.at("metadata.annotations").key("kubernetes.io/service-account.name");
            if account.is_empty() {
                causes.required(&account, "");
            }
        }
        "kubernetes.io/dockercfg" => validate_json(&data.key(".dockercfg"), causes),
        "kubernetes.io/dockerconfigjson" => validate_json(&data.key(".dockerconfigjson"), causes),
        "kubernetes.io/basic-auth" if !has("username") && !has("password") => {
            require(&["username", "password"], causes);
        }
        "kubernetes.io/ssh-auth" if data.key("ssh-privatekey").is_empty() => {
            causes.required(&data.key("ssh-privatekey"), "");
        }
        "kubernetes.io/tls" => require(&["tls.crt", "tls.key"], causes),
        _ => {}
    }
}

/// What has to be a JSON object. The content is not shown.
fn validate_json(value: &At<'_>, causes: &mut Causes) {
    if !value.is_set() {
        causes.required(value, "");
        return;
    }
    if let Some(why) = json_fault(&bytes(value)) {
        causes.invalid(value, "<secret contents redacted>", &why);
    }
}

/// The error of Go's `json.Unmarshal` into a map.
fn json_fault(json: &[u8]) -> Option<String> {
    let type_name = match serde_json::from_slice::<Value>(json) {
        Ok(Value::Object(_) | Value::Null) => return None,
        Ok(Value::Array(_)) => "array",
        Ok(Value::String(_)) => "string",
        Ok(Value::Bool(_)) => "bool",
        Ok(Value::Number(_)) => "number",
        Err(error) if error.is_eof() => return Some("unexpected end of JSON input".into()),
        Err(error) => return Some(syntax_fault(json, error.column())),
    };
    Some(format!("json: cannot unmarshal {type_name} into Go value of type map[string]interface {{}}"))
}

/// The words of Go's scanner for the places where a hand-written file goes wrong.
fn syntax_fault(json: &[u8], column: usize) -> String {
    let text = String::from_utf8_lossy(json);
    let line_start = text.rfind('\n').filter(|_| text.lines().count() == 1).map_or(0, |at| at + 1);
    let at = line_start + column.saturating_sub(1);
    let found = text.get(at..).and_then(|rest| rest.chars().next()).unwrap_or(' ');
    let before = text.get(..at).unwrap_or_default().trim_end();
    let place = match before.chars().next_back() {
        None | Some(':' | '[') => "looking for beginning of value",
        Some('{') => "looking for beginning of object key string",
        Some(',') if before.starts_with('{') => "looking for beginning of object key string",
        Some(',') => "looking for beginning of value",
        Some('}') if before.starts_with('{') => "after top-level value",
        Some(_) if before.starts_with('[') => "after array element",
        Some(_) if before.rfind(':') < before.rfind([',', '{']) => "after object key",
        Some(_) => "after object key:value pair",
    };
    format!("invalid character '{found}' {place}")
}

fn validate_secret_update(secret: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    metadata::validate_object_meta_update(&secret.at("metadata"), &before.at("metadata"), causes);
    validate_immutable(&secret.at("type"), &before.at("type"), causes);
    if before.at("immutable").is_true() {
        if !secret.at("immutable").is_true() {
            causes.forbidden(&secret.at("immutable"), "field is immutable when `immutable` is set");
        }
        if secret.at("data").value() != before.at("data").value() {
            causes.forbidden(&secret.at("data"), "field is immutable when `immutable` is set");
        }
    }
    validate_secret(secret, causes);
}

/// `warningsForSecret`: as far as the form of the certificate goes.
fn warnings_for_secret(secret: &Value, _: Option<&Value>) -> Vec<String> {
    let root = At::root(secret);
    if root.at("type").text() != "kubernetes.io/tls" {
        return Vec::new();
    }
    let has = |key: &str, label: &str| {
        let content = bytes(&root.at("data").key(key));
        String::from_utf8_lossy(&content).contains(label)
    };
    let fault = match (has("tls.crt", "-----BEGIN "), has("tls.key", "-----BEGIN ")) {
        (false, _) => Some("tls: failed to find any PEM data in certificate input"),
        (true, false) => Some("tls: failed to find any PEM data in key input"),
        (true, true) => None,
    };
    fault.map(Into::into).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn types_have_their_keys() {
        let docker = to_base64(b"[]");
        let table = [
            (
                json!({ "type": "kubernetes.io/tls" }),
                "data[tls.crt]: Required value, data[tls.key]: Required value",
            ),
            (json!({ "type": "kubernetes.io/basic-auth", "data": { "username": "" } }), ""),
            (
                json!({ "type": "kubernetes.io/dockercfg", "data": { ".dockercfg": docker } }),
                "data[.dockercfg]: Invalid value: \"<secret contents redacted>\": json: cannot unmarshal array into Go value of type map[string]interface {}",
            ),
        ];
        for (mut secret, expected) in table {
            secret["metadata"] = json!({ "name": "a", "namespace": "b" });
            let mut causes = Causes::default();
            validate_secret(&At::root(&secret), &mut causes);
            let messages: Vec<String> = causes.into_vec().iter().map(ToString::to_string).collect();
            assert_eq!(messages.join(", "), expected);
        }
    }
}
