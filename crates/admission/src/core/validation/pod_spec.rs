//! The spec of Pods, also in templates (`ValidatePodSpec`, `ValidatePodTemplateSpec`).

use std::collections::BTreeSet;

use super::annotations::{
    validate_app_armor_annotations_and_fields_match, validate_pod_specific_annotations,
    validate_seccomp_annotations_and_fields,
};
use super::containers::{
    Context, validate_containers, validate_ephemeral_containers, validate_init_containers,
};
use super::fields::{all_containers, validate_one_of};
use super::resources::{validate_container_resource_requirements, validate_pod_resources};
use super::scheduling::{
    validate_affinity, validate_readiness_gates, validate_scheduling_gates, validate_tolerations,
    validate_topology_spread_constraints,
};
use super::security::{
    validate_host_users, validate_os, validate_pod_spec_security_context, validate_windows_host_process_pod,
};
use super::volumes::validate_volumes;
use crate::field::{At, Causes};
use crate::primitives::{addresses, metadata, names};
use crate::schema;

const RESTART_POLICIES: &[&str] = &["Always", "OnFailure", "Never"];
const DNS_POLICIES: &[&str] = &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
const PREEMPTION_POLICIES: &[&str] = &["PreemptLowerPriority", "Never"];

/// What a Pod must not be asked for that is in a template, and the other way round.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Within {
    Pod,
    Template,
}

/// `ValidatePodTemplateSpec`
pub(crate) fn validate_pod_template_spec(template: &At<'_>, causes: &mut Causes) {
    let (spec, annotations) = (template.at("spec"), template.at("metadata.annotations"));
    // Errors of labels and annotations have the path of the template.
    metadata::validate_labels(&template.at("labels").with(template.at("metadata.labels").value()), causes);
    let shown = template.at("annotations").with(annotations.value());
    metadata::validate_annotations(&shown, causes);
    validate_pod_specific_annotations(&shown, &spec, causes);
    validate_pod_spec_within(&spec, &template.at("none"), Within::Template, causes);
    validate_seccomp_annotations_and_fields(&annotations, &spec, causes);
    validate_app_armor_annotations_and_fields_match(&annotations, &spec, causes);
    let ephemeral = spec.at("ephemeralContainers");
    if !ephemeral.is_empty() {
        causes.forbidden(&ephemeral, "ephemeral containers not allowed in pod template");
    }
}

/// `ValidatePodSpec`. `pod_metadata` is that of the Pod; of a template there is none.
pub(crate) fn validate_pod_spec(spec: &At<'_>, pod_metadata: &At<'_>, causes: &mut Causes) {
    validate_pod_spec_within(spec, pod_metadata, Within::Pod, causes);
}

fn validate_pod_spec_within(spec: &At<'_>, pod_metadata: &At<'_>, within: Within, causes: &mut Causes) {
    let grace_period = spec.at("terminationGracePeriodSeconds");
    if !grace_period.is_set() {
        causes.required(&grace_period, "");
    }
    let volumes = validate_volumes(&spec.at("volumes"), pod_metadata, causes);
    let claims = spec.at("resourceClaims").items().map(|claim| claim.at("name").text());
    let of =
        Context { spec: spec.clone(), volumes, claims: claims.filter(|name| !name.is_empty()).collect() };
    validate_pod_resource_claims(&spec.at("resourceClaims"), pod_metadata, causes);
    validate_containers(&of, causes);
    validate_init_containers(&of, causes);
    validate_ephemeral_containers(&of, causes);
    validate_pod_resources(spec, &of.claims, causes);
    validate_pod_host_network_deps(spec, within, causes);
    validate_one_of(&spec.at("restartPolicy"), RESTART_POLICIES, causes);
    validate_one_of(&spec.at("dnsPolicy"), DNS_POLICIES, causes);
    metadata::validate_labels(&spec.at("nodeSelector"), causes);
    validate_pod_spec_security_context(spec, causes);
    validate_affinity(&spec.at("affinity"), causes);
    validate_pod_dns_config(spec, causes);
    validate_readiness_gates(&spec.at("readinessGates"), causes);
    validate_scheduling_gates(&spec.at("schedulingGates"), causes);
    validate_topology_spread_constraints(&spec.at("topologySpreadConstraints"), causes);
    validate_windows_host_process_pod(spec, causes);
    validate_host_users(spec, causes);
    validate_pod_host_name(spec, causes);
    validate_names(spec, &["serviceAccountName", "nodeName"], names::dns_subdomain, causes);
    let deadline = spec.at("activeDeadlineSeconds");
    if let Some(seconds) = deadline.number_if_set() {
        for fault in names::in_range(seconds, 1, i32::MAX.into()) {
            causes.invalid(&deadline, seconds, &fault);
        }
    }
    validate_names(spec, &["hostname", "subdomain"], names::dns_label, causes);
    validate_tolerations(&spec.at("tolerations"), causes);
    validate_host_aliases(&spec.at("hostAliases"), causes);
    validate_names(spec, &["priorityClassName"], names::dns_subdomain, causes);
    if spec.at("runtimeClassName").is_set() {
        names::check(&spec.at("runtimeClassName"), names::dns_subdomain, causes);
    }
    if spec.at("preemptionPolicy").is_set() {
        validate_one_of(&spec.at("preemptionPolicy"), PREEMPTION_POLICIES, causes);
    }
    validate_overhead(&spec.at("overhead"), causes);
    validate_os(spec, causes);
    validate_file_key_ref_volumes(spec, causes);
}

fn validate_names(
    spec: &At<'_>,
    fields: &[&'static str],
    rule: fn(&str) -> names::Faults,
    causes: &mut Causes,
) {
    for field in fields.iter().map(|field| spec.at(field)).filter(|field| !field.is_empty()) {
        names::check(&field, rule, causes);
    }
}

/// `validateOverhead`: as limits of a container.
fn validate_overhead(overhead: &At<'_>, causes: &mut Causes) {
    if overhead.is_set() {
        let limits = serde_json::json!({ "limits": overhead.value() });
        validate_container_resource_requirements(&overhead.with(&limits), &BTreeSet::new(), causes);
    }
}

/// `validatePodResourceClaims`
fn validate_pod_resource_claims(claims: &At<'_>, pod_metadata: &At<'_>, causes: &mut Causes) {
    const MIRROR: &str = "kubernetes.io/config.mirror";
    let is_mirror = pod_metadata.at("annotations").key(MIRROR).is_set();
    let mut seen = BTreeSet::new();
    for claim in claims.items() {
        if is_mirror {
            // `field.NewPath("")`
            causes.forbidden(
                &At::root(&serde_json::Value::Null).at(""),
                "static pods do not support resource claims",
            );
            continue;
        }
        let name = claim.at("name");
        if name.is_empty() {
            causes.required(&name, "");
        } else if seen.insert(name.text()) {
            names::check(&name, names::dns_label, causes);
        } else {
            causes.duplicate(&name, name.text());
        }
        let sources = [claim.at("resourceClaimName"), claim.at("resourceClaimTemplateName")];
        let why = match sources.iter().filter(|source| source.is_set()).count() {
            0 => "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`",
            1 => "",
            _ => "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified",
        };
        if !why.is_empty() {
            causes.invalid(&claim, schema::go_json("PodResourceClaim", claim.value()), why);
        }
        for source in sources.iter().filter(|source| source.is_set()) {
            names::check(source, names::dns_subdomain, causes);
        }
    }
}

/// `validatePodHostNetworkDeps`
fn validate_pod_host_network_deps(spec: &At<'_>, within: Within, causes: &mut Causes) {
    if !spec.at("hostNetwork").is_true() {
        return;
    }
    for port in spec.at("containers").items().flat_map(|container| container.at("ports").items()) {
        let (host, own) = (port.at("hostPort"), port.at("containerPort").number());
        if (within == Within::Pod || host.number() != 0) && host.number() != own {
            causes.invalid(&host, host.number(), "must match `containerPort` when `hostNetwork` is true");
        }
    }
}

/// `validatePodDNSConfig`
fn validate_pod_dns_config(spec: &At<'_>, causes: &mut Causes) {
    let config = spec.at("dnsConfig");
    let (servers, searches) = (config.at("nameservers"), config.at("searches"));
    if spec.at("dnsPolicy").text() == "None" {
        if !config.is_set() {
            causes.required(&config, "must provide `dnsConfig` when `dnsPolicy` is None");
            return;
        }
        if servers.is_empty() {
            causes.required(&servers, "must provide at least one DNS nameserver when `dnsPolicy` is None");
            return;
        }
    }
    if servers.list().len() > 3 {
        causes.invalid(&servers, servers.value(), "must not have more than 3 nameservers");
    }
    for server in servers.items() {
        addresses::validate_ip_for_legacy_field(&server, causes);
    }
    if searches.list().len() > 32 {
        causes.invalid(&searches, searches.value(), "must not have more than 32 search paths");
    }
    let length: usize = searches.items().map(|search| search.text().len() + 1).sum();
    if length > 2048 + 1 {
        let why = "must not have more than 2048 characters (including spaces) in the search list";
        causes.invalid(&searches, searches.value(), why);
    }
    for search in searches.items().filter(|search| search.text() != ".") {
        let text = search.text();
        let text = text.strip_suffix('.').unwrap_or(text);
        for fault in names::subdomain_with_underscore(text) {
            causes.invalid(&search, text, &fault);
        }
    }
    for option in config.at("options").items() {
        if option.at("name").is_empty() {
            causes.required(&option, "must not be empty");
        }
    }
}

/// `validatePodHostName`
fn validate_pod_host_name(spec: &At<'_>, causes: &mut Causes) {
    let name = spec.at("hostnameOverride");
    let Some(text) = name.text_if_set() else { return };
    if spec.at("setHostnameAsFQDN").is_true() {
        causes.forbidden(&name, "may not be specified when setHostnameAsFQDN is true");
    }
    if spec.at("hostNetwork").is_true() {
        causes.forbidden(&name, "may not be specified when hostNetwork is true");
    }
    if text.len() > 64 {
        causes.too_long(&name, 64);
    }
    names::check(&name, names::dns_subdomain, causes);
}

/// `ValidateHostAliases`
fn validate_host_aliases(aliases: &At<'_>, causes: &mut Causes) {
    for alias in aliases.items() {
        addresses::validate_ip_for_legacy_field(&alias.at("ip"), causes);
        for name in alias.at("hostnames").items() {
            names::check(&name, names::dns_subdomain, causes);
        }
    }
}

/// `validateFileKeyRefVolumes`
fn validate_file_key_ref_volumes(spec: &At<'_>, causes: &mut Causes) {
    let volumes: Vec<At<'_>> = spec.at("volumes").items().collect();
    for variable in all_containers(spec).flat_map(|container| container.at("env").items()) {
        let reference = variable.at("valueFrom.fileKeyRef");
        if !reference.is_set() {
            continue;
        }
        let name = reference.at("volumeName");
        match volumes.iter().rfind(|volume| volume.at("name").text() == name.text()) {
            None => causes.not_found(&name, name.text()),
            Some(volume) if !volume.at("emptyDir").is_set() => {
                causes.invalid(&name, name.text(), "referenced volume must be of type emptyDir");
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::core::defaults::default_pod_spec;

    fn causes(fields: &Value) -> Vec<String> {
        let mut spec = json!({ "containers": [{ "name": "c", "image": "i" }] });
        for (field, value) in fields.as_object().into_iter().flatten() {
            spec[field] = value.clone();
        }
        default_pod_spec(&mut spec);
        let pod = json!({ "spec": spec });
        let mut causes = Causes::default();
        validate_pod_spec(&At::root(&pod).at("spec"), &At::root(&Value::Null), &mut causes);
        causes.into_vec().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn specs_are_refused_in_the_words_of_the_api_server() {
        let container = |fields: Value| {
            let mut container = json!({ "name": "c", "image": "i" });
            for (field, value) in fields.as_object().into_iter().flatten() {
                container[field] = value.clone();
            }
            json!({ "containers": [container] })
        };
        let table = [
            (json!({}), vec![]),
            (
                json!({ "dnsPolicy": "None" }),
                vec!["spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"],
            ),
            (
                json!({ "hostUsers": false, "hostPID": true }),
                vec!["spec.HostPID: Forbidden: when `hostUsers` is false"],
            ),
            (
                json!({ "os": { "name": "windows" }, "hostIPC": true }),
                vec!["spec.hostIPC: Forbidden: cannot be set for a windows pod"],
            ),
            (
                json!({ "tolerations": [{ "key": "k", "operator": "Lt", "value": "1" }] }),
                vec![
                    "spec.tolerations[0].operator: Unsupported value: \"Lt\": supported values: \"Equal\", \"Exists\", \"Lt\", \"Gt\"",
                ],
            ),
            (
                container(json!({ "resources": { "requests": { "cpu": "2" }, "limits": { "cpu": "1" } } })),
                vec![
                    "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1",
                ],
            ),
            (
                container(json!({ "resources": { "limits": { "example.com/a": "500m" } } })),
                vec![
                    "spec.containers[0].resources.limits[example.com/a]: Invalid value: \"500m\": must be an integer",
                ],
            ),
            (
                container(json!({ "livenessProbe": { "grpc": { "port": 1 }, "successThreshold": 2 } })),
                vec!["spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1"],
            ),
            (
                container(json!({ "securityContext": { "seccompProfile": { "type": "Localhost" } } })),
                vec![
                    "spec.containers[0].securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost",
                ],
            ),
            (
                container(json!({ "volumeDevices": [{ "name": "v", "devicePath": "/d" }] })),
                vec!["spec.containers[0].volumeDevices[0].name: Not found: \"v\""],
            ),
        ];
        for (fields, expected) in table {
            assert_eq!(causes(&fields), expected, "{fields}");
        }
    }
}
