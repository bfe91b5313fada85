//! FlowSchemas (`pkg/apis/flowcontrol/validation`).

use serde_json::{Value, json};

use crate::core::validation::metadata;
use crate::field::{At, Causes};
use crate::primitives::equality::semantically_equal;
use crate::primitives::names;
use crate::schema::go_json;

/// `supportedVerbs`, sorted.
const VERBS: &[&str] =
    &["create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"];

/// Maximum of the precedence (`FlowSchemaMaxMatchingPrecedence`).
const PRECEDENCE_MAX: i64 = 10_000;

/// `ValidateFlowSchema`. The status is that of the object before, or empty.
pub(super) fn validate_flow_schema(schema: &At<'_>, causes: &mut Causes) {
    metadata::validate_object_meta(&schema.at("metadata"), false, names::dns_subdomain, causes);
    let (name, spec) = (schema.at("metadata.name").text(), schema.at("spec"));
    validate_spec(name, &spec, causes);
    if mandatory_spec(name).is_some_and(|mandatory| !semantically_equal(spec.value(), &mandatory)) {
        let why = format!("spec of '{name}' must equal the fixed value");
        causes.invalid(&spec, go_json("FlowSchemaSpec", spec.value()), &why);
    }
}

/// The spec of a FlowSchema that every cluster has (`MandatoryFlowSchemas` of `pkg/apis/flowcontrol/bootstrap`).
fn mandatory_spec(name: &str) -> Option<Value> {
    let group = |name| json!({ "kind": "Group", "group": { "name": name } });
    let rules = |subjects: Value| {
        json!([{
            "subjects": subjects,
            "resourceRules": [{
                "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": true,
            }],
            "nonResourceRules": [{ "verbs": ["*"], "nonResourceURLs": ["*"] }],
        }])
    };
    match name {
        "exempt" => Some(json!({
            "priorityLevelConfiguration": { "name": "exempt" },
            "matchingPrecedence": 1,
            "rules": rules(json!([group("system:masters")])),
        })),
        "catch-all" => Some(json!({
            "priorityLevelConfiguration": { "name": "catch-all" },
            "matchingPrecedence": PRECEDENCE_MAX,
            "distinguisherMethod": { "type": "ByUser" },
            "rules": rules(json!([group("system:unauthenticated"), group("system:authenticated")])),
        })),
        _ => None,
    }
}

/// `ValidateFlowSchemaSpec`
fn validate_spec(name: &str, spec: &At<'_>, causes: &mut Causes) {
    const METHODS: &[&str] = &["ByNamespace", "ByUser"];
    let precedence = spec.at("matchingPrecedence");
    let number = precedence.number();
    if number <= 0 {
        causes.invalid(&precedence, number, "must be a positive value");
    }
    if number > PRECEDENCE_MAX {
        causes.invalid(&precedence, number, &format!("must not be greater than {PRECEDENCE_MAX}"));
    }
    if number == 1 && name != "exempt" {
        let why = "only the schema named 'exempt' may have matchingPrecedence 1";
        causes.invalid(&precedence, number, why);
    }
    let method = spec.at("distinguisherMethod");
    if method.is_set() && !METHODS.contains(&method.at("type").text()) {
        causes.not_supported(&method.at("type"), go_json("FlowDistinguisherMethod", method.value()), METHODS);
    }
    let level = spec.at("priorityLevelConfiguration.name");
    if level.is_empty() {
        causes.required(&level, "must reference a priority level");
    } else {
        names::check(&level, names::dns_subdomain, causes);
    }
    for rule in spec.at("rules").items() {
        validate_rule(&rule, causes);
    }
}

/// `ValidateFlowSchemaPolicyRulesWithSubjects`
fn validate_rule(rule: &At<'_>, causes: &mut Causes) {
    let subjects = rule.at("subjects");
    if subjects.is_empty() {
        causes.required(&subjects, "subjects must contain at least one value");
    }
    for subject in subjects.items() {
        validate_subject(&subject, causes);
    }
    let (resources, others) = (rule.at("resourceRules"), rule.at("nonResourceRules"));
    if resources.is_empty() && others.is_empty() {
        causes.required(rule, "at least one of resourceRules and nonResourceRules has to be non-empty");
    }
    for rule in resources.items() {
        validate_resource_rule(&rule, causes);
    }
    for rule in others.items() {
        validate_verbs(&rule.at("verbs"), causes);
        validate_urls(&rule.at("nonResourceURLs"), causes);
    }
}

/// `ValidateFlowSchemaSubject`
fn validate_subject(subject: &At<'_>, causes: &mut Causes) {
    // The kinds with their fields, in the order in which a field of another kind is forbidden.
    const KINDS: [(&str, &str); 3] =
        [("ServiceAccount", "serviceAccount"), ("User", "user"), ("Group", "group")];
    let kind = subject.at("kind");
    let Some((of, field)) = KINDS.into_iter().find(|(of, _)| *of == kind.text()) else {
        return causes.not_supported(&kind, kind.text(), &["Group", "ServiceAccount", "User"]);
    };
    let own = subject.at(field);
    if own.is_set() {
        validate_named_subject(&own, of == "ServiceAccount", causes);
    } else {
        causes.required(&own, &format!("{field} is required when subject kind is '{of}'"));
    }
    for (other, field) in KINDS.into_iter().filter(|(other, _)| *other != of) {
        if subject.at(field).is_set() {
            let why = format!("{field} is forbidden when subject kind is not '{other}'");
            causes.forbidden(&subject.at(field), &why);
        }
    }
}

/// `ValidateServiceAccountSubject`, `ValidateUserSubject`, `ValidateGroupSubject`
fn validate_named_subject(subject: &At<'_>, is_service_account: bool, causes: &mut Causes) {
    let (name, namespace) = (subject.at("name"), subject.at("namespace"));
    if name.is_empty() {
        causes.required(&name, "");
    } else if is_service_account && name.text() != "*" {
        names::check(&name, names::dns_subdomain, causes);
    }
    if is_service_account && namespace.is_empty() {
        causes.required(&namespace, "must specify namespace for service account");
    } else if is_service_account {
        names::check(&namespace, names::dns_label, causes);
    }
}

/// `ValidateFlowSchemaResourcePolicyRule`
fn validate_resource_rule(rule: &At<'_>, causes: &mut Causes) {
    validate_verbs(&rule.at("verbs"), causes);
    let lists = [
        ("apiGroups", "resource rules must supply at least one api group", "api groups"),
        ("resources", "resource rules must supply at least one resource", "resources"),
    ];
    for (field, required, others) in lists {
        let list = rule.at(field);
        if list.is_empty() {
            causes.required(&list, required);
        } else if has_wildcard(&list) {
            validate_wildcard(&list, others, causes);
        }
    }
    let namespaces = rule.at("namespaces");
    if namespaces.is_empty() && !rule.at("clusterScope").is_true() {
        let why = "resource rules that are not cluster scoped must supply at least one namespace";
        causes.required(&namespaces, why);
    } else if has_wildcard(&namespaces) {
        validate_wildcard(&namespaces, "namespaces", causes);
    } else {
        for namespace in namespaces.items() {
            for fault in names::dns_label(namespace.text()) {
                let why = format!("each member of this list must be '*' or a DNS-1123 label; {fault}");
                causes.invalid(&namespace, namespace.text(), &why);
            }
        }
    }
}

fn has_wildcard(list: &At<'_>) -> bool {
    list.list().iter().any(|item| item == "*")
}

/// Whether a list with a wildcard has nothing else in it.
fn validate_wildcard(list: &At<'_>, others: &str, causes: &mut Causes) {
    if list.list().len() > 1 {
        causes.invalid(list, list.value(), &format!("if '*' is present, must not specify other {others}"));
    }
}

fn validate_verbs(verbs: &At<'_>, causes: &mut Causes) {
    if verbs.is_empty() {
        causes.required(verbs, "verbs must contain at least one value");
    } else if has_wildcard(verbs) {
        validate_wildcard(verbs, "verbs", causes);
    } else if !verbs.items().all(|verb| VERBS.contains(&verb.text())) {
        causes.not_supported(verbs, verbs.value(), VERBS);
    }
}

fn validate_urls(urls: &At<'_>, causes: &mut Causes) {
    if urls.is_empty() {
        causes.required(urls, "nonResourceURLs must contain at least one value");
    } else if has_wildcard(urls) {
        validate_wildcard(urls, "non-resource URLs", causes);
    } else {
        for url in urls.items() {
            if let Some(fault) = url_fault(url.text()) {
                causes.invalid(&url, url.text(), fault);
            }
        }
    }
}

/// `ValidateNonResourceURLPath`
fn url_fault(path: &str) -> Option<&'static str> {
    let wildcards = path.matches('*').count();
    if path.is_empty() {
        return Some("must not be empty");
    }
    if path == "/" {
        return None;
    }
    if !path.starts_with('/') {
        return Some("must start with slash");
    }
    if path.contains(' ') {
        return Some("must not contain white-space");
    }
    if path.contains("//") {
        return Some("must not contain double slash");
    }
    let is_wrong = wildcards > 1 || wildcards == 1 && !path.ends_with("/*");
    is_wrong.then_some("wildcard can only do suffix matching")
}
