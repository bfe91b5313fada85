//! CSIStorageCapacities (`pkg/apis/storage/validation`, `pkg/api/storage/util.go`).

use serde_json::Value;

use super::GROUP;
use crate::core::nodes::node_label_deprecated_message;
use crate::core::validation::metadata;
use crate::core::validation::resources::validate_non_negative_quantity;
use crate::field::{At, Causes, Shown};
use crate::primitives::equality::semantically_equal;
use crate::primitives::{names, selectors};
use crate::schema::go_json;
use crate::strategy::Strategy;

pub(super) const CSI_STORAGE_CAPACITY: Strategy = Strategy {
    unconditional_update: false,
    validate: validate_csi_storage_capacity,
    validate_update: |capacity, before, causes| {
        validate_csi_storage_capacity(capacity, causes);
        validate_csi_storage_capacity_update(capacity, before, causes);
    },
    warnings: |capacity, _| warnings_for_node_selector(&At::root(capacity).at("nodeTopology")),
    ..Strategy::of(GROUP, "CSIStorageCapacity", true)
};

fn validate_csi_storage_capacity(capacity: &At<'_>, causes: &mut Causes) {
    metadata::validate_object_meta(&capacity.at("metadata"), true, names::dns_subdomain, causes);
    selectors::validate_label_selector(&capacity.at("nodeTopology"), causes);
    names::check(&capacity.at("storageClassName"), names::dns_subdomain, causes);
    validate_non_negative_quantity(&capacity.at("capacity"), causes);
}

fn validate_csi_storage_capacity_update(capacity: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    const IMMUTABLE: &str = "field is immutable";
    metadata::validate_object_meta_update(&capacity.at("metadata"), &before.at("metadata"), causes);
    let (topology, class) = (capacity.at("nodeTopology"), capacity.at("storageClassName"));
    if !semantically_equal(topology.value(), before.at("nodeTopology").value()) {
        let shown = match topology.value() {
            Value::Null => Shown::nil(),
            value => go_json("LabelSelector", value),
        };
        causes.invalid(&topology, shown, IMMUTABLE);
    }
    if class.text() != before.at("storageClassName").text() {
        causes.invalid(&class, class.text(), IMMUTABLE);
    }
}

/// `GetWarningsForNodeSelector`
fn warnings_for_node_selector(selector: &At<'_>) -> Vec<String> {
    let mut warnings = Vec::new();
    for requirement in selector.at("matchExpressions").items() {
        let key = requirement.at("key");
        if let Some(message) = node_label_deprecated_message(key.text()) {
            warnings.push(format!("{key}: {} is {message}", key.text()));
        }
    }
    let labels = selector.at("matchLabels");
    for (key, _) in labels.entries() {
        if let Some(message) = node_label_deprecated_message(key) {
            warnings.push(format!("{}: {message}", labels.child(key)));
        }
    }
    warnings
}
