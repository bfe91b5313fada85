//! Queries of the DNS: listed, watched and waited for.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use clusterlocal_api::{Options, Server};
use clusterlocal_core::Transport;
use clusterlocal_core::answer::{Answerer, Order, Outside, Query, Verdict};
use clusterlocal_core::queries::{Exchanged, QueryLog};
use clusterlocal_core::store::{Kind, Name, Pod, Time};
use serde_json::json;
use tokio::time::timeout;

use super::common::Asked;
use super::{Api, RING, TIMEOUT, names, text};

const QUERIES: &str = "/apis/clusterlocal.dev/v1/queries";
const TABLE: (&str, &str) = ("accept", "application/json;as=Table;v=v1;g=meta.k8s.io");

/// Answers `question`, written as in the wire tests, to `client`, and records it.
fn ask(api: &Api, client: IpAddr, question: &str) {
    record(api, client, question, None);
}

fn record(api: &Api, client: IpAddr, question: &str, fault: Option<&Name>) {
    let asked = Asked::parse(question);
    let zone = api.driver.read(|cluster| cluster.published().load().clone());
    let mut reply = Vec::new();
    let verdict = Answerer::new(Order::Stable, 7, Outside::NxDomain).answer(
        &zone,
        &Query::new(&asked.request, asked.client),
        &mut reply,
    );
    assert_eq!(verdict, Verdict::Reply);
    api.queries.record([Exchanged {
        at: Time::from_unix_millis(1_700_000_000_000),
        took: Duration::from_micros(123),
        client: SocketAddr::new(client, 40212),
        transport: if asked.client.udp { Transport::Udp } else { Transport::Tcp },
        serial: zone.serial(),
        fault,
        request: &asked.request,
        reply: fault.is_none().then_some(&reply),
    }]);
}

/// The address of a pod.
fn pod(api: &Api, name: &str) -> IpAddr {
    let pod = api.driver.read(|cluster| cluster.store().get::<Pod>(Kind::Pod, "default", name).cloned());
    pod.expect("a pod").status.ips().next().expect("an address")
}

/// Six queries: from db-0 and from another address; found, missing, over TCP, hit by a fault.
async fn six() -> Api {
    let api = Api::serve(RING).await;
    let (db_0, other) = (pod(&api, "db-0"), IpAddr::from([192, 0, 2, 7]));
    ask(&api, db_0, "_cql._tcp.db.default.svc.cluster.local SRV");
    ask(&api, db_0, "DB-1.db.default.svc.cluster.local A");
    ask(&api, other, "db-1.db.default.svc.cluster.local AAAA");
    ask(&api, other, "db-9.db.default.svc.cluster.local A");
    ask(&api, db_0, "db.default.svc.cluster.local A tcp");
    record(&api, other, "db.default.svc.cluster.local A", Some(&"lost".into()));
    api
}

#[tokio::test]
async fn a_query_has_all_fields() {
    let api = six().await;
    let query = api.get(&format!("{QUERIES}/2")).await.ok();
    let address = pod(&api, "db-1").to_string();
    let serial = api.driver.read(|cluster| cluster.serial());
    let expected = json!({
        "apiVersion": "clusterlocal.dev/v1",
        "kind": "Query",
        "metadata": { "name": "2", "resourceVersion": "2", "creationTimestamp": "2023-11-14T22:13:20Z" },
        "at": "2023-11-14T22:13:20Z",
        "tookSeconds": 0.000_123,
        "client": format!("{}:40212", pod(&api, "db-0")),
        "pod": "default/db-0",
        "transport": "udp",
        "id": query["id"],
        "name": "DB-1.db.default.svc.cluster.local.",
        "type": "A",
        "edns": { "udpSize": 1232, "dnssecOk": false },
        "rcode": "NOERROR",
        "reply": {
            "bytes": query["reply"]["bytes"],
            "authoritative": true,
            "truncated": false,
            "answerCount": 1,
            "recordsOmitted": false,
            "answers": [{ "name": "DB-1.db.default.svc.cluster.local.", "ttl": 30, "type": "A", "data": address }],
            "authorities": [],
            "additionals": [],
        },
        "fault": null,
        "serial": serial,
        "line": query["line"],
    });
    assert_eq!(query, expected);
    assert!(
        text(&query["line"]).contains("\"A IN DB-1.db.default.svc.cluster.local. udp\" NOERROR"),
        "{query}"
    );
    assert_eq!(api.get(&format!("{QUERIES}/7")).await.failure().0, 404);
    let table = api.ask("GET", QUERIES, &[TABLE], "").await.ok();
    let cells = |row: usize| table["rows"][row]["cells"].clone();
    assert_eq!(
        cells(0),
        json!([
            "1",
            "2023-11-14T22:13:20Z",
            "default/db-0",
            "SRV _cql._tcp.db.default.svc.cluster.local. udp",
            "NOERROR",
            3,
            "<none>",
            serial
        ])
    );
    assert_eq!(cells(5)[4], "none");
    assert_eq!(cells(5)[6], "lost");
    assert_eq!(api.ask("DELETE", QUERIES, &[], "").await.failure().0, 405);
}

/// Selector, expected queries.
#[tokio::test]
async fn queries_are_selected() {
    let api = six().await;
    let table = [
        ("", "1 2 3 4 5 6"),
        ("name=db-1.*", "2 3"),
        ("name=db-?.db.default.svc.cluster.local.", "2 3 4"),
        ("type=srv", "1"),
        ("type!=A,transport=udp", "1 3"),
        ("client=192.0.2.7", "3 4 6"),
        ("pod=db-0", "1 2 5"),
        ("pod=default/db-0,type==A", "2 5"),
        ("pod!=db-0", "3 4 6"),
        ("transport=tcp", "5"),
        ("rcode=nxdomain", "4"),
        ("rcode!=NOERROR", "4 6"),
        ("rcode=none", "6"),
        ("fault=lost", "6"),
        ("name=db-1.*,name!=DB-1.*,type=A", ""),
    ];
    for (selector, expected) in table {
        let selector = selector.replace('=', "%3D").replace('!', "%21");
        let list = api.get(&format!("{QUERIES}?fieldSelector={selector}")).await.ok();
        assert_eq!(names(&list).join(" "), expected, "{selector}");
        assert_eq!(
            (&list["metadata"]["resourceVersion"], &list["metadata"]["dropped"]),
            (&"6".into(), &0.into())
        );
    }
    let refused = [
        (
            "fieldSelector=spec.name%3Ddb",
            "field label not supported: spec.name: there are name, type, client, pod, transport, rcode, fault",
        ),
        (
            "fieldSelector=type%3DSRVX",
            "fieldSelector: type: Invalid value: \"SRVX\": \"SRVX\" is not a record type such as A, SRV or TYPE65; did you mean `SRV`?",
        ),
        (
            "fieldSelector=client%3Ddb-0",
            "fieldSelector: client: Invalid value: \"db-0\": write an address such as 127.0.0.1",
        ),
        (
            "fieldSelector=transport%3Ddoh",
            "fieldSelector: transport: Invalid value: \"doh\": write udp or tcp",
        ),
        (
            "fieldSelector=rcode%3DMAYBE",
            "fieldSelector: rcode: Invalid value: \"MAYBE\": write NXDOMAIN, RCODE11 or none",
        ),
        ("atLeast=-1", "atLeast: Invalid value: \"-1\": must be a non-negative integer"),
        ("atLeast=1&within=2h", "within: Invalid value: \"2h\": write 500ms or 10s, at most 1h"),
        ("within=1s", "within needs atLeast or atMost: how many queries to wait for"),
    ];
    for (query, message) in refused {
        let answer = api.get(&format!("{QUERIES}?{query}")).await;
        assert_eq!(answer.failure(), (400, "BadRequest", message));
    }
}

#[tokio::test]
async fn queries_are_watched() {
    let api = six().await;
    let mut watch = api.watch(&format!("{QUERIES}?watch=1&fieldSelector=type%3DSRV"), &[]).await;
    let mut later = api.watch(&format!("{QUERIES}?watch=1&resourceVersion=6"), &[TABLE]).await;
    assert_eq!(watch.next_event().await, "ADDED 1");
    let client = IpAddr::from([192, 0, 2, 7]);
    ask(&api, client, "db.default.svc.cluster.local A");
    ask(&api, client, "db.default.svc.cluster.local SRV");
    assert_eq!(watch.next_event().await, "ADDED 8");
    for number in ["7", "8"] {
        let row = later.next().await.expect("an event")["object"]["rows"][0].clone();
        assert_eq!(row["cells"][0], number);
    }
}

/// Expectation, and the queries that were seen if it does not hold.
#[tokio::test]
async fn expectations_are_reported_as_met_or_not() {
    let api = six().await;
    let changed = api.post("/apis/clusterlocal.dev/v1/clocks/cluster/pause", &json!({})).await;
    let serial: u32 = changed.headers["clusterlocal-serial"].to_str().unwrap().parse().unwrap();
    let (now, next) = (format!("sinceSerial={serial}"), format!("sinceSerial={}", serial + 1));
    let table = [
        ("atLeast=6".to_owned(), None),
        ("atLeast=2&atMost=2&fieldSelector=name%3Ddb-1.*".into(), None),
        ("atMost=0&within=50ms&fieldSelector=type%3DTXT".into(), None),
        (format!("atLeast=1&{now}"), None),
        ("atLeast=7".into(), Some("expected at least 7 queries, there were 6\n  ")),
        (
            "atMost=1&fieldSelector=pod%3Ddb-0".into(),
            Some("expected at most 1 query with pod=db-0, there were 3\n  "),
        ),
        (
            "atLeast=1&within=50ms&fieldSelector=type%3DTXT".into(),
            Some(
                "expected at least 1 query within 50ms with type=TXT, there were 0; the latest of any kind\n  ",
            ),
        ),
    ];
    for (query, failure) in table {
        let answer = api.get(&format!("{QUERIES}?{query}")).await;
        match failure {
            None => assert_eq!(answer.ok()["kind"], "QueryList", "{query}"),
            Some(expected) => {
                let (code, reason, message) = answer.failure();
                assert_eq!((code, reason), (417, "ExpectationFailed"));
                assert!(message.starts_with(expected), "{query}: {message}");
            }
        }
    }
    let missing = api.get(&format!("{QUERIES}?atLeast=1&{next}")).await;
    assert!(
        missing
            .failure()
            .2
            .starts_with(&format!("expected at least 1 query since serial {}, there were 0", serial + 1))
    );
}

#[tokio::test]
async fn a_waiting_client_is_answered_as_soon_as_the_result_is_certain() {
    let (client, question) = (IpAddr::from([192, 0, 2, 7]), "db.default.svc.cluster.local A");
    let begun = Instant::now();
    for (expected, holds) in [("atLeast=2", true), ("atMost=1", false)] {
        let api = Api::serve(RING).await;
        let (asking, path) = (api.clone(), format!("{QUERIES}?{expected}&within=1h"));
        let mut waiting = tokio::spawn(async move { asking.get(&path).await });
        ask(&api, client, question);
        let early = timeout(Duration::from_millis(50), &mut waiting).await;
        assert!(early.is_err(), "{expected}: it is not certain yet, and there is an answer");
        ask(&api, client, question);
        let answer = timeout(TIMEOUT, waiting).await.expect("an answer in time").unwrap();
        assert_eq!(answer.code == 200, holds, "{}", answer.text);
    }
    assert!(begun.elapsed() < Duration::from_secs(3600));
}

/// A maximum cannot be confirmed if some queries are no longer kept.
#[tokio::test]
async fn a_maximum_is_not_confirmed_for_dropped_queries() {
    let api = Api::serve_with(RING, QueryLog::new(2000)).await;
    let (client, question) = (IpAddr::from([192, 0, 2, 7]), "db.default.svc.cluster.local A");
    let serial = api.driver.read(|cluster| cluster.serial());
    ask(&api, client, question);
    let path = format!("{QUERIES}?atMost=1000&sinceSerial={serial}");
    api.get(&path).await.ok();
    for _ in 0..20 {
        ask(&api, client, question);
    }
    let answer = api.get(&path).await;
    assert!(answer.failure().2.contains("older ones are no longer kept"), "{}", answer.text);
    assert!(api.get(QUERIES).await.ok()["metadata"]["dropped"].as_u64() > Some(0));
    api.get(&format!("{QUERIES}?atLeast=1&sinceSerial={serial}")).await.ok();
    // All queries since then are kept.
    let scaled = super::MERGE;
    let scaled =
        api.patch(&format!("{}/db/scale", super::SETS), scaled, &json!({ "spec": { "replicas": 4 } })).await;
    let serial = scaled.headers["clusterlocal-serial"].to_str().unwrap().to_owned();
    ask(&api, client, question);
    api.get(&format!("{QUERIES}?atMost=1&sinceSerial={serial}")).await.ok();
}

/// A query that is larger than the whole log is counted, and does not cause a busy loop.
#[tokio::test]
async fn a_query_larger_than_the_log_is_skipped() {
    let api = Api::serve_with(RING, QueryLog::new(100)).await;
    let client = IpAddr::from([192, 0, 2, 7]);
    let mut watch = api.watch(&format!("{QUERIES}?watch=1&timeoutSeconds=1"), &[]).await;
    ask(&api, client, "db.default.svc.cluster.local A");
    let least = api.get(&format!("{QUERIES}?atLeast=1&within=50ms")).await;
    assert!(
        least.failure().2.starts_with("expected at least 1 query within 50ms, there were 0"),
        "{}",
        least.text
    );
    let list = api.get(QUERIES).await.ok();
    assert_eq!(list["metadata"], json!({ "resourceVersion": "1", "dropped": 1 }));
    assert!(watch.next().await.is_none(), "no event");
}

#[tokio::test]
async fn a_server_without_a_query_log_refuses() {
    let api = Api::serve(RING).await;
    let server = Server::bind(Options::at("127.0.0.1:0".parse().unwrap())).await.expect("a free port");
    let address = server.address();
    tokio::spawn(server.serve(api.driver.clone(), std::future::pending()));
    let answer = Api { address, ..api }.get(QUERIES).await;
    assert_eq!(answer.failure().0, 403);
    assert!(answer.text.contains("--query-log"), "{}", answer.text);
}
