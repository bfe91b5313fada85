//! Deletion of a namespace, as in `pkg/controller/namespace/deletion`: pods first, then everything else, and what remains
//! is stated in conditions.

use serde_json::{Value, json};

use super::{Api, MERGE, names, text};

const NAMESPACES: &str = "/api/v1/namespaces";
const HELD: &str = "/api/v1/namespaces/held";

/// The conditions of a namespace without remaining content.
const DONE: [&str; 5] = [
    "NamespaceDeletionDiscoveryFailure=False ResourcesDiscovered: All resources successfully discovered",
    "NamespaceDeletionGroupVersionParsingFailure=False ParsedGroupVersions: All legacy kube types successfully parsed",
    "NamespaceDeletionContentFailure=False ContentDeleted: All content successfully deleted, may be waiting on finalization",
    "NamespaceContentRemaining=False ContentRemoved: All content successfully removed",
    "NamespaceFinalizersRemaining=False ContentHasNoFinalizers: All content-preserving finalizers finished",
];

fn object(kind: &str, name: &str, finalizers: &[&str]) -> Value {
    let template = json!({
        "metadata": { "labels": { "app": name } },
        "spec": { "containers": [{ "name": "c", "image": "i" }] },
    });
    let metadata = json!({ "name": name, "finalizers": finalizers });
    match kind {
        "Pod" => json!({ "metadata": metadata, "spec": template["spec"] }),
        "Service" => json!({ "metadata": metadata, "spec": { "ports": [{ "port": 80 }] } }),
        "StatefulSet" => json!({ "metadata": metadata, "spec": {
            "selector": { "matchLabels": { "app": name } }, "template": template, "replicas": 2,
        } }),
        _ => json!({ "metadata": metadata }),
    }
}

/// The path of objects of a kind in the namespace `held`.
fn path(kind: &str) -> String {
    match kind {
        "Pod" => format!("{HELD}/pods"),
        "ConfigMap" => format!("{HELD}/configmaps"),
        "Service" => format!("{HELD}/services"),
        "StatefulSet" => "/apis/apps/v1/namespaces/held/statefulsets".into(),
        _ => "/apis/example.com/v1/namespaces/held/rings".into(),
    }
}

impl Api {
    /// A cluster with the namespace `held`, and the kind Ring.
    async fn with_held() -> Api {
        let api = Api::serve("apiVersion: v1\nkind: Namespace\nmetadata: {name: held}\n").await;
        let definition = json!({
            "metadata": { "name": "rings.example.com" },
            "spec": {
                "group": "example.com",
                "scope": "Namespaced",
                "names": { "plural": "rings", "kind": "Ring" },
                "versions": [{
                    "name": "v1",
                    "served": true,
                    "storage": true,
                    "schema": { "openAPIV3Schema": { "type": "object" } },
                }],
            },
        });
        api.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &definition).await.ok();
        api
    }

    async fn make(&self, kind: &str, name: &str, finalizers: &[&str]) {
        let object = object(kind, name, finalizers);
        let mut typed = object.clone();
        if kind == "Ring" {
            typed["apiVersion"] = "example.com/v1".into();
            typed["kind"] = kind.into();
        }
        self.post(&path(kind), &typed).await.ok();
    }

    async fn release(&self, kind: &str, name: &str) {
        let none = json!({ "metadata": { "finalizers": null } });
        self.patch(&format!("{}/{name}", path(kind)), MERGE, &none).await.ok();
    }

    /// The conditions of `held`, as `TYPE=STATUS REASON: MESSAGE`.
    async fn conditions(&self) -> Vec<String> {
        let namespace = self.get(HELD).await.ok();
        assert_eq!(namespace["status"]["phase"], "Terminating");
        let shown = |condition: &Value| {
            let field = |name: &str| text(&condition[name]).to_owned();
            format!("{}={} {}: {}", field("type"), field("status"), field("reason"), field("message"))
        };
        namespace["status"]["conditions"].as_array().into_iter().flatten().map(shown).collect()
    }

    async fn pass_time(&self, by: &str) {
        let advance = json!({ "by": by });
        self.post("/apis/clusterlocal.dev/v1/clocks/cluster/advance", &advance).await.ok();
    }
}

#[tokio::test]
async fn conditions_state_what_remains_of_a_terminating_namespace() {
    /// Kind, name and finalizers of an object.
    type Made = (&'static str, &'static str, &'static [&'static str]);
    // Objects; the reasons of the last conditions, about resources and finalizers, unless they are the usual ones.
    let table: [(&[Made], Option<[&str; 2]>); 4] = [
        (
            &[
                ("ConfigMap", "a", &["example.com/hold"]),
                ("ConfigMap", "b", &["example.com/hold", "example.com/keep"]),
                ("ConfigMap", "c", &[]),
                ("StatefulSet", "db", &["example.com/hold"]),
            ],
            Some([
                "Some resources are remaining: configmaps. has 2 resource instances, statefulsets.apps has 1 resource instances",
                "Some content in the namespace has finalizers remaining: example.com/hold in 3 resource instances, example.com/keep in 1 resource instances",
            ]),
        ),
        (
            &[("Ring", "r", &["example.com/hold"]), ("Pod", "p", &[])],
            Some([
                "Some resources are remaining: rings.example.com has 1 resource instances",
                "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances",
            ]),
        ),
        (
            &[("Service", "s", &["example.com/hold"])],
            Some([
                "Some resources are remaining: services. has 1 resource instances",
                "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances",
            ]),
        ),
        // While pods remain, nothing else is deleted.
        (&[("Pod", "p", &["example.com/hold"]), ("ConfigMap", "c", &["example.com/hold"])], None),
    ];
    for (made, remains) in table {
        let api = Api::with_held().await;
        for (kind, name, finalizers) in made {
            api.make(kind, name, finalizers).await;
        }
        api.ask("DELETE", HELD, &[], "").await.ok();
        api.pass_time("60s").await;
        let mut expected = DONE.map(String::from);
        if let Some([resources, finalizers]) = remains {
            expected[3] = format!("NamespaceContentRemaining=True SomeResourcesRemain: {resources}");
            expected[4] = format!("NamespaceFinalizersRemaining=True SomeFinalizersRemain: {finalizers}");
        }
        assert_eq!(api.conditions().await, expected, "{made:?}");
        for (kind, name, _) in made.iter().filter(|(.., finalizers)| !finalizers.is_empty()) {
            assert_eq!(api.get(HELD).await.code, 200, "{made:?}");
            api.release(kind, name).await;
        }
        assert_eq!(api.get(HELD).await.code, 404, "{made:?}");
    }
}

#[tokio::test]
async fn pods_of_a_terminating_namespace_are_deleted_first() {
    let api = Api::with_held().await;
    api.make("StatefulSet", "db", &[]).await;
    api.make("ConfigMap", "c", &[]).await;
    api.make("Pod", "p", &["example.com/hold"]).await;
    api.ask("DELETE", HELD, &[], "").await.ok();
    // The set does not replace its pods.
    assert_eq!(names(&api.get(&path("Pod")).await.ok()), ["p"]);
    assert_eq!(names(&api.get(&path("StatefulSet")).await.ok()), ["db"]);
    assert_eq!(names(&api.get(&path("ConfigMap")).await.ok()), ["c", "kube-root-ca.crt"]);
    let deleted = &api.get(&format!("{}/c", path("ConfigMap"))).await.ok()["metadata"]["deletionTimestamp"];
    assert_eq!(*deleted, Value::Null);
    api.release("Pod", "p").await;
    assert_eq!(api.get(HELD).await.code, 404);
}

#[tokio::test]
async fn finalizers_of_a_namespace_hold_it() {
    // Finalizers in the spec and in the metadata; whether the namespace exists after its deletion.
    let table: [(&[&str], &[&str], bool); 4] = [
        (&["kubernetes"], &[], false),
        (&["kubernetes", "example.com/hold"], &[], true),
        (&["kubernetes"], &["example.com/hold"], true),
        (&[], &[], false),
    ];
    for (of_spec, of_metadata, stays) in table {
        let case = format!("{of_spec:?} {of_metadata:?}");
        let api = Api::with_held().await;
        let mut namespace = api.get(HELD).await.ok();
        assert_eq!(namespace["spec"]["finalizers"], json!(["kubernetes"]), "{case}");
        namespace["spec"]["finalizers"] = of_spec.into();
        api.put(&format!("{HELD}/finalize"), &namespace).await.ok();
        let finalizers = json!({ "metadata": { "finalizers": of_metadata } });
        api.patch(HELD, MERGE, &finalizers).await.ok();
        api.ask("DELETE", HELD, &[], "").await.ok();
        assert_eq!(api.get(HELD).await.code == 200, stays, "{case}");
        if !stays {
            continue;
        }
        let left = api.get(HELD).await.ok();
        let held: Vec<&str> = of_spec.iter().filter(|name| **name != "kubernetes").copied().collect();
        let shown = left["spec"]["finalizers"].as_array().cloned().unwrap_or_default();
        assert_eq!(json!(shown), json!(held), "{case}");
        assert_eq!(api.conditions().await, DONE, "{case}");
        api.put(&format!("{HELD}/finalize"), &json!({ "metadata": { "name": "held" } })).await.ok();
        api.patch(HELD, MERGE, &json!({ "metadata": { "finalizers": null } })).await;
        assert_eq!(api.get(HELD).await.code, 404, "{case}");
    }
}

#[tokio::test]
async fn a_namespace_without_its_finalizer_is_deleted_before_its_contents() {
    let api = Api::with_held().await;
    api.make("ConfigMap", "c", &["example.com/hold"]).await;
    api.ask("DELETE", HELD, &[], "").await.ok();
    assert_eq!(api.get(HELD).await.code, 200);
    api.put(&format!("{HELD}/finalize"), &json!({ "metadata": { "name": "held" } })).await.ok();
    assert!(!names(&api.get(NAMESPACES).await.ok()).contains(&"held"));
}
