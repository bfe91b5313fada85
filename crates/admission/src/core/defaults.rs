//! Takes the place of `pkg/apis/core/v1/defaults.go`: defaults of Pods and of what pod templates share (`SetObjectDefaults_Pod`, `SetDefaults_PodSpec`, `SetDefaults_Container`).

use serde_json::{Map, Value, json};

use super::volumes;
use crate::primitives::defaults::round_up;
use crate::primitives::defaults::set_if_zero;
use clusterlocal_core::store::fill;

/// `SetObjectDefaults_Pod`
pub(crate) fn default_pod(pod: &mut Value) {
    if !pod["spec"].is_object() {
        pod["spec"] = json!({});
    }
    set_defaults_pod(&mut pod["spec"]);
    default_pod_spec(&mut pod["spec"]);
    // `Convert_v1_Pod_To_core_Pod`
    if pod["spec"]["terminationGracePeriodSeconds"].as_i64().is_some_and(|seconds| seconds < 0) {
        pod["spec"]["terminationGracePeriodSeconds"] = 1.into();
    }
    if let Some(annotations) = pod.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        for version in ["alpha", "beta"] {
            annotations.remove(&format!("pod.{version}.kubernetes.io/init-containers"));
            annotations.remove(&format!("pod.{version}.kubernetes.io/init-container-statuses"));
        }
    }
}

/// `SetDefaults_Pod`: what only Pods have by default, and templates do not.
fn set_defaults_pod(spec: &mut Value) {
    let on_host = spec["hostNetwork"] == true;
    for list in ["containers", "initContainers"] {
        for container in items(spec, list) {
            default_requests(container);
            if on_host {
                default_host_ports(container);
            }
        }
    }
    default_pod_requests(spec);
    if let Some(spec) = spec.as_object_mut() {
        fill(spec, "enableServiceLinks", true);
    }
}

/// What is limited is requested as well.
fn default_requests(container: &mut Value) {
    let Some(limits) = container["resources"]["limits"].as_object().cloned() else { return };
    if let Some(resources) = container["resources"].as_object_mut() {
        let requests = resources.entry("requests").or_insert_with(|| json!({}));
        if let Some(requests) = requests.as_object_mut() {
            for (name, amount) in limits {
                requests.entry(name).or_insert(amount);
            }
            if requests.is_empty() {
                resources.remove("requests");
            }
        }
    }
}

/// `defaultHostNetworkPorts`
fn default_host_ports(container: &mut Value) {
    for port in items(container, "ports").filter_map(Value::as_object_mut) {
        if let Some(number) = port.get("containerPort").cloned() {
            set_if_zero(port, "hostPort", number);
        }
    }
}

/// `defaultPodRequests`, for the resources that a whole Pod can have.
fn default_pod_requests(spec: &mut Value) {
    let Some(limits) = spec["resources"]["limits"].as_object().filter(|limits| !limits.is_empty()).cloned()
    else {
        return;
    };
    let Some(resources) = spec["resources"].as_object_mut() else { return };
    let requests = resources.entry("requests").or_insert_with(|| json!({}));
    let Some(requests) = requests.as_object_mut() else { return };
    for (name, limit) in limits {
        if matches!(name.as_str(), "cpu" | "memory") || name.starts_with("hugepages-") {
            requests.entry(name).or_insert(limit);
        }
    }
}

/// `SetDefaults_PodSpec` and the defaults of everything in it, as pod templates have them too.
pub(crate) fn default_pod_spec(spec: &mut Value) {
    if let Some(volumes) = spec.get_mut("volumes") {
        volumes::default_volumes(volumes);
        write_sources(volumes);
    }
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for container in items(spec, list) {
            default_container(container);
        }
    }
    for list in ["/overhead", "/resources/limits", "/resources/requests"] {
        round_up(spec.pointer_mut(list));
    }
    let Some(spec) = spec.as_object_mut() else { return };
    set_if_zero(spec, "dnsPolicy", "ClusterFirst");
    set_if_zero(spec, "restartPolicy", "Always");
    fill(spec, "securityContext", json!({}));
    fill(spec, "terminationGracePeriodSeconds", 30);
    set_if_zero(spec, "schedulerName", "default-scheduler");
    // The two names of the service account are one field of the internal type.
    for (field, other) in [("serviceAccountName", "serviceAccount"), ("serviceAccount", "serviceAccountName")]
    {
        match spec.get(other).cloned() {
            Some(name) if field == "serviceAccount" => drop(spec.insert(field.into(), name)),
            Some(name) => set_if_zero(spec, field, name),
            None => {}
        }
    }
}

/// A projected volume without sources is written with `sources: null`.
fn write_sources(volumes: &mut Value) {
    for volume in volumes.as_array_mut().into_iter().flatten() {
        if let Some(projected) = volume.get_mut("projected").and_then(Value::as_object_mut) {
            projected.entry("sources").or_insert(Value::Null);
        }
    }
}

/// `SetDefaults_Container`, and the defaults of what is in a container.
fn default_container(container: &mut Value) {
    for list in ["/resources/limits", "/resources/requests"] {
        round_up(container.pointer_mut(list));
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = container.get_mut(probe).and_then(Value::as_object_mut) {
            for (field, number) in [
                ("timeoutSeconds", 1),
                ("periodSeconds", 10),
                ("successThreshold", 1),
                ("failureThreshold", 3),
            ] {
                set_if_zero(probe, field, number);
            }
            default_handler(probe);
        }
    }
    if let Some(lifecycle) = container.get_mut("lifecycle") {
        for hook in ["postStart", "preStop"] {
            if let Some(hook) = lifecycle.get_mut(hook).and_then(Value::as_object_mut) {
                default_handler(hook);
            }
        }
    }
    for port in items(container, "ports").filter_map(Value::as_object_mut) {
        set_if_zero(port, "protocol", "TCP");
    }
    for variable in items(container, "env") {
        let Some(from) = variable.get_mut("valueFrom") else { continue };
        for (source, field, value) in [
            ("fieldRef", "apiVersion", json!("v1")),
            ("fileKeyRef", "optional", json!(false)),
            ("resourceFieldRef", "divisor", json!("0")),
        ] {
            if let Some(source) = from.get_mut(source).and_then(Value::as_object_mut) {
                set_if_zero(source, field, value);
            }
        }
    }
    let Some(container) = container.as_object_mut() else { return };
    let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
    let policy = if is_latest(image) { "Always" } else { "IfNotPresent" };
    set_if_zero(container, "imagePullPolicy", policy);
    set_if_zero(container, "terminationMessagePath", "/dev/termination-log");
    set_if_zero(container, "terminationMessagePolicy", "File");
    fill(container, "resources", json!({}));
}

fn default_handler(handler: &mut Map<String, Value>) {
    if let Some(get) = handler.get_mut("httpGet").and_then(Value::as_object_mut) {
        set_if_zero(get, "path", "/");
        set_if_zero(get, "scheme", "HTTP");
    }
    if let Some(grpc) = handler.get_mut("grpc").and_then(Value::as_object_mut) {
        fill(grpc, "service", "");
    }
}

/// Whether the tag of an image reference is `latest`, which it is also if there is neither a tag nor a digest. What is no
/// reference has none (`parsers.ParseImageName`).
pub(crate) fn is_latest(image: &str) -> bool {
    let (name, digest) = match image.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (image, None),
    };
    let slash = name.rfind('/').map_or(0, |at| at + 1);
    let (path, tag) = match name[slash..].find(':') {
        Some(colon) => (&name[..slash + colon], Some(&name[slash + colon + 1..])),
        None => (name, None),
    };
    is_repository(path)
        && match tag {
            Some(tag) => tag == "latest",
            None => digest.is_none(),
        }
}

/// Whether `path` is a repository as `reference.ParseNormalizedNamed` takes it: a domain may have capital letters.
fn is_repository(path: &str) -> bool {
    let is_domain =
        |part: &str| part.contains(['.', ':']) || part == "localhost" || part != part.to_lowercase();
    let mut parts: Vec<&str> = path.split('/').collect();
    if parts.len() > 1 && is_domain(parts[0]) {
        let host = parts.remove(0);
        let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
        if host.is_empty() || !host.chars().all(is_host) {
            return false;
        }
    } else if parts.len() == 1
        && path.len() == 64
        && path.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    {
        return false;
    }
    parts.iter().all(|part| is_path_component(part)) && path.len() <= 255
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_path_component(part: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = part.as_bytes();
    if !bytes.first().copied().is_some_and(is_word) || !bytes.last().copied().is_some_and(is_word) {
        return false;
    }
    let separators = part.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    separators
        .filter(|text| !text.is_empty())
        .all(|text| matches!(text, "." | "_" | "__") || text.bytes().all(|b| b == b'-'))
}

/// The items of a list that may not be there.
pub(crate) fn items<'o>(of: &'o mut Value, list: &str) -> impl Iterator<Item = &'o mut Value> + use<'o> {
    of.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_without_a_tag_are_the_latest() {
        let table = [
            ("nginx", true),
            ("nginx:1", false),
            ("nginx:latest", true),
            ("host:5000/a/b", true),
            ("host:5000/a/b:latest", true),
            ("nginx@sha256:0123", false),
            ("Nginx", false),
            ("a b", false),
            ("", false),
        ];
        for (image, latest) in table {
            assert_eq!(is_latest(image), latest, "{image}");
        }
    }
}
