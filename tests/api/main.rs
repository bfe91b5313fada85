//! The Kubernetes API over HTTP, byte for byte, without a client library.

mod admission;
mod bounds;
mod budgets;
#[path = "../common/mod.rs"]
mod common;
mod cron;
mod custom;
mod faults;
mod files;
mod garbage;
mod kinds;
mod kube_client;
mod namespaces;
mod own;
mod ownership;
mod pods;
mod queries;
mod quota;
mod reading;
mod services;
mod statuses;
mod volumes;
mod watching;
mod writing;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use clusterlocal_api::{Limits, Options, Server};
use clusterlocal_core::queries::QueryLog;
use clusterlocal_core::store::Time;
use clusterlocal_core::{Clock, ControlPlane, Driver, Settings};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

use common::ring;

/// Time-out of anything that is expected to happen.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A StatefulSet of three pods, and what it needs.
const RING: &str = ring!(
    "cql",
    9042,
    "containers: [{name: c, image: cassandra:5, ports: [{name: cql, containerPort: 9042}]}]"
);

const PODS: &str = "/api/v1/namespaces/default/pods";
const SETS: &str = "/apis/apps/v1/namespaces/default/statefulsets";
const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";

/// A cluster with an API and a manual clock.
#[derive(Clone)]
struct Api {
    address: SocketAddr,
    driver: Driver,
    queries: QueryLog,
}

impl Api {
    /// Serves the cluster in `manifests`.
    async fn serve(manifests: &str) -> Api {
        Api::serve_with(manifests, QueryLog::default()).await
    }

    /// The same, with queries recorded in `queries`.
    async fn serve_with(manifests: &str, queries: QueryLog) -> Api {
        Api::serve_within(manifests, queries, Settings::default(), Limits::default()).await
    }

    /// The same, with these settings and limits.
    async fn serve_within(manifests: &str, queries: QueryLog, settings: Settings, limits: Limits) -> Api {
        let begin = Time::from_unix_millis(1_700_000_000_000);
        let mut cluster = ControlPlane::new(settings);
        cluster.advance_to(begin);
        cluster.apply(&common::objects("test.yaml", manifests));
        let driver = Driver::new(cluster, Clock::paused_at(begin));
        let options = Options { limits, ..Options::at("127.0.0.1:0".parse().unwrap()) };
        let server = Server::bind(options).await.expect("a free port");
        let address = server.address();
        let server = server.with_queries(queries.clone());
        tokio::spawn(server.serve(driver.clone(), std::future::pending()));
        Api { address, driver, queries }
    }

    /// Sends a request with these headers besides the host.
    async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Response<Incoming> {
        let stream = TcpStream::connect(self.address).await.expect("a connection");
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("HTTP");
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path);
        if headers.iter().all(|(name, _)| *name != "host") {
            request = request.header("host", self.address.to_string());
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).expect("a request");
        timeout(TIMEOUT, sender.send_request(request)).await.expect("an answer in time").expect("an answer")
    }

    /// Sends a request, and reads the whole answer.
    async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let response = self.send(method, path, headers, body).await;
        let (code, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        let text = String::from_utf8_lossy(&body).into_owned();
        Answer { code, headers, json: serde_json::from_str(&text).unwrap_or_default(), text }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "").await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, &[("content-type", JSON)], body.to_string()).await
    }

    async fn put(&self, path: &str, body: &Value) -> Answer {
        self.ask("PUT", path, &[("content-type", JSON)], body.to_string()).await
    }

    async fn patch(&self, path: &str, content_type: &str, body: &Value) -> Answer {
        self.ask("PATCH", path, &[("content-type", content_type)], body.to_string()).await
    }

    /// Starts a watch of `path`, which includes its query.
    async fn watch(&self, path: &str, headers: &[(&str, &str)]) -> Watch {
        let response = self.send("GET", path, headers, "").await;
        assert_eq!(response.status(), 200, "{path}");
        Watch { body: response.into_body(), text: Vec::new(), lines: VecDeque::new() }
    }
}

/// An answer.
struct Answer {
    code: u16,
    headers: HeaderMap,
    text: String,
    json: Value,
}

impl Answer {
    /// The JSON of an answer, which has to be a success.
    #[track_caller]
    fn ok(self) -> Value {
        assert!((200..300).contains(&self.code), "{} {}", self.code, self.text);
        self.json
    }

    /// Code, reason and message of a failure.
    #[track_caller]
    fn failure(&self) -> (u16, &str, &str) {
        assert_eq!(
            (&self.json["kind"], &self.json["status"]),
            (&"Status".into(), &"Failure".into()),
            "{}",
            self.text
        );
        assert_eq!(self.json["code"], self.code);
        (self.code, text(&self.json["reason"]), text(&self.json["message"]))
    }
}

/// A stream of events.
struct Watch {
    body: Incoming,
    text: Vec<u8>,
    lines: VecDeque<Value>,
}

impl Watch {
    /// Returns the next event; `None` at the end.
    async fn next(&mut self) -> Option<Value> {
        loop {
            while let Some(end) = self.text.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.text.drain(..=end).collect();
                self.lines.push_back(serde_json::from_slice(&line).expect("an event a line"));
            }
            if let Some(event) = self.lines.pop_front() {
                return Some(event);
            }
            let frame = timeout(TIMEOUT, self.body.frame()).await.expect("an event in time")?;
            self.text.extend_from_slice(&frame.expect("a stream").into_data().expect("data"));
        }
    }

    /// Returns the next event as `ADDED db-0`.
    async fn next_event(&mut self) -> String {
        let event = self.next().await.expect("an event");
        format!("{} {}", text(&event["type"]), text(&event["object"]["metadata"]["name"]))
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The names of a list's items.
fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().expect("items").iter().map(|item| text(&item["metadata"]["name"])).collect()
}
