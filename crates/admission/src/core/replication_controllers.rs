//! ReplicationControllers (`pkg/registry/core/replicationcontroller/strategy.go`, `ValidateReplicationController`).

use serde_json::{Value, json};

use super::defaults::default_pod_spec;
use super::validation::metadata;
use super::validation::pod_spec::validate_pod_template_spec;
use super::volumes::put_default;
use crate::field::{At, Causes};
use crate::primitives::metadata::validate_non_negative;
use crate::primitives::names;
use crate::primitives::updates::keep_status;
use crate::strategy::Strategy;

pub(crate) const REPLICATION_CONTROLLER: Strategy = Strategy {
    default: default_replication_controller,
    prepare_for_create: |controller| {
        controller["status"] = json!({ "replicas": 0 });
        controller["metadata"]["generation"] = 1.into();
        drop_disabled_template_fields(controller);
    },
    prepare_for_update: |controller, before| {
        keep_status(controller, before);
        drop_disabled_template_fields(controller);
        if controller["spec"] != before["spec"] {
            let generation = before["metadata"]["generation"].as_i64().unwrap_or_default();
            controller["metadata"]["generation"] = (generation + 1).into();
        }
    },
    validate: |controller, causes| {
        metadata::validate_object_meta(&controller.at("metadata"), true, names::long_name, causes);
        validate_replication_controller_spec(&controller.at("spec"), causes);
    },
    validate_update: validate_replication_controller_update,
    validate_status_update: super::statuses::validate_replication_controller_status_update,
    warnings: warnings_for_replication_controller,
    ..Strategy::of("", "ReplicationController", true)
};

/// `SetObjectDefaults_ReplicationController`: it takes its labels and its selector from the template.
fn default_replication_controller(controller: &mut Value) {
    let labels = controller.pointer("/spec/template/metadata/labels").cloned();
    put_default(&mut controller["spec"], "replicas", 1);
    if let Some(template) = controller.pointer_mut("/spec/template").filter(|template| template.is_object()) {
        default_pod_spec(&mut template["spec"]);
    }
    let Some(labels) = labels else { return };
    for (owner, field) in [("spec", "selector"), ("metadata", "labels")] {
        let Some(owner) = controller[owner].as_object_mut() else { continue };
        if owner.get(field).and_then(Value::as_object).is_none_or(serde_json::Map::is_empty) {
            owner.insert(field.into(), labels.clone());
        }
    }
}

/// `DropDisabledTemplateFields`
fn drop_disabled_template_fields(controller: &mut Value) {
    if let Some(spec) = controller.pointer_mut("/spec/template/spec") {
        super::pod_fields::drop_disabled_pod_fields(spec);
    }
}

/// `ValidateReplicationControllerSpec`
fn validate_replication_controller_spec(spec: &At<'_>, causes: &mut Causes) {
    validate_non_negative(&spec.at("minReadySeconds"), causes);
    let selector = spec.at("selector");
    if selector.is_empty() {
        causes.required(&selector, "");
    }
    let replicas = spec.at("replicas");
    if replicas.is_set() {
        validate_non_negative(&replicas, causes);
    } else {
        causes.required(&replicas, "");
    }
    validate_pod_template_spec_for_rc(&spec.at("template"), &selector, causes);
}

/// `ValidatePodTemplateSpecForRC`
fn validate_pod_template_spec_for_rc(template: &At<'_>, selector: &At<'_>, causes: &mut Causes) {
    if !template.is_set() {
        causes.required(template, "");
        return;
    }
    let labels = template.at("metadata.labels");
    if !selector.entries().all(|(key, value)| labels.value().get(key) == Some(value.value())) {
        causes.invalid(&labels, labels.value(), "`selector` does not match template `labels`");
    }
    validate_pod_template_spec(template, causes);
    let policy = template.at("spec.restartPolicy");
    if policy.text() != "Always" {
        causes.not_supported(&policy, policy.text(), &["Always"]);
    }
    let deadline = template.at("spec.activeDeadlineSeconds");
    if deadline.is_set() {
        causes.forbidden(&deadline, "activeDeadlineSeconds in ReplicationController is not Supported");
    }
}

fn validate_replication_controller_update(controller: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    metadata::validate_object_meta_update(&controller.at("metadata"), &before.at("metadata"), causes);
    validate_replication_controller_spec(&controller.at("spec"), causes);
}

/// `WarningsOnCreate`
fn warnings_for_replication_controller(controller: &Value, before: Option<&Value>) -> Vec<String> {
    let name = controller["metadata"]["name"].as_str().unwrap_or_default();
    let faults = names::dns_label(name);
    if before.is_some() || faults.is_empty() {
        return Vec::new();
    }
    let why = "this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended";
    vec![format!("metadata.name: {why}: [{}]", faults.join(" "))]
}
