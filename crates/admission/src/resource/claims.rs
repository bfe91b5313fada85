//! ResourceClaims and ResourceClaimTemplates (`pkg/apis/resource/validation`).

use super::configuration::{validate_configuration, validate_configurations, validate_selectors};
use super::device_names::{RequestNames, validate_fully_qualified_name};
use super::devices::validate_toleration;
use super::lists::{validate_set, validate_slice};
use crate::core::validation::claims::validate_template_object_meta;
use crate::core::validation::metadata;
use crate::field::{At, Causes, Shown};
use crate::primitives::equality::semantically_equal;
use crate::primitives::names;
use crate::schema::go_json;

/// Maximum numbers of requests, of their alternatives, and of constraints (`DeviceRequestsMaxSize`,
/// `FirstAvailableDeviceRequestMaxSize`, `DeviceConstraintsMaxSize`).
const REQUESTS_MAX: usize = 32;
const ALTERNATIVES_MAX: usize = 8;
const CONSTRAINTS_MAX: usize = 32;

/// `ValidateResourceClaim`
pub(super) fn validate_resource_claim(claim: &At<'_>, causes: &mut Causes) {
    metadata::validate_object_meta(&claim.at("metadata"), true, names::dns_subdomain, causes);
    validate_devices(&claim.at("spec.devices"), causes);
}

/// `ValidateResourceClaimUpdate`: the spec does not change.
pub(super) fn validate_resource_claim_update(claim: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    let meta = claim.at("metadata");
    metadata::validate_object_meta(&meta, true, names::dns_subdomain, causes);
    metadata::validate_object_meta_update(&meta, &before.at("metadata"), causes);
    validate_immutable_spec(claim, before, "ResourceClaimSpec", causes);
}

/// `ValidateResourceClaimTemplate`
pub(super) fn validate_resource_claim_template(template: &At<'_>, causes: &mut Causes) {
    metadata::validate_object_meta(&template.at("metadata"), true, names::dns_subdomain, causes);
    validate_template_object_meta(&template.at("spec.metadata"), causes);
    validate_devices(&template.at("spec.spec.devices"), causes);
}

/// What `Strategy.ValidateUpdate` does: the spec does not change.
pub(super) fn validate_resource_claim_template_update(
    template: &At<'_>,
    before: &At<'_>,
    causes: &mut Causes,
) {
    validate_resource_claim_template(template, causes);
    metadata::validate_object_meta_update(&template.at("metadata"), &before.at("metadata"), causes);
    validate_immutable_spec(template, before, "ResourceClaimTemplateSpec", causes);
}

fn validate_immutable_spec(object: &At<'_>, before: &At<'_>, type_name: &str, causes: &mut Causes) {
    let spec = object.at("spec");
    if !semantically_equal(spec.value(), before.at("spec").value()) {
        causes.invalid(&spec, go_json(type_name, spec.value()), "field is immutable");
    }
}

/// `validateDeviceClaim`
fn validate_devices(devices: &At<'_>, causes: &mut Causes) {
    let requests = devices.at("requests");
    let request_names = RequestNames::of(&requests);
    validate_set(&requests, REQUESTS_MAX, validate_request, |request| request.at("name").text(), causes);
    let validate = |constraint: &At<'_>, causes: &mut Causes| {
        validate_references(&constraint.at("requests"), &request_names, causes);
        validate_constraint(constraint, causes);
    };
    validate_slice(&devices.at("constraints"), CONSTRAINTS_MAX, validate, causes);
    let validate = |configuration: &At<'_>, causes: &mut Causes| {
        validate_references(&configuration.at("requests"), &request_names, causes);
        validate_configuration(configuration, causes);
    };
    validate_configurations(&devices.at("config"), validate, causes);
}

fn validate_references(references: &At<'_>, request_names: &RequestNames<'_>, causes: &mut Causes) {
    let validate =
        |reference: &At<'_>, causes: &mut Causes| request_names.validate_reference(reference, causes);
    validate_set(references, REQUESTS_MAX, validate, At::text, causes);
}

/// `validateDeviceConstraint`, of the attribute.
fn validate_constraint(constraint: &At<'_>, causes: &mut Causes) {
    let attributes = ["matchAttribute", "distinctAttribute"].map(|name| constraint.at(name));
    match attributes.iter().find(|attribute| attribute.is_set()) {
        Some(attribute) => validate_fully_qualified_name(attribute, causes),
        None => {
            let why = "exactly one of \"matchAttribute\" or \"distinctAttribute\" is required, but multiple fields are set";
            causes.required(constraint, why);
        }
    }
}

/// `validateDeviceRequest`
fn validate_request(request: &At<'_>, causes: &mut Causes) {
    const ONE: &str = "exactly one of `exactly` or `firstAvailable` is required";
    names::check(&request.at("name"), names::dns_label, causes);
    let (exactly, alternatives) = (request.at("exactly"), request.at("firstAvailable"));
    match (exactly.is_set(), !alternatives.is_empty()) {
        (false, false) => causes.required(request, ONE),
        (true, true) => {
            causes.invalid(request, Shown::nil(), &format!("{ONE}, but multiple fields are set"));
        }
        (true, false) => validate_what(&exactly, causes),
        (false, true) => {
            let validate = |alternative: &At<'_>, causes: &mut Causes| {
                names::check(&alternative.at("name"), names::dns_label, causes);
                validate_what(alternative, causes);
            };
            validate_set(&alternatives, ALTERNATIVES_MAX, validate, |one| one.at("name").text(), causes);
        }
    }
}

/// `validateExactDeviceRequest`, `validateDeviceSubRequest`
fn validate_what(request: &At<'_>, causes: &mut Causes) {
    let class = request.at("deviceClassName");
    if class.is_empty() {
        causes.required(&class, "");
    } else {
        names::check(&class, names::dns_subdomain, causes);
    }
    validate_selectors(&request.at("selectors"), causes);
    validate_count(&request.at("allocationMode"), &request.at("count"), causes);
    for toleration in request.at("tolerations").items() {
        validate_toleration(&toleration, causes);
    }
}

/// `validateDeviceAllocationMode`
fn validate_count(mode: &At<'_>, count: &At<'_>, causes: &mut Causes) {
    match mode.text() {
        "All" if count.number() != 0 => {
            causes.invalid(count, count.number(), "must not be specified when allocationMode is 'All'");
        }
        "All" => {}
        "ExactCount" if count.number() <= 0 => {
            causes.invalid(count, count.number(), "must be greater than zero");
        }
        "ExactCount" => {}
        other => causes.not_supported(mode, other, &["All", "ExactCount"]),
    }
}
