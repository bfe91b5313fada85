//! Custom resources: from their definition, through their objects, to its deletion.

use serde_json::{Value, json};

use super::{Api, MERGE, RING, names, text};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const RINGS: &str = "/apis/example.com/v1/namespaces/default/rings";

fn definition() -> Value {
    let schema = json!({
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "properties": {
                    "replicas": { "type": "integer", "minimum": 1 },
                    "mode": { "type": "string", "default": "slow" },
                },
            },
            "status": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
        },
    });
    let version = |name: &str, storage: bool| {
        json!({
            "name": name,
            "served": true,
            "storage": storage,
            "schema": { "openAPIV3Schema": schema },
            "subresources": {
                "status": {},
                "scale": { "specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas" },
            },
            "additionalPrinterColumns": [{ "name": "Mode", "type": "string", "jsonPath": ".spec.mode" }],
        })
    };
    json!({
        "metadata": { "name": "rings.example.com" },
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": { "plural": "rings", "kind": "Ring", "shortNames": ["rg"] },
            "versions": [version("v1beta1", false), version("v1", true)],
        },
    })
}

#[tokio::test]
async fn a_definition_is_established_and_served() {
    let api = Api::serve(RING).await;
    assert_eq!(api.get(RINGS).await.code, 404);
    let mut wrong = definition();
    wrong["metadata"]["name"] = "other.example.com".into();
    let refused = api.post(DEFINITIONS, &wrong).await;
    assert_eq!(refused.failure().0, 422);
    api.post(DEFINITIONS, &definition()).await.ok();
    let made = api.get(&format!("{DEFINITIONS}/rings.example.com")).await.ok();
    let conditions = made["status"]["conditions"].as_array().expect("conditions");
    let states: Vec<_> = conditions.iter().map(|c| (text(&c["type"]), text(&c["status"]))).collect();
    assert_eq!(states, [("NamesAccepted", "True"), ("Established", "True")]);
    assert_eq!(made["status"]["acceptedNames"]["listKind"], "RingList");
    assert_eq!(made["status"]["storedVersions"], json!(["v1"]));
    let group = api.get("/apis/example.com").await.ok();
    assert_eq!(group["preferredVersion"]["version"], "v1", "v1 takes precedence over v1beta1");
    let resources = api.get("/apis/example.com/v1").await.ok();
    let listed: Vec<_> =
        resources["resources"].as_array().expect("resources").iter().map(|r| text(&r["name"])).collect();
    assert_eq!(listed, ["rings", "rings/scale", "rings/status"]);
    assert_eq!(api.get("/openapi/v3/apis/example.com/v1").await.code, 200);
    let groups = api.get("/apis").await.ok();
    assert!(groups.to_string().contains("example.com"));
}

#[tokio::test]
async fn objects_follow_their_definition() {
    let api = Api::serve(RING).await;
    api.post(DEFINITIONS, &definition()).await.ok();
    let ring = json!({ "metadata": { "name": "a" }, "spec": { "replicas": 3, "mdoe": "x" }, "status": { "replicas": 9 } });
    let strict = api.post(&format!("{RINGS}?fieldValidation=Strict"), &ring).await;
    assert_eq!(strict.failure().2, "strict decoding error: unknown field \"spec.mdoe\"");
    let made = api.post(RINGS, &ring).await.ok();
    assert_eq!(made["spec"], json!({ "replicas": 3, "mode": "slow" }), "pruned and with defaults");
    assert!(made.get("status").is_none() && made["metadata"]["generation"] == 1, "{made}");
    let other = api.get(&RINGS.replace("/v1/", "/v1beta1/")).await.ok();
    assert_eq!((text(&other["kind"]), names(&other)), ("RingList", vec!["a"]));
    assert_eq!(other["items"][0]["apiVersion"], "example.com/v1beta1");
    let status = json!({ "status": { "replicas": 2 }, "spec": { "replicas": 7 } });
    let updated = api.patch(&format!("{RINGS}/a/status"), MERGE, &status).await.ok();
    assert_eq!((&updated["status"]["replicas"], &updated["spec"]["replicas"]), (&2.into(), &3.into()));
    assert_eq!(updated["metadata"]["generation"], 1, "a status update does not change the generation");
    let scale = api.get(&format!("{RINGS}/a/scale")).await.ok();
    assert_eq!((&scale["spec"]["replicas"], &scale["status"]["replicas"]), (&3.into(), &2.into()));
    let scaled = json!({ "spec": { "replicas": 5 } });
    api.patch(&format!("{RINGS}/a/scale"), MERGE, &scaled).await.ok();
    let now = api.get(&format!("{RINGS}/a")).await.ok();
    assert_eq!((&now["spec"]["replicas"], &now["metadata"]["generation"]), (&5.into(), &2.into()));
    let wrong = api.patch(&format!("{RINGS}/a"), MERGE, &json!({ "spec": { "replicas": "two" } })).await;
    assert_eq!(wrong.failure().0, 422);
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
    let table = api.ask("GET", RINGS, &[("accept", table)], "").await.ok();
    assert_eq!(table["columnDefinitions"][1]["name"], "Mode");
    assert_eq!(table["rows"][0]["cells"], json!(["a", "slow"]));
}

#[tokio::test]
async fn objects_are_watched_and_deleted_with_their_definition() {
    let api = Api::serve(RING).await;
    api.post(DEFINITIONS, &definition()).await.ok();
    let mut watch = api.watch(&format!("{RINGS}?watch=true"), &[]).await;
    let ring = json!({ "metadata": { "name": "a" }, "spec": { "replicas": 1 } });
    api.post(RINGS, &ring).await.ok();
    assert_eq!(watch.next_event().await, "ADDED a");
    api.ask("DELETE", &format!("{DEFINITIONS}/rings.example.com"), &[], "").await.ok();
    assert_eq!(watch.next_event().await, "DELETED a");
    assert_eq!(api.get(&format!("{RINGS}/a")).await.code, 404);
    api.post(DEFINITIONS, &definition()).await.ok();
    assert!(names(&api.get(RINGS).await.ok()).is_empty(), "the objects are not restored with the definition");
}

/// Go's YAML parser reports the line on which the value of the duplicate key begins.
#[tokio::test]
async fn duplicate_keys_in_yaml_are_refused() {
    let api = Api::serve(RING).await;
    api.post(DEFINITIONS, &definition()).await.ok();
    let ring =
        "apiVersion: example.com/v1\nkind: Ring\nmetadata: {name: r}\nspec:\n  mode: slow\n  mode: fast\n";
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec:\n  clusterIP: None\n  ports: [{port: 80}]\n  ports:\n  - port: 81\n";
    let services = "/api/v1/namespaces/default/services";
    let apply = "application/apply-patch+yaml";
    let yaml = "application/yaml";
    let ring_error = "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  line 6: key \"mode\" already set in map";
    let service_error = "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  line 8: key \"ports\" already set in map";
    let created = "strict decoding error: yaml: unmarshal errors:\n  line 6: key \"mode\" already set in map";
    let service_created = "Service in version \"v1\" cannot be handled as a Service: strict decoding error: yaml: unmarshal errors:\n  line 8: key \"ports\" already set in map";
    let table = [
        ("PATCH", format!("{RINGS}/r"), apply, ring, ring_error),
        ("PATCH", format!("{services}/s"), apply, service, service_error),
        ("POST", RINGS.into(), yaml, ring, created),
        ("POST", services.into(), yaml, service, service_created),
    ];
    for (method, path, content_type, body, expected) in table {
        for (validation, refused) in [("Strict", true), ("Warn", false), ("Ignore", false)] {
            let case = format!("{method} {path} {validation}");
            let whole = format!("{path}?fieldValidation={validation}&fieldManager=m&dryRun=All");
            let answer = api.ask(method, &whole, &[("content-type", content_type)], body).await;
            if refused {
                assert_eq!(answer.failure(), (400, "BadRequest", expected), "{case}");
                continue;
            }
            // Of a duplicate key the last value is used.
            let shown = answer.ok();
            let value = shown.pointer("/spec/mode").or_else(|| shown.pointer("/spec/ports/0/port"));
            assert!(value == Some(&json!("fast")) || value == Some(&json!(81)), "{case}: {shown}");
        }
    }
}
