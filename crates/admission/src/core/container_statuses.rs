//! The statuses of a Pod's containers: `ValidateContainerStateTransition`, `validateContainerStatusUsers`,
//! `validateContainerStatusAllocatedResourcesStatus`.

use std::collections::HashSet;

use serde_json::Value;

use super::defaults::items;
use crate::field::{At, Causes};
use crate::primitives::names;

/// The lists of statuses, with the containers of each.
const LISTS: [(&str, &str); 3] = [
    ("containerStatuses", "containers"),
    ("initContainerStatuses", "initContainers"),
    ("ephemeralContainerStatuses", "ephemeralContainers"),
];

/// `dropImageVolumeWithDigest`: the gate `ImageVolumeWithDigest` is off.
pub(super) fn drop_image_volume_digests(status: &mut Value, before: &Value) {
    let mounts = |status: &Value, list: &str| {
        let statuses = status[list].as_array().into_iter().flatten();
        statuses
            .flat_map(|one| one["volumeMounts"].as_array().into_iter().flatten())
            .any(|mount| mount.get("volumeStatus").is_some_and(|status| !status.is_null()))
    };
    if LISTS.iter().any(|(list, _)| mounts(before, list)) {
        return;
    }
    for (list, _) in LISTS {
        for one in items(status, list) {
            for mount in items(one, "volumeMounts").filter_map(Value::as_object_mut) {
                mount.remove("volumeStatus");
            }
        }
    }
}

/// `ValidateContainerStateTransition`, `ValidateInitContainerStateTransition`, `ValidateEphemeralContainerStateTransition`: a
/// container that has terminated stays so unless it is restarted.
pub(super) fn validate_transitions(status: &At<'_>, before: &At<'_>, spec: &At<'_>, causes: &mut Causes) {
    for (list, containers) in LISTS {
        let is_ephemeral = containers == "ephemeralContainers";
        if !is_ephemeral && all_containers_could_restart(spec) {
            continue;
        }
        for (index, old) in before.at(list).items().enumerate() {
            let (name, terminated) = (old.at("name").text(), old.at("state.terminated"));
            let is_same = |one: &At<'_>| one.at("name").text() == name;
            let leaves = |one: At<'_>| is_same(&one) && !one.at("state.terminated").is_set();
            if !terminated.is_set() || !status.at(list).items().any(leaves) {
                continue;
            }
            let container = spec.at(containers).items().find(is_same).filter(|_| !is_ephemeral);
            let code = terminated.at("exitCode").number();
            if !container.is_some_and(|container| should_restart(&container, spec, code)) {
                let state = status.at(list).item(index).at("state");
                causes.forbidden(&state, "may not be transitioned to non-terminated state");
            }
        }
    }
}

/// `AllContainersCouldRestart`
fn all_containers_could_restart(spec: &At<'_>) -> bool {
    let mut containers = ["initContainers", "containers"].into_iter().flat_map(|list| spec.at(list).items());
    containers.any(|container| {
        let mut rules = container.at("restartPolicyRules").items();
        rules.any(|rule| rule.at("action").text() == "RestartAllContainers")
    })
}

/// `ContainerShouldRestart`
fn should_restart(container: &At<'_>, spec: &At<'_>, code: i64) -> bool {
    let by = |policy: &str| match policy {
        "Always" => Some(true),
        "OnFailure" => Some(code != 0),
        "Never" => Some(false),
        _ => None,
    };
    let own = container.at("restartPolicy");
    if let Some(policy) = own.text_if_set() {
        let rule = container.at("restartPolicyRules").items().find(|rule| matches_exit_code(rule, code));
        if rule.is_some_and(|rule| matches!(rule.at("action").text(), "Restart" | "RestartAllContainers")) {
            return true;
        }
        if let Some(restarts) = by(policy) {
            return restarts;
        }
    }
    by(spec.at("restartPolicy").text()).unwrap_or(true)
}

/// `FindMatchingContainerRestartRule`, of one rule.
fn matches_exit_code(rule: &At<'_>, code: i64) -> bool {
    let codes = rule.at("exitCodes");
    let has = codes.at("values").items().any(|value| value.number() == code);
    codes.is_set()
        && match codes.at("operator").text() {
            "In" => has,
            "NotIn" => !has,
            _ => false,
        }
}

/// `validateContainerStatusUsers`
pub(super) fn validate_users(status: &At<'_>, spec: &At<'_>, causes: &mut Causes) {
    let os = spec.at("os.name");
    for user in LISTS.iter().flat_map(|(list, _)| status.at(list).items()).map(|one| one.at("user")) {
        let linux = user.at("linux");
        match os.text() {
            _ if !linux.is_set() => {}
            "windows" => causes.forbidden(&linux, "cannot be set for a windows pod"),
            "" | "linux" => {
                let groups = linux.at("supplementalGroups");
                for id in [linux.at("uid"), linux.at("gid")].into_iter().chain(groups.items()) {
                    for fault in names::user_id(id.number()) {
                        causes.invalid(&id, id.number(), &fault);
                    }
                }
            }
            _ => {}
        }
    }
}

/// `validateContainerStatusAllocatedResourcesStatus`, `validateContainerStatusNoAllocatedResourcesStatus`
pub(super) fn validate_allocated_resources(status: &At<'_>, spec: &At<'_>, causes: &mut Causes) {
    for (list, containers) in LISTS {
        for one in status.at(list).items() {
            let resources = one.at("allocatedResourcesStatus");
            if containers == "ephemeralContainers" {
                if !resources.is_empty() {
                    causes.forbidden(&resources, "must not be specified in container status");
                }
                continue;
            }
            let name = one.at("name").text();
            let container = spec.at(containers).items().find(|container| container.at("name").text() == name);
            for resource in resources.items() {
                if let Some(container) = &container {
                    validate_allocated_resource_name(&resource.at("name"), container, causes);
                }
                validate_resource_health(&resource.at("resources"), causes);
            }
        }
    }
}

fn validate_allocated_resource_name(name: &At<'_>, container: &At<'_>, causes: &mut Causes) {
    let text = name.text();
    let is_known = match text.strip_prefix("claim:") {
        Some(claim) => container.at("resources.claims").items().any(|one| {
            let (name, request) = (one.at("name").text(), one.at("request").text());
            claim == if request.is_empty() { name.to_owned() } else { format!("{name}/{request}") }
        }),
        None => container.at("resources.requests").key(text).is_set(),
    };
    if is_known {
        return;
    }
    let why = if text.starts_with("claim:") {
        "must match one of the container's resource claims in a format 'claim:<claimName>/<request>' or 'claim:<claimName>' if request is empty"
    } else {
        "must match one of the container's resource requests"
    };
    causes.invalid(name, text, why);
}

/// Maximum length of a message about a resource's health, in bytes: `maxResourceHealthMessageLength`.
const HEALTH_MESSAGE_MAX: usize = 1024;

fn validate_resource_health(resources: &At<'_>, causes: &mut Causes) {
    const VALUES: [&str; 3] = ["Healthy", "Unhealthy", "Unknown"];
    let mut seen = HashSet::new();
    for resource in resources.items() {
        let (health, message, id) =
            (resource.at("health"), resource.at("message"), resource.at("resourceID"));
        if !VALUES.contains(&health.text()) {
            causes.not_supported(&health, health.text(), &VALUES);
        }
        match message.text_if_set() {
            Some("") => causes.required(&message, "must be non-empty if specified"),
            Some(text) if text.len() > HEALTH_MESSAGE_MAX => causes.too_long(&message, HEALTH_MESSAGE_MAX),
            _ => {}
        }
        if !seen.insert(id.text()) {
            causes.duplicate(&id, id.text());
        }
    }
}
