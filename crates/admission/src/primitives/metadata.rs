//! Takes the place of `k8s.io/apimachinery/pkg/api/validation/objectmeta.go`: validation of every object's metadata.

use serde_json::Value;

use super::names::{self, Faults};
use crate::field::{At, Causes, Shown};

/// Maximum size of all annotations of an object, keys and values, in bytes (`TotalAnnotationSizeLimitB`).
const ANNOTATIONS_MAX: usize = 256 << 10;

/// `ValidateObjectMeta`: `name_rule` is the form of names of the kind. What is generated gets the same rule here: the name is
/// there already.
pub(crate) fn validate_object_meta(
    metadata: &At<'_>,
    namespaced: bool,
    name_rule: impl Fn(&str) -> Faults,
    causes: &mut Causes,
) {
    let generate = metadata.at("generateName");
    if !generate.is_empty() {
        // What is generated ends with letters and digits (`maskTrailingDash`).
        let text = generate.text();
        let masked = if text.len() > 1 && text.ends_with('-') {
            format!("{}a", &text[..text.len() - 1])
        } else {
            text.into()
        };
        for fault in name_rule(&masked) {
            causes.invalid(&generate, generate.text(), &fault);
        }
    }
    let name = metadata.at("name");
    if name.is_empty() {
        causes.required(&name, "name or generateName is required");
    }
    for fault in name_rule(name.text()).into_iter().filter(|_| !name.is_empty()) {
        causes.invalid(&name, name.text(), &fault);
    }
    let namespace = metadata.at("namespace");
    match (namespaced, namespace.text()) {
        (true, "") => causes.required(&namespace, ""),
        (true, text) => {
            for fault in names::dns_label(text) {
                causes.invalid(&namespace, text, &fault);
            }
        }
        (false, "") => {}
        (false, _) => causes.forbidden(&namespace, "not allowed on this type"),
    }
    validate_non_negative(&metadata.at("generation"), causes);
    validate_written(metadata, causes);
    validate_finalizers(&metadata.at("finalizers"), causes);
}

/// What of metadata is looked at on update as well.
fn validate_written(metadata: &At<'_>, causes: &mut Causes) {
    validate_labels(&metadata.at("labels"), causes);
    validate_annotations(&metadata.at("annotations"), causes);
    validate_owner_references(&metadata.at("ownerReferences"), causes);
}

/// `ValidateObjectMetaUpdate`. That there is a resource version has been seen to before.
pub(crate) fn validate_object_meta_update(metadata: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    let finalizers = metadata.at("finalizers");
    if before.at("deletionTimestamp").is_set() {
        let old = before.at("finalizers");
        let is_new = |item: &&Value| !old.list().contains(item);
        let mut new: Vec<&str> = finalizers.list().iter().filter(is_new).filter_map(Value::as_str).collect();
        new.sort_unstable();
        if !new.is_empty() {
            let new: Vec<String> = new.iter().map(|one| format!("{one:?}")).collect();
            let why = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                new.join(", ")
            );
            causes.forbidden(&finalizers, &why);
        }
    }
    for name in
        ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"]
    {
        validate_immutable(&metadata.at(name), &before.at(name), causes);
    }
    validate_written(metadata, causes);
}

/// `ValidateImmutableField`, of a value that is written as in JSON. Callers render other values themselves.
pub(crate) fn validate_immutable(field: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    if field.value() != before.value() {
        let shown = match (field.value(), before.value()) {
            (Value::Null, Value::String(_)) => Shown::from(""),
            (value, _) => Shown::from(value),
        };
        causes.invalid(field, shown, "field is immutable");
    }
}

/// `ValidateNonnegativeField`
pub(crate) fn validate_non_negative(field: &At<'_>, causes: &mut Causes) {
    if field.number() < 0 {
        causes.invalid(field, field.number(), "must be greater than or equal to 0");
    }
}

/// `ValidateLabels`
pub(crate) fn validate_labels(labels: &At<'_>, causes: &mut Causes) {
    for (key, value) in labels.entries() {
        for fault in names::label_key(key) {
            causes.invalid(labels, key, &fault);
        }
        for fault in names::label_value(value.text()) {
            causes.invalid(labels, value.text(), &fault);
        }
    }
}

/// `ValidateAnnotations`
pub(crate) fn validate_annotations(annotations: &At<'_>, causes: &mut Causes) {
    for (key, _) in annotations.entries() {
        for fault in names::label_key(&key.to_lowercase()) {
            causes.invalid(annotations, key, &fault);
        }
    }
    validate_annotations_size(annotations, causes);
}

/// `ValidateAnnotationsSize`
pub(crate) fn validate_annotations_size(annotations: &At<'_>, causes: &mut Causes) {
    let size: usize = annotations.entries().map(|(key, value)| key.len() + value.text().len()).sum();
    if size > ANNOTATIONS_MAX {
        causes.too_long(annotations, ANNOTATIONS_MAX);
    }
}

/// `ValidateOwnerReferences`
fn validate_owner_references(owners: &At<'_>, causes: &mut Causes) {
    let mut controller: Option<String> = None;
    for owner in owners.items() {
        // Its path has no index there: `validateOwnerReference` is called with that of the list.
        let owner_at = owners.with(owner.value());
        let version = owner.at("apiVersion").text();
        // `FromAPIVersionAndKind`: what cannot be parsed has no version.
        if version.split('/').count() > 2 || version.rsplit('/').next().is_none_or(str::is_empty) {
            causes.invalid(&owner_at.at("apiVersion"), version, "version must not be empty");
        }
        for name in ["kind", "name", "uid"] {
            if owner.at(name).is_empty() {
                causes.invalid(&owner_at.at(name), "", "must not be empty");
            }
        }
        if version == "v1" && owner.at("kind").text() == "Event" {
            let shown = shown_owner(owner.value());
            causes.invalid(owners, Shown::plain(shown), "/v1, Kind=Event is disallowed from being an owner");
        }
        if owner.at("controller").is_true() {
            let this = format!("{}/{}", owner.at("kind").text(), owner.at("name").text());
            match &controller {
                Some(first) => {
                    let why = format!(
                        "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {this}"
                    );
                    causes.invalid(owners, shown_owners(owners), &why);
                }
                None => controller = Some(this),
            }
        }
    }
}

/// An owner as JSON, with its fields in the order of its type.
fn shown_owner(owner: &Value) -> String {
    let fields = ["apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion"];
    let written = fields.iter().filter_map(|field| {
        let required = || ["apiVersion", "kind", "name", "uid"].contains(field).then_some(r#""""#.to_owned());
        let value = owner.get(field).filter(|value| !value.is_null());
        value.map(Value::to_string).or_else(required).map(|value| format!("{field:?}:{value}"))
    });
    format!("{{{}}}", written.collect::<Vec<_>>().join(","))
}

fn shown_owners(owners: &At<'_>) -> Shown {
    let all: Vec<String> = owners.list().iter().map(shown_owner).collect();
    Shown::plain(format!("[{}]", all.join(",")))
}

/// `ValidateFinalizers`
fn validate_finalizers(finalizers: &At<'_>, causes: &mut Causes) {
    let has = |name: &str| finalizers.items().any(|one| one.text() == name);
    for finalizer in finalizers.items() {
        for fault in names::label_key(finalizer.text()) {
            causes.invalid(finalizers, finalizer.text(), &fault);
        }
    }
    if has("orphan") && has("foregroundDeletion") {
        let why = "finalizer orphan and foregroundDeletion cannot be both set";
        causes.invalid(finalizers, finalizers.value(), why);
    }
}
