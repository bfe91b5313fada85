//! IngressClasses (`pkg/apis/networking/validation`, `pkg/apis/networking/v1/defaults.go`).

use serde_json::Value;

use super::GROUP;
use super::ingresses::validate_ingress_typed_local_object_reference;
use crate::core::validation::metadata as core_metadata;
use crate::field::{At, Causes};
use crate::primitives::{domains, metadata, names};
use crate::strategy::Strategy;

pub(super) const INGRESS_CLASS: Strategy = Strategy {
    default: set_defaults_ingress_class,
    validate: validate_ingress_class,
    validate_update: |class, before, causes| {
        core_metadata::validate_object_meta_update(&class.at("metadata"), &before.at("metadata"), causes);
        let controller = class.at("spec.controller");
        metadata::validate_immutable(&controller, &before.at("spec.controller"), causes);
        validate_ingress_class(class, causes);
    },
    ..Strategy::of(GROUP, "IngressClass", false)
};

/// Maximum length of a controller's name, in bytes (`maxLenIngressClassController`).
const CONTROLLER: usize = 250;

fn set_defaults_ingress_class(class: &mut Value) {
    if let Some(parameters) = class.pointer_mut("/spec/parameters").and_then(Value::as_object_mut) {
        parameters.entry("scope").or_insert_with(|| "Cluster".into());
    }
}

fn validate_ingress_class(class: &At<'_>, causes: &mut Causes) {
    core_metadata::validate_object_meta(&class.at("metadata"), false, names::dns_subdomain, causes);
    let controller = class.at("spec.controller");
    if controller.text().len() > CONTROLLER {
        causes.too_long(&controller, CONTROLLER);
    }
    domains::validate_domain_prefixed_path(&controller, causes);
    let parameters = class.at("spec.parameters");
    if !parameters.is_set() {
        return;
    }
    validate_ingress_typed_local_object_reference(&parameters, causes);
    let (scope, namespace) = (parameters.at("scope"), parameters.at("namespace"));
    match scope.text_if_set() {
        None => causes.required(&scope, ""),
        Some("Namespace") if namespace.is_set() => names::check(&namespace, names::dns_label, causes),
        Some("Namespace") => causes.required(&namespace, "`parameters.scope` is set to 'Namespace'"),
        Some("Cluster") if namespace.is_set() => {
            causes.forbidden(&namespace, "`parameters.scope` is set to 'Cluster'");
        }
        Some("Cluster") => {}
        Some(other) => causes.not_supported(&scope, other, &["Cluster", "Namespace"]),
    }
}
