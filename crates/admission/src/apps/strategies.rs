//! `pkg/registry/apps/*/strategy.go`

use serde_json::{Value, json};

use crate::core::persistent_volumes::warnings_for_claim_spec;
use crate::core::pod_fields::drop_disabled_pod_fields;
use crate::core::pod_warnings::warnings_for_pod_template;
use crate::field::At;
use crate::primitives::equality::semantically_equal;
use crate::primitives::names;
use crate::primitives::updates::{self, field};

/// The annotation of a DaemonSet with its `TemplateGeneration`, for which `apps/v1` has no field
/// (`DeprecatedTemplateGeneration`).
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

/// `PrepareForCreate` of the kinds with a template of pods
pub(crate) fn prepare_for_create(object: &mut Value) {
    drop_disabled_template_fields(object);
    updates::prepare_for_create(object);
}

/// `PrepareForUpdate` of these kinds
pub(crate) fn prepare_for_update(object: &mut Value, before: &Value) {
    drop_disabled_template_fields(object);
    updates::prepare_for_update(object, before);
}

/// `PrepareForUpdate` of Deployments: their annotations go to their ReplicaSets, so that a change of them is a new generation
/// as well.
pub(super) fn prepare_deployment_for_update(deployment: &mut Value, before: &Value) {
    let annotations = |object: &Value| object["metadata"]["annotations"].clone();
    prepare_for_update(deployment, before);
    if !semantically_equal(&annotations(deployment), &annotations(before)) {
        updates::add_generation(deployment, before);
    }
}

/// `PrepareForUpdate` of the status of Deployments, whose labels stay as well.
pub(super) fn prepare_deployment_status(deployment: &mut Value, before: &Value) {
    let Some(metadata) = field(deployment, "metadata") else { return };
    match before["metadata"].get("labels") {
        Some(labels) => _ = metadata.insert("labels".into(), labels.clone()),
        None => _ = metadata.remove("labels"),
    }
}

/// `DropDisabledTemplateFields`
fn drop_disabled_template_fields(object: &mut Value) {
    for spec in ["/spec/template/spec", "/spec/jobTemplate/spec/template/spec"] {
        if let Some(spec) = object.pointer_mut(spec) {
            drop_disabled_pod_fields(spec);
        }
    }
}

/// `PrepareForCreate` of StatefulSets
pub(super) fn prepare_stateful_set_for_create(stateful_set: &mut Value) {
    prepare_for_create(stateful_set);
    drop_disabled_fields(stateful_set);
}

/// `PrepareForUpdate` of StatefulSets
pub(super) fn prepare_stateful_set_for_update(stateful_set: &mut Value, before: &Value) {
    if before["spec"]["updateStrategy"]["rollingUpdate"].get("maxUnavailable").is_none() {
        drop_disabled_fields(stateful_set);
    }
    prepare_for_update(stateful_set, before);
}

/// `dropStatefulSetDisabledFields`: the gate `MaxUnavailableStatefulSet` is off.
fn drop_disabled_fields(stateful_set: &mut Value) {
    let rolling = stateful_set.pointer_mut("/spec/updateStrategy/rollingUpdate");
    rolling.and_then(Value::as_object_mut).map(|rolling| rolling.remove("maxUnavailable"));
}

fn template_generation(daemon_set: &Value) -> i64 {
    let annotation = daemon_set["metadata"]["annotations"][TEMPLATE_GENERATION].as_str();
    annotation.and_then(|generation| generation.parse().ok()).unwrap_or_default()
}

fn set_template_generation(daemon_set: &mut Value, generation: i64) {
    let metadata = field(daemon_set, "metadata");
    let annotations = metadata
        .and_then(|metadata| metadata.entry("annotations").or_insert_with(|| json!({})).as_object_mut());
    if let Some(annotations) = annotations {
        annotations.insert(TEMPLATE_GENERATION.into(), generation.to_string().into());
    }
}

/// `PrepareForCreate` of DaemonSets
pub(super) fn prepare_daemon_set_for_create(daemon_set: &mut Value) {
    prepare_for_create(daemon_set);
    set_template_generation(daemon_set, template_generation(daemon_set).max(1));
}

/// `PrepareForUpdate` of DaemonSets: a change of the template is a new generation of it.
pub(super) fn prepare_daemon_set_for_update(daemon_set: &mut Value, before: &Value) {
    prepare_for_update(daemon_set, before);
    let is_changed = !semantically_equal(&daemon_set["spec"]["template"], &before["spec"]["template"]);
    set_template_generation(daemon_set, template_generation(before) + i64::from(is_changed));
}

/// `WarningsOnCreate` and `WarningsOnUpdate` of Deployments and ReplicaSets
pub(super) fn warnings(object: &Value, before: Option<&Value>) -> Vec<String> {
    let mut all = Vec::new();
    if before.is_none() {
        all.extend(warning_of_name(object));
    }
    all.extend(template_warnings(object, before));
    all
}

/// The warning about a new object whose name cannot be part of its pods' hostnames.
pub(crate) fn warning_of_name(object: &Value) -> Option<String> {
    let faults = names::dns_label(object["metadata"]["name"].as_str().unwrap_or_default());
    (!faults.is_empty()).then(|| {
        format!(
            "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: [{}]",
            faults.join(" ")
        )
    })
}

/// Of the template of a new object, or of one whose spec changes.
fn template_warnings(object: &Value, before: Option<&Value>) -> Vec<String> {
    let generation = |object: &Value| object["metadata"]["generation"].as_i64();
    if before.is_some_and(|before| generation(before) == generation(object)) {
        return Vec::new();
    }
    warnings_for_pod_template(&At::root(object).at("spec.template"))
}

/// `WarningsOnCreate` and `WarningsOnUpdate` of DaemonSets
pub(super) fn daemon_set_warnings(daemon_set: &Value, before: Option<&Value>) -> Vec<String> {
    if before.is_some_and(|before| template_generation(before) == template_generation(daemon_set)) {
        return Vec::new();
    }
    warnings_for_pod_template(&At::root(daemon_set).at("spec.template"))
}

/// `WarningsOnCreate` and `WarningsOnUpdate` of StatefulSets
pub(super) fn stateful_set_warnings(stateful_set: &Value, before: Option<&Value>) -> Vec<String> {
    let mut all = template_warnings(stateful_set, before);
    for claim in At::root(stateful_set).at("spec.volumeClaimTemplates").items() {
        // The paths are those of the API server's messages.
        let at = if before.is_some() { claim.at("Spec") } else { claim.clone() };
        all.extend(warnings_for_claim_spec(&at.with(claim.at("spec").value())));
    }
    if stateful_set["spec"]["revisionHistoryLimit"].as_i64().is_some_and(|limit| limit < 0) {
        let warning = "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended";
        all.push(warning.into());
    }
    all
}
