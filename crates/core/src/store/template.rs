//! Pod templates and pod specs as the API shows them: the source with the defaults of kube-apiserver
//! (`pkg/apis/core/v1/defaults.go`). Templates are compared after defaulting: a pod is not replaced because a default
//! was written explicitly.

use serde_json::{Map, Value, json};

use super::container::Container;
use super::json::{fill, object, objects, put_labels, without_nulls};
use super::pod::{Pod, PodSpec, PodTemplate, Toleration};

impl PodTemplate {
    /// The template as JSON, with defaults.
    pub fn json(&self) -> Value {
        let given = self.given.as_ref().map(|given| given.json());
        let mut template = given.and_then(Value::as_object).map(without_nulls).unwrap_or_default();
        let metadata = object(&mut template, "metadata");
        put_labels(metadata, "labels", &self.metadata.labels);
        put_labels(metadata, "annotations", &self.metadata.annotations);
        if given.is_none() {
            template.insert("spec".into(), spec_json(&self.spec));
        }
        fill_pod_spec(object(&mut template, "spec"));
        template.into()
    }
}

impl PartialEq for PodTemplate {
    fn eq(&self, other: &Self) -> bool {
        let same_fields = self.metadata == other.metadata && self.spec == other.spec;
        (same_fields && self.given == other.given)
            // The fields that are read can differ only if the JSON does, unless there is no source.
            || ((self.given.is_some() || other.given.is_some()) && self.json() == other.json())
    }
}

impl Eq for PodTemplate {}

/// The image of a container without one: it only waits.
const IMAGE: &str = "registry.k8s.io/pause:3.10";

/// The fields of `spec` as JSON, for a spec without a source.
pub fn spec_json(spec: &PodSpec) -> Value {
    let containers = |all: &[Container]| all.iter().map(container_json).collect::<Vec<Value>>();
    let mut json = Map::new();
    json.insert("containers".into(), containers(&spec.shared.containers).into());
    if !spec.shared.init_containers.is_empty() {
        json.insert("initContainers".into(), containers(&spec.shared.init_containers).into());
    }
    if spec.is_on_host_network() {
        json.insert("hostNetwork".into(), true.into());
    }
    for (field, name) in
        [("hostname", &spec.hostname), ("subdomain", &spec.shared.subdomain), ("nodeName", &spec.node_name)]
    {
        if !name.is_empty() {
            json.insert(field.into(), name.as_str().into());
        }
    }
    if let Some(seconds) = spec.shared.termination_grace_period_seconds {
        json.insert("terminationGracePeriodSeconds".into(), seconds.into());
    }
    if !spec.shared.tolerations.is_empty() {
        json.insert("tolerations".into(), spec.shared.tolerations.iter().map(toleration_json).collect());
    }
    json.into()
}

/// The spec of a pod as JSON: its own source, or its template's.
pub(crate) fn pod_spec(pod: &Pod) -> Value {
    let given = pod.metadata.given.as_ref().and_then(|given| given.json().get("spec"));
    match (given, &pod.spec.shared.template) {
        (Some(spec), _) => spec.clone(),
        (None, Some(template)) => template.json().get_mut("spec").map(Value::take).unwrap_or_default(),
        (None, None) => spec_json(&pod.spec),
    }
}

fn container_json(container: &Container) -> Value {
    let mut json = Map::new();
    json.insert("name".into(), container.name.as_str().into());
    json.insert("image".into(), IMAGE.into());
    if !container.ports.is_empty() {
        let ports = container.ports.iter().map(|port| {
            let mut json =
                json!({ "containerPort": port.container_port, "protocol": port.protocol.as_str() });
            if !port.name.is_empty() {
                json["name"] = port.name.as_str().into();
            }
            json
        });
        json.insert("ports".into(), ports.collect());
    }
    if let Some(policy) = &container.restart_policy {
        json.insert("restartPolicy".into(), policy.as_str().into());
    }
    json.into()
}

fn toleration_json(toleration: &Toleration) -> Value {
    let mut json = Map::new();
    let fields = [
        ("key", &toleration.key),
        ("operator", &toleration.operator),
        ("value", &toleration.value),
        ("effect", &toleration.effect),
    ];
    for (field, value) in fields {
        if !value.is_empty() {
            json.insert(field.into(), value.as_str().into());
        }
    }
    if let Some(seconds) = toleration.toleration_seconds {
        json.insert("tolerationSeconds".into(), seconds.into());
    }
    json.into()
}

/// Fills in the defaults of a pod spec: of a pod, or of a template.
pub fn fill_pod_spec(spec: &mut Map<String, Value>) {
    fill(spec, "dnsPolicy", "ClusterFirst");
    fill(spec, "restartPolicy", "Always");
    fill(spec, "schedulerName", "default-scheduler");
    fill(spec, "securityContext", json!({}));
    fill(spec, "terminationGracePeriodSeconds", 30);
    let on_host = spec.get("hostNetwork") == Some(&Value::Bool(true));
    for list in ["initContainers", "containers"] {
        objects(spec, list).for_each(|container| fill_container(container, on_host));
    }
    objects(spec, "volumes").for_each(fill_volume);
}

fn fill_container(container: &mut Map<String, Value>, on_host: bool) {
    let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
    let policy = if is_latest(image) { "Always" } else { "IfNotPresent" };
    fill(container, "imagePullPolicy", policy);
    fill(container, "resources", json!({}));
    fill(container, "terminationMessagePath", "/dev/termination-log");
    fill(container, "terminationMessagePolicy", "File");
    for port in objects(container, "ports") {
        fill(port, "protocol", "TCP");
        if on_host && let Some(number) = port.get("containerPort").cloned() {
            fill(port, "hostPort", number);
        }
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(Value::Object(probe)) = container.get_mut(probe) {
            fill(probe, "timeoutSeconds", 1);
            fill(probe, "periodSeconds", 10);
            fill(probe, "successThreshold", 1);
            fill(probe, "failureThreshold", 3);
            if let Some(Value::Object(get)) = probe.get_mut("httpGet") {
                fill(get, "path", "/");
                fill(get, "scheme", "HTTP");
            }
        }
    }
    for variable in objects(container, "env") {
        if let Some(Value::Object(reference)) =
            variable.get_mut("valueFrom").and_then(|from| from.get_mut("fieldRef"))
        {
            fill(reference, "apiVersion", "v1");
        }
    }
}

/// Whether an image reference has the tag `latest`, or neither tag nor digest.
fn is_latest(image: &str) -> bool {
    let name = image.rsplit('/').next().unwrap_or_default();
    !name.contains('@') && name.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

fn fill_volume(volume: &mut Map<String, Value>) {
    for source in ["secret", "configMap", "projected", "downwardAPI"] {
        if let Some(Value::Object(source)) = volume.get_mut(source) {
            fill(source, "defaultMode", 0o644);
        }
    }
    if let Some(Value::Object(path)) = volume.get_mut("hostPath") {
        fill(path, "type", "");
    }
    if volume.len() == 1 && volume.contains_key("name") {
        volume.insert("emptyDir".into(), json!({}));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Given, Part, SharedSpec};

    fn template(json: Value) -> PodTemplate {
        let mut template: PodTemplate = serde_json::from_value(json.clone()).expect("a template");
        template.given = Some(Part::new(&Given::from(json), ""));
        template
    }

    #[test]
    fn an_explicit_default_does_not_change_a_template() {
        let bare = template(json!({
            "metadata": { "creationTimestamp": null, "labels": { "a": "b" } },
            "spec": { "containers": [{ "name": "c", "image": "i:1", "ports": [{ "containerPort": 1 }] }] },
        }));
        let full = template(bare.json());
        assert_eq!(bare, full);
        assert_eq!(full.spec.shared.termination_grace_period_seconds, Some(30));
        let mut other = full.json();
        other["spec"]["containers"][0]["image"] = "i:2".into();
        assert_ne!(bare, template(other));
        let mut labelled = bare.clone();
        labelled.metadata.labels = labelled.metadata.labels.with([("pod-template-hash", "x")]);
        assert_ne!(bare, labelled);
    }

    #[test]
    fn a_template_without_a_source_equals_its_json() {
        let container = Container { name: arcstr::literal!("c"), ..Container::default() };
        let spec = SharedSpec { containers: [container].into(), host_network: true, ..SharedSpec::default() };
        let spec = PodSpec { shared: spec.into(), ..PodSpec::default() };
        let made = PodTemplate { spec, ..PodTemplate::default() };
        assert_eq!(made, template(made.json()));
        assert_eq!(made, made.clone());
        assert_ne!(made, PodTemplate::default());
    }

    #[test]
    fn defaults_are_filled_in() {
        let spec = json!({
            "hostNetwork": true,
            "containers": [
                { "name": "a", "image": "x/y", "ports": [{ "containerPort": 9 }] },
                {
                    "name": "b",
                    "image": "localhost:5000/y@sha256:0",
                    "readinessProbe": { "httpGet": { "port": 1 } },
                    "env": [{ "name": "E", "valueFrom": { "fieldRef": { "fieldPath": "status.podIP" } } }],
                },
                { "name": "c", "image": "y:latest", "imagePullPolicy": "Never" },
            ],
            "volumes": [{ "name": "v" }, { "name": "w", "configMap": { "name": "m" } }],
        });
        let json = template(json!({ "spec": spec })).json();
        let table = [
            ("/spec/restartPolicy", json!("Always")),
            ("/spec/containers/0/imagePullPolicy", json!("Always")),
            ("/spec/containers/0/ports/0", json!({ "containerPort": 9, "hostPort": 9, "protocol": "TCP" })),
            ("/spec/containers/1/imagePullPolicy", json!("IfNotPresent")),
            (
                "/spec/containers/1/readinessProbe/httpGet",
                json!({ "port": 1, "path": "/", "scheme": "HTTP" }),
            ),
            ("/spec/containers/1/env/0/valueFrom/fieldRef/apiVersion", json!("v1")),
            ("/spec/containers/2/imagePullPolicy", json!("Never")),
            ("/spec/volumes/0/emptyDir", json!({})),
            ("/spec/volumes/1/configMap/defaultMode", json!(420)),
        ];
        for (pointer, expected) in table {
            assert_eq!(json.pointer(pointer), Some(&expected), "{pointer}");
        }
    }
}
