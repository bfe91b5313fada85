//! Containers: those that run, those that initialize a Pod, and those that are added to look into it.

use std::collections::BTreeSet;

use super::container_fields::{
    validate_container_ports, validate_env, validate_env_from, validate_volume_devices,
    validate_volume_mounts,
};
use super::fields::validate_one_of;
use super::probes::{validate_lifecycle, validate_probes};
use super::resources::validate_container_resource_requirements;
use super::security::validate_security_context;
use super::volumes::Volumes;
use crate::field::{At, Causes};
use crate::primitives::names;

/// What of a Pod its containers are validated with.
pub(crate) struct Context<'o> {
    pub(crate) spec: At<'o>,
    pub(crate) volumes: Volumes<'o>,
    /// The names of its resource claims.
    pub(crate) claims: BTreeSet<&'o str>,
}

impl Context<'_> {
    /// Whether the Pod has the user namespace of its node.
    pub(crate) fn host_users(&self) -> bool {
        self.spec.at("hostUsers").value() != false
    }
}

/// Supported values, in the order of messages.
const PULL_POLICIES: &[&str] = &["Always", "IfNotPresent", "Never"];
const RESTART_POLICIES: &[&str] = &["Always", "Never", "OnFailure"];
const RULE_ACTIONS: &[&str] = &["Restart", "RestartAllContainers"];
const RULE_OPERATORS: &[&str] = &["In", "NotIn"];
/// `allowedEphemeralContainerFields` that are false, in the order of the struct.
const NOT_EPHEMERAL: [&str; 9] = [
    "ports",
    "resources",
    "resizePolicy",
    "restartPolicy",
    "restartPolicyRules",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
];

/// `validateContainers`
pub(crate) fn validate_containers(of: &Context<'_>, causes: &mut Causes) {
    let containers = of.spec.at("containers");
    if containers.is_empty() {
        causes.required(&containers, "");
        return;
    }
    let grace_period = of.spec.at("terminationGracePeriodSeconds");
    let mut seen = BTreeSet::new();
    for container in containers.items() {
        validate_container_common(&container, of, causes);
        let name = container.at("name");
        if !seen.insert(name.text()) {
            causes.duplicate(&name, name.text());
        }
        let lifecycle = container.at("lifecycle");
        if lifecycle.is_set() {
            validate_lifecycle(&lifecycle, &grace_period, causes);
        }
        validate_probes(&container, &grace_period, causes);
        validate_container_restart_policy(&container, causes);
    }
    accumulate_unique_host_ports(containers.items(), &mut BTreeSet::new(), causes);
}

/// `validateInitContainers`
pub(crate) fn validate_init_containers(of: &Context<'_>, causes: &mut Causes) {
    let grace_period = of.spec.at("terminationGracePeriodSeconds");
    let mut seen: BTreeSet<&str> =
        of.spec.at("containers").items().map(|container| container.at("name").text()).collect();
    let list = of.spec.at("initContainers");
    for container in list.items() {
        validate_container_common(&container, of, causes);
        validate_init_container_restart_policy(&container, causes);
        let is_sidecar = container.at("restartPolicy").text() == "Always";
        let name = container.at("name");
        if seen.contains(name.text()) {
            causes.duplicate(&name, name.text());
        } else if !name.is_empty() {
            seen.insert(name.text());
        }
        // Each alone, and at the start of the list: `checkHostPortConflicts([]core.Container{ctr}, fldPath)`.
        let at_start = list.item(0).with(container.value());
        accumulate_unique_host_ports(std::iter::once(at_start), &mut BTreeSet::new(), causes);
        if is_sidecar {
            let lifecycle = container.at("lifecycle");
            if lifecycle.is_set() {
                validate_lifecycle(&lifecycle, &grace_period, causes);
            }
            validate_probes(&container, &grace_period, causes);
        } else {
            for field in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
                if container.at(field).is_set() {
                    let why = "may not be set for init containers without restartPolicy=Always";
                    causes.forbidden(&container.at(field), why);
                }
            }
            for policy in container.at("resizePolicy").items().map(|policy| policy.at("restartPolicy")) {
                if policy.text() == "RestartContainer" {
                    let why = "must not be set to 'RestartContainer' for non-sidecar initContainers";
                    causes.invalid(&policy, policy.text(), why);
                }
            }
        }
    }
}

/// `validateEphemeralContainers`
pub(crate) fn validate_ephemeral_containers(of: &Context<'_>, causes: &mut Causes) {
    const NO: &str = "cannot be set for an Ephemeral Container";
    let all = [of.spec.at("containers"), of.spec.at("initContainers")];
    let others: BTreeSet<&str> = all.iter().flat_map(At::items).map(|one| one.at("name").text()).collect();
    let mut names = others.clone();
    for container in of.spec.at("ephemeralContainers").items() {
        validate_container_common(&container, of, causes);
        validate_container_only_for_pod(&container, causes);
        let (name, target) = (container.at("name"), container.at("targetContainerName"));
        if !names.insert(name.text()) {
            causes.duplicate(&name, name.text());
        }
        if !target.is_empty() && !others.contains(target.text()) {
            causes.not_found(&target, target.text());
        }
        for field in NOT_EPHEMERAL {
            // An empty list is one that is set.
            let value = container.at(field);
            if value.is_set() && (field != "resources" || !value.is_empty()) {
                causes.forbidden(&value, NO);
            }
        }
        for mount in container.at("volumeMounts").items() {
            for field in ["subPath", "subPathExpr"] {
                if !mount.at(field).is_empty() {
                    causes.forbidden(&mount.at(field), NO);
                }
            }
        }
    }
}

/// `validateContainerCommon`
fn validate_container_common(container: &At<'_>, of: &Context<'_>, causes: &mut Causes) {
    let (name, image) = (container.at("name"), container.at("image"));
    if name.is_empty() {
        causes.required(&name, "");
    } else {
        names::check(&name, names::dns_label, causes);
    }
    if image.is_empty() {
        causes.required(&image, "");
    }
    validate_one_of(&container.at("terminationMessagePolicy"), &["File", "FallbackToLogsOnError"], causes);
    validate_container_ports(&container.at("ports"), causes);
    validate_env(&container.at("env"), causes);
    validate_env_from(&container.at("envFrom"), causes);
    validate_volume_mounts(container, &of.volumes, causes);
    validate_volume_devices(container, &of.volumes, causes);
    validate_one_of(&container.at("imagePullPolicy"), PULL_POLICIES, causes);
    validate_container_resource_requirements(&container.at("resources"), &of.claims, causes);
    validate_resize_policy(&container.at("resizePolicy"), of.spec.at("restartPolicy").text(), causes);
    validate_security_context(&container.at("securityContext"), of.host_users(), causes);
}

/// `validateContainerOnlyForPod`: what templates need not have.
pub(crate) fn validate_container_only_for_pod(container: &At<'_>, causes: &mut Causes) {
    let image = container.at("image");
    if image.text().trim().len() != image.text().len() {
        causes.invalid(&image, image.text(), "must not have leading or trailing whitespace");
    }
}

/// `validateInitContainerRestartPolicy`
fn validate_init_container_restart_policy(container: &At<'_>, causes: &mut Causes) {
    let (policy, rules) = (container.at("restartPolicy"), container.at("restartPolicyRules"));
    if policy.is_set() {
        validate_container_restart_policy(container, causes);
    } else if !rules.is_empty() {
        causes.required(&policy, "must specify restartPolicy when restart rules are used");
    }
}

/// `validateContainerRestartPolicy`
fn validate_container_restart_policy(container: &At<'_>, causes: &mut Causes) {
    let (policy, rules) = (container.at("restartPolicy"), container.at("restartPolicyRules"));
    match policy.text_if_set() {
        None if rules.is_empty() => return,
        None => causes.required(&policy, "must specify restartPolicy when restart rules are used"),
        Some(text) if !RESTART_POLICIES.contains(&text) => {
            causes.not_supported(&policy, text, RESTART_POLICIES);
        }
        Some(_) => {}
    }
    let count = rules.list().len();
    if count > 20 {
        causes.too_many(&rules, count, 20);
    }
    for rule in rules.items() {
        let (action, codes) = (rule.at("action"), rule.at("exitCodes"));
        if !RULE_ACTIONS.contains(&action.text()) {
            causes.not_supported(&action, action.text(), RULE_ACTIONS);
        }
        if !codes.is_set() {
            causes.required(&codes, "must be specified");
            continue;
        }
        let (operator, values) = (codes.at("operator"), codes.at("values"));
        if !RULE_OPERATORS.contains(&operator.text()) {
            causes.not_supported(&operator, operator.text(), RULE_OPERATORS);
        }
        if values.list().len() > 255 {
            causes.too_many(&values, values.list().len(), 255);
        }
    }
}

/// `validateResizePolicy`: its errors are at the list, all but duplicates.
fn validate_resize_policy(list: &At<'_>, pod_restart_policy: &str, causes: &mut Causes) {
    let mut seen = BTreeSet::new();
    for policy in list.items() {
        let resource = policy.at("resourceName").text();
        let restart = policy.at("restartPolicy").text();
        if !seen.insert(resource) {
            causes.duplicate(&policy, resource);
        }
        for (value, supported) in
            [(resource, ["cpu", "memory"]), (restart, ["NotRequired", "RestartContainer"])]
        {
            if value.is_empty() {
                causes.required(list, "");
            } else if !supported.contains(&value) {
                causes.not_supported(list, value, &supported);
            }
        }
        if pod_restart_policy == "Never" && restart != "NotRequired" {
            let why = "must be 'NotRequired' when pod `restartPolicy` is 'Never'";
            causes.invalid(list, restart, why);
        }
    }
}

/// `AccumulateUniqueHostPorts`
fn accumulate_unique_host_ports<'o>(
    containers: impl Iterator<Item = At<'o>>,
    seen: &mut BTreeSet<String>,
    causes: &mut Causes,
) {
    for port in containers.flat_map(|container| container.at("ports").items()) {
        let host_port = port.at("hostPort");
        if host_port.number() == 0 {
            continue;
        }
        let text =
            format!("{}/{}/{}", port.at("protocol").text(), port.at("hostIP").text(), host_port.number());
        if !seen.insert(text.clone()) {
            causes.duplicate(&host_port, text.as_str());
        }
    }
}
