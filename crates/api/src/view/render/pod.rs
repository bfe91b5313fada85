//! Pods: the objects they were created from, with the fields that admission and defaulting add.

use serde_json::{Map, Value, json};

use super::{Shown, pod_status, put};
use crate::schema::field;
use clusterlocal_core::store::{Kind, Pod};
use clusterlocal_core::store::{fill, objects, spec_json};

pub(super) fn pod(shown: &mut Shown<'_>, pod: &Pod) {
    if !shown.has("spec") {
        let spec = match &pod.spec.shared.template {
            Some(template) => template.json().get_mut("spec").map(Value::take).unwrap_or_default(),
            None => spec_json(&pod.spec),
        };
        shown.json.insert("spec".into(), spec);
        if is_daemon(shown.spec(), pod) {
            bind_to_node(shown.spec(), pod);
        }
        if is_indexed(pod) {
            add_completion_index(shown.spec());
        }
    }
    let spec = shown.spec();
    put(spec, "nodeName", pod.spec.node_name.as_str());
    put(spec, "hostname", pod.spec.hostname.as_str());
    put(spec, "subdomain", pod.spec.shared.subdomain.as_str());
    mount_claims(spec, pod);
    fill(spec, "priority", 0);
    fill(spec, "preemptionPolicy", "PreemptLowerPriority");
    shown.fill_in();
    let spec = shown.spec();
    let account = spec["serviceAccountName"].clone();
    fill(spec, "serviceAccount", account);
    pod_status::status(shown, pod);
}

/// Whether a DaemonSet created the pod from a template with this `spec`. An orphaned pod no longer has that owner, but
/// still tolerates more than its template.
fn is_daemon(spec: &Map<String, Value>, pod: &Pod) -> bool {
    let of_template = spec.get("tolerations").and_then(Value::as_array).map_or(0, Vec::len);
    pod.metadata.controller().is_some_and(|owner| owner.kind == Kind::DaemonSet)
        || pod.spec.shared.tolerations.len() > of_template
}

/// The additions of the DaemonSet controller to its template: tolerations, and the node of the pod
/// (AddOrUpdateDaemonPodTolerations, ReplaceDaemonSetPodNodeNameNodeAffinity).
fn bind_to_node(spec: &mut Map<String, Value>, pod: &Pod) {
    let mut added = spec_json(&pod.spec);
    put(spec, "tolerations", added["tolerations"].take());
    let fields =
        json!([{ "key": "metadata.name", "operator": "In", "values": [pod.spec.node_name.as_str()] }]);
    let affinity =
        clusterlocal_core::store::object(clusterlocal_core::store::object(spec, "affinity"), "nodeAffinity");
    let required =
        clusterlocal_core::store::object(affinity, "requiredDuringSchedulingIgnoredDuringExecution");
    fill(required, "nodeSelectorTerms", json!([{}]));
    objects(required, "nodeSelectorTerms").for_each(|term| {
        term.insert("matchFields".into(), fields.clone());
    });
}

/// The label with the index of a pod of a Job (`JobCompletionIndexAnnotation`).
const COMPLETION_INDEX: &str = "batch.kubernetes.io/job-completion-index";

/// Whether a Job made the pod for one of its indexes.
fn is_indexed(pod: &Pod) -> bool {
    let metadata = &pod.metadata;
    metadata.controller().is_some_and(|owner| owner.kind == Kind::Job)
        && metadata.labels.get(COMPLETION_INDEX).is_some()
}

/// The variable that the Job controller adds to containers which do not have it (`addCompletionIndexEnvVariables`).
fn add_completion_index(spec: &mut Map<String, Value>) {
    const NAME: &str = "JOB_COMPLETION_INDEX";
    for list in ["initContainers", "containers"] {
        objects(spec, list).for_each(|container| {
            let env = container.entry("env").or_insert_with(|| json!([]));
            let Some(env) = env.as_array_mut().filter(|env| env.iter().all(|one| one["name"] != NAME)) else {
                return;
            };
            let path = format!("metadata.labels['{COMPLETION_INDEX}']");
            env.push(json!({ "name": NAME, "valueFrom": { "fieldRef": { "fieldPath": path } } }));
        });
    }
}

/// The volumes of a StatefulSet's pod, named after the templates of their claims.
fn mount_claims(spec: &mut Map<String, Value>, pod: &Pod) {
    let templates = &pod.spec.shared.claim_templates;
    if templates.is_empty() {
        return;
    }
    let volumes = spec.entry("volumes").or_insert_with(|| json!([]));
    let Some(volumes) = volumes.as_array_mut() else { return };
    for (name, claim) in templates.iter().zip(pod.claims()) {
        volumes.retain(|volume| field::text(volume, "/name") != *name);
        volumes.push(json!({ "name": &**name, "persistentVolumeClaim": { "claimName": &*claim } }));
    }
}
