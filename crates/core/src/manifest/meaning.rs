//! The kind of a document, from its head. Must not depend on the fields of kinds.

use serde::Deserialize;

use crate::store::{Kind, Name, PARTITION};

/// The head of a document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default, expecting = "a Kubernetes object")]
pub(super) struct Head {
    pub(super) api_version: Option<Name>,
    pub(super) kind: Option<Name>,
}

impl Head {
    /// Whether both fields are present.
    pub(super) fn is_whole(&self) -> bool {
        self.api_version.is_some() && self.kind.is_some()
    }
}

/// The meaning of a head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Object(Kind),
    /// A List, with the defaults for heads of its items: those of a `ServiceList` may omit them.
    List(Head),
    /// Our own short form.
    Topology,
    /// A Scenario of `play`.
    Scenario,
    /// A kind on which the DNS does not depend.
    Other,
    /// A kind of Kubernetes with the wrong `apiVersion`, and its own.
    Misplaced(&'static str),
    /// An unknown kind of our own group.
    Unknown,
    /// Input for kustomize.
    Kustomization,
}

/// The `apiVersion` of our own kinds.
pub(super) const OWN_VERSION: &str = "clusterlocal.dev/v1";

/// The kinds that are read, with all of their versions; the first is the current one.
pub(super) const KINDS: [(&str, Kind, &[&str]); 21] = [
    ("Namespace", Kind::Namespace, &["v1"]),
    ("Node", Kind::Node, &["v1"]),
    ("Service", Kind::Service, &["v1"]),
    ("StatefulSet", Kind::StatefulSet, &["apps/v1", "apps/v1beta2", "apps/v1beta1"]),
    ("PetSet", Kind::StatefulSet, &["apps/v1alpha1"]),
    ("Deployment", Kind::Deployment, &["apps/v1", "apps/v1beta2", "apps/v1beta1", "extensions/v1beta1"]),
    ("ReplicaSet", Kind::ReplicaSet, &["apps/v1", "apps/v1beta2", "extensions/v1beta1"]),
    ("ReplicationController", Kind::ReplicationController, &["v1"]),
    ("DaemonSet", Kind::DaemonSet, &["apps/v1", "apps/v1beta2", "extensions/v1beta1"]),
    ("Job", Kind::Job, &["batch/v1"]),
    ("CronJob", Kind::CronJob, &["batch/v1", "batch/v1beta1", "batch/v2alpha1"]),
    ("Pod", Kind::Pod, &["v1"]),
    ("EndpointSlice", Kind::EndpointSlice, &["discovery.k8s.io/v1", "discovery.k8s.io/v1beta1"]),
    ("Endpoints", Kind::Endpoints, &["v1"]),
    ("PersistentVolumeClaim", Kind::PersistentVolumeClaim, &["v1"]),
    ("PersistentVolume", Kind::PersistentVolume, &["v1"]),
    // What containers that run as processes have their files and environment from.
    ("ConfigMap", Kind::ConfigMap, &["v1"]),
    ("Secret", Kind::Secret, &["v1"]),
    ("ServiceAccount", Kind::ServiceAccount, &["v1"]),
    ("Fault", Kind::Fault, &[OWN_VERSION]),
    ("Partition", PARTITION, &[OWN_VERSION]),
];

/// The groups that only Kubernetes extends.
const GROUPS: [&str; 24] = [
    "",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "apps",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "extensions",
    "flowcontrol.apiserver.k8s.io",
    "internal.apiserver.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "resource.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
    "storagemigration.k8s.io",
];

/// The meaning of an object of `api_version` and `kind`.
///
/// Groups count: `serving.knative.dev/v1` has a Service too, which is a different kind.
pub(super) fn meaning(api_version: &str, kind: &str) -> Meaning {
    if let Some(&(_, known, versions)) = KINDS.iter().find(|(name, ..)| *name == kind) {
        return if versions.contains(&api_version) {
            Meaning::Object(known)
        } else if is_built_in(api_version) {
            // Only Kubernetes adds kinds to these groups.
            Meaning::Misplaced(versions[0])
        } else {
            Meaning::Other
        };
    }
    if api_version == OWN_VERSION {
        return match kind {
            "Topology" => Meaning::Topology,
            "Scenario" => Meaning::Scenario,
            _ => Meaning::Unknown,
        };
    }
    if api_version.starts_with("kustomize.config.k8s.io/") {
        return Meaning::Kustomization;
    }
    match kind.strip_suffix("List") {
        Some("") if api_version == "v1" => Meaning::List(Head::default()),
        Some(item) if !item.is_empty() => {
            Meaning::List(Head { api_version: Some(api_version.into()), kind: Some(item.into()) })
        }
        _ => Meaning::Other,
    }
}

/// Whether only Kubernetes adds kinds to the group of `api_version`. The group of a CustomResourceDefinition has a dot.
pub(super) fn is_built_in(api_version: &str) -> bool {
    let group = group(api_version);
    GROUPS.contains(&group) || !group.contains('.')
}

/// The group of an `apiVersion`; empty for the core group.
pub(super) fn group(api_version: &str) -> &str {
    api_version.rsplit_once('/').map_or("", |(group, _)| group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_recognized_by_their_group() {
        let table = [
            ("v1", "Service", Meaning::Object(Kind::Service)),
            ("serving.knative.dev/v1", "Service", Meaning::Other),
            ("apps/v1beta1", "StatefulSet", Meaning::Object(Kind::StatefulSet)),
            ("apps/v1alpha1", "PetSet", Meaning::Object(Kind::StatefulSet)),
            ("v1", "StatefulSet", Meaning::Misplaced("apps/v1")),
            ("apps/v1", "Service", Meaning::Misplaced("v1")),
            ("apps/v7", "Deployment", Meaning::Misplaced("apps/v1")),
            ("apps.openshift.io/v1", "Deployment", Meaning::Other),
            ("extensions/v1beta1", "Ingress", Meaning::Other),
            ("v1", "ConfigMap", Meaning::Object(Kind::ConfigMap)),
            ("rbac.authorization.k8s.io/v1", "Role", Meaning::Other),
            ("monitoring.coreos.com/v1", "Prometheus", Meaning::Other),
            ("clusterlocal.dev/v1", "Topology", Meaning::Topology),
            ("clusterlocal.dev/v1", "Fault", Meaning::Object(Kind::Fault)),
            ("chaos-mesh.org/v1alpha1", "Fault", Meaning::Other),
            ("v1", "Fault", Meaning::Misplaced("clusterlocal.dev/v1")),
            ("app/v1", "StatefulSet", Meaning::Misplaced("apps/v1")),
            ("networking.k8s.io/v1", "Service", Meaning::Misplaced("v1")),
            ("clusterlocal.dev/v1", "Falut", Meaning::Unknown),
            ("kustomize.config.k8s.io/v1beta1", "Kustomization", Meaning::Kustomization),
            ("kustomize.toolkit.fluxcd.io/v1", "Kustomization", Meaning::Other),
            ("v1", "List", Meaning::List(Head::default())),
            (
                "v1",
                "ServiceList",
                Meaning::List(Head { api_version: Some("v1".into()), kind: Some("Service".into()) }),
            ),
        ];
        for (api_version, kind, expected) in table {
            assert_eq!(meaning(api_version, kind), expected, "{api_version} {kind}");
        }
    }
}
