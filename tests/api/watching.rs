//! Watches: every event once, in order, and 410 Gone for revisions that are no longer kept.

use serde_json::{Value, json};

use super::{Api, MERGE, PODS, RING, SETS, text};

const TABLE: (&str, &str) = ("accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json");

fn revision(object: &Value) -> u64 {
    text(&object["metadata"]["resourceVersion"]).parse().expect("a resourceVersion")
}

#[tokio::test]
async fn a_watch_from_a_list_misses_no_event() {
    let api = Api::serve(RING).await;
    let list = api.get(PODS).await.ok();
    let mut watch = api.watch(&format!("{PODS}?watch=1&resourceVersion={}", revision(&list)), &[]).await;
    api.patch(&format!("{SETS}/db"), MERGE, &json!({ "spec": { "replicas": 4 } })).await.ok();
    api.ask("DELETE", &format!("{PODS}/db-1?gracePeriodSeconds=0"), &[], "").await.ok();
    let mut last = revision(&list);
    let mut events = Vec::new();
    // The replacement is the last expected event, once it is ready.
    loop {
        let event = watch.next().await.expect("an event");
        let object = &event["object"];
        assert!(revision(object) > last, "{event}");
        last = revision(object);
        events.push(format!("{} {}", text(&event["type"]), text(&object["metadata"]["name"])));
        let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
        let ready = conditions.clone().any(|c| c["type"] == "Ready" && c["status"] == "True");
        if events.last().is_some_and(|last| last.ends_with("db-1")) && event["type"] != "DELETED" && ready {
            break;
        }
    }
    let first = |event: &str| events.iter().position(|seen| seen == event);
    assert!(first("ADDED db-3").is_some() && first("ADDED db-3") < first("DELETED db-1"), "{events:?}");
    assert!(first("DELETED db-1") < first("ADDED db-1"), "{events:?}");
}

#[tokio::test]
async fn objects_that_start_or_stop_matching_a_selector_are_added_or_deleted() {
    let api = Api::serve(RING).await;
    let current = revision(&api.get(PODS).await.ok());
    let selected = format!("{PODS}?watch=1&resourceVersion={current}");
    let mut labelled = api.watch(&format!("{selected}&labelSelector=tier%3Dgold"), &[]).await;
    let mut named = api.watch(&format!("{selected}&fieldSelector=metadata.name%3Ddb-1"), &[]).await;
    let label = |tier: Value| json!({ "metadata": { "labels": { "tier": tier } } });
    for (pod, tier) in
        [("db-0", json!("gold")), ("db-1", json!("gold")), ("db-0", json!("tin")), ("db-1", Value::Null)]
    {
        api.patch(&format!("{PODS}/{pod}"), MERGE, &label(tier)).await.ok();
    }
    assert_eq!(labelled.next_event().await, "ADDED db-0");
    assert_eq!(labelled.next_event().await, "ADDED db-1");
    let gone = labelled.next().await.expect("an event");
    assert_eq!((text(&gone["type"]), text(&gone["object"]["metadata"]["name"])), ("DELETED", "db-0"));
    assert_eq!(gone["object"]["metadata"]["labels"]["tier"], "gold", "in its last state");
    assert_eq!(labelled.next_event().await, "DELETED db-1");
    assert_eq!(named.next_event().await, "MODIFIED db-1");
    assert_eq!(named.next_event().await, "MODIFIED db-1");
}

#[tokio::test]
async fn old_revisions_are_410_gone() {
    let api = Api::serve(RING).await;
    let current = revision(&api.get(PODS).await.ok());
    // The initial load is not kept, and a later revision belongs to another server.
    for asked in [1, current + 1000] {
        let mut watch = api.watch(&format!("{PODS}?watch=1&resourceVersion={asked}"), &[]).await;
        let event = watch.next().await.expect("an event");
        assert_eq!((&event["type"], &event["object"]["code"]), (&json!("ERROR"), &json!(410)), "{asked}");
        assert_eq!(event["object"]["reason"], "Expired");
        assert_eq!(watch.next().await, None, "the watch ends");
    }
    let list = api.get(&format!("{PODS}?resourceVersion=1&resourceVersionMatch=Exact")).await;
    assert_eq!((list.failure().0, list.failure().1), (410, "Expired"));
    let list = api.get(&format!("{PODS}?resourceVersion={}", current + 1000)).await;
    assert_eq!((list.failure().0, list.failure().1), (504, "Timeout"));
    assert_eq!(list.json["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");
}

#[tokio::test]
async fn a_watch_may_begin_with_the_current_objects() {
    let api = Api::serve(RING).await;
    let stream = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut watch = api.watch(&format!("{PODS}?{stream}"), &[]).await;
    for expected in ["ADDED db-0", "ADDED db-1", "ADDED db-2"] {
        assert_eq!(watch.next_event().await, expected);
    }
    let bookmark = watch.next().await.expect("a bookmark");
    assert_eq!((text(&bookmark["type"]), text(&bookmark["object"]["kind"])), ("BOOKMARK", "Pod"));
    let metadata = &bookmark["object"]["metadata"];
    assert_eq!(metadata["annotations"]["k8s.io/initial-events-end"], "true");
    assert_eq!(revision(&bookmark["object"]), revision(&api.get(PODS).await.ok()));
    api.patch(&format!("{PODS}/db-0"), MERGE, &json!({ "metadata": { "labels": { "x": "y" } } })).await.ok();
    assert_eq!(watch.next_event().await, "MODIFIED db-0");
    // Without a revision it begins in the same way, without a bookmark at the end of the list.
    let mut plain = api.watch(&format!("{PODS}?watch=1"), &[]).await;
    for expected in ["ADDED db-0", "ADDED db-1", "ADDED db-2"] {
        assert_eq!(plain.next_event().await, expected);
    }
    api.patch(&format!("{PODS}/db-1"), MERGE, &json!({ "metadata": { "labels": { "x": "y" } } })).await.ok();
    assert_eq!(plain.next_event().await, "MODIFIED db-1");
    let refused = api.get(&format!("{PODS}?watch=1&sendInitialEvents=true")).await;
    assert_eq!(refused.failure().0, 400);
}

#[tokio::test]
async fn a_watch_ends_at_its_timeout_with_a_bookmark() {
    let api = Api::serve(RING).await;
    let current = revision(&api.get(PODS).await.ok());
    let query = format!("watch=1&resourceVersion={current}&allowWatchBookmarks=true&timeoutSeconds=1");
    let mut watch = api.watch(&format!("{PODS}?{query}"), &[]).await;
    // Events of other kinds advance the bookmark.
    api.post("/api/v1/namespaces", &json!({ "metadata": { "name": "other" } })).await.ok();
    let bookmark = watch.next().await.expect("a bookmark");
    assert_eq!(bookmark["type"], "BOOKMARK");
    assert!(revision(&bookmark["object"]) > current, "{bookmark}");
    assert_eq!(watch.next().await, None);
}

#[tokio::test]
async fn tables_can_be_watched() {
    let api = Api::serve(RING).await;
    let mut watch = api.watch(&format!("{PODS}?watch=1"), &[TABLE]).await;
    let first = watch.next().await.expect("an event");
    let object = &first["object"];
    assert_eq!((text(&first["type"]), text(&object["kind"])), ("ADDED", "Table"));
    assert_eq!(object["columnDefinitions"][0]["name"], "Name");
    assert_eq!(object["rows"][0]["cells"][0], "db-0");
    let second = watch.next().await.expect("an event");
    assert_eq!(second["object"]["columnDefinitions"], Value::Null, "columns are sent once");
    assert_eq!(second["object"]["rows"][0]["object"]["metadata"]["name"], "db-1");
}

/// Events are not queued for a client that does not read, and it does not delay others.
#[tokio::test]
async fn a_slow_client_does_not_delay_others() {
    let api = Api::serve(RING).await;
    let _slow: Vec<_> = {
        let mut all = Vec::new();
        for _ in 0..8 {
            all.push(api.watch(&format!("{PODS}?watch=1"), &[]).await);
        }
        all
    };
    let mut quick = api.watch(&format!("{PODS}?watch=1&labelSelector=round"), &[]).await;
    for round in 0..200 {
        let patch = json!({ "metadata": { "labels": { "round": round.to_string() } } });
        api.patch(&format!("{PODS}/db-0"), MERGE, &patch).await.ok();
        let event = quick.next().await.expect("an event");
        assert_eq!(event["object"]["metadata"]["labels"]["round"], round.to_string());
    }
}

/// Endpoints are not stored, but served on request.
#[tokio::test]
async fn endpoints_follow_their_service() {
    let api = Api::serve(RING).await;
    let path = "/api/v1/namespaces/default/endpoints";
    let addresses = |endpoints: &Value| {
        let all = endpoints["subsets"].as_array().into_iter().flatten();
        all.map(|subset| subset["addresses"].as_array().map_or(0, Vec::len)).sum::<usize>()
    };
    let list = api.get(path).await.ok();
    assert!(super::names(&list).contains(&"db"), "{list}");
    assert_eq!(addresses(&api.get(&format!("{path}/db")).await.ok()), 3);
    let mut watch = api.watch(&format!("{path}?watch=1&resourceVersion={}", revision(&list)), &[]).await;
    let mut last = revision(&list);
    api.patch(&format!("{SETS}/db"), MERGE, &json!({ "spec": { "replicas": 4 } })).await.ok();
    loop {
        let event = watch.next().await.expect("an event");
        assert!(event["type"] == "MODIFIED" && revision(&event["object"]) > last, "{event}");
        last = revision(&event["object"]);
        if addresses(&event["object"]) == 4 {
            break;
        }
    }
    api.ask("DELETE", "/api/v1/namespaces/default/services/db", &[], "").await.ok();
    loop {
        let event = watch.next().await.expect("an event");
        if event["type"] == "DELETED" {
            assert_eq!(event["object"]["metadata"]["name"], "db");
            break;
        }
    }
    assert_eq!(api.get(&format!("{path}/db")).await.failure().0, 404);
}
