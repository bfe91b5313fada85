//! Rules about workloads: API versions, selectors, and the start of the pods of a StatefulSet.

use super::Reviewed;
use clusterlocal_core::manifest::Problem;
use clusterlocal_core::store::{
    LABEL_MAX, Labels, Object, PodManagementPolicy, SUBDOMAIN_MAX, Service, StatefulSet,
};

/// Removed versions, their replacements, and the releases that removed them (the API's deprecation guide).
const REMOVED: [(&str, &str, &str); 5] = [
    ("apps/v1alpha1", "apps/v1", "1.5"),
    ("apps/v1beta1", "apps/v1", "1.16"),
    ("apps/v1beta2", "apps/v1", "1.16"),
    ("extensions/v1beta1", "apps/v1", "1.16"),
    ("discovery.k8s.io/v1beta1", "discovery.k8s.io/v1", "1.25"),
];

/// Versions whose selector defaulted to the labels of the template.
const SELECTOR_DEFAULTED: [&str; 3] = ["apps/v1alpha1", "apps/v1beta1", "extensions/v1beta1"];

pub(super) fn review(read: &Reviewed<'_, Object>, findings: &mut Vec<Problem>) {
    let (selector, labels) = match read.object {
        Object::StatefulSet(set) => (set.spec.selector.as_ref(), &set.spec.template.metadata.labels),
        Object::Deployment(workload) | Object::ReplicaSet(workload) | Object::DaemonSet(workload) => {
            (workload.spec.selector.as_ref(), &workload.spec.template.metadata.labels)
        }
        Object::EndpointSlice(_) => return api_version_removed(read, &api_version(read), false, findings),
        // The controller sets the selector of a Job.
        _ => return,
    };
    let version = api_version(read);
    api_version_removed(read, &version, selector.is_none(), findings);
    if selector.is_none() && !SELECTOR_DEFAULTED.contains(&version.as_str()) {
        selector_missing(read, labels, findings);
    }
}

/// The apiVersion; empty if the manifest has none, as items of a `StatefulSetList` may.
fn api_version(read: &Reviewed<'_, Object>) -> String {
    let scalars = read.place.scalars();
    scalars.into_iter().find(|(path, _)| path == "apiVersion").map(|(_, text)| text).unwrap_or_default()
}

fn api_version_removed(
    read: &Reviewed<'_, Object>,
    version: &str,
    lacks_selector: bool,
    findings: &mut Vec<Problem>,
) {
    if let Some((_, instead, since)) = REMOVED.iter().find(|(removed, ..)| *removed == version) {
        let more = if lacks_selector { " and spec.selector, which it requires" } else { "" };
        findings.push(read.finding(
            "api-version-removed",
            "apiVersion",
            format!("{version} is not served since Kubernetes {since}"),
            format!("write apiVersion: {instead}{more}"),
        ));
    }
}

fn selector_missing(read: &Reviewed<'_, Object>, labels: &Labels, findings: &mut Vec<Problem>) {
    let pairs: Vec<String> = labels.iter().map(|(key, value)| format!("{key}: {value}")).collect();
    let help = if labels.is_empty() {
        "give spec.template.metadata.labels a label, and spec.selector.matchLabels the same".into()
    } else {
        format!("write selector: {{matchLabels: {{{}}}}}", pairs.join(", "))
    };
    let message =
        "has no spec.selector: the API server refuses it (here, the labels of the template are used)";
    findings.push(read.finding("selector-missing", "spec.selector", message, help));
}

pub(super) fn review_set(set: &Reviewed<'_, StatefulSet>, findings: &mut Vec<Problem>) {
    name_too_long(set, findings);
    let scalars = set.place.scalars();
    parallel_before_ready(set, &scalars, findings);
    partition_counts_from_start(set, &scalars, findings);
}

/// The name of a pod is its hostname and the value of a label, both at most 63 bytes; a domain name has at most 253.
fn name_too_long(set: &Reviewed<'_, StatefulSet>, findings: &mut Vec<Problem>) {
    let (meta, spec) = (&set.object.metadata, &set.object.spec);
    let last = spec.ordinals.start.saturating_add(spec.replicas.unwrap_or(1).max(1) - 1);
    let pod = format!("{}-{last}", meta.name);
    let domain = &set.cluster.zone.settings().domain;
    let name = format!("{pod}.{}.{}.svc.{domain}", spec.service_name, meta.namespace);
    let name = name.trim_end_matches('.');
    let mut report = |message: String| {
        findings.push(set.finding("name-too-long", "metadata.name", message, "give the set a shorter name"));
    };
    if pod.len() > LABEL_MAX {
        report(format!(
            "pod {pod} has {} bytes, which is more than the {LABEL_MAX} of a hostname",
            pod.len()
        ));
    } else if name.len() > SUBDOMAIN_MAX {
        report(format!(
            "{name} has {} bytes, which is more than the {SUBDOMAIN_MAX} of a domain name",
            name.len()
        ));
    }
}

/// Pods that start at once and must find each other to become ready never become ready. Without a readiness probe a pod is
/// ready as soon as it runs, which is not reported. Whether readiness depends on peers is not in a manifest.
fn parallel_before_ready(
    set: &Reviewed<'_, StatefulSet>,
    scalars: &[(String, String)],
    findings: &mut Vec<Problem>,
) {
    let spec = &set.object.spec;
    let parallel =
        spec.pod_management_policy == PodManagementPolicy::Parallel && spec.replicas.unwrap_or(1) > 1;
    let governing = set.cluster.service(&set.object.metadata.namespace, &spec.service_name);
    let withholds = |service: &Service| {
        service.is_headless()
            && !service.spec.publish_not_ready_addresses
            && service.spec.selector.matches(&spec.template.metadata.labels)
    };
    let has_probe = scalars.iter().any(|(path, _)| path.contains(".readinessProbe."));
    if parallel && has_probe && governing.is_some_and(withholds) {
        findings.push(set.finding(
            "parallel-before-ready",
            "spec.podManagementPolicy",
            format!(
                "Parallel starts all pods at once, and none has a name before it is ready: pods that must find their \
                 peers to become ready never do (Service {} has no publishNotReadyAddresses)",
                spec.service_name
            ),
            format!("write publishNotReadyAddresses: true into Service {}", spec.service_name),
        ));
    }
}

/// The controller compares `ordinal - start` with the partition (stateful_set_control.go); the documentation describes ordinals.
fn partition_counts_from_start(
    set: &Reviewed<'_, StatefulSet>,
    scalars: &[(String, String)],
    findings: &mut Vec<Problem>,
) {
    const PATH: &str = "spec.updateStrategy.rollingUpdate.partition";
    let partition =
        scalars.iter().find(|(path, _)| path == PATH).and_then(|(_, text)| text.parse::<u32>().ok());
    let start = set.object.spec.ordinals.start;
    if let Some(partition) = partition.filter(|&partition| partition > 0 && start > 0) {
        findings.push(set.finding(
            "partition-counts-from-start",
            PATH,
            format!(
                "{partition} counts from the first ordinal, {start}: pods from {}-{} on are updated",
                set.key.name,
                start.saturating_add(partition)
            ),
            format!("to keep the pods below ordinal N, write partition: N - {start}"),
        ));
    }
}
