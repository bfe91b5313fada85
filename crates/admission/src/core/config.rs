//! ConfigMaps (`pkg/registry/core/configmap/strategy.go`, `ValidateConfigMap` of `pkg/apis/core/validation`).

use serde_json::Value;

use super::validation::metadata;
use crate::field::{At, Causes};
use crate::primitives::names;
use crate::strategy::Strategy;

pub(crate) const CONFIG_MAP: Strategy = Strategy {
    validate: validate_config_map,
    validate_update: validate_config_map_update,
    ..Strategy::of("", "ConfigMap", true)
};

/// Maximum size of what a ConfigMap or a Secret holds, in bytes (`MaxSecretSize`).
pub(crate) const CONTENT_MAX: usize = 1 << 20;

fn validate_config_map(map: &At<'_>, causes: &mut Causes) {
    metadata::validate_object_meta(&map.at("metadata"), true, names::dns_subdomain, causes);
    let mut size = 0;
    for field in ["data", "binaryData"] {
        for (key, value) in map.at(field).entries() {
            for fault in names::config_map_key(key) {
                causes.invalid(&map.at(field).key(key), key, &fault);
            }
            if field == "data" && map.at("binaryData").value().get(key).is_some() {
                causes.invalid(&map.at("data").key(key), key, "duplicate of key present in binaryData");
            }
            size += match field {
                "data" => value.text().len(),
                _ => value.text().trim_end_matches('=').len() * 3 / 4,
            };
        }
    }
    if size > CONTENT_MAX {
        // `field.NewPath("")`
        causes.too_long(&At::root(&Value::Null).at(""), CONTENT_MAX);
    }
}

fn validate_config_map_update(map: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    metadata::validate_object_meta_update(&map.at("metadata"), &before.at("metadata"), causes);
    if before.at("immutable").is_true() {
        if !map.at("immutable").is_true() {
            causes.forbidden(&map.at("immutable"), "field is immutable when `immutable` is set");
        }
        for name in ["data", "binaryData"] {
            if map.at(name).value() != before.at(name).value() {
                causes.forbidden(&map.at(name), "field is immutable when `immutable` is set");
            }
        }
    }
    validate_config_map(map, causes);
}
