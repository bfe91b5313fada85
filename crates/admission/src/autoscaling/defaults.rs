//! `pkg/apis/autoscaling/v1/defaults.go`, `v2/defaults.go`.

use serde_json::{Map, Value, json};

use super::conversion::{self, CPU_UTILIZATION};

/// `SetDefaults_HorizontalPodAutoscaler` of both versions.
pub(super) fn set_defaults_horizontal_pod_autoscaler(autoscaler: &mut Value) {
    let is_v1 = autoscaler["apiVersion"] == "autoscaling/v1";
    let has_other_metrics = is_v1 && conversion::has_other_metrics(autoscaler);
    let Some(autoscaler) = autoscaler.as_object_mut() else { return };
    let spec = autoscaler.entry("spec").or_insert_with(|| json!({}));
    let Some(spec) = spec.as_object_mut() else { return };
    spec.entry("minReplicas").or_insert_with(|| 1.into());
    if is_v1 {
        // `Convert_v1_HorizontalPodAutoscaler_To_autoscaling_HorizontalPodAutoscaler`
        if !has_other_metrics {
            spec.entry("targetCPUUtilizationPercentage").or_insert_with(|| CPU_UTILIZATION.into());
        }
        return;
    }
    if spec.get("metrics").and_then(Value::as_array).is_none_or(Vec::is_empty) {
        spec.insert("metrics".into(), json!([conversion::cpu(CPU_UTILIZATION.into())]));
    }
    if let Some(behavior) = spec.get_mut("behavior").and_then(Value::as_object_mut) {
        let policy = |kind: &str, value: i64| json!({ "type": kind, "value": value, "periodSeconds": 15 });
        let rules = json!({
            "stabilizationWindowSeconds": 0,
            "selectPolicy": "Max",
            "policies": [policy("Pods", 4), policy("Percent", 100)],
        });
        fill_in(behavior, "scaleUp", rules);
        // How long it stabilizes down is an option of the controller.
        let rules = json!({ "selectPolicy": "Max", "policies": [policy("Percent", 100)] });
        fill_in(behavior, "scaleDown", rules);
    }
}

/// `copyHPAScalingRules`
fn fill_in(behavior: &mut Map<String, Value>, direction: &str, defaults: Value) {
    let rules = behavior.entry(direction).or_insert_with(|| json!({}));
    let (Some(rules), Value::Object(defaults)) = (rules.as_object_mut(), defaults) else { return };
    for (name, value) in defaults {
        rules.entry(name).or_insert(value);
    }
}
