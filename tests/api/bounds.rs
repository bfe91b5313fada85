//! Limits on what clients can use of the server: bytes, work, connections.

use clusterlocal_api::Limits;
use clusterlocal_core::Settings;
use clusterlocal_core::queries::QueryLog;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Api, JSON, MERGE, PODS, RING, text};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn config_map(name: &str, bytes: usize) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name }, "data": { "x": "x".repeat(bytes) } })
}

/// A patch of a ConfigMap or pod, its type, and the code of the answer.
#[tokio::test]
async fn patches_have_bounded_work() {
    let api = Api::serve(RING).await;
    let list: Vec<u32> = vec![0; 20_000];
    let object = json!({
        "apiVersion": "example.org/v1",
        "kind": "Thing",
        "metadata": { "name": "big" },
        "spec": { "list": list },
    });
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": "things.example.org" },
        "spec": {
            "group": "example.org",
            "scope": "Namespaced",
            "names": { "plural": "things", "singular": "thing", "kind": "Thing" },
            "versions": [{
                "name": "v1",
                "served": true,
                "storage": true,
                "schema": { "openAPIV3Schema": {
                    "type": "object",
                    "properties": { "spec": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } },
                } },
            }],
        },
    });
    api.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &definition).await.ok();
    let things = "/apis/example.org/v1/namespaces/default/things";
    api.post(things, &object).await.ok();
    let first = json!({ "op": "add", "path": "/spec/list/0", "value": 1 });
    let last = json!({ "op": "add", "path": "/spec/list/-", "value": 1 });
    let gone = json!({ "op": "remove", "path": "/spec/list/0" });
    let moved = json!({ "op": "move", "from": "/spec/list/0", "path": "/spec/list/1" });
    let names = |count: usize| -> Vec<Value> {
        (0..count).map(|n| json!({ "name": format!("E{n}"), "value": "x" })).collect()
    };
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": "wide" },
        "spec": { "containers": [{ "name": "c", "image": "i", "env": names(2000) }] },
    });
    api.post(PODS, &pod).await.ok();
    let again = |times: usize| {
        let container = json!({ "name": "c", "env": [{ "name": "E0", "value": "y" }] });
        json!({ "spec": { "containers": vec![container; times] } })
    };
    let (big, wide) = (format!("{things}/big"), format!("{PODS}/wide"));
    let json_patch = "application/json-patch+json";
    let strategic = "application/strategic-merge-patch+json";
    let table = [
        ("ten inserts", &big, json_patch, json!(vec![first.clone(); 10]), 200),
        ("1,000 inserts", &big, json_patch, json!(vec![first; 1000]), 422),
        ("1,000 removals", &big, json_patch, json!(vec![gone; 1000]), 422),
        ("1,000 moves", &big, json_patch, json!(vec![moved; 1000]), 422),
        ("9,000 at the end", &big, json_patch, json!(vec![last; 9000]), 200),
        ("a list merged 10,000 times", &wide, strategic, again(10_000), 422),
    ];
    for (what, path, content_type, patch, code) in table {
        let answer = api.patch(path, content_type, &patch).await;
        assert_eq!(answer.code, code, "{what}: {}", answer.text.get(..500).unwrap_or(&answer.text));
        if code == 422 {
            let (_, reason, message) = answer.failure();
            assert_eq!(reason, "Invalid", "{what}");
            assert!(message.contains("more than 4000000 list items"), "{what}: {message}");
        }
    }
}

#[tokio::test]
async fn history_is_bounded_in_bytes_and_older_revisions_are_410_gone() {
    let api = Api::serve("").await;
    let begin = api.post(MAPS, &config_map("big", 1 << 20)).await.ok();
    let begin = text(&begin["metadata"]["resourceVersion"]).to_owned();
    let path = format!("{MAPS}/big");
    for number in 0..100 {
        let patch = json!({ "metadata": { "annotations": { "n": number.to_string() } } });
        api.patch(&path, MERGE, &patch).await.ok();
    }
    let (kept, revision) =
        api.driver.read(|cluster| (cluster.store().oldest_kept(), cluster.store().revision()));
    assert!((50..=64).contains(&(revision - kept)), "{} changes of a MiB are kept", revision - kept);
    let mut watch = api.watch(&format!("{MAPS}?watch=true&resourceVersion={begin}"), &[]).await;
    let event = watch.next().await.expect("an event");
    assert_eq!((text(&event["type"]), &event["object"]["code"]), ("ERROR", &json!(410)), "{event}");
    assert!(watch.next().await.is_none());
    assert_eq!(
        api.get(&format!("{MAPS}?resourceVersion={begin}&resourceVersionMatch=Exact")).await.code,
        410
    );
}

#[tokio::test]
async fn the_store_is_bounded_in_bytes_and_deletion_frees_them() {
    let settings = Settings { max_store_bytes: 20 << 20, ..Settings::default() };
    let api = Api::serve_within("", QueryLog::default(), settings, Limits::default()).await;
    let before = api.driver.read(|cluster| cluster.store().bytes());
    for round in 0..2 {
        let mut created = 0;
        let refused = loop {
            let bytes = if created == 0 { 10 } else { 1000 << 10 };
            let answer = api.post(MAPS, &config_map(&format!("m-{created}"), bytes)).await;
            if answer.code != 201 {
                break answer;
            }
            created += 1;
        };
        let (code, reason, message) = refused.failure();
        assert_eq!((code, reason), (507, "InsufficientStorage"), "{message}");
        assert!(message.contains("--max-store-size"), "{message}");
        assert!((20..=21).contains(&created), "{created} of nearly a MiB, round {round}");
        // Growth is refused for every verb; updates that shrink or keep the size are accepted.
        let small = config_map("m-0", 10);
        assert_eq!(api.put(&format!("{MAPS}/m-0"), &config_map("m-0", 1 << 20)).await.code, 507);
        let scaled = json!({ "spec": { "replicas": 240_000 } });
        let set = json!({
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": { "name": "many" },
            "spec": {
                "replicas": 1,
                "selector": { "matchLabels": { "app": "many" } },
                "template": { "metadata": { "labels": { "app": "many" } }, "spec": { "containers": [{ "name": "c", "image": "i" }] } },
            },
        });
        assert_eq!(api.put(&format!("{MAPS}/m-0"), &small).await.code, 200);
        api.post(super::SETS, &set).await.ok();
        assert_eq!(api.patch(&format!("{}/many", super::SETS), MERGE, &scaled).await.code, 507);
        assert_eq!(api.patch(&format!("{}/many/scale", super::SETS), MERGE, &scaled).await.code, 507);
        api.ask("DELETE", &format!("{}/many", super::SETS), &[], "").await.ok();
        let gone = api.ask("DELETE", MAPS, &[], "").await.ok();
        assert_eq!(gone["kind"], "Status", "more than one answer holds");
        let after = api.driver.read(|cluster| cluster.store().bytes());
        assert!(after < before + (100 << 10), "{after} bytes after {before}");
    }
    api.post(MAPS, &config_map("few", 10)).await.ok();
    let gone = api.ask("DELETE", MAPS, &[], "").await.ok();
    assert_eq!((text(&gone["kind"]), super::names(&gone).contains(&"few")), ("ConfigMapList", true));
}

/// A client that requests `path` and does not read the answer.
async fn silent_client(api: &Api, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(api.address).await.expect("a connection");
    let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", api.address);
    stream.write_all(request.as_bytes()).await.expect("a request");
    stream
}

#[tokio::test]
async fn the_slowest_watchers_are_disconnected() {
    let limits = Limits { waiting_bytes: 1 << 20, ..Limits::default() };
    let api = Api::serve_within("", QueryLog::default(), Settings::default(), limits).await;
    api.post(MAPS, &config_map("big", 1 << 20)).await.ok();
    let watch = format!("{MAPS}?watch=true");
    let mut reader = api.watch(&watch, &[]).await;
    assert_eq!(reader.next_event().await, "ADDED big");
    assert_eq!(reader.next_event().await, "ADDED kube-root-ca.crt");
    let mut slow = Vec::new();
    for _ in 0..8 {
        slow.push(silent_client(&api, &watch).await);
    }
    // Much more than the kernel's buffers hold.
    for number in 0..30 {
        let patch = json!({ "metadata": { "annotations": { "n": number.to_string() } } });
        api.patch(&format!("{MAPS}/big"), MERGE, &patch).await.ok();
        assert_eq!(reader.next_event().await, "MODIFIED big", "a client that reads keeps its watch");
    }
    let mut cut_off = 0;
    for mut stream in slow {
        // The buffered part arrives, and then the connection closes without the end of the answer.
        let mut taken = Vec::new();
        let mut buffer = vec![0; 1 << 20];
        let ended = timeout(std::time::Duration::from_secs(2), async {
            while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                taken.truncate(0);
                taken.extend_from_slice(&buffer[..length]);
            }
        });
        cut_off += usize::from(ended.await.is_ok() && !taken.ends_with(b"0\r\n\r\n"));
    }
    assert!(cut_off >= 6, "{cut_off} of 8 were cut off");
}

#[tokio::test]
async fn idle_connections_are_closed_for_new_ones() {
    let limits = Limits { connections: 4, ..Limits::default() };
    let api = Api::serve_within(RING, QueryLog::default(), Settings::default(), limits).await;
    let mut watch = api.watch(&format!("{PODS}?watch=true"), &[]).await;
    assert_eq!(watch.next_event().await, "ADDED db-0");
    let mut idle = Vec::new();
    for _ in 0..200 {
        idle.push(TcpStream::connect(api.address).await.expect("a connection"));
    }
    api.get(PODS).await.ok();
    assert_eq!(watch.next_event().await, "ADDED db-1", "a watch is not idle");
}

/// Method, path, headers and body; code, and whether the answer has `connection: close`.
#[tokio::test]
async fn invalid_requests_are_refused_before_their_body_is_read() {
    let api = Api::serve(RING).await;
    let typed = ("content-type", JSON);
    type Headers<'a> = &'a [(&'a str, &'a str)];
    let table: [(&str, &str, Headers<'_>, &str, u16, bool); 16] = [
        ("POST", MAPS, &[], "{}", 415, true),
        ("POST", MAPS, &[], "", 415, false),
        ("PUT", "/api/v1/namespaces/default/configmaps/x", &[], "{}", 415, true),
        ("POST", "/api/v1/namespaces/default/pods/db-0/eviction", &[], "{}", 415, true),
        (
            "POST",
            "/api/v1/namespaces/default/pods/db-9/eviction",
            &[("user-agent", "kubectl/v1.37.0")],
            "{}",
            404,
            false,
        ),
        (
            "POST",
            "/api/v1/namespaces/default/pods/db-9/eviction",
            &[("user-agent", "e2e.test/v1.36.3 (linux/amd64) kubernetes/0123abc")],
            "{}",
            404,
            false,
        ),
        ("POST", MAPS, &[("user-agent", "curl/8.5.0")], "{}", 415, true),
        // Patroni's client.
        ("POST", "/api/v1/namespaces/none/configmaps", &[("authorization", "Bearer a.b.")], "{}", 404, false),
        ("POST", "/apis/nonsense/v1/things", &[typed], "{\"a\": 1}", 404, true),
        ("POST", "/nonsense", &[typed], "{}", 404, true),
        ("POST", "/api/v1", &[typed], "{}", 405, true),
        ("GET", "/nonsense", &[], "", 404, false),
        ("DELETE", "/api/v1/pods", &[], "", 405, false),
        ("DELETE", "/api/v1/pods", &[typed], "{}", 405, false),
        ("POST", "/api/v1/pods", &[typed], "{}", 405, false),
        ("DELETE", "/apis/apps/v1/statefulsets", &[], "", 405, false),
    ];
    for (method, path, headers, body, code, closes) in table {
        let answer = api.ask(method, path, headers, body).await;
        assert_eq!(answer.code, code, "{method} {path} {}", answer.text);
        let announced = answer.headers.get("connection").is_some_and(|value| value == "close");
        assert_eq!(announced, closes, "{method} {path}");
    }
    assert_eq!(super::names(&api.get(PODS).await.ok()).len(), 3);
}

/// Type and nodePort of a Service; the code.
#[tokio::test]
async fn node_ports_are_in_the_range() {
    let api = Api::serve("").await;
    let table = [
        ("NodePort", json!(30_080), 201),
        ("NodePort", json!(0), 201),
        ("NodePort", json!(80), 422),
        ("LoadBalancer", json!(32_768), 422),
        ("NodePort", json!(-1), 422),
        ("NodePort", json!(99_999_999_999_u64), 422),
    ];
    for (at, (of_type, port, code)) in table.into_iter().enumerate() {
        let service = json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": { "name": format!("s{at}") },
            "spec": { "type": of_type, "ports": [{ "port": 80, "nodePort": port }] },
        });
        let answer = api.post("/api/v1/namespaces/default/services", &service).await;
        let refused = code != 201 && (400..=422).contains(&answer.code);
        assert!(answer.code == code || refused, "{of_type} {port}: {}", answer.text);
    }
}
