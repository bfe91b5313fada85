//! Annotations of a Pod that Kubernetes reads (`ValidatePodSpecificAnnotations`).

use serde_json::{Value, json};

use super::fields::all_containers;
use super::paths::validate_local_descending_path;
use super::scheduling::validate_tolerations;
use crate::field::{At, Causes};

const MIRROR: &str = "kubernetes.io/config.mirror";
const TOLERATIONS: &str = "scheduler.alpha.kubernetes.io/tolerations";
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
/// `SeccompPodAnnotationKey`
pub(crate) const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
/// `SeccompContainerAnnotationKeyPrefix`: the name of a container follows.
pub(crate) const SECCOMP_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";
/// `DeprecatedAppArmorBetaContainerAnnotationKeyPrefix`: the name of a container follows.
pub(crate) const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

/// `ValidatePodSpecificAnnotations`
pub(crate) fn validate_pod_specific_annotations(annotations: &At<'_>, spec: &At<'_>, causes: &mut Causes) {
    let mirror = annotations.key(MIRROR);
    if mirror.is_set() && spec.at("nodeName").is_empty() {
        causes.invalid(&mirror, mirror.text(), "must set spec.nodeName if mirror pod annotation is set");
    }
    let tolerations = annotations.key(TOLERATIONS);
    if !tolerations.is_empty()
        && let Ok(value) = serde_json::from_str(tolerations.text())
    {
        validate_tolerations(&annotations.at(TOLERATIONS).with(&value), causes);
    }
    let cost = annotations.key(DELETION_COST);
    if cost.is_set() && !is_deletion_cost(cost.text()) {
        causes.invalid(&cost, cost.text(), "must be a 32bit integer");
    }
    for (key, profile) in annotations.entries() {
        if key == SECCOMP_POD || key.starts_with(SECCOMP_CONTAINER) {
            validate_seccomp_profile(&annotations.child(key).with(profile.value()), causes);
        }
    }
    for (key, profile) in annotations.entries() {
        let Some(name) = key.strip_prefix(APP_ARMOR) else { continue };
        if all_containers(spec).all(|container| container.at("name").text() != name) {
            causes.invalid(&profile, name, "container not found");
        }
        let text = profile.text();
        if !matches!(text, "" | "runtime/default" | "unconfined") && !text.starts_with("localhost/") {
            causes.invalid(&profile, text, &format!("invalid AppArmor profile name: {text:?}"));
        }
    }
}

/// `GetDeletionCostFromPodAnnotations`: no sign `+`, no zeros at the start.
fn is_deletion_cost(text: &str) -> bool {
    (text == "0" || text.starts_with('-') || text.starts_with(|c: char| matches!(c, '1'..='9')))
        && text.parse::<i32>().is_ok()
}

/// `ValidateSeccompProfile`
fn validate_seccomp_profile(profile: &At<'_>, causes: &mut Causes) {
    let text = profile.text();
    if matches!(text, "runtime/default" | "docker/default" | "unconfined") {
        return;
    }
    match text.strip_prefix("localhost/") {
        Some(path) => {
            let path = serde_json::Value::from(path);
            validate_local_descending_path(&profile.with(&path), causes);
        }
        None => causes.invalid(profile, text, "must be a valid seccomp profile"),
    }
}

/// `ValidatePodSpecificAnnotationUpdates`
pub(crate) fn validate_pod_specific_annotation_updates(
    new: &At<'_>,
    old: &At<'_>,
    spec: &At<'_>,
    causes: &mut Causes,
) {
    for (key, _) in old.entries().filter(|(key, value)| new.key(key).value() != value.value()) {
        if key.starts_with(APP_ARMOR) {
            causes.forbidden(&new.key(key), "may not remove or update AppArmor annotations");
        }
        if key == MIRROR {
            causes.forbidden(&new.key(key), "may not remove or update mirror pod annotation");
        }
    }
    for (key, value) in new.entries().filter(|(key, _)| !old.key(key).is_set()) {
        if key.starts_with(APP_ARMOR) {
            causes.forbidden(&value, "may not add AppArmor annotations");
        }
        if key == MIRROR {
            causes.forbidden(&value, "may not add mirror pod annotation");
        }
    }
    validate_pod_specific_annotations(new, spec, causes);
}

/// `validateSeccompAnnotationsAndFields`
pub(crate) fn validate_seccomp_annotations_and_fields(
    annotations: &At<'_>,
    spec: &At<'_>,
    causes: &mut Causes,
) {
    let of_pod = std::iter::once((SECCOMP_POD.to_owned(), spec.clone()));
    let of_containers = all_containers(spec)
        .map(|container| (format!("{SECCOMP_CONTAINER}{}", container.at("name").text()), container));
    for (key, of) in of_pod.chain(of_containers) {
        let (profile, annotation) = (of.at("securityContext.seccompProfile"), annotations.key(&key));
        if !profile.is_set() || !annotation.is_set() {
            continue;
        }
        let defaults: &[&str] = &["runtime/default", "docker/default"];
        validate_match(&profile, annotation.text(), defaults, "seccomp", causes);
    }
}

/// `validateAppArmorAnnotationsAndFieldsMatchOnCreate`
pub(crate) fn validate_app_armor_annotations_and_fields_match(
    annotations: &At<'_>,
    spec: &At<'_>,
    causes: &mut Causes,
) {
    if spec.at("os.name").text() == "windows" {
        return;
    }
    for container in all_containers(spec) {
        let own = container.at("securityContext.appArmorProfile");
        let of_pod = spec.at("securityContext.appArmorProfile");
        let profile = if own.is_set() { own } else { own.with(of_pod.value()) };
        let annotation = annotations.key(&format!("{APP_ARMOR}{}", container.at("name").text()));
        if profile.is_set() && annotation.is_set() {
            validate_match(&profile, annotation.text(), &["runtime/default"], "apparmor", causes);
        }
    }
}

/// A profile in an annotation and in a field is the same.
fn validate_match(profile: &At<'_>, annotation: &str, defaults: &[&str], of: &str, causes: &mut Causes) {
    let (kind, local) = (profile.at("type"), profile.at("localhostProfile"));
    let path = annotation.strip_prefix("localhost/");
    let is_same = match kind.text() {
        "Unconfined" => annotation == "unconfined",
        "RuntimeDefault" => defaults.contains(&annotation),
        "Localhost" => path.is_some(),
        _ => true,
    };
    if !is_same {
        causes.forbidden(&kind, &format!("{of} type in annotation and field must match"));
    } else if kind.text() == "Localhost" && local.text_if_set() != path {
        causes.forbidden(&local, &format!("{of} profile in annotation and field must match"));
    }
}

/// `ApparmorFieldForAnnotation`, if it is a valid profile.
pub(crate) fn app_armor_profile(annotation: &str) -> Option<Value> {
    match annotation {
        "unconfined" => Some(json!({ "type": "Unconfined" })),
        "runtime/default" => Some(json!({ "type": "RuntimeDefault" })),
        _ => {
            let name = annotation.strip_prefix("localhost/")?;
            let is_valid = !name.is_empty() && name.trim() == name && name.len() <= 4095;
            is_valid.then(|| json!({ "type": "Localhost", "localhostProfile": name }))
        }
    }
}
