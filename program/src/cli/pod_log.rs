//! Logs what happens to pods that run: their Events, the ends of their containers, when they are ready and when they are gone.

use std::collections::{BTreeMap, HashSet};

use clusterlocal_api::render;
use clusterlocal_core::manifest::harmless;
use clusterlocal_core::store::{EventRecord, Kind, Pod, Resource, Stored};
use clusterlocal_core::{ControlPlane, Driver};
use serde_json::Value;
use tracing::{info, warn};

/// Reasons of Events that repeat another line.
const REPEATED: [&str; 3] = ["Created", "Pulled", "Scheduled"];

/// Whether it is a pod of the cluster's DNS, whose place this server takes.
fn is_dns(namespace: &str, name: &str) -> bool {
    namespace == "kube-system" && name.starts_with("coredns-")
}

/// Logs one line for each thing that happens from now on, until the cluster ends.
pub async fn log_pods(driver: Driver) {
    let mut log = PodLog::default();
    let mut revisions = driver.revisions();
    loop {
        for line in driver.read(|cluster| log.lines(cluster)) {
            match line {
                Line { warning: true, text } => warn!("{text}"),
                Line { text, .. } => info!("{text}"),
            }
        }
        if revisions.changed().await.is_err() {
            return;
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Line {
    warning: bool,
    text: String,
}

/// What has been logged.
#[derive(Default)]
struct PodLog {
    /// The latest revision that was looked at.
    revision: u64,
    /// Each pod by its UID.
    pods: BTreeMap<String, Logged>,
}

struct Logged {
    name: String,
    node: String,
    ready: bool,
    /// Container and time of each end.
    ends: HashSet<(String, String)>,
}

impl PodLog {
    /// The lines for what has changed since the last call.
    fn lines(&mut self, cluster: &ControlPlane) -> Vec<Line> {
        let (store, since) = (cluster.store(), self.revision);
        let mut lines = Vec::new();
        let mut there = HashSet::new();
        for stored in store.all_stored(Kind::Pod, None) {
            let uid = stored.uid().to_string();
            if stored.revision > since {
                self.revision = self.revision.max(stored.revision);
                let json = render::object(stored, &render::Context::now(store));
                self.pod(&uid, stored, &json, &mut lines);
            }
            there.insert(uid);
        }
        for stored in store.all_stored(Kind::Event, None).filter(|stored| stored.revision > since) {
            self.revision = self.revision.max(stored.revision);
            lines.extend(event(stored));
        }
        self.pods.retain(|uid, pod| {
            let is_there = there.contains(uid);
            if !is_there {
                lines.push(Line { warning: false, text: format!("{} is gone", pod.name) });
            }
            is_there
        });
        lines
    }

    fn pod(&mut self, uid: &str, stored: &Stored, json: &Value, lines: &mut Vec<Line>) {
        let Some(pod) = Pod::of(&stored.object) else { return };
        if is_dns(&pod.metadata.namespace, &pod.metadata.name) {
            return;
        }
        let name = shown(&pod.metadata.namespace, &pod.metadata.name);
        let new = || Logged { name: name.clone(), node: String::new(), ready: false, ends: HashSet::new() };
        let logged = self.pods.entry(uid.to_owned()).or_insert_with(new);
        if *logged.node != *pod.spec.node_name {
            logged.node = pod.spec.node_name.to_string();
            lines.push(Line { warning: false, text: format!("{name} is on {}", logged.node) });
        }
        for status in
            json.pointer("/status/containerStatuses").and_then(Value::as_array).into_iter().flatten()
        {
            for state in ["/state/terminated", "/lastState/terminated"] {
                let Some(ended) = status.pointer(state) else { continue };
                let text = |field: &str| ended[field].as_str().unwrap_or_default().to_owned();
                let container = status["name"].as_str().unwrap_or_default();
                if logged.ends.insert((container.to_owned(), text("finishedAt"))) {
                    let code = ended["exitCode"].as_i64().unwrap_or_default();
                    let text = format!(
                        "{name}: container {container} ended with exit code {code} ({})",
                        text("reason")
                    );
                    lines.push(Line { warning: code != 0 && !pod.is_terminating(), text: harmless(&text) });
                }
            }
        }
        let ready = pod.is_running_and_ready();
        if ready != logged.ready {
            logged.ready = ready;
            let address = pod.status.ips().next().map(|ip| format!(" at {ip}")).unwrap_or_default();
            let text =
                if ready { format!("{name} is ready{address}") } else { format!("{name} is not ready") };
            lines.push(Line { warning: false, text });
        }
    }
}

/// The line of an Event about a pod or node.
fn event(stored: &Stored) -> Option<Line> {
    let event = EventRecord::of(&stored.object)?;
    let about = &event.involved_object;
    let is_logged = matches!(&*about.kind, "Pod" | "Node")
        && !REPEATED.contains(&&*event.reason)
        && !is_dns(&about.namespace, &about.name);
    is_logged.then(|| {
        let name = shown(&about.namespace, &about.name);
        let text = format!("{name}: {}: {}", event.reason, event.message);
        Line { warning: &*event.event_type == "Warning", text: harmless(&text) }
    })
}

/// A name as in `kubectl`: without the namespace `default`.
fn shown(namespace: &str, name: &str) -> String {
    match namespace {
        "" | "default" => name.to_owned(),
        namespace => format!("{namespace}/{name}"),
    }
}
