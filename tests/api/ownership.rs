//! Ownership and blocked deletion: adoption, release, other pods, finalizers and the garbage collector, as in
//! `pkg/controller/controller_ref_manager.go` and `pkg/controller/garbagecollector`.

use serde_json::{Value, json};

use super::{Api, MERGE, PODS, RING, SETS, names, text};

const SET: &str = "/apis/apps/v1/namespaces/default/statefulsets/db";

fn pod(name: &str, app: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": name, "labels": { "app": app } },
        "spec": { "containers": [{ "name": "c", "image": "i" }] },
    })
}

impl Api {
    /// The pods, each with kind and name of its controller: `db-0 StatefulSet/db`, `stray -`.
    async fn owned(&self) -> Vec<String> {
        let pods = self.get(PODS).await.ok();
        let owner = |pod: &Value| {
            let owners = pod["metadata"]["ownerReferences"].as_array().cloned().unwrap_or_default();
            let controller = owners.into_iter().find(|owner| owner["controller"] == true);
            let shown = |owner: Value| format!("{}/{}", text(&owner["kind"]), text(&owner["name"]));
            controller.map_or("-".to_string(), shown)
        };
        let items = pods["items"].as_array().expect("items");
        items.iter().map(|pod| format!("{} {}", text(&pod["metadata"]["name"]), owner(pod))).collect()
    }

    async fn label(&self, pod: &str, app: Value) {
        let patch = json!({ "metadata": { "labels": { "app": app } } });
        self.patch(&format!("{PODS}/{pod}"), MERGE, &patch).await.ok();
    }

    async fn delete(&self, path: &str, policy: &str) -> Value {
        let options = json!({ "kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": policy });
        self.ask("DELETE", path, &[("content-type", super::JSON)], options.to_string()).await.ok()
    }

    async fn messages(&self) -> Vec<String> {
        let events = self.get("/api/v1/namespaces/default/events").await.ok();
        let items = events["items"].as_array().expect("items");
        items.iter().map(|event| format!("{}: {}", text(&event["reason"]), text(&event["message"]))).collect()
    }
}

#[tokio::test]
async fn a_set_releases_a_pod_whose_labels_stop_matching() {
    let api = Api::serve(RING).await;
    api.label("db-1", json!("quarantine")).await;
    // The name is taken, so no other db-1 is created.
    assert_eq!(api.owned().await, ["db-0 StatefulSet/db", "db-1 -", "db-2 StatefulSet/db"]);
    let set = api.get(SET).await.ok();
    assert_eq!((&set["status"]["replicas"], &set["status"]["readyReplicas"]), (&json!(2), &json!(2)));
    // A rollout and the set's deletion do not affect it.
    let image =
        json!({ "spec": { "template": { "spec": { "containers": [{ "name": "c", "image": "x:2" }] } } } });
    api.patch(SET, "application/strategic-merge-patch+json", &image).await.ok();
    let released = api.get(&format!("{PODS}/db-1")).await.ok();
    assert_eq!(released["spec"]["containers"][0]["image"], "cassandra:5");
    api.delete(SET, "Background").await;
    assert_eq!(api.owned().await, ["db-1 -"]);
}

#[tokio::test]
async fn a_set_does_not_change_pods_of_other_owners() {
    let set = RING;
    let table = [
        ("an orphan that the selector does not match", json!({}), "db-1 -"),
        (
            "a pod of another controller",
            json!([{ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "11111111-1111-4111-8111-111111111111", "controller": true }]),
            "",
        ),
    ];
    let (_, _, stays) = &table[0];
    let api = Api::serve("apiVersion: v1\nkind: Namespace\nmetadata: {name: default}\n").await;
    api.post(PODS, &pod("db-1", "other")).await.ok();
    for document in set.split("---") {
        let object: Value = serde_yaml::from_str(document).expect("YAML");
        let path = if object["kind"] == "Service" { "/api/v1/namespaces/default/services" } else { SETS };
        api.post(path, &object).await.ok();
    }
    assert_eq!(api.owned().await, ["db-0 StatefulSet/db", *stays]);
    let set = api.get(SET).await.ok();
    assert_eq!(set["status"]["replicas"], 1, "{}", set["status"]);
    // Without that pod the set continues.
    api.delete(&format!("{PODS}/db-1"), "Background").await;
    assert_eq!(api.owned().await, ["db-0 StatefulSet/db", "db-1 StatefulSet/db", "db-2 StatefulSet/db"]);
    // A pod whose owner does not exist is deleted.
    let (_, owners, _) = &table[1];
    let mut owned = pod("lost", "other");
    owned["metadata"]["ownerReferences"] = owners.clone();
    api.post(PODS, &owned).await.ok();
    assert_eq!(api.get(&format!("{PODS}/lost")).await.code, 404);
}

#[tokio::test]
async fn orphaned_pods_are_adopted_by_the_next_set() {
    let api = Api::serve(RING).await;
    let mut set = api.get(SET).await.ok();
    api.delete(SET, "Orphan").await;
    assert_eq!(api.owned().await, ["db-0 -", "db-1 -", "db-2 -"]);
    let uid = |pods: &Value| text(&pods["items"][0]["metadata"]["uid"]).to_string();
    let before = uid(&api.get(PODS).await.ok());
    set["metadata"] = json!({ "name": "db" });
    let made = api.post(SETS, &set).await.ok();
    assert_eq!(api.owned().await, ["db-0 StatefulSet/db", "db-1 StatefulSet/db", "db-2 StatefulSet/db"]);
    let pods = api.get(PODS).await.ok();
    assert_eq!(uid(&pods), before, "the pods are the same");
    assert_eq!(pods["items"][0]["metadata"]["ownerReferences"][0]["uid"], made["metadata"]["uid"]);
    assert_eq!(pods["items"][0]["metadata"]["generateName"], "db-");
    api.delete(SET, "Background").await;
    assert_eq!(api.owned().await, [""; 0]);
}

#[tokio::test]
async fn finalizers_hold_a_deletion() {
    let api = Api::serve(RING).await;
    let hold = json!({ "metadata": { "finalizers": ["example.com/hold"] } });
    let release = json!({ "metadata": { "finalizers": null } });
    // A pod stops, leaves the slices, and its name stays taken.
    let path = format!("{PODS}/db-1");
    api.patch(&path, MERGE, &hold).await.ok();
    api.delete(&path, "Background").await;
    let pod = api.get(&path).await.ok();
    assert!(pod["metadata"]["deletionTimestamp"].is_string(), "{pod}");
    let slices = api.get("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector=kubernetes.io/service-name=db").await.ok();
    let endpoints = slices["items"][0]["endpoints"].as_array().expect("endpoints").len();
    assert_eq!(endpoints, 2, "{slices}");
    api.patch(&path, MERGE, &release).await.ok();
    let new = api.get(&path).await.ok();
    assert_ne!(new["metadata"]["uid"], pod["metadata"]["uid"]);
    // A namespace waits for its content.
    let namespaces = "/api/v1/namespaces";
    api.post(namespaces, &json!({ "metadata": { "name": "held" } })).await.ok();
    let mut config = json!({ "metadata": { "name": "c" } });
    config["metadata"]["finalizers"] = json!(["example.com/hold"]);
    api.post("/api/v1/namespaces/held/configmaps", &config).await.ok();
    api.delete("/api/v1/namespaces/held", "Background").await;
    assert_eq!(api.get("/api/v1/namespaces/held").await.ok()["status"]["phase"], "Terminating");
    let again = api.post(namespaces, &json!({ "metadata": { "name": "held" } })).await;
    assert_eq!(again.failure().1, "AlreadyExists");
    api.patch("/api/v1/namespaces/held/configmaps/c", MERGE, &release).await.ok();
    assert_eq!(api.get("/api/v1/namespaces/held").await.code, 404);
}

#[tokio::test]
async fn foreground_deletion_waits_for_blocking_dependents() {
    let api = Api::serve(RING).await;
    let hold = json!({ "metadata": { "finalizers": ["example.com/hold"] } });
    api.patch(&format!("{PODS}/db-0"), MERGE, &hold).await.ok();
    let shown = api.delete(SET, "Foreground").await;
    assert_eq!(shown["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    assert_eq!(names(&api.get(PODS).await.ok()), ["db-0"]);
    assert_eq!(api.get(SET).await.code, 200, "it waits for db-0");
    api.patch(&format!("{PODS}/db-0"), MERGE, &json!({ "metadata": { "finalizers": null } })).await.ok();
    assert_eq!(api.get(SET).await.code, 404);
}

#[tokio::test]
async fn owners_in_a_cycle_are_deleted_together() {
    let api = Api::serve("apiVersion: v1\nkind: Namespace\nmetadata: {name: default}\n").await;
    let mut uids = Vec::new();
    for name in ["a", "b", "c"] {
        uids.push(api.post(PODS, &pod(name, "circle")).await.ok()["metadata"]["uid"].clone());
    }
    for (at, name) in ["a", "b", "c"].into_iter().enumerate() {
        let owner = ["a", "b", "c"][(at + 2) % 3];
        let reference = json!({
            "apiVersion": "v1", "kind": "Pod", "name": owner, "uid": uids[(at + 2) % 3],
            "controller": true, "blockOwnerDeletion": true,
        });
        let patch = json!({ "metadata": { "ownerReferences": [reference] } });
        api.patch(&format!("{PODS}/{name}"), MERGE, &patch).await.ok();
    }
    api.delete(&format!("{PODS}/a"), "Foreground").await;
    assert_eq!(names(&api.get(PODS).await.ok()), [""; 0]);
}

#[tokio::test]
async fn a_set_reports_why_the_api_refuses_its_pods() {
    let name = "a-name-of-fifty-eight-characters-which-is-long-for-any-set";
    let set = RING.replace("name: db}\nspec:\n", &format!("name: {name}}}\nspec:\n"));
    let api = Api::serve(&set).await;
    // The bring-up emits no Events: a later change makes the controller try again.
    let annotate = json!({ "metadata": { "annotations": { "a": "b" } } });
    let set = api.patch(&format!("{SETS}/{name}"), MERGE, &annotate).await.ok();
    assert_eq!(set["status"]["replicas"], 0);
    assert_eq!(names(&api.get(PODS).await.ok()), [""; 0]);
    let messages = api.messages().await;
    let failed = format!(
        "FailedCreate: Create Pod {name}-0 in StatefulSet {name} failed error: Pod \"{name}-0\" is invalid: metadata.labels: Invalid value: "
    );
    assert!(messages.iter().any(|message| message.starts_with(&failed)), "{messages:?}");
    let table = [
        (
            "a-very-long-name-of-a-stateful-set-which-goes-on-and-on-and-onward-x",
            "must be no more than 63 characters",
        ),
        ("dotted.name", "must not contain dots"),
    ];
    for (name, why) in table {
        let mut set = api.get(&format!("{SETS}/{}", text(&set["metadata"]["name"]))).await.ok();
        set["metadata"] = json!({ "name": name });
        let refused = api.post(SETS, &set).await;
        let expected =
            format!("StatefulSet.apps {name:?} is invalid: metadata.name: Invalid value: {name:?}: {why}");
        assert_eq!(refused.failure(), (422, "Invalid", &*expected));
    }
}

#[tokio::test]
async fn fields_of_the_other_update_strategy_are_refused() {
    let api = Api::serve(RING).await;
    let table = [
        (
            json!({ "type": "OnDelete" }),
            "spec.updateStrategy.rollingUpdate: Invalid value: {\"Partition\":0,\"MaxUnavailable\":null}: only allowed for updateStrategy 'RollingUpdate'",
        ),
        (
            json!({ "rollingUpdate": { "partition": -1 } }),
            "spec.updateStrategy.rollingUpdate.partition: Invalid value: -1: must be greater than or equal to 0",
        ),
    ];
    for (strategy, why) in table {
        let refused = api.patch(SET, MERGE, &json!({ "spec": { "updateStrategy": strategy } })).await;
        let expected = format!("StatefulSet.apps \"db\" is invalid: {why}");
        assert_eq!(refused.failure(), (422, "Invalid", &*expected));
    }
    let both = json!({ "spec": { "updateStrategy": { "type": "OnDelete", "rollingUpdate": null } } });
    api.patch(SET, MERGE, &both).await.ok();
}

/// A pod is adopted with the volumes that it has: if they are not the claims of its ordinal, the API refuses the update,
/// and the set stops there (stateful_pod_control.go, UpdateStatefulPod).
#[tokio::test]
async fn a_set_adopts_only_pods_with_the_volumes_of_their_ordinal() {
    let claimed = json!([{ "name": "data", "persistentVolumeClaim": { "claimName": "data-db-1" } }]);
    let of_other = json!([{ "name": "data", "persistentVolumeClaim": { "claimName": "mine" } }]);
    let otherwise_named = json!([{ "name": "d", "persistentVolumeClaim": { "claimName": "data-db-1" } }]);
    let stopped = ["db-0", "db-1"].as_slice();
    let all = ["db-0", "db-1", "db-2", "db-3"].as_slice();
    // Policy, volumes of the other pod, the set's pods afterwards: in parallel, the batch that includes db-1 is completed.
    let table = [
        ("OrderedReady", json!([]), stopped, "FailedUpdate"),
        ("OrderedReady", of_other, stopped, "FailedUpdate"),
        ("OrderedReady", otherwise_named, stopped, "FailedUpdate"),
        ("OrderedReady", claimed.clone(), all, "SuccessfulUpdate"),
        ("Parallel", json!([]), &["db-0", "db-1", "db-2"], "FailedUpdate"),
        ("Parallel", claimed, all, "SuccessfulUpdate"),
    ];
    for (policy, volumes, expected, reason) in table {
        let api = Api::serve("apiVersion: v1\nkind: Namespace\nmetadata: {name: default}\n").await;
        let mut stranger = pod("db-1", "db");
        stranger["spec"]["volumes"] = volumes.clone();
        let claim =
            json!({ "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } });
        let claims = "/api/v1/namespaces/default/persistentvolumeclaims";
        api.post(claims, &json!({ "metadata": { "name": "mine" }, "spec": claim })).await.ok();
        api.post(claims, &json!({ "metadata": { "name": "data-db-1" }, "spec": claim })).await.ok();
        api.post(PODS, &stranger).await.ok();
        let set = json!({
            "metadata": { "name": "db" },
            "spec": {
                "replicas": 4,
                "podManagementPolicy": policy,
                "updateStrategy": { "type": "OnDelete" },
                "selector": { "matchLabels": { "app": "db" } },
                "template": {
                    "metadata": { "labels": { "app": "db" } },
                    "spec": { "containers": [{ "name": "c", "image": "i" }] },
                },
                "volumeClaimTemplates": [{ "metadata": { "name": "data" }, "spec": claim }],
            },
        });
        api.post(SETS, &set).await.ok();
        let pods = api.get(PODS).await.ok();
        assert_eq!(names(&pods), expected, "{policy} {volumes}");
        let labels = &api.get(&format!("{PODS}/db-1")).await.ok()["metadata"]["labels"];
        let identified = labels["statefulset.kubernetes.io/pod-name"] == "db-1";
        assert_eq!(identified, reason == "SuccessfulUpdate", "{policy} {volumes}");
        let update = match reason {
            "FailedUpdate" => {
                "FailedUpdate: Update Pod db-1 in StatefulSet db failed error: Pod \"db-1\" is invalid: spec: Forbidden: \
                 pod updates may not change fields other than `spec.containers[*].image`,"
            }
            _ => "SuccessfulUpdate: Update Pod db-1 in StatefulSet db successful",
        };
        let messages = api.messages().await;
        assert!(
            messages.iter().any(|message| message.starts_with(update)),
            "{policy} {volumes}: {messages:?}"
        );
    }
}

/// A CronJob lists the Jobs that it created: another one that names it as its owner is unexpected (syncCronJob). All of
/// them count for the last success.
#[tokio::test]
async fn a_cron_job_does_not_list_the_job_of_a_client() {
    let api = Api::serve("apiVersion: v1\nkind: Namespace\nmetadata: {name: default}\n").await;
    let job = json!({
        "template": { "spec": { "restartPolicy": "Never", "containers": [{ "name": "c", "image": "i" }] } },
    });
    let crons = "/apis/batch/v1/namespaces/default/cronjobs";
    let cron = json!({ "metadata": { "name": "c" }, "spec": { "schedule": "0 0 1 1 *", "jobTemplate": { "spec": job } } });
    let uid = api.post(crons, &cron).await.ok()["metadata"]["uid"].clone();
    let owner =
        json!({ "apiVersion": "batch/v1", "kind": "CronJob", "name": "c", "uid": uid, "controller": true });
    let by_hand = json!({ "metadata": { "name": "by-hand", "ownerReferences": [owner] }, "spec": job });
    api.post("/apis/batch/v1/namespaces/default/jobs", &by_hand).await.ok();
    let cron = api.get(&format!("{crons}/c")).await.ok();
    assert_eq!(cron["status"]["active"], Value::Null);
    let unexpected = "UnexpectedJob: Saw a job that the controller did not create or forgot: by-hand";
    assert!(api.messages().await.iter().any(|message| message == unexpected));
}
