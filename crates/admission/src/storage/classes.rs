//! StorageClasses and VolumeAttributesClasses (`pkg/apis/storage/validation`, `pkg/apis/storage/v1/defaults.go`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::GROUP;
use crate::core::nodes::node_label_deprecated_message;
use crate::core::validation::metadata;
use crate::field::{At, Causes};
use crate::primitives::metadata::validate_immutable;
use crate::primitives::names;
use crate::strategy::Strategy;

pub(super) const STORAGE_CLASS: Strategy = Strategy {
    default: set_defaults_storage_class,
    validate: validate_storage_class,
    validate_update: |class, before, causes| {
        validate_storage_class(class, causes);
        validate_storage_class_update(class, before, causes);
    },
    warnings: |class, _| warnings_for_storage_class(&At::root(class)),
    ..Strategy::of(GROUP, "StorageClass", false)
};

pub(super) const VOLUME_ATTRIBUTES_CLASS: Strategy = Strategy {
    validate: validate_volume_attributes_class,
    validate_update: |class, before, causes| {
        metadata::validate_object_meta_update(&class.at("metadata"), &before.at("metadata"), causes);
        for (field, why) in [
            ("driverName", "updates to driverName are forbidden."),
            ("parameters", "updates to parameters are forbidden."),
        ] {
            if class.at(field).value() != before.at(field).value() {
                causes.forbidden(&class.at(field), why);
            }
        }
        validate_volume_attributes_class(class, causes);
    },
    ..Strategy::of(GROUP, "VolumeAttributesClass", false)
};

/// Maximum size of all parameters, keys and values, in bytes (`maxProvisionerParameterSize`).
const PARAMETERS_SIZE: usize = 256 << 10;

/// Maximum number of parameters (`maxProvisionerParameterLen`).
const PARAMETERS: usize = 512;

fn set_defaults_storage_class(class: &mut Value) {
    let Some(class) = class.as_object_mut() else { return };
    class.entry("reclaimPolicy").or_insert_with(|| "Delete".into());
    class.entry("volumeBindingMode").or_insert_with(|| "Immediate".into());
}

fn validate_storage_class(class: &At<'_>, causes: &mut Causes) {
    metadata::validate_object_meta(&class.at("metadata"), false, names::dns_subdomain, causes);
    validate_provisioner(&class.at("provisioner"), causes);
    validate_parameters(&class.at("parameters"), true, causes);
    let policy = class.at("reclaimPolicy");
    if !matches!(policy.text(), "" | "Delete" | "Retain") {
        causes.not_supported(&policy, policy.text(), &["Delete", "Retain"]);
    }
    let mode = class.at("volumeBindingMode");
    match mode.text_if_set() {
        None => causes.required(&mode, ""),
        Some("Immediate" | "WaitForFirstConsumer") => {}
        Some(other) => causes.not_supported(&mode, other, &["Immediate", "WaitForFirstConsumer"]),
    }
    validate_allowed_topologies(&class.at("allowedTopologies"), causes);
}

fn validate_volume_attributes_class(class: &At<'_>, causes: &mut Causes) {
    metadata::validate_object_meta(&class.at("metadata"), false, names::dns_subdomain, causes);
    validate_provisioner(&class.at("driverName"), causes);
    validate_parameters(&class.at("parameters"), false, causes);
}

fn validate_provisioner(provisioner: &At<'_>, causes: &mut Causes) {
    if provisioner.is_empty() {
        causes.required(provisioner, "");
        return;
    }
    let lower = provisioner.text().to_lowercase();
    for fault in names::label_key(&lower) {
        causes.invalid(provisioner, &*lower, &fault);
    }
}

fn validate_parameters(parameters: &At<'_>, allow_empty: bool, causes: &mut Causes) {
    let all = parameters.map().map_or(0, serde_json::Map::len);
    if all > PARAMETERS {
        causes.too_long(parameters, PARAMETERS);
        return;
    }
    let mut size = 0;
    for (key, value) in parameters.entries() {
        if key.is_empty() {
            causes.invalid(parameters, key, "field can not be empty.");
        }
        size += key.len() + value.text().len();
    }
    if size > PARAMETERS_SIZE {
        causes.too_long(parameters, PARAMETERS_SIZE);
    }
    if !allow_empty && all == 0 {
        causes.required(parameters, "must contain at least one key/value pair");
    }
}

fn validate_allowed_topologies(terms: &At<'_>, causes: &mut Causes) {
    // The API server's list begins with as many terms without requirements as there are terms.
    let mut before = vec![BTreeMap::new(); terms.list().len()];
    for term in terms.items() {
        let requirements = term.at("matchLabelExpressions");
        let known = validate_topology_selector_term(&requirements, causes);
        for _ in before.iter().filter(|other| **other == known) {
            causes.duplicate(&requirements, "");
        }
        before.push(known);
    }
}

/// `ValidateTopologySelectorTerm` of `pkg/apis/core/validation`: the values by their keys.
fn validate_topology_selector_term<'o>(
    requirements: &At<'o>,
    causes: &mut Causes,
) -> BTreeMap<&'o str, BTreeSet<&'o str>> {
    let mut known = BTreeMap::new();
    for requirement in requirements.items() {
        let (key, all) = (requirement.at("key"), requirement.at("values"));
        let mut values = BTreeSet::new();
        if all.is_empty() {
            causes.required(&all, "");
        }
        for value in all.items() {
            if !values.insert(value.text()) {
                causes.duplicate(&value, value.text());
            }
        }
        for fault in names::label_key(key.text()) {
            causes.invalid(&key, key.text(), &fault);
        }
        if known.insert(key.text(), values).is_some() {
            causes.duplicate(&key, key.text());
        }
    }
    known
}

fn validate_storage_class_update(class: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    metadata::validate_object_meta_update(&class.at("metadata"), &before.at("metadata"), causes);
    for field in ["parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"] {
        validate_immutable(&class.at(field), &before.at(field), causes);
    }
}

/// `GetWarningsForStorageClass`
fn warnings_for_storage_class(class: &At<'_>) -> Vec<String> {
    let mut warnings = Vec::new();
    for term in class.at("allowedTopologies").items() {
        for requirement in term.at("matchLabelExpressions").items() {
            let key = requirement.at("key");
            if let Some(message) = node_label_deprecated_message(key.text()) {
                warnings.push(format!("{key}: {message}"));
            }
        }
    }
    warnings
}
