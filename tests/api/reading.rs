//! Lists and discovery: existing objects, in the requested form.

use serde_json::json;

use super::{Api, MERGE, PODS, RING, names, text};

#[tokio::test]
async fn discovery_and_health() {
    let api = Api::serve(RING).await;
    for (path, kind) in [
        ("/api", "APIVersions"),
        ("/apis", "APIGroupList"),
        ("/apis/apps", "APIGroup"),
        ("/api/v1", "APIResourceList"),
        ("/apis/apps/v1", "APIResourceList"),
    ] {
        assert_eq!(api.get(path).await.ok()["kind"], kind, "{path}");
    }
    let aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let all = api.ask("GET", "/apis", &[("accept", aggregated)], "").await;
    assert_eq!(all.headers["content-type"], aggregated);
    assert_eq!(all.ok()["kind"], "APIGroupDiscoveryList");
    for path in ["/healthz", "/livez", "/readyz", "/readyz/ping"] {
        assert_eq!(api.get(path).await.text, "ok", "{path}");
    }
    assert_eq!(api.get("/version").await.ok()["major"], "1");
    let index = api.get("/openapi/v3").await.ok();
    let url = text(&index["paths"]["apis/apps/v1"]["serverRelativeURL"]).to_owned();
    assert_eq!(api.get(&url).await.ok()["openapi"], "3.0.0");
    assert!(!api.ask("GET", "/openapi/v2", &[], "").await.text.is_empty());
    let failure = api.get("/apis/nonsense/v1").await;
    assert_eq!(failure.failure(), (404, "NotFound", "the server could not find the requested resource"));
    assert_eq!(api.ask("POST", "/apis", &[], "").await.failure().0, 405);
}

#[tokio::test]
async fn pages_of_a_list_show_one_state() {
    let api = Api::serve(RING).await;
    let first = api.get(&format!("{PODS}?limit=2")).await.ok();
    assert_eq!(names(&first), ["db-0", "db-1"]);
    assert_eq!(first["metadata"]["remainingItemCount"], 1);
    // A change between two pages is in neither of them.
    api.patch(&format!("{PODS}/db-2"), MERGE, &json!({ "metadata": { "labels": { "late": "yes" } } }))
        .await
        .ok();
    let pod =
        json!({ "metadata": { "name": "zz" }, "spec": { "containers": [{ "name": "c", "image": "i" }] } });
    api.post(PODS, &pod).await.ok();
    let token = text(&first["metadata"]["continue"]);
    let second = api.get(&format!("{PODS}?limit=2&continue={token}")).await.ok();
    assert_eq!(names(&second), ["db-2"]);
    assert_eq!(second["items"][0]["metadata"]["labels"]["late"], json!(null));
    assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    assert_eq!(second["metadata"].get("continue"), None);
    assert_eq!(names(&api.get(PODS).await.ok()), ["db-0", "db-1", "db-2", "zz"]);
    assert_eq!(api.get(&format!("{PODS}?continue=nonsense")).await.failure().0, 400);
}

#[tokio::test]
async fn selectors_and_tables_are_applied_to_lists() {
    let api = Api::serve(RING).await;
    let table = [
        ("labelSelector=app%3Ddb", 3),
        ("labelSelector=app+in+%28x%29", 0),
        ("labelSelector=apps.kubernetes.io/pod-index%3D1", 1),
        ("fieldSelector=metadata.name%3Ddb-2", 1),
        ("fieldSelector=status.phase%3DRunning", 3),
        ("fieldSelector=status.phase%21%3DRunning", 0),
    ];
    for (query, count) in table {
        assert_eq!(names(&api.get(&format!("{PODS}?{query}")).await.ok()).len(), count, "{query}");
    }
    for bad in ["labelSelector=%3D%3D", "fieldSelector=spec.nonsense%3D1"] {
        assert_eq!(api.get(&format!("{PODS}?{bad}")).await.failure().0, 400, "{bad}");
    }
    let metadata = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    let list = api.ask("GET", PODS, &[("accept", metadata)], "").await.ok();
    assert_eq!((text(&list["kind"]), list["items"][0].get("spec")), ("PartialObjectMetadataList", None));
    let refused = api.ask("GET", PODS, &[("accept", "application/vnd.kubernetes.protobuf")], "").await;
    assert_eq!(refused.failure().0, 406);
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
    let one =
        api.ask("GET", &format!("{PODS}/db-0?includeObject=Object"), &[("accept", table)], "").await.ok();
    assert_eq!(one["rows"][0]["object"]["spec"]["containers"][0]["name"], "c");
    assert_eq!(
        names(&api.get("/api/v1/pods?labelSelector=app%3Ddb").await.ok()).len(),
        3,
        "of all namespaces"
    );
}

/// More objects than are rendered at once.
#[tokio::test]
async fn long_lists_are_complete() {
    let many = RING.replace("replicas: 3", "replicas: 1500\n  podManagementPolicy: Parallel");
    let api = Api::serve(&many).await;
    let list = api.get(PODS).await.ok();
    let mut found = names(&list);
    assert_eq!(found.len(), 1500);
    found.dedup();
    assert_eq!(found.len(), 1500);
    let accept = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
    let table = api.ask("GET", PODS, &accept, "").await.ok();
    assert_eq!(table["rows"].as_array().map(Vec::len), Some(1500));
    assert_eq!(table["columnDefinitions"][0]["name"], "Name");
    let none = api.ask("GET", &format!("{PODS}?labelSelector=none"), &accept, "").await.ok();
    assert_eq!((&none["rows"], &none["kind"]), (&json!([]), &json!("Table")));
}

#[tokio::test]
async fn requests_to_containers_are_refused_as_not_supported() {
    let api = Api::serve(RING).await;
    let log = api.get(&format!("{PODS}/db-0/log")).await;
    assert!(log.failure().0 == 501 && log.failure().2.contains("default/db-0"), "{}", log.text);
    // Requests to a proxy may have any content type.
    let text = api.ask("POST", &format!("{PODS}/db-0/proxy/x"), &[("content-type", "text/plain")], "a").await;
    assert_eq!(text.failure().0, 501);
    for part in ["exec?command=ls", "attach", "portforward", "proxy/metrics"] {
        let refused = api.get(&format!("{PODS}/db-0/{part}")).await;
        assert!(refused.failure().0 == 501 && refused.failure().2.contains("simulates"), "{part}");
    }
    assert_eq!(api.get(&format!("{PODS}/db-9/log")).await.failure().2, "pods \"db-9\" not found");
}

/// The API server publishes the range of Service addresses (`servicecidr` in kubectl).
#[tokio::test]
async fn the_service_range_is_an_object() {
    let api = Api::serve(RING).await;
    let range = api.get("/apis/networking.k8s.io/v1/servicecidrs/kubernetes").await.ok();
    assert_eq!(range["spec"]["cidrs"], json!(["127.96.0.0/16", "fd00:10:96::/112"]));
    assert_eq!(range["metadata"]["finalizers"], json!(["networking.k8s.io/service-cidr-finalizer"]));
    let status = api.get("/apis/networking.k8s.io/v1/servicecidrs/kubernetes/status").await.ok();
    assert_eq!(status["metadata"]["uid"], range["metadata"]["uid"]);
}

/// The ServiceAccount controller and the root CA publisher create these objects in every namespace.
#[tokio::test]
async fn a_namespace_has_a_service_account_and_the_root_ca() {
    let api = Api::serve(RING).await;
    let namespace = json!({ "metadata": { "name": "fresh" } });
    api.post("/api/v1/namespaces", &namespace).await.ok();
    for namespace in ["default", "kube-system", "fresh"] {
        let at = format!("/api/v1/namespaces/{namespace}");
        let account = format!("{at}/serviceaccounts/default");
        let bundle = format!("{at}/configmaps/kube-root-ca.crt");
        assert_eq!(api.get(&account).await.ok()["kind"], "ServiceAccount");
        let first = api.get(&bundle).await.ok();
        assert!(first["data"]["ca.crt"].is_string(), "{first}");
        // Both are restored, including the data of the ConfigMap.
        for path in [&account, &bundle] {
            let uid = api.get(path).await.ok()["metadata"]["uid"].clone();
            api.ask("DELETE", path, &[], "").await.ok();
            assert_ne!(api.get(path).await.ok()["metadata"]["uid"], uid, "{path}");
        }
        api.patch(&bundle, MERGE, &json!({ "data": { "ca.crt": "other", "more": "x" } })).await.ok();
        assert_eq!(api.get(&bundle).await.ok()["data"], first["data"]);
    }
}
