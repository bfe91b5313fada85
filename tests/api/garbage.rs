//! The garbage collector with owners of every kind: custom resources, kinds without a controller, cluster-scoped objects
//! (`pkg/controller/garbagecollector`).

use serde_json::{Value, json};

use super::{Api, MERGE, names, text};

const CONFIGS: &str = "/api/v1/namespaces/default/configmaps";
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// A kind of owner: `apiVersion`, kind, and the path of its objects.
type Owners = (&'static str, &'static str, &'static str);

const OWNERS: [Owners; 5] = [
    ("example.com/v1", "Ring", "/apis/example.com/v1/namespaces/default/rings"),
    ("example.com/v1", "Realm", "/apis/example.com/v1/realms"),
    // Has the name of a built-in kind.
    ("example.com/v1", "Service", "/apis/example.com/v1/namespaces/default/services"),
    ("coordination.k8s.io/v1", "Lease", "/apis/coordination.k8s.io/v1/namespaces/default/leases"),
    ("v1", "ConfigMap", CONFIGS),
];

fn definition(kind: &str, scope: &str) -> Value {
    let plural = format!("{}s", kind.to_lowercase());
    json!({
        "metadata": { "name": format!("{plural}.example.com") },
        "spec": {
            "group": "example.com",
            "scope": scope,
            "names": { "plural": plural, "kind": kind },
            "versions": [{
                "name": "v1",
                "served": true,
                "storage": true,
                "schema": { "openAPIV3Schema": { "type": "object" } },
            }],
        },
    })
}

fn reference((api_version, kind, _): Owners, name: &str, uid: &Value, blocks: bool) -> Value {
    json!({ "apiVersion": api_version, "kind": kind, "name": name, "uid": uid, "blockOwnerDeletion": blocks })
}

impl Api {
    async fn with_kinds() -> Api {
        let api = Api::serve("apiVersion: v1\nkind: Namespace\nmetadata: {name: default}\n").await;
        for (kind, scope) in [("Ring", "Namespaced"), ("Realm", "Cluster"), ("Service", "Namespaced")] {
            api.post(DEFINITIONS, &definition(kind, scope)).await.ok();
        }
        api
    }

    /// Creates an object of the kind with these owners. Returns its UID.
    async fn make_owned(&self, (api_version, kind, path): Owners, name: &str, owners: &[Value]) -> Value {
        let metadata = json!({ "name": name, "ownerReferences": owners });
        let object = json!({ "apiVersion": api_version, "kind": kind, "metadata": metadata });
        self.post(path, &object).await.ok()["metadata"]["uid"].clone()
    }

    async fn delete_by(&self, path: &str, policy: &str) {
        let options = json!({ "kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": policy });
        self.ask("DELETE", path, &[("content-type", super::JSON)], options.to_string()).await.ok();
    }

    /// The ConfigMaps of the test, each with the number of its owners.
    async fn owned_configs(&self) -> Vec<(String, usize)> {
        let list = self.get(CONFIGS).await.ok();
        let items = list["items"].as_array().expect("items").iter();
        let own = items.filter(|item| item["metadata"]["name"] != "kube-root-ca.crt");
        own.map(|item| {
            let owners = item["metadata"]["ownerReferences"].as_array().map_or(0, Vec::len);
            (text(&item["metadata"]["name"]).to_owned(), owners)
        })
        .collect()
    }
}

#[tokio::test]
async fn dependents_follow_owners_of_every_kind() {
    let own = |all: &[(&str, usize)]| {
        all.iter().map(|(name, owners)| (name.to_string(), *owners)).collect::<Vec<_>>()
    };
    for owners in OWNERS {
        let (_, kind, path) = owners;
        // What happens to a dependent that blocks and has a finalizer, to one that does not block, and to the owner.
        let table = [
            ("Background", own(&[("blocking", 1)]), false),
            ("Foreground", own(&[("blocking", 1)]), true),
            ("Orphan", own(&[("blocking", 0), ("other", 0)]), false),
        ];
        for (policy, expected, waits) in table {
            let case = format!("{kind} {policy}");
            let api = Api::with_kinds().await;
            let uid = api.make_owned(owners, "an-owner", &[]).await;
            for (name, blocks) in [("blocking", true), ("other", false)] {
                let reference = reference(owners, "an-owner", &uid, blocks);
                api.make_owned(OWNERS[4], name, std::slice::from_ref(&reference)).await;
                let shown = api.get(&format!("{CONFIGS}/{name}")).await.ok();
                let shown = &shown["metadata"]["ownerReferences"][0];
                assert_eq!((&shown["apiVersion"], &shown["uid"]), (&reference["apiVersion"], &uid), "{case}");
            }
            let hold = json!({ "metadata": { "finalizers": ["example.com/hold"] } });
            api.patch(&format!("{CONFIGS}/blocking"), MERGE, &hold).await.ok();
            api.delete_by(&format!("{path}/an-owner"), policy).await;
            let mut configs = api.owned_configs().await;
            configs.retain(|(name, _)| name != "an-owner");
            assert_eq!(configs, expected, "{case}");
            assert_eq!(api.get(&format!("{path}/an-owner")).await.code == 200, waits, "{case}");
            let none = json!({ "metadata": { "finalizers": null } });
            api.patch(&format!("{CONFIGS}/blocking"), MERGE, &none).await.ok();
            assert_eq!(api.get(&format!("{path}/an-owner")).await.code, 404, "{case}");
            assert_eq!(api.owned_configs().await.is_empty(), policy != "Orphan", "{case}");
        }
    }
}

#[tokio::test]
async fn custom_resources_are_dependents() {
    for dependents in &OWNERS[..4] {
        for policy in ["Background", "Foreground", "Orphan"] {
            let (_, kind, path) = *dependents;
            let api = Api::with_kinds().await;
            let owner = if kind == "Realm" { *dependents } else { OWNERS[4] };
            let uid = api.make_owned(owner, "an-owner", &[]).await;
            api.make_owned(*dependents, "one", &[reference(owner, "an-owner", &uid, true)]).await;
            api.delete_by(&format!("{}/an-owner", owner.2), policy).await;
            let left = api.get(path).await.ok();
            let expected: &[&str] = if policy == "Orphan" { &["one"] } else { &[] };
            assert_eq!(names(&left), expected, "{kind} {policy}");
        }
    }
}

#[tokio::test]
async fn an_object_without_any_existing_owner_is_deleted() {
    const GONE: &str = "11111111-1111-4111-8111-111111111111";
    let [ring, realm, .., config] = OWNERS;
    let missing = |owners: Owners| reference(owners, "missing", &json!(GONE), false);
    let unknown = ("example.com/v1", "Stranger", "");
    let elsewhere = ("other.example.com/v1", "Service", "");
    // The kind of the dependent, its missing owners, whether it has an existing one as well; whether it stays, and with how
    // many owners.
    let table = [
        (config, vec![missing(ring)], false, None),
        (config, vec![missing(realm)], false, None),
        (config, vec![missing(ring), missing(config)], false, None),
        (config, vec![missing(ring)], true, Some(1)),
        // For an owner of an unknown kind, existence cannot be determined.
        (config, vec![missing(unknown)], false, Some(1)),
        (config, vec![missing(elsewhere), missing(ring)], false, Some(2)),
        (config, vec![missing(unknown)], true, Some(2)),
        (ring, vec![missing(config)], false, None),
        (realm, vec![missing(realm)], false, None),
        // A cluster-scoped object cannot have a namespaced owner.
        (realm, vec![missing(config)], false, Some(1)),
    ];
    for (dependents, mut owners, has_owner, expected) in table {
        let case = format!("{} {owners:?} {has_owner}", dependents.1);
        let api = Api::with_kinds().await;
        if has_owner {
            let uid = api.make_owned(ring, "solid", &[]).await;
            owners.push(reference(ring, "solid", &uid, false));
        }
        api.make_owned(dependents, "one", &owners).await;
        let one = api.get(&format!("{}/one", dependents.2)).await;
        let owners =
            (one.code == 200).then(|| one.json["metadata"]["ownerReferences"].as_array().map_or(0, Vec::len));
        assert_eq!(owners, expected, "{case}");
    }
}

#[tokio::test]
async fn an_owner_in_another_namespace_does_not_count() {
    let api = Api::with_kinds().await;
    let ring = OWNERS[0];
    api.post("/api/v1/namespaces", &json!({ "metadata": { "name": "other" } })).await.ok();
    let there = ("example.com/v1", "Ring", "/apis/example.com/v1/namespaces/other/rings");
    let uid = api.make_owned(there, "r", &[]).await;
    api.make_owned(OWNERS[4], "one", &[reference(ring, "r", &uid, false)]).await;
    assert_eq!(api.owned_configs().await, []);
    let events = api.get("/api/v1/namespaces/default/events").await.ok();
    let uid = text(&uid);
    let expected = format!(
        "ownerRef [example.com/v1/Ring, namespace: default, name: r, uid: {uid}] does not exist in namespace \"default\""
    );
    let items = events["items"].as_array().expect("events");
    let event = items.iter().find(|event| event["reason"] == "OwnerRefInvalidNamespace").expect("an event");
    assert_eq!((text(&event["message"]), text(&event["type"])), (&*expected, "Warning"));
}

#[tokio::test]
async fn a_pod_of_an_unknown_controller_is_not_adopted() {
    let api = Api::with_kinds().await;
    let metadata = json!({ "name": "p", "labels": { "app": "a" }, "ownerReferences": [{
        "apiVersion": "example.com/v1", "kind": "Stranger", "name": "s", "uid": "11111111-1111-4111-8111-111111111111",
        "controller": true,
    }] });
    let spec = json!({ "containers": [{ "name": "c", "image": "i" }] });
    api.post(super::PODS, &json!({ "metadata": metadata, "spec": spec })).await.ok();
    let set = json!({ "metadata": { "name": "r" }, "spec": {
        "replicas": 1,
        "selector": { "matchLabels": { "app": "a" } },
        "template": { "metadata": { "labels": { "app": "a" } }, "spec": spec },
    } });
    api.post("/apis/apps/v1/namespaces/default/replicasets", &set).await.ok();
    assert_eq!(names(&api.get(super::PODS).await.ok()).len(), 2);
}
