//! `ValidateStatefulSet`, `ValidateStatefulSetUpdate`

use std::borrow::Cow;

use serde_json::{Value, json};

use super::{validate_selected, validate_selector};
use crate::core::validation::claims;
use crate::core::validation::metadata as core_metadata;
use crate::core::validation::pod_spec::validate_pod_template_spec;
use crate::field::{At, Causes};
use crate::primitives::equality::semantically_equal;
use crate::primitives::{int_or_string, metadata, names, selectors};
use crate::schema::go_json;

/// What is not looked at, because it cannot change or is wrong already (`StatefulSetValidationOptions`).
#[derive(Clone, Copy, Default)]
struct Skip {
    service_name: bool,
    template: bool,
    claim_templates: bool,
}

/// The fields of the spec that can change.
const MUTABLE: [&str; 7] = [
    "replicas",
    "template",
    "updateStrategy",
    "minReadySeconds",
    "ordinals",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
];

/// `ValidateStatefulSet`
pub(in crate::apps) fn validate_stateful_set(stateful_set: &At<'_>, causes: &mut Causes) {
    core_metadata::validate_object_meta(&stateful_set.at("metadata"), true, names::dns_label, causes);
    validate_stateful_set_spec(&stateful_set.at("spec"), Skip::default(), causes);
}

/// `ValidateStatefulSetUpdate`
pub(in crate::apps) fn validate_stateful_set_update(
    stateful_set: &At<'_>,
    before: &At<'_>,
    causes: &mut Causes,
) {
    core_metadata::validate_object_meta_update(&stateful_set.at("metadata"), &before.at("metadata"), causes);
    let (spec, old) = (stateful_set.at("spec"), before.at("spec"));
    let mut skip = Skip { service_name: true, template: false, claim_templates: true };
    let mut wrong_before = Causes::default();
    validate_stateful_set_spec(&old, skip, &mut wrong_before);
    skip.template = !wrong_before.is_empty();
    validate_stateful_set_spec(&spec, skip, causes);
    let fixed = |spec: &At<'_>| {
        let mut fixed = spec.value().clone();
        if let Some(fixed) = fixed.as_object_mut() {
            fixed.retain(|name, _| !MUTABLE.contains(&name.as_str()));
        }
        fixed
    };
    if !semantically_equal(&fixed(&spec), &fixed(&old)) {
        let why = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
        causes.forbidden(&spec, why);
    }
}

/// `ValidateStatefulSetSpec`
fn validate_stateful_set_spec(spec: &At<'_>, skip: Skip, causes: &mut Causes) {
    let management = spec.at("podManagementPolicy");
    match management.text() {
        "" => causes.required(&management, ""),
        "OrderedReady" | "Parallel" => {}
        other => causes.invalid(&management, other, "must be 'OrderedReady' or 'Parallel'"),
    }
    validate_update_strategy(&spec.at("updateStrategy"), causes);
    let retention = spec.at("persistentVolumeClaimRetentionPolicy");
    for policy in ["whenDeleted", "whenScaled"].map(|name| retention.at(name)) {
        if retention.is_set() && !matches!(policy.text(), "Retain" | "Delete") {
            causes.not_supported(&policy, policy.text(), &["Retain", "Delete"]);
        }
    }
    if !skip.claim_templates {
        for claim in spec.at("volumeClaimTemplates").items() {
            let allowed = claims::Allowed::default();
            claims::validate_persistent_volume_claim_spec(&claim.at("spec"), allowed, causes);
        }
    }
    for name in ["replicas", "minReadySeconds", "ordinals.start"] {
        metadata::validate_non_negative(&spec.at(name), causes);
    }
    let service = spec.at("serviceName");
    for fault in names::dns_label(service.text()) {
        if !skip.service_name && !service.is_empty() {
            causes.invalid(&service, service.text(), &fault);
        }
    }
    let (selector, template) = (spec.at("selector"), spec.at("template"));
    if validate_selector(&selector, "statefulset", "", causes) {
        validate_template(spec, &template, &selector, skip, causes);
    }
    super::validate_runs_for_ever(&template, "StatefulSet", causes);
}

/// The update strategy, and `validateRollingUpdateStatefulSet`.
fn validate_update_strategy(strategy: &At<'_>, causes: &mut Causes) {
    let rolling = strategy.at("rollingUpdate");
    match strategy.at("type").text() {
        "" => causes.required(strategy, ""),
        "OnDelete" if rolling.is_set() => {
            let shown = go_json("RollingUpdateStatefulSetStrategy", rolling.value());
            causes.invalid(&rolling, shown, "only allowed for updateStrategy 'RollingUpdate'");
        }
        "OnDelete" => {}
        "RollingUpdate" => {
            metadata::validate_non_negative(&rolling.at("partition"), causes);
            let unavailable = rolling.at("maxUnavailable");
            if unavailable.is_set() {
                int_or_string::validate_positive_int_or_percent(&unavailable, causes);
                if int_or_string::int_or_percent_value(&unavailable) == 0 {
                    causes.invalid(&unavailable, int_or_string::shown(&unavailable), "cannot be 0");
                }
                int_or_string::validate_not_more_than_100_percent(&unavailable, causes);
            }
        }
        _ => {
            let shown = go_json("StatefulSetUpdateStrategy", strategy.value());
            causes.invalid(strategy, shown, "must be 'RollingUpdate' or 'OnDelete'");
        }
    }
}

/// `ValidatePodTemplateSpecForStatefulSet`
fn validate_template(spec: &At<'_>, template: &At<'_>, selector: &At<'_>, skip: Skip, causes: &mut Causes) {
    if !selector.is_set() || !selectors::is_empty(selector) {
        validate_selected(selector, template, causes);
    }
    if !skip.template {
        let pods = template_of_pods(spec, template);
        validate_pod_template_spec(&template.with(&pods), causes);
    }
    let metadata = template.at("metadata");
    // The paths of these have no `metadata`.
    metadata::validate_labels(&template.at("labels").with(metadata.at("labels").value()), causes);
    let annotations = metadata.at("annotations");
    metadata::validate_annotations(&template.at("annotations").with(annotations.value()), causes);
}

/// The template as the pods have it: their names are given by the controller, and their claims are volumes.
fn template_of_pods<'o>(spec: &At<'o>, template: &At<'o>) -> Cow<'o, Value> {
    let claims = spec.at("volumeClaimTemplates");
    let has = |name: &'static str| template.at("spec").at(name).is_set();
    if claims.is_empty() && !has("subdomain") && !has("hostname") {
        return Cow::Borrowed(template.value());
    }
    let mut pods = template.value().clone();
    if let Some(pod) = pods.get_mut("spec").and_then(Value::as_object_mut) {
        pod.remove("subdomain");
        pod.remove("hostname");
        let name = |claim: &At<'_>| claim.at("metadata.name").text().to_owned();
        let names: Vec<String> = claims.items().map(|claim| name(&claim)).collect();
        let is_other = |volume: &&Value| !names.iter().any(|name| volume["name"] == **name);
        let own = template.at("spec.volumes").list();
        let mut volumes: Vec<Value> = Vec::new();
        for (index, name) in names.iter().enumerate() {
            if !names[..index].contains(name) {
                volumes.push(json!({ "name": name, "persistentVolumeClaim": { "claimName": name } }));
            }
        }
        volumes.extend(own.iter().filter(is_other).cloned());
        if !volumes.is_empty() {
            pod.insert("volumes".into(), volumes.into());
        }
    }
    Cow::Owned(pods)
}
