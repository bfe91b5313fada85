//! Faults through the API: ordinary objects, whose status has their effects.

use std::net::{SocketAddr, UdpSocket};

use clusterlocal::serve::{Listeners, Options, View};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::common::Asked;
use super::{Api, MERGE, RING, TIMEOUT, names, text};

const FAULTS: &str = "/apis/clusterlocal.dev/v1/faults";
const TABLE: (&str, &str) = ("accept", "application/json;as=Table;v=v1;g=meta.k8s.io");

fn fault(name: &str, spec: Value) -> Value {
    json!({ "apiVersion": "clusterlocal.dev/v1", "kind": "Fault", "metadata": { "name": name }, "spec": spec })
}

/// Serves the DNS of the cluster on a free port.
async fn serve_dns(api: &Api) -> SocketAddr {
    let listeners = Listeners::bind(&Options::default()).await.expect("a free port");
    let address = listeners.addresses()[0];
    let view = View::from(&api.driver).with_queries(api.queries.clone());
    tokio::spawn(listeners.serve(view, std::future::pending()));
    address
}

/// The response code of the answer to `question`.
async fn ask(dns: SocketAddr, question: &'static str) -> u8 {
    let asked = spawn_blocking(move || {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_read_timeout(Some(TIMEOUT)).expect("a timeout");
        socket.send_to(&Asked::parse(question).request, dns).expect("a query leaves");
        let mut reply = [0; 4096];
        socket.recv(&mut reply).expect("an answer");
        reply[3] & 0xf
    });
    asked.await.unwrap()
}

#[tokio::test]
async fn the_status_of_a_fault_follows_the_clock() {
    let api = Api::serve(RING).await;
    let spec = json!({ "actions": ["delay 3s", "servfail"], "match": { "types": ["SRV"] }, "after": "5s", "for": "30s" });
    let made = api.post(FAULTS, &fault("late", spec.clone())).await.ok();
    assert_eq!(made["spec"], spec);
    let status = |phase| {
        json!({
            "phase": phase,
            "hits": 0,
            "match": "types=SRV",
            "actions": "delay 3s, servfail",
            "begins": "2023-11-14T22:13:25Z",
            "ends": "2023-11-14T22:13:55Z",
        })
    };
    for (by, phase) in
        [("0s", "Pending"), ("4s", "Pending"), ("1s", "Active"), ("29s", "Active"), ("1s", "Ended")]
    {
        api.post("/apis/clusterlocal.dev/v1/clocks/cluster/advance", &json!({ "by": by })).await.ok();
        assert_eq!(api.get(&format!("{FAULTS}/late")).await.ok()["status"], status(phase), "{by}");
    }
    let table = api.ask("GET", FAULTS, &[TABLE], "").await.ok();
    let cells = json!(["late", "types=SRV", "delay 3s, servfail", 0, "Ended", "35s", "2023-11-14T22:13:55Z"]);
    assert_eq!(table["rows"][0]["cells"], cells);
}

#[tokio::test]
async fn hits_are_counted_in_the_status() {
    let api = Api::serve(RING).await;
    let dns = serve_dns(&api).await;
    let (srv, a) = ("_cql._tcp.db.default.svc.cluster.local SRV", "db.default.svc.cluster.local A");
    let spec = json!({ "actions": ["servfail"], "match": { "types": ["SRV"] }, "times": 2 });
    api.post(FAULTS, &fault("twice", spec)).await.ok();
    let status = async || api.get(&format!("{FAULTS}/twice")).await.ok()["status"].clone();
    assert_eq!((ask(dns, a).await, ask(dns, srv).await), (0, 2));
    assert_eq!(
        (status().await["hits"].clone(), status().await["phase"].clone()),
        (json!(1), json!("Active"))
    );
    assert_eq!((ask(dns, srv).await, ask(dns, srv).await), (2, 0));
    assert_eq!((status().await["hits"].clone(), status().await["phase"].clone()), (json!(2), json!("Spent")));
    let hit =
        "/apis/clusterlocal.dev/v1/queries?fieldSelector=fault%3Dtwice,rcode%3DSERVFAIL&atLeast=2&atMost=2";
    assert_eq!(names(&api.get(hit).await.ok()), ["2", "3"]);
    api.ask("DELETE", &format!("{FAULTS}/twice"), &[], "").await.ok();
    assert_eq!(api.get(&format!("{FAULTS}/twice")).await.failure().0, 404);
}

/// The status of a preset lists its actions, and that of a sequence its steps.
#[tokio::test]
async fn the_status_lists_the_actions() {
    let api = Api::serve(RING).await;
    let table = [
        (json!({ "preset": "kube-dns-3-of-n" }), "cut 3", "transport=udp"),
        (json!({ "preset": "flaky 0.5" }), "drop", "probability=0.5"),
        (
            json!({ "sequence": ["ok", "drop", "delay 1s, nxdomain"] }),
            "in turn: ok | drop | delay 1s, nxdomain",
            "",
        ),
    ];
    for (spec, actions, matching) in table {
        let made = api.post(FAULTS, &fault("some", spec.clone())).await.ok();
        assert_eq!((text(&made["status"]["actions"]), text(&made["status"]["match"])), (actions, matching));
        assert_eq!((&made["spec"], &made["status"]["ends"]), (&spec, &Value::Null));
        api.ask("DELETE", FAULTS, &[], "").await.ok();
    }
    assert!(names(&api.get(FAULTS).await.ok()).is_empty());
}

#[tokio::test]
async fn clients_cannot_write_the_status() {
    let api = Api::serve(RING).await;
    let mut made = fault("mine", json!({ "actions": ["drop"] }));
    made["status"] = json!({ "phase": "Ended", "hits": 7 });
    assert_eq!(api.post(FAULTS, &made).await.ok()["status"]["hits"], 0);
    let mut read = api.get(&format!("{FAULTS}/mine")).await.ok();
    read["status"]["hits"] = 7.into();
    read["spec"]["times"] = 3.into();
    let put = api.put(&format!("{FAULTS}/mine"), &read).await.ok();
    assert_eq!((&put["spec"]["times"], &put["status"]["hits"]), (&json!(3), &json!(0)));
    let patched = api
        .patch(&format!("{FAULTS}/mine?fieldValidation=Strict"), MERGE, &json!({ "status": { "hits": 7 } }))
        .await;
    assert_eq!(patched.ok()["status"]["hits"], 0);
}

/// Spec, code, message.
#[tokio::test]
async fn invalid_faults_are_refused_with_kubernetes_messages() {
    let api = Api::serve(RING).await;
    let table = [
        (json!({}), 422, "Fault.clusterlocal.dev \"bad\" is invalid: spec: Required value"),
        (
            json!({ "actions": ["servfial"] }),
            422,
            "Fault.clusterlocal.dev \"bad\" is invalid: spec.actions[0]: Invalid value: \"servfial\": \"servfial\" is not an \
             action such as servfail, drop or delay 3s; did you mean `servfail`?",
        ),
        (
            json!({ "actions": ["servfail", "nxdomain"] }),
            422,
            "Fault.clusterlocal.dev \"bad\" is invalid: spec.actions[1]: Invalid value: \"nxdomain\": `nxdomain` and \
             `servfail` cannot both apply to one answer",
        ),
        (
            json!({ "actions": ["drop"], "times": 0 }),
            422,
            "Fault.clusterlocal.dev \"bad\" is invalid: spec.times: Invalid value: 0: 0 has no effect; omit it for a fault \
             without a limit",
        ),
        (
            json!({ "actions": ["drop"], "match": { "type": "SRV" } }),
            400,
            "Fault in version \"v1\" cannot be handled as a Fault: strict decoding error: unknown field \"spec.match.type\"",
        ),
    ];
    for (spec, code, message) in table {
        let answer = api.post(&format!("{FAULTS}?fieldValidation=Strict"), &fault("bad", spec)).await;
        let (failed, _, got) = answer.failure();
        assert_eq!((failed, got), (code, message));
    }
    // Unknown fields are refused without strict field validation too, because they would have no effect.
    let answer = api.post(FAULTS, &fault("bad", json!({ "actions": ["drop"], "timse": 3 }))).await;
    assert_eq!(answer.failure().0, 422, "{}", answer.text);
}

#[tokio::test]
async fn faults_are_watched_and_explained() {
    let api = Api::serve(RING).await;
    let mut watch = api.watch(&format!("{FAULTS}?watch=1"), &[]).await;
    api.post(FAULTS, &fault("one", json!({ "actions": ["drop"] }))).await.ok();
    api.patch(&format!("{FAULTS}/one"), MERGE, &json!({ "spec": { "times": 1 } })).await.ok();
    api.ask("DELETE", &format!("{FAULTS}/one"), &[], "").await.ok();
    for expected in ["ADDED one", "MODIFIED one", "DELETED one"] {
        assert_eq!(watch.next_event().await, expected);
    }
    let document = api.get("/openapi/v3/apis/clusterlocal.dev/v1").await.ok();
    let fields = document["components"]["schemas"]["dev.clusterlocal.v1.FaultSpec"]["properties"]
        .as_object()
        .expect("fields");
    let known: Vec<&str> = fields.keys().map(String::as_str).collect();
    assert_eq!(
        known,
        ["actions", "after", "for", "match", "preset", "priority", "seed", "sequence", "times"]
    );
}
