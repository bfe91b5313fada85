//! The kinds of objects, and their keys: kind, namespace and name.

use std::borrow::Cow;
use std::fmt;

use super::extra::Extra;
use super::names::Name;

/// The kinds that the store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Kind {
    Namespace,
    Node,
    Service,
    StatefulSet,
    Deployment,
    ReplicaSet,
    ReplicationController,
    DaemonSet,
    Job,
    CronJob,
    Pod,
    EndpointSlice,
    Endpoints,
    PersistentVolumeClaim,
    PersistentVolume,
    ControllerRevision,
    Event,
    ConfigMap,
    Secret,
    ServiceAccount,
    PodDisruptionBudget,
    NetworkPolicy,
    Ingress,
    Role,
    RoleBinding,
    ClusterRole,
    ClusterRoleBinding,
    StorageClass,
    /// Our own kind: failures of the DNS.
    Fault,
    /// A kind without a Rust type.
    Extra(Extra),
}

const NETWORKING: &str = "networking.k8s.io/v1";
const RBAC: &str = "rbac.authorization.k8s.io/v1";

/// The kinds with a Rust type or a special use, each with its `apiVersion`, its name in manifests and whether it is
/// namespaced, in the order of [`Kind`].
const NAMED: [(Kind, &str, &str, bool); 29] = [
    (Kind::Namespace, "v1", "Namespace", false),
    (Kind::Node, "v1", "Node", false),
    (Kind::Service, "v1", "Service", true),
    (Kind::StatefulSet, "apps/v1", "StatefulSet", true),
    (Kind::Deployment, "apps/v1", "Deployment", true),
    (Kind::ReplicaSet, "apps/v1", "ReplicaSet", true),
    (Kind::ReplicationController, "v1", "ReplicationController", true),
    (Kind::DaemonSet, "apps/v1", "DaemonSet", true),
    (Kind::Job, "batch/v1", "Job", true),
    (Kind::CronJob, "batch/v1", "CronJob", true),
    (Kind::Pod, "v1", "Pod", true),
    (Kind::EndpointSlice, "discovery.k8s.io/v1", "EndpointSlice", true),
    (Kind::Endpoints, "v1", "Endpoints", true),
    (Kind::PersistentVolumeClaim, "v1", "PersistentVolumeClaim", true),
    (Kind::PersistentVolume, "v1", "PersistentVolume", false),
    (Kind::ControllerRevision, "apps/v1", "ControllerRevision", true),
    (Kind::Event, "v1", "Event", true),
    (Kind::ConfigMap, "v1", "ConfigMap", true),
    (Kind::Secret, "v1", "Secret", true),
    (Kind::ServiceAccount, "v1", "ServiceAccount", true),
    (Kind::PodDisruptionBudget, "policy/v1", "PodDisruptionBudget", true),
    (Kind::NetworkPolicy, NETWORKING, "NetworkPolicy", true),
    (Kind::Ingress, NETWORKING, "Ingress", true),
    (Kind::Role, RBAC, "Role", true),
    (Kind::RoleBinding, RBAC, "RoleBinding", true),
    (Kind::ClusterRole, RBAC, "ClusterRole", false),
    (Kind::ClusterRoleBinding, RBAC, "ClusterRoleBinding", false),
    (Kind::StorageClass, "storage.k8s.io/v1", "StorageClass", false),
    (Kind::Fault, "clusterlocal.dev/v1", "Fault", false),
];

impl Kind {
    /// The kinds in this table, in the order in which a cluster needs them created.
    pub const ALL: [Kind; NAMED.len()] = {
        let mut all = [Kind::Namespace; NAMED.len()];
        let mut at = 0;
        while at < all.len() {
            all[at] = NAMED[at].0;
            at += 1;
        }
        all
    };

    /// Its index in [`Kind::ALL`], or the kind that is not in it.
    pub(super) const fn index(self) -> Result<usize, Extra> {
        Ok(match self {
            Kind::Namespace => 0,
            Kind::Node => 1,
            Kind::Service => 2,
            Kind::StatefulSet => 3,
            Kind::Deployment => 4,
            Kind::ReplicaSet => 5,
            Kind::ReplicationController => 6,
            Kind::DaemonSet => 7,
            Kind::Job => 8,
            Kind::CronJob => 9,
            Kind::Pod => 10,
            Kind::EndpointSlice => 11,
            Kind::Endpoints => 12,
            Kind::PersistentVolumeClaim => 13,
            Kind::PersistentVolume => 14,
            Kind::ControllerRevision => 15,
            Kind::Event => 16,
            Kind::ConfigMap => 17,
            Kind::Secret => 18,
            Kind::ServiceAccount => 19,
            Kind::PodDisruptionBudget => 20,
            Kind::NetworkPolicy => 21,
            Kind::Ingress => 22,
            Kind::Role => 23,
            Kind::RoleBinding => 24,
            Kind::ClusterRole => 25,
            Kind::ClusterRoleBinding => 26,
            Kind::StorageClass => 27,
            Kind::Fault => 28,
            Kind::Extra(extra) => return Err(extra),
        })
    }

    /// The name in manifests, `StatefulSet`.
    pub fn as_str(self) -> &'static str {
        match self.index() {
            Ok(index) => NAMED[index].2,
            Err(extra) => extra.names().kind,
        }
    }

    /// The `apiVersion` of its objects; of a custom resource, its group in version 1.
    pub fn api_version(self) -> Cow<'static, str> {
        match self.index() {
            Ok(index) => NAMED[index].1.into(),
            Err(extra) => match extra.names().group {
                "" => "v1".into(),
                "autoscaling" => "autoscaling/v2".into(),
                group => format!("{group}/v1").into(),
            },
        }
    }

    /// Whether objects of this kind are namespaced.
    pub fn is_namespaced(self) -> bool {
        match self.index() {
            Ok(index) => NAMED[index].3,
            Err(extra) => extra.names().namespaced,
        }
    }

    /// The kind in an object reference; `None` if it is unknown. The version is ignored; without an API version the
    /// kind is looked up by name in [`Kind::ALL`].
    pub fn referred(api_version: &str, kind: &str) -> Option<Kind> {
        let group = group_of(api_version);
        let is = |(_, version, name, _): &&(Kind, &str, &str, bool)| {
            *name == kind && (group_of(version) == group || api_version.is_empty())
        };
        let extra = || Extra::built_in(group, kind).or_else(|| Extra::known(group, kind)).map(Kind::Extra);
        NAMED.iter().find(is).map(|(kind, ..)| *kind).or_else(extra)
    }

    /// Whether a controller creates pods, or workloads that do, from objects of this kind.
    pub fn is_workload(self) -> bool {
        matches!(
            self,
            Kind::StatefulSet
                | Kind::Deployment
                | Kind::ReplicaSet
                | Kind::ReplicationController
                | Kind::DaemonSet
                | Kind::Job
                | Kind::CronJob
        )
    }

    /// Whether objects of this kind are only stored for clients, and no room depends on them.
    pub fn is_inert(self) -> bool {
        matches!(
            self,
            Kind::ConfigMap
                | Kind::Secret
                | Kind::ServiceAccount
                | Kind::PodDisruptionBudget
                | Kind::NetworkPolicy
                | Kind::Ingress
                | Kind::Role
                | Kind::RoleBinding
                | Kind::ClusterRole
                | Kind::ClusterRoleBinding
                | Kind::StorageClass
                | Kind::Extra(_)
        )
    }
}

/// The group of an `apiVersion`; empty for the core.
fn group_of(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The key of an object: its kind, namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub kind: Kind,
    pub namespace: Name,
    pub name: Name,
}

impl Key {
    /// The key of the object of `kind` called `name` in `namespace` (empty for cluster-scoped kinds).
    pub fn new(kind: Kind, namespace: impl Into<Name>, name: impl Into<Name>) -> Self {
        Key { kind, namespace: namespace.into(), name: name.into() }
    }
}

/// `StatefulSet db/cass`, as in problems and explanations.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind.is_namespaced() {
            write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
        } else {
            write!(f, "{} {}", self.kind, self.name)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_name_kinds_by_their_group() {
        let ring = Extra::defined("kind.example.com", "Service", true).map(Kind::Extra);
        let lease = Extra::built_in("coordination.k8s.io", "Lease").map(Kind::Extra);
        let table = [
            ("v1", "Service", Some(Kind::Service)),
            ("", "Service", Some(Kind::Service)),
            ("kind.example.com/v1", "Service", ring),
            ("kind.example.com/v2", "Service", ring),
            ("other.example.com/v1", "Service", None),
            ("apps/v1", "StatefulSet", Some(Kind::StatefulSet)),
            ("v1", "StatefulSet", None),
            ("coordination.k8s.io/v1", "Lease", lease),
        ];
        for (api_version, kind, expected) in table {
            assert_eq!(Kind::referred(api_version, kind), expected, "{api_version} {kind}");
        }
    }

    #[test]
    fn kinds_are_found_by_their_index() {
        for (index, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind.index(), Ok(index), "{kind}");
            assert_eq!(format!("{kind:?}"), kind.as_str());
        }
    }
}
