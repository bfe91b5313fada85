//! The kinds of objects, and where an object is: kind, namespace and name.

use std::fmt;

use super::extra::Extra;
use super::names::Name;

/// The kinds that the store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    /// Our own: how the DNS fails.
    Fault,
    /// Without a type of its own.
    Extra(Extra),
}

/// The kinds with a type or a use of their own, each with its name in manifests and whether its objects live in a
/// namespace, in the order of [`Kind`].
const NAMED: [(Kind, &str, bool); 29] = [
    (Kind::Namespace, "Namespace", false),
    (Kind::Node, "Node", false),
    (Kind::Service, "Service", true),
    (Kind::StatefulSet, "StatefulSet", true),
    (Kind::Deployment, "Deployment", true),
    (Kind::ReplicaSet, "ReplicaSet", true),
    (Kind::ReplicationController, "ReplicationController", true),
    (Kind::DaemonSet, "DaemonSet", true),
    (Kind::Job, "Job", true),
    (Kind::CronJob, "CronJob", true),
    (Kind::Pod, "Pod", true),
    (Kind::EndpointSlice, "EndpointSlice", true),
    (Kind::Endpoints, "Endpoints", true),
    (Kind::PersistentVolumeClaim, "PersistentVolumeClaim", true),
    (Kind::PersistentVolume, "PersistentVolume", false),
    (Kind::ControllerRevision, "ControllerRevision", true),
    (Kind::Event, "Event", true),
    (Kind::ConfigMap, "ConfigMap", true),
    (Kind::Secret, "Secret", true),
    (Kind::ServiceAccount, "ServiceAccount", true),
    (Kind::PodDisruptionBudget, "PodDisruptionBudget", true),
    (Kind::NetworkPolicy, "NetworkPolicy", true),
    (Kind::Ingress, "Ingress", true),
    (Kind::Role, "Role", true),
    (Kind::RoleBinding, "RoleBinding", true),
    (Kind::ClusterRole, "ClusterRole", false),
    (Kind::ClusterRoleBinding, "ClusterRoleBinding", false),
    (Kind::StorageClass, "StorageClass", false),
    (Kind::Fault, "Fault", false),
];

impl Kind {
    /// The kinds with a name here, in the order in which a cluster would want them made.
    pub const ALL: [Kind; NAMED.len()] = {
        let mut all = [Kind::Namespace; NAMED.len()];
        let mut at = 0;
        while at < all.len() {
            all[at] = NAMED[at].0;
            at += 1;
        }
        all
    };

    /// Its index in [`Kind::ALL`], or the kind without a name here.
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
            Ok(index) => NAMED[index].1,
            Err(extra) => extra.names().kind,
        }
    }

    /// Whether objects of this kind live in a namespace.
    pub fn is_namespaced(self) -> bool {
        match self.index() {
            Ok(index) => NAMED[index].2,
            Err(extra) => extra.names().namespaced,
        }
    }

    /// Whether a controller makes pods, or what makes pods, from objects of this kind.
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

    /// Whether objects of this kind are only kept for clients: nothing here follows from them.
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

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where an object is in the store: its kind, namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub kind: Kind,
    pub namespace: Name,
    pub name: Name,
}

impl Key {
    /// The key of the `kind` called `name` in `namespace` (empty where the kind has none).
    pub fn new(kind: Kind, namespace: impl Into<Name>, name: impl Into<Name>) -> Self {
        Key { kind, namespace: namespace.into(), name: name.into() }
    }
}

/// `StatefulSet db/cass`, as problems and explanations name objects.
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
    fn kinds_are_found_by_their_index() {
        for (index, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind.index(), Ok(index), "{kind}");
            assert_eq!(format!("{kind:?}"), kind.as_str());
        }
    }
}
