//! CSINodes (`pkg/apis/storage/validation`).

use std::collections::BTreeSet;

use serde_json::Value;

use super::GROUP;
use crate::core::validation::metadata;
use crate::core::validation::volume_sources::validate_csi_driver_name;
use crate::field::{At, Causes};
use crate::primitives::equality::semantically_equal;
use crate::primitives::metadata::validate_non_negative;
use crate::primitives::names;
use crate::schema::go_json;
use crate::strategy::Strategy;

pub(super) const CSI_NODE: Strategy = Strategy {
    unconditional_update: false,
    validate: validate_csi_node,
    validate_update: validate_csi_node_update,
    ..Strategy::of(GROUP, "CSINode", false)
};

/// Maximum length of the name that a driver gives a node, in bytes (`csiNodeIDMaxLength`).
const NODE_ID: usize = 256;

fn validate_csi_node(node: &At<'_>, causes: &mut Causes) {
    metadata::validate_object_meta(&node.at("metadata"), false, names::dns_subdomain, causes);
    let mut names = BTreeSet::new();
    for driver in node.at("spec.drivers").items() {
        validate_csi_node_driver(&driver, &mut names, causes);
    }
}

fn validate_csi_node_driver<'o>(driver: &At<'o>, names: &mut BTreeSet<&'o str>, causes: &mut Causes) {
    let (name, id) = (driver.at("name"), driver.at("nodeID"));
    validate_csi_driver_name(&name, causes);
    if id.is_empty() {
        causes.required(&id, "");
    }
    if id.text().len() > NODE_ID {
        causes.invalid(&id, id.text(), &format!("must be {NODE_ID} characters or less"));
    }
    validate_non_negative(&driver.at("allocatable.count"), causes);
    if !names.insert(name.text()) {
        causes.duplicate(&name, name.text());
    }
    let mut keys = BTreeSet::new();
    for key in driver.at("topologyKeys").items().map(|key| key.text()) {
        if key.is_empty() {
            causes.required(driver, "");
        }
        if !keys.insert(key) {
            causes.duplicate(driver, key);
        }
        for fault in names::label_key(key) {
            causes.invalid(driver, key, &fault);
        }
    }
}

/// `ValidateCSINodeUpdate`: of a driver that stays, only what can be allocated may change.
fn validate_csi_node_update(node: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    validate_csi_node(node, causes);
    let drivers = node.at("spec.drivers");
    for old in before.at("spec.drivers").items() {
        for new in drivers.items().filter(|new| new.at("name").text() == old.at("name").text()) {
            let (new, old) = (without_allocatable(new.value()), without_allocatable(old.value()));
            if !semantically_equal(&new, &old) {
                causes.invalid(&drivers, go_json("CSINodeDriver", &new), "field is immutable");
            }
        }
    }
}

fn without_allocatable(driver: &Value) -> Value {
    let mut driver = driver.clone();
    if let Some(driver) = driver.as_object_mut() {
        driver.remove("allocatable");
    }
    driver
}
