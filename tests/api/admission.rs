//! What becomes of an object between its validation and the store, where a dry run differs from a write: allocation, generated
//! fields, the order in which reasons to refuse it are found. The answers are those of Kubernetes 1.36.

use serde_json::{Value, json};

use super::{Answer, Api, JSON, PODS, SETS, text};

const JOBS: &str = "/apis/batch/v1/namespaces/default/jobs";
const SERVICES: &str = "/api/v1/namespaces/default/services";
const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const VOLUMES: &str = "/api/v1/persistentvolumes";
const CLASSES: &str = "/apis/scheduling.k8s.io/v1/priorityclasses";
const EVENTS: &str = "/api/v1/namespaces/default/events";
const DRY: &str = "dryRun=All&fieldValidation=Strict";

fn template(more: Value) -> Value {
    let mut spec = json!({ "containers": [{ "name": "c", "image": "i" }] });
    more.as_object().into_iter().flatten().for_each(|(name, value)| spec[name] = value.clone());
    json!({ "metadata": { "labels": { "app": "a" } }, "spec": spec })
}

impl Answer {
    /// `CODE REASON MESSAGE` of a refusal, `taken` of anything else.
    fn verdict(&self) -> String {
        if self.code < 300 {
            return "taken".into();
        }
        format!("{} {} {}", self.code, text(&self.json["reason"]), text(&self.json["message"]))
    }
}

/// `generateSelector` of the strategy of Jobs: the answer has it before a controller has seen the Job.
#[tokio::test]
async fn a_tried_job_has_its_selector() {
    let api = Api::serve("").await;
    let mut spec = template(json!({ "restartPolicy": "Never" }));
    spec["metadata"] = json!({});
    let job = json!({ "metadata": { "name": "j" }, "spec": { "template": spec } });
    let tried = api.post(&format!("{JOBS}?{DRY}"), &job).await.ok();
    let uid = &tried["metadata"]["uid"];
    let labels = json!({
        "batch.kubernetes.io/controller-uid": uid, "controller-uid": uid,
        "batch.kubernetes.io/job-name": "j", "job-name": "j",
    });
    assert!(!text(uid).is_empty());
    assert_eq!(tried["metadata"]["labels"], labels);
    assert_eq!(tried["spec"]["template"]["metadata"]["labels"], labels);
    assert_eq!(
        tried["spec"]["selector"],
        json!({ "matchLabels": { "batch.kubernetes.io/controller-uid": uid } })
    );
    assert_eq!(tried["metadata"]["generation"], 1);
    assert_eq!(api.get(&format!("{JOBS}/j")).await.code, 404);
}

/// `etcd3.Store.Create`, which a dry run does not reach; validation comes before both, and before what is there already.
#[tokio::test]
async fn a_new_object_has_no_version() {
    let api = Api::serve("").await;
    let map = |name: &str, version: &str| json!({ "metadata": { "name": name, "resourceVersion": version } });
    let refused = "500  resourceVersion should not be set on objects to be created";
    for (name, version, dry, expected) in [
        ("a", "5", false, refused),
        ("a", "5", true, "taken"),
        ("a", "0", false, "taken"),
        ("a", "", true, "409 AlreadyExists configmaps \"a\" already exists"),
        ("a", "5", false, refused),
    ] {
        let query = if dry { DRY } else { "" };
        let answer = api.post(&format!("{MAPS}?{query}"), &map(name, version)).await;
        assert_eq!(answer.verdict(), expected, "{name} {version} {dry}");
    }
    let invalid = json!({ "metadata": { "name": "a" }, "data": { "a b": "" } });
    let verdict = api.post(MAPS, &invalid).await.verdict();
    assert!(verdict.starts_with("422 Invalid ConfigMap \"a\" is invalid: data[a b]: "), "{verdict}");
}

#[tokio::test]
async fn a_missing_name_is_found_with_all_else() {
    let api = Api::serve("").await;
    let service = json!({ "spec": { "type": "X", "ports": [{ "port": 80 }] } });
    let verdict = api.post(SERVICES, &service).await.verdict();
    let expected = "422 Invalid Service \"\" is invalid: [metadata.name: Required value: name or generateName is required, \
                    spec.type: Unsupported value: \"X\"";
    assert!(verdict.starts_with(expected), "{verdict}");
}

/// Core reads less than an API server takes: numbers are bounded, names are those of the DNS.
#[tokio::test]
async fn what_an_api_server_takes_is_taken() {
    let api = Api::serve("").await;
    let slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
    let slice = |name: &str, port: i64| {
        json!({ "metadata": { "name": name }, "addressType": "IPv4", "ports": [{ "port": port }],
                "endpoints": [{ "addresses": ["10.0.0.1"] }] })
    };
    let tolerant = |seconds: i64| {
        template(json!({ "tolerations": [{ "operator": "Exists", "tolerationSeconds": seconds,
        "effect": "NoExecute" }] }))
    };
    let pod =
        |name: &str, seconds: i64| json!({ "metadata": { "name": name }, "spec": tolerant(seconds)["spec"] });
    let set = json!({ "metadata": { "name": "s" }, "spec": {
        "serviceName": "s", "replicas": 1, "revisionHistoryLimit": -1,
        "selector": { "matchLabels": { "app": "a" } }, "template": template(json!({})) } });
    let budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
    let endpoints = json!({ "metadata": { "name": "e" }, "subsets": [{ "addresses": [{ "ip": "10.0.0.1" }],
        "ports": [{ "name": "a", "port": 1 }, { "name": "a", "port": 2 }] }] });
    let taken = [
        (slices, slice("a", -1), "/ports/0/port", json!(-1)),
        (slices, slice("b", 65_536), "/ports/0/port", json!(65_536)),
        (PODS, pod("a", -1), "/spec/tolerations/0/tolerationSeconds", json!(-1)),
        (PODS, pod("b", 1 << 40), "/spec/tolerations/0/tolerationSeconds", json!(1u64 << 40)),
        (SETS, set, "/spec/revisionHistoryLimit", json!(-1)),
        (budgets, json!({ "metadata": { "name": "A_b" }, "spec": {} }), "/metadata/name", json!("A_b")),
        ("/api/v1/namespaces/default/endpoints", endpoints, "/subsets/0/ports/1/name", json!("a")),
    ];
    for (path, object, at, shown) in taken {
        let made = api.post(path, &object).await.ok();
        assert_eq!(made.pointer(at), Some(&shown), "{object}");
        let read = api.get(&format!("{path}/{}", text(&made["metadata"]["name"]))).await.ok();
        assert_eq!(read.pointer(at), Some(&shown), "{object}");
    }
}

/// `pkg/registry/core/service/storage/alloc.go`
#[tokio::test]
async fn ports_and_addresses_of_services_are_allocated() {
    let api = Api::serve("").await;
    let service = |spec: Value| json!({ "metadata": { "name": "s" }, "spec": spec });
    let node_port =
        |port: i64| service(json!({ "type": "NodePort", "ports": [{ "port": 80, "nodePort": port }] }));
    let address = |ip: &str| service(json!({ "clusterIP": ip, "ports": [{ "port": 80 }] }));
    let invalid = "422 Invalid Service \"s\" is invalid: spec.";
    let ports = "ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is \
                 30000-32767";
    let range = "clusterIPs: Invalid value: [\"10.0.0.9\"]: failed to allocate IP 10.0.0.9: the provided ";
    for (object, dry, expected) in [
        (node_port(80), false, format!("{invalid}{ports}")),
        (node_port(80), true, "taken".into()),
        (node_port(-1), true, "taken".into()),
        (address("10.0.0.9"), false, format!("{invalid}{range}network does not match the current range")),
        (
            address("10.0.0.9"),
            true,
            format!(
                "{invalid}{range}IP (10.0.0.9) is not in the valid range. The range of valid IPs is 127.96.0.0/16"
            ),
        ),
        (address("127.96.0.9"), true, "taken".into()),
    ] {
        let query = if dry { DRY } else { "" };
        assert_eq!(
            api.post(&format!("{SERVICES}?{query}"), &object).await.verdict(),
            expected,
            "{object} {dry}"
        );
    }
    let named = |name: &str, mut object: Value| {
        object["metadata"]["name"] = name.into();
        object
    };
    let made = api.post(SERVICES, &node_port(30_080)).await.ok();
    let taken = "422 Invalid Service \"t\" is invalid: spec.ports[0].nodePort: Invalid value: 30080: provided port is already \
                 allocated";
    for query in [DRY, ""] {
        let answer = api.post(&format!("{SERVICES}?{query}"), &named("t", node_port(30_080))).await;
        assert_eq!(answer.verdict(), taken, "{query}");
    }
    api.post(SERVICES, &named("u", address("127.96.0.9"))).await.ok();
    let taken = "422 Invalid Service \"v\" is invalid: spec.clusterIPs: Invalid value: [\"127.96.0.9\"]: failed to allocate IP \
                 127.96.0.9: provided IP is already allocated";
    for (query, expected) in [(DRY, "taken"), ("", taken)] {
        let answer = api.post(&format!("{SERVICES}?{query}"), &named("v", address("127.96.0.9"))).await;
        assert_eq!(answer.verdict(), expected, "{query}");
    }
    api.ask("DELETE", &format!("{SERVICES}/u"), &[], "").await.ok();
    api.post(SERVICES, &named("v", address("127.96.0.9"))).await.ok();
    let mut twice = made.clone();
    let port = |name: &str| json!({ "name": name, "port": 80, "nodePort": 30_080 });
    twice["spec"]["ports"] = json!([port("a"), port("b")]);
    let verdict = api.put(&format!("{SERVICES}/s"), &twice).await.verdict();
    assert_eq!(verdict, "500  duplicate nodePort: {TCP 30080}");
}

/// The admission plugin gives the finalizer to new volumes; to those that lose it, their controller does.
#[tokio::test]
async fn an_update_shows_the_finalizers_that_it_leaves() {
    let api = Api::serve("").await;
    let volume = json!({ "metadata": { "name": "v" }, "spec": {
        "capacity": { "storage": "1Gi" }, "accessModes": ["ReadWriteOnce"], "hostPath": { "path": "/x" } } });
    let mut made = api.post(VOLUMES, &volume).await.ok();
    let protected = json!(["kubernetes.io/pv-protection"]);
    assert_eq!(made["metadata"]["finalizers"], protected);
    let path = format!("{VOLUMES}/v");
    for query in [DRY, ""] {
        let updated = api.put(&format!("{path}?{query}"), &volume).await.ok();
        assert_eq!(updated["metadata"]["finalizers"], Value::Null, "{query}");
        assert_eq!(api.get(&path).await.ok()["metadata"]["finalizers"], protected, "{query}");
    }
    made["metadata"]["resourceVersion"] = Value::Null;
    let updated = api.put(&path, &made).await.ok();
    assert_eq!(updated["metadata"]["finalizers"], protected, "it was not taken away");
}

/// The admission plugin `Priority`, for pods that a controller makes.
#[tokio::test]
async fn pods_of_controllers_have_the_priority_of_their_class() {
    let api = Api::serve("").await;
    let class = json!({ "metadata": { "name": "high" }, "value": 7, "preemptionPolicy": "Never" });
    api.post(CLASSES, &class).await.ok();
    let set = |name: &str, class: &str| {
        json!({ "metadata": { "name": name }, "spec": {
            "serviceName": name, "replicas": 1, "selector": { "matchLabels": { "app": "a" } },
            "template": template(json!({ "priorityClassName": class })) } })
    };
    api.post(SETS, &set("known", "high")).await.ok();
    api.post(SETS, &set("unknown", "none")).await.ok();
    let pod = api.get(&format!("{PODS}/known-0")).await.ok();
    assert_eq!((&pod["spec"]["priority"], &pod["spec"]["preemptionPolicy"]), (&json!(7), &json!("Never")));
    assert_eq!(api.get(&format!("{PODS}/unknown-0")).await.code, 404);
    let events = api.get(EVENTS).await.ok();
    let messages = events["items"].as_array().expect("events").iter().map(|event| text(&event["message"]));
    let refused = "Create Pod unknown-0 in StatefulSet unknown failed error: pods \"unknown-0\" is forbidden: no \
                   PriorityClass with name none was found";
    assert!(messages.into_iter().any(|message| message == refused), "{events}");
}

/// As sigs.k8s.io/json finds them.
#[tokio::test]
async fn unknown_fields_are_named_in_the_order_of_the_document() {
    let api = Api::serve("").await;
    let body =
        r#"{"zeta": 1, "metadata": {"name": "a", "nam": 1}, "data": {"k": "1", "k": "2"}, "alpha": 1}"#;
    let path = format!("{MAPS}?{DRY}");
    let answer = api.ask("POST", &path, &[("content-type", JSON)], body).await;
    let expected = "400 BadRequest ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: \
                    unknown field \"zeta\", unknown field \"metadata.nam\", duplicate field \"data.k\", unknown field \"alpha\"";
    assert_eq!(answer.verdict(), expected);
}

/// Events of `events.k8s.io` have stricter rules than those of `v1`, as which both are stored.
#[tokio::test]
async fn events_are_validated_by_the_rules_of_their_version() {
    let api = Api::serve("").await;
    let old = json!({ "involvedObject": { "kind": "Pod", "namespace": "default", "name": "p" } });
    let new = json!({ "regarding": { "kind": "Pod", "namespace": "default", "name": "p" } });
    let complete = json!({
        "regarding": { "kind": "Pod", "namespace": "default", "name": "p" }, "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "example.com/c", "reportingInstance": "c-0", "action": "Test", "reason": "Tested",
        "type": "Normal",
    });
    let table = [
        ("/api/v1", old, 201),
        ("/apis/events.k8s.io/v1", new, 422),
        ("/apis/events.k8s.io/v1", complete, 201),
    ];
    for (number, (version, mut event, expected)) in table.into_iter().enumerate() {
        event["metadata"] = json!({ "name": format!("event-{number}") });
        let answer = api.post(&format!("{version}/namespaces/default/events"), &event).await;
        assert_eq!(answer.code, expected, "{}", answer.text);
        if expected == 422 {
            assert!(answer.text.contains("eventTime: Required value"), "{}", answer.text);
        }
    }
}
