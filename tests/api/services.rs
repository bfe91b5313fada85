//! Services, their slices and their Endpoints, as made by kube-apiserver and the three endpoints controllers.

use serde_json::{Value, json};

use super::{Api, MERGE, PODS, RING, text};

const SERVICES: &str = "/api/v1/namespaces/default/services";
const ENDPOINTS: &str = "/api/v1/namespaces/default/endpoints";
const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";

fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).expect(text)
}

fn service(name: &str, spec: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": name }, "spec": yaml(spec) })
}

/// The addresses of an object's subsets, ready ones first: `10.0.0.1 !10.0.0.2 @80`.
fn subsets(endpoints: &Value) -> Vec<String> {
    let all = endpoints["subsets"].as_array().into_iter().flatten();
    let shown = all.map(|subset| {
        let of = |field: &str, mark: &str| -> Vec<String> {
            let all = subset[field].as_array().into_iter().flatten();
            all.map(|address| format!("{mark}{}", text(&address["ip"]))).collect()
        };
        let ports = subset["ports"].as_array().into_iter().flatten();
        let ports = ports.map(|port| format!("@{}", port["port"])).collect();
        [of("addresses", ""), of("notReadyAddresses", "!"), ports].concat().join(" ")
    });
    shown.collect()
}

impl Api {
    async fn endpoints(&self, name: &str) -> Vec<String> {
        subsets(&self.get(&format!("{ENDPOINTS}/{name}")).await.ok())
    }

    /// The slices of a Service, sorted: `endpointslice-controller Service: 10.0.0.1 10.0.0.2 @80`.
    async fn slices(&self, service: &str) -> Vec<String> {
        let path = format!("{SLICES}?labelSelector=kubernetes.io/service-name={service}");
        let list = self.get(&path).await.ok();
        let shown = |slice: &Value| {
            let by = text(&slice["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"]);
            let owner = text(&slice["metadata"]["ownerReferences"][0]["kind"]);
            let addresses = slice["endpoints"].as_array().into_iter().flatten();
            let addresses = addresses.map(|endpoint| text(&endpoint["addresses"][0]).to_owned());
            let ports = slice["ports"].as_array().into_iter().flatten();
            let ports = ports.map(|port| format!("@{}", port["port"]));
            let all: Vec<String> = addresses.chain(ports).collect();
            format!("{} {owner}: {}", by.trim_end_matches(".k8s.io"), all.join(" ")).trim().to_owned()
        };
        let mut all: Vec<String> = list["items"].as_array().expect("items").iter().map(shown).collect();
        all.sort();
        all
    }

    async fn address(&self, pod: &str) -> String {
        text(&self.get(&format!("{PODS}/{pod}")).await.ok()["status"]["podIP"]).to_owned()
    }

    async fn change(&self, name: &str, spec: &str) -> super::Answer {
        self.patch(&format!("{SERVICES}/{name}"), MERGE, &json!({ "spec": yaml(spec) })).await
    }
}

#[tokio::test]
async fn a_service_that_matches_no_pods_has_an_empty_slice_per_family() {
    let api = Api::serve("").await;
    let table = [
        ("one", "{selector: {app: none}, ports: [{port: 1}]}", 1),
        ("both", "{selector: {app: none}, ports: [{port: 1}], ipFamilyPolicy: PreferDualStack}", 2),
        ("headless", "{clusterIP: None, selector: {app: none}}", 1),
        ("without-selector", "{ports: [{port: 1}]}", 0),
        ("alias", "{type: ExternalName, externalName: example.org}", 0),
    ];
    for (name, spec, count) in table {
        api.post(SERVICES, &service(name, spec)).await.ok();
        assert_eq!(api.slices(name).await, vec!["endpointslice-controller Service:"; count], "{name}");
        let there = api.get(&format!("{ENDPOINTS}/{name}")).await.code;
        assert_eq!(there, if count > 0 { 200 } else { 404 }, "{name}");
    }
    let labels = |object: &Value| object["metadata"]["labels"].clone();
    let list = api.get(&format!("{SLICES}?labelSelector=kubernetes.io/service-name=headless")).await.ok();
    assert_eq!(
        labels(&list["items"][0]),
        yaml(
            "{endpointslice.kubernetes.io/managed-by: endpointslice-controller.k8s.io, \
              kubernetes.io/service-name: headless, service.kubernetes.io/headless: ''}"
        )
    );
    let patch =
        json!({ "metadata": { "labels": { "x": "y", "endpointslice.kubernetes.io/managed-by": "me" } } });
    api.patch(&format!("{SERVICES}/headless"), MERGE, &patch).await.ok();
    let list = api.get(&format!("{SLICES}?labelSelector=kubernetes.io/service-name=headless,x=y")).await.ok();
    let managed = &labels(&list["items"][0])["endpointslice.kubernetes.io/managed-by"];
    assert_eq!(managed, "endpointslice-controller.k8s.io", "the controller sets the reserved labels");
    let endpoints = labels(&api.get(&format!("{ENDPOINTS}/headless")).await.ok());
    assert_eq!(
        endpoints,
        yaml(
            "{x: y, endpointslice.kubernetes.io/managed-by: me, service.kubernetes.io/headless: '', \
              endpoints.kubernetes.io/managed-by: endpoint-controller}"
        )
    );
}

#[tokio::test]
async fn a_service_whose_selector_is_removed_keeps_its_endpoints() {
    let api = Api::serve(RING).await;
    let before = (api.endpoints("db").await, api.slices("db").await);
    api.change("db", "{selector: null}").await.ok();
    let mirrored = before.1[0]
        .replace("endpointslice-controller Service", "endpointslicemirroring-controller Endpoints");
    let kept = vec![before.1[0].clone(), mirrored];
    assert_eq!((api.endpoints("db").await, api.slices("db").await), (before.0.clone(), kept.clone()));
    api.ask("DELETE", &format!("{PODS}/db-1"), &[], "").await.ok();
    assert_eq!(
        (api.endpoints("db").await, api.slices("db").await),
        (before.0.clone(), kept),
        "also of deleted pods"
    );
    api.change("db", "{selector: {app: db}}").await.ok();
    let after = (api.endpoints("db").await, api.slices("db").await);
    assert_eq!(after.1.len(), 1, "{after:?}");
    assert_ne!(after.0, before.0, "db-1 has another address");
    let address = api.address("db-1").await;
    assert!(after.0[0].contains(&address) && after.1[0].contains(&address), "{after:?}");
}

#[tokio::test]
async fn a_service_that_becomes_an_alias_keeps_its_endpoints() {
    let api = Api::serve(RING).await;
    api.post(SERVICES, &service("web", "{selector: {app: db}, ports: [{port: 80}]}")).await.ok();
    let before = (api.endpoints("web").await, api.slices("web").await);
    api.change("web", "{type: ExternalName, externalName: example.org, clusterIP: null, clusterIPs: null}")
        .await
        .ok();
    assert_eq!((api.endpoints("web").await, api.slices("web").await), before);
}

#[tokio::test]
async fn hand_made_endpoints_are_mirrored_and_deleted_with_their_service() {
    let api = Api::serve("").await;
    api.post(SERVICES, &service("man", "{ports: [{port: 5432}]}")).await.ok();
    let subset = |ready: &str, ports: &str| json!({ "addresses": yaml(ready), "ports": yaml(ports) });
    let endpoints = json!({
        "apiVersion": "v1", "kind": "Endpoints",
        "metadata": {
            "name": "man", "labels": { "a": "b" },
            "annotations": { "c": "d", "kubectl.kubernetes.io/last-applied-configuration": "{}" },
        },
        "subsets": [
            subset("[{ip: 192.0.2.1}, {ip: 192.0.2.2}]", "[{port: 5432}]"),
            subset("[{ip: 192.0.2.2}, {ip: 192.0.2.3}]", "[{port: 5432}]"),
            subset("[{ip: 192.0.2.9}]", "[{name: alt, port: 1}]"),
        ],
    });
    let answer = api.post(ENDPOINTS, &endpoints).await;
    let warning = answer.headers.get("warning").map(|value| value.to_str().unwrap().to_owned());
    let deprecated = "299 - \"v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice\"";
    assert_eq!(warning.as_deref(), Some(deprecated));
    answer.ok();
    let both = [
        "endpointslicemirroring-controller Endpoints: 192.0.2.1 192.0.2.2 192.0.2.3 @5432",
        "endpointslicemirroring-controller Endpoints: 192.0.2.9 @1",
    ];
    assert_eq!(api.slices("man").await, both, "each address once");
    let list = api.get(&format!("{SLICES}?labelSelector=a=b")).await.ok();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(2), "with the labels of the Endpoints");
    assert_eq!(list["items"][0]["metadata"]["annotations"], json!({ "c": "d" }));
    // With a selector they belong to the controller; without it they are mirrored again.
    api.change("man", "{selector: {app: none}}").await.ok();
    assert_eq!(api.slices("man").await, ["endpointslice-controller Service:"]);
    assert_eq!(api.endpoints("man").await, Vec::<String>::new());
    api.change("man", "{selector: null}").await.ok();
    let patch = json!({ "subsets": [subset("[{ip: 192.0.2.7}]", "[{port: 5432}]")] });
    api.patch(&format!("{ENDPOINTS}/man"), MERGE, &patch).await.ok();
    let after =
        ["endpointslice-controller Service:", "endpointslicemirroring-controller Endpoints: 192.0.2.7 @5432"];
    assert_eq!(api.slices("man").await, after);
    api.ask("DELETE", &format!("{SERVICES}/man"), &[], "").await.ok();
    assert_eq!(api.get(&format!("{ENDPOINTS}/man")).await.code, 404);
    assert_eq!(api.slices("man").await, Vec::<String>::new());
    api.post(SERVICES, &service("man", "{ports: [{port: 5432}]}")).await.ok();
    assert_eq!(api.slices("man").await, Vec::<String>::new(), "no slice is created again");
}

#[tokio::test]
async fn endpoints_of_a_service_with_a_selector_are_restored() {
    let api = Api::serve(RING).await;
    let before = api.endpoints("db").await;
    let patch = json!({
        "metadata": { "annotations": { "mine": "yes" }, "labels": { "other": "gone" } },
        "subsets": [{ "addresses": [{ "ip": "192.0.2.7" }] }],
    });
    api.patch(&format!("{ENDPOINTS}/db"), MERGE, &patch).await.ok();
    let after = api.get(&format!("{ENDPOINTS}/db")).await.ok();
    assert_eq!(subsets(&after), before);
    assert_eq!(after["metadata"]["annotations"]["mine"], "yes", "the controller keeps annotations");
    assert_eq!(after["metadata"]["labels"]["other"], Value::Null);
    assert_eq!(api.slices("db").await.len(), 1, "its Endpoints are not mirrored");
    let old = text(&after["metadata"]["uid"]).to_owned();
    api.ask("DELETE", &format!("{ENDPOINTS}/db"), &[], "").await.ok();
    let again = api.get(&format!("{ENDPOINTS}/db")).await.ok();
    assert_eq!(subsets(&again), before);
    assert_ne!(text(&again["metadata"]["uid"]), old, "deleted Endpoints are created again");
}

#[tokio::test]
async fn a_watch_of_endpoints_replays_former_states() {
    let api = Api::serve(RING).await;
    let list = api.get(ENDPOINTS).await.ok();
    let since = text(&list["metadata"]["resourceVersion"]).to_owned();
    let set = format!("{}/db", super::SETS);
    for replicas in [5, 2, 4] {
        api.patch(&set, MERGE, &json!({ "spec": { "replicas": replicas } })).await.ok();
    }
    api.ask("DELETE", &format!("{SERVICES}/db"), &[], "").await.ok();
    // Long after all changes.
    let mut watch = api.watch(&format!("{ENDPOINTS}?watch=1&resourceVersion={since}"), &[]).await;
    let mut counts = Vec::new();
    loop {
        let event = watch.next().await.expect("an event");
        let addresses = event["object"]["subsets"][0]["addresses"].as_array().map_or(0, Vec::len);
        counts.push(addresses);
        if event["type"] == "DELETED" {
            break;
        }
    }
    // First five addresses, then two, then four.
    let mut left = counts.iter();
    let replayed = [5, 2, 4].iter().all(|expected| left.any(|count| count == expected));
    assert!(replayed, "{counts:?}");
    assert_eq!(counts.last(), Some(&4), "deleted in the last state: {counts:?}");
}

#[tokio::test]
async fn a_change_of_the_ip_family_policy_adds_or_releases_the_second_family() {
    let api = Api::serve(RING).await;
    let of = |service: &Value| {
        let list = |field: &str| service["spec"][field].as_array().map_or(0, Vec::len);
        (list("ipFamilies"), list("clusterIPs"), text(&service["spec"]["ipFamilyPolicy"]).to_owned())
    };
    let made = api.post(SERVICES, &service("web", "{selector: {app: db}, ports: [{port: 80}]}")).await.ok();
    assert_eq!(of(&made), (1, 1, "SingleStack".into()));
    let primary = made["spec"]["clusterIP"].clone();
    for (policy, count) in [("PreferDualStack", 2), ("SingleStack", 1), ("RequireDualStack", 2)] {
        let changed = api.change("web", &format!("{{ipFamilyPolicy: {policy}}}")).await.ok();
        assert_eq!(of(&changed), (count, count, policy.into()));
        assert_eq!(changed["spec"]["clusterIP"], primary);
        assert_eq!(api.slices("web").await.len(), count, "slices of each family");
    }
    let refused = api.change("web", "{ipFamilies: [IPv4]}").await;
    assert_eq!(
        refused.failure(),
        (
            422,
            "Invalid",
            "Service \"web\" is invalid: spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": must be 'SingleStack' \
             to release the secondary IP family"
        )
    );
    let changed = api.change("db", "{ipFamilyPolicy: PreferDualStack}").await.ok();
    assert_eq!(of(&changed), (2, 1, "PreferDualStack".into()), "headless");
    let made = api.post(SERVICES, &service("hand", "{clusterIP: None}")).await.ok();
    assert_eq!(of(&made), (2, 1, "RequireDualStack".into()), "headless without a selector");
}

#[tokio::test]
async fn changes_of_the_type_of_a_service_assign_and_release_addresses() {
    let api = Api::serve("").await;
    for of_type in ["LoadBalancer", "NodePort"] {
        let spec = format!("{{type: {of_type}, clusterIP: None, ports: [{{port: 1}}]}}");
        let refused = api.post(SERVICES, &service("lb", &spec)).await;
        let why = format!(
            "Service \"lb\" is invalid: spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for {of_type} \
             services"
        );
        assert_eq!(refused.failure(), (422, "Invalid", &*why));
    }
    let made = api.post(SERVICES, &service("lb", "{type: LoadBalancer, ports: [{port: 1}]}")).await.ok();
    let port = made["spec"]["ports"][0]["nodePort"].as_u64().expect("a node port");
    assert!((30_000..=32_767).contains(&port), "{port}");
    let status = json!({ "status": { "loadBalancer": { "ingress": [{ "ip": "192.0.2.1" }] } } });
    api.patch(&format!("{SERVICES}/lb/status"), MERGE, &status).await.ok();
    let changed = api.change("lb", "{sessionAffinity: ClientIP}").await.ok();
    assert_eq!(
        changed["status"]["loadBalancer"]["ingress"][0]["ip"], "192.0.2.1",
        "what a client wrote is kept"
    );
    assert_eq!(changed["spec"]["ports"][0]["nodePort"], port);
    let changed = api.change("lb", "{type: ClusterIP}").await.ok();
    assert_eq!(changed["status"]["loadBalancer"], json!({}));
    assert_eq!(changed["spec"]["ports"][0]["nodePort"], Value::Null);
    let refused = api.change("lb", "{clusterIP: 127.96.9.9}").await;
    assert!(refused.text.contains("may not change once set"), "{}", refused.text);
    let made = api.post(SERVICES, &service("1st-db", "{ports: [{port: 80, targetPort: 0}]}")).await.ok();
    assert_eq!(made["spec"]["ports"][0]["targetPort"], 80);
    let made = api.post(SERVICES, &service("text", "{ports: [{port: 80, targetPort: ''}]}")).await.ok();
    assert_eq!(made["spec"]["ports"][0]["targetPort"], 80);
    let version = api.get("/version").await.ok();
    let node = api.get("/api/v1/nodes/node-1").await.ok();
    assert_eq!(node["status"]["nodeInfo"]["kubeletVersion"], version["gitVersion"]);
    api.post(SERVICES, &service("h", "{clusterIP: None}")).await.ok();
    let answer = api.change("h", "{sessionAffinity: ClientIP}").await;
    let warning = answer.headers.get("warning").map(|value| value.to_str().unwrap());
    assert_eq!(warning, Some("299 - \"spec.SessionAffinity is ignored for headless services\""));
}

/// Endpoints are added to slices as their pods become ready, so that the last slice has the youngest, which are deleted
/// first.
#[tokio::test]
async fn a_scale_down_of_a_deployment_leaves_full_slices() {
    let api = Api::serve("apiVersion: v1\nkind: Namespace\nmetadata: {name: default}\n").await;
    let service = json!({ "metadata": { "name": "w" }, "spec": {
        "clusterIP": "None", "selector": { "app": "w" }, "ports": [{ "port": 80 }],
    } });
    api.post("/api/v1/namespaces/default/services", &service).await.ok();
    let deployments = "/apis/apps/v1/namespaces/default/deployments";
    let deployment = json!({ "metadata": { "name": "w" }, "spec": {
        "replicas": 130,
        "selector": { "matchLabels": { "app": "w" } },
        "template": {
            "metadata": { "labels": { "app": "w" } },
            "spec": { "containers": [{ "name": "c", "image": "i" }] },
        },
    } });
    api.post(deployments, &deployment).await.ok();
    for (replicas, expected) in [(130, vec![100, 30]), (40, vec![40])] {
        let scale = json!({ "spec": { "replicas": replicas } });
        api.patch(&format!("{deployments}/w"), MERGE, &scale).await.ok();
        api.post("/apis/clusterlocal.dev/v1/clocks/cluster/advance", &json!({ "by": "60s" })).await.ok();
        let slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector=kubernetes.io/service-name=w";
        let slices = api.get(slices).await.ok();
        let count = |slice: &Value| slice["endpoints"].as_array().map_or(0, Vec::len);
        let mut counts: Vec<usize> = slices["items"].as_array().expect("slices").iter().map(count).collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        assert_eq!(counts, expected, "{replicas}");
    }
}
