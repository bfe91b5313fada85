//! Selectors and configuration of devices, and the DeviceClasses that have them (`pkg/apis/resource/validation`).

use super::lists::validate_slice;
use crate::core::validation::metadata;
use crate::core::validation::resources::is_extended;
use crate::core::validation::volume_sources::validate_csi_driver_name;
use crate::field::{At, Causes};
use crate::primitives::names;

/// Maximum numbers of selectors and configurations (`DeviceSelectorsMaxSize`, `DeviceConfigMaxSize`).
const SELECTORS_MAX: usize = 32;
const CONFIGURATIONS_MAX: usize = 32;

/// Maximum length of an expression, and of the parameters of a driver, in bytes (`CELSelectorExpressionMaxLength`,
/// `OpaqueParametersMaxLength`).
const EXPRESSION_MAX: usize = 10 << 10;
const PARAMETERS_MAX: usize = 10 << 10;

/// `ValidateDeviceClass`
pub(super) fn validate_device_class(class: &At<'_>, causes: &mut Causes) {
    metadata::validate_object_meta(&class.at("metadata"), false, names::long_name, causes);
    validate_spec(&class.at("spec"), causes);
}

/// `ValidateDeviceClassUpdate`
pub(super) fn validate_device_class_update(class: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    let meta = class.at("metadata");
    metadata::validate_object_meta(&meta, false, names::long_name, causes);
    metadata::validate_object_meta_update(&meta, &before.at("metadata"), causes);
    validate_spec(&class.at("spec"), causes);
}

/// `validateDeviceClassSpec`
fn validate_spec(spec: &At<'_>, causes: &mut Causes) {
    validate_selectors(&spec.at("selectors"), causes);
    validate_configurations(&spec.at("config"), validate_configuration, causes);
    let name = spec.at("extendedResourceName");
    if name.text_if_set().is_some_and(|name| !is_extended(name)) {
        causes.invalid(&name, name.text(), "must be a valid extended resource name");
    }
}

/// `validateSelectorSlice`
pub(super) fn validate_selectors(selectors: &At<'_>, causes: &mut Causes) {
    let validate = |selector: &At<'_>, causes: &mut Causes| {
        let (cel, expression) = (selector.at("cel"), selector.at("cel.expression"));
        if !cel.is_set() {
            causes.required(&cel, "");
        } else if expression.text().len() > EXPRESSION_MAX {
            causes.too_long(&expression, EXPRESSION_MAX);
        }
    };
    validate_slice(selectors, SELECTORS_MAX, validate, causes);
}

/// A list of configurations.
pub(super) fn validate_configurations(
    configurations: &At<'_>,
    validate: impl FnMut(&At<'_>, &mut Causes),
    causes: &mut Causes,
) {
    validate_slice(configurations, CONFIGURATIONS_MAX, validate, causes);
}

/// `validateDeviceConfiguration`
pub(super) fn validate_configuration(configuration: &At<'_>, causes: &mut Causes) {
    let opaque = configuration.at("opaque");
    if !opaque.is_set() {
        return causes.required(&opaque, "");
    }
    validate_csi_driver_name(&opaque.at("driver"), causes);
    validate_parameters(&opaque.at("parameters"), causes);
}

/// `validateRawExtension`
fn validate_parameters(parameters: &At<'_>, causes: &mut Causes) {
    if !parameters.is_set() {
        causes.required(parameters, "");
    } else if parameters.value().to_string().len() > PARAMETERS_MAX {
        causes.too_long(parameters, PARAMETERS_MAX);
    } else if !parameters.value().is_object() {
        causes.invalid(parameters, "<value omitted>", "must be a valid JSON object");
    }
}
