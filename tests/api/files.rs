//! Changes of files that the API forbids.

use clusterlocal_api::admit::forbidden_changes;
use clusterlocal_core::store::{Change, Object};
use serde_json::json;

use super::{Api, MERGE, PODS, RING, SETS, common, names, text};

/// The errors of `kubectl apply` for the new manifest, one per field.
fn judge(there: &Object, wanted: &Object) -> Vec<String> {
    forbidden_changes(there, wanted).iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn an_object_with_a_changed_immutable_field_is_created_again() {
    let forbidden = "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
    let fixed = RING.replace("clusterIP: None", "clusterIP: 127.96.7.7");
    // The manifest before and after, the object that is created again, and the errors of `kubectl apply`.
    let table = [
        (RING.to_string(), RING.replace("replicas: 3", "replicas: 2"), None),
        (
            RING.to_string(),
            RING.replace("  replicas", "  podManagementPolicy: Parallel\n  replicas"),
            Some(("StatefulSet default/db", forbidden)),
        ),
        (
            RING.to_string(),
            RING.replace("serviceName: db", "serviceName: other"),
            Some(("StatefulSet default/db", forbidden)),
        ),
        (RING.to_string(), RING.replace("app: db}", "app: dc}"), Some(("StatefulSet default/db", forbidden))),
        (
            fixed.clone(),
            fixed.replace("127.96.7.7", "127.96.8.8"),
            Some((
                "Service default/db",
                "spec.clusterIPs[0]: Invalid value: [\"127.96.8.8\"]: may not change once set",
            )),
        ),
    ];
    for (before, after, expected) in table {
        let api = Api::serve(&before).await;
        let uid = |answer: &serde_json::Value| text(&answer["metadata"]["uid"]).to_string();
        let set = uid(&api.get(&format!("{SETS}/db")).await.ok());
        let changes: Vec<Change> =
            common::objects("test.yaml", after.as_str()).into_values().map(Change::Put).collect();
        let (_, replaced) = api.driver.write(|cluster| cluster.apply_checked(changes, judge));
        let found =
            replaced.iter().find(|replaced| expected.is_some_and(|(key, _)| key == replaced.key.to_string()));
        assert_eq!(replaced.is_empty(), expected.is_none(), "{after}: {replaced:?}");
        if let Some((key, reason)) = expected {
            let found = found.unwrap_or_else(|| panic!("{key} is not among {replaced:?}"));
            assert_eq!(
                (found.held, found.reasons.as_slice()),
                (false, [reason.to_string()].as_slice()),
                "{after}"
            );
        }
        let now = api.get(&format!("{SETS}/db")).await.ok();
        let anew = expected.is_some_and(|(key, _)| key.starts_with("StatefulSet"));
        assert_eq!(uid(&now) != set, anew, "{after}");
        let pods = api.get(PODS).await.ok();
        for pod in pods["items"].as_array().expect("pods") {
            assert_eq!(pod["metadata"]["ownerReferences"][0]["uid"], now["metadata"]["uid"], "{pod}");
        }
    }
}

#[tokio::test]
async fn an_object_with_finalizers_is_unchanged() {
    let api = Api::serve(RING).await;
    let hold = json!({ "metadata": { "finalizers": ["example.com/hold"] } });
    api.patch(&format!("{SETS}/db"), MERGE, &hold).await.ok();
    let after = RING.replace("serviceName: db", "serviceName: other");
    let changes: Vec<Change> = common::objects("test.yaml", after).into_values().map(Change::Put).collect();
    let (_, replaced) = api.driver.write(|cluster| cluster.apply_checked(changes, judge));
    assert!(replaced.iter().any(|replaced| replaced.held), "{replaced:?}");
    let set = api.get(&format!("{SETS}/db")).await.ok();
    assert_eq!(set["spec"]["serviceName"], "db");
    assert_eq!(names(&api.get(PODS).await.ok()), ["db-0", "db-1", "db-2"]);
}
