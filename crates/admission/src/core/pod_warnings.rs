//! Warnings about an accepted Pod or template (`pkg/api/pod/warnings.go`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::nodes::{node_label_deprecated_message, warnings_for_node_selector_term};
use super::persistent_volumes::warnings_for_claim_spec;
use super::validation::annotations::app_armor_profile;
use super::validation::annotations::{APP_ARMOR, SECCOMP_CONTAINER, SECCOMP_POD};
use super::validation::fields::all_containers;
use super::validation::resources::amount;
use crate::field::At;
use crate::primitives::{addresses, names};

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// `deprecatedAnnotations`
const ANNOTATIONS: [(&str, &str); 3] = [
    (
        "scheduler.alpha.kubernetes.io/critical-pod",
        "non-functional in v1.16+; use the \"priorityClassName\" field instead",
    ),
    ("security.alpha.kubernetes.io/sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead"),
    (
        "security.alpha.kubernetes.io/unsafe-sysctls",
        "non-functional in v1.11+; use the \"sysctls\" field instead",
    ),
];

/// Sources of volumes without effect, with their paths in messages.
const VOLUMES: [(&str, &str, &str); 9] = [
    ("photonPersistentDisk", "photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("gitRepo", "gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
    ("scaleIO", "scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("flocker", "flocker", "deprecated in v1.22, non-functional in v1.25+"),
    ("storageos", "storageOS", "deprecated in v1.22, non-functional in v1.25+"),
    ("quobyte", "quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("cephfs", "cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("rbd", "rbd", "deprecated in v1.28, non-functional in v1.31+"),
];

/// `WarningsOnCreate`; an update of a Pod has none.
pub(crate) fn warnings_for_pod(pod: &Value, before: Option<&Value>) -> Vec<String> {
    if before.is_some() {
        return Vec::new();
    }
    let root = At::root(pod);
    let mut warnings = Vec::new();
    let faults = names::dns_label(root.at("metadata.name").text());
    if !faults.is_empty() {
        warnings.push(format!(
            "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [{}]",
            faults.join(" ")
        ));
    }
    warnings.extend(warnings_for_pod_spec_and_meta(&root, false));
    warnings
}

/// `GetWarningsForPodTemplate`
pub(crate) fn warnings_for_pod_template(template: &At<'_>) -> Vec<String> {
    warnings_for_pod_spec_and_meta(template, true)
}

fn warnings_for_pod_spec_and_meta(pod: &At<'_>, is_template: bool) -> Vec<String> {
    let spec = pod.at("spec");
    let mut warnings = Vec::new();
    for (key, value) in spec.at("nodeSelector").entries() {
        if let Some(why) = node_label_deprecated_message(key) {
            warnings.push(format!("{value}: {why}"));
        }
    }
    let nodes = spec.at("affinity.nodeAffinity");
    for term in nodes.at(REQUIRED).at("nodeSelectorTerms").items() {
        warnings.extend(warnings_for_node_selector_term(&term, false));
    }
    for term in nodes.at(PREFERRED).items() {
        warnings.extend(warnings_for_node_selector_term(&term.at("preference"), true));
    }
    for constraint in spec.at("topologySpreadConstraints").items() {
        let (key, selector) = (constraint.at("topologyKey"), constraint.at("labelSelector"));
        if let Some(why) = node_label_deprecated_message(key.text()) {
            warnings.push(format!("{key}: {} is {why}", key.text()));
        }
        warnings.extend(warning_for_null_selector(&selector));
    }
    let annotations = pod.at("metadata.annotations");
    for (key, why) in ANNOTATIONS {
        if annotations.key(key).is_set() {
            warnings.push(format!("{}: {why}", annotations.key(key)));
        }
    }
    warn_of_volumes(&spec.at("volumes"), &mut warnings);
    warn_of_repetitions(&spec, &mut warnings);
    warn_of_fractions(&spec.at("overhead"), &mut warnings);
    if !spec.at("securityContext.seccompProfile").is_set() {
        warn_of_seccomp(&annotations.key(SECCOMP_POD), &mut warnings);
    }
    for container in all_containers(&spec) {
        let name = container.at("name").text();
        let context = container.at("securityContext");
        if !context.at("seccompProfile").is_set() {
            warn_of_seccomp(&annotations.key(&format!("{SECCOMP_CONTAINER}{name}")), &mut warnings);
        }
        let annotation = annotations.key(&format!("{APP_ARMOR}{name}"));
        if annotation.is_set() && !context.at("appArmorProfile").is_set() {
            let of_pod = spec.at("securityContext.appArmorProfile");
            let profile = app_armor_profile(annotation.text());
            // In a Pod the annotation has become a field by now, unless it is no profile.
            if is_template && profile.as_ref() != Some(of_pod.value()) || profile.is_none() {
                let why = "deprecated since v1.30; use the \"appArmorProfile\" field instead";
                warnings.push(format!("{annotation}: {why}"));
            }
        }
        for list in ["limits", "requests"] {
            warn_of_fraction(&container.at("resources").at(list).key("memory"), &mut warnings);
        }
        for list in ["limits", "requests"] {
            warn_of_fraction(&container.at("resources").at(list).key("ephemeral-storage"), &mut warnings);
        }
        warn_of_hidden_variables(&container.at("env"), &mut warnings);
    }
    warn_of_ports(&spec, &mut warnings);
    let grace_period = spec.at("terminationGracePeriodSeconds");
    if grace_period.number() < 0 {
        let why = "must be >= 0; negative values are invalid and will be treated as 1";
        warnings.push(format!("{grace_period}: {why}"));
    }
    for pods in ["podAffinity", "podAntiAffinity"].map(|name| spec.at("affinity").at(name)) {
        let required = pods.at(REQUIRED).items().map(|term| term.at("labelSelector"));
        let preferred = pods.at(PREFERRED).items().map(|term| term.at("podAffinityTerm.labelSelector"));
        warnings
            .extend(required.chain(preferred).filter_map(|selector| warning_for_null_selector(&selector)));
    }
    let servers = spec.at("dnsConfig.nameservers").items();
    let aliases = spec.at("hostAliases").items().map(|alias| alias.at("ip"));
    warnings.extend(servers.chain(aliases).filter_map(|address| addresses::warnings_for_ip(&address)));
    warnings
}

fn warning_for_null_selector(selector: &At<'_>) -> Option<String> {
    (!selector.is_set()).then(|| format!("{selector}: a null labelSelector results in matching no pod"))
}

fn warn_of_seccomp(annotation: &At<'_>, warnings: &mut Vec<String>) {
    if annotation.is_set() {
        warnings.push(format!(
            "{annotation}: non-functional in v1.27+; use the \"seccompProfile\" field instead"
        ));
    }
}

fn warn_of_volumes(volumes: &At<'_>, warnings: &mut Vec<String>) {
    for volume in volumes.items() {
        for (index, (source, path, why)) in VOLUMES.into_iter().enumerate() {
            // Claims are looked at before the last two.
            if index == 7 {
                let claim = volume.at("ephemeral.volumeClaimTemplate");
                if claim.is_set() {
                    warnings.extend(warnings_for_claim_spec(&claim.at("spec")));
                }
            }
            if volume.at(source).is_set() {
                warnings.push(format!("{}: {why}", volume.at(path)));
            }
        }
    }
    for volume in volumes.items() {
        warn_of_overlapping_paths(&volume, warnings);
    }
}

/// A path in a volume, and the source that it is from.
#[derive(Clone, PartialEq, Eq)]
struct Placed {
    path: String,
    source: String,
}

impl Placed {
    fn all(items: &At<'_>, source: &str) -> Vec<Placed> {
        items.items().map(|item| Placed::new(item.at("path").text(), source)).collect()
    }

    fn new(path: &str, source: &str) -> Placed {
        Placed { path: path.trim_end_matches('/').into(), source: source.into() }
    }

    fn text(&self) -> String {
        if self.source.is_empty() {
            format!("{:?}", self.path)
        } else {
            format!("{:?} ({})", self.path, self.source)
        }
    }

    /// Whether one is the other, or within it.
    fn overlaps(&self, other: &Placed) -> bool {
        let is_in = |one: &str, other: &str| format!("{one}/").starts_with(&format!("{other}/"));
        !self.path.is_empty()
            && !other.path.is_empty()
            && (is_in(&self.path, &other.path) || is_in(&other.path, &self.path))
    }
}

/// `warningsForOverlappingVirtualPaths`, of one volume.
fn warn_of_overlapping_paths(volume: &At<'_>, warnings: &mut Vec<String>) {
    let name = volume.at("name").text();
    let mut warn = |paths: Vec<Placed>, what: &str| {
        for (index, path) in paths.iter().enumerate() {
            for other in paths[..index].iter().filter(|other| other.overlaps(path)) {
                let (path, other) = (path.text(), other.text());
                warnings.push(format!("volume {name:?} ({what}): overlapping paths: {path} with {other}"));
            }
        }
    };
    let map = volume.at("configMap");
    warn(Placed::all(&map.at("items"), ""), &format!("ConfigMap {:?}", map.at("name").text()));
    let secret = volume.at("secret");
    warn(Placed::all(&secret.at("items"), ""), &format!("Secret {:?}", secret.at("secretName").text()));
    warn(Placed::all(&volume.at("downwardAPI.items"), ""), "DownwardAPI");
    let mut paths = Vec::new();
    let mut without = 0;
    for source in volume.at("projected.sources").items() {
        without += i32::from(source.is_empty());
        paths.extend(projected_paths(&source));
    }
    warn(paths, "Projected");
    for _ in 0..without {
        warnings.push(format!("volume {name:?} (Projected) has no sources provided"));
    }
}

fn projected_paths(source: &At<'_>) -> Vec<Placed> {
    for (kind, title) in [("configMap", "ConfigMap"), ("secret", "Secret")] {
        let items = source.at(kind).at("items");
        if items.is_set() {
            return Placed::all(&items, &format!("{title} {:?}", source.at(kind).at("name").text()));
        }
    }
    let (token, bundle) = (source.at("serviceAccountToken"), source.at("clusterTrustBundle"));
    if source.at("downwardAPI.items").is_set() {
        return Placed::all(&source.at("downwardAPI.items"), "DownwardAPI");
    }
    if token.is_set() {
        return vec![Placed::new(token.at("path").text(), "ServiceAccountToken")];
    }
    if bundle.is_set() {
        let name = bundle.at("name").text_if_set().unwrap_or(bundle.at("signerName").text());
        return vec![Placed::new(bundle.at("path").text(), &format!("ClusterTrustBundle {name:?}"))];
    }
    let certificate = source.at("podCertificate");
    let fields = [
        ("certificateChainPath", "PodCertificate chain"),
        ("keyPath", "PodCertificate key"),
        ("credentialBundlePath", "PodCertificate credential bundle"),
    ];
    let paths = fields.map(|(field, source)| Placed::new(certificate.at(field).text(), source));
    paths.into_iter().filter(|placed| !placed.path.is_empty()).collect()
}

/// Aliases of one address, and secrets for images that are named twice or not at all.
fn warn_of_repetitions(spec: &At<'_>, warnings: &mut Vec<String>) {
    for (list, field) in [("hostAliases", "ip"), ("imagePullSecrets", "name")] {
        let mut seen = BTreeSet::new();
        for value in spec.at(list).items().map(|item| item.at(field)) {
            if !seen.insert(value.text()) {
                warnings.push(format!("{value}: duplicate {field} {:?}", value.text()));
            }
        }
    }
    for name in spec.at("imagePullSecrets").items().map(|item| item.at("name")) {
        if name.is_empty() {
            warnings.push(format!("{name}: invalid empty name \"\""));
        }
    }
}

fn warn_of_fractions(amounts: &At<'_>, warnings: &mut Vec<String>) {
    for name in ["memory", "ephemeral-storage"] {
        warn_of_fraction(&amounts.key(name), warnings);
    }
}

fn warn_of_fraction(quantity: &At<'_>, warnings: &mut Vec<String>) {
    if !amount(quantity).is_whole() {
        let text = quantity.text();
        warnings.push(format!("{quantity}: fractional byte value {text:?} is invalid, must be an integer"));
    }
}

fn warn_of_hidden_variables(variables: &At<'_>, warnings: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for variable in variables.items() {
        let (name, value) = (variable.at("name").text(), variable.at("value").text());
        if seen.insert(name) {
            continue;
        }
        let reference = format!("$({name})");
        if variable.at("valueFrom").is_set() || value == reference || !value.contains(&reference) {
            warnings.push(format!(
                "{variable}: hides previous definition of {name:?}, which may be dropped when using apply"
            ));
        }
    }
}

fn warn_of_ports(spec: &At<'_>, warnings: &mut Vec<String>) {
    let ports = || all_containers(spec).flat_map(|container| container.at("ports").items());
    let mut all = BTreeMap::<(i64, &str), Vec<At<'_>>>::new();
    for port in ports() {
        let (ip, host) = (port.at("hostIP").text(), port.at("hostPort").number());
        let (number, protocol) = (port.at("containerPort").number(), port.at("protocol").text());
        if !ip.is_empty() && host == 0 {
            let name = port.at("name").text();
            warnings.push(format!(
                "{port}: hostIP set without hostPort: {{Name:{name} HostPort:{host} ContainerPort:{number} Protocol:{protocol} HostIP:{ip}}}"
            ));
        }
        let others = all.entry((number, protocol)).or_default();
        for other in others.iter() {
            let (other_ip, other_host) = (other.at("hostIP").text(), other.at("hostPort").number());
            let what = if ip == other_ip && host == other_host {
                "duplicate"
            } else if host == 0 || other_host == 0 {
                "overlapping"
            } else if host == other_host && ip.is_empty() != other_ip.is_empty() {
                "dangerously ambiguous"
            } else {
                continue;
            };
            warnings.push(format!("{port}: {what} port definition with {other}"));
        }
        others.push(port);
    }
    let mut named = BTreeMap::<&str, At<'_>>::new();
    for port in ports().filter(|port| !port.at("name").is_empty()) {
        let name = port.at("name").text();
        match named.get(name) {
            Some(other) => warnings.push(format!(
                "{port}: duplicate port name {name:?} with {other}, services and probes that select ports by name will use {other}"
            )),
            None => drop(named.insert(name, port)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_said_of_pods() {
        let table = [
            (
                json!({ "containers": [{ "name": "a", "ports": [
                    { "name": "x", "containerPort": 80, "protocol": "TCP" },
                    { "name": "x", "containerPort": 80, "protocol": "TCP" },
                ]}]}),
                vec![
                    "spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]",
                    "spec.containers[0].ports[1]: duplicate port name \"x\" with spec.containers[0].ports[0], services and probes that select ports by name will use spec.containers[0].ports[0]",
                ],
            ),
            (
                json!({ "containers": [{ "name": "a", "resources": { "limits": { "memory": "100m" } } }] }),
                vec![
                    "spec.containers[0].resources.limits[memory]: fractional byte value \"100m\" is invalid, must be an integer",
                ],
            ),
            (
                json!({ "volumes": [{ "name": "v", "gitRepo": {} }] }),
                vec!["spec.volumes[0].gitRepo: deprecated in v1.11, and disabled by default in v1.33+"],
            ),
        ];
        for (spec, expected) in table {
            let pod = json!({ "metadata": { "name": "a" }, "spec": spec });
            assert_eq!(warnings_for_pod(&pod, None), expected);
        }
    }
}
