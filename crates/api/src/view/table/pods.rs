//! The columns of pods. STATUS is computed as by `printPod` of kube-apiserver, from many of the pod's fields.

use serde_json::Value;

use super::age::{age, since};
use super::{AGE, Column, NAME, field, joined, name, or};
use clusterlocal_core::store::Time;

pub(super) const POD: &[Column] = &[
    NAME,
    Column::text("Ready", "The ready containers, of all."),
    Column::text("Status", "The phase of the pod, or the reason that it does not progress."),
    Column::text("Restarts", "The restarts of its containers, and the time of the last one."),
    AGE,
    Column::text("IP", "The pod's address.").wide(),
    Column::text("Node", "The node of the pod.").wide(),
    Column::text("Nominated Node", "The node on which the pod will be scheduled after preemption.").wide(),
    Column::text("Readiness Gates", "The readiness gates that are true, of all.").wide(),
];

pub(super) fn pod(pod: &Value, now: Time) -> Vec<Value> {
    let summary = Summary::of(pod);
    let restarts = match (summary.restarts, summary.last_restart) {
        (0, _) | (_, "") => summary.restarts.to_string(),
        (restarts, last) => format!("{restarts} ({} ago)", since(last, now)),
    };
    let ip = field::items(pod, "/status/podIPs").first().map_or("", |ip| field::text(ip, "/ip"));
    vec![
        name(pod),
        format!("{}/{}", summary.ready, summary.containers).into(),
        summary.reason.into(),
        restarts.into(),
        age(pod, now).into(),
        or(ip, or(field::text(pod, "/status/podIP"), "<none>")).into(),
        or(field::text(pod, "/spec/nodeName"), "<none>").into(),
        or(field::text(pod, "/status/nominatedNodeName"), "<none>").into(),
        readiness_gates(pod).into(),
    ]
}

fn readiness_gates(pod: &Value) -> String {
    let gates = field::items(pod, "/spec/readinessGates");
    if gates.is_empty() {
        return "<none>".into();
    }
    let holds = |gate: &&Value| field::condition(pod, field::text(gate, "/conditionType")) == Some("True");
    format!("{}/{}", gates.iter().filter(holds).count(), gates.len())
}

/// A summary of the containers of a pod.
struct Summary<'a> {
    ready: usize,
    containers: usize,
    reason: String,
    restarts: i64,
    /// When the last container that was restarted had ended.
    last_restart: &'a str,
}

impl<'a> Summary<'a> {
    fn of(pod: &'a Value) -> Self {
        let phase = field::text(pod, "/status/phase");
        let mut summary = Summary {
            ready: 0,
            containers: field::items(pod, "/spec/containers").len() + sidecars(pod).count(),
            reason: or(field::text(pod, "/status/reason"), phase).into(),
            restarts: 0,
            last_restart: "",
        };
        let conditions = field::items(pod, "/status/conditions");
        let gated = |c: &&Value| {
            field::text(c, "/type") == "PodScheduled" && field::text(c, "/reason") == "SchedulingGated"
        };
        if conditions.iter().any(|condition| gated(&condition)) {
            summary.reason = "SchedulingGated".into();
        }
        let initializing = summary.init_containers(pod);
        if !initializing || field::condition(pod, "Initialized") == Some("True") {
            summary.main_containers(pod);
        }
        if field::is_set(pod, "/metadata/deletionTimestamp") {
            match field::text(pod, "/status/reason") {
                "NodeLost" => summary.reason = "Unknown".into(),
                _ if !matches!(phase, "Succeeded" | "Failed") => summary.reason = "Terminating".into(),
                _ => {}
            }
        }
        summary
    }

    /// Whether an init container still runs or has failed, which then decides the pod's status.
    fn init_containers(&mut self, pod: &'a Value) -> bool {
        let count = field::items(pod, "/spec/initContainers").len();
        for (at, status) in field::items(pod, "/status/initContainerStatuses").iter().enumerate() {
            self.count_restarts(status);
            let terminated = field::at(status, "/state/terminated");
            let waiting = field::text(status, "/state/waiting/reason");
            if terminated.is_some_and(|state| field::number(state, "/exitCode") == 0) {
                continue;
            }
            if is_sidecar(pod, status) && field::flag(status, "/started") {
                self.ready += usize::from(field::flag(status, "/ready"));
                continue;
            }
            self.reason = match terminated {
                Some(state) => format!("Init:{}", ended(state)),
                None if !waiting.is_empty() && waiting != "PodInitializing" => format!("Init:{waiting}"),
                None => format!("Init:{at}/{count}"),
            };
            return true;
        }
        false
    }

    fn main_containers(&mut self, pod: &'a Value) {
        (self.restarts, self.last_restart) = (0, "");
        let init = field::items(pod, "/status/initContainerStatuses").iter();
        for sidecar in init.filter(|status| is_sidecar(pod, status)) {
            self.count_restarts(sidecar);
        }
        let mut running = false;
        // From the last to the first: the first container's reason is the pod's.
        for status in field::items(pod, "/status/containerStatuses").iter().rev() {
            self.count_restarts(status);
            let waiting = field::text(status, "/state/waiting/reason");
            if !waiting.is_empty() {
                self.reason = waiting.into();
            } else if let Some(state) = field::at(status, "/state/terminated") {
                self.reason = ended(state);
            } else if field::flag(status, "/ready") && field::at(status, "/state/running").is_some() {
                running = true;
                self.ready += 1;
            }
        }
        if self.reason == "Completed" && running {
            let ready = field::condition(pod, "Ready") == Some("True");
            self.reason = if ready { "Running" } else { "NotReady" }.into();
        }
    }

    fn count_restarts(&mut self, status: &'a Value) {
        self.restarts += field::number(status, "/restartCount");
        // RFC 3339 in UTC: the order of the texts is that of the times.
        self.last_restart = self.last_restart.max(field::text(status, "/lastState/terminated/finishedAt"));
    }
}

/// Why a container ended.
fn ended(terminated: &Value) -> String {
    match (field::text(terminated, "/reason"), field::number(terminated, "/signal")) {
        ("", 0) => format!("ExitCode:{}", field::number(terminated, "/exitCode")),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.into(),
    }
}

/// The init containers that keep running.
fn sidecars(pod: &Value) -> impl Iterator<Item = &Value> {
    let init = field::items(pod, "/spec/initContainers").iter();
    init.filter(|container| field::text(container, "/restartPolicy") == "Always")
}

fn is_sidecar(pod: &Value, status: &Value) -> bool {
    sidecars(pod).any(|container| field::text(container, "/name") == field::text(status, "/name"))
}

/// The columns Containers and Images of workloads.
pub(super) fn of_template(workload: &Value) -> [Value; 2] {
    let containers = field::items(workload, "/spec/template/spec/containers");
    [joined(containers, "/name").into(), joined(containers, "/image").into()]
}
