//! Volume claims and volumes: binding, protection against deletion, and their Events, as in Kubernetes 1.36.

use serde_json::{Value, json};

use super::{Api, MERGE, PODS, text};

const CLAIMS: &str = "/api/v1/namespaces/default/persistentvolumeclaims";
const VOLUMES: &str = "/api/v1/persistentvolumes";
const CLASSES: &str = "/apis/storage.k8s.io/v1/storageclasses";

fn claim(name: &str, class: &str) -> Value {
    json!({ "metadata": { "name": name }, "spec": {
        "accessModes": ["ReadWriteOnce"], "storageClassName": class, "resources": { "requests": { "storage": "1Gi" } },
    } })
}

fn volume(name: &str, more: Value) -> Value {
    let mut spec = json!({
        "capacity": { "storage": "2Gi" }, "accessModes": ["ReadWriteOnce"], "hostPath": { "path": "/x" },
    });
    more.as_object().into_iter().flatten().for_each(|(name, value)| spec[name] = value.clone());
    json!({ "metadata": { "name": name }, "spec": spec })
}

fn user(name: &str, claim: &str) -> Value {
    json!({ "metadata": { "name": name }, "spec": {
        "containers": [{ "name": "c", "image": "i" }],
        "volumes": [{ "name": "v", "persistentVolumeClaim": { "claimName": claim } }],
    } })
}

impl Api {
    /// `Bound to VOLUME`, or the phase; whether it is terminating.
    async fn claimed(&self, name: &str) -> String {
        let answer = self.get(&format!("{CLAIMS}/{name}")).await;
        if answer.code == 404 {
            return "gone".into();
        }
        let claim = answer.ok();
        let going = if claim["metadata"]["deletionTimestamp"].is_null() { "" } else { "terminating " };
        match text(&claim["status"]["phase"]) {
            "Bound" => format!("{going}Bound to {}", text(&claim["spec"]["volumeName"])),
            phase => format!("{going}{phase}"),
        }
    }

    /// The phase of a volume; whether it is terminating.
    async fn volume_phase(&self, name: &str) -> String {
        let answer = self.get(&format!("{VOLUMES}/{name}")).await;
        if answer.code == 404 {
            return "gone".into();
        }
        let volume = answer.ok();
        let going = if volume["metadata"]["deletionTimestamp"].is_null() { "" } else { "terminating " };
        format!("{going}{}", text(&volume["status"]["phase"]))
    }

    /// The latest Event about a claim, as `REASON: MESSAGE`.
    async fn last_event(&self, name: &str) -> String {
        let events = self.get("/api/v1/events").await.ok();
        let events = events["items"].as_array().cloned().unwrap_or_default();
        let is_about = |event: &&Value| {
            let object = &event["involvedObject"];
            object["kind"] == "PersistentVolumeClaim" && object["name"] == name
        };
        let about = events.iter().rfind(is_about);
        about.map_or_else(String::new, |event| {
            format!("{}: {}", text(&event["reason"]), text(&event["message"]))
        })
    }

    async fn remove(&self, path: &str) {
        self.ask("DELETE", &format!("{path}?gracePeriodSeconds=0"), &[], "").await.ok();
    }
}

#[tokio::test]
async fn a_claim_without_a_class_waits_for_a_volume() {
    let api = Api::serve("").await;
    api.post(CLAIMS, &claim("c", "")).await.ok();
    api.post(PODS, &user("p", "c")).await.ok();
    assert_eq!(api.claimed("c").await, "Pending");
    assert_eq!(
        api.last_event("c").await,
        "FailedBinding: no persistent volumes available for this claim and no storage class is set"
    );
    let waiting = "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found";
    let pod = api.get(&format!("{PODS}/p")).await.ok();
    assert_eq!(pod["status"]["conditions"][0]["message"], waiting, "{pod}");
    // One of another class, one that is too small, and one that matches.
    api.post(VOLUMES, &volume("classy", json!({ "storageClassName": "slow" }))).await.ok();
    api.post(VOLUMES, &volume("small", json!({ "capacity": { "storage": "1M" } }))).await.ok();
    assert_eq!(
        (api.claimed("c").await, api.volume_phase("small").await),
        ("Pending".into(), "Available".into())
    );
    api.post(VOLUMES, &volume("fits", json!({}))).await.ok();
    assert_eq!(
        (api.claimed("c").await, api.volume_phase("fits").await),
        ("Bound to fits".into(), "Bound".into())
    );
    let bound = api.get(&format!("{CLAIMS}/c")).await.ok();
    assert_eq!(bound["status"]["capacity"]["storage"], "2Gi", "the capacity of the volume");
    assert_eq!(
        bound["metadata"]["annotations"],
        json!({ "pv.kubernetes.io/bind-completed": "yes", "pv.kubernetes.io/bound-by-controller": "yes" })
    );
    assert_eq!(api.get(&format!("{PODS}/p")).await.ok()["status"]["phase"], "Running");
}

#[tokio::test]
async fn claims_and_volumes_in_use_are_protected_from_deletion() {
    let api = Api::serve("").await;
    for (name, policy) in [("kept", "Retain"), ("dropped", "Delete"), ("other", "Retain")] {
        let more = json!({ "persistentVolumeReclaimPolicy": policy, "storageClassName": name, "hostPath": { "path": "/tmp/x" } });
        api.post(VOLUMES, &volume(name, more)).await.ok();
        api.post(CLAIMS, &claim(name, name)).await.ok();
        api.post(PODS, &user(name, name)).await.ok();
        assert_eq!(api.claimed(name).await, format!("Bound to {name}"));
    }
    for name in ["kept", "dropped"] {
        api.remove(&format!("{CLAIMS}/{name}")).await;
        api.remove(&format!("{VOLUMES}/{name}")).await;
        let (claim, volume) = (api.claimed(name).await, api.volume_phase(name).await);
        assert_eq!((claim, volume), (format!("terminating Bound to {name}"), "terminating Bound".into()));
        // A pod that has ended still uses its claim.
        let ended = json!({ "status": { "phase": "Succeeded" } });
        api.patch(&format!("{PODS}/{name}/status"), MERGE, &ended).await.ok();
        assert_eq!(api.claimed(name).await, format!("terminating Bound to {name}"));
        api.remove(&format!("{PODS}/{name}")).await;
        assert_eq!((api.claimed(name).await, api.volume_phase(name).await), ("gone".into(), "gone".into()));
    }
    // Without the finalizer it is not protected.
    api.remove(&format!("{CLAIMS}/other")).await;
    let shown = api.get(&format!("{CLAIMS}/other")).await.ok();
    assert_eq!(shown["metadata"]["finalizers"], json!(["kubernetes.io/pvc-protection"]));
    api.patch(&format!("{CLAIMS}/other"), MERGE, &json!({ "metadata": { "finalizers": null } })).await.ok();
    assert_eq!(
        (api.claimed("other").await, api.volume_phase("other").await),
        ("gone".into(), "Released".into())
    );
}

#[tokio::test]
async fn references_between_claims_and_volumes_are_followed() {
    let api = Api::serve("").await;
    let named = |name: &str, volume: &str| {
        let mut claim = claim(name, "");
        claim["spec"]["volumeName"] = volume.into();
        claim
    };
    let kept = json!({ "claimRef": { "namespace": "default", "name": "kept" } });
    api.post(VOLUMES, &volume("v-kept", kept)).await.ok();
    assert_eq!(api.volume_phase("v-kept").await, "Available");
    // Claim; its state, and its last Event.
    let table = [
        (
            claim("another", ""),
            "Pending",
            "FailedBinding: no persistent volumes available for this claim and no storage class is set",
        ),
        (
            named("thief", "v-kept"),
            "Pending",
            "FailedBinding: volume \"v-kept\" already bound to a different claim.",
        ),
        (claim("kept", ""), "Bound to v-kept", ""),
        (named("early", "v-late"), "Pending", ""),
    ];
    for (claim, becomes, event) in table {
        let name = text(&claim["metadata"]["name"]).to_owned();
        api.post(CLAIMS, &claim).await.ok();
        assert_eq!(
            (api.claimed(&name).await.as_str(), api.last_event(&name).await.as_str()),
            (becomes, event),
            "{name}"
        );
    }
    api.remove(&format!("{CLAIMS}/another")).await;
    api.post(VOLUMES, &volume("v-late", json!({ "capacity": { "storage": "1Mi" } }))).await.ok();
    assert_eq!(
        api.last_event("early").await,
        "VolumeMismatch: Cannot bind to requested volume \"v-late\": requested PV is too small"
    );
    api.patch(&format!("{VOLUMES}/v-late"), MERGE, &json!({ "spec": { "capacity": { "storage": "1Gi" } } }))
        .await
        .ok();
    assert_eq!(api.claimed("early").await, "Bound to v-late");
    let bound = api.get(&format!("{CLAIMS}/early")).await.ok();
    assert_eq!(
        bound["metadata"]["annotations"],
        json!({ "pv.kubernetes.io/bind-completed": "yes" }),
        "it named the volume"
    );
}

#[tokio::test]
async fn the_storage_class_sets_the_provisioner_and_the_binding_mode() {
    let api = Api::serve("").await;
    let by_hand = "Waiting for a volume to be created either by the external provisioner 'kubernetes.io/no-provisioner' or \
                   manually by the system administrator. If volume creation is delayed, please verify that the provisioner \
                   is running and correctly registered.";
    // Class, its provisioner and mode; whether a pod uses the claim; the state of the claim, and its last Event.
    let table = [
        ("now", "x.io/p", "Immediate", false, "Bound", ""),
        ("hand", "kubernetes.io/no-provisioner", "Immediate", true, "Pending", by_hand),
        (
            "later",
            "x.io/p",
            "WaitForFirstConsumer",
            false,
            "Pending",
            "waiting for first consumer to be created before binding",
        ),
        ("used", "x.io/p", "WaitForFirstConsumer", true, "Bound", ""),
    ];
    for (class, provisioner, mode, used, becomes, event) in table {
        let of =
            json!({ "metadata": { "name": class }, "provisioner": provisioner, "volumeBindingMode": mode });
        api.post(CLASSES, &of).await.ok();
        api.post(CLAIMS, &claim(class, class)).await.ok();
        if used {
            api.post(PODS, &user(class, class)).await.ok();
        }
        let (claimed, events) = (api.claimed(class).await, api.last_event(class).await);
        assert!(claimed.starts_with(becomes), "{class}: {claimed}");
        assert!(events.contains(event), "{class}: {events}");
    }
    assert_eq!(api.get(&format!("{PODS}/used")).await.ok()["status"]["phase"], "Running");
}

#[tokio::test]
async fn a_set_waits_for_volumes_without_a_provisioner() {
    let set = "
{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db}, spec: {serviceName: db, replicas: 2, selector: {matchLabels: {a: b}},
 template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}, volumeClaimTemplates: [{metadata: {name: data},
 spec: {accessModes: [ReadWriteOnce], storageClassName: '', resources: {requests: {storage: 1Gi}}}}]}}
";
    let api = Api::serve(set).await;
    let phases = async || {
        let pods = api.get(PODS).await.ok();
        let pods = pods["items"].as_array().cloned().unwrap_or_default();
        pods.iter().map(|pod| text(&pod["status"]["phase"]).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(phases().await, ["Pending"]);
    api.post(VOLUMES, &volume("one", json!({}))).await.ok();
    assert_eq!(phases().await, ["Running", "Pending"]);
    api.post(VOLUMES, &volume("two", json!({}))).await.ok();
    assert_eq!(phases().await, ["Running", "Running"]);
    assert_eq!(api.claimed("data-db-1").await, "Bound to two");
}
