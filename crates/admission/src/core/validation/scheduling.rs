//! Where a Pod may run: tolerations, affinity, topology spread, gates.

use std::collections::BTreeSet;

use serde_json::Value;

use super::node_selector::validate_node_affinity;
use super::security::validate_choice;
use crate::field::{At, Causes};
use crate::primitives::{names, selectors};

const EFFECTS: &[&str] = &["NoSchedule", "PreferNoSchedule", "NoExecute"];
const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// `ValidateTolerations`. Errors of the value have the path of the operator.
pub(crate) fn validate_tolerations(tolerations: &At<'_>, causes: &mut Causes) {
    for toleration in tolerations.items() {
        let (key, operator) = (toleration.at("key"), toleration.at("operator"));
        let (value, effect) = (toleration.at("value").text(), toleration.at("effect"));
        if !key.is_empty() {
            names::check(&key, names::label_key, causes);
        } else if operator.text() != "Exists" {
            let why =
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            causes.invalid(&operator, operator.text(), why);
        }
        if toleration.at("tolerationSeconds").is_set() && effect.text() != "NoExecute" {
            causes.invalid(
                &effect,
                effect.text(),
                "effect must be 'NoExecute' when `tolerationSeconds` is set",
            );
        }
        match operator.text() {
            "Equal" | "" => {
                let faults = names::label_value(value);
                if !faults.is_empty() {
                    causes.invalid(&operator, value, &faults.join(";"));
                }
            }
            "Exists" if value.is_empty() => {}
            "Exists" => causes.invalid(&operator, value, "value must be empty when `operator` is 'Exists'"),
            other @ ("Lt" | "Gt") => causes.not_supported(&operator, other, &["Equal", "Exists", "Lt", "Gt"]),
            other => causes.not_supported(&operator, other, &["Equal", "Exists"]),
        }
        if !effect.is_empty() {
            validate_choice(&effect, EFFECTS, causes);
        }
    }
}

/// `validateOnlyAddedTolerations`
pub(crate) fn validate_only_added_tolerations(new: &At<'_>, old: &At<'_>, causes: &mut Causes) {
    let without_seconds = |toleration: &Value| {
        let mut toleration = toleration.clone();
        if let Some(map) = toleration.as_object_mut() {
            map.remove("tolerationSeconds");
        }
        toleration
    };
    let are: Vec<Value> = new.list().iter().map(without_seconds).collect();
    if !old.list().iter().all(|old| are.contains(&without_seconds(old))) {
        causes.forbidden(new, "existing toleration can not be modified except its tolerationSeconds");
        return;
    }
    validate_tolerations(new, causes);
}

/// `validateAffinity`
pub(crate) fn validate_affinity(affinity: &At<'_>, causes: &mut Causes) {
    let nodes = affinity.at("nodeAffinity");
    if nodes.is_set() {
        validate_node_affinity(&nodes, false, causes);
    }
    for pods in ["podAffinity", "podAntiAffinity"].map(|name| affinity.at(name)) {
        for term in pods.at(REQUIRED).items() {
            validate_pod_affinity_term(&term, causes);
        }
        for term in pods.at(PREFERRED).items() {
            let weight = term.at("weight");
            if !(1..=100).contains(&weight.number()) {
                causes.invalid(&weight, weight.number(), "must be in the range 1-100");
            }
            validate_pod_affinity_term(&term.at("podAffinityTerm"), causes);
        }
    }
}

/// `validatePodAffinityTerm`
fn validate_pod_affinity_term(term: &At<'_>, causes: &mut Causes) {
    let selector = term.at("labelSelector");
    selectors::validate_label_selector(&selector, causes);
    selectors::validate_label_selector(&term.at("namespaceSelector"), causes);
    for name in term.at("namespaces").items() {
        for fault in names::dns_label(name.text()) {
            causes.invalid(&term.at("namespace"), name.text(), &fault);
        }
    }
    let (keys, others) = (term.at("matchLabelKeys"), term.at("mismatchLabelKeys"));
    validate_match_label_keys_and_mismatch_label_keys(term, &keys, &others, &selector, causes);
    let key = term.at("topologyKey");
    if key.is_empty() {
        causes.required(&key, "can not be empty");
    }
    names::check(&key, names::label_key, causes);
}

/// `ValidateMatchLabelKeysAndMismatchLabelKeys`. A key that is in the selector as well is reported for an item of the term.
fn validate_match_label_keys_and_mismatch_label_keys(
    term: &At<'_>,
    keys: &At<'_>,
    others: &At<'_>,
    selector: &At<'_>,
    causes: &mut Causes,
) {
    for list in [keys, others] {
        if !list.is_empty() && !selector.is_set() {
            causes.forbidden(list, "must not be specified when labelSelector is not set");
            continue;
        }
        for key in list.items() {
            names::check(&key, names::label_key, causes);
        }
    }
    let mut selected: BTreeSet<&str> = selector.at("matchLabels").entries().map(|(key, _)| key).collect();
    for key in selector.at("matchExpressions").items().map(|one| one.at("key").text()) {
        let index = keys.list().iter().rposition(|one| one == key);
        if let Some(index) = index.filter(|_| selected.contains(key)) {
            causes.invalid(&term.item(index), key, "exists in both matchLabelKeys and labelSelector");
        }
        selected.insert(key);
    }
    for key in keys.items().filter(|key| others.list().contains(key.value())) {
        causes.invalid(&key, key.text(), "exists in both matchLabelKeys and mismatchLabelKeys");
    }
}

/// `validateTopologySpreadConstraints`
pub(crate) fn validate_topology_spread_constraints(constraints: &At<'_>, causes: &mut Causes) {
    const ACTIONS: &[&str] = &["DoNotSchedule", "ScheduleAnyway"];
    let all: Vec<At<'_>> = constraints.items().collect();
    for (index, constraint) in all.iter().enumerate() {
        let (skew, key) = (constraint.at("maxSkew"), constraint.at("topologyKey"));
        let action = constraint.at("whenUnsatisfiable");
        validate_positive(&skew, causes);
        if key.is_empty() {
            causes.required(&key, "can not be empty");
        }
        if !ACTIONS.contains(&action.text()) {
            causes.not_supported(&action, action.text(), ACTIONS);
        }
        let is_repeated = |other: &At<'_>| {
            other.at("topologyKey").text() == key.text()
                && other.at("whenUnsatisfiable").text() == action.text()
        };
        if all[index + 1..].iter().any(is_repeated) {
            let pair = format!("{{{}, {}}}", key.text(), action.text());
            causes.duplicate(&constraint.at("{topologyKey, whenUnsatisfiable}"), pair.as_str());
        }
        let domains = constraint.at("minDomains");
        if domains.is_set() {
            validate_positive(&domains, causes);
            if action.text() != "DoNotSchedule" {
                let why = format!(
                    "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {}",
                    action.text()
                );
                causes.invalid(&domains, domains.number(), &why);
            }
        }
        for policy in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            validate_choice(&constraint.at(policy), &["Honor", "Ignore"], causes);
        }
        let selector = constraint.at("labelSelector");
        let keys = constraint.at("matchLabelKeys");
        validate_match_label_keys_and_mismatch_label_keys(
            constraint,
            &keys,
            &constraint.at("mismatchLabelKeys"),
            &selector,
            causes,
        );
        selectors::validate_label_selector(&selector, causes);
    }
}

/// `ValidatePositiveField`
fn validate_positive(field: &At<'_>, causes: &mut Causes) {
    if field.number() <= 0 {
        causes.invalid(field, field.number(), "must be greater than zero");
    }
}

/// `validateReadinessGates`
pub(crate) fn validate_readiness_gates(gates: &At<'_>, causes: &mut Causes) {
    for gate in gates.items() {
        names::check(&gate.at("conditionType"), names::label_key, causes);
    }
}

/// `validateSchedulingGates`: errors of a name have the path of the gate.
pub(crate) fn validate_scheduling_gates(gates: &At<'_>, causes: &mut Causes) {
    let mut seen = BTreeSet::new();
    for gate in gates.items() {
        let name = gate.at("name").text();
        for fault in names::label_key(name) {
            causes.invalid(&gate, name, &fault);
        }
        if !seen.insert(name) {
            causes.duplicate(&gate, name);
        }
    }
}

/// `validateOnlyDeletedSchedulingGates`
pub(crate) fn validate_only_deleted_scheduling_gates(new: &At<'_>, old: &At<'_>, causes: &mut Causes) {
    let is_old = |name: &str| old.items().any(|gate| gate.at("name").text() == name);
    for name in new.items().map(|gate| gate.at("name")) {
        if !is_old(name.text()) {
            let why = format!("only deletion is allowed, but found new scheduling gate '{}'", name.text());
            causes.forbidden(&name, &why);
        }
    }
}
