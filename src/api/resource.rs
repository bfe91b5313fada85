//! Takes the place of kube-apiserver's registry: which resources there are, under which names, and which verbs each
//! has. A table; it must not know requests or objects.

use crate::store::Kind;

/// A resource: a kind as it is reached by paths.
#[derive(Debug, PartialEq)]
pub(super) struct Resource {
    /// The API group; empty for the core.
    pub(super) group: &'static str,
    /// In paths: `pods`.
    pub(super) plural: &'static str,
    /// kubectl's other names: `pod`, `po`.
    pub(super) singular: &'static str,
    pub(super) short: &'static [&'static str],
    /// `all`, for those that `kubectl get all` lists.
    pub(super) categories: &'static [&'static str],
    /// In objects: `Pod`.
    pub(super) kind: &'static str,
    pub(super) namespaced: bool,
    /// Where its objects are.
    pub(super) held: Held,
    pub(super) verbs: &'static [&'static str],
    pub(super) subresources: &'static [Subresource],
}

/// Where the objects of a resource are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// In the store.
    Store(Kind),
    /// The trace of changes that showed in the DNS.
    Changes,
    /// The one clock.
    Clock,
    /// The log of DNS queries.
    Queries,
}

/// A path below an object's: `pods/NAME/eviction`.
#[derive(Debug, PartialEq)]
pub(super) struct Subresource {
    pub(super) name: &'static str,
    /// Group, version and kind of what is sent and answered; the parent's where empty.
    pub(super) group: &'static str,
    pub(super) version: &'static str,
    pub(super) kind: &'static str,
    pub(super) verbs: &'static [&'static str],
}

impl Subresource {
    /// Whether what is sent and answered is of another kind than the parent.
    pub(super) fn has_own_type(&self) -> bool {
        !self.kind.is_empty()
    }
}

/// Every group here has this one version.
pub(super) const VERSION: &str = "v1";

/// Whom Roles allow what, were anybody asked who they are.
const RBAC: &str = "rbac.authorization.k8s.io";

/// Our own group.
pub(super) const OWN_GROUP: &str = "clusterlocal.dev";

const ALL_VERBS: &[&str] =
    &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const ALL: &[&str] = &["all"];
const GET_PATCH_UPDATE: &[&str] = &["get", "patch", "update"];
const CREATE: &[&str] = &["create"];
const GET: &[&str] = &["get"];
const CREATE_GET: &[&str] = &["create", "get"];

const STATUS: Subresource =
    Subresource { name: "status", group: "", version: "", kind: "", verbs: GET_PATCH_UPDATE };
const SCALE: Subresource = Subresource {
    name: "scale",
    group: "autoscaling",
    version: "v1",
    kind: "Scale",
    verbs: GET_PATCH_UPDATE,
};

/// What stands for a process in a pod; there are none here.
const fn of_process(name: &'static str, kind: &'static str) -> Subresource {
    Subresource { name, group: "", version: "v1", kind, verbs: CREATE_GET }
}

const OF_PODS: &[Subresource] = &[
    of_process("attach", "PodAttachOptions"),
    Subresource { name: "eviction", group: "policy", version: "v1", kind: "Eviction", verbs: CREATE },
    of_process("exec", "PodExecOptions"),
    Subresource { name: "log", group: "", version: "", kind: "", verbs: GET },
    of_process("portforward", "PodPortForwardOptions"),
    STATUS,
];

const fn action(name: &'static str) -> Subresource {
    Subresource { name, group: "", version: "", kind: "", verbs: CREATE }
}

/// A resource of the store with all verbs, whose names are regular.
const fn stored(group: &'static str, plural: &'static str, singular: &'static str, kind: Kind) -> Resource {
    Resource {
        group,
        plural,
        singular,
        short: &[],
        categories: &[],
        kind: kind.as_str(),
        namespaced: kind.is_namespaced(),
        held: Held::Store(kind),
        verbs: ALL_VERBS,
        subresources: &[],
    }
}

impl Resource {
    /// All of them, in the order in which discovery lists them: of two with the same name, kubectl takes the first.
    pub(super) const ALL: &[Resource] = &[
        Resource { short: &["cm"], ..stored("", "configmaps", "configmap", Kind::ConfigMap) },
        Resource { short: &["ep"], ..stored("", "endpoints", "endpoints", Kind::Endpoints) },
        Resource { short: &["ev"], ..stored("", "events", "event", Kind::Event) },
        Resource {
            short: &["ns"],
            subresources: &[STATUS],
            ..stored("", "namespaces", "namespace", Kind::Namespace)
        },
        Resource { short: &["no"], subresources: &[STATUS], ..stored("", "nodes", "node", Kind::Node) },
        Resource {
            short: &["pvc"],
            subresources: &[STATUS],
            ..stored("", "persistentvolumeclaims", "persistentvolumeclaim", Kind::PersistentVolumeClaim)
        },
        Resource {
            short: &["pv"],
            subresources: &[STATUS],
            ..stored("", "persistentvolumes", "persistentvolume", Kind::PersistentVolume)
        },
        Resource {
            short: &["po"],
            categories: ALL,
            subresources: OF_PODS,
            ..stored("", "pods", "pod", Kind::Pod)
        },
        Resource {
            short: &["rc"],
            categories: ALL,
            subresources: &[SCALE, STATUS],
            ..stored("", "replicationcontrollers", "replicationcontroller", Kind::ReplicationController)
        },
        stored("", "secrets", "secret", Kind::Secret),
        Resource { short: &["sa"], ..stored("", "serviceaccounts", "serviceaccount", Kind::ServiceAccount) },
        Resource {
            short: &["svc"],
            categories: ALL,
            subresources: &[STATUS],
            ..stored("", "services", "service", Kind::Service)
        },
        stored("apps", "controllerrevisions", "controllerrevision", Kind::ControllerRevision),
        Resource {
            short: &["ds"],
            categories: ALL,
            subresources: &[STATUS],
            ..stored("apps", "daemonsets", "daemonset", Kind::DaemonSet)
        },
        Resource {
            short: &["deploy"],
            categories: ALL,
            subresources: &[SCALE, STATUS],
            ..stored("apps", "deployments", "deployment", Kind::Deployment)
        },
        Resource {
            short: &["rs"],
            categories: ALL,
            subresources: &[SCALE, STATUS],
            ..stored("apps", "replicasets", "replicaset", Kind::ReplicaSet)
        },
        Resource {
            short: &["sts"],
            categories: ALL,
            subresources: &[SCALE, STATUS],
            ..stored("apps", "statefulsets", "statefulset", Kind::StatefulSet)
        },
        Resource {
            short: &["cj"],
            categories: ALL,
            subresources: &[STATUS],
            ..stored("batch", "cronjobs", "cronjob", Kind::CronJob)
        },
        Resource { categories: ALL, subresources: &[STATUS], ..stored("batch", "jobs", "job", Kind::Job) },
        stored("discovery.k8s.io", "endpointslices", "endpointslice", Kind::EndpointSlice),
        Resource {
            short: &["ing"],
            subresources: &[STATUS],
            ..stored("networking.k8s.io", "ingresses", "ingress", Kind::Ingress)
        },
        Resource {
            short: &["netpol"],
            ..stored("networking.k8s.io", "networkpolicies", "networkpolicy", Kind::NetworkPolicy)
        },
        Resource {
            short: &["pdb"],
            subresources: &[STATUS],
            ..stored("policy", "poddisruptionbudgets", "poddisruptionbudget", Kind::PodDisruptionBudget)
        },
        stored(RBAC, "clusterrolebindings", "clusterrolebinding", Kind::ClusterRoleBinding),
        stored(RBAC, "clusterroles", "clusterrole", Kind::ClusterRole),
        stored(RBAC, "rolebindings", "rolebinding", Kind::RoleBinding),
        stored(RBAC, "roles", "role", Kind::Role),
        Resource {
            short: &["sc"],
            ..stored("storage.k8s.io", "storageclasses", "storageclass", Kind::StorageClass)
        },
        stored(OWN_GROUP, "faults", "fault", Kind::Fault),
        Resource {
            group: OWN_GROUP,
            plural: "changes",
            singular: "change",
            short: &[],
            categories: &[],
            kind: "Change",
            namespaced: false,
            held: Held::Changes,
            verbs: &["get", "list", "watch"],
            subresources: &[],
        },
        Resource {
            group: OWN_GROUP,
            plural: "clocks",
            singular: "clock",
            short: &[],
            categories: &[],
            kind: "Clock",
            namespaced: false,
            held: Held::Clock,
            verbs: &["get", "list"],
            subresources: &[action("advance"), action("pause"), action("resume")],
        },
        Resource {
            group: OWN_GROUP,
            plural: "queries",
            singular: "query",
            short: &[],
            categories: &[],
            kind: "Query",
            namespaced: false,
            held: Held::Queries,
            verbs: &["get", "list", "watch"],
            subresources: &[],
        },
    ];

    /// The groups, the core first.
    pub(super) const GROUPS: &[&str] = &[
        "",
        "apps",
        "batch",
        "discovery.k8s.io",
        "networking.k8s.io",
        "policy",
        RBAC,
        "storage.k8s.io",
        OWN_GROUP,
    ];

    /// The resource at `group` and `plural`.
    pub(super) fn find(group: &str, plural: &str) -> Option<&'static Resource> {
        Resource::ALL.iter().find(|resource| resource.group == group && resource.plural == plural)
    }

    /// Those of `group`.
    pub(super) fn of_group(group: &str) -> impl Iterator<Item = &'static Resource> {
        Resource::ALL.iter().filter(move |resource| resource.group == group)
    }

    /// The one whose objects are of `kind`.
    pub(super) fn of_kind(kind: Kind) -> &'static Resource {
        let found = Resource::ALL.iter().find(|resource| resource.held == Held::Store(kind));
        found.expect("every kind of the store has its resource")
    }

    /// `apps/v1`, or `v1` for the core.
    pub(super) fn api_version(&self) -> String {
        match self.group {
            "" => VERSION.into(),
            group => format!("{group}/{VERSION}"),
        }
    }

    /// `statefulsets.apps`, or `pods` for the core.
    pub(super) fn qualified(&self) -> String {
        qualified(self.plural, self.group)
    }

    /// `StatefulSet.apps`, or `Pod` for the core.
    pub(super) fn qualified_kind(&self) -> String {
        qualified(self.kind, self.group)
    }

    /// The subresource called `name`.
    pub(super) fn subresource(&self, name: &str) -> Option<&'static Subresource> {
        self.subresources.iter().find(|subresource| subresource.name == name)
    }
}

fn qualified(name: &str, group: &str) -> String {
    match group {
        "" => name.into(),
        group => format!("{name}.{group}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_the_store_has_its_resource() {
        for kind in Kind::ALL {
            assert_eq!(Resource::of_kind(kind).kind, kind.as_str());
        }
        for resource in Resource::ALL {
            assert!(Resource::GROUPS.contains(&resource.group), "{resource:?}");
        }
    }
}
