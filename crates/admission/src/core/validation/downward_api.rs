//! The downward API: variables and files with fields of their Pod.

use super::fields::validate_mode;
use super::paths::validate_local_non_reserved_path;
use crate::field::{At, Causes};
use crate::primitives::names;

/// `validVolumeDownwardAPIFieldPathExpressions`, sorted, as in the answer.
const VOLUME_FIELDS: &[&str] =
    &["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];

/// `validContainerResourceFieldPathExpressions`, sorted.
const RESOURCES: &[&str] = &[
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

/// What `ConvertDownwardAPIFieldLabel` knows.
const FIELDS: &[&str] = &[
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.serviceAccountName",
    "spec.schedulerName",
    "status.phase",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

/// `validateDownwardAPIVolumeSource`. Its files have the path of the whole source.
pub(crate) fn validate_downward_api_volume_source(source: &At<'_>, causes: &mut Causes) {
    validate_mode(&source.at("defaultMode"), causes);
    for file in source.at("items").items() {
        validate_downward_api_volume_file(&source.with(file.value()), causes);
    }
}

/// `validateDownwardAPIVolumeFile`
pub(crate) fn validate_downward_api_volume_file(file: &At<'_>, causes: &mut Causes) {
    let path = file.at("path");
    if path.is_empty() {
        causes.required(&path, "");
    }
    validate_local_non_reserved_path(&path, causes);
    let (field, resource) = (file.at("fieldRef"), file.at("resourceFieldRef"));
    if field.is_set() {
        validate_object_field_selector(&field, VOLUME_FIELDS, causes);
        if resource.is_set() {
            let why = "fieldRef and resourceFieldRef can not be specified simultaneously";
            causes.invalid(file, "resource", why);
        }
    } else if resource.is_set() {
        validate_container_resource_field_selector(&resource, true, causes);
    } else {
        causes.required(file, "one of fieldRef and resourceFieldRef is required");
    }
    validate_mode(&file.at("mode"), causes);
}

/// `validateObjectFieldSelector`: `supported` are the fields that can be had there, sorted.
pub(crate) fn validate_object_field_selector(selector: &At<'_>, supported: &[&str], causes: &mut Causes) {
    for name in ["apiVersion", "fieldPath"] {
        if selector.at(name).is_empty() {
            causes.required(&selector.at(name), "");
            return;
        }
    }
    let path = selector.at("fieldPath");
    let internal = match convert_downward_api_field_label(selector.at("apiVersion").text(), path.text()) {
        Ok(internal) => internal,
        Err(why) => {
            causes.invalid(&path, path.text(), &format!("error converting fieldPath: {why}"));
            return;
        }
    };
    match split_maybe_subscripted_path(internal) {
        Some((name, subscript)) => {
            // Keys of annotations are compared in lower case.
            let subscript =
                if name == "metadata.annotations" { subscript.to_lowercase() } else { subscript.into() };
            for fault in names::label_key(&subscript) {
                causes.invalid(selector, subscript.as_str(), &fault);
            }
        }
        None if !supported.contains(&internal) => causes.not_supported(&path, internal, supported),
        None => {}
    }
}

/// `ConvertDownwardAPIFieldLabel`: the field of today's Pod.
fn convert_downward_api_field_label<'l>(version: &str, label: &'l str) -> Result<&'l str, String> {
    if version != "v1" {
        return Err(format!("unsupported pod version: {version}"));
    }
    match (split_maybe_subscripted_path(label), label) {
        (Some(("metadata.annotations" | "metadata.labels", _)), _) => Ok(label),
        (Some(_), _) => Err(format!("field label does not support subscript: {label}")),
        (None, "spec.host") => Ok("spec.nodeName"),
        (None, _) if FIELDS.contains(&label) => Ok(label),
        (None, _) => Err(format!("field label not supported: {label}")),
    }
}

/// `fieldpath.SplitMaybeSubscriptedPath`: `metadata.labels['a']` is a path and a key.
fn split_maybe_subscripted_path(path: &str) -> Option<(&str, &str)> {
    let (path, subscript) = path.strip_suffix("']")?.split_once("['")?;
    (!path.is_empty()).then_some((path, subscript))
}

/// `validateContainerResourceFieldSelector`: in a volume the container name is required.
pub(crate) fn validate_container_resource_field_selector(
    selector: &At<'_>,
    in_volume: bool,
    causes: &mut Causes,
) {
    let (container, resource) = (selector.at("containerName"), selector.at("resource"));
    let is_huge = ["limits.hugepages-", "requests.hugepages-"].iter().any(|p| resource.text().starts_with(p));
    if in_volume && container.is_empty() {
        causes.required(&container, "");
    } else if resource.is_empty() {
        causes.required(&resource, "");
    } else if !RESOURCES.contains(&resource.text()) && !is_huge {
        causes.not_supported(&resource, resource.text(), RESOURCES);
    }
    validate_container_resource_divisor(selector, causes);
}

/// `validateContainerResourceDivisor`. A quantity stands in its canonical form.
fn validate_container_resource_divisor(selector: &At<'_>, causes: &mut Causes) {
    const SIZES: &[&str] =
        &["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];
    let (resource, divisor) = (selector.at("resource").text(), selector.at("divisor"));
    let name = resource.strip_prefix("limits.").or_else(|| resource.strip_prefix("requests."));
    let sizes = SIZES.join(", ");
    let (supported, why) = match name {
        Some("cpu") => {
            (&["1m", "1"][..], "only divisor's values 1m and 1 are supported with the cpu resource".into())
        }
        Some("memory") => {
            (SIZES, format!("only divisor's values {sizes} are supported with the memory resource"))
        }
        Some("ephemeral-storage") => {
            let resource = "local ephemeral storage";
            (SIZES, format!("only divisor's values {sizes} are supported with the {resource} resource"))
        }
        Some(name) if name.starts_with("hugepages-") => {
            (SIZES, format!("only divisor's values {sizes} are supported with the hugepages resource"))
        }
        _ => return,
    };
    if !matches!(divisor.text(), "" | "0") && !supported.contains(&divisor.text()) {
        causes.invalid(&divisor, resource, &why);
    }
}
