//! Takes the place of kubectl's REST mapping: the kinds and versions of Kubernetes, and suggestions for unknown ones.
//! Must not depend on the content of objects.

use super::meaning::{KINDS, OWN_VERSION, group, is_built_in};
use crate::store::nearest;

/// A built-in kind without a Rust type: its current versions, and the removed ones with the release of their removal.
struct BuiltIn {
    kind: &'static str,
    served: &'static [&'static str],
    removed: &'static [(&'static str, &'static str)],
}

const fn kind(kind: &'static str, served: &'static [&'static str]) -> BuiltIn {
    BuiltIn { kind, served, removed: &[] }
}

const ADMISSION: [&str; 2] = ["admissionregistration.k8s.io/v1", "admissionregistration.k8s.io/v1beta1"];
const RBAC: [&str; 3] = [
    "rbac.authorization.k8s.io/v1",
    "rbac.authorization.k8s.io/v1beta1",
    "rbac.authorization.k8s.io/v1alpha1",
];
const FLOW: &[(&str, &str)] = &[
    ("flowcontrol.apiserver.k8s.io/v1alpha1", "1.24"),
    ("flowcontrol.apiserver.k8s.io/v1beta1", "1.26"),
    ("flowcontrol.apiserver.k8s.io/v1beta2", "1.29"),
    ("flowcontrol.apiserver.k8s.io/v1beta3", "1.32"),
];
const RESOURCE: &[(&str, &str)] = &[
    ("resource.k8s.io/v1alpha1", "1.27"),
    ("resource.k8s.io/v1alpha2", "1.31"),
    ("resource.k8s.io/v1alpha3", "1.34"),
];

const fn rbac(kind: &'static str) -> BuiltIn {
    BuiltIn { kind, served: &[RBAC[0]], removed: &[(RBAC[1], "1.22"), (RBAC[2], "1.22")] }
}

const fn webhook(kind: &'static str) -> BuiltIn {
    BuiltIn { kind, served: &[ADMISSION[0]], removed: &[(ADMISSION[1], "1.22")] }
}

/// A kind of the admission policies, whose beta an API server can also serve.
const fn policy(kind: &'static str) -> BuiltIn {
    BuiltIn { kind, served: &ADMISSION, removed: &[("admissionregistration.k8s.io/v1alpha1", "1.35")] }
}

const fn flow(kind: &'static str) -> BuiltIn {
    BuiltIn { kind, served: &["flowcontrol.apiserver.k8s.io/v1"], removed: FLOW }
}

const fn device(kind: &'static str) -> BuiltIn {
    BuiltIn {
        kind,
        served: &["resource.k8s.io/v1", "resource.k8s.io/v1beta2", "resource.k8s.io/v1beta1"],
        removed: RESOURCE,
    }
}

/// The kinds of Kubernetes 1.36 besides those in [`KINDS`]; removals are from the Deprecated API Migration Guide
/// (kubernetes.io/docs/reference/using-api/deprecation-guide).
const BUILT_IN: &[BuiltIn] = &[
    kind("Binding", &["v1"]),
    kind("ComponentStatus", &["v1"]),
    kind("Event", &["v1", "events.k8s.io/v1"]),
    BuiltIn { kind: "Event", served: &["events.k8s.io/v1"], removed: &[("events.k8s.io/v1beta1", "1.25")] },
    kind("LimitRange", &["v1"]),
    kind("PodTemplate", &["v1"]),
    kind("ResourceQuota", &["v1"]),
    kind("ControllerRevision", &["apps/v1"]),
    BuiltIn {
        kind: "HorizontalPodAutoscaler",
        served: &["autoscaling/v2", "autoscaling/v1"],
        removed: &[
            ("autoscaling/v2beta1", "1.25"),
            ("autoscaling/v2beta2", "1.26"),
            ("extensions/v1beta1", "1.16"),
        ],
    },
    BuiltIn { kind: "PodDisruptionBudget", served: &["policy/v1"], removed: &[("policy/v1beta1", "1.25")] },
    kind("Eviction", &["policy/v1"]),
    BuiltIn {
        kind: "PodSecurityPolicy",
        served: &[],
        removed: &[("policy/v1beta1", "1.25"), ("extensions/v1beta1", "1.16")],
    },
    BuiltIn {
        kind: "Ingress",
        served: &["networking.k8s.io/v1"],
        removed: &[("extensions/v1beta1", "1.22"), ("networking.k8s.io/v1beta1", "1.22")],
    },
    BuiltIn {
        kind: "IngressClass",
        served: &["networking.k8s.io/v1"],
        removed: &[("networking.k8s.io/v1beta1", "1.22")],
    },
    BuiltIn {
        kind: "NetworkPolicy",
        served: &["networking.k8s.io/v1"],
        removed: &[("extensions/v1beta1", "1.16")],
    },
    kind("IPAddress", &["networking.k8s.io/v1", "networking.k8s.io/v1beta1"]),
    kind("ServiceCIDR", &["networking.k8s.io/v1", "networking.k8s.io/v1beta1"]),
    rbac("Role"),
    rbac("RoleBinding"),
    rbac("ClusterRole"),
    rbac("ClusterRoleBinding"),
    BuiltIn {
        kind: "StorageClass",
        served: &["storage.k8s.io/v1"],
        removed: &[("storage.k8s.io/v1beta1", "1.22")],
    },
    BuiltIn {
        kind: "VolumeAttachment",
        served: &["storage.k8s.io/v1"],
        removed: &[("storage.k8s.io/v1beta1", "1.22"), ("storage.k8s.io/v1alpha1", "1.24")],
    },
    BuiltIn {
        kind: "CSIDriver",
        served: &["storage.k8s.io/v1"],
        removed: &[("storage.k8s.io/v1beta1", "1.22")],
    },
    BuiltIn {
        kind: "CSINode",
        served: &["storage.k8s.io/v1"],
        removed: &[("storage.k8s.io/v1beta1", "1.22")],
    },
    BuiltIn {
        kind: "CSIStorageCapacity",
        served: &["storage.k8s.io/v1"],
        removed: &[("storage.k8s.io/v1beta1", "1.27"), ("storage.k8s.io/v1alpha1", "1.24")],
    },
    BuiltIn {
        kind: "VolumeAttributesClass",
        served: &["storage.k8s.io/v1", "storage.k8s.io/v1beta1"],
        removed: &[("storage.k8s.io/v1alpha1", "1.34")],
    },
    webhook("MutatingWebhookConfiguration"),
    webhook("ValidatingWebhookConfiguration"),
    policy("MutatingAdmissionPolicy"),
    policy("MutatingAdmissionPolicyBinding"),
    policy("ValidatingAdmissionPolicy"),
    policy("ValidatingAdmissionPolicyBinding"),
    BuiltIn {
        kind: "CustomResourceDefinition",
        served: &["apiextensions.k8s.io/v1"],
        removed: &[("apiextensions.k8s.io/v1beta1", "1.22")],
    },
    BuiltIn {
        kind: "APIService",
        served: &["apiregistration.k8s.io/v1"],
        removed: &[("apiregistration.k8s.io/v1beta1", "1.22")],
    },
    BuiltIn {
        kind: "TokenReview",
        served: &["authentication.k8s.io/v1"],
        removed: &[("authentication.k8s.io/v1beta1", "1.22")],
    },
    kind("TokenRequest", &["authentication.k8s.io/v1"]),
    kind("SelfSubjectReview", &["authentication.k8s.io/v1"]),
    BuiltIn {
        kind: "SubjectAccessReview",
        served: &["authorization.k8s.io/v1"],
        removed: &[("authorization.k8s.io/v1beta1", "1.22")],
    },
    BuiltIn {
        kind: "LocalSubjectAccessReview",
        served: &["authorization.k8s.io/v1"],
        removed: &[("authorization.k8s.io/v1beta1", "1.22")],
    },
    BuiltIn {
        kind: "SelfSubjectAccessReview",
        served: &["authorization.k8s.io/v1"],
        removed: &[("authorization.k8s.io/v1beta1", "1.22")],
    },
    BuiltIn {
        kind: "SelfSubjectRulesReview",
        served: &["authorization.k8s.io/v1"],
        removed: &[("authorization.k8s.io/v1beta1", "1.22")],
    },
    BuiltIn {
        kind: "CertificateSigningRequest",
        served: &["certificates.k8s.io/v1"],
        removed: &[("certificates.k8s.io/v1beta1", "1.22")],
    },
    kind("ClusterTrustBundle", &["certificates.k8s.io/v1beta1", "certificates.k8s.io/v1alpha1"]),
    kind("PodCertificateRequest", &["certificates.k8s.io/v1beta1", "certificates.k8s.io/v1alpha1"]),
    BuiltIn {
        kind: "Lease",
        served: &["coordination.k8s.io/v1"],
        removed: &[("coordination.k8s.io/v1beta1", "1.22")],
    },
    kind("LeaseCandidate", &["coordination.k8s.io/v1beta1", "coordination.k8s.io/v1alpha2"]),
    BuiltIn {
        kind: "PriorityClass",
        served: &["scheduling.k8s.io/v1"],
        removed: &[("scheduling.k8s.io/v1beta1", "1.22"), ("scheduling.k8s.io/v1alpha1", "1.22")],
    },
    kind("Workload", &["scheduling.k8s.io/v1alpha1", "scheduling.k8s.io/v1alpha2"]),
    BuiltIn {
        kind: "RuntimeClass",
        served: &["node.k8s.io/v1"],
        removed: &[("node.k8s.io/v1beta1", "1.25"), ("node.k8s.io/v1alpha1", "1.24")],
    },
    flow("FlowSchema"),
    flow("PriorityLevelConfiguration"),
    device("DeviceClass"),
    device("ResourceClaim"),
    device("ResourceClaimTemplate"),
    device("ResourceSlice"),
    kind("DeviceTaintRule", &["resource.k8s.io/v1beta2", "resource.k8s.io/v1alpha3"]),
    kind(
        "StorageVersionMigration",
        &[
            "storagemigration.k8s.io/v1",
            "storagemigration.k8s.io/v1beta1",
            "storagemigration.k8s.io/v1alpha1",
        ],
    ),
    kind("StorageVersion", &["internal.apiserver.k8s.io/v1alpha1"]),
    kind("Scale", &["autoscaling/v1"]),
];

/// Maximum edit distance of a group from the built-in one that is suggested.
const TYPOS_MAX: usize = 2;

/// Why an API server does not serve a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unknown {
    /// The wrong field: `apiVersion` or `kind`.
    pub(super) field: &'static str,
    pub(super) message: String,
    pub(super) help: Option<String>,
    /// Whether the cluster's DNS may depend on the intended kind.
    pub(super) matters: bool,
    /// Whether the kind or version was removed from Kubernetes.
    pub(super) removed: bool,
}

/// Why an API server does not serve `kind` of `api_version`, which is not read here; `None` if it does, or if a
/// CustomResourceDefinition may define it.
pub(super) fn unknown(api_version: &str, kind: &str) -> Option<Unknown> {
    let item = kind.strip_suffix("List").filter(|item| !item.is_empty()).unwrap_or(kind);
    let built_in = || BUILT_IN.iter().filter(|known| known.kind == item);
    if built_in().any(|known| known.served.contains(&api_version)) {
        return None;
    }
    let removed = built_in().find_map(|known| {
        let (_, since) = known.removed.iter().find(|(version, _)| *version == api_version)?;
        Some((known, since))
    });
    if let Some((known, since)) = removed {
        let message = format!("clusters since Kubernetes {since} do not know {item} in {api_version:?}");
        let help = match known.served.first() {
            Some(version) => format!("write apiVersion: {version}"),
            None => "delete it: the API has no replacement".into(),
        };
        return Some(Unknown {
            field: "apiVersion",
            message,
            help: Some(help),
            matters: false,
            removed: true,
        });
    }
    let group = group(api_version);
    if !is_built_in(api_version) {
        // The group may be a custom one: it is reported only if it is a typo of the kind's own group.
        let own = |versions: &[&'static str]| {
            let mut groups =
                versions.iter().map(|version| self::group(version)).filter(|own| own.contains('.'));
            groups.any(|own| strsim::damerau_levenshtein(own, group) <= TYPOS_MAX)
        };
        let known = built_in().find(|known| own(known.served))?;
        let message = format!("{item} is not in {api_version:?}");
        let help = format!("write apiVersion: {}", known.served[0]);
        return Some(Unknown {
            field: "apiVersion",
            message,
            help: Some(help),
            matters: false,
            removed: false,
        });
    }
    if let Some(version) = built_in().find_map(|known| known.served.first()) {
        let message = format!("{item} is not in {api_version:?}");
        let help = format!("write apiVersion: {version}");
        return Some(Unknown {
            field: "apiVersion",
            message,
            help: Some(help),
            matters: false,
            removed: false,
        });
    }
    let typed = KINDS.iter().map(|(kind, ..)| *kind).filter(|kind| *kind != "PetSet");
    let others = BUILT_IN.iter().map(|known| known.kind);
    let own = ["List", "Topology", "Scenario"];
    // Prefers a kind that differs in case or by a plural to one with a smaller edit distance.
    let all = || typed.clone().chain(own).chain(others.clone());
    let same = |word: &&str| {
        let (word, kind) = (word.to_ascii_lowercase(), kind.to_ascii_lowercase());
        word == kind || format!("{word}s") == kind || format!("{word}es") == kind
    };
    let near = all().find(same).or_else(|| nearest(kind, all()));
    let message = format!("no such kind in {api_version:?}: {kind}");
    let help = near.map(|near| match version_of(near) {
        Some(version) if version != api_version => {
            format!("did you mean {near}? write apiVersion: {version} and kind: {near}")
        }
        _ => format!("did you mean {near}? write kind: {near}"),
    });
    let matters = near.is_some_and(|near| typed.clone().chain(own).any(|kind| kind == near));
    Some(Unknown { field: "kind", message, help, matters, removed: false })
}

/// The current version of a kind.
fn version_of(kind: &str) -> Option<&'static str> {
    if matches!(kind, "Topology" | "Scenario") {
        return Some(OWN_VERSION);
    }
    if kind == "List" {
        return Some("v1");
    }
    let typed = KINDS.iter().find(|(name, ..)| *name == kind).map(|(_, _, versions)| versions[0]);
    typed.or_else(|| BUILT_IN.iter().find(|known| known.kind == kind)?.served.first().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_that_no_cluster_serves_are_reported() {
        // apiVersion, kind; the field and the suggestion; whether the DNS may depend on it.
        let table = [
            ("apps/v1", "Statefulset", Some(("kind", "write kind: StatefulSet", true))),
            ("apps/v1", "StatefullSet", Some(("kind", "write kind: StatefulSet", true))),
            ("apps/v1", "statefulset", Some(("kind", "write kind: StatefulSet", true))),
            ("v1", "Services", Some(("kind", "write kind: Service", true))),
            ("v1", "service", Some(("kind", "write kind: Service", true))),
            ("v1", "Endpoint", Some(("kind", "write kind: Endpoints", true))),
            ("v1", "list", Some(("kind", "write kind: List", true))),
            ("v1", "Configmap", Some(("kind", "write kind: ConfigMap", true))),
            ("v1", "Deploymnet", Some(("kind", "apiVersion: apps/v1 and kind: Deployment", true))),
            ("app/v1", "Deploymnet", Some(("kind", "apiVersion: apps/v1 and kind: Deployment", true))),
            ("networking.k8s.io/v1", "Ingres", Some(("kind", "write kind: Ingress", false))),
            ("v1", "Config", Some(("kind", "", false))),
            ("skaffold/v4beta11", "Config", Some(("kind", "", false))),
            ("extensions/v1beta1", "Ingress", Some(("apiVersion", "networking.k8s.io/v1", false))),
            ("policy/v1beta1", "PodSecurityPolicy", Some(("apiVersion", "delete it", false))),
            ("policy/v1beta1", "PodDisruptionBudget", Some(("apiVersion", "policy/v1", false))),
            ("autoscaling/v2beta2", "HorizontalPodAutoscaler", Some(("apiVersion", "autoscaling/v2", false))),
            (
                "rbac.authorization.k8s.io/v1beta1",
                "Role",
                Some(("apiVersion", "authorization.k8s.io/v1", false)),
            ),
            (
                "rbac.authorisation.k8s.io/v1",
                "Role",
                Some(("apiVersion", "rbac.authorization.k8s.io/v1", false)),
            ),
            ("apps/v1", "Ingress", Some(("apiVersion", "networking.k8s.io/v1", false))),
            ("networking.k8s.io/v7", "Ingress", Some(("apiVersion", "networking.k8s.io/v1", false))),
            ("v1", "LimitRange", None),
            ("v1", "LimitRangeList", None),
            ("autoscaling/v1", "HorizontalPodAutoscaler", None),
            ("networking.k8s.io/v1", "Ingress", None),
            // A CustomResourceDefinition may define these.
            ("monitoring.coreos.com/v1", "ServiceMonitor", None),
            ("gateway.networking.k8s.io/v1", "Gateway", None),
            ("networking.istio.io/v1", "Ingress", None),
            ("kind.x-k8s.io/v1alpha4", "Cluster", None),
        ];
        for (api_version, kind, expected) in table {
            let found = unknown(api_version, kind);
            let reported = found
                .as_ref()
                .map(|unknown| (unknown.field, unknown.help.as_deref().unwrap_or_default(), unknown.matters));
            let same = match (reported, expected) {
                (Some((field, help, matters)), Some((expected_field, part, depends))) => {
                    (field, matters) == (expected_field, depends)
                        && help.contains(part)
                        && part.is_empty() == help.is_empty()
                }
                (reported, expected) => reported == expected,
            };
            assert!(same, "{api_version} {kind}: {found:?}");
        }
    }
}
