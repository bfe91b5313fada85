//! Many watchers: while pods change, each of them receives every change, in order; the server's memory does not grow, and
//! the DNS answers as quickly as before.
//!
//! `CLUSTERLOCAL_TEST_LOAD=full` means 10,000 pods, 200 watchers and 100 changes a second for a minute; measured with
//! `CLUSTERLOCAL_TEST_LOAD=full cargo test --profile dist --test under_load load::every_watcher -- --nocapture`.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{sleep_until, timeout};

use super::common;
use super::server::Server;

struct Load {
    sets: u32,
    watchers: usize,
    changes: u32,
    every: Duration,
}

/// The path of the pods in the API.
const PODS: &str = "/api/v1/namespaces/default/pods";

/// Pods per set.
const REPLICAS: u32 = 10;

/// Time-out of anything that is expected to happen.
const DEADLINE: Duration = Duration::from_secs(60);

fn load() -> Load {
    match std::env::var("CLUSTERLOCAL_TEST_LOAD").as_deref() {
        Ok("full") => Load { sets: 1_000, watchers: 200, changes: 6_000, every: Duration::from_millis(10) },
        _ => Load { sets: 50, watchers: 20, changes: 100, every: Duration::from_millis(10) },
    }
}

fn manifests(sets: u32) -> String {
    let mut text = String::from("apiVersion: clusterlocal.dev/v1\nkind: Topology\nsets:\n");
    for set in 0..sets {
        writeln!(text, "  s{set}: {{replicas: {REPLICAS}, ports: {{cql: 9042}}}}").expect("a string");
    }
    text
}

#[test]
fn every_watcher_receives_every_change() {
    let load = load();
    let directory = tempfile::tempdir().expect("a directory");
    let manifest = directory.path().join("many.yaml");
    std::fs::write(&manifest, manifests(load.sets)).expect("a file");
    let server = Server::start(&manifest, &["--log", "warn"]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(check(&load, &server));
}

async fn check(load: &Load, server: &Server) {
    let api = server.api.expect("the API is served");
    let list: Value =
        serde_json::from_str(&request(api, "GET", &format!("{PODS}?limit=1"), "").await).expect("JSON");
    let from = list["metadata"]["resourceVersion"].as_str().expect("a version").to_string();
    let mut watchers = Vec::new();
    for _ in 0..load.watchers {
        watchers.push(watch(api, &from, load.changes).await);
    }
    let ended = Arc::new(AtomicBool::new(false));
    let asking = tokio::spawn(ask(server.dns, ended.clone()));
    let before = memory(server);
    let began = tokio::time::Instant::now();
    let mut halfway = before;
    for change in 0..load.changes {
        sleep_until(began + load.every * change).await;
        let pod = format!("s{}-{}", change % load.sets, change / load.sets % REPLICAS);
        let ready = (change / load.sets / REPLICAS) % 2 == 1;
        let annotations =
            json!({"clusterlocal.dev/ready": ready.to_string(), "example.org/change": change.to_string()});
        let patch = json!({"metadata": {"annotations": annotations}});
        request(api, "PATCH", &format!("{PODS}/{pod}"), &patch.to_string()).await;
        if change == load.changes / 2 {
            halfway = memory(server);
        }
    }
    let took = began.elapsed();
    for watcher in watchers {
        timeout(DEADLINE, watcher)
            .await
            .expect("it has seen the last change")
            .expect("it saw all of them in order");
    }
    let after = memory(server);
    ended.store(true, SeqCst);
    let mut latencies = asking.await.expect("all queries are answered");
    latencies.sort();
    let at = |per_mille: usize| latencies[(latencies.len() - 1) * per_mille / 1000];
    println!(
        "{} pods, {} watchers, {} changes in {took:.1?} ({:.0} a second): each saw all, in order\n  memory: {before} KiB, \
         {halfway} halfway, {after} at the end\n  {} queries: p50 {:.2?}, p99 {:.2?}, max {:.2?}",
        load.sets * REPLICAS,
        load.watchers,
        load.changes,
        f64::from(load.changes) / took.as_secs_f64(),
        latencies.len(),
        at(500),
        at(990),
        at(1000)
    );
    // The watch history is full long before half of the changes.
    if load.changes >= 5_000 {
        assert!(after < halfway + halfway / 10, "memory keeps growing: {before}, {halfway}, {after} KiB");
    }
}

/// Sends a request with `body` as a merge patch, and returns the body of the answer, which has to be 200.
async fn request(api: SocketAddr, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(api).await.expect("a connection");
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: {api}\r\nContent-Type: application/merge-patch+json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.expect("a request leaves");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.contains(" 200 "), "{head}");
    body.to_owned()
}

/// A watcher of all pods, which ends with the last change, and fails if it missed one.
async fn watch(api: SocketAddr, from: &str, changes: u32) -> tokio::task::JoinHandle<()> {
    let mut stream = TcpStream::connect(api).await.expect("a connection");
    let request = format!(
        "GET /api/v1/namespaces/default/pods?watch=1&resourceVersion={from} HTTP/1.1\r\nHost: {api}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("a request leaves");
    tokio::spawn(async move {
        let mut lines = BufReader::with_capacity(64 << 10, stream);
        let (mut line, mut next, mut version) = (Vec::new(), 0u32, 0u64);
        while next < changes {
            line.clear();
            let length = lines.read_until(b'\n', &mut line).await.expect("the watch goes on");
            assert!(length > 0, "the watch ended after {next} changes");
            let text = String::from_utf8_lossy(&line);
            let Some(now) = number(&text, "\"resourceVersion\":\"") else { continue };
            assert!(now > version, "{now} after {version}");
            version = now;
            // Each change is received once as written, and once more when the pod's readiness follows.
            let change = number(&text, "\"example.org/change\":\"").expect("the change's number") as u32;
            assert!(change == next || change + 1 == next, "change {change} after {next}");
            next = change + 1;
        }
    })
}

/// The number after `key` in a line of JSON.
fn number(text: &str, key: &str) -> Option<u64> {
    let (_, rest) = text.split_once(key)?;
    rest.split('"').next()?.parse().ok()
}

/// Sends queries about the changing pods until `ended`. Returns the time of each answer.
async fn ask(dns: SocketAddr, ended: Arc<AtomicBool>) -> Vec<Duration> {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    socket.connect(dns).await.expect("a peer");
    let request = common::Asked::parse("_cql._tcp.s7.default.svc.cluster.local SRV").request;
    let (mut latencies, mut reply) = (Vec::new(), [0; 4096]);
    while !ended.load(SeqCst) {
        let began = Instant::now();
        socket.send(&request).await.expect("a query leaves");
        timeout(DEADLINE, socket.recv(&mut reply)).await.expect("an answer").expect("an answer");
        latencies.push(began.elapsed());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    latencies
}

/// The memory of the server alone, in KiB.
fn memory(server: &Server) -> u64 {
    let path = format!("/proc/{}/smaps_rollup", server.id());
    let rollup = std::fs::read_to_string(path).unwrap_or_default();
    let pss = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    pss.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
