//! The environment of a container (`kubelet_pods.go`, makeEnvironmentVariables), and `$(VAR)` in commands and values
//! (`third_party/forked/golang/expansion`). Must not depend on how a container is started.

use std::collections::BTreeMap;

use clusterlocal_core::text::Quantity;
use data_encoding::BASE64;
use serde_json::Value;

use super::{ConfigError, Objects, list, text};

/// The environment of `container` in `pod`, whose status has its addresses: Service links, `envFrom`, `env` in order. Of names
/// that are there twice the last value counts.
///
/// # Errors
/// Where a ConfigMap, Secret or key is missing that is not optional, or a field is not one that can be referred to.
pub(crate) fn environment(
    pod: &Value,
    container: &Value,
    objects: &dyn Objects,
) -> Result<Vec<(String, String)>, ConfigError> {
    let namespace = text(pod, "/metadata/namespace");
    let mut given: Vec<(String, String)> = Vec::new();
    let links = service_links(pod, objects);
    for source in list(container, "/envFrom") {
        let prefix = text(source, "/prefix");
        for (kind, field) in [("ConfigMap", "configMapRef"), ("Secret", "secretRef")] {
            let Some(reference) = source.get(field) else { continue };
            let name = text(reference, "/name");
            match objects.get(kind, namespace, name) {
                Some(object) => {
                    for (key, value) in entries(kind, &object) {
                        set(&mut given, format!("{prefix}{key}"), value);
                    }
                }
                None if is_optional(reference) => {}
                None => return Err(missing(kind, name)),
            }
        }
    }
    for variable in list(container, "/env") {
        let name = text(variable, "/name");
        let value = match variable.get("valueFrom") {
            None => {
                let known = |name: &str| lookup(&given, name).or_else(|| links.get(name).cloned());
                Some(expand(text(variable, "/value"), known))
            }
            Some(from) => referred(pod, container, from, objects)?,
        };
        if let Some(value) = value {
            set(&mut given, name.to_string(), value);
        }
    }
    // What is given comes last: it counts.
    let mut all: Vec<(String, String)> =
        links.into_iter().filter(|(name, _)| lookup(&given, name).is_none()).collect();
    all.extend(given);
    Ok(all)
}

/// `$(NAME)` becomes what `known` has for it and stays where that is nothing; `$$` is `$`.
pub(crate) fn expand(input: &str, known: impl Fn(&str) -> Option<String>) -> String {
    let mut output = String::with_capacity(input.len());
    let mut rest = input;
    while let Some(at) = rest.find('$') {
        output.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            output.push('$');
            rest = after;
        } else if let Some((name, after)) = rest.strip_prefix('(').and_then(|inner| inner.split_once(')')) {
            match known(name) {
                Some(value) => output.push_str(&value),
                None => output.extend(["$(", name, ")"]),
            }
            rest = after;
        } else {
            output.push('$');
        }
    }
    output + rest
}

/// The value of a name in an environment.
pub(crate) fn lookup(environment: &[(String, String)], name: &str) -> Option<String> {
    environment.iter().find(|(there, _)| there == name).map(|(_, value)| value.clone())
}

fn set(environment: &mut Vec<(String, String)>, name: String, value: String) {
    environment.retain(|(there, _)| *there != name);
    environment.push((name, value));
}

/// The entries of a ConfigMap or Secret that are text.
fn entries(kind: &str, object: &Value) -> Vec<(String, String)> {
    let given = object.get("data").and_then(Value::as_object).into_iter().flatten();
    let text = given.filter_map(|(key, value)| Some((key.clone(), as_text(kind, value.as_str()?)?)));
    text.collect()
}

fn as_text(kind: &str, value: &str) -> Option<String> {
    decoded(kind, value).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// The contents of a value in `data`: text of a ConfigMap, base64 of a Secret.
pub(crate) fn decoded(kind: &str, value: &str) -> Option<Vec<u8>> {
    if kind == "ConfigMap" { Some(value.as_bytes().to_vec()) } else { BASE64.decode(value.as_bytes()).ok() }
}

pub(crate) fn is_optional(reference: &Value) -> bool {
    reference.get("optional").and_then(Value::as_bool).unwrap_or(false)
}

fn missing(kind: &str, name: &str) -> ConfigError {
    ConfigError::config(format!("{} \"{name}\" not found", kind.to_lowercase()))
}

/// The value that `valueFrom` refers to; `None` where it is optional and missing.
fn referred(
    pod: &Value,
    container: &Value,
    from: &Value,
    objects: &dyn Objects,
) -> Result<Option<String>, ConfigError> {
    if let Some(field) = from.get("fieldRef") {
        let path = text(field, "/fieldPath");
        let value = field_value(pod, path);
        let unknown = || ConfigError::config(format!("unsupported fieldPath: {path}"));
        return value.map(Some).ok_or_else(unknown);
    }
    if let Some(resource) = from.get("resourceFieldRef") {
        return Ok(Some(resource_value(pod, container, resource)));
    }
    let namespace = text(pod, "/metadata/namespace");
    for (kind, field) in [("ConfigMap", "configMapKeyRef"), ("Secret", "secretKeyRef")] {
        let Some(reference) = from.get(field) else { continue };
        let (name, key) = (text(reference, "/name"), text(reference, "/key"));
        let Some(object) = objects.get(kind, namespace, name) else {
            return if is_optional(reference) { Ok(None) } else { Err(missing(kind, name)) };
        };
        let value = object.get("data").and_then(|given| given.get(key)).and_then(Value::as_str);
        return match value.and_then(|value| as_text(kind, value)) {
            Some(value) => Ok(Some(value)),
            None if is_optional(reference) => Ok(None),
            None => Err(ConfigError::config(format!("couldn't find key {key} in {kind} {namespace}/{name}"))),
        };
    }
    Err(ConfigError::config("a value comes from a field, a resource, a ConfigMap or a Secret"))
}

/// The field of a pod at a path of the downward API (`fieldpath.ExtractFieldPathAsString`, podFieldSelectorRuntimeValue).
pub(crate) fn field_value(pod: &Value, path: &str) -> Option<String> {
    if let Some((map, key)) = subscript(path) {
        return match map {
            "metadata.labels" => Some(text_of_key(pod, "/metadata/labels", key)),
            "metadata.annotations" => Some(text_of_key(pod, "/metadata/annotations", key)),
            _ => None,
        };
    }
    let of_list = |pointer, field: &str| {
        let values = list(pod, pointer).iter().map(|value| text(value, field).to_string());
        values.collect::<Vec<_>>().join(",")
    };
    Some(match path {
        "metadata.name" => text(pod, "/metadata/name").to_string(),
        "metadata.namespace" => text(pod, "/metadata/namespace").to_string(),
        "metadata.uid" => text(pod, "/metadata/uid").to_string(),
        "metadata.labels" => all_of(pod, "/metadata/labels"),
        "metadata.annotations" => all_of(pod, "/metadata/annotations"),
        "spec.nodeName" => text(pod, "/spec/nodeName").to_string(),
        "spec.serviceAccountName" => text(pod, "/spec/serviceAccountName").to_string(),
        "status.hostIP" => text(pod, "/status/hostIP").to_string(),
        "status.hostIPs" => of_list("/status/hostIPs", "/ip"),
        "status.podIP" => text(pod, "/status/podIP").to_string(),
        "status.podIPs" => of_list("/status/podIPs", "/ip"),
        _ => return None,
    })
}

/// `metadata.labels['key']` as map and key.
fn subscript(path: &str) -> Option<(&str, &str)> {
    let (map, key) = path.split_once("['")?;
    Some((map, key.strip_suffix("']")?))
}

fn text_of_key(json: &Value, pointer: &str, key: &str) -> String {
    let value = json.pointer(pointer).and_then(|map| map.get(key)).and_then(Value::as_str);
    value.unwrap_or_default().to_string()
}

/// A map as the downward API writes it: `key="value"`, a line each, by key.
fn all_of(pod: &Value, pointer: &str) -> String {
    let map = pod.pointer(pointer).and_then(Value::as_object).into_iter().flatten();
    let sorted: BTreeMap<_, _> = map.collect();
    let lines =
        sorted.into_iter().map(|(key, value)| format!("{key}={:?}", value.as_str().unwrap_or_default()));
    lines.collect::<Vec<_>>().join("\n")
}

/// A request or limit of a container, in units of the divisor (`resource.ExtractContainerResourceValue`). Limits that are not
/// given are the node's capacity, which is the machine's.
pub(crate) fn resource_value(pod: &Value, container: &Value, reference: &Value) -> String {
    let name = text(reference, "/containerName");
    let all = list(pod, "/spec/containers").iter().chain(list(pod, "/spec/initContainers"));
    let named = all.into_iter().find(|container| !name.is_empty() && text(container, "/name") == name);
    let container = named.unwrap_or(container);
    let (group, resource) = text(reference, "/resource").split_once('.').unwrap_or_default();
    let given = container.pointer(&format!("/resources/{group}/{resource}")).and_then(Value::as_str);
    let thousandths = match (given.map(|text| Quantity::of(text).milli()), group, resource) {
        (Some(given), ..) => given,
        (None, "limits", "cpu") => {
            1000 * std::thread::available_parallelism().map_or(1, |cores| cores.get() as i128)
        }
        (None, "limits", "memory") => 1000 * memory_of_the_machine(),
        _ => 0,
    };
    let divisor = Some(Quantity::of(text(reference, "/divisor")).milli())
        .filter(|divisor| *divisor > 0)
        .unwrap_or(1000);
    (thousandths.div_euclid(divisor) + i128::from(thousandths.rem_euclid(divisor) > 0)).to_string()
}

/// Memory of the machine, in bytes; 0 if the system does not report it.
fn memory_of_the_machine() -> i128 {
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = info.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kilobytes = total.and_then(|total| total.trim().trim_end_matches(" kB").parse::<i128>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// `{SVC}_SERVICE_HOST` and the like of the Services of the namespace that have an address, and of `kubernetes`
/// (`pkg/kubelet/envvars`, FromServices).
fn service_links(pod: &Value, objects: &dyn Objects) -> BTreeMap<String, String> {
    let namespace = text(pod, "/metadata/namespace");
    let enabled = pod.pointer("/spec/enableServiceLinks").and_then(Value::as_bool).unwrap_or(true);
    let mut services = objects.services("default");
    services.retain(|service| text(service, "/metadata/name") == "kubernetes");
    if enabled {
        services.extend(objects.services(namespace));
    }
    let mut links = BTreeMap::new();
    for service in services {
        let address = text(&service, "/spec/clusterIP");
        let ports = list(&service, "/spec/ports");
        let Some(first) = ports.first().filter(|_| !address.is_empty() && address != "None") else {
            continue;
        };
        let name = constant(text(&service, "/metadata/name"));
        let number = |port: &Value| port.get("port").and_then(Value::as_u64).unwrap_or(0);
        let host = if address.contains(':') { format!("[{address}]") } else { address.to_string() };
        let mut set = |suffix: String, value: String| links.insert(format!("{name}_{suffix}"), value);
        set("SERVICE_HOST".into(), address.into());
        set("SERVICE_PORT".into(), number(first).to_string());
        for port in ports {
            let named = text(port, "/name");
            if !named.is_empty() {
                set(format!("SERVICE_PORT_{}", constant(named)), number(port).to_string());
            }
            let protocol = port.get("protocol").and_then(Value::as_str).unwrap_or("TCP");
            let lower = protocol.to_lowercase();
            let prefix = format!("PORT_{}_{protocol}", number(port));
            let url = format!("{lower}://{host}:{}", number(port));
            set(prefix.clone(), url.clone());
            set(format!("{prefix}_PROTO"), lower);
            set(format!("{prefix}_PORT"), number(port).to_string());
            set(format!("{prefix}_ADDR"), address.to_string());
            if std::ptr::eq(port, first) {
                set("PORT".into(), url);
            }
        }
    }
    links
}

/// A name as a part of an environment variable's.
fn constant(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    struct Namespace;

    impl Objects for Namespace {
        fn get(&self, kind: &str, _: &str, name: &str) -> Option<Value> {
            match (kind, name) {
                ("ConfigMap", "ring") => Some(json!({"data": {"SEEDS": "a,b", "port": "9042"}})),
                ("Secret", "login") => Some(json!({"data": {"password": "c2VjcmV0"}})),
                _ => None,
            }
        }

        fn token(&self, _: &str, _: &str, _: &str, _: u64) -> Option<String> {
            None
        }

        fn services(&self, namespace: &str) -> Vec<Value> {
            match namespace {
                "default" => vec![json!({"metadata": {"name": "kubernetes"}, "spec": {
                    "clusterIP": "10.96.0.1", "ports": [{"name": "https", "port": 443, "protocol": "TCP"}]}})],
                _ => vec![
                    json!({"metadata": {"name": "my-db"}, "spec": {"clusterIP": "10.96.0.7", "ports": [{"port": 53, "protocol": "UDP"}]}}),
                    json!({"metadata": {"name": "headless"}, "spec": {"clusterIP": "None", "ports": [{"port": 1}]}}),
                ],
            }
        }
    }

    fn pod() -> Value {
        json!({
            "metadata": {"name": "ring-0", "namespace": "data", "uid": "u", "labels": {"app": "ring"}},
            "spec": {"nodeName": "node-1"},
            "status": {"podIP": "10.244.0.5", "podIPs": [{"ip": "10.244.0.5"}, {"ip": "fd00::5"}], "hostIP": "172.18.0.2"},
        })
    }

    #[test]
    fn references_are_expanded() {
        let table = [
            ("$(NAME)", "value"),
            ("a-$(NAME)-b", "a-value-b"),
            ("$(OTHER)", "$(OTHER)"),
            ("$$(NAME)", "$(NAME)"),
            ("$$$(NAME)", "$value"),
            ("$NAME $ $(NAME", "$NAME $ $(NAME"),
            ("cost: 5$", "cost: 5$"),
        ];
        let known = |name: &str| (name == "NAME").then(|| "value".to_string());
        for (input, expected) in table {
            assert_eq!(expand(input, known), expected, "{input}");
        }
    }

    #[test]
    fn environment_of_a_container() {
        let container = json!({
            "envFrom": [{"prefix": "RING_", "configMapRef": {"name": "ring"}}, {"secretRef": {"name": "none", "optional": true}}],
            "resources": {"limits": {"memory": "64Mi"}},
            "env": [
                {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "ADDRESSES", "valueFrom": {"fieldRef": {"fieldPath": "status.podIPs"}}},
                {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
                {"name": "URL", "value": "http://$(POD_NAME).$(RING_port)/$(MY_DB_SERVICE_HOST)"},
                {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "login", "key": "password"}}},
                {"name": "ABSENT", "valueFrom": {"configMapKeyRef": {"name": "ring", "key": "x", "optional": true}}},
                {"name": "MEMORY", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
                {"name": "APP", "value": "last"},
            ],
        });
        let environment = environment(&pod(), &container, &Namespace).unwrap();
        let expected = [
            ("POD_NAME", Some("ring-0")),
            ("ADDRESSES", Some("10.244.0.5,fd00::5")),
            ("APP", Some("last")),
            ("URL", Some("http://ring-0.9042/10.96.0.7")),
            ("PASSWORD", Some("secret")),
            ("ABSENT", None),
            ("MEMORY", Some("64")),
            ("RING_SEEDS", Some("a,b")),
            ("KUBERNETES_SERVICE_HOST", Some("10.96.0.1")),
            ("KUBERNETES_SERVICE_PORT_HTTPS", Some("443")),
            ("KUBERNETES_PORT_443_TCP_ADDR", Some("10.96.0.1")),
            ("MY_DB_PORT", Some("udp://10.96.0.7:53")),
            ("HEADLESS_SERVICE_HOST", None),
        ];
        for (name, value) in expected {
            assert_eq!(lookup(&environment, name).as_deref(), value, "{name}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let table = [
            (json!({"envFrom": [{"configMapRef": {"name": "none"}}]}), "configmap \"none\" not found"),
            (
                json!({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "login", "key": "user"}}}]}),
                "couldn't find key user in Secret data/login",
            ),
        ];
        for (container, expected) in table {
            let error = environment(&pod(), &container, &Namespace).unwrap_err();
            assert_eq!((error.reason, error.message.as_str()), ("CreateContainerConfigError", expected));
        }
    }
}
