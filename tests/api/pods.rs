//! Pods through the API: why they wait, which parts of their status clients can write, and evictions.

use serde_json::{Value, json};

use super::{Api, MERGE, PODS, RING, text};

const STRATEGIC: &str = "application/strategic-merge-patch+json";
const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";

/// `Ready=False ReadinessGatesNotReady`, ordered by type.
fn conditions(pod: &Value) -> Vec<String> {
    let all = pod["status"]["conditions"].as_array().map_or(&[][..], Vec::as_slice);
    let shown =
        all.iter().filter(|condition| condition["type"] != "PodReadyToStartContainers").map(|condition| {
            let reason = text(&condition["reason"]);
            let (kind, status) = (text(&condition["type"]), text(&condition["status"]));
            format!("{kind}={status} {reason}").trim_end().to_string()
        });
    let mut shown: Vec<String> = shown.collect();
    shown.sort_unstable();
    shown
}

fn condition<'a>(pod: &'a Value, kind: &str) -> &'a Value {
    let all = pod["status"]["conditions"].as_array().expect("conditions");
    all.iter().find(|condition| condition["type"] == kind).expect(kind)
}

/// The number of ready endpoints of the Service `db`.
async fn ready(api: &Api) -> usize {
    let slices = api.get(&format!("{SLICES}?labelSelector=kubernetes.io/service-name=db")).await.ok();
    let endpoints =
        slices["items"].as_array().into_iter().flatten().filter_map(|slice| slice["endpoints"].as_array());
    endpoints.flatten().filter(|endpoint| endpoint["conditions"]["ready"] == true).count()
}

fn with_condition(kind: &str, status: &str) -> Value {
    json!({ "status": { "conditions": [{ "type": kind, "status": status, "reason": "Reported", "message": "so" }] } })
}

const INDEXED: &str =
    "{apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {completionMode: Indexed, completions: 2,
  parallelism: 2, template: {spec: {restartPolicy: Never, containers: [{name: c, image: i},
  {name: d, image: i, env: [{name: JOB_COMPLETION_INDEX, value: own}]}]}}}}";

/// `addCompletionIndexEnvVariables` of the Job controller.
#[tokio::test]
async fn pods_of_a_job_have_their_index_in_a_variable() {
    let api = Api::serve(INDEXED).await;
    let pods = api.get(PODS).await.ok();
    let pods = pods["items"].as_array().expect("pods");
    assert_eq!(pods.len(), 2);
    let path = "metadata.labels['batch.kubernetes.io/job-completion-index']";
    let of_label = json!({ "fieldRef": { "apiVersion": "v1", "fieldPath": path } });
    for pod in pods {
        let containers = &pod["spec"]["containers"];
        let added = json!([{ "name": "JOB_COMPLETION_INDEX", "valueFrom": of_label }]);
        let own = json!([{ "name": "JOB_COMPLETION_INDEX", "value": "own" }]);
        assert_eq!((&containers[0]["env"], &containers[1]["env"]), (&added, &own));
    }
}

/// `PrepareForUpdate` of Pods counts; the binding to a node does not.
#[tokio::test]
async fn changes_of_the_spec_of_a_pod_are_counted() {
    let api = Api::serve(
        "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: c, image: i}]}}",
    )
    .await;
    let path = format!("{PODS}/p");
    assert_eq!(api.get(&path).await.ok()["metadata"]["generation"], 1);
    api.patch(&path, MERGE, &json!({ "metadata": { "labels": { "a": "b" } } })).await.ok();
    assert_eq!(api.get(&path).await.ok()["metadata"]["generation"], 1);
    api.patch(&path, STRATEGIC, &json!({ "spec": { "containers": [{ "name": "c", "image": "j" }] } }))
        .await
        .ok();
    assert_eq!(api.get(&path).await.ok()["metadata"]["generation"], 2);
}

#[tokio::test]
async fn conditions_that_clients_write_take_effect() {
    let api = Api::serve(RING).await;
    let (pod, status) = (format!("{PODS}/db-0"), format!("{PODS}/db-0/status"));
    assert_eq!(ready(&api).await, 3);
    api.patch(&status, STRATEGIC, &with_condition("Ready", "False")).await.ok();
    let shown = api.get(&pod).await.ok();
    assert_eq!(
        conditions(&shown),
        ["ContainersReady=True", "Initialized=True", "PodScheduled=True", "Ready=False Reported"]
    );
    assert_eq!((ready(&api).await, text(&condition(&shown, "Ready")["message"])), (2, "so"));
    // Other conditions are kept, including unknown ones.
    api.patch(&status, STRATEGIC, &with_condition("example.com/x", "Unknown")).await.ok();
    api.patch(&status, MERGE, &json!({ "status": { "allocatedResources": { "cpu": "1" } } })).await.ok();
    // An update of the pod itself does not change its status.
    api.patch(&pod, MERGE, &json!({ "metadata": { "labels": { "a": "b" } } })).await.ok();
    let shown = api.get(&pod).await.ok();
    assert_eq!(condition(&shown, "example.com/x")["status"], "Unknown");
    assert_eq!((&shown["status"]["allocatedResources"]["cpu"], ready(&api).await), (&json!("1"), 2));
    api.patch(&status, STRATEGIC, &with_condition("Ready", "True")).await.ok();
    assert_eq!(ready(&api).await, 3);
}

#[tokio::test]
async fn a_pod_that_a_client_marks_as_failed_is_replaced() {
    let api = Api::serve(RING).await;
    let uid = |pod: &Value| text(&pod["metadata"]["uid"]).to_string();
    let before = uid(&api.get(&format!("{PODS}/db-1")).await.ok());
    api.patch(&format!("{PODS}/db-1/status"), MERGE, &json!({ "status": { "phase": "Failed" } })).await.ok();
    let after = api.get(&format!("{PODS}/db-1")).await.ok();
    assert!(uid(&after) != before && after["status"]["phase"] == "Running", "{after}");
}

#[tokio::test]
async fn readiness_gates_block_readiness() {
    let gated = RING.replace(
        "spec: {containers:",
        "spec: {readinessGates: [{conditionType: example.com/synced}], containers:",
    );
    let api = Api::serve(&gated).await;
    let (pod, status) = (format!("{PODS}/db-0"), format!("{PODS}/db-0/status"));
    let shown = api.get(&pod).await.ok();
    assert_eq!(
        conditions(&shown),
        [
            "ContainersReady=True",
            "Initialized=True",
            "PodScheduled=True",
            "Ready=False ReadinessGatesNotReady"
        ]
    );
    assert_eq!(
        text(&condition(&shown, "Ready")["message"]),
        "corresponding condition of pod readiness gate \"example.com/synced\" does not exist."
    );
    assert_eq!(
        (shown["status"]["containerStatuses"][0]["ready"].as_bool(), ready(&api).await),
        (Some(true), 0)
    );
    // An ordered set waits for its first pod.
    assert_eq!(api.get(&format!("{PODS}/db-1")).await.code, 404);
    api.patch(&status, STRATEGIC, &with_condition("example.com/synced", "False")).await.ok();
    let shown = api.get(&pod).await.ok();
    assert_eq!(
        text(&condition(&shown, "Ready")["message"]),
        "the status of pod readiness gate \"example.com/synced\" is not \"True\", but False"
    );
    api.patch(&status, STRATEGIC, &with_condition("example.com/synced", "True")).await.ok();
    let shown = api.get(&pod).await.ok();
    assert_eq!((text(&condition(&shown, "Ready")["status"]), ready(&api).await), ("True", 1));
    assert_eq!(api.get(&format!("{PODS}/db-1")).await.code, 200);
    api.patch(&status, STRATEGIC, &with_condition("example.com/synced", "False")).await.ok();
    assert_eq!(ready(&api).await, 0);
}

#[tokio::test]
async fn a_pod_waits_until_a_node_admits_it() {
    let api = Api::serve("").await;
    let pod = |name: &str, spec: Value| {
        let mut spec = spec;
        spec["containers"] = json!([{ "name": "c", "image": "i" }]);
        let metadata = json!({ "name": name, "labels": { "app": name.trim_end_matches(|c: char| "-0123".contains(c)) } });
        json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec })
    };
    let apart = json!({ "affinity": { "podAntiAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": [
        { "topologyKey": "kubernetes.io/hostname", "labelSelector": { "matchLabels": { "app": "db" } } },
    ] } } });
    for name in ["db-0", "db-1", "db-2", "db-3"] {
        api.post(PODS, &pod(name, apart.clone())).await.ok();
    }
    let shown = api.get(&format!("{PODS}/db-3")).await.ok();
    let message = "0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules. no new claims to deallocate, \
                   preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod.";
    assert_eq!(
        (&shown["status"]["phase"], conditions(&shown)),
        (&json!("Pending"), vec!["PodScheduled=False Unschedulable".into()])
    );
    assert_eq!(condition(&shown, "PodScheduled")["message"], message);
    let events = api.get("/api/v1/namespaces/default/events").await.ok();
    let failed = events["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|event| event["reason"] == "FailedScheduling");
    let failed: Vec<&str> = failed.map(|event| text(&event["message"])).collect();
    assert_eq!(failed, [message]);
    api.ask("DELETE", &format!("{PODS}/db-1"), &[], "").await.ok();
    assert_eq!(api.get(&format!("{PODS}/db-3")).await.ok()["status"]["phase"], "Running");

    api.post(PODS, &pod("picky", json!({ "nodeSelector": { "disk": "ssd" } }))).await.ok();
    assert_eq!(api.get(&format!("{PODS}/picky")).await.ok()["status"]["phase"], "Pending");
    let labelled = json!({ "metadata": { "labels": { "disk": "ssd" } } });
    api.patch("/api/v1/nodes/node-2", MERGE, &labelled).await.ok();
    assert_eq!(api.get(&format!("{PODS}/picky")).await.ok()["spec"]["nodeName"], "node-2");

    api.post(PODS, &pod("gated", json!({ "schedulingGates": [{ "name": "example.com/g" }] }))).await.ok();
    let shown = api.get(&format!("{PODS}/gated")).await.ok();
    assert_eq!(conditions(&shown), ["PodScheduled=False SchedulingGated"]);
    let message = "Scheduling is blocked due to non-empty scheduling gates";
    assert_eq!(condition(&shown, "PodScheduled")["message"], message);
    let open = json!({ "spec": { "schedulingGates": null } });
    api.patch(&format!("{PODS}/gated"), MERGE, &open).await.ok();
    let shown = api.get(&format!("{PODS}/gated")).await.ok();
    assert_eq!(
        (&shown["status"]["phase"], &condition(&shown, "PodScheduled")["status"]),
        (&json!("Running"), &json!("True"))
    );
}

#[tokio::test]
async fn an_evicted_pod_is_a_disruption_target() {
    let api = Api::serve("").await;
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": "solo", "annotations": { "clusterlocal.dev/stop-delay": "20s" } },
        "spec": { "containers": [{ "name": "c", "image": "i" }] },
    });
    api.post(PODS, &pod).await.ok();
    let eviction = json!({ "apiVersion": "policy/v1", "kind": "Eviction", "metadata": { "name": "solo" } });
    assert_eq!(api.post(&format!("{PODS}/solo/eviction"), &eviction).await.code, 201);
    let shown = api.get(&format!("{PODS}/solo")).await.ok();
    assert!(shown["metadata"]["deletionTimestamp"].is_string(), "{shown}");
    let target = condition(&shown, "DisruptionTarget");
    assert_eq!(
        (text(&target["status"]), text(&target["reason"]), text(&target["message"])),
        ("True", "EvictionByEvictionAPI", "Eviction API: evicting")
    );
}
