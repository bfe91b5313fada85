//! The status of a pod as its kubelet would write it, from the few facts that the simulated one keeps.

use serde_json::{Map, Value, json};

use super::{Shown, put};
use crate::api::field;
use crate::store::{Kind, Node, Pod, PodPhase, Time, objects};

pub(super) fn status(shown: &mut Shown<'_>, pod: &Pod) {
    let spec = shown.json.remove("spec").unwrap_or_default();
    if pod.status.is_recorded() && shown.has("status") {
        let status = shown.status();
        status.insert("phase".into(), phase(pod.status.phase.unwrap_or(PodPhase::Unknown)).into());
        crate::store::fill(status, "qosClass", qos_class(&spec));
        if pod.status.ready != is_ready(status) {
            turn(status, pod);
        }
    } else {
        let status = simulated(shown, pod, &spec);
        shown.json.insert("status".into(), status.into());
    }
    shown.json.insert("spec".into(), spec);
}

/// The status of a pod that nobody tells of but the kubelet here.
fn simulated(shown: &Shown<'_>, pod: &Pod, spec: &Value) -> Map<String, Value> {
    let facts = Facts::of(shown, pod);
    let mut status = Map::new();
    status.insert("phase".into(), phase(facts.phase).into());
    put(&mut status, "reason", pod.status.reason.as_str());
    status.insert("conditions".into(), facts.conditions(spec).into());
    if facts.phase != PodPhase::Pending || !pod.spec.node_name.is_empty() {
        status.insert("startTime".into(), facts.created.clone().into());
        let node = shown.context.store.get::<Node>(Kind::Node, "", &pod.spec.node_name);
        let host_ips = node.iter().flat_map(|node| node.status.addresses.iter()).map(ToString::to_string);
        put_ips(&mut status, ["hostIP", "hostIPs"], host_ips.collect());
        put_ips(&mut status, ["podIP", "podIPs"], pod.status.ips().map(|ip| ip.to_string()).collect());
    }
    // The reason why a pod was evicted would be hidden by that of its containers.
    if pod.status.reason.is_empty() && !pod.spec.node_name.is_empty() {
        put(&mut status, "initContainerStatuses", facts.containers(spec, "initContainers"));
        put(&mut status, "containerStatuses", facts.containers(spec, "containers"));
    }
    status.insert("qosClass".into(), qos_class(spec).into());
    status
}

/// Whether a status has the condition that says so.
fn is_ready(status: &Map<String, Value>) -> bool {
    let conditions = status.get("conditions").and_then(Value::as_array).into_iter().flatten();
    conditions.into_iter().any(|c| field::text(c, "/type") == "Ready" && field::text(c, "/status") == "True")
}

/// Makes the status of a snapshot's pod as ready as somebody said since.
fn turn(status: &mut Map<String, Value>, pod: &Pod) {
    let ready = pod.status.ready;
    for condition in objects(status, "conditions") {
        if condition.get("type").is_some_and(|kind| kind == "Ready" || kind == "ContainersReady") {
            condition.insert("status".into(), if ready { "True" } else { "False" }.into());
            if let Some(since) = pod.status.ready_since {
                condition.insert("lastTransitionTime".into(), since.to_string().into());
            }
        }
    }
    objects(status, "containerStatuses")
        .for_each(|container| drop(container.insert("ready".into(), ready.into())));
}

fn phase(phase: PodPhase) -> &'static str {
    match phase {
        PodPhase::Pending => "Pending",
        PodPhase::Running => "Running",
        PodPhase::Succeeded => "Succeeded",
        PodPhase::Failed => "Failed",
        PodPhase::Unknown => "Unknown",
    }
}

fn put_ips(status: &mut Map<String, Value>, [one, all]: [&str; 2], ips: Vec<String>) {
    if let Some(first) = ips.first() {
        status.insert(one.into(), first.as_str().into());
        status.insert(all.into(), ips.iter().map(|ip| json!({ "ip": ip })).collect());
    }
}

/// What is known of a pod's life.
struct Facts<'a> {
    pod: &'a Pod,
    phase: PodPhase,
    uid: String,
    created: String,
    running_since: String,
    ready_since: String,
}

impl<'a> Facts<'a> {
    fn of(shown: &Shown<'_>, pod: &'a Pod) -> Self {
        let created = shown.created();
        let moment =
            |time: Option<Time>, before: &str| time.map_or_else(|| before.into(), |time| time.to_string());
        let running_since = moment(pod.status.since, &created);
        let ready_since = moment(pod.status.ready_since, &running_since);
        let phase = pod.status.phase.unwrap_or(PodPhase::Pending);
        Facts { pod, phase, uid: shown.stored.uid().to_string(), created, running_since, ready_since }
    }

    fn conditions(&self, spec: &Value) -> Vec<Value> {
        let scheduled = !self.pod.spec.node_name.is_empty();
        let sandbox = matches!(self.phase, PodPhase::Running | PodPhase::Unknown);
        let initialized = self.phase != PodPhase::Pending;
        let condition = |name: &str, holds: bool, since: &str, why: Option<(&str, &str)>| {
            let mut json = json!({
                "type": name,
                "status": if holds { "True" } else { "False" },
                "lastProbeTime": null,
                "lastTransitionTime": since,
            });
            if let Some((reason, message)) = why.filter(|_| !holds) {
                json["reason"] = reason.into();
                if !message.is_empty() {
                    json["message"] = message.into();
                }
            }
            json
        };
        let names = |list: &str| {
            let all = field::items(spec, list).iter().map(|container| field::text(container, "/name"));
            all.collect::<Vec<_>>().join(" ")
        };
        let unready = format!("containers with unready status: [{}]", names("/containers"));
        let why_unready = match self.phase {
            PodPhase::Succeeded => ("PodCompleted", ""),
            PodPhase::Failed => ("PodFailed", ""),
            _ => ("ContainersNotReady", &*unready),
        };
        let incomplete = format!("containers with incomplete status: [{}]", names("/initContainers"));
        let unschedulable = ("Unschedulable", "no node is there that the pod can run on");
        let why_uninitialized = ("ContainersNotInitialized", &*incomplete);
        let mut all = Vec::new();
        if scheduled {
            all.push(condition("PodReadyToStartContainers", sandbox, &self.running_since, None));
            all.push(condition("Initialized", initialized, &self.running_since, Some(why_uninitialized)));
            let ready = self.pod.status.ready;
            all.push(condition("Ready", ready, &self.ready_since, Some(why_unready)));
            all.push(condition("ContainersReady", ready, &self.ready_since, Some(why_unready)));
        }
        all.push(condition("PodScheduled", scheduled, &self.created, Some(unschedulable)));
        all
    }

    /// The statuses of the containers in the list `list` of the spec.
    fn containers(&self, spec: &Value, list: &str) -> Vec<Value> {
        let initializes = !field::items(spec, "/initContainers").is_empty();
        let all = field::items(spec, &format!("/{list}")).iter();
        all.map(|container| {
            let is_sidecar = field::text(container, "/restartPolicy") == "Always";
            self.container(container, list == "containers" || is_sidecar, initializes)
        })
        .collect()
    }

    /// The status of one container; one that does not stay has ended before the others began.
    fn container(&self, container: &Value, stays: bool, initializes: bool) -> Value {
        let name = field::text(container, "/name");
        let began = self.phase != PodPhase::Pending;
        let terminated = |code: i32, reason: &str, at: &str| json!({ "terminated": { "exitCode": code, "reason": reason, "startedAt": self.created, "finishedAt": at } });
        let runs = stays && self.phase == PodPhase::Running;
        let state = match self.phase {
            _ if !began => {
                let reason = if initializes { "PodInitializing" } else { "ContainerCreating" };
                json!({ "waiting": { "reason": reason } })
            }
            _ if !stays => terminated(0, "Completed", &self.running_since),
            PodPhase::Succeeded => terminated(0, "Completed", &self.ready_since),
            PodPhase::Failed => terminated(1, "Error", &self.ready_since),
            _ => json!({ "running": { "startedAt": self.running_since } }),
        };
        let restarts = if stays { self.pod.status.restarts } else { 0 };
        let mut status = json!({
            "name": name,
            "image": field::text(container, "/image"),
            "imageID": "",
            "ready": if stays { self.pod.status.ready } else { began },
            "started": runs,
            "restartCount": restarts,
            "state": state,
            "lastState": if restarts > 0 { terminated(1, "Error", &self.running_since) } else { json!({}) },
        });
        if began {
            status["containerID"] = format!("clusterlocal://{}/{name}/{restarts}", self.uid).into();
        }
        status
    }
}

/// How early a pod is evicted when memory is short (`qos.ComputePodQOS`).
fn qos_class(spec: &Value) -> &'static str {
    let (mut any, mut guaranteed) = (false, true);
    for list in ["/initContainers", "/containers"] {
        for container in field::items(spec, list) {
            for resource in ["cpu", "memory"] {
                let limit = container.pointer(&format!("/resources/limits/{resource}"));
                let request = container.pointer(&format!("/resources/requests/{resource}"));
                any |= limit.is_some() || request.is_some();
                guaranteed &= limit.is_some() && (request.is_none() || request == limit);
            }
        }
    }
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}
