//! The status of workloads when clients write it: the server keeps it, except for the fields that the workload's controller
//! computes.

use serde_json::{Value, json};

use crate::{Api, MERGE, text};

const WORKLOADS: &str = "
{apiVersion: v1, kind: ReplicationController, metadata: {name: w}, spec: {replicas: 2, selector: {app: rc},
  template: {metadata: {labels: {app: rc}}, spec: {containers: [{name: c, image: i}]}}}}
---
{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: w}, spec: {replicas: 2, selector: {matchLabels: {app: rs}},
  template: {metadata: {labels: {app: rs}}, spec: {containers: [{name: c, image: i}]}}}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: w, labels: {a: b}},
  spec: {replicas: 2, selector: {matchLabels: {app: d}},
  template: {metadata: {labels: {app: d}}, spec: {containers: [{name: c, image: i}]}}}}
---
{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: w}, spec: {replicas: 2, selector: {matchLabels: {app: s}},
  template: {metadata: {labels: {app: s}}, spec: {containers: [{name: c, image: i}]}}}}
---
{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: w}, spec: {selector: {matchLabels: {app: ds}},
  template: {metadata: {labels: {app: ds}}, spec: {containers: [{name: c, image: i}]}}}}
---
{apiVersion: batch/v1, kind: Job, metadata: {name: w},
  spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}
---
{apiVersion: batch/v1, kind: CronJob, metadata: {name: w}, spec: {schedule: '0 0 1 1 *',
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}}}
";

fn path(group: &str, plural: &str) -> String {
    format!("/{group}/namespaces/default/{plural}/w")
}

/// Whether the object has the condition that a client wrote.
fn has_condition(object: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    conditions.filter(|condition| condition["type"] == "example.com/x").any(|condition| {
        (text(&condition["status"]), text(&condition["reason"])) == ("True", "Written")
            && condition["lastTransitionTime"] == "2020-01-02T03:04:05Z"
    })
}

#[tokio::test]
async fn a_condition_that_a_client_writes_is_kept_until_the_controller_replaces_it() {
    // Path, a counted field of the status, and whether the condition survives a status update of the controller: only the
    // StatefulSet controller begins with an empty status (updateStatefulSet).
    let table = [
        ("api/v1", "replicationcontrollers", "replicas", true),
        ("apis/apps/v1", "replicasets", "replicas", true),
        ("apis/apps/v1", "deployments", "replicas", true),
        ("apis/apps/v1", "statefulsets", "replicas", false),
        ("apis/apps/v1", "daemonsets", "numberReady", true),
        ("apis/batch/v1", "jobs", "active", true),
    ];
    let api = Api::serve(WORKLOADS).await;
    let condition = json!({
        "type": "example.com/x", "status": "True", "reason": "Written", "lastTransitionTime": "2020-01-02T03:04:05Z",
    });
    for (group, plural, counted, outlasts) in table {
        let whole = path(group, plural);
        let status = format!("{whole}/status");
        let before = api.get(&whole).await.ok();
        let mut conditions = before["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.push(condition.clone());
        // An update of the main resource ignores the status.
        let body = json!({ "status": { "conditions": conditions } });
        api.patch(&whole, MERGE, &body).await.ok();
        assert!(!has_condition(&api.get(&whole).await.ok()), "{plural}: written to the main resource");
        let body = json!({
            "metadata": { "annotations": { "written": "true" }, "labels": { "other": "label" } },
            "spec": { "replicas": 7, "parallelism": 7 },
            "status": { "conditions": conditions },
        });
        api.patch(&status, MERGE, &body).await.ok();
        let shown = api.get(&whole).await.ok();
        assert!(has_condition(&shown), "{plural}: {shown}");
        assert_eq!(shown["spec"], before["spec"], "{plural}: a status update does not change the spec");
        assert_eq!(shown["metadata"]["annotations"]["written"], "true", "{plural}");
        // deploymentStatusStrategy.PrepareForUpdate
        let labelled = shown["metadata"]["labels"]["other"] == "label";
        assert_eq!(labelled, plural != "deployments", "{plural}");
        // The controller overwrites counted fields.
        let answer = api.patch(&status, MERGE, &json!({ "status": { counted: 99 } })).await.ok();
        assert_eq!(answer["status"][counted], 99, "{plural}: the answer precedes the controller");
        let shown = api.get(&whole).await.ok();
        assert_eq!(shown["status"][counted], before["status"][counted], "{plural}");
        assert_eq!(has_condition(&shown), outlasts, "{plural}: {shown}");
    }
}

#[tokio::test]
async fn times_and_counts_that_no_controller_computes_stay() {
    let table = [
        ("apis/batch/v1", "cronjobs", "lastSuccessfulTime", json!("2020-01-02T03:04:05Z")),
        ("apis/apps/v1", "deployments", "collisionCount", json!(3)),
        ("apis/apps/v1", "daemonsets", "collisionCount", json!(3)),
    ];
    let api = Api::serve(WORKLOADS).await;
    for (group, plural, field, value) in table {
        let whole = path(group, plural);
        api.patch(&format!("{whole}/status"), MERGE, &json!({ "status": { field: value } })).await.ok();
        assert_eq!(api.get(&whole).await.ok()["status"][field], value, "{plural}");
        // Another write does not change them.
        api.patch(&whole, MERGE, &json!({ "metadata": { "annotations": { "a": "b" } } })).await.ok();
        assert_eq!(api.get(&whole).await.ok()["status"][field], value, "{plural}");
    }
}

#[tokio::test]
async fn statuses_are_complete_after_the_start() {
    let table = [
        ("api/v1", "replicationcontrollers", "readyReplicas", 2),
        ("apis/apps/v1", "replicasets", "readyReplicas", 2),
        ("apis/apps/v1", "deployments", "readyReplicas", 2),
        ("apis/apps/v1", "statefulsets", "readyReplicas", 2),
        ("apis/apps/v1", "daemonsets", "currentNumberScheduled", 3),
        ("apis/apps/v1", "daemonsets", "numberReady", 3),
        ("apis/batch/v1", "jobs", "active", 1),
    ];
    let api = Api::serve(WORKLOADS).await;
    for (group, plural, field, count) in table {
        let shown = api.get(&path(group, plural)).await.ok();
        assert_eq!(shown["status"][field], count, "{plural}: {}", shown["status"]);
    }
}
