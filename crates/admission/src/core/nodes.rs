//! Nodes (`pkg/registry/core/node/strategy.go`, `ValidateNode`).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::validation::metadata;
use super::validation::resources::validate_resource_quantity_value;
use crate::field::{At, Causes};
use crate::primitives::defaults::round_up;
use crate::primitives::updates::keep_status;
use crate::primitives::{addresses, names};
use crate::schema;
use crate::strategy::Strategy;

pub(crate) const NODE: Strategy = Strategy {
    default: default_node,
    prepare_for_create: |node| {
        add_not_ready_taint(node);
        remove(node, "spec", "configSource");
        remove(node, "status", "config");
    },
    prepare_for_update: |node, before| {
        keep_status(node, before);
        if before["spec"].get("configSource").is_none() {
            remove(node, "spec", "configSource");
        }
    },
    validate: validate_node,
    validate_update: |node, before, causes| {
        validate_node(node, causes);
        validate_node_update(node, before, causes);
    },
    prepare_status_for_update: |node, before| {
        if before["status"].get("config").is_none() {
            remove(node, "status", "config");
        }
    },
    validate_status_update: validate_node_update,
    warnings: warnings_for_node,
    ..Strategy::of("", "Node", false)
};

fn remove(node: &mut Value, part: &str, field: &str) {
    if let Some(part) = node.get_mut(part).and_then(Value::as_object_mut) {
        part.remove(field);
    }
}

/// `SetDefaults_NodeStatus`, and `Convert_v1_NodeSpec_To_core_NodeSpec`: of the two fields for the CIDRs of a node the older
/// counts.
fn default_node(node: &mut Value) {
    if let Some(status) = node.get_mut("status").and_then(Value::as_object_mut)
        && let Some(capacity) = status.get("capacity").cloned()
    {
        let allocatable = status.entry("allocatable").or_insert(Value::Null);
        if allocatable.as_object().is_none_or(serde_json::Map::is_empty) {
            *allocatable = capacity;
        }
    }
    for list in ["/status/capacity", "/status/allocatable"] {
        round_up(node.pointer_mut(list));
    }
    let Some(spec) = node.get_mut("spec").and_then(Value::as_object_mut) else { return };
    let first = spec.get("podCIDRs").and_then(|all| all.get(0)).cloned();
    match (spec.get("podCIDR").cloned(), first) {
        (Some(one), first) if one != "" && first.as_ref() != Some(&one) => {
            spec.insert("podCIDRs".into(), json!([one]));
        }
        (_, Some(first)) => drop(spec.insert("podCIDR".into(), first)),
        (_, None) => {}
    }
}

/// What the admission plugin `TaintNodesByCondition`, which is always on, adds: no Pod comes before the kubelet is ready.
fn add_not_ready_taint(node: &mut Value) {
    const KEY: &str = "node.kubernetes.io/not-ready";
    if node["spec"].is_null() {
        node["spec"] = json!({});
    }
    let Some(spec) = node["spec"].as_object_mut() else { return };
    let taints = spec.entry("taints").or_insert_with(|| json!([]));
    if let Some(taints) = taints.as_array_mut()
        && !taints.iter().any(|taint| taint["key"] == KEY && taint["effect"] == "NoSchedule")
    {
        taints.push(json!({ "key": KEY, "effect": "NoSchedule" }));
    }
}

fn validate_node(node: &At<'_>, causes: &mut Causes) {
    let meta = node.at("metadata");
    metadata::validate_object_meta(&meta, false, names::dns_subdomain, causes);
    validate_node_specific_annotations(&meta.at("annotations"), causes);
    // The messages have the path of the metadata.
    validate_node_taints(&meta.at("taints").with(node.at("spec.taints").value()), causes);
    validate_node_resources(node, causes);
    let swap = meta.at("nodeSwapStatus.capacity").with(node.at("status.nodeInfo.swap.capacity").value());
    if swap.number_if_set().is_some_and(|capacity| capacity <= 0) {
        causes.invalid(&swap, swap.number(), "must be greater than zero");
    }
    validate_node_declared_features(&node.at("status.declaredFeatures"), causes);
    validate_pod_cidrs(&node.at("spec.podCIDRs"), causes);
}

fn validate_pod_cidrs(cidrs: &At<'_>, causes: &mut Causes) {
    for cidr in cidrs.items() {
        addresses::validate_cidr_for_legacy_field(&cidr, causes);
    }
    let all = cidrs.list();
    if all.len() < 2 {
        return;
    }
    let parsed: Vec<_> = cidrs.items().map(|cidr| addresses::parse_cidr_sloppy(cidr.text())).collect();
    let invalid = parsed.iter().position(Option::is_none);
    if let Some(index) = invalid {
        let text = all[index].as_str().unwrap_or_default();
        let why = format!(
            "invalid PodCIDRs. failed to check with dual stack with error:invalid CIDR[{index}]: <nil> (invalid CIDR address: {text})"
        );
        causes.internal_error(cidrs, &why);
    }
    let has = |is_v4: bool| parsed.iter().flatten().any(|(address, _)| address.is_ipv4() == is_v4);
    let is_dual = invalid.is_none() && has(true) && has(false);
    if !is_dual || all.len() > 2 {
        causes.invalid(cidrs, cidrs.value(), "may specify no more than one CIDR for each IP family");
    }
}

/// `ValidateNodeSpecificAnnotations`
fn validate_node_specific_annotations(annotations: &At<'_>, causes: &mut Causes) {
    const TAINTS: &str = "scheduler.alpha.kubernetes.io/taints";
    const AVOID_PODS: &str = "scheduler.alpha.kubernetes.io/preferAvoidPods";
    let text = |key: &str| annotations.value().get(key).and_then(Value::as_str).unwrap_or_default();
    if !text(TAINTS).is_empty() {
        match serde_json::from_str::<Value>(text(TAINTS)) {
            Ok(taints) => validate_node_taints(&annotations.at(TAINTS).with(&taints), causes),
            Err(_) => causes.invalid(annotations, TAINTS, "unexpected end of JSON input"),
        }
    }
    if text(AVOID_PODS).is_empty() {
        return;
    }
    let Ok(avoid) = serde_json::from_str::<Value>(text(AVOID_PODS)) else {
        causes.invalid(&annotations.at("AvoidPods"), AVOID_PODS, "unexpected end of JSON input");
        return;
    };
    for entry in annotations.at(AVOID_PODS).with(&avoid["preferAvoidPods"]).items() {
        let controller = entry.at("podSignature.podController");
        if !controller.is_set() {
            causes.required(&entry.at("PodSignature"), "");
        } else if !controller.at("controller").is_true() {
            let at = entry.at("PodSignature.PodController.Controller");
            causes.invalid(&at, false, "must point to a controller");
        }
    }
}

/// `validateNodeTaints`
fn validate_node_taints(taints: &At<'_>, causes: &mut Causes) {
    const EFFECTS: &[&str] = &["NoSchedule", "PreferNoSchedule", "NoExecute"];
    let mut unique = BTreeSet::new();
    for taint in taints.items() {
        let (key, value, effect) = (taint.at("key"), taint.at("value"), taint.at("effect"));
        names::check(&key, names::label_key, causes);
        let faults = names::label_value(value.text());
        if !faults.is_empty() {
            causes.invalid(&value, value.text(), &faults.join(";"));
        }
        if effect.is_empty() {
            causes.required(&effect, "");
        } else if !EFFECTS.contains(&effect.text()) {
            causes.not_supported(&effect, effect.text(), EFFECTS);
        }
        if !unique.insert((effect.text(), key.text())) {
            let shown = schema::go_json("Taint", taint.value());
            causes.duplicate_because(&taint, shown, "taints must be unique by key and effect pair");
        }
    }
}

/// `ValidateNodeResources`: the path has no brackets.
fn validate_node_resources(node: &At<'_>, causes: &mut Causes) {
    for list in ["capacity", "allocatable"] {
        let amounts = node.at("status").at(list);
        for (name, amount) in amounts.entries() {
            let mut found = Causes::default();
            validate_resource_quantity_value(name, &amount, &mut found);
            causes.append_at(found, &format!("{amounts}.{name}"));
        }
    }
}

/// `validateNodeDeclaredFeatures`
fn validate_node_declared_features(features: &At<'_>, causes: &mut Causes) {
    let is_segment = |first: bool, segment: &str| {
        let begin = |c: char| if first { c.is_ascii_uppercase() } else { c.is_ascii_alphabetic() };
        segment.starts_with(begin) && segment.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    let mut before: Option<&str> = None;
    for feature in features.items() {
        let name = feature.text();
        match before {
            Some(before) if before == name => causes.duplicate(&feature, name),
            Some(before) if before > name => {
                causes.invalid(&feature, name, "list must be sorted alphabetically");
            }
            _ => {}
        }
        before = Some(name);
        let form = "must start with an UpperCamelCase segment, with subsequent segments separated by '/' (e.g., MyFeature or MyFeature/mySubFeature), and contain only alphanumeric characters and slashes";
        if name.len() > 253 {
            let why = format!("invalid feature name {name:?}: must be no more than 253 characters");
            causes.invalid(&feature, name, &why);
        } else if !name.split('/').enumerate().all(|(index, segment)| is_segment(index == 0, segment)) {
            causes.invalid(&feature, name, &format!("invalid feature name {name:?}: {form}"));
        }
    }
}

/// `ValidateNodeUpdate`
fn validate_node_update(node: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    let meta = node.at("metadata");
    metadata::validate_object_meta_update(&meta, &before.at("metadata"), causes);
    validate_node_specific_annotations(&meta.at("annotations"), causes);
    validate_node_resources(node, causes);
    validate_node_declared_features(&node.at("status.declaredFeatures"), causes);
    let mut addresses = Vec::new();
    for address in node.at("status.addresses").items() {
        if addresses.contains(&address.value()) {
            causes.duplicate(&address, schema::go_json("NodeAddress", address.value()));
        }
        addresses.push(address.value());
    }
    let (cidrs, old) = (node.at("spec.podCIDRs"), before.at("spec.podCIDRs"));
    if !old.is_empty() {
        let why = "node updates may not change podCIDR except from \"\" to valid";
        if old.list().len() == cidrs.list().len() {
            for _ in old.list().iter().zip(cidrs.list()).filter(|(old, new)| old != new) {
                causes.forbidden(&cidrs, why);
            }
        } else {
            causes.forbidden(&cidrs, why);
        }
    }
    let (provider, old) = (node.at("spec.providerID"), before.at("spec.providerID"));
    if !old.is_empty() && old.text() != provider.text() {
        let why = "node updates may not change providerID except from \"\" to valid";
        causes.forbidden(&provider, why);
    }
    validate_node_taints(&meta.at("taints").with(node.at("spec.taints").value()), causes);
    let external = node.at("spec.externalID");
    if external.text() != before.at("spec.externalID").text() {
        causes.forbidden(&external, "may not be updated");
    }
}

/// `nodeWarnings`
fn warnings_for_node(node: &Value, _: Option<&Value>) -> Vec<String> {
    let spec = At::root(node).at("spec");
    let mut warnings = Vec::new();
    if spec.at("configSource").is_set() {
        warnings.push("spec.configSource: the feature is removed".into());
    }
    if !spec.at("externalID").is_empty() {
        warnings.push("spec.externalID: this field is deprecated, and is unused by Kubernetes".into());
    }
    warnings.extend(spec.at("podCIDRs").items().flat_map(|cidr| addresses::warnings_for_cidr(&cidr)));
    warnings
}

/// `GetNodeLabelDeprecatedMessage`
pub(crate) fn node_label_deprecated_message(label: &str) -> Option<&'static str> {
    const LABELS: [(&str, &str); 8] = [
        ("beta.kubernetes.io/arch", "deprecated since v1.14; use \"kubernetes.io/arch\" instead"),
        ("beta.kubernetes.io/os", "deprecated since v1.14; use \"kubernetes.io/os\" instead"),
        (
            "failure-domain.beta.kubernetes.io/region",
            "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead",
        ),
        (
            "failure-domain.beta.kubernetes.io/zone",
            "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead",
        ),
        (
            "beta.kubernetes.io/instance-type",
            "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead",
        ),
        ("app.kubernetes.io/created-by", "deprecated since v1.9"),
        (
            "scheduler.alpha.kubernetes.io/preferAvoidPods",
            "deprecated since v1.22; use Taints and Tolerations instead",
        ),
        ("node-role.kubernetes.io/master", "use \"node-role.kubernetes.io/control-plane\" instead"),
    ];
    LABELS.iter().find(|(key, _)| *key == label).map(|(_, message)| *message)
}

/// `GetWarningsForNodeSelectorTerm`
pub(crate) fn warnings_for_node_selector_term(term: &At<'_>, check_values: bool) -> Vec<String> {
    let mut warnings = Vec::new();
    for requirement in term.at("matchExpressions").items() {
        let key = requirement.at("key");
        if let Some(message) = node_label_deprecated_message(key.text()) {
            warnings.push(format!("{key}: {} is {message}", key.text()));
        }
        for value in requirement.at("values").items().filter(|_| check_values) {
            let faults = names::label_value(value.text());
            let messages =
                faults.iter().map(|fault| format!("{value}: {} is invalid, {fault}", value.text()));
            warnings.extend(messages);
        }
    }
    warnings
}
