//! The conditions of a terminating namespace (`pkg/controller/namespace/deletion/status_condition_utils.go`).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Contents;
use crate::admission::quota;
use crate::reconcile::Context;
use crate::store::{ConditionStatus, Extra, Kind, Namespace, Store, WorkloadCondition};

/// A type of condition, with its reason and message on success (okReasons, okMessages).
const OK: [(&str, &str, &str); 5] = [
    (DISCOVERY_FAILURE, "ResourcesDiscovered", "All resources successfully discovered"),
    (PARSING_FAILURE, "ParsedGroupVersions", "All legacy kube types successfully parsed"),
    (CONTENT_FAILURE, "ContentDeleted", "All content successfully deleted, may be waiting on finalization"),
    (CONTENT_REMAINING, "ContentRemoved", "All content successfully removed"),
    (FINALIZERS_REMAINING, "ContentHasNoFinalizers", "All content-preserving finalizers finished"),
];

const DISCOVERY_FAILURE: &str = "NamespaceDeletionDiscoveryFailure";
const PARSING_FAILURE: &str = "NamespaceDeletionGroupVersionParsingFailure";
const CONTENT_FAILURE: &str = "NamespaceDeletionContentFailure";
const CONTENT_REMAINING: &str = "NamespaceContentRemaining";
const FINALIZERS_REMAINING: &str = "NamespaceFinalizersRemaining";

/// A failure: the type of a condition, with its reason and message.
type Failure = (&'static str, &'static str, String);

/// The namespace with the conditions for its remaining contents. `None` if it has them already.
pub(super) fn update(
    context: Context<'_>,
    namespace: &Namespace,
    contents: &Contents<'_>,
) -> Option<Namespace> {
    let failures = failures(context.store, namespace, contents);
    let null = Value::Null;
    let given = namespace.metadata.given.as_ref().map_or(&null, |given| given.json());
    let mut status = given.get("status").filter(|status| status.is_object()).cloned().unwrap_or(json!({}));
    let mut conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    let mut has_changed = false;
    for (kind, reason, message) in OK {
        let failure = failures.iter().find(|(failing, ..)| *failing == kind);
        let (holds, reason, message) = match failure {
            Some((_, reason, message)) => (ConditionStatus::True, *reason, message.clone()),
            None => (ConditionStatus::False, reason, message.to_owned()),
        };
        let mut new = WorkloadCondition::new(kind, holds, reason, message, context.now);
        match conditions.iter_mut().find(|condition| condition["type"] == kind) {
            Some(there) => {
                let old = WorkloadCondition::parse(there).filter(|old| old.status == new.status);
                new.last_transition = old.map_or(context.now, |old| old.last_transition);
                let new = new.json(None);
                has_changed |= *there != new;
                *there = new;
            }
            None => {
                has_changed = true;
                conditions.push(new.json(None));
            }
        }
    }
    status["conditions"] = conditions.into();
    has_changed.then(|| namespace.with_status(status))
}

/// The failures to report. While pods remain, no other object has been processed, and only pods past their grace period
/// are reported.
fn failures(store: &Store, namespace: &Namespace, contents: &Contents<'_>) -> Vec<Failure> {
    if contents.has_pods {
        let has_finalizers =
            contents.remaining.iter().any(|stored| !stored.object.metadata().links.finalizers().is_empty());
        if contents.estimate.is_some() || has_finalizers {
            return Vec::new();
        }
        let name = &namespace.metadata.name;
        let message = format!(
            "Failed to delete all resource types, 1 remaining: unexpected items still remain in namespace: {name} for gvr: /v1, Resource=pods"
        );
        return vec![(CONTENT_FAILURE, "ContentDeletionFailed", message)];
    }
    let mut resources: BTreeMap<String, usize> = BTreeMap::new();
    let mut finalizers: BTreeMap<&str, usize> = BTreeMap::new();
    for stored in &contents.remaining {
        *resources.entry(resource(store, stored.object.kind())).or_default() += 1;
        for finalizer in stored.object.metadata().links.finalizers() {
            *finalizers.entry(finalizer).or_default() += 1;
        }
    }
    let mut failures = Vec::new();
    if !resources.is_empty() {
        let counts = resources.iter().map(|(name, count)| format!("{name} has {count} resource instances"));
        let message = format!("Some resources are remaining: {}", joined(counts));
        failures.push((CONTENT_REMAINING, "SomeResourcesRemain", message));
    }
    if !finalizers.is_empty() {
        let counts = finalizers.iter().map(|(name, count)| format!("{name} in {count} resource instances"));
        let message = format!("Some content in the namespace has finalizers remaining: {}", joined(counts));
        failures.push((FINALIZERS_REMAINING, "SomeFinalizersRemain", message));
    }
    failures
}

fn joined(texts: impl Iterator<Item = String>) -> String {
    let mut texts: Vec<String> = texts.collect();
    texts.sort_unstable();
    texts.join(", ")
}

/// The resource of a kind and its group: `configmaps.` or `statefulsets.apps`.
fn resource(store: &Store, kind: Kind) -> String {
    if let Some(counted) = quota::resource_of_kind(kind) {
        return if counted.contains('.') { counted.to_owned() } else { format!("{counted}.") };
    }
    let group = match kind {
        Kind::Extra(extra) => extra.names().group,
        _ => "",
    };
    let definitions = store.all_stored(Kind::Extra(Extra::DEFINITION), None);
    let mut given = definitions.filter_map(|stored| Some(stored.object.metadata().given.as_ref()?.json()));
    let defined = given.find(|json| {
        json["spec"]["group"] == group && json.pointer("/spec/names/kind") == Some(&kind.as_str().into())
    });
    let plural = defined.and_then(|json| json.pointer("/spec/names/plural")?.as_str());
    // Kinds of Kubernetes without an object count of their own: ResourceClaim, CSIStorageCapacity.
    let plural = plural.map_or_else(|| regular_plural(kind.as_str()), str::to_owned);
    format!("{plural}.{group}")
}

/// The plural of a kind (`meta.UnsafeGuessKindToResource`).
fn regular_plural(kind: &str) -> String {
    let singular = kind.to_lowercase();
    match singular.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None if singular.ends_with('s') => format!("{singular}es"),
        None => format!("{singular}s"),
    }
}
