//! The status of a pod from its containers (`kubelet_pods.go`, generateAPIPodStatus, getPhase; `pkg/kubelet/status/generate.go`).
//! Must not depend on processes.

use clusterlocal_core::store::Time;
use serde_json::{Value, json};

use super::container::{Container, State};
use super::{list, text};

/// The phase of a pod with these containers.
pub(crate) fn phase(containers: &[Container]) -> &'static str {
    let (init, main): (Vec<_>, Vec<_>) = containers.iter().partition(|container| container.is_init);
    if init
        .iter()
        .any(|container| container.has_ended() && !container.has_succeeded() && !container.is_sidecar())
    {
        return "Failed";
    }
    if !is_initialized(containers) {
        return "Pending";
    }
    let never_started = |container: &&&Container| {
        matches!(container.state, State::Waiting { .. })
            && container.last.is_none()
            && container.restarts == 0
    };
    if main.iter().any(|container| never_started(&container)) {
        return "Pending";
    }
    if !main.iter().all(|container| container.has_ended()) {
        return "Running";
    }
    if main.iter().all(|container| container.has_succeeded()) { "Succeeded" } else { "Failed" }
}

/// Whether all init containers have succeeded, or have started where they stay.
pub(crate) fn is_initialized(containers: &[Container]) -> bool {
    let mut init = containers.iter().filter(|container| container.is_init);
    init.all(Container::is_initialized)
}

/// The whole status of `pod`, whose status so far has what others write: addresses, scheduling, conditions of readiness gates.
pub(crate) fn status(pod: &Value, containers: &[Container], now: Time) -> Value {
    let mut status = pod.get("status").cloned().unwrap_or_else(|| json!({}));
    let phase = phase(containers);
    let is_over = matches!(phase, "Succeeded" | "Failed");
    let initialized = is_initialized(containers);
    let unready: Vec<&str> = containers
        .iter()
        .filter(|container| (!container.is_init || container.is_sidecar()) && !container.ready)
        .map(Container::name)
        .collect();
    let before = list(pod, "/status/conditions");
    let is_true =
        |kind: &str| before.iter().any(|one| text(one, "/type") == kind && text(one, "/status") == "True");
    let gates = list(pod, "/spec/readinessGates").iter().map(|gate| text(gate, "/conditionType"));
    let closed: Vec<&str> = gates.filter(|gate| !is_true(gate)).collect();
    let containers_reason = if is_over {
        Some((if phase == "Succeeded" { "PodCompleted" } else { "PodFailed" }, String::new()))
    } else if !unready.is_empty() {
        Some(("ContainersNotReady", format!("containers with unready status: [{}]", unready.join(" "))))
    } else {
        None
    };
    let gates_reason = containers_reason.clone().or_else(|| {
        (!closed.is_empty()).then(|| {
            let messages = closed.iter().map(|gate| {
                format!("corresponding condition of pod readiness gate \"{gate}\" does not exist.")
            });
            ("ReadinessGatesNotReady", messages.collect::<Vec<_>>().join("\n"))
        })
    });
    let initialized_reason = (!initialized).then(|| {
        let left = containers.iter().filter(|container| container.is_init && !container.is_initialized());
        let names: Vec<&str> = left.map(Container::name).collect();
        ("ContainersNotInitialized", format!("containers with incomplete status: [{}]", names.join(" ")))
    });
    let own = [
        ("PodReadyToStartContainers", None),
        ("Initialized", initialized_reason),
        ("Ready", gates_reason),
        ("ContainersReady", containers_reason),
    ];
    let mut conditions: Vec<Value> = Vec::new();
    for (kind, reason) in &own {
        let state = if reason.is_none() { "True" } else { "False" };
        let there = before.iter().find(|one| text(one, "/type") == *kind && text(one, "/status") == state);
        let since =
            there.map(|one| text(one, "/lastTransitionTime").to_string()).filter(|since| !since.is_empty());
        let mut condition = json!({
            "type": kind,
            "status": state,
            "lastProbeTime": null,
            "lastTransitionTime": since.unwrap_or_else(|| now.to_string()),
        });
        if let Some((reason, message)) = reason {
            condition["reason"] = json!(reason);
            if !message.is_empty() {
                condition["message"] = json!(message);
            }
        }
        conditions.push(condition);
    }
    let of_others = before.iter().filter(|one| own.iter().all(|(kind, _)| text(one, "/type") != *kind));
    conditions.extend(of_others.cloned());
    status["phase"] = json!(phase);
    status["conditions"] = json!(conditions);
    if status.get("startTime").is_none() {
        status["startTime"] = json!(now.to_string());
    }
    let statuses = |init: bool| -> Vec<Value> {
        containers.iter().filter(|container| container.is_init == init).map(Container::status).collect()
    };
    status["containerStatuses"] = json!(statuses(false));
    let init = statuses(true);
    if !init.is_empty() {
        status["initContainerStatuses"] = json!(init);
    }
    status
}
