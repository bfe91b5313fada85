//! `ValidateJob`, `ValidateJobUpdate`: a Job as a whole, and what of it cannot change.

use serde_json::{Value, json};

use super::job_spec::validate_job_spec;
use crate::batch::strategies::{CONTROLLER_UID_LABELS, JOB_NAME_LABELS};
use crate::core::validation::metadata;
use crate::field::{At, Causes, Shown};
use crate::primitives::equality::semantically_equal;
use crate::primitives::{names, selectors};
use crate::schema::go_json;

/// `ValidateJob` of a new Job
pub(in crate::batch) fn validate_job(job: &At<'_>, causes: &mut Causes) {
    validate(job, true, causes);
}

/// `ValidateJob`: of a Job from before these labels, `prefixed_labels` is false.
fn validate(job: &At<'_>, prefixed_labels: bool, causes: &mut Causes) {
    let (metadata, spec) = (job.at("metadata"), job.at("spec"));
    metadata::validate_object_meta(&metadata, true, names::dns_subdomain, causes);
    validate_generated_selector(job, prefixed_labels, causes);
    validate_job_spec_and_selector(&spec, causes);
    let name = metadata.at("name");
    let completions = spec.at("completions").number();
    if spec.at("completionMode").text() == "Indexed" && completions > 0 {
        // The name of the last pod.
        let last = format!("{}-{}", name.text(), completions - 1);
        if !names::dns_label(&last).is_empty() {
            let why = format!("will not able to create pod with invalid DNS label: {last}");
            causes.invalid(&name, name.text(), &why);
        }
    }
}

/// `validateGeneratedSelector`
fn validate_generated_selector(job: &At<'_>, prefixed_labels: bool, causes: &mut Causes) {
    let selector = job.at("spec.selector");
    if job.at("spec.manualSelector").is_true() || !selector.is_set() {
        return;
    }
    let (uid, name) = (job.at("metadata.uid"), job.at("metadata.name"));
    if uid.is_empty() {
        causes.required(&uid, "");
    }
    let labels = job.at("spec.template.metadata.labels");
    let count = if prefixed_labels { 2 } else { 1 };
    let mut expected = json!({});
    for index in 0..count {
        validate_has_label(&labels, CONTROLLER_UID_LABELS[index], uid.text(), causes);
        validate_has_label(&labels, JOB_NAME_LABELS[index], name.text(), causes);
        expected[CONTROLLER_UID_LABELS[index]] = uid.text().into();
        expected[JOB_NAME_LABELS[index]] = name.text().into();
    }
    if selectors::is_valid(&selector) && !selectors::matches(&selector, &At::root(&expected)) {
        let shown = go_json("LabelSelector", selector.value());
        causes.invalid(&selector, shown, "`selector` not auto-generated");
    }
}

/// `ValidateHasLabel`
fn validate_has_label(labels: &At<'_>, key: &str, expected: &str, causes: &mut Causes) {
    let label = labels.key(key);
    let why = format!("must be '{expected}'");
    if !label.is_set() {
        causes.required(&label, &why);
    } else if label.text() != expected {
        causes.invalid(&label, labels.value(), &why);
    }
}

/// `ValidateJobSpec`
fn validate_job_spec_and_selector(spec: &At<'_>, causes: &mut Causes) {
    validate_job_spec(spec, causes);
    let selector = spec.at("selector");
    if selector.is_set() {
        selectors::validate_label_selector(&selector, causes);
    } else {
        causes.required(&selector, "");
    }
    let labels = spec.at("template.metadata.labels");
    if !selector.is_set() || selectors::is_valid(&selector) && !selectors::matches(&selector, &labels) {
        causes.invalid(&labels, labels.value(), "`selector` does not match template `labels`");
    }
}

/// `ValidateUpdate` of the strategy of Jobs: the whole Job is validated first.
pub(in crate::batch) fn validate_job_update(job: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    let old_labels = before.at("spec.template.metadata.labels");
    let had_labels =
        [CONTROLLER_UID_LABELS[1], JOB_NAME_LABELS[1]].iter().all(|key| old_labels.key(key).is_set());
    validate(job, had_labels, causes);
    metadata::validate_object_meta_update(&job.at("metadata"), &before.at("metadata"), causes);
    let (spec, old) = (job.at("spec"), before.at("spec"));
    // `ValidateJobSpecUpdate`
    validate_job_spec_and_selector(&spec, causes);
    validate_completions(&spec, &old, causes);
    immutable(&spec.at("selector"), &old.at("selector"), "LabelSelector", causes);
    validate_pod_template_update(&spec, before, causes);
    for (name, type_name) in [
        ("completionMode", ""),
        ("podFailurePolicy", "PodFailurePolicy"),
        ("backoffLimitPerIndex", ""),
        ("managedBy", ""),
        ("successPolicy", "SuccessPolicy"),
    ] {
        immutable(&spec.at(name), &old.at(name), type_name, causes);
    }
}

/// `ValidateImmutableField`: of a struct, `type_name` is its type.
fn immutable(field: &At<'_>, before: &At<'_>, type_name: &str, causes: &mut Causes) {
    if !semantically_equal(field.value(), before.value()) {
        let shown = match type_name {
            "" => Shown::from(field.value()),
            _ if !field.is_set() => Shown::nil(),
            _ => go_json(type_name, field.value()),
        };
        causes.invalid(field, shown, "field is immutable");
    }
}

/// `validateCompletions`
fn validate_completions(spec: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    let (completions, old) = (spec.at("completions"), before.at("completions"));
    if spec.at("completionMode").text() != "Indexed" {
        return immutable(&completions, &old, "", causes);
    }
    let is_changed = completions.is_set() && completions.value() != old.value();
    if is_changed && completions.number() != spec.at("parallelism").number() {
        // Go takes the root of the path there.
        let why = "can only be modified in tandem with spec.parallelism";
        causes.invalid(&completions, completions.number(), why);
    }
}

/// `validatePodTemplateUpdate`: pods of a Job that is suspended, and has none, may ask for other resources and nodes
/// (`shouldAllowMutablePodTemplate`).
fn validate_pod_template_update(spec: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    let (template, old) = (spec.at("template"), before.at("spec.template"));
    let status = before.at("status");
    let is_suspended = |condition: At<'_>| {
        condition.at("type").text() == "Suspended" && condition.at("status").text() == "True"
    };
    let is_mutable = before.at("spec.suspend").is_true()
        && (!status.at("startTime").is_set() || status.at("conditions").items().any(is_suspended))
        && status.at("active").number() == 0;
    if !is_mutable {
        return immutable(&template, &old, "PodTemplateSpec", causes);
    }
    let new = template.at("spec");
    let mut expected = old.value()["spec"].clone();
    allow_scheduling_directives(&mut expected, new.value());
    for list in ["containers", "initContainers"] {
        allow_resources(&mut expected[list], &new.value()[list]);
    }
    immutable(&new, &At::root(&expected), "PodSpec", causes);
}

/// Copies the scheduling fields from `new`.
fn allow_scheduling_directives(old: &mut Value, new: &Value) {
    for name in ["nodeSelector", "tolerations", "schedulingGates"] {
        old[name] = new[name].clone();
    }
    match (new.get("affinity"), old["affinity"].is_object()) {
        (Some(affinity), _) => old["affinity"]["nodeAffinity"] = affinity["nodeAffinity"].clone(),
        (None, true) => old["affinity"]["nodeAffinity"] = Value::Null,
        (None, false) => {}
    }
    let nulls = |value: &mut Value| {
        if let Some(map) = value.as_object_mut() {
            map.retain(|_, value| !value.is_null());
        }
    };
    nulls(&mut old["affinity"]);
    let is_empty = old["affinity"].as_object().is_some_and(serde_json::Map::is_empty);
    if new.get("affinity").is_none() && is_empty {
        old["affinity"] = Value::Null;
    }
    nulls(old);
}

/// `validatePodResourceUpdatesOnly`
fn allow_resources(old: &mut Value, new: &Value) {
    let (Some(old), Some(new)) = (old.as_array_mut(), new.as_array()) else { return };
    if old.len() != new.len() {
        return;
    }
    for (old, new) in old.iter_mut().zip(new).filter(|(old, new)| old["name"] == new["name"]) {
        match new.get("resources") {
            Some(resources) => old["resources"] = resources.clone(),
            None => drop(old.as_object_mut().and_then(|old| old.remove("resources"))),
        }
    }
}
