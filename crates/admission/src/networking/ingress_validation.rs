//! Ingresses and IngressClasses: `pkg/apis/networking/validation`.

use serde_json::Value;

use crate::field::{At, Causes, Shown};
use crate::primitives::{addresses, metadata, names};

const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";
const PATH_TYPES: &[&str] = &["Exact", "ImplementationSpecific", "Prefix"];
const INVALID_PATH_SEQUENCES: [&str; 5] = ["//", "/./", "/../", "%2f", "%2F"];
const INVALID_PATH_SUFFIXES: [&str; 2] = ["/..", "/."];
const SCOPES: &[&str] = &["Cluster", "Namespace"];
const CONTROLLER_MAX: usize = 250;

/// `ValidateIngressCreate`
pub(super) fn validate_ingress_create(ingress: &At<'_>, causes: &mut Causes) {
    validate_ingress(ingress, None, causes);
    let annotation = ingress.at("metadata.annotations").key(CLASS_ANNOTATION);
    let class = ingress.at("spec.ingressClassName");
    if annotation.is_set() && class.is_set() && annotation.text() != class.text() {
        // `field.NewPath("annotations").Child(annotationIngressClass)`
        let field = ingress.at("annotations").at(CLASS_ANNOTATION);
        causes.invalid(&field, annotation.text(), "must match `ingressClassName` when both are specified");
    }
}

/// `ValidateIngressUpdate`
pub(super) fn validate_ingress_update(ingress: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    metadata::validate_object_meta_update(&ingress.at("metadata"), &before.at("metadata"), causes);
    validate_ingress(ingress, Some(before), causes);
}

/// `validateIngress` and `ValidateIngressSpec`. What was wrong `before` in a way that was taken once may stay so.
fn validate_ingress(ingress: &At<'_>, before: Option<&At<'_>>, causes: &mut Causes) {
    metadata::validate_object_meta(&ingress.at("metadata"), true, names::dns_subdomain, causes);
    let spec = ingress.at("spec");
    let (rules, backend, class) = (spec.at("rules"), spec.at("defaultBackend"), spec.at("ingressClassName"));
    if rules.is_empty() && !backend.is_set() {
        causes.invalid(
            &spec,
            Shown::from(rules.value()),
            "either `defaultBackend` or `rules` must be specified",
        );
    }
    if backend.is_set() {
        validate_ingress_backend(&backend, causes);
    }
    let skip_wildcards = before.is_some_and(allow_invalid_wildcard_host_rule);
    for rule in rules.items() {
        validate_ingress_rule(&rule, skip_wildcards, causes);
    }
    let skip_secrets = before.is_some_and(allow_invalid_secret_name);
    for tls in spec.at("tls").items() {
        validate_ingress_tls(&tls, skip_secrets, causes);
    }
    if let Some(name) = class.text_if_set() {
        for fault in names::dns_subdomain(name) {
            causes.invalid(&class, name, &fault);
        }
    }
}

fn host_faults(host: &str) -> names::Faults {
    if host.contains('*') { names::wildcard_subdomain(host) } else { names::dns_subdomain(host) }
}

/// `validateTLSSecretName`
fn secret_faults(name: &str) -> names::Faults {
    if name.is_empty() { names::Faults::new() } else { names::dns_subdomain(name) }
}

/// `validateIngressTLS`
fn validate_ingress_tls(tls: &At<'_>, skip_secret: bool, causes: &mut Causes) {
    for host in tls.at("hosts").items() {
        for fault in host_faults(host.text()) {
            causes.invalid(&host, host.text(), &fault);
        }
    }
    let secret = tls.at("secretName");
    for fault in secret_faults(secret.text()).into_iter().filter(|_| !skip_secret) {
        causes.invalid(&secret, secret.text(), &fault);
    }
}

/// `allowInvalidSecretName`
fn allow_invalid_secret_name(before: &At<'_>) -> bool {
    before.at("spec.tls").items().any(|tls| !secret_faults(tls.at("secretName").text()).is_empty())
}

/// `allowInvalidWildcardHostRule`
fn allow_invalid_wildcard_host_rule(before: &At<'_>) -> bool {
    before.at("spec.rules").items().filter(|rule| rule.at("host").text().contains('*')).any(|rule| {
        let mut causes = Causes::default();
        validate_ingress_rule_value(&rule, &mut causes);
        !causes.is_empty()
    })
}

/// `validateIngressRules`, of one.
fn validate_ingress_rule(rule: &At<'_>, skip_wildcards: bool, causes: &mut Causes) {
    let host = rule.at("host");
    if !host.is_empty() {
        if addresses::parse_sloppy(host.text()).is_some() {
            causes.invalid(&host, host.text(), "must be a DNS name, not an IP address");
        }
        for fault in host_faults(host.text()) {
            causes.invalid(&host, host.text(), &fault);
        }
    }
    if !(skip_wildcards && host.text().contains('*')) {
        validate_ingress_rule_value(rule, causes);
    }
}

/// `validateHTTPIngressRuleValue`
fn validate_ingress_rule_value(rule: &At<'_>, causes: &mut Causes) {
    let http = rule.at("http");
    if !http.is_set() {
        return;
    }
    let paths = http.at("paths");
    if paths.is_empty() {
        causes.required(&paths, "");
    }
    for path in paths.items() {
        validate_http_ingress_path(&path, causes);
    }
}

/// `validateHTTPIngressPath`
fn validate_http_ingress_path(rule: &At<'_>, causes: &mut Causes) {
    let (kind, path) = (rule.at("pathType"), rule.at("path"));
    let text = path.text();
    if !kind.is_set() {
        return causes.required(&kind, "pathType must be specified");
    }
    let is_absolute = text.starts_with('/');
    match kind.text() {
        "Exact" | "Prefix" => {
            if !is_absolute {
                causes.invalid(&path, text, "must be an absolute path");
            }
            for sequence in INVALID_PATH_SEQUENCES.into_iter().filter(|sequence| text.contains(sequence)) {
                causes.invalid(&path, text, &format!("must not contain '{sequence}'"));
            }
            for suffix in INVALID_PATH_SUFFIXES.into_iter().filter(|suffix| text.ends_with(suffix)) {
                causes.invalid(&path, text, &format!("cannot end with '{suffix}'"));
            }
        }
        "ImplementationSpecific" if !text.is_empty() && !is_absolute => {
            causes.invalid(&path, text, "must be an absolute path");
        }
        "ImplementationSpecific" => {}
        other => causes.not_supported(&kind, other, PATH_TYPES),
    }
    validate_ingress_backend(&rule.at("backend"), causes);
}

/// `validateIngressBackend`
fn validate_ingress_backend(backend: &At<'_>, causes: &mut Causes) {
    let (resource, service) = (backend.at("resource"), backend.at("service"));
    match (resource.is_set(), service.is_set()) {
        (true, true) => causes.invalid(backend, "", "cannot set both resource and service backends"),
        (true, false) => validate_typed_reference(&resource, causes),
        (false, true) => {
            let name = service.at("name");
            if name.is_empty() {
                causes.required(&name, "");
            } else {
                for fault in names::dns_label(name.text()) {
                    causes.invalid(&name, name.text(), &fault);
                }
            }
            let (port, number) = (service.at("port.name"), service.at("port.number"));
            match (!port.is_empty(), number.number() != 0) {
                (true, true) => causes.invalid(backend, "", "cannot set both port name & port number"),
                (true, false) => {
                    for fault in names::port_name(port.text()) {
                        causes.invalid(&port, port.text(), &fault);
                    }
                }
                (false, true) => {
                    for fault in names::port_number(number.number()) {
                        causes.invalid(&number, number.number(), &fault);
                    }
                }
                (false, false) => causes.required(backend, "port name or number is required"),
            }
        }
        (false, false) => causes.invalid(backend, "", "resource or service backend is required"),
    }
}

/// `validateIngressTypedLocalObjectReference`
fn validate_typed_reference(reference: &At<'_>, causes: &mut Causes) {
    let group = reference.at("apiGroup");
    if let Some(text) = group.text_if_set() {
        for fault in names::dns_subdomain(text) {
            causes.invalid(&group, text, &fault);
        }
    }
    for field in ["kind", "name"].map(|name| reference.at(name)) {
        if field.is_empty() {
            causes.required(&field, "");
        }
        for fault in names::path_segment(field.text()) {
            causes.invalid(&field, field.text(), &fault);
        }
    }
}

/// `ValidateIngressClass`
pub(super) fn validate_ingress_class(class: &At<'_>, causes: &mut Causes) {
    metadata::validate_object_meta(&class.at("metadata"), false, names::dns_subdomain, causes);
    let controller = class.at("spec.controller");
    if controller.text().len() > CONTROLLER_MAX {
        causes.too_long(&controller, CONTROLLER_MAX);
    }
    validate_domain_prefixed_path(&controller, causes);
    validate_parameters(&class.at("spec.parameters"), causes);
}

/// `ValidateIngressClassUpdate`
pub(super) fn validate_ingress_class_update(class: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    metadata::validate_object_meta_update(&class.at("metadata"), &before.at("metadata"), causes);
    metadata::validate_immutable(&class.at("spec.controller"), &before.at("spec.controller"), causes);
    validate_ingress_class(class, causes);
}

/// `IsDomainPrefixedPath`
fn validate_domain_prefixed_path(field: &At<'_>, causes: &mut Causes) {
    if field.is_empty() {
        return causes.required(field, "");
    }
    let parts = field.text().split_once('/').filter(|(host, path)| !host.is_empty() && !path.is_empty());
    let Some((host, path)) = parts else {
        let why = "must be a domain-prefixed path (such as \"acme.io/foo\")";
        return causes.invalid(field, field.text(), why);
    };
    for fault in names::dns_subdomain(host) {
        causes.invalid(field, host, &fault);
    }
    if !path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&b)) {
        let why = names::regex_error("Invalid path", "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+", &[]);
        causes.invalid(field, path, &why);
    }
}

/// `validateIngressClassParametersReference`
fn validate_parameters(parameters: &At<'_>, causes: &mut Causes) {
    if !parameters.is_set() {
        return;
    }
    validate_typed_reference(parameters, causes);
    let (scope, namespace) = (parameters.at("scope"), parameters.at("namespace"));
    match scope.value() {
        Value::Null => causes.required(&scope, ""),
        Value::String(text) if text == "Namespace" => match namespace.text_if_set() {
            None => causes.required(&namespace, "`parameters.scope` is set to 'Namespace'"),
            Some(name) => {
                for fault in names::dns_label(name) {
                    causes.invalid(&namespace, name, &fault);
                }
            }
        },
        Value::String(text) if text == "Cluster" => {
            if namespace.is_set() {
                causes.forbidden(&namespace, "`parameters.scope` is set to 'Cluster'");
            }
        }
        _ => causes.not_supported(&scope, scope.text(), SCOPES),
    }
}
