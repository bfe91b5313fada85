//! A resource: a kind as paths and discovery have it, with its names, version, verbs and subresources. Must not depend on requests.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use clusterlocal_admission::GroupKind;
use clusterlocal_core::store::Kind;

/// The release whose API this is a part of; the nodes run the same one.
pub(crate) const KUBERNETES_VERSION: &str = concat!("v1.36.3+clusterlocal.", env!("CARGO_PKG_VERSION"));

/// A resource: a kind as it is reached by paths.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Resource {
    /// The API group; empty for the core.
    pub(crate) group: &'static str,
    /// `v1`.
    pub(crate) version: &'static str,
    /// In paths: `pods`.
    pub(crate) plural: &'static str,
    /// kubectl's other names: `pod`, `po`.
    pub(crate) singular: &'static str,
    pub(crate) short: Vec<&'static str>,
    /// `all`, for those that `kubectl get all` lists.
    pub(crate) categories: Vec<&'static str>,
    /// In objects: `Pod`.
    pub(crate) kind: &'static str,
    /// Of lists: `PodList`.
    pub(crate) list_kind: &'static str,
    pub(crate) namespaced: bool,
    /// Where its objects are.
    pub(crate) held: Held,
    pub(crate) verbs: Vec<&'static str>,
    pub(crate) subresources: Vec<Subresource>,
}

/// Where the objects of a resource are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// In the store.
    Store(Kind),
    /// Nowhere: what is sent is answered at once.
    Answered,
    /// The trace of changes that showed in the DNS.
    Changes,
    /// The one clock.
    Clock,
    /// The log of DNS queries.
    Queries,
}

/// A path below an object's: `pods/NAME/eviction`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Subresource {
    pub(crate) name: &'static str,
    /// Group, version and kind of what is sent and answered; the parent's where empty.
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) verbs: Vec<&'static str>,
}

impl Subresource {
    /// Whether what is sent and answered is of another kind than the parent.
    pub(crate) fn has_own_type(&self) -> bool {
        !self.kind.is_empty()
    }
}

/// Our own group.
pub(crate) const OWN_GROUP: &str = "clusterlocal.dev";

/// The verbs by their letters in the table, in the order of discovery.
const VERBS: [(char, &str); 8] = [
    ('c', "create"),
    ('d', "delete"),
    ('D', "deletecollection"),
    ('g', "get"),
    ('l', "list"),
    ('p', "patch"),
    ('u', "update"),
    ('w', "watch"),
];

/// All verbs of an object, and those of a part of one.
pub(crate) const ALL_VERBS: &str = "cdDglpuw";
pub(crate) const PART_VERBS: &str = "gpu";

/// The verbs that `letters` stand for.
pub(crate) fn verbs(letters: &str) -> Vec<&'static str> {
    let meant = VERBS.iter().filter(|(letter, _)| letters.contains(*letter));
    meant.map(|(_, verb)| *verb).collect()
}

impl Resource {
    /// The warning of every reply about it, if its API is deprecated (`APILifecycleDeprecated`).
    pub(crate) fn deprecation(&self) -> Option<&'static str> {
        match (self.group, self.plural) {
            ("", "endpoints") => {
                Some("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice")
            }
            ("", "componentstatuses") => Some("v1 ComponentStatus is deprecated in v1.19+"),
            _ => None,
        }
    }

    /// `apps/v1`, or `v1` for the core.
    pub(crate) fn api_version(&self) -> String {
        match self.group {
            "" => self.version.into(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// `statefulsets.apps`, or `pods` for the core.
    pub(crate) fn qualified(&self) -> String {
        qualified(self.plural, self.group)
    }

    /// `StatefulSet.apps`, or `Pod` for the core.
    pub(crate) fn qualified_kind(&self) -> String {
        qualified(self.kind, self.group)
    }

    /// The subresource called `name`.
    pub(crate) fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|subresource| subresource.name == name)
    }

    /// Whether its types are those of Kubernetes itself.
    pub(crate) fn is_built_in(&self) -> bool {
        self.group != OWN_GROUP && !self.is_custom()
    }

    /// Whether a CustomResourceDefinition defines it.
    pub(crate) fn is_custom(&self) -> bool {
        matches!(self.held, Held::Store(Kind::Extra(extra)) if extra.is_defined())
    }
}

/// What objects of `kind` are called in `clusterlocal-admission`; nothing, if they are custom resources or ours.
pub(crate) fn group_kind(kind: Kind) -> Option<GroupKind<'static>> {
    if kind == Kind::Fault || matches!(kind, Kind::Extra(extra) if extra.is_defined()) {
        return None;
    }
    let resource = Resource::of_kind(kind);
    resource.is_built_in().then_some(GroupKind { group: resource.group, kind: resource.kind })
}

fn qualified(name: &str, group: &str) -> String {
    match group {
        "" => name.into(),
        group => format!("{name}.{group}"),
    }
}

/// `text` for as long as the process lives.
pub(crate) fn interned(text: &str) -> &'static str {
    static TEXTS: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);
    let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    let texts = texts.get_or_insert_default();
    match texts.get(text) {
        Some(known) => known,
        None => {
            let text: &'static str = String::from(text).leak();
            texts.insert(text);
            text
        }
    }
}
