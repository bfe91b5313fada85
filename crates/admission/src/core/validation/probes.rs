//! Probes and lifecycle hooks of containers (`validateProbe`, `validateLifecycle`).

use serde_json::Value;

use crate::field::{At, Causes};
use crate::primitives::{metadata, names};

/// The probes of a container, with what each of them cannot have.
pub(crate) fn validate_probes(container: &At<'_>, grace_period: &At<'_>, causes: &mut Causes) {
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let probe = container.at(name);
        if !probe.is_set() {
            continue;
        }
        validate_probe(&probe, grace_period, causes);
        let (threshold, own_grace) =
            (probe.at("successThreshold"), probe.at("terminationGracePeriodSeconds"));
        if name == "readinessProbe" {
            if own_grace.is_set() {
                causes.invalid(&own_grace, own_grace.number(), "must not be set for readinessProbes");
            }
        } else if threshold.number() != 1 {
            causes.invalid(&threshold, threshold.number(), "must be 1");
        }
    }
}

/// `validateProbe`
fn validate_probe(probe: &At<'_>, grace_period: &At<'_>, causes: &mut Causes) {
    validate_handler(probe, &["exec", "httpGet", "tcpSocket", "grpc"], grace_period, causes);
    for name in
        ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"]
    {
        metadata::validate_non_negative(&probe.at(name), causes);
    }
    let own_grace = probe.at("terminationGracePeriodSeconds");
    if let Some(seconds) = own_grace.number_if_set().filter(|seconds| *seconds <= 0) {
        causes.invalid(&own_grace, seconds, "must be greater than 0");
    }
}

/// `validateHandler`: exactly one of the kinds that probes or hooks can have.
fn validate_handler(handler: &At<'_>, kinds: &[&'static str], grace_period: &At<'_>, causes: &mut Causes) {
    let mut kinds = kinds.iter().map(|kind| (*kind, handler.at(kind))).filter(|(_, action)| action.is_set());
    match kinds.next() {
        None => causes.required(handler, "must specify a handler type"),
        Some((kind, action)) => validate_action(kind, &action, grace_period, causes),
    }
    for (_, more) in kinds {
        causes.forbidden(&more, "may not specify more than 1 handler type");
    }
}

fn validate_action(kind: &str, action: &At<'_>, grace_period: &At<'_>, causes: &mut Causes) {
    match kind {
        "exec" => {
            if action.at("command").is_empty() {
                causes.required(&action.at("command"), "");
            }
        }
        "httpGet" => validate_http_get_action(action, causes),
        "sleep" => validate_sleep_action(action, grace_period, causes),
        _ => validate_port_num_or_name(&action.at("port"), causes),
    }
}

/// `validateHTTPGetAction`
fn validate_http_get_action(http: &At<'_>, causes: &mut Causes) {
    if http.at("path").is_empty() {
        causes.required(&http.at("path"), "");
    }
    validate_port_num_or_name(&http.at("port"), causes);
    let scheme = http.at("scheme");
    if !matches!(scheme.text(), "HTTP" | "HTTPS") {
        causes.not_supported(&scheme, scheme.text(), &["HTTP", "HTTPS"]);
    }
    let headers = http.at("httpHeaders");
    for header in headers.items() {
        let name = header.at("name").text();
        for fault in names::http_header_name(name) {
            causes.invalid(&headers, name, &fault);
        }
    }
}

/// `validateSleepAction`
fn validate_sleep_action(sleep: &At<'_>, grace_period: &At<'_>, causes: &mut Causes) {
    let seconds = sleep.at("seconds").number();
    if let Some(most) = grace_period.number_if_set().filter(|most| seconds < 0 || seconds > *most) {
        let why = format!("must be non-negative and less than terminationGracePeriodSeconds ({most})");
        causes.invalid(sleep, seconds, &why);
    }
}

/// `ValidatePortNumOrName`
pub(crate) fn validate_port_num_or_name(port: &At<'_>, causes: &mut Causes) {
    match port.value() {
        Value::String(name) => {
            for fault in names::port_name(name) {
                causes.invalid(port, name.as_str(), &fault);
            }
        }
        _ => {
            for fault in names::port_number(port.number()) {
                causes.invalid(port, port.number(), &fault);
            }
        }
    }
}

/// `validateLifecycle`, without the stop signal: that field is dropped, its feature gate is off.
pub(crate) fn validate_lifecycle(lifecycle: &At<'_>, grace_period: &At<'_>, causes: &mut Causes) {
    for hook in ["postStart", "preStop"] {
        let hook = lifecycle.at(hook);
        if hook.is_set() {
            validate_handler(&hook, &["exec", "httpGet", "tcpSocket", "sleep"], grace_period, causes);
        }
    }
}
