//! `pkg/apis/apps/v1/defaults.go`

use serde_json::{Map, Value, json};

use crate::core::defaults::default_pod_spec;
use crate::core::volumes::default_claim;

/// `SetObjectDefaults_Deployment`
pub(super) fn set_defaults_deployment(deployment: &mut Value) {
    let Some(spec) = object(deployment, "spec") else { return };
    fill_in(spec, "replicas", 1);
    if let Some(strategy) = inner(spec, "strategy") {
        fill_in_text(strategy, "type", "RollingUpdate");
        default_rolling_update(strategy, json!("25%"), json!("25%"));
    }
    fill_in(spec, "revisionHistoryLimit", 10);
    fill_in(spec, "progressDeadlineSeconds", 600);
    default_template(spec);
}

/// `SetObjectDefaults_ReplicaSet`
pub(super) fn set_defaults_replica_set(replica_set: &mut Value) {
    let Some(spec) = object(replica_set, "spec") else { return };
    fill_in(spec, "replicas", 1);
    default_template(spec);
}

/// `SetObjectDefaults_DaemonSet`
pub(super) fn set_defaults_daemon_set(daemon_set: &mut Value) {
    let Some(spec) = object(daemon_set, "spec") else { return };
    if let Some(strategy) = inner(spec, "updateStrategy") {
        fill_in_text(strategy, "type", "RollingUpdate");
        default_rolling_update(strategy, json!(1), json!(0));
    }
    fill_in(spec, "revisionHistoryLimit", 10);
    default_template(spec);
}

/// `SetObjectDefaults_StatefulSet`
pub(super) fn set_defaults_stateful_set(stateful_set: &mut Value) {
    let Some(spec) = object(stateful_set, "spec") else { return };
    fill_in_text(spec, "podManagementPolicy", "OrderedReady");
    if let Some(strategy) = inner(spec, "updateStrategy") {
        if strategy.get("type").is_none_or(|kind| kind == "") {
            strategy.insert("type".into(), "RollingUpdate".into());
            strategy.entry("rollingUpdate").or_insert_with(|| json!({}));
        }
        let is_rolling = strategy.get("type").is_some_and(|kind| kind == "RollingUpdate");
        let rolling = strategy.get_mut("rollingUpdate").and_then(Value::as_object_mut);
        if let Some(rolling) = rolling.filter(|_| is_rolling) {
            fill_in(rolling, "partition", 0);
        }
    }
    if let Some(policy) = inner(spec, "persistentVolumeClaimRetentionPolicy") {
        fill_in_text(policy, "whenDeleted", "Retain");
        fill_in_text(policy, "whenScaled", "Retain");
    }
    fill_in(spec, "replicas", 1);
    fill_in(spec, "revisionHistoryLimit", 10);
    default_template(spec);
    let claims = spec.get_mut("volumeClaimTemplates").and_then(Value::as_array_mut);
    for claim in claims.into_iter().flatten() {
        default_claim(claim);
        // `Convert_apps_StatefulSetSpec_To_v1_StatefulSetSpec`
        claim["apiVersion"] = "v1".into();
        claim["kind"] = "PersistentVolumeClaim".into();
    }
}

fn default_rolling_update(strategy: &mut Map<String, Value>, unavailable: Value, surge: Value) {
    if strategy.get("type").is_some_and(|kind| kind == "RollingUpdate")
        && let Some(rolling) = inner(strategy, "rollingUpdate")
    {
        rolling.entry("maxUnavailable").or_insert(unavailable);
        rolling.entry("maxSurge").or_insert(surge);
    }
}

fn default_template(spec: &mut Map<String, Value>) {
    if let Some(template) = inner(spec, "template") {
        default_pod_spec(template.entry("spec").or_insert_with(|| json!({})));
    }
}

fn fill_in(map: &mut Map<String, Value>, name: &str, number: i64) {
    map.entry(name).or_insert_with(|| number.into());
}

fn fill_in_text(map: &mut Map<String, Value>, name: &str, text: &str) {
    if map.get(name).is_none_or(|value| value == "") {
        map.insert(name.into(), text.into());
    }
}

/// The object in the field `name` of `value`, which has one from now on.
fn object<'v>(value: &'v mut Value, name: &str) -> Option<&'v mut Map<String, Value>> {
    inner(value.as_object_mut()?, name)
}

fn inner<'m>(map: &'m mut Map<String, Value>, name: &str) -> Option<&'m mut Map<String, Value>> {
    map.entry(name).or_insert_with(|| json!({})).as_object_mut()
}
