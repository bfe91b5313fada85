//! Names of domains, and what begins with one (`k8s.io/apimachinery/pkg/util/validation`).

use super::names;
use crate::field::{At, Causes};

/// `IsFullyQualifiedName`
pub(crate) fn validate_fully_qualified_name(name: &At<'_>, causes: &mut Causes) {
    if name.is_empty() {
        causes.required(name, "");
        return;
    }
    let text = name.text();
    let faults = names::dns_subdomain(text);
    if !faults.is_empty() {
        causes.invalid(name, text, &faults.join(","));
    } else if text.split('.').count() < 3 {
        causes.invalid(name, text, "should be a domain with at least three segments separated by dots");
    }
}

/// `IsFullyQualifiedDomainName`
pub(crate) fn validate_fully_qualified_domain_name(name: &At<'_>, causes: &mut Causes) {
    if name.is_empty() {
        causes.required(name, "");
        return;
    }
    let text = name.text().strip_suffix('.').unwrap_or(name.text());
    let faults = names::dns_subdomain(text);
    if !faults.is_empty() {
        causes.invalid(name, text, &faults.join(","));
        return;
    }
    if !text.contains('.') {
        causes.invalid(name, text, "should be a domain with at least two segments separated by dots");
        return;
    }
    for label in text.split('.') {
        let faults = names::dns_label(label);
        if !faults.is_empty() {
            causes.invalid(name, label, &faults.join(","));
            return;
        }
    }
}

/// `IsDomainPrefixedPath`: `acme.io/foo`.
pub(crate) fn validate_domain_prefixed_path(path: &At<'_>, causes: &mut Causes) {
    if path.is_empty() {
        causes.required(path, "");
        return;
    }
    let Some((host, rest)) =
        path.text().split_once('/').filter(|(host, rest)| !host.is_empty() && !rest.is_empty())
    else {
        causes.invalid(path, path.text(), "must be a domain-prefixed path (such as \"acme.io/foo\")");
        return;
    };
    for fault in names::dns_subdomain(host) {
        causes.invalid(path, host, &fault);
    }
    const EXPRESSION: &str = "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+";
    if !rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&b)) {
        causes.invalid(path, rest, &names::regex_error("Invalid path", EXPRESSION, &[]));
    }
}
