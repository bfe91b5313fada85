//! Quotas apply to controllers as to clients: refused objects, the Events and conditions about them, and retries
//! (plugin/pkg/admission/resourcequota, and the controllers' FailedCreate).

use serde_json::{Value, json};

use super::{Api, JSON, MERGE, RING, names, text};

const APPS: &str = "/apis/apps/v1/namespaces/q";
const CORE: &str = "/api/v1/namespaces/q";
const QUOTA: &str = "/api/v1/namespaces/q/resourcequotas/q";

impl Api {
    /// A cluster with the namespace `q` and a quota `q` in it.
    async fn with_quota(hard: Value) -> Api {
        let api = Api::serve("apiVersion: v1\nkind: Namespace\nmetadata: {name: q}\n").await;
        let quota = json!({ "metadata": { "name": "q" }, "spec": { "hard": hard } });
        api.post(&format!("{CORE}/resourcequotas"), &quota).await.ok();
        api
    }

    async fn pass(&self, by: &str) {
        self.post("/apis/clusterlocal.dev/v1/clocks/cluster/advance", &json!({ "by": by })).await.ok();
    }

    async fn count(&self, path: &str) -> usize {
        names(&self.get(path).await.ok()).len()
    }

    /// The messages of the Events of `kind` with `reason`.
    async fn messages_of(&self, kind: &str, reason: &str) -> Vec<String> {
        let events = self.get(&format!("{CORE}/events")).await.ok();
        let items = events["items"].as_array().expect("items").iter();
        let of_kind =
            items.filter(|event| event["involvedObject"]["kind"] == kind && event["reason"] == reason);
        of_kind.map(|event| text(&event["message"]).to_owned()).collect()
    }
}

/// A pod template with the label `app`.
fn template(app: &str) -> Value {
    json!({ "metadata": { "labels": { "app": app } }, "spec": { "containers": [{ "name": "c", "image": "i" }] } })
}

/// A workload `w` of three pods.
fn workload(kind: &str) -> (String, Value) {
    let selector = json!({ "matchLabels": { "app": "w" } });
    let mut spec = json!({ "replicas": 3, "selector": selector, "template": template("w") });
    let path = match kind {
        "StatefulSet" => {
            spec["podManagementPolicy"] = "Parallel".into();
            format!("{APPS}/statefulsets")
        }
        "ReplicationController" => {
            spec["selector"] = json!({ "app": "w" });
            format!("{CORE}/replicationcontrollers")
        }
        "Job" => {
            spec = json!({ "parallelism": 3, "completions": 3, "template": template("w") });
            spec["template"]["spec"]["restartPolicy"] = "Never".into();
            "/apis/batch/v1/namespaces/q/jobs".into()
        }
        "DaemonSet" => {
            spec = json!({ "selector": selector, "template": template("w") });
            format!("{APPS}/daemonsets")
        }
        "Deployment" => format!("{APPS}/deployments"),
        _ => format!("{APPS}/replicasets"),
    };
    (path, json!({ "metadata": { "name": "w" }, "spec": spec }))
}

/// No controller creates more pods than the quota admits; each reports the API's message, and retries.
#[tokio::test]
async fn a_quota_limits_the_pods_of_controllers() {
    // Kind of the workload, kind that the Event is about, beginning of the message, pods that the quota admits.
    let table = [
        ("Deployment", "ReplicaSet", "Error creating: pods \"w-", 2),
        ("ReplicaSet", "ReplicaSet", "Error creating: pods \"w-", 2),
        ("ReplicationController", "ReplicationController", "Error creating: pods \"w-", 2),
        ("DaemonSet", "DaemonSet", "Error creating: pods \"w-", 2),
        ("Job", "Job", "Error creating: pods \"w-", 2),
        ("StatefulSet", "StatefulSet", "Create Pod w-2 in StatefulSet w failed error: pods \"w-2\"", 2),
        ("StatefulSet", "StatefulSet", "Create Pod w-0 in StatefulSet w failed error: pods \"w-0\"", 0),
        ("ReplicaSet", "ReplicaSet", "Error creating: pods \"w-", 0),
    ];
    for (kind, about, begins, admitted) in table {
        let api = Api::with_quota(json!({ "pods": admitted.to_string() })).await;
        for node in ["a", "b", "c"] {
            api.post("/api/v1/nodes", &json!({ "metadata": { "name": node } })).await.ok();
        }
        let (path, object) = workload(kind);
        api.post(&path, &object).await.ok();
        assert_eq!(api.count(&format!("{CORE}/pods")).await, admitted, "{kind}");
        let used = api.get(QUOTA).await.ok()["status"]["used"]["pods"].clone();
        assert_eq!(used, admitted.to_string(), "{kind}");
        let messages = api.messages_of(about, "FailedCreate").await;
        let ends = format!(
            "is forbidden: exceeded quota: q, requested: pods=1, used: pods={admitted}, limited: pods={admitted}"
        );
        assert!(!messages.is_empty(), "{kind}");
        for message in &messages {
            assert!(message.starts_with(begins) && message.ends_with(&ends), "{kind}: {message}");
        }
        let failing = |object: &Value| {
            let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let failing = conditions.into_iter().find(|condition| condition["type"] == "ReplicaFailure");
            failing.map(|condition| {
                (text(&condition["status"]).to_owned(), text(&condition["reason"]).to_owned())
            })
        };
        let expected = Some(("True".to_owned(), "FailedCreate".to_owned()));
        let has_condition = matches!(kind, "Deployment" | "ReplicaSet" | "ReplicationController");
        let found = failing(&api.get(&format!("{path}/w")).await.ok());
        assert_eq!(found, expected.filter(|_| has_condition), "{kind}");
        // With a larger quota, the controller's next retry succeeds.
        api.patch(QUOTA, MERGE, &json!({ "spec": { "hard": { "pods": "10" } } })).await.ok();
        api.pass("1m").await;
        let expected = api.count("/api/v1/nodes").await.max(3);
        let expected = if kind == "DaemonSet" { expected } else { 3 };
        assert_eq!(api.count(&format!("{CORE}/pods")).await, expected, "{kind}");
        assert_eq!(failing(&api.get(&format!("{path}/w")).await.ok()), None, "{kind}");
    }
}

/// Workloads of one namespace share its quota, even if they are reconciled at the same time.
#[tokio::test]
async fn workloads_share_a_quota() {
    let api = Api::with_quota(json!({ "pods": "4" })).await;
    for name in ["a", "b", "c"] {
        let (path, mut object) = workload("ReplicaSet");
        object["metadata"]["name"] = name.into();
        object["spec"]["selector"] = json!({ "matchLabels": { "app": name } });
        object["spec"]["template"] = template(name);
        api.post(&path, &object).await.ok();
    }
    assert_eq!(api.count(&format!("{CORE}/pods")).await, 4);
    api.ask("DELETE", &format!("{APPS}/replicasets/a"), &[("content-type", JSON)], "{}").await.ok();
    api.pass("1m").await;
    assert_eq!(api.count(&format!("{CORE}/pods")).await, 4);
}

/// The claims of a StatefulSet count against a quota of claims or of storage, and its pod is not created without them
/// (stateful_pod_control.go, createPersistentVolumeClaims).
#[tokio::test]
async fn a_quota_limits_the_claims_of_a_set() {
    let table = [
        (json!({ "persistentvolumeclaims": "1" }), "persistentvolumeclaims=1"),
        (json!({ "requests.storage": "1Gi" }), "requests.storage=1Gi"),
    ];
    for (hard, amount) in table {
        let api = Api::with_quota(hard).await;
        let (path, mut set) = workload("StatefulSet");
        let claim =
            json!({ "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } });
        set["spec"]["volumeClaimTemplates"] = json!([{ "metadata": { "name": "data" }, "spec": claim }]);
        set["spec"]["podManagementPolicy"] = "OrderedReady".into();
        api.post(&path, &set).await.ok();
        assert_eq!(names(&api.get(&format!("{CORE}/persistentvolumeclaims")).await.ok()), ["data-w-0"]);
        assert_eq!(names(&api.get(&format!("{CORE}/pods")).await.ok()), ["w-0"]);
        let why = format!(
            "persistentvolumeclaims \"data-w-1\" is forbidden: exceeded quota: q, requested: {amount}, used: {amount}, \
             limited: {amount}"
        );
        let mut messages = api.messages_of("StatefulSet", "FailedCreate").await;
        messages.sort();
        let expected = [
            format!("Create Claim data-w-1 for Pod w-1 in StatefulSet w failed error: {why}"),
            format!("Create Pod w-1 in StatefulSet w failed error: failed to create PVC data-w-1: {why}"),
        ];
        assert_eq!(messages, expected);
    }
}

/// A quota of Jobs limits a CronJob.
#[tokio::test]
async fn a_quota_limits_the_jobs_of_a_cron_job() {
    let api = Api::with_quota(json!({ "count/jobs.batch": "1" })).await;
    let (_, job) = workload("Job");
    let cron = json!({
        "metadata": { "name": "c" },
        "spec": { "schedule": "* * * * *", "jobTemplate": { "spec": job["spec"] } },
    });
    api.post("/apis/batch/v1/namespaces/q/cronjobs", &cron).await.ok();
    api.pass("150s").await;
    assert_eq!(api.count("/apis/batch/v1/namespaces/q/jobs").await, 1);
    let messages = api.messages_of("CronJob", "FailedCreate").await;
    assert!(
        messages.iter().any(|message| message.starts_with("Error creating job: jobs.batch \"c-")
            && message.ends_with(
                "is forbidden: exceeded quota: q, requested: count/jobs.batch=1, used: count/jobs.batch=1, \
                 limited: count/jobs.batch=1"
            )),
        "{messages:?}"
    );
}

/// Pods of controllers get the defaults of a LimitRange, and are refused beyond its limits
/// (plugin/pkg/admission/limitranger). A quota of requests admits them with the defaults.
#[tokio::test]
async fn a_limit_range_applies_to_pods_of_controllers() {
    let kinds = ["Deployment", "ReplicationController", "StatefulSet", "DaemonSet", "Job"];
    let default = json!({ "requests": { "cpu": "100m" }, "limits": { "cpu": "300m" } });
    let own = json!({ "requests": { "cpu": "50m" }, "limits": { "cpu": "400m" } });
    let large = json!({ "limits": { "cpu": "600m" } });
    let too_much = "is forbidden: maximum cpu usage per Container is 500m, but limit is 600m";
    // Requests of the template, requests of the pods, reason of the refusal.
    let table =
        [(json!({}), Some(default), None), (own.clone(), Some(own), None), (large, None, Some(too_much))];
    for kind in kinds {
        for (asked, expected, refused) in &table {
            let api = Api::with_quota(json!({ "requests.cpu": "2" })).await;
            api.post("/api/v1/nodes", &json!({ "metadata": { "name": "a" } })).await.ok();
            let limit = json!({
                "type": "Container",
                "max": { "cpu": "500m" },
                "default": { "cpu": "300m" },
                "defaultRequest": { "cpu": "100m" },
            });
            let range = json!({ "metadata": { "name": "r" }, "spec": { "limits": [limit] } });
            api.post(&format!("{CORE}/limitranges"), &range).await.ok();
            let (path, mut object) = workload(kind);
            object["spec"]["template"]["spec"]["containers"][0]["resources"] = asked.clone();
            api.post(&path, &object).await.ok();
            let pods = api.get(&format!("{CORE}/pods")).await.ok();
            let pods = pods["items"].as_array().expect("items");
            assert_eq!(pods.is_empty(), expected.is_none(), "{kind} {asked}");
            for pod in pods {
                assert_eq!(
                    pod["spec"]["containers"][0]["resources"],
                    *expected.as_ref().expect("resources"),
                    "{kind}"
                );
                let annotation = text(&pod["metadata"]["annotations"]["kubernetes.io/limit-ranger"]);
                let given = "LimitRanger plugin set: cpu request for container c; cpu limit for container c";
                assert_eq!(annotation, if *asked == json!({}) { given } else { "" }, "{kind}");
            }
            let about = if kind == "Deployment" { "ReplicaSet" } else { kind };
            let messages = api.messages_of(about, "FailedCreate").await;
            assert_eq!(messages.is_empty(), refused.is_none(), "{kind} {messages:?}");
            assert!(
                messages.iter().all(|message| message.ends_with(refused.unwrap_or_default())),
                "{messages:?}"
            );
        }
    }
}

/// The controller ignores a status that a client wrote until its periodic full sync (`--resource-quota-sync-period`).
#[tokio::test]
async fn a_status_of_a_quota_written_by_a_client_stays_for_five_minutes() {
    let api = Api::with_quota(json!({ "pods": "1" })).await;
    let hard = async |api: &Api| api.get(QUOTA).await.ok()["status"]["hard"]["pods"].clone();
    let write = json!({ "status": { "hard": { "pods": "2" } } });
    // Change of the spec, time to wait; the status afterwards.
    let table = [(None, "1s", "2"), (Some("3"), "0s", "3"), (None, "0s", "2"), (None, "300s", "3")];
    for (spec, by, expected) in table {
        let case = format!("{spec:?} {by}");
        if let Some(pods) = spec {
            api.patch(QUOTA, MERGE, &json!({ "spec": { "hard": { "pods": pods } } })).await.ok();
        } else if by != "300s" {
            let written = api.patch(&format!("{QUOTA}/status"), MERGE, &write).await.ok();
            assert_eq!(written["status"]["hard"]["pods"], "2", "{case}");
        }
        api.pass(by).await;
        assert_eq!(hard(&api).await, expected, "{case}");
    }
}

/// The quota controller computes the usage, the admission plugin refuses requests.
#[tokio::test]
async fn a_quota_counts_usage_and_refuses_excess() {
    let api = Api::serve(RING).await;
    api.post("/api/v1/namespaces", &json!({ "metadata": { "name": "q" } })).await.ok();
    let quotas = "/api/v1/namespaces/q/resourcequotas";
    let hard =
        json!({ "pods": "2", "cpu": "1", "memory": "500Mi", "services": "1", "count/configmaps": "3" });
    api.post(quotas, &json!({ "metadata": { "name": "test-quota" }, "spec": { "hard": hard } })).await.ok();
    let used = async |name: &str| {
        api.get(&format!("{quotas}/test-quota")).await.ok()["status"]["used"][name].clone()
    };
    assert_eq!((used("pods").await, used("count/configmaps").await), ("0".into(), "1".into()));
    let pod = |name: &str, resources: Value| json!({ "metadata": { "name": name }, "spec": { "containers": [{ "name": "c", "image": "i", "resources": resources }] } });
    let pods = "/api/v1/namespaces/q/pods";
    let small = json!({ "requests": { "cpu": "500m", "memory": "252Mi" } });
    api.post(pods, &pod("one", small)).await.ok();
    assert_eq!(
        (used("pods").await, used("cpu").await, used("memory").await),
        ("1".into(), "500m".into(), "252Mi".into())
    );
    let large = json!({ "requests": { "cpu": "600m", "memory": "100Mi" } });
    assert_eq!(
        api.post(pods, &pod("two", large)).await.failure(),
        (
            403,
            "Forbidden",
            "pods \"two\" is forbidden: exceeded quota: test-quota, requested: cpu=600m, used: cpu=500m, limited: cpu=1"
        )
    );
    assert_eq!(
        api.post(pods, &pod("two", json!({}))).await.failure().2,
        "pods \"two\" is forbidden: failed quota: test-quota: must specify cpu for: c; memory for: c"
    );
    api.ask("DELETE", &format!("{pods}/one?gracePeriodSeconds=0"), &[], "").await.ok();
    assert_eq!(used("cpu").await, "0");
}

#[tokio::test]
async fn a_limit_range_sets_defaults_and_refuses_excess() {
    let api = Api::serve(RING).await;
    let limits = json!([{
        "type": "Container",
        "min": { "cpu": "50m" },
        "max": { "cpu": "500m" },
        "default": { "cpu": "300m" },
        "defaultRequest": { "cpu": "100m" },
    }]);
    let range = json!({ "metadata": { "name": "r" }, "spec": { "limits": limits } });
    api.post("/api/v1/namespaces/default/limitranges", &range).await.ok();
    let pod = |name: &str, resources: Value| json!({ "metadata": { "name": name }, "spec": { "containers": [{ "name": "c", "image": "i", "resources": resources }] } });
    let pods = "/api/v1/namespaces/default/pods";
    let made = api.post(pods, &pod("one", json!({}))).await.ok();
    assert_eq!(
        made["spec"]["containers"][0]["resources"],
        json!({ "requests": { "cpu": "100m" }, "limits": { "cpu": "300m" } })
    );
    assert_eq!(
        api.post(pods, &pod("two", json!({ "limits": { "cpu": "600m" } }))).await.failure().2,
        "pods \"two\" is forbidden: maximum cpu usage per Container is 500m, but limit is 600m"
    );
}
