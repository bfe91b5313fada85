//! Kinds without a Rust type: those of Kubernetes that no room depends on, and those of CustomResourceDefinitions.
//! Their objects are stored as written.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::sync::{PoisonError, RwLock};

/// One of these kinds, in two bytes: keys are often compared and copied.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Extra(u16);

/// The names and the scope of such a kind.
#[derive(Debug, PartialEq, Eq)]
pub struct Names {
    /// The API group; empty for the core.
    pub group: &'static str,
    /// The name in manifests: `Lease`.
    pub kind: &'static str,
    /// Whether its objects are namespaced.
    pub namespaced: bool,
}

const fn namespaced(group: &'static str, kind: &'static str) -> Names {
    Names { group, kind, namespaced: true }
}

const fn cluster(group: &'static str, kind: &'static str) -> Names {
    Names { group, kind, namespaced: false }
}

const ADMISSION: &str = "admissionregistration.k8s.io";
const FLOWCONTROL: &str = "flowcontrol.apiserver.k8s.io";
const RESOURCE: &str = "resource.k8s.io";
const STORAGE: &str = "storage.k8s.io";

/// The kinds of Kubernetes.
const BUILT_IN: &[Names] = &[
    cluster("apiextensions.k8s.io", "CustomResourceDefinition"),
    namespaced("", "LimitRange"),
    namespaced("", "PodTemplate"),
    namespaced("", "ResourceQuota"),
    cluster("networking.k8s.io", "ServiceCIDR"),
    namespaced("autoscaling", "HorizontalPodAutoscaler"),
    namespaced("coordination.k8s.io", "Lease"),
    cluster("certificates.k8s.io", "CertificateSigningRequest"),
    cluster("apiregistration.k8s.io", "APIService"),
    cluster("networking.k8s.io", "IngressClass"),
    cluster("networking.k8s.io", "IPAddress"),
    cluster("node.k8s.io", "RuntimeClass"),
    cluster("scheduling.k8s.io", "PriorityClass"),
    cluster(ADMISSION, "MutatingAdmissionPolicy"),
    cluster(ADMISSION, "MutatingAdmissionPolicyBinding"),
    cluster(ADMISSION, "MutatingWebhookConfiguration"),
    cluster(ADMISSION, "ValidatingAdmissionPolicy"),
    cluster(ADMISSION, "ValidatingAdmissionPolicyBinding"),
    cluster(ADMISSION, "ValidatingWebhookConfiguration"),
    cluster(FLOWCONTROL, "FlowSchema"),
    cluster(FLOWCONTROL, "PriorityLevelConfiguration"),
    cluster(RESOURCE, "DeviceClass"),
    namespaced(RESOURCE, "ResourceClaim"),
    namespaced(RESOURCE, "ResourceClaimTemplate"),
    cluster(RESOURCE, "ResourceSlice"),
    cluster(STORAGE, "CSIDriver"),
    cluster(STORAGE, "CSINode"),
    namespaced(STORAGE, "CSIStorageCapacity"),
    cluster(STORAGE, "VolumeAttachment"),
    cluster(STORAGE, "VolumeAttributesClass"),
    cluster("clusterlocal.dev", "Partition"),
];

/// The defined kinds, in order of definition. An entry is kept when its definition is deleted: it may be defined again,
/// and keys that contain it must stay valid.
static DEFINED: RwLock<Vec<&'static Names>> = RwLock::new(Vec::new());

/// Maximum number of kinds that can be defined during the life of a process.
const KINDS_MAX: usize = 4096;

impl Extra {
    /// CustomResourceDefinition of apiextensions.k8s.io.
    pub const DEFINITION: Extra = Extra(0);
    /// LimitRange.
    pub const LIMIT_RANGE: Extra = Extra(1);
    /// ResourceQuota.
    pub const RESOURCE_QUOTA: Extra = Extra(3);
    /// ServiceCIDR of networking.k8s.io.
    pub const SERVICE_CIDR: Extra = Extra(4);

    /// Our own kind: groups of pods and nodes that do not reach each other.
    pub const PARTITION: Extra = Extra(BUILT_IN.len() as u16 - 1);

    /// The built-in kind with these names.
    pub fn built_in(group: &str, kind: &str) -> Option<Extra> {
        let at = BUILT_IN.iter().position(|names| names.group == group && names.kind == kind)?;
        u16::try_from(at).ok().map(Extra)
    }

    /// The kind of a CustomResourceDefinition; `None` if the maximum number is exceeded.
    pub fn defined(group: &str, kind: &str, namespaced: bool) -> Option<Extra> {
        let is = |names: &&&'static Names| {
            names.group == group && names.kind == kind && names.namespaced == namespaced
        };
        let at = |all: &[&'static Names]| all.iter().position(|names| is(&names));
        let known = at(&DEFINED.read().unwrap_or_else(PoisonError::into_inner));
        let at = match known {
            Some(at) => at,
            None => {
                let mut all = DEFINED.write().unwrap_or_else(PoisonError::into_inner);
                match at(&all) {
                    Some(at) => at,
                    None if all.len() == KINDS_MAX => return None,
                    None => {
                        let text = |text: &str| &*String::from(text).leak();
                        let names = Names { group: text(group), kind: text(kind), namespaced };
                        all.push(Box::leak(Box::new(names)));
                        all.len() - 1
                    }
                }
            }
        };
        u16::try_from(BUILT_IN.len() + at).ok().map(Extra)
    }

    /// The defined kind with these names, the last one if the scope has changed.
    pub fn known(group: &str, kind: &str) -> Option<Extra> {
        let all = DEFINED.read().unwrap_or_else(PoisonError::into_inner);
        let at = all.iter().rposition(|names| names.group == group && names.kind == kind)?;
        u16::try_from(BUILT_IN.len() + at).ok().map(Extra)
    }

    /// Its names.
    pub fn names(self) -> &'static Names {
        let at = usize::from(self.0);
        match BUILT_IN.get(at) {
            Some(names) => names,
            None => DEFINED.read().unwrap_or_else(PoisonError::into_inner)[at - BUILT_IN.len()],
        }
    }

    /// Whether a CustomResourceDefinition defines it.
    pub fn is_defined(self) -> bool {
        usize::from(self.0) >= BUILT_IN.len()
    }

    fn sorted_by(self) -> (&'static str, &'static str, bool) {
        let Names { group, kind, namespaced } = self.names();
        (group, kind, *namespaced)
    }
}

/// By name: the order of definition must not be visible.
impl Ord for Extra {
    fn cmp(&self, other: &Self) -> Ordering {
        if self == other { Ordering::Equal } else { self.sorted_by().cmp(&other.sorted_by()) }
    }
}

impl PartialOrd for Extra {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// By name: UIDs are derived from it.
impl Hash for Extra {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.sorted_by().hash(state);
    }
}

impl std::fmt::Debug for Extra {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Names { group, kind, .. } = self.names();
        write!(f, "{kind}.{group}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_found_by_their_names() {
        let names = |extra: Extra| (extra.names().group, extra.names().kind);
        assert_eq!(names(Extra::DEFINITION), ("apiextensions.k8s.io", "CustomResourceDefinition"));
        assert_eq!(names(Extra::LIMIT_RANGE), ("", "LimitRange"));
        assert_eq!(names(Extra::RESOURCE_QUOTA), ("", "ResourceQuota"));
        assert_eq!(names(Extra::SERVICE_CIDR), ("networking.k8s.io", "ServiceCIDR"));
        let lease = Extra::built_in("coordination.k8s.io", "Lease").expect("a kind of Kubernetes");
        assert!(!lease.is_defined() && Extra::built_in("example.com", "Lease").is_none());
        let ring = Extra::defined("example.com", "Ring", true).expect("room");
        let other = Extra::defined("example.com", "Ring", false).expect("room");
        assert!(ring.is_defined() && ring != other);
        assert_eq!(Extra::defined("example.com", "Ring", true), Some(ring));
        assert!(lease < ring, "sorted by name");
    }
}
