//! A container over its runs: its state, as its status shows it, and when it is started again. Must not depend on processes.

use std::time::Duration;

use clusterlocal_core::store::Time;
use serde_json::{Value, json};

use super::{list, text};

/// First wait before a container is started again, which doubles each time (`pkg/kubelet`, `backOffPeriod`).
const FIRST_BACK_OFF: Duration = Duration::from_secs(10);

/// Maximum wait before a container is started again (`MaxContainerBackOff`).
const MAX_BACK_OFF: Duration = Duration::from_secs(300);

/// How long a container has to run for the waits to begin anew: twice the maximum wait.
const FORGIVEN: Duration = Duration::from_secs(600);

/// The state of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Waiting { reason: String, message: String },
    Running { since: Time },
    Terminated(Ended),
}

impl State {
    /// Waiting, with a reason that needs no message.
    pub(crate) fn waiting(reason: &str) -> State {
        State::Waiting { reason: reason.into(), message: String::new() }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    pub(crate) started: Time,
    pub(crate) finished: Time,
    /// The container's ID in this run.
    pub(crate) id: String,
}

impl Ended {
    /// As the kubelet calls it: `Completed` for exit code 0, otherwise `Error`.
    pub(crate) fn with_code(code: i32, started: Time, finished: Time) -> Self {
        let reason = if code == 0 { "Completed" } else { "Error" };
        Ended { code, reason, message: String::new(), started, finished, id: String::new() }
    }
}

/// When a container that has ended is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RestartPolicy {
    Always,
    OnFailure,
    Never,
}

/// A container of a pod.
#[derive(Clone, Debug)]
pub(crate) struct Container {
    pub(crate) spec: Value,
    pub(crate) is_init: bool,
    pub(crate) policy: RestartPolicy,
    pub(crate) state: State,
    pub(crate) last: Option<Ended>,
    pub(crate) restarts: u32,
    /// Number of its process, while that runs or starts.
    pub(crate) process: Option<u64>,
    /// Its ID in this run or the last one, as the status shows it; empty before the first.
    pub(crate) id: String,
    /// The program of this run or the last one.
    pub(crate) program: String,
    /// Why this run counts as one that did not start, with a message.
    start_error: Option<(&'static str, String)>,
    /// Whether its startup probe has succeeded, or it has none and runs.
    pub(crate) started: bool,
    pub(crate) ready: bool,
    back_off: Duration,
    /// When it is started again.
    pub(crate) again: Option<Time>,
}

impl Container {
    /// A container that has not been started, of a pod with this restart policy.
    pub(crate) fn new(spec: &Value, is_init: bool, of_pod: &str) -> Self {
        let own = text(spec, "/restartPolicy");
        let policy = match if own.is_empty() { of_pod } else { own } {
            "Never" => RestartPolicy::Never,
            // An init container of a pod that is restarted runs until it succeeds.
            "" | "Always" if !is_init || !own.is_empty() => RestartPolicy::Always,
            _ => RestartPolicy::OnFailure,
        };
        Container {
            spec: spec.clone(),
            is_init,
            policy,
            state: State::waiting("ContainerCreating"),
            last: None,
            restarts: 0,
            process: None,
            id: String::new(),
            program: String::new(),
            start_error: None,
            started: false,
            ready: false,
            back_off: FIRST_BACK_OFF,
            again: None,
        }
    }

    /// Records that it waits, in a pod with or without init containers.
    pub(crate) fn wait_to_begin(&mut self, has_init: bool) {
        self.state = State::waiting(if has_init { "PodInitializing" } else { "ContainerCreating" });
    }

    pub(crate) fn name(&self) -> &str {
        text(&self.spec, "/name")
    }

    /// Whether it is an init container that stays.
    pub(crate) fn is_sidecar(&self) -> bool {
        self.is_init && self.policy == RestartPolicy::Always
    }

    /// Whether it has ended and is not started again.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.state, State::Terminated(_)) && self.again.is_none()
    }

    /// Whether it has ended for good, with exit code 0.
    pub(crate) fn has_succeeded(&self) -> bool {
        matches!(&self.state, State::Terminated(ended) if ended.code == 0) && self.again.is_none()
    }

    /// Whether containers after it may start: an init container that has succeeded, or a sidecar that has started.
    pub(crate) fn is_initialized(&self) -> bool {
        if self.is_sidecar() { self.started } else { self.has_succeeded() }
    }

    /// Whether it has not been started yet and nothing keeps it from that.
    pub(crate) fn is_new(&self) -> bool {
        self.process.is_none() && self.again.is_none() && matches!(self.state, State::Waiting { .. })
    }

    /// Records that its program runs.
    pub(crate) fn run(&mut self, now: Time) {
        self.state = State::Running { since: now };
    }

    /// Since when it runs, if it does.
    pub(crate) fn running_since(&self) -> Option<Time> {
        if let State::Running { since } = self.state { Some(since) } else { None }
    }

    /// Whether its program runs and its hook `postStart` has not ended yet.
    pub(crate) fn is_held(&self) -> bool {
        self.process.is_some()
            && self.running_since().is_none()
            && self.spec.pointer("/lifecycle/postStart").is_some()
    }

    /// Records that this run counts as one that did not start.
    pub(crate) fn fail_to_start(&mut self, reason: &'static str, message: String) {
        self.start_error = Some((reason, message));
    }

    /// Whether a run that ended with this code is followed by another one: the first rule for the code counts, and else the
    /// policy (`ShouldContainerBeRestarted`).
    fn is_restarted(&self, code: i32) -> bool {
        let matches = |rule: &&Value| {
            let is_in =
                list(rule, "/exitCodes/values").iter().any(|value| value.as_i64() == Some(code.into()));
            match text(rule, "/exitCodes/operator") {
                "In" => is_in,
                "NotIn" => !is_in,
                _ => false,
            }
        };
        match list(&self.spec, "/restartPolicyRules").iter().find(matches) {
            Some(rule) if text(rule, "/action") == "Restart" => return true,
            _ => {}
        }
        match self.policy {
            RestartPolicy::Always => true,
            RestartPolicy::OnFailure => code != 0,
            RestartPolicy::Never => false,
        }
    }

    /// Records the end of its process. It is started again after a while by its restart policy, unless the pod is `stopping`.
    /// Returns whether it is.
    pub(crate) fn end(&mut self, mut ended: Ended, stopping: bool) -> bool {
        let ran = ended.finished.since(ended.started);
        let again = !stopping && self.is_restarted(ended.code);
        let start_error = self.start_error.take();
        ended.id.clone_from(&self.id);
        (self.process, self.started, self.ready, self.again) = (None, false, false, None);
        if !again {
            self.state = State::Terminated(ended);
            return false;
        }
        if ran >= FORGIVEN {
            self.back_off = FIRST_BACK_OFF;
        }
        // The first time at once.
        let wait = if self.restarts == 0 || ran >= FORGIVEN { Duration::ZERO } else { self.back_off };
        if !wait.is_zero() {
            self.back_off = (self.back_off * 2).min(MAX_BACK_OFF);
        }
        self.again = Some(ended.finished.after(wait));
        self.state = match start_error {
            Some((reason, message)) => {
                self.last = Some(ended);
                State::Waiting { reason: reason.into(), message }
            }
            None => State::Terminated(ended),
        };
        true
    }

    /// Records that it waits to be started again, in a pod whose name and UID the message has.
    pub(crate) fn wait_to_restart(&mut self, pod: &str, now: Time) {
        let Some(again) = self.again.filter(|again| *again > now) else { return };
        if let State::Terminated(ended) = &self.state {
            self.last = Some(ended.clone());
        }
        if let Some(ended) = &self.last {
            let wait = again.since(ended.finished).as_secs();
            self.state = State::Waiting {
                reason: "CrashLoopBackOff".into(),
                message: format!(
                    "back-off {} restarting failed container={} pod={pod}",
                    minutes(wait),
                    self.name()
                ),
            };
        }
    }

    /// Records that it is being started again.
    pub(crate) fn restart(&mut self) {
        if let State::Terminated(ended) = &self.state {
            self.last = Some(ended.clone());
        }
        self.restarts += 1;
        self.again = None;
    }

    /// Records that an init container runs once more, because the pod has a new sandbox.
    pub(crate) fn run_again(&mut self) {
        (self.state, self.again) = (State::waiting("PodInitializing"), None);
    }

    /// Its status, as the API shows it.
    pub(crate) fn status(&self) -> Value {
        let image = text(&self.spec, "/image");
        let state = |state: &State| match state {
            State::Waiting { reason, message } if message.is_empty() => {
                json!({"waiting": {"reason": reason}})
            }
            State::Waiting { reason, message } => json!({"waiting": {"reason": reason, "message": message}}),
            State::Running { since } => json!({"running": {"startedAt": since.to_string()}}),
            State::Terminated(ended) => terminated(ended),
        };
        let mut status = json!({
            "name": self.name(),
            "image": image,
            // There is no image: what runs in its place.
            "imageID": self.program,
            "ready": if self.is_init && !self.is_sidecar() { self.has_succeeded() } else { self.ready },
            "started": self.started,
            "restartCount": self.restarts,
            "state": state(&self.state),
            "lastState": self.last.as_ref().map_or_else(|| json!({}), terminated),
        });
        if !self.id.is_empty() {
            status["containerID"] = json!(self.id);
        }
        let resources =
            self.spec.get("resources").filter(|given| given.as_object().is_some_and(|map| !map.is_empty()));
        if let Some(resources) = resources.filter(|_| self.process.is_some()) {
            status["resources"] = resources.clone();
            if let Some(requests) = resources.get("requests") {
                status["allocatedResources"] = requests.clone();
            }
        }
        let mounts: Vec<Value> = list(&self.spec, "/volumeMounts").iter().map(mount_status).collect();
        if !mounts.is_empty() && self.process.is_some() {
            status["volumeMounts"] = json!(mounts);
        }
        status
    }
}

fn mount_status(mount: &Value) -> Value {
    let mut status = json!({ "name": mount["name"], "mountPath": mount["mountPath"] });
    if mount.get("readOnly") == Some(&Value::Bool(true)) {
        status["readOnly"] = json!(true);
        status["recursiveReadOnly"] = json!("Disabled");
    }
    status
}

fn terminated(ended: &Ended) -> Value {
    let mut json = json!({
        "exitCode": ended.code,
        "reason": ended.reason,
        "startedAt": ended.started.to_string(),
        "finishedAt": ended.finished.to_string(),
    });
    if !ended.id.is_empty() {
        json["containerID"] = json!(ended.id);
    }
    if !ended.message.is_empty() {
        json["message"] = json!(ended.message);
    }
    json!({"terminated": json})
}

/// A span of time as Go writes it: `10s`, `1m20s`, `5m0s`.
fn minutes(seconds: u64) -> String {
    if seconds < 60 { format!("{seconds}s") } else { format!("{}m{}s", seconds / 60, seconds % 60) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_unix_millis(seconds * 1000)
    }

    #[test]
    fn waits_double_and_are_forgiven() {
        let mut container = Container::new(&json!({"name": "a"}), false, "Always");
        let mut now = 0;
        // Seconds that it runs, and seconds after which it is started again.
        for (runs, wait) in
            [(1, 0), (1, 10), (1, 20), (1, 40), (1, 80), (1, 160), (1, 300), (1, 300), (600, 0), (1, 10)]
        {
            container.run(at(now));
            let ended = Ended::with_code(1, at(now), at(now + runs));
            assert!(container.end(ended, false));
            assert_eq!(container.again, Some(at(now + runs + wait)), "after {now}");
            now += runs + wait;
            container.restart();
        }
    }

    /// Kind of container, restart policies of it and its pod, exit code, and whether it is started again.
    #[test]
    fn containers_that_are_started_again() {
        let table = [
            (false, "", "Always", 0, true),
            (false, "", "OnFailure", 0, false),
            (false, "", "OnFailure", 1, true),
            (false, "", "Never", 1, false),
            (true, "", "Always", 0, false),
            (true, "", "Always", 1, true),
            (true, "", "Never", 1, false),
            (true, "Always", "Never", 0, true),
        ];
        for (is_init, own, of_pod, code, expected) in table {
            let mut container = Container::new(&json!({"name": "a", "restartPolicy": own}), is_init, of_pod);
            let again = container.end(Ended::with_code(code, at(0), at(1)), false);
            assert_eq!(again, expected, "{is_init} {own} {of_pod} {code}");
            assert!(!container.end(Ended::with_code(code, at(0), at(1)), true), "stopping");
        }
    }

    /// Rules of a container, exit code, and whether it is started again.
    #[test]
    fn rules_come_before_the_restart_policy() {
        let rule = |operator: &str, values: &[i32]| json!({"action": "Restart", "exitCodes": {"operator": operator, "values": values}});
        let table = [
            (json!([rule("In", &[42, 43])]), 42, true),
            (json!([rule("In", &[42, 43])]), 1, false),
            (json!([rule("NotIn", &[0])]), 1, true),
            (json!([rule("NotIn", &[0])]), 0, false),
            (json!([rule("In", &[1]), rule("In", &[2])]), 2, true),
            (json!([]), 1, false),
        ];
        for (rules, code, expected) in table {
            let spec = json!({"name": "a", "restartPolicy": "Never", "restartPolicyRules": rules});
            let mut container = Container::new(&spec, false, "Always");
            assert_eq!(
                container.end(Ended::with_code(code, at(0), at(1)), false),
                expected,
                "{rules} {code}"
            );
        }
    }

    #[test]
    fn a_run_that_fails_to_start_is_waiting_with_the_reason() {
        let mut container = Container::new(&json!({"name": "a"}), false, "Always");
        container.id = "process://u-1".into();
        container.run(at(0));
        container.fail_to_start("PostStartHookError", "why".into());
        container.end(Ended::with_code(137, at(0), at(1)), false);
        let status = container.status();
        assert_eq!(status["state"], json!({"waiting": {"reason": "PostStartHookError", "message": "why"}}));
        assert_eq!(status["lastState"]["terminated"]["containerID"], "process://u-1");
        // Once it waits, it does for the back-off.
        container.restart();
        container.end(Ended::with_code(137, at(1), at(2)), false);
        container.wait_to_restart("pod", at(2));
        assert_eq!(
            container.status()["state"]["waiting"]["message"],
            "back-off 10s restarting failed container=a pod=pod"
        );
    }

    #[test]
    fn spans_are_as_in_go() {
        assert_eq!([10, 80, 300].map(minutes), ["10s", "1m20s", "5m0s"]);
    }
}
