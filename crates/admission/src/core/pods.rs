//! Pods (`pkg/registry/core/pod/strategy.go`, `ValidatePodCreate`, `ValidatePodUpdate`).

use serde_json::{Value, json};

use super::validation::annotations::app_armor_profile;
use super::validation::annotations::{
    APP_ARMOR, validate_app_armor_annotations_and_fields_match, validate_pod_specific_annotation_updates,
    validate_pod_specific_annotations, validate_seccomp_annotations_and_fields,
};
use super::validation::containers::validate_container_only_for_pod;
use super::validation::pod_spec::validate_pod_spec;
use super::validation::scheduling::{
    validate_only_added_tolerations, validate_only_deleted_scheduling_gates,
};
use super::{defaults, pod_fields, pod_status, pod_warnings};
use crate::core::validation::metadata;
use crate::field::{At, Causes, Shown};
use crate::primitives::diff::diff_go_json;
use crate::primitives::names;
use crate::schema;
use crate::strategy::Strategy;

pub(crate) const POD: Strategy = Strategy {
    default: |pod| {
        defaults::default_pod(pod);
        pod_status::default_pod_status(pod);
    },
    prepare_for_create,
    prepare_for_update,
    validate: validate_pod_create,
    validate_update: validate_pod_update,
    prepare_status_for_update: pod_status::prepare_pod_status,
    validate_status_update: pod_status::validate_pod_status_update,
    warnings: pod_warnings::warnings_for_pod,
    ..Strategy::of("", "Pod", true)
};

/// `updatablePodSpecFields`, in the order of the message.
const UPDATABLE: &str = "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// `PrepareForCreate`. Conditions and the class of service are those of a Pod that was just made.
fn prepare_for_create(pod: &mut Value) {
    pod["metadata"]["generation"] = 1.into();
    pod["status"] = json!({ "phase": "Pending", "qosClass": pod_fields::qos_class(&pod["spec"]) });
    if pod["spec"]["schedulingGates"].as_array().is_some_and(|gates| !gates.is_empty()) {
        pod["status"]["conditions"] = json!([{
            "type": "PodScheduled",
            "status": "False",
            "reason": "SchedulingGated",
            "message": "Scheduling is blocked due to non-empty scheduling gates",
        }]);
    }
    pod_fields::drop_disabled_pod_fields(&mut pod["spec"]);
    for volume in defaults::items(&mut pod["spec"], "volumes") {
        if let Some(sources) =
            volume.pointer_mut("/projected/sources").filter(|sources| **sources == json!([]))
        {
            *sources = Value::Null;
        }
    }
    let labels = pod["metadata"]["labels"].clone();
    pod_fields::apply_label_keys(&mut pod["spec"], &labels);
    apply_app_armor_annotations(pod);
}

/// `applyAppArmorVersionSkew`: a profile in an annotation becomes one in the field of the container.
fn apply_app_armor_annotations(pod: &mut Value) {
    if pod["spec"]["os"]["name"] == "windows" {
        return;
    }
    let annotations = pod["metadata"]["annotations"].clone();
    let of_pod = pod["spec"]["securityContext"]["appArmorProfile"].clone();
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for container in defaults::items(&mut pod["spec"], list) {
            let key = format!("{APP_ARMOR}{}", container["name"].as_str().unwrap_or_default());
            let Some(profile) = annotations.get(&key).and_then(Value::as_str).and_then(app_armor_profile)
            else {
                continue;
            };
            let has_own = container.pointer("/securityContext/appArmorProfile").is_some();
            if !has_own && profile != of_pod {
                container["securityContext"]["appArmorProfile"] = profile;
            }
        }
    }
}

/// `PrepareForUpdate`
fn prepare_for_update(pod: &mut Value, before: &Value) {
    match before.get("status") {
        Some(status) => pod["status"] = status.clone(),
        None => drop(pod.as_object_mut().and_then(|pod| pod.remove("status"))),
    }
    pod_fields::drop_disabled_pod_fields(&mut pod["spec"]);
    if pod["spec"] != before["spec"] {
        let generation = pod["metadata"]["generation"].as_i64().unwrap_or_default();
        pod["metadata"]["generation"] = (generation + 1).into();
    }
}

/// `validatePodMetadataAndSpec`
fn validate_pod_metadata_and_spec(pod: &At<'_>, causes: &mut Causes) {
    let (metadata, spec) = (pod.at("metadata"), pod.at("spec"));
    metadata::validate_object_meta(&metadata, true, names::dns_subdomain, causes);
    validate_pod_specific_annotations(&metadata.at("annotations"), &spec, causes);
    validate_pod_spec(&spec, &metadata, causes);
    if spec.at("serviceAccountName").is_empty() {
        for source in spec.at("volumes").items().flat_map(|volume| volume.at("projected.sources").items()) {
            let token = source.at("serviceAccountToken");
            if token.is_set() {
                causes.forbidden(&token, "must not be specified when serviceAccountName is not set");
            }
        }
    }
    for list in ["containers", "initContainers"] {
        for container in spec.at(list).items() {
            validate_container_only_for_pod(&container, causes);
        }
    }
}

/// `ValidatePodCreate`
fn validate_pod_create(pod: &At<'_>, causes: &mut Causes) {
    validate_pod_metadata_and_spec(pod, causes);
    let spec = pod.at("spec");
    if !spec.at("ephemeralContainers").is_empty() {
        causes.forbidden(&spec.at("ephemeralContainers"), "cannot be set on create");
    }
    if !spec.at("nodeName").is_empty() && !spec.at("schedulingGates").is_empty() {
        let why = "cannot be set until all schedulingGates have been cleared";
        causes.forbidden(&spec.at("nodeName"), why);
    }
    let annotations = pod.at("metadata.annotations");
    validate_seccomp_annotations_and_fields(&annotations, &spec, causes);
    validate_app_armor_annotations_and_fields_match(&annotations, &spec, causes);
}

/// `ValidateContainerUpdates`: whether there are as many as before.
fn validate_container_updates(new: &At<'_>, old: &At<'_>, causes: &mut Causes) -> bool {
    if new.list().len() != old.list().len() {
        causes.forbidden(new, "pod updates may not add or remove containers");
        return false;
    }
    for container in new.items() {
        if container.at("image").is_empty() {
            causes.required(&container.at("image"), "");
        }
        validate_container_only_for_pod(&container, causes);
    }
    true
}

/// `ValidatePodUpdate`
fn validate_pod_update(pod: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    let (spec, old) = (pod.at("spec"), before.at("spec"));
    metadata::validate_object_meta_update(&pod.at("metadata"), &before.at("metadata"), causes);
    validate_pod_metadata_and_spec(pod, causes);
    validate_pod_specific_annotation_updates(
        &pod.at("metadata.annotations"),
        &before.at("metadata.annotations"),
        &spec,
        causes,
    );
    for list in ["containers", "initContainers"] {
        if !validate_container_updates(&spec.at(list), &old.at(list), causes) {
            return;
        }
    }
    if !validate_deadline_update(&spec.at("activeDeadlineSeconds"), &old.at("activeDeadlineSeconds"), causes)
    {
        return;
    }
    validate_only_added_tolerations(&spec.at("tolerations"), &old.at("tolerations"), causes);
    validate_only_deleted_scheduling_gates(&spec.at("schedulingGates"), &old.at("schedulingGates"), causes);
    let mut munged = munged_pod_spec(spec.value(), old.value());
    if !old.at("schedulingGates").is_empty() {
        validate_gated_update(&spec, &old, &mut munged, causes);
    }
    if !is_semantically_equal(&munged, old.value()) {
        let diff = diff_go_json("PodSpec", old.value(), &munged);
        causes.forbidden(&spec, &format!("pod updates may not change fields other than {UPDATABLE}\n{diff}"));
    }
}

/// Whether the deadline may be so; what comes after is not looked at if it is wrong in itself.
fn validate_deadline_update(new: &At<'_>, old: &At<'_>, causes: &mut Causes) -> bool {
    match (new.number_if_set(), old.number_if_set()) {
        (Some(seconds), before) => {
            let faults = names::in_range(seconds, 0, i32::MAX.into());
            for fault in &faults {
                causes.invalid(new, seconds, fault);
            }
            if faults.is_empty() && before.is_some_and(|before| before < seconds) {
                causes.invalid(new, seconds, "must be less than or equal to previous value");
                return false;
            }
            faults.is_empty()
        }
        (None, Some(_)) => {
            causes.invalid(new, Shown::nil(), "must not update from a positive integer to nil value");
            true
        }
        (None, None) => true,
    }
}

/// The new spec with all that may change as it was.
fn munged_pod_spec(new: &Value, old: &Value) -> Value {
    let mut spec = new.clone();
    for list in ["containers", "initContainers"] {
        let images: Vec<Value> =
            defaults_list(old, list).map(|container| container["image"].clone()).collect();
        for (container, image) in defaults::items(&mut spec, list).zip(images) {
            put(container, "image", &image);
        }
    }
    for field in ["activeDeadlineSeconds", "schedulingGates", "tolerations"] {
        put(&mut spec, field, &old[field]);
    }
    const GRACE: &str = "terminationGracePeriodSeconds";
    if old[GRACE].as_i64().is_some_and(|seconds| seconds < 0) && spec[GRACE] == 1 {
        put(&mut spec, GRACE, &old[GRACE]);
    }
    spec
}

fn defaults_list<'o>(of: &'o Value, list: &str) -> impl Iterator<Item = &'o Value> + use<'o> {
    of.get(list).and_then(Value::as_array).into_iter().flatten()
}

/// Sets `field`, or removes it if it is to be nothing.
fn put(object: &mut Value, field: &str, value: &Value) {
    if let Some(map) = object.as_object_mut() {
        if value.is_null() {
            map.remove(field);
        } else {
            map.insert(field.into(), value.clone());
        }
    }
}

/// What may be narrowed while a Pod is kept from the scheduler; `munged` gets it as it was.
fn validate_gated_update(spec: &At<'_>, old: &At<'_>, munged: &mut Value, causes: &mut Causes) {
    let (selector, before) = (spec.at("nodeSelector"), old.at("nodeSelector"));
    if before.entries().any(|(key, value)| selector.key(key).value() != value.value()) {
        let why = "only additions to spec.nodeSelector are allowed (no mutations or deletions)";
        causes.invalid(&selector, selector.value(), why);
    }
    put(munged, "nodeSelector", before.value());
    let (new, before) = (spec.at("affinity.nodeAffinity"), old.at("affinity.nodeAffinity"));
    if is_semantically_equal(new.value(), before.value()) {
        return;
    }
    validate_node_affinity_mutation(&new, &before, causes);
    if !munged["affinity"].is_object() {
        munged["affinity"] = json!({});
    }
    put(&mut munged["affinity"], "nodeAffinity", before.value());
    if munged["affinity"] == json!({}) && !old.at("affinity").is_set() {
        put(munged, "affinity", &Value::Null);
    }
}

/// `validateNodeAffinityMutation`
fn validate_node_affinity_mutation(new: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    const TERMS: &str = "requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms";
    let (terms, old) = (new.at(TERMS), before.at(TERMS));
    if !old.is_empty() && old.list().len() != terms.list().len() {
        let why = "no additions/deletions to non-empty NodeSelectorTerms list are allowed";
        let shown: Vec<String> =
            terms.items().map(|term| schema::go_json("NodeSelectorTerm", term.value()).into_text()).collect();
        causes.invalid(&terms, Shown::plain(format!("[{}]", shown.join(","))), why);
        return;
    }
    for (term, old) in terms.items().zip(old.items()) {
        let starts = |field| term.at(field).list().starts_with(old.at(field).list());
        let is_void = old.at("matchExpressions").is_empty() && old.at("matchFields").is_empty();
        let has_more = !term.at("matchExpressions").is_empty() || !term.at("matchFields").is_empty();
        if !starts("matchExpressions") || !starts("matchFields") || is_void && has_more {
            let why = "only additions are allowed (no mutations or deletions)";
            causes.invalid(&term, schema::go_json("NodeSelectorTerm", term.value()), why);
        }
    }
}

/// `apiequality.Semantic.DeepEqual`: an empty list or map equals none, and quantities are compared by value.
fn is_semantically_equal(one: &Value, other: &Value) -> bool {
    let is_void = |value: &Value| match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        _ => false,
    };
    match (one, other) {
        (Value::Object(a), Value::Object(b)) => {
            let has = |a: &serde_json::Map<String, Value>, b: &serde_json::Map<String, Value>| {
                a.iter().all(|(key, value)| match b.get(key) {
                    Some(other) => is_semantically_equal(value, other),
                    None => is_void(value),
                })
            };
            has(a, b) && b.iter().all(|(key, value)| a.contains_key(key) || is_void(value))
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_semantically_equal(a, b))
        }
        (a, b) => a == b || is_void(a) && is_void(b),
    }
}
