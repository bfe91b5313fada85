//! Ingresses (`pkg/apis/networking/validation`).

use serde_json::{Value, json};

use super::GROUP;
use crate::core::statuses;
use crate::core::validation::metadata;
use crate::field::{At, Causes, Shown};
use crate::primitives::addresses::parse_ip_sloppy;
use crate::primitives::names;
use crate::primitives::updates::keep_status;
use crate::strategy::Strategy;

pub(super) const INGRESS: Strategy = Strategy {
    prepare_for_create: |ingress| ingress["status"] = json!({ "loadBalancer": {} }),
    prepare_for_update: keep_status,
    validate: |ingress, causes| {
        validate_ingress(ingress, Allowed::default(), causes);
        validate_class_annotation(ingress, causes);
    },
    validate_update: |ingress, before, causes| {
        metadata::validate_object_meta_update(&ingress.at("metadata"), &before.at("metadata"), causes);
        validate_ingress(ingress, Allowed::by(before), causes);
    },
    validate_status_update: |ingress, before, causes| {
        metadata::validate_object_meta_update(&ingress.at("metadata"), &before.at("metadata"), causes);
        let known = before.at("status.loadBalancer.ingress");
        for point in ingress.at("status.loadBalancer.ingress").items() {
            statuses::validate_ingress_ip(&point, &known, causes);
            statuses::validate_ingress_hostname(&point, causes);
        }
    },
    warnings,
    ..Strategy::of(GROUP, "Ingress", true)
};

/// The annotation that `ingressClassName` took the place of.
const CLASS: &str = "kubernetes.io/ingress.class";

/// What an existing Ingress may keep (`IngressValidationOptions`).
#[derive(Clone, Copy, Default)]
struct Allowed {
    secret_names: bool,
    wildcard_rules: bool,
}

impl Allowed {
    fn by(before: &At<'_>) -> Self {
        let is_wrong_secret = |tls: At<'_>| {
            let name = tls.at("secretName");
            !name.is_empty() && !names::dns_subdomain(name.text()).is_empty()
        };
        let is_wrong_rule = |rule: At<'_>| {
            let mut causes = Causes::default();
            validate_ingress_rule_value(&rule, &mut causes);
            rule.at("host").text().contains('*') && !causes.is_empty()
        };
        Allowed {
            secret_names: before.at("spec.tls").items().any(is_wrong_secret),
            wildcard_rules: before.at("spec.rules").items().any(is_wrong_rule),
        }
    }
}

fn validate_ingress(ingress: &At<'_>, allowed: Allowed, causes: &mut Causes) {
    metadata::validate_object_meta(&ingress.at("metadata"), true, names::dns_subdomain, causes);
    let spec = ingress.at("spec");
    let (backend, rules) = (spec.at("defaultBackend"), spec.at("rules"));
    if rules.is_empty() && !backend.is_set() {
        let shown = if rules.is_set() { Shown::from(rules.value()) } else { Shown::nil() };
        causes.invalid(&spec, shown, "either `defaultBackend` or `rules` must be specified");
    }
    if backend.is_set() {
        validate_ingress_backend(&backend, causes);
    }
    for rule in rules.items() {
        validate_ingress_rule(&rule, allowed, causes);
    }
    for tls in spec.at("tls").items() {
        validate_ingress_tls(&tls, allowed, causes);
    }
    let class = spec.at("ingressClassName");
    if class.is_set() {
        names::check(&class, names::dns_subdomain, causes);
    }
}

/// `ValidateIngressCreate`: field and annotation must have the same class.
fn validate_class_annotation(ingress: &At<'_>, causes: &mut Causes) {
    let annotation = ingress.at("metadata.annotations").key(CLASS);
    let class = ingress.at("spec.ingressClassName");
    if annotation.is_set() && class.is_set() && annotation.text() != class.text() {
        let null = Value::Null;
        let field = At::root(&null).at("annotations").field(CLASS);
        causes.invalid(&field, annotation.text(), "must match `ingressClassName` when both are specified");
    }
}

fn validate_ingress_tls(tls: &At<'_>, allowed: Allowed, causes: &mut Causes) {
    for host in tls.at("hosts").items() {
        names::check(&host, host_form(host.text()), causes);
    }
    let secret = tls.at("secretName");
    if !allowed.secret_names && !secret.is_empty() {
        names::check(&secret, names::dns_subdomain, causes);
    }
}

fn host_form(host: &str) -> fn(&str) -> names::Faults {
    if host.contains('*') { names::wildcard_subdomain } else { names::dns_subdomain }
}

fn validate_ingress_rule(rule: &At<'_>, allowed: Allowed, causes: &mut Causes) {
    let host = rule.at("host");
    if !host.is_empty() {
        if parse_ip_sloppy(host.text()).is_some() {
            causes.invalid(&host, host.text(), "must be a DNS name, not an IP address");
        }
        names::check(&host, host_form(host.text()), causes);
    }
    if !host.text().contains('*') || !allowed.wildcard_rules {
        validate_ingress_rule_value(rule, causes);
    }
}

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

fn validate_http_ingress_path(rule: &At<'_>, causes: &mut Causes) {
    const SEQUENCES: [&str; 5] = ["//", "/./", "/../", "%2f", "%2F"];
    let (path, of) = (rule.at("path"), rule.at("pathType"));
    let text = path.text();
    let Some(name) = of.text_if_set() else {
        causes.required(&of, "pathType must be specified");
        return;
    };
    match name {
        "Exact" | "Prefix" => {
            if !text.starts_with('/') {
                causes.invalid(&path, text, "must be an absolute path");
            }
            for sequence in SEQUENCES.into_iter().filter(|sequence| text.contains(sequence)) {
                causes.invalid(&path, text, &format!("must not contain '{sequence}'"));
            }
            for end in ["/..", "/."].into_iter().filter(|end| text.ends_with(end)) {
                causes.invalid(&path, text, &format!("cannot end with '{end}'"));
            }
        }
        "ImplementationSpecific" => {
            if !text.is_empty() && !text.starts_with('/') {
                causes.invalid(&path, text, "must be an absolute path");
            }
        }
        other => causes.not_supported(&of, other, &["Exact", "ImplementationSpecific", "Prefix"]),
    }
    validate_ingress_backend(&rule.at("backend"), causes);
}

fn validate_ingress_backend(backend: &At<'_>, causes: &mut Causes) {
    let (resource, service) = (backend.at("resource"), backend.at("service"));
    match (resource.is_set(), service.is_set()) {
        (true, true) => causes.invalid(backend, "", "cannot set both resource and service backends"),
        (true, false) => validate_ingress_typed_local_object_reference(&resource, causes),
        (false, true) => {
            let name = service.at("name");
            if name.is_empty() {
                causes.required(&name, "");
            } else {
                names::check(&name, names::dns_label, causes);
            }
            let (name, number) = (service.at("port.name"), service.at("port.number"));
            match (!name.is_empty(), number.number() != 0) {
                (true, true) => causes.invalid(backend, "", "cannot set both port name & port number"),
                (true, false) => names::check(&name, names::port_name, causes),
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

/// Group, kind and name of a reference.
pub(super) fn validate_ingress_typed_local_object_reference(reference: &At<'_>, causes: &mut Causes) {
    let group = reference.at("apiGroup");
    if group.is_set() {
        names::check(&group, names::dns_subdomain, causes);
    }
    for field in ["kind", "name"] {
        let value = reference.at(field);
        if value.is_empty() {
            causes.required(&value, "");
        } else {
            names::check(&value, names::path_segment, causes);
        }
    }
}

fn warnings(ingress: &Value, before: Option<&Value>) -> Vec<String> {
    let ingress = At::root(ingress);
    let is_old = ingress.at("metadata.annotations").key(CLASS).is_set();
    if before.is_none() && is_old && !ingress.at("spec.ingressClassName").is_set() {
        let text = format!("annotation {CLASS:?} is deprecated, please use 'spec.ingressClassName' instead");
        return vec![text];
    }
    Vec::new()
}
