//! `pkg/apis/autoscaling/validation`: the metrics by which an autoscaler scales.

use super::references::{Versions, validate_cross_version_object_reference, validate_path_segment};
use crate::core::validation::resources;
use crate::field::{At, Causes};
use crate::primitives::names;
use clusterlocal_core::text::Quantity;

/// The types of metrics, with their fields, in the order in which they are looked at.
const SOURCES: [(&str, &str); 5] = [
    ("Object", "object"),
    ("External", "external"),
    ("Pods", "pods"),
    ("Resource", "resource"),
    ("ContainerResource", "containerResource"),
];
/// `validMetricSourceTypesList`
const TYPES: [&str; 5] = ["ContainerResource", "External", "Object", "Pods", "Resource"];

/// `validateMetrics`
pub(super) fn validate_metrics(
    metrics: &At<'_>,
    min_replicas: Option<i64>,
    versions: Versions,
    causes: &mut Causes,
) {
    for metric in metrics.items() {
        validate_metric_spec(&metric, versions, causes);
    }
    let is_of_cluster = |metric: At<'_>| matches!(metric.at("type").text(), "Object" | "External");
    if min_replicas == Some(0) && !metrics.items().any(is_of_cluster) {
        let why = "must specify at least one Object or External metric to support scaling to zero replicas";
        causes.forbidden(metrics, why);
    }
}

/// `validateMetricSpec`
fn validate_metric_spec(metric: &At<'_>, versions: Versions, causes: &mut Causes) {
    let kind = metric.at("type");
    let is_known = TYPES.contains(&kind.text());
    if kind.is_empty() {
        causes.required(&kind, "must specify a metric source type");
    }
    if !is_known {
        causes.not_supported(&kind, kind.text(), &TYPES);
    }
    let present = SOURCES.iter().map(|(_, field)| *field).filter(|field| metric.at(field).is_set());
    let present: Vec<&str> = present.collect();
    // Of several, only the first is looked into.
    if let Some(&first) = present.first() {
        validate_source(first, metric, versions, causes);
    }
    let expected = SOURCES.iter().find(|(name, _)| *name == kind.text()).map(|(_, field)| *field);
    match expected {
        Some(field) if !metric.at(field).is_set() => {
            causes.required(&metric.at(field), "must populate information for the given metric source");
        }
        Some(_) => {}
        None => causes.not_supported(&kind, kind.text(), &TYPES),
    }
    if present.len() != 1 {
        for field in present.into_iter().filter(|field| Some(*field) != expected) {
            causes.forbidden(&metric.at(field), "must populate the given metric source only");
        }
    }
}

/// `validateObjectSource`, `validateExternalSource`, `validatePodsSource`, `validateResourceSource`,
/// `validateContainerResourceSource`
fn validate_source(field: &'static str, metric: &At<'_>, versions: Versions, causes: &mut Causes) {
    let source = metric.at(field);
    let target = source.at("target");
    let has = |name: &'static str| target.at(name).is_set();
    match field {
        "object" | "external" | "pods" => {
            if field == "object" {
                let described = source.at("describedObject");
                validate_cross_version_object_reference(&described, versions, causes);
            }
            validate_path_segment(&source.at("metric.name"), "must specify a metric name", causes);
        }
        _ => {
            let name = source.at("name");
            if name.is_empty() {
                causes.required(&name, "must specify a resource name");
            } else if field == "containerResource" {
                validate_container_resource_name(&name, causes);
            }
            let container = source.at("container");
            if field == "containerResource" && container.is_empty() {
                causes.required(&container, "must specify a container");
            } else if field == "containerResource" {
                for fault in names::dns_label(container.text()) {
                    causes.invalid(&container, container.text(), &fault);
                }
            }
        }
    }
    validate_metric_target(&target, causes);
    let average = target.at("averageValue");
    match field {
        "object" if !has("value") && !has("averageValue") => {
            causes.required(&average, "must set either a target value or averageValue");
        }
        "external" if !has("value") && !has("averageValue") => {
            causes.required(&average, "must set either a target value for metric or a per-pod target");
        }
        "external" if has("value") && has("averageValue") => {
            let why = "may not set both a target value for metric and a per-pod target";
            causes.forbidden(&target.at("value"), why);
        }
        "pods" if !has("averageValue") => {
            causes.required(&average, "must specify a positive target averageValue");
        }
        "resource" | "containerResource" => match (has("averageUtilization"), has("averageValue")) {
            (false, false) => {
                let why = "must set either a target raw value or a target utilization";
                causes.required(&target.at("averageUtilization"), why);
            }
            (true, true) => {
                causes.forbidden(&average, "may not set both a target raw value and a target utilization");
            }
            _ => {}
        },
        _ => {}
    }
}

/// `validateMetricTarget`
fn validate_metric_target(target: &At<'_>, causes: &mut Causes) {
    let kind = target.at("type");
    if kind.is_empty() {
        causes.required(&kind, "must specify a metric target type");
    }
    if !matches!(kind.text(), "Utilization" | "Value" | "AverageValue") {
        causes.invalid(&kind, kind.text(), "must be either Utilization, Value, or AverageValue");
    }
    for name in ["value", "averageValue"] {
        let quantity = target.at(name);
        if quantity.is_set() && sign(&quantity) != 1 {
            causes.invalid(&quantity, quantity.value(), "must be positive");
        }
    }
    let share = target.at("averageUtilization");
    if share.number_if_set().is_some_and(|share| share < 1) {
        causes.invalid(&share, share.number(), "must be greater than 0");
    }
}

/// `ValidateContainerResourceName` of `pkg/apis/core/v1/validation`
fn validate_container_resource_name(name: &At<'_>, causes: &mut Causes) {
    let text = name.text();
    let faults = names::label_key(text);
    for fault in &faults {
        causes.invalid(name, text, fault);
    }
    let is_standard = matches!(text, "cpu" | "memory" | "ephemeral-storage") || resources::is_huge_page(text);
    match text.split_once('/') {
        None => {
            // `validateResourceName`, for a name without a domain.
            if faults.is_empty() && !resources::is_standard(text) {
                let why = "must be a standard resource type or fully qualified";
                causes.invalid(name, text, why);
            }
            if !is_standard {
                causes.invalid(name, text, "must be a standard resource for containers");
            }
        }
        Some((domain, _)) if domain.ends_with("kubernetes.io") => {}
        Some((domain, _)) => {
            let is_quota = domain.starts_with("requests.");
            if is_quota || !names::label_key(&format!("requests.{text}")).is_empty() {
                causes.invalid(name, text, "doesn't follow extended resource name standard");
            }
        }
    }
}

/// `Quantity.Sign`
pub(crate) fn sign(quantity: &At<'_>) -> i128 {
    Quantity::read(quantity.value()).map_or(0, Quantity::sign)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn signs_of_quantities() {
        let table =
            [(json!("100m"), 1), (json!("-1"), -1), (json!("0"), 0), (json!("0e9"), 0), (json!(2), 1)];
        for (quantity, expected) in table {
            assert_eq!(sign(&At::root(&quantity)), expected, "{quantity}");
        }
    }
}
