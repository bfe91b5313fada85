//! PriorityLevelConfigurations (`pkg/apis/flowcontrol/validation`, `pkg/apis/flowcontrol/v1/defaults.go`).

use serde_json::{Value, json};

use crate::core::validation::metadata;
use crate::field::{At, Causes};
use crate::primitives::equality::semantically_equal;
use crate::primitives::{defaults, names};
use crate::schema::go_json;

/// Maximum number of queues (`priorityLevelConfigurationQueuingMaxQueues`).
const QUEUES_MAX: i64 = 10_000_000;

/// Maximum number of bits that a hand takes of a hash (`shufflesharding.MaxHashBits`).
const HASH_BITS_MAX: i64 = 60;

/// An annotation that only `v1beta3` has (`PriorityLevelPreserveZeroConcurrencySharesKey`).
const PRESERVE_ZERO: &str = "flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares";

/// `SetObjectDefaults_PriorityLevelConfiguration`
pub(super) fn set_defaults_priority_level_configuration(level: &mut Value) {
    for (part, shares) in [("limited", 30), ("exempt", 0)] {
        let Some(part) = level["spec"].get_mut(part).and_then(Value::as_object_mut) else { continue };
        for (field, value) in [("nominalConcurrencyShares", shares), ("lendablePercent", 0)] {
            let field = part.entry(field).or_insert(Value::Null);
            if field.is_null() {
                *field = value.into();
            }
        }
    }
    let queuing = level.pointer_mut("/spec/limited/limitResponse/queuing").and_then(Value::as_object_mut);
    if let Some(queuing) = queuing {
        defaults::set_if_zero(queuing, "handSize", 8);
        defaults::set_if_zero(queuing, "queues", 64);
        defaults::set_if_zero(queuing, "queueLengthLimit", 50);
    }
}

/// `ValidatePriorityLevelConfiguration`. The status is that of the object before, or empty.
pub(super) fn validate_priority_level_configuration(level: &At<'_>, causes: &mut Causes) {
    metadata::validate_object_meta(&level.at("metadata"), false, names::dns_subdomain, causes);
    let annotations = level.at("metadata.annotations");
    if annotations.value().get(PRESERVE_ZERO).is_some() {
        causes.forbidden(&annotations, &format!("annotation '{PRESERVE_ZERO}' is forbidden"));
    }
    let (name, spec) = (level.at("metadata.name").text(), level.at("spec"));
    validate_spec(name, &spec, causes);
    validate_if_mandatory(name, &spec, causes);
}

/// `ValidateIfMandatoryPriorityLevelConfigurationObject`, of those that every cluster has
/// (`MandatoryPriorityLevelConfigurations` of `pkg/apis/flowcontrol/bootstrap`).
fn validate_if_mandatory(name: &str, spec: &At<'_>, causes: &mut Causes) {
    let (mandatory, except) = match name {
        "exempt" => (json!({ "type": "Exempt" }), " except the 'spec.exempt' field"),
        "catch-all" => {
            let response = json!({ "type": "Reject" });
            let limited =
                json!({ "nominalConcurrencyShares": 5, "lendablePercent": 0, "limitResponse": response });
            (json!({ "type": "Limited", "limited": limited }), "")
        }
        _ => return,
    };
    let mut has = spec.value().clone();
    if let Some(has) = has.as_object_mut().filter(|_| name == "exempt") {
        has.remove("exempt");
    }
    if !semantically_equal(&has, &mandatory) {
        let shown = go_json("PriorityLevelConfigurationSpec", spec.value());
        causes.invalid(spec, shown, &format!("spec of '{name}'{except} must equal the fixed value"));
    }
}

/// `ValidatePriorityLevelConfigurationSpec`
fn validate_spec(name: &str, spec: &At<'_>, causes: &mut Causes) {
    let (kind, limited, exempt) = (spec.at("type"), spec.at("limited"), spec.at("exempt"));
    if (name == "exempt") != (kind.text() == "Exempt") {
        causes.invalid(&kind, kind.text(), "must be 'Exempt' if and only if `name` is 'exempt'");
    }
    match kind.text() {
        "Exempt" => {
            if limited.is_set() {
                causes.forbidden(&limited, "must be nil if the type is not Limited");
            }
            validate_shares(&exempt.at("nominalConcurrencyShares"), causes);
            validate_lendable_percent(&exempt.at("lendablePercent"), causes);
        }
        "Limited" => {
            if exempt.is_set() {
                causes.forbidden(&exempt, "must be nil if the type is Limited");
            }
            if limited.is_set() {
                validate_limited(&limited, causes);
            } else {
                causes.required(&limited, "must not be empty when type is Limited");
            }
        }
        "" => causes.required(&kind, ""),
        other => causes.not_supported(&kind, other, &["Exempt", "Limited"]),
    }
}

fn validate_shares(shares: &At<'_>, causes: &mut Causes) {
    if shares.number() < 0 {
        causes.invalid(shares, shares.number(), "must be a non-negative integer");
    }
}

fn validate_lendable_percent(percent: &At<'_>, causes: &mut Causes) {
    if !(0..=100).contains(&percent.number()) {
        causes.invalid(percent, percent.number(), "must be between 0 and 100, inclusive");
    }
}

/// `ValidateLimitedPriorityLevelConfiguration`
fn validate_limited(limited: &At<'_>, causes: &mut Causes) {
    validate_shares(&limited.at("nominalConcurrencyShares"), causes);
    validate_limit_response(&limited.at("limitResponse"), causes);
    validate_lendable_percent(&limited.at("lendablePercent"), causes);
    let borrowed = limited.at("borrowingLimitPercent");
    if borrowed.number() < 0 {
        causes.invalid(&borrowed, borrowed.number(), "if specified, must be a non-negative integer");
    }
}

/// `ValidateLimitResponse`
fn validate_limit_response(response: &At<'_>, causes: &mut Causes) {
    let (kind, queuing) = (response.at("type"), response.at("queuing"));
    match kind.text() {
        "Reject" if queuing.is_set() => {
            causes.forbidden(&queuing, "must be nil if limited.limitResponse.type is not Limited");
        }
        "Reject" => {}
        "Queue" if queuing.is_set() => validate_queuing(&queuing, causes),
        "Queue" => {
            causes.required(&queuing, "must not be empty if limited.limitResponse.type is Limited");
        }
        "" => causes.required(&kind, ""),
        other => causes.not_supported(&kind, other, &["Queue", "Reject"]),
    }
}

/// `ValidatePriorityLevelQueuingConfiguration`
fn validate_queuing(queuing: &At<'_>, causes: &mut Causes) {
    const POSITIVE: &str = "must be positive";
    let (limit, queues, hand) =
        (queuing.at("queueLengthLimit"), queuing.at("queues"), queuing.at("handSize"));
    let (deck_size, hand_size) = (queues.number(), hand.number());
    if limit.number() <= 0 {
        causes.invalid(&limit, limit.number(), POSITIVE);
    }
    if deck_size <= 0 {
        causes.invalid(&queues, deck_size, POSITIVE);
    } else if deck_size > QUEUES_MAX {
        causes.invalid(&queues, deck_size, &format!("must not be greater than {QUEUES_MAX}"));
    }
    if hand_size <= 0 {
        causes.invalid(&hand, hand_size, POSITIVE);
    } else if hand_size > deck_size {
        causes.invalid(&hand, hand_size, &format!("should not be greater than queues ({deck_size})"));
    } else if required_entropy_bits(deck_size, hand_size) > HASH_BITS_MAX {
        let why = format!(
            "required entropy bits of deckSize {deck_size} and handSize {hand_size} should not be greater than {HASH_BITS_MAX}"
        );
        causes.invalid(&hand, hand_size, &why);
    }
}

/// `shufflesharding.RequiredEntropyBits`
fn required_entropy_bits(deck_size: i64, hand_size: i64) -> i64 {
    ((deck_size as f64).log2() * hand_size as f64).ceil() as i64
}
