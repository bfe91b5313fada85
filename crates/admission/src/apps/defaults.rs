//! `pkg/apis/apps/v1/defaults.go`

use serde_json::{Map, Value, json};

use crate::core::defaults::default_pod_spec;
use crate::core::volumes::default_claim;
use crate::primitives::defaults::{object, set_if_zero};
use clusterlocal_core::store::{self, fill};

/// `SetObjectDefaults_Deployment`
pub(super) fn set_defaults_deployment(deployment: &mut Value) {
    let Some(spec) = object(deployment, "spec") else { return };
    fill(spec, "replicas", 1);
    let strategy = store::object(spec, "strategy");
    set_if_zero(strategy, "type", "RollingUpdate");
    default_rolling_update(strategy, json!("25%"), json!("25%"));
    fill(spec, "revisionHistoryLimit", 10);
    fill(spec, "progressDeadlineSeconds", 600);
    default_template(spec);
}

/// `SetObjectDefaults_ReplicaSet`
pub(super) fn set_defaults_replica_set(replica_set: &mut Value) {
    let Some(spec) = object(replica_set, "spec") else { return };
    fill(spec, "replicas", 1);
    default_template(spec);
}

/// `SetObjectDefaults_DaemonSet`
pub(super) fn set_defaults_daemon_set(daemon_set: &mut Value) {
    let Some(spec) = object(daemon_set, "spec") else { return };
    let strategy = store::object(spec, "updateStrategy");
    set_if_zero(strategy, "type", "RollingUpdate");
    default_rolling_update(strategy, json!(1), json!(0));
    fill(spec, "revisionHistoryLimit", 10);
    default_template(spec);
}

/// `SetObjectDefaults_StatefulSet`
pub(super) fn set_defaults_stateful_set(stateful_set: &mut Value) {
    let Some(spec) = object(stateful_set, "spec") else { return };
    set_if_zero(spec, "podManagementPolicy", "OrderedReady");
    let strategy = store::object(spec, "updateStrategy");
    if strategy.get("type").is_none_or(|kind| kind == "") {
        strategy.insert("type".into(), "RollingUpdate".into());
        strategy.entry("rollingUpdate").or_insert_with(|| json!({}));
    }
    let is_rolling = strategy.get("type").is_some_and(|kind| kind == "RollingUpdate");
    let rolling = strategy.get_mut("rollingUpdate").and_then(Value::as_object_mut);
    if let Some(rolling) = rolling.filter(|_| is_rolling) {
        fill(rolling, "partition", 0);
    }
    let policy = store::object(spec, "persistentVolumeClaimRetentionPolicy");
    set_if_zero(policy, "whenDeleted", "Retain");
    set_if_zero(policy, "whenScaled", "Retain");
    fill(spec, "replicas", 1);
    fill(spec, "revisionHistoryLimit", 10);
    default_template(spec);
    let claims = spec.get_mut("volumeClaimTemplates").and_then(Value::as_array_mut);
    for claim in claims.into_iter().flatten().filter(|claim| claim.is_object()) {
        default_claim(claim);
        // `Convert_apps_StatefulSetSpec_To_v1_StatefulSetSpec`
        claim["apiVersion"] = "v1".into();
        claim["kind"] = "PersistentVolumeClaim".into();
    }
}

fn default_rolling_update(strategy: &mut Map<String, Value>, unavailable: Value, surge: Value) {
    if strategy.get("type").is_some_and(|kind| kind == "RollingUpdate") {
        let rolling = store::object(strategy, "rollingUpdate");
        fill(rolling, "maxUnavailable", unavailable);
        fill(rolling, "maxSurge", surge);
    }
}

fn default_template(spec: &mut Map<String, Value>) {
    let template = store::object(spec, "template");
    default_pod_spec(template.entry("spec").or_insert_with(|| json!({})));
}
