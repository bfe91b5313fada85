//! The status of a pod from its containers (`kubelet_pods.go`, generateAPIPodStatus, getPhase; `pkg/kubelet/status/generate.go`).
//! Must not depend on processes.

use clusterlocal_core::store::Time;
use serde_json::{Value, json};

use super::container::{Container, State};
use super::{list, text};

/// The conditions that a kubelet writes, in its order; the others are of the scheduler, controllers and readiness gates.
const OWN: [&str; 4] = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady"];

/// Why a pod has failed, where its containers are not the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) reason: &'static str,
    pub(crate) message: &'static str,
}

/// The phase of a pod with these containers.
pub(crate) fn phase(containers: &[Container]) -> &'static str {
    let (init, main): (Vec<_>, Vec<_>) = containers.iter().partition(|container| container.is_init);
    if init
        .iter()
        .any(|container| container.has_ended() && !container.has_succeeded() && !container.is_sidecar())
    {
        return "Failed";
    }
    let has_begun = |container: &&Container| {
        !matches!(container.state, State::Waiting { .. }) || container.last.is_some()
    };
    // Init containers come before; a sidecar that starts again does not take a pod back.
    if !main.iter().all(has_begun) {
        return "Pending";
    }
    if !main.iter().all(|container| container.has_ended()) {
        return "Running";
    }
    if main.iter().all(|container| container.has_succeeded()) { "Succeeded" } else { "Failed" }
}

/// Whether all init containers have succeeded, or have started where they stay.
fn is_initialized(containers: &[Container]) -> bool {
    let mut init = containers.iter().filter(|container| container.is_init);
    init.all(Container::is_initialized)
}

/// Puts the conditions that this kubelet wrote last into the `status` that it has read, which may be older, and its start.
pub(crate) fn keep(status: &mut Value, written: Value) {
    let own = |condition: &&Value| OWN.contains(&text(condition, "/type"));
    let of_kubelet: Vec<Value> = list(&written, "/conditions").iter().filter(own).cloned().collect();
    if of_kubelet.is_empty() || !status.is_object() {
        return;
    }
    let others = list(status, "/conditions").iter().filter(|condition| !own(condition)).cloned();
    status["conditions"] = of_kubelet.iter().cloned().chain(others).collect();
    status["startTime"] = written["startTime"].clone();
}

/// The whole status of `pod`, whose status so far has what others write: addresses, scheduling, conditions of readiness gates.
pub(crate) fn status(
    pod: &Value,
    containers: &[Container],
    has_sandbox: bool,
    failure: Option<Failure>,
    now: Time,
) -> Value {
    let mut status = pod.get("status").cloned().unwrap_or_else(|| json!({}));
    let phase = if failure.is_some() { "Failed" } else { phase(containers) };
    let generation = pod.pointer("/metadata/generation").cloned();
    let before = list(pod, "/status/conditions");
    let mut conditions: Vec<Value> = Vec::new();
    for (kind, (holds, reason)) in OWN.into_iter().zip(conditions_of(pod, containers, phase, has_sandbox)) {
        let state = if holds { "True" } else { "False" };
        let there = before.iter().find(|one| text(one, "/type") == kind && text(one, "/status") == state);
        let since =
            there.map(|one| text(one, "/lastTransitionTime").to_string()).filter(|since| !since.is_empty());
        let mut condition = json!({
            "type": kind,
            "status": state,
            "lastProbeTime": null,
            "lastTransitionTime": since.unwrap_or_else(|| now.to_string()),
        });
        if let Some(generation) = &generation {
            condition["observedGeneration"] = generation.clone();
        }
        if let Some((reason, message)) = reason {
            condition["reason"] = json!(reason);
            if !message.is_empty() {
                condition["message"] = json!(message);
            }
        }
        conditions.push(condition);
    }
    let of_others = before.iter().filter(|one| !OWN.contains(&text(one, "/type")));
    conditions.extend(of_others.cloned());
    status["phase"] = json!(phase);
    status["conditions"] = json!(conditions);
    if let Some(generation) = generation {
        status["observedGeneration"] = generation;
    }
    if let Some(Failure { reason, message }) = failure {
        (status["reason"], status["message"]) = (json!(reason), json!(message));
    }
    if text(&status, "/startTime").is_empty() {
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

/// Whether a condition holds, and its reason and message if it has any.
type Condition = (bool, Option<(&'static str, String)>);

/// The states of [`OWN`].
fn conditions_of(pod: &Value, containers: &[Container], phase: &str, has_sandbox: bool) -> [Condition; 4] {
    let names = |wanted: &dyn Fn(&Container) -> bool| {
        let names = containers.iter().filter(|container| wanted(container)).map(Container::name);
        names.collect::<Vec<_>>().join(" ")
    };
    let unready = names(&|container| (!container.is_init || container.is_sidecar()) && !container.ready);
    let ready = match phase {
        "Succeeded" => (false, Some(("PodCompleted", String::new()))),
        "Failed" => (false, Some(("PodFailed", String::new()))),
        _ if !unready.is_empty() => {
            (false, Some(("ContainersNotReady", format!("containers with unready status: [{unready}]"))))
        }
        _ => (true, None),
    };
    let has_run = containers.iter().any(|container| {
        !container.is_init && (container.started || container.last.is_some() || container.has_ended())
    });
    let initialized = if phase == "Succeeded" {
        (true, Some(("PodCompleted", String::new())))
    } else if has_run || is_initialized(containers) {
        (true, None)
    } else {
        let left = names(&|container| container.is_init && !container.is_initialized());
        (false, Some(("ContainersNotInitialized", format!("containers with incomplete status: [{left}]"))))
    };
    let closed = if ready.0 { closed_gates(pod) } else { String::new() };
    let of_pod =
        if closed.is_empty() { ready.clone() } else { (false, Some(("ReadinessGatesNotReady", closed))) };
    // A pod that has ended has no sandbox any more.
    let has_sandbox = has_sandbox && !matches!(phase, "Succeeded" | "Failed");
    [(has_sandbox, None), initialized, of_pod, ready]
}

/// The message about the readiness gates that keep a pod from being ready; empty if there are none.
fn closed_gates(pod: &Value) -> String {
    let conditions = list(pod, "/status/conditions");
    let gates = list(pod, "/spec/readinessGates").iter().map(|gate| text(gate, "/conditionType"));
    let messages = gates.filter_map(|gate| match conditions.iter().find(|one| text(one, "/type") == gate) {
        None => Some(format!("corresponding condition of pod readiness gate {gate:?} does not exist.")),
        Some(condition) => match text(condition, "/status") {
            "True" => None,
            state => Some(format!("the status of pod readiness gate {gate:?} is not \"True\", but {state}")),
        },
    });
    messages.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubelet::container::Ended;

    fn at(seconds: i64) -> Time {
        Time::from_unix_millis(seconds * 1000)
    }

    /// Containers of a pod by a letter each: `w`aits, `c`reated, `r`eady, `u`nready, `s`ucceeded, `f`ailed; `|` after init
    /// containers, of which capital letters are sidecars.
    fn containers(letters: &str) -> Vec<Container> {
        let (init, main) = letters.split_once('|').unwrap_or(("", letters));
        let container = |letter: char, is_init: bool, number: usize| {
            let policy = if letter.is_uppercase() { "Always" } else { "" };
            let spec = json!({"name": format!("{letter}{number}"), "image": "i", "restartPolicy": policy});
            let mut container = Container::new(&spec, is_init, "Never");
            match letter.to_ascii_lowercase() {
                'r' | 'u' => {
                    container.process = Some(1);
                    container.run(at(1));
                    (container.started, container.ready) = (true, letter.eq_ignore_ascii_case(&'r'));
                }
                's' | 'f' => {
                    _ = container.end(Ended::with_code(i32::from(letter == 'f'), at(1), at(2)), true);
                }
                _ => {}
            }
            container
        };
        let init = init.chars().enumerate().map(|(number, letter)| container(letter, true, number));
        let main = main.chars().enumerate().map(|(number, letter)| container(letter, false, number));
        init.chain(main).collect()
    }

    /// Type, status, reason and message of a condition.
    type Shown<'a> = (&'a str, &'a str, &'a str, &'a str);

    /// Containers, phase, and the conditions that do not hold or have a reason.
    #[test]
    fn phases_and_conditions() {
        const CONTAINERS: &str = "ContainersNotReady";
        let table: [(&str, &str, &[Shown<'_>]); 9] = [
            ("rr", "Running", &[]),
            (
                "ru",
                "Running",
                &[
                    ("Ready", "False", CONTAINERS, "containers with unready status: [u1]"),
                    ("ContainersReady", "False", CONTAINERS, "containers with unready status: [u1]"),
                ],
            ),
            (
                "ws|w",
                "Pending",
                &[
                    (
                        "Initialized",
                        "False",
                        "ContainersNotInitialized",
                        "containers with incomplete status: [w0]",
                    ),
                    ("Ready", "False", CONTAINERS, "containers with unready status: [w0]"),
                    ("ContainersReady", "False", CONTAINERS, "containers with unready status: [w0]"),
                ],
            ),
            ("sR|r", "Running", &[]),
            (
                "U|r",
                "Running",
                &[
                    ("Ready", "False", CONTAINERS, "containers with unready status: [U0]"),
                    ("ContainersReady", "False", CONTAINERS, "containers with unready status: [U0]"),
                ],
            ),
            (
                "f|w",
                "Failed",
                &[
                    ("PodReadyToStartContainers", "False", "", ""),
                    (
                        "Initialized",
                        "False",
                        "ContainersNotInitialized",
                        "containers with incomplete status: [f0]",
                    ),
                    ("Ready", "False", "PodFailed", ""),
                    ("ContainersReady", "False", "PodFailed", ""),
                ],
            ),
            (
                "s|ss",
                "Succeeded",
                &[
                    ("PodReadyToStartContainers", "False", "", ""),
                    ("Initialized", "True", "PodCompleted", ""),
                    ("Ready", "False", "PodCompleted", ""),
                    ("ContainersReady", "False", "PodCompleted", ""),
                ],
            ),
            (
                "sf",
                "Failed",
                &[
                    ("PodReadyToStartContainers", "False", "", ""),
                    ("Ready", "False", "PodFailed", ""),
                    ("ContainersReady", "False", "PodFailed", ""),
                ],
            ),
            (
                "sr",
                "Running",
                &[
                    ("Ready", "False", CONTAINERS, "containers with unready status: [s0]"),
                    ("ContainersReady", "False", CONTAINERS, "containers with unready status: [s0]"),
                ],
            ),
        ];
        for (letters, phase, expected) in table {
            let status = status(&json!({}), &containers(letters), true, None, at(3));
            assert_eq!(status["phase"], phase, "{letters}");
            let shown = list(&status, "/conditions").iter().filter_map(|one| {
                let field = |field| text(one, field);
                let condition = (field("/type"), field("/status"), field("/reason"), field("/message"));
                (condition.1 == "False" || !condition.2.is_empty()).then_some(condition)
            });
            assert_eq!(shown.collect::<Vec<_>>(), expected, "{letters}");
        }
    }

    #[test]
    fn readiness_gates_hold_a_pod_back() {
        let gate = |status: Option<&str>| {
            let conditions: Vec<Value> =
                status.into_iter().map(|status| json!({"type": "g", "status": status})).collect();
            let pod = json!({"spec": {"readinessGates": [{"conditionType": "g"}]}, "status": {"conditions": conditions}});
            let status = super::status(&pod, &containers("r"), true, None, at(3));
            let ready =
                list(&status, "/conditions").iter().find(|one| text(one, "/type") == "Ready").unwrap();
            (text(ready, "/status").to_string(), text(ready, "/message").to_string())
        };
        let table = [
            (None, "False", "corresponding condition of pod readiness gate \"g\" does not exist."),
            (Some("False"), "False", "the status of pod readiness gate \"g\" is not \"True\", but False"),
            (Some("True"), "True", ""),
        ];
        for (status, expected, message) in table {
            assert_eq!(gate(status), (expected.to_string(), message.to_string()), "{status:?}");
        }
    }

    #[test]
    fn a_deadline_is_a_failure_and_transitions_have_their_time() {
        let pod = json!({"metadata": {"generation": 2}, "status": {"hostIP": "172.18.0.2", "qosClass": "BestEffort"}});
        let first = status(&pod, &containers("r"), true, None, at(3));
        assert_eq!((&first["hostIP"], &first["qosClass"]), (&json!("172.18.0.2"), &json!("BestEffort")));
        assert_eq!(first["observedGeneration"], 2);
        // What is read may be older than what was written.
        let mut read = json!({"conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": "x"},
                                             {"type": "PodScheduled", "status": "True"}]});
        keep(&mut read, first.clone());
        let pod = json!({"metadata": {"generation": 2}, "status": read});
        let second = status(&pod, &containers("r"), true, None, at(9));
        let of = |status: &Value, kind: &str| {
            list(status, "/conditions").iter().find(|one| text(one, "/type") == kind).cloned()
        };
        assert_eq!(of(&second, "Ready"), of(&first, "Ready"));
        assert_eq!(text(&of(&second, "PodScheduled").unwrap(), "/status"), "True");
        assert_eq!(second["startTime"], first["startTime"]);
        let failure = Failure { reason: "DeadlineExceeded", message: "too long" };
        let failed = status(&pod, &containers("r"), true, Some(failure), at(10));
        assert_eq!((&failed["phase"], &failed["reason"]), (&json!("Failed"), &json!("DeadlineExceeded")));
    }
}
