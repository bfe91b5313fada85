//! The status of a pod as its kubelet would write it, from the few facts that the simulated kubelet keeps.

use serde_json::{Map, Value, json};

use super::{Shown, put};
use crate::schema::field;
use clusterlocal_core::store::{Kind, Node, Pod, PodPhase, PodStatus, Time, objects};

pub(super) fn status(shown: &mut Shown<'_>, pod: &Pod) {
    let spec = shown.json.remove("spec").unwrap_or_default();
    let written = pod.status.written().and_then(Value::as_object).cloned();
    let recorded = || shown.json.get("status").filter(|_| pod.status.is_recorded())?.as_object().cloned();
    let status = match written.or_else(recorded) {
        Some(mut status) => {
            bring_up_to_date(&mut status, pod);
            clusterlocal_core::store::fill(&mut status, "qosClass", qos_class(&spec));
            status
        }
        None => simulated(shown, pod, &spec),
    };
    shown.json.insert("status".into(), status.into());
    shown.json.insert("spec".into(), spec);
}

/// Updates a status that a client or a snapshot wrote to the current state.
fn bring_up_to_date(status: &mut Map<String, Value>, pod: &Pod) {
    let facts = &pod.status;
    status.insert("phase".into(), phase(facts.phase.unwrap_or(PodPhase::Pending)).into());
    put(status, "reason", facts.reason());
    put(status, "message", facts.details.as_ref().map_or("", |details| &details.message));
    let ips: Vec<String> = facts.ips().map(|ip| ip.to_string()).collect();
    if field::text(&Value::Object(status.clone()), "/podIP") != ips.first().map_or("", String::as_str) {
        put_ips(status, ["podIP", "podIPs"], ips);
    }
    let containers = is_true(status, "ContainersReady");
    if is_true(status, "Ready").is_some_and(|ready| ready != facts.ready) {
        turn(status, "Ready", facts.ready, facts.ready_since);
    }
    if containers.is_some() && containers != Some(facts.containers_ready) {
        turn(status, "ContainersReady", facts.containers_ready, facts.ready_since);
        objects(status, "containerStatuses")
            .for_each(|container| drop(container.insert("ready".into(), facts.containers_ready.into())));
    }
    set_conditions(status, pod);
    let shut = if facts.containers_ready { shut_gates(pod) } else { String::new() };
    for condition in objects(status, "conditions").filter(|_| !shut.is_empty()) {
        if condition.get("type").is_some_and(|kind| kind == "Ready") {
            condition.insert("reason".into(), "ReadinessGatesNotReady".into());
            condition.insert("message".into(), shut.as_str().into());
        }
    }
}

/// The status of a pod that only the simulated kubelet has written.
fn simulated(shown: &Shown<'_>, pod: &Pod, spec: &Value) -> Map<String, Value> {
    let facts = Facts::of(shown, pod);
    let mut status = Map::new();
    status.insert("phase".into(), phase(facts.phase).into());
    put(&mut status, "reason", pod.status.reason());
    put(&mut status, "message", pod.status.details.as_ref().map_or("", |details| &details.message));
    let conditions = facts.conditions(spec);
    if !conditions.is_empty() {
        status.insert("conditions".into(), conditions.into());
    }
    set_conditions(&mut status, pod);
    if facts.is_taken_on() {
        status.insert("startTime".into(), facts.created.clone().into());
        let node = shown.context.store.get::<Node>(Kind::Node, "", &pod.spec.node_name);
        let host_ips = node.iter().flat_map(|node| node.status.addresses.iter()).map(ToString::to_string);
        put_ips(&mut status, ["hostIP", "hostIPs"], host_ips.collect());
        put_ips(&mut status, ["podIP", "podIPs"], pod.status.ips().map(|ip| ip.to_string()).collect());
    }
    // The reason of an eviction would be hidden by that of the containers.
    if pod.status.reason().is_empty() && facts.is_taken_on() {
        put(&mut status, "initContainerStatuses", facts.containers(spec, "initContainers"));
        put(&mut status, "containerStatuses", facts.containers(spec, "containers"));
    }
    status.insert("qosClass".into(), qos_class(spec).into());
    status
}

/// Whether the condition `kind` is true, if the status has it.
fn is_true(status: &Map<String, Value>, kind: &str) -> Option<bool> {
    let mut conditions = status.get("conditions").and_then(Value::as_array).into_iter().flatten();
    let condition = conditions.find(|condition| field::text(condition, "/type") == kind);
    condition.map(|condition| field::text(condition, "/status") == "True")
}

/// Sets an existing condition to its current value.
fn turn(status: &mut Map<String, Value>, kind: &str, holds: bool, since: Option<Time>) {
    for condition in objects(status, "conditions").filter(|c| c.get("type").is_some_and(|of| of == kind)) {
        condition.insert("status".into(), if holds { "True" } else { "False" }.into());
        condition.remove("reason");
        condition.remove("message");
        if let Some(since) = since {
            condition.insert("lastTransitionTime".into(), since.to_string().into());
        }
    }
}

/// Sets the conditions of controllers, each in place of the one of its type.
fn set_conditions(status: &mut Map<String, Value>, pod: &Pod) {
    if pod.status.conditions().is_empty() {
        return;
    }
    let all = status.entry("conditions").or_insert_with(|| json!([]));
    let Some(all) = all.as_array_mut() else { return };
    for condition in pod.status.conditions() {
        let mut json = json!({
            "type": condition.kind.as_str(),
            "status": condition.status.as_str(),
            "lastProbeTime": null,
            "lastTransitionTime": condition.since.to_string(),
        });
        for (field, text) in [("reason", &condition.reason), ("message", &condition.message)] {
            if !text.is_empty() {
                json[field] = text.as_str().into();
            }
        }
        match all.iter_mut().find(|other| field::text(other, "/type") == condition.kind) {
            Some(there) => *there = json,
            None => all.push(json),
        }
    }
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

/// The readiness gates that keep a pod from being ready; empty if there are none (GeneratePodReadyCondition).
fn shut_gates(pod: &Pod) -> String {
    let shut = pod.spec.shared.readiness_gates.iter().filter_map(|gate| match pod.status.condition(gate) {
        None => Some(format!("corresponding condition of pod readiness gate {gate:?} does not exist.")),
        Some(condition) if condition.status != "True" => {
            let status = condition.status;
            Some(format!("the status of pod readiness gate {gate:?} is not \"True\", but {status}"))
        }
        Some(_) => None,
    });
    shut.collect::<Vec<_>>().join(", ")
}

/// The known facts about a pod.
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

    /// Whether a kubelet has accepted the pod: it has a node, whose kubelet has processed it.
    fn is_taken_on(&self) -> bool {
        !self.pod.spec.node_name.is_empty()
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
        let why_uninitialized = ("ContainersNotInitialized", &*incomplete);
        let mut all = Vec::new();
        if scheduled {
            all.push(condition("PodReadyToStartContainers", sandbox, &self.running_since, None));
            all.push(condition("Initialized", initialized, &self.running_since, Some(why_uninitialized)));
            let PodStatus { ready, containers_ready, .. } = self.pod.status;
            let shut = shut_gates(self.pod);
            let why_not = if !containers_ready {
                Some(why_unready)
            } else if !shut.is_empty() {
                Some(("ReadinessGatesNotReady", &*shut))
            } else {
                // The node lifecycle controller sets no reason (MarkPodsNotReady).
                None
            };
            all.push(condition("Ready", ready, &self.ready_since, why_not));
            all.push(condition("ContainersReady", containers_ready, &self.ready_since, Some(why_unready)));
            all.push(condition("PodScheduled", true, &self.created, None));
        }
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

    /// The status of a container; one that does not stay has ended before the others began.
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
            "ready": if stays { self.pod.status.containers_ready } else { began },
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

/// The order of evictions when memory is short (`qos.ComputePodQOS`).
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
