//! Takes the place of `pkg/apis/apps/validation`.

pub(super) mod controller_revisions;
pub(super) mod daemon_sets;
pub(super) mod deployments;
pub(super) mod replica_sets;
pub(super) mod stateful_sets;
pub(super) mod statuses;

use crate::field::{At, Causes, Shown};
use crate::primitives::equality::semantically_equal;
use crate::primitives::selectors;
use crate::schema::go_json;

/// A selector as an error shows it.
fn shown(selector: &At<'_>) -> Shown {
    if selector.is_set() { go_json("LabelSelector", selector.value()) } else { Shown::nil() }
}

/// The selector of a StatefulSet, Deployment or ReplicaSet. `empty` is what an empty one is called, `invalid` what one is that
/// cannot be read. Whether it can.
fn validate_selector(selector: &At<'_>, empty: &str, invalid: &str, causes: &mut Causes) -> bool {
    if selector.is_set() {
        selectors::validate_label_selector(selector, causes);
        if selectors::is_empty(selector) {
            causes.invalid(selector, shown(selector), &format!("empty selector is invalid for {empty}"));
        }
    } else {
        causes.required(selector, "");
    }
    let is_valid = selectors::is_valid(selector);
    if !is_valid {
        causes.invalid(selector, shown(selector), invalid);
    }
    is_valid
}

/// Whether the selector, if there is one, selects pods of the template.
fn validate_selected(selector: &At<'_>, template: &At<'_>, causes: &mut Causes) {
    let labels = template.at("metadata.labels");
    if !selector.is_set() || !selectors::matches(selector, &labels) {
        causes.invalid(&labels, labels.value(), "`selector` does not match template `labels`");
    }
}

/// Pods of `kind` are always restarted.
fn validate_runs_for_ever(template: &At<'_>, kind: &str, causes: &mut Causes) {
    let policy = template.at("spec.restartPolicy");
    if policy.text() != "Always" {
        causes.not_supported(&policy, policy.text(), &["Always"]);
    }
    let deadline = template.at("spec.activeDeadlineSeconds");
    if deadline.is_set() {
        causes.forbidden(&deadline, &format!("activeDeadlineSeconds in {kind} is not Supported"));
    }
}

/// `ValidateImmutableField`, of the selector.
fn validate_immutable_selector(spec: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    let (selector, old) = (spec.at("selector"), before.at("selector"));
    if !semantically_equal(selector.value(), old.value()) {
        causes.invalid(&selector, shown(&selector), "field is immutable");
    }
}
