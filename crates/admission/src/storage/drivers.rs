//! CSIDrivers (`pkg/apis/storage/validation`, `pkg/apis/storage/v1/defaults.go`, `pkg/registry/storage/csidriver/strategy.go`).
//! The gate VolumeLimitScaling is off.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::GROUP;
use crate::core::validation::metadata;
use crate::field::{At, Causes};
use crate::primitives::equality::semantically_equal;
use crate::primitives::metadata::validate_immutable;
use crate::primitives::updates;
use crate::primitives::{defaults, names};
use crate::strategy::Strategy;

pub(super) const CSI_DRIVER: Strategy = Strategy {
    unconditional_update: false,
    default: set_defaults_csi_driver,
    prepare_for_create: drop_disabled_fields,
    prepare_for_update: |driver, before| {
        drop_disabled_fields(driver);
        updates::count_generation(driver, before);
    },
    validate: |driver, causes| {
        metadata::validate_object_meta(&driver.at("metadata"), false, names::dns_subdomain, causes);
        validate_csi_driver_spec(&driver.at("spec"), causes);
    },
    validate_update: validate_csi_driver_update,
    warnings: warnings_for_csi_driver,
    ..Strategy::of(GROUP, "CSIDriver", false)
};

/// Bounds of the validity of a token, in seconds (`validateTokenRequests`).
const TOKEN_MIN: i64 = 10 * 60;
const TOKEN_MAX: i64 = 1 << 32;

/// Minimum period of updates of what can be allocated, in seconds.
const UPDATE_PERIOD_MIN: i64 = 10;

fn set_defaults_csi_driver(driver: &mut Value) {
    let Some(spec) = defaults::object(driver, "spec") else { return };
    let values = [
        ("attachRequired", json!(true)),
        ("podInfoOnMount", json!(false)),
        ("storageCapacity", json!(false)),
        ("fsGroupPolicy", json!("ReadWriteOnceWithFSType")),
        ("requiresRepublish", json!(false)),
        ("seLinuxMount", json!(false)),
    ];
    for (field, value) in values {
        spec.entry(field).or_insert(value);
    }
    if spec.get("volumeLifecycleModes").and_then(Value::as_array).is_none_or(Vec::is_empty) {
        spec.insert("volumeLifecycleModes".into(), json!(["Persistent"]));
    }
}

fn drop_disabled_fields(driver: &mut Value) {
    if let Some(spec) = driver["spec"].as_object_mut() {
        spec.remove("preventPodSchedulingIfMissing");
    }
}

/// `validateCSIDriverSpec`
fn validate_csi_driver_spec(spec: &At<'_>, causes: &mut Causes) {
    const POLICIES: &[&str] = &["File", "None", "ReadWriteOnceWithFSType"];
    for field in [attached_required(spec), spec.at("podInfoOnMount"), spec.at("storageCapacity")] {
        if !field.is_set() {
            causes.required(&field, "");
        }
    }
    let policy = spec.at("fsGroupPolicy");
    if policy.text_if_set().is_some_and(|policy| !POLICIES.contains(&policy)) {
        causes.not_supported(&policy, policy.text(), POLICIES);
    }
    validate_token_requests(&spec.at("tokenRequests"), causes);
    let modes = spec.at("volumeLifecycleModes");
    for mode in modes.items().filter(|mode| !matches!(mode.text(), "Persistent" | "Ephemeral")) {
        causes.not_supported(&modes, mode.text(), &["Persistent", "Ephemeral"]);
    }
    if !spec.at("seLinuxMount").is_set() {
        causes.required(&spec.at("seLinuxMount"), "");
    }
    let period = spec.at("nodeAllocatableUpdatePeriodSeconds");
    if period.number_if_set().is_some_and(|period| period < UPDATE_PERIOD_MIN) {
        causes.invalid(&period, period.number(), "must be greater than or equal to 10 seconds");
    }
    let in_secrets = spec.at("serviceAccountTokenInSecrets");
    if in_secrets.is_set() && spec.at("tokenRequests").is_empty() {
        let why = "serviceAccountTokenInSecrets is set but no tokenRequests are specified";
        causes.invalid(&in_secrets, in_secrets.value(), why);
    }
}

/// `attachRequired`, which has another name in causes.
fn attached_required<'o>(spec: &At<'o>) -> At<'o> {
    spec.at("attachedRequired").with(spec.at("attachRequired").value())
}

fn validate_token_requests(requests: &At<'_>, causes: &mut Causes) {
    let mut audiences = BTreeSet::new();
    for request in requests.items() {
        let (audience, expiration) = (request.at("audience"), request.at("expirationSeconds"));
        if !audiences.insert(audience.text()) {
            causes.duplicate(&audience, audience.text());
            continue;
        }
        match expiration.number_if_set() {
            Some(seconds) if seconds < TOKEN_MIN => {
                causes.invalid(&expiration, seconds, "may not specify a duration less than 10 minutes");
            }
            Some(seconds) if seconds > TOKEN_MAX => {
                causes.invalid(&expiration, seconds, "may not specify a duration larger than 2^32 seconds");
            }
            _ => {}
        }
    }
}

/// `ValidateCSIDriverUpdate`
fn validate_csi_driver_update(driver: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    metadata::validate_object_meta_update(&driver.at("metadata"), &before.at("metadata"), causes);
    let (spec, old) = (driver.at("spec"), before.at("spec"));
    validate_csi_driver_spec(&spec, causes);
    validate_immutable(&attached_required(&spec), &attached_required(&old), causes);
    validate_immutable(&spec.at("volumeLifecycleModes"), &old.at("volumeLifecycleModes"), causes);
}

/// `WarningsOnCreate`, `WarningsOnUpdate`
fn warnings_for_csi_driver(driver: &Value, before: Option<&Value>) -> Vec<String> {
    const WARNING: &str = "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent possible logging of tokens in volume attributes";
    let requests = |driver: &Value| driver["spec"]["tokenRequests"].clone();
    let is_changed = before.is_none_or(|before| !semantically_equal(&requests(driver), &requests(before)));
    let has_requests = requests(driver).as_array().is_some_and(|requests| !requests.is_empty());
    if is_changed && has_requests && driver["spec"]["serviceAccountTokenInSecrets"].is_null() {
        return vec![WARNING.into()];
    }
    Vec::new()
}
