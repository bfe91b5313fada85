//! `pkg/apis/autoscaling/v1/conversion.go`: what of an autoscaler `autoscaling/v1` has no fields for is in annotations. Those of the
//! status are left out.

use clusterlocal_core::store;
use serde_json::{Map, Value, json};

use crate::schema;

/// `MetricSpecsAnnotation`, `BehaviorSpecsAnnotation`
const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";

/// Annotations of a conversion, which no version keeps (`DropRoundTripHorizontalPodAutoscalerAnnotations`).
const ANNOTATIONS: [&str; 6] = [
    METRICS,
    BEHAVIOR,
    "autoscaling.alpha.kubernetes.io/scale-down-tolerance",
    "autoscaling.alpha.kubernetes.io/scale-up-tolerance",
    "autoscaling.alpha.kubernetes.io/current-metrics",
    "autoscaling.alpha.kubernetes.io/conditions",
];

/// The share of the requested CPU that an autoscaler without metrics aims at, in percent (`DefaultCPUUtilization`).
pub(super) const CPU_UTILIZATION: i64 = 80;

/// A type of metrics: its name, its field, and the names of its parts in `autoscaling/v1`, in the order in which they are written,
/// with their JSON pointers in `autoscaling/v2`.
type Source = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const SOURCES: [Source; 5] = [
    (
        "Object",
        "object",
        &[
            ("target", "/describedObject"),
            ("metricName", "/metric/name"),
            ("targetValue", "/target/value"),
            ("selector", "/metric/selector"),
            ("averageValue", "/target/averageValue"),
        ],
    ),
    (
        "Pods",
        "pods",
        &[
            ("metricName", "/metric/name"),
            ("targetAverageValue", "/target/averageValue"),
            ("selector", "/metric/selector"),
        ],
    ),
    (
        "Resource",
        "resource",
        &[
            ("name", "/name"),
            ("targetAverageUtilization", "/target/averageUtilization"),
            ("targetAverageValue", "/target/averageValue"),
        ],
    ),
    (
        "ContainerResource",
        "containerResource",
        &[
            ("name", "/name"),
            ("targetAverageUtilization", "/target/averageUtilization"),
            ("targetAverageValue", "/target/averageValue"),
            ("container", "/container"),
        ],
    ),
    (
        "External",
        "external",
        &[
            ("metricName", "/metric/name"),
            ("metricSelector", "/metric/selector"),
            ("targetValue", "/target/value"),
            ("targetAverageValue", "/target/averageValue"),
        ],
    ),
];

/// The metric of the one field that `autoscaling/v1` has for it.
pub(super) fn cpu(share: Value) -> Value {
    let target = json!({ "type": "Utilization", "averageUtilization": share });
    json!({ "type": "Resource", "resource": { "name": "cpu", "target": target } })
}

/// Whether an autoscaler of `autoscaling/v1` has metrics in an annotation.
pub(super) fn has_other_metrics(autoscaler: &Value) -> bool {
    other_metrics(autoscaler).is_some_and(|metrics| !metrics.is_empty())
}

fn other_metrics(autoscaler: &Value) -> Option<Vec<Value>> {
    read_metrics(autoscaler["metadata"]["annotations"].get(METRICS)?.as_str()?)
}

/// Makes an autoscaler of `autoscaling/v1` one of `autoscaling/v2`; one of that is left as it is.
pub fn autoscaler_to_v2(autoscaler: &mut Value) {
    if autoscaler["apiVersion"] == "autoscaling/v2" {
        return;
    }
    let others = other_metrics(autoscaler).unwrap_or_default();
    let behavior = autoscaler["metadata"]["annotations"].get(BEHAVIOR).and_then(Value::as_str);
    let behavior = behavior.and_then(read_behavior);
    let Some(object) = autoscaler.as_object_mut() else { return };
    object.insert("apiVersion".into(), "autoscaling/v2".into());
    if let Some(annotations) = object.get_mut("metadata").and_then(|metadata| metadata.get_mut("annotations"))
        && let Some(annotations) = annotations.as_object_mut()
    {
        annotations.retain(|key, _| !ANNOTATIONS.contains(&key.as_str()));
    }
    let spec = store::object(object, "spec");
    let share = spec.remove("targetCPUUtilizationPercentage").filter(|share| !share.is_null());
    let mut metrics = others;
    metrics.extend(share.map(cpu));
    if metrics.is_empty() {
        metrics.push(cpu(CPU_UTILIZATION.into()));
    }
    spec.insert("metrics".into(), metrics.into());
    if let Some(behavior) = behavior {
        spec.insert("behavior".into(), behavior);
    }
}

/// Makes an autoscaler of `autoscaling/v2` one of `autoscaling/v1`.
pub fn autoscaler_to_v1(autoscaler: &mut Value) {
    let Some(object) = autoscaler.as_object_mut() else { return };
    object.insert("apiVersion".into(), "autoscaling/v1".into());
    let spec = store::object(object, "spec");
    let metrics = spec.remove("metrics");
    let behavior = spec.remove("behavior").filter(Value::is_object);
    let metrics = metrics.as_ref().and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let share = |metric: &Value| {
        let is_cpu = metric["type"] == "Resource" && metric["resource"]["name"] == "cpu";
        metric.pointer("/resource/target/averageUtilization").filter(|_| is_cpu).cloned()
    };
    if let Some(share) = metrics.iter().find_map(share) {
        spec.insert("targetCPUUtilizationPercentage".into(), share);
    }
    let others: Vec<String> =
        metrics.iter().filter(|metric| share(metric).is_none()).map(written_metric).collect();
    let mut written = Map::new();
    if !others.is_empty() {
        written.insert(METRICS.into(), format!("[{}]", others.join(",")).into());
    }
    if let Some(behavior) = behavior {
        let text = schema::go_json("HorizontalPodAutoscalerBehavior", &behavior).into_text();
        written.insert(BEHAVIOR.into(), text.into());
    }
    if !written.is_empty() {
        store::object(store::object(object, "metadata"), "annotations").extend(written);
    }
}

/// The metrics in an annotation; none, if it cannot be read.
fn read_metrics(text: &str) -> Option<Vec<Value>> {
    let metrics: Vec<Value> = serde_json::from_str(text).ok()?;
    metrics.into_iter().map(|metric| read("MetricSpec", read_metric(&metric)?)).collect()
}

fn read_metric(metric: &Value) -> Option<Value> {
    let metric = metric.as_object()?;
    let mut read = Map::from_iter(metric.get("type").map(|kind| ("type".into(), kind.clone())));
    for (_, field, parts) in SOURCES {
        let Some(source) = metric.get(field).filter(|source| !source.is_null()) else { continue };
        let mut converted = json!({ "target": {} });
        for (name, pointer) in parts {
            let value = source.get(*name).filter(|value| !value.is_null());
            if let Some(value) = value.cloned().or_else(|| zero(field, name)) {
                put(&mut converted, pointer, value);
            }
        }
        let target = store::object(converted.as_object_mut()?, "target");
        let has = |name: &str| target.contains_key(name);
        let kind = match field {
            "resource" | "containerResource" if has("averageUtilization") => "Utilization",
            "external" if has("value") => "Value",
            "object" if !has("averageValue") => "Value",
            _ => "AverageValue",
        };
        // Version 1 cannot leave out the value.
        if field == "object" && has("averageValue") && target["value"] == "0" {
            target.remove("value");
        }
        target.insert("type".into(), kind.into());
        read.insert(field.into(), converted);
    }
    Some(read.into())
}

/// Sets the value at a pointer of one or two steps.
fn put(object: &mut Value, pointer: &str, value: Value) {
    let Some(map) = object.as_object_mut() else { return };
    match pointer[1..].split_once('/') {
        Some((outer, inner)) => store::object(map, outer).insert(inner.into(), value),
        None => map.insert(pointer[1..].into(), value),
    };
}

/// The behavior in an annotation, which has the names of the API server's types; none, if it cannot be read or is empty.
fn read_behavior(text: &str) -> Option<Value> {
    const NAMES: [&str; 8] = [
        "scaleUp",
        "scaleDown",
        "stabilizationWindowSeconds",
        "selectPolicy",
        "policies",
        "tolerance",
        "type",
        "value",
    ];
    fn renamed(value: Value) -> Value {
        match value {
            Value::Object(map) => {
                let name = |key: String| {
                    let all = NAMES.iter().chain(&["periodSeconds"]);
                    all.into_iter()
                        .find(|name| name.eq_ignore_ascii_case(&key))
                        .map_or(key, |name| (*name).into())
                };
                map.into_iter().map(|(key, value)| (name(key), renamed(value))).collect()
            }
            Value::Array(items) => items.into_iter().map(renamed).collect(),
            other => other,
        }
    }
    let behavior = renamed(serde_json::from_str(text).ok()?);
    let behavior = read("HorizontalPodAutoscalerBehavior", behavior)?;
    behavior.as_object().is_some_and(|behavior| !behavior.is_empty()).then_some(behavior)
}

/// `value` as the type called `name` of `autoscaling/v2`.
fn read(name: &str, value: Value) -> Option<Value> {
    if !value.is_object() {
        return None;
    }
    schema::decode_part("autoscaling/v2", name, value)
}

/// A metric as `autoscaling/v1` writes it.
fn written_metric(metric: &Value) -> String {
    let mut fields = vec![member("type", &metric["type"].to_string())];
    for (_, field, parts) in SOURCES {
        let Some(source) = metric.get(field).filter(|source| !source.is_null()) else { continue };
        let parts = parts.iter().filter_map(|(name, pointer)| {
            let value = source.pointer(pointer).filter(|value| !value.is_null()).cloned();
            let value = value.or_else(|| zero(field, name))?;
            let text = match *name {
                "target" => written_reference(&value),
                "selector" | "metricSelector" => schema::go_json("LabelSelector", &value).into_text(),
                _ => value.to_string(),
            };
            Some(member(name, &text))
        });
        let parts: Vec<String> = parts.collect();
        fields.push(member(field, &format!("{{{}}}", parts.join(","))));
    }
    format!("{{{}}}", fields.join(","))
}

/// What stands in version 1 for a part that is not there and cannot be left out.
fn zero(field: &str, name: &str) -> Option<Value> {
    match (field, name) {
        (_, "metricName" | "name" | "container") => Some("".into()),
        ("object", "targetValue") | ("pods", "targetAverageValue") => Some("0".into()),
        _ => None,
    }
}

fn written_reference(reference: &Value) -> String {
    let text = |name: &str| reference[name].as_str().unwrap_or_default();
    let names = ["kind", "name", "apiVersion"].into_iter();
    let members = names.filter(|name| *name != "apiVersion" || !text(name).is_empty());
    let members: Vec<String> =
        members.map(|name| member(name, &Value::from(text(name)).to_string())).collect();
    format!("{{{}}}", members.join(","))
}

fn member(name: &str, json: &str) -> String {
    format!("\"{name}\":{json}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_version_1_has_no_fields_for_is_in_annotations() {
        let selector = json!({ "matchLabels": { "a": "b" } });
        let metric = json!({ "name": "m", "selector": selector });
        let reference = json!({ "kind": "Service", "name": "s" });
        let spec = json!({
            "metrics": [
                { "type": "Object", "object": {
                    "describedObject": reference, "metric": metric, "target": { "type": "Value", "value": "1" },
                } },
                { "type": "External", "external": {
                    "metric": { "name": "m" }, "target": { "type": "AverageValue", "averageValue": "2" },
                } },
                { "type": "Resource", "resource": { "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 5 } } },
            ],
            "behavior": { "scaleUp": { "selectPolicy": "Max" } },
        });
        let v2 = json!({ "apiVersion": "autoscaling/v2", "metadata": { "annotations": { "a": "b" } }, "spec": spec });
        let mut autoscaler = v2.clone();
        autoscaler_to_v1(&mut autoscaler);
        let metrics = r#"[{"type":"Object","object":{"target":{"kind":"Service","name":"s"},"metricName":"m","targetValue":"1","selector":{"matchLabels":{"a":"b"}}}},{"type":"External","external":{"metricName":"m","targetAverageValue":"2"}}]"#;
        let behavior = r#"{"ScaleUp":{"StabilizationWindowSeconds":null,"SelectPolicy":"Max","Policies":null,"Tolerance":null},"ScaleDown":null}"#;
        let annotations = json!({ "a": "b", METRICS: metrics, BEHAVIOR: behavior });
        let v1 = json!({ "apiVersion": "autoscaling/v1", "metadata": { "annotations": annotations },
                         "spec": { "targetCPUUtilizationPercentage": 5 } });
        assert_eq!(autoscaler, v1);
        for _ in 0..2 {
            autoscaler_to_v2(&mut autoscaler);
            assert_eq!(autoscaler, v2);
        }
    }
}
