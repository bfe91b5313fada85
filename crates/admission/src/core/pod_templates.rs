//! PodTemplates (`pkg/registry/core/podtemplate/strategy.go`, `ValidatePodTemplate`).

use serde_json::Value;

use super::defaults::default_pod_spec;
use super::pod_fields::drop_disabled_pod_fields;
use super::pod_warnings::warnings_for_pod_template;
use super::validation::metadata;
use super::validation::pod_spec::validate_pod_template_spec;
use crate::field::{At, Causes};
use crate::primitives::equality::semantically_equal;
use crate::primitives::names;
use crate::primitives::updates::add_generation;
use crate::strategy::Strategy;

pub(crate) const POD_TEMPLATE: Strategy = Strategy {
    default: |template| {
        if template["template"].is_object() {
            default_pod_spec(&mut template["template"]["spec"]);
        }
    },
    prepare_for_create: |template| {
        if let Some(metadata) = template["metadata"].as_object_mut() {
            metadata.insert("generation".into(), 1.into());
        }
        drop_disabled_template_fields(template);
    },
    prepare_for_update: |template, before| {
        drop_disabled_template_fields(template);
        if !semantically_equal(&template["template"], &before["template"]) {
            add_generation(template, before);
        }
    },
    validate: |template, causes| {
        metadata::validate_object_meta(&template.at("metadata"), true, names::dns_subdomain, causes);
        validate_pod_template_spec(&template.at("template"), causes);
    },
    validate_update: validate_pod_template_update,
    warnings: warnings_for_template,
    ..Strategy::of("", "PodTemplate", true)
};

fn drop_disabled_template_fields(template: &mut Value) {
    if let Some(spec) = template.pointer_mut("/template/spec") {
        drop_disabled_pod_fields(spec);
    }
}

fn validate_pod_template_update(template: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    metadata::validate_object_meta_update(&template.at("metadata"), &before.at("metadata"), causes);
    validate_pod_template_spec(&template.at("template"), causes);
}

/// `WarningsOnCreate`, and `WarningsOnUpdate` of a template that changes.
fn warnings_for_template(template: &Value, before: Option<&Value>) -> Vec<String> {
    let generation = |template: &Value| template["metadata"]["generation"].as_i64();
    if before.is_some_and(|before| generation(before) == generation(template)) {
        return Vec::new();
    }
    warnings_for_pod_template(&At::root(template).at("template"))
}
