//! Writes: what is accepted, what is refused and with which message, and the serial of the DNS.

use serde_json::{Value, json};

use super::{Api, JSON, MERGE, PODS, RING, SETS, names, text};

fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": name },
        "spec": { "containers": [{ "name": "c", "image": "i" }] },
    })
}

#[tokio::test]
async fn an_object_is_created_once_in_an_existing_namespace() {
    let api = Api::serve(RING).await;
    let made = api.post(PODS, &pod("solo")).await;
    assert_eq!(made.code, 201);
    let made = made.ok();
    assert!(
        !text(&made["metadata"]["uid"]).is_empty() && made["metadata"]["namespace"] == "default",
        "{made}"
    );
    let again = api.post(PODS, &pod("solo")).await;
    assert_eq!(again.failure(), (409, "AlreadyExists", "pods \"solo\" already exists"));
    let absent = api.post("/api/v1/namespaces/absent/pods", &pod("solo")).await;
    assert_eq!(absent.failure(), (404, "NotFound", "namespaces \"absent\" not found"));
    let mut drawn = pod("");
    drawn["metadata"] = json!({ "generateName": "job-" });
    let (one, other) = (api.post(PODS, &drawn).await.ok(), api.post(PODS, &drawn).await.ok());
    assert!(
        text(&one["metadata"]["name"]).starts_with("job-")
            && one["metadata"]["name"] != other["metadata"]["name"]
    );
    let nameless = api.post(PODS, &json!({ "spec": {} })).await;
    assert_eq!(nameless.failure().0, 422);
    let set = json!({ "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": { "name": "x" } });
    assert_eq!(api.post(PODS, &set).await.failure().0, 400, "another kind");
    let mut elsewhere = pod("y");
    elsewhere["metadata"]["namespace"] = "other".into();
    assert_eq!(api.post(PODS, &elsewhere).await.failure().0, 400, "another namespace");
}

#[tokio::test]
async fn invalid_objects_are_refused() {
    let api = Api::serve(RING).await;
    let set = json!({
        "metadata": { "name": "x" },
        "spec": { "serviceName": "db", "template": { "spec": { "containers": [{ "name": "c", "image": "i" }] } } },
    });
    let refused = api.post(SETS, &set).await;
    let (code, reason, message) = refused.failure();
    assert_eq!((code, reason), (422, "Invalid"));
    assert!(message.starts_with("StatefulSet.apps \"x\" is invalid: "), "{message}");
    assert_eq!(refused.json["details"]["causes"][0]["field"], "spec.selector", "{}", refused.text);
    let service =
        api.patch(&format!("{SETS}/db"), MERGE, &json!({ "spec": { "serviceName": "other" } })).await;
    let (code, _, message) = service.failure();
    assert!(code == 422 && message.contains("Forbidden: updates to statefulset spec"), "{message}");
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let api = Api::serve(RING).await;
    let before = api.driver.read(|cluster| cluster.store().revision());
    let dry = "dryRun=All";
    assert_eq!(api.post(&format!("{PODS}?{dry}"), &pod("solo")).await.code, 201);
    let patched =
        api.patch(&format!("{SETS}/db?{dry}"), MERGE, &json!({ "spec": { "replicas": 9 } })).await.ok();
    assert_eq!(patched["spec"]["replicas"], 9);
    let scale = format!("{SETS}/db/scale?{dry}");
    assert_eq!(
        api.patch(&scale, MERGE, &json!({ "spec": { "replicas": 9 } })).await.ok()["spec"]["replicas"],
        9
    );
    api.ask("DELETE", &format!("{PODS}/db-0?{dry}"), &[], "").await.ok();
    let body = json!({ "dryRun": ["All"], "gracePeriodSeconds": 0 }).to_string();
    api.ask("DELETE", &format!("{PODS}/db-0"), &[("content-type", JSON)], body).await.ok();
    assert_eq!(api.driver.read(|cluster| cluster.store().revision()), before);
}

#[tokio::test]
async fn an_update_with_an_old_resource_version_conflicts() {
    let api = Api::serve(RING).await;
    let old = api.get(&format!("{SETS}/db")).await.ok();
    let mut new = old.clone();
    new["spec"]["replicas"] = 4.into();
    let replaced = api.put(&format!("{SETS}/db"), &new).await.ok();
    assert_eq!(replaced["metadata"]["generation"], 2);
    let (code, reason, message) = {
        let refused = api.put(&format!("{SETS}/db"), &new).await;
        let (code, reason, message) = refused.failure();
        (code, reason.to_owned(), message.to_owned())
    };
    assert_eq!((code, reason.as_str()), (409, "Conflict"));
    assert!(
        message.starts_with("Operation cannot be fulfilled on statefulsets.apps \"db\": the object has been")
    );
    // An update without a resourceVersion is unconditional.
    new["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    new["spec"]["replicas"] = 5.into();
    assert_eq!(api.put(&format!("{SETS}/db"), &new).await.ok()["spec"]["replicas"], 5);
    let mut other = api.get(&format!("{SETS}/db")).await.ok();
    other["metadata"]["uid"] = "00000000-0000-4000-8000-000000000000".into();
    assert_eq!(api.put(&format!("{SETS}/db"), &other).await.failure().0, 409);
    let scale = api.get(&format!("{SETS}/db/scale")).await.ok();
    assert_eq!((&scale["kind"], &scale["spec"]["replicas"]), (&json!("Scale"), &json!(5)));
    let mut old_scale = scale.clone();
    old_scale["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"].clone();
    old_scale["spec"]["replicas"] = 1.into();
    assert_eq!(api.put(&format!("{SETS}/db/scale"), &old_scale).await.failure().0, 409);
}

#[tokio::test]
async fn status_is_a_subresource() {
    let api = Api::serve(RING).await;
    let path = format!("{PODS}/db-0");
    let changed = json!({ "metadata": { "labels": { "a": "b" } }, "status": { "phase": "Failed" } });
    let pod = api.patch(&path, MERGE, &changed).await.ok();
    assert_eq!((&pod["metadata"]["labels"]["a"], &pod["status"]["phase"]), (&json!("b"), &json!("Running")));
    let status = api.get(&format!("{path}/status")).await.ok();
    assert_eq!(status["status"]["phase"], "Running");
}

#[tokio::test]
async fn patches_of_all_types_are_applied() {
    let api = Api::serve(RING).await;
    let path = format!("{SETS}/db");
    let image = |set: &Value| set["spec"]["template"]["spec"]["containers"][0]["image"].clone();
    let containers =
        json!({ "spec": { "template": { "spec": { "containers": [{ "name": "c", "image": "a:1" }] } } } });
    let set = api.patch(&path, "application/strategic-merge-patch+json", &containers).await.ok();
    assert_eq!(
        (image(&set), &set["spec"]["template"]["spec"]["containers"][0]["ports"][0]["name"]),
        (json!("a:1"), &json!("cql"))
    );
    let list = json!([{ "op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "a:2" }]);
    assert_eq!(image(&api.patch(&path, "application/json-patch+json", &list).await.ok()), "a:2");
    let failing = json!([{ "op": "test", "path": "/spec/replicas", "value": 99 }]);
    assert_eq!(api.patch(&path, "application/json-patch+json", &failing).await.failure().0, 422);
    // An apply patch is YAML, and creates a missing object.
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n";
    let headers = [("content-type", "application/apply-patch+yaml")];
    assert_eq!(api.ask("PATCH", &format!("{PODS}/x"), &headers, yaml).await.failure().0, 400);
    let yaml = "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: [{name: c, image: i}]}\n";
    assert_eq!(api.ask("PATCH", &format!("{PODS}/x?fieldManager=me"), &headers, yaml).await.code, 201);
    let yaml = yaml.replace("{name: x}", "{name: x, labels: {a: b}}");
    let applied = api.ask("PATCH", &format!("{PODS}/x?fieldManager=me"), &headers, yaml).await;
    assert_eq!((applied.code, &applied.json["metadata"]["labels"]["a"]), (200, &json!("b")));
    let refused = api.patch(&path, "text/x-patch", &json!({})).await;
    assert_eq!(refused.failure().0, 415);
    assert_eq!(api.patch(&format!("{SETS}/absent"), MERGE, &json!({})).await.failure().0, 404);
    assert_eq!(api.patch(&path, MERGE, &json!({ "metadata": { "name": "other" } })).await.failure().0, 400);
}

#[tokio::test]
async fn pods_stop_within_their_grace_period() {
    let api = Api::serve(&RING.replace(
        "{app: db}}\n    spec",
        "{app: db}, annotations: {clusterlocal.dev/stop-delay: 1h}}\n    spec",
    ))
    .await;
    let uid = api.get(&format!("{PODS}/db-2")).await.ok()["metadata"]["uid"].clone();
    let deleted = api.ask("DELETE", &format!("{PODS}/db-2"), &[], "").await.ok();
    assert_eq!(
        (&deleted["kind"], &deleted["metadata"]["deletionGracePeriodSeconds"]),
        (&json!("Pod"), &json!(30))
    );
    assert!(!text(&deleted["metadata"]["deletionTimestamp"]).is_empty());
    let wrong = json!({ "preconditions": { "uid": "other" } }).to_string();
    let refused = api.ask("DELETE", &format!("{PODS}/db-2"), &[("content-type", JSON)], wrong).await;
    assert_eq!((refused.failure().0, refused.failure().1), (409, "Conflict"));
    let gone = api.ask("DELETE", &format!("{PODS}/db-2?gracePeriodSeconds=0"), &[], "").await.ok();
    assert_eq!((&gone["kind"], &gone["metadata"]["uid"]), (&json!("Pod"), &uid), "in its last state");
    assert_ne!(api.get(&format!("{PODS}/db-2")).await.ok()["metadata"]["uid"], uid, "the replacement");
    let eviction = json!({ "apiVersion": "policy/v1", "kind": "Eviction", "metadata": { "name": "db-1" } });
    assert_eq!(api.post(&format!("{PODS}/db-1/eviction"), &eviction).await.code, 201);
    let evicted = api.get(&format!("{PODS}/db-1")).await.ok();
    assert!(!text(&evicted["metadata"]["deletionTimestamp"]).is_empty());
}

#[tokio::test]
async fn dependents_are_deleted_or_orphaned_by_the_propagation_policy() {
    let api = Api::serve(RING).await;
    let orphan = format!("{SETS}/db?propagationPolicy=Orphan");
    api.ask("DELETE", &orphan, &[], "").await.ok();
    let pods = api.get(PODS).await.ok();
    assert_eq!(names(&pods), ["db-0", "db-1", "db-2"]);
    let owners = pods["items"][0]["metadata"].get("ownerReferences");
    assert!(owners.is_none_or(|owners| owners == &json!([])), "{pods}");
    let all =
        api.ask("DELETE", &format!("{PODS}?labelSelector=app%3Ddb&gracePeriodSeconds=0"), &[], "").await.ok();
    assert_eq!(names(&all), ["db-0", "db-1", "db-2"]);
    assert_eq!(names(&api.get(PODS).await.ok()), [""; 0]);
}

#[tokio::test]
async fn a_namespace_is_deleted_with_its_content() {
    let api = Api::serve(RING).await;
    api.post("/api/v1/namespaces", &json!({ "metadata": { "name": "team" } })).await.ok();
    api.post("/api/v1/namespaces/team/pods", &pod("solo")).await.ok();
    api.ask("DELETE", "/api/v1/namespaces/team", &[], "").await.ok();
    assert_eq!(api.get("/api/v1/namespaces/team/pods/solo").await.failure().0, 404);
    assert_eq!(api.get("/api/v1/namespaces/team").await.failure().0, 404);
    let kept = api.ask("DELETE", "/api/v1/namespaces/kube-system", &[], "").await;
    assert_eq!(kept.failure().0, 403);
}

/// Bodies of client-go's typed clients, among them `kubectl create namespace`.
#[tokio::test]
async fn bodies_may_be_protobuf_or_yaml() {
    let api = Api::serve(RING).await;
    let protobuf = [("content-type", "application/vnd.kubernetes.protobuf")];
    // runtime.Unknown {typeMeta {v1, Namespace}, raw {metadata {name: "wire", labels {a: b}}}}
    let body =
        b"k8s\0\x0a\x0f\x0a\x02v1\x12\x09Namespace\x12\x10\x0a\x0e\x0a\x04wire\x5a\x06\x0a\x01a\x12\x01b";
    let made = api.ask("POST", "/api/v1/namespaces", &protobuf, &body[..]).await.ok();
    assert_eq!((&made["metadata"]["name"], &made["metadata"]["labels"]["a"]), (&json!("wire"), &json!("b")));
    assert_eq!(api.ask("POST", "/api/v1/namespaces", &protobuf, &body[..20]).await.failure().0, 400);
    let yaml = "metadata:\n  name: written\n";
    let made =
        api.ask("POST", "/api/v1/namespaces", &[("content-type", "application/yaml")], yaml).await.ok();
    assert_eq!(made["metadata"]["name"], "written");
}

#[tokio::test]
async fn requests_that_a_web_page_could_send_are_refused() {
    let api = Api::serve(RING).await;
    let body = pod("evil").to_string();
    let table: [(&[(&str, &str)], u16); 4] = [
        (&[("content-type", "text/plain")], 415),
        (&[("content-type", JSON), ("origin", "http://evil.example")], 403),
        (&[("content-type", JSON), ("host", "evil.example")], 403),
        (&[("content-type", JSON), ("host", "localhost"), ("host", "evil.example")], 400),
    ];
    for (headers, code) in table {
        let refused = api.ask("POST", PODS, headers, body.clone()).await;
        assert_eq!(refused.failure().0, code, "{headers:?}");
    }
    let long = vec![b' '; (3 << 20) + 1];
    assert_eq!(
        api.ask("POST", PODS, &[("content-type", JSON)], long).await.failure().1,
        "RequestEntityTooLarge"
    );
    assert_eq!(names(&api.get(PODS).await.ok()), ["db-0", "db-1", "db-2"]);
}

/// The DNS has the change from the serial in the answer on.
#[tokio::test]
async fn an_answer_has_the_serial_of_its_change() {
    let api = Api::serve(RING).await;
    let serial = || api.driver.read(|cluster| cluster.serial());
    let before = serial();
    let scaled = api.patch(&format!("{SETS}/db/scale"), MERGE, &json!({ "spec": { "replicas": 4 } })).await;
    let announced: u32 = scaled.headers["clusterlocal-serial"].to_str().unwrap().parse().unwrap();
    assert!(announced > before && announced == serial(), "{before} {announced}");
}

#[tokio::test]
async fn a_claim_is_deleted_after_the_pod_that_uses_it() {
    let claims = "\n  volumeClaimTemplates:\n  - metadata: {name: data}\n    spec: {accessModes: [ReadWriteOnce], resources: \
                  {requests: {storage: 1Gi}}}\n";
    let api = Api::serve(&(RING.trim_end().to_owned() + claims)).await;
    let service = "/api/v1/namespaces/default/services/db";
    let finalizers = |list: Value| json!({ "metadata": { "finalizers": list } });
    api.patch(service, MERGE, &finalizers(json!(["example.com/drained"]))).await.ok();
    let marked = api.ask("DELETE", service, &[], "").await.ok();
    assert!(!text(&marked["metadata"]["deletionTimestamp"]).is_empty(), "{marked}");
    assert_eq!(api.get(service).await.code, 200);
    api.patch(service, MERGE, &finalizers(Value::Null)).await.ok();
    assert_eq!(api.get(service).await.failure().0, 404);
    let claim = "/api/v1/namespaces/default/persistentvolumeclaims/data-db-2";
    api.ask("DELETE", claim, &[], "").await.ok();
    let marked = api.get(claim).await.ok();
    assert!(!text(&marked["metadata"]["deletionTimestamp"]).is_empty(), "db-2 uses it: {marked}");
    api.patch(&format!("{SETS}/db"), MERGE, &json!({ "spec": { "replicas": 2 } })).await.ok();
    assert_eq!(api.get(claim).await.failure().0, 404, "no pod uses it any more");
}
