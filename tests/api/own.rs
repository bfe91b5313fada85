//! The group `clusterlocal.dev`: the clock, and changes of the DNS.

use serde_json::json;

use super::{Api, JSON, MERGE, PODS, RING, SETS, names, text};

const CLOCK: &str = "/apis/clusterlocal.dev/v1/clocks/cluster";
const CHANGES: &str = "/apis/clusterlocal.dev/v1/changes";

#[tokio::test]
async fn the_clock_is_set_through_the_api() {
    let api = Api::serve(&RING.replace("replicas: 3", "replicas: 1")).await;
    let clock = api.get(CLOCK).await.ok();
    assert_eq!(clock["status"], json!({ "now": "2023-11-14T22:13:20Z", "running": false, "speed": 1.0 }));
    let slow = json!({ "spec": { "template": { "metadata": { "annotations": { "clusterlocal.dev/ready-delay": "50s" } } } } });
    api.patch(&format!("{SETS}/db"), MERGE, &slow).await.ok();
    let phase = async || api.get(&format!("{PODS}/db-0")).await.ok()["status"]["conditions"].clone();
    let ready = |conditions: &serde_json::Value| {
        conditions
            .as_array()
            .expect("conditions")
            .iter()
            .any(|c| c["type"] == "Ready" && c["status"] == "True")
    };
    assert!(!ready(&phase().await));
    let advanced = api.post(&format!("{CLOCK}/advance"), &json!({ "by": "1m" })).await.ok();
    assert_eq!(advanced["status"]["now"], "2023-11-14T22:14:20Z");
    assert!(ready(&phase().await));
    for bad in [json!({}), json!({ "by": "x" }), json!({ "by": 50 }), json!({ "by": "100000h" })] {
        assert_eq!(api.post(&format!("{CLOCK}/advance"), &bad).await.failure().0, 400, "{bad}");
    }
    let resumed = api.ask("POST", &format!("{CLOCK}/resume"), &[("content-type", JSON)], "").await.ok();
    assert_eq!(resumed["status"]["running"], true);
    let paused = api.ask("POST", &format!("{CLOCK}/pause"), &[("content-type", JSON)], "").await.ok();
    assert_eq!(paused["status"]["running"], false);
    assert_eq!(api.get("/apis/clusterlocal.dev/v1/clocks/other").await.failure().0, 404);
}

#[tokio::test]
async fn changes_of_the_dns_are_listed() {
    let api = Api::serve(RING).await;
    let scaled = api.patch(&format!("{SETS}/db/scale"), MERGE, &json!({ "spec": { "replicas": 4 } })).await;
    let serial = scaled.headers["clusterlocal-serial"].to_str().unwrap().to_owned();
    let list = api.get(CHANGES).await.ok();
    let last = list["items"].as_array().and_then(|items| items.last()).expect("a change");
    assert_eq!(last["serial"].to_string(), serial);
    assert!(
        last["names"]
            .as_array()
            .expect("names")
            .iter()
            .any(|name| text(&name["name"]).starts_with("db-3.db")),
        "{last}"
    );
    let number = names(&list).last().copied().expect("a change").to_owned();
    assert_eq!(&api.get(&format!("{CHANGES}/{number}")).await.ok(), last);
    assert_eq!(api.get(&format!("{CHANGES}/0")).await.failure().0, 404);
    let table = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
    let table = api.ask("GET", CHANGES, &table, "").await.ok();
    let row = table["rows"].as_array().and_then(|rows| rows.last()).expect("a row");
    assert!(text(&row["cells"][3]).contains("+db-3.db"), "{row}");
}

#[tokio::test]
async fn changes_of_the_dns_are_watched() {
    let api = Api::serve(RING).await;
    let last = api.get(CHANGES).await.ok()["metadata"]["resourceVersion"].clone();
    let table = ("accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json");
    let mut watch = api.watch(&format!("{CHANGES}?watch=1&resourceVersion={}", text(&last)), &[table]).await;
    let mut plain = api.watch(&format!("{CHANGES}?watch=1&resourceVersion={}", text(&last)), &[]).await;
    for (replicas, sign) in [(4, "+db-3.db"), (3, "-db-3.db")] {
        api.patch(&format!("{SETS}/db"), MERGE, &json!({ "spec": { "replicas": replicas } })).await.ok();
        loop {
            let event = watch.next().await.expect("an event");
            assert_eq!(event["type"], "ADDED");
            if text(&event["object"]["rows"][0]["cells"][3]).contains(sign) {
                break;
            }
        }
    }
    let first = plain.next().await.expect("an event");
    assert_eq!(first["object"]["kind"], "Change");
}
