//! Probes of a container: when each is due and what its results come to (`pkg/kubelet/prober`). Must not depend on how a container
//! is asked.

use std::time::Duration;

use serde_json::Value;

use super::text;

/// What a probe decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ProbeKind {
    Startup,
    Liveness,
    Readiness,
}

impl ProbeKind {
    pub(crate) const ALL: [ProbeKind; 3] = [ProbeKind::Startup, ProbeKind::Liveness, ProbeKind::Readiness];

    /// The field of a container.
    pub(crate) fn field(self) -> &'static str {
        match self {
            ProbeKind::Startup => "startupProbe",
            ProbeKind::Liveness => "livenessProbe",
            ProbeKind::Readiness => "readinessProbe",
        }
    }

    /// As the kubelet's Events name it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            ProbeKind::Startup => "Startup",
            ProbeKind::Liveness => "Liveness",
            ProbeKind::Readiness => "Readiness",
        }
    }
}

/// How a container is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Exec(Vec<String>),
    Http {
        scheme: String,
        host: Option<String>,
        port: Port,
        path: String,
        headers: Vec<(String, String)>,
    },
    Tcp {
        host: Option<String>,
        port: Port,
    },
    Grpc {
        port: u16,
        service: String,
    },
    /// A hook that waits for some seconds.
    Sleep(u64),
}

/// A port by its number, or by the name that the container gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    Number(u16),
    Name(String),
}

impl Port {
    fn parse(json: Option<&Value>) -> Port {
        match json.and_then(Value::as_u64).and_then(|number| u16::try_from(number).ok()) {
            Some(number) => Port::Number(number),
            None => Port::Name(json.and_then(Value::as_str).unwrap_or_default().to_string()),
        }
    }

    /// The number of the port, in this container.
    pub(crate) fn number(&self, container: &Value) -> Option<u16> {
        let name = match self {
            Port::Number(number) => return Some(*number),
            Port::Name(name) => name,
        };
        let named = super::list(container, "/ports").iter().find(|port| text(port, "/name") == name);
        let number = named.and_then(|port| port.get("containerPort")).and_then(Value::as_u64);
        number.and_then(|number| u16::try_from(number).ok()).or_else(|| name.parse().ok())
    }
}

/// A probe as a container has it, with its defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Probe {
    pub(crate) action: Action,
    pub(crate) delay: Duration,
    pub(crate) period: Duration,
    pub(crate) timeout: Duration,
    success: u32,
    failure: u32,
    /// The grace period after it has failed, in seconds, in place of that of the pod.
    pub(crate) grace: Option<u64>,
}

impl Probe {
    /// The probe of that kind, if the container has one.
    pub(crate) fn of(container: &Value, kind: ProbeKind) -> Option<Probe> {
        let probe = container.get(kind.field())?;
        let number = |field: &str, default: u32| {
            let given =
                probe.get(field).and_then(Value::as_u64).and_then(|number| u32::try_from(number).ok());
            given.unwrap_or(default)
        };
        let seconds = |field: &str, default| Duration::from_secs(number(field, default).into());
        Some(Probe {
            action: Action::parse(probe)?,
            delay: seconds("initialDelaySeconds", 0),
            period: seconds("periodSeconds", 10).max(Duration::from_secs(1)),
            timeout: seconds("timeoutSeconds", 1).max(Duration::from_secs(1)),
            success: number("successThreshold", 1).max(1),
            failure: number("failureThreshold", 3).max(1),
            grace: probe.get("terminationGracePeriodSeconds").and_then(Value::as_u64),
        })
    }
}

impl Action {
    /// The action of a probe or of a lifecycle hook.
    pub(crate) fn parse(json: &Value) -> Option<Action> {
        let host = |json: &Value| Some(text(json, "/host").to_string()).filter(|host| !host.is_empty());
        if let Some(exec) = json.get("exec") {
            let words = super::list(exec, "/command").iter().filter_map(Value::as_str).map(str::to_string);
            return Some(Action::Exec(words.collect()));
        }
        if let Some(get) = json.get("httpGet") {
            let headers = super::list(get, "/httpHeaders").iter();
            let headers = headers.map(|header| (text(header, "/name").into(), text(header, "/value").into()));
            let path = text(get, "/path");
            return Some(Action::Http {
                scheme: Some(text(get, "/scheme"))
                    .filter(|scheme| !scheme.is_empty())
                    .unwrap_or("HTTP")
                    .into(),
                host: host(get),
                port: Port::parse(get.get("port")),
                path: if path.starts_with('/') { path.into() } else { format!("/{path}") },
                headers: headers.collect(),
            });
        }
        if let Some(tcp) = json.get("tcpSocket") {
            return Some(Action::Tcp { host: host(tcp), port: Port::parse(tcp.get("port")) });
        }
        if let Some(sleep) = json.get("sleep") {
            return Some(Action::Sleep(sleep.get("seconds").and_then(Value::as_u64).unwrap_or(0)));
        }
        let grpc = json.get("grpc")?;
        let port = grpc.get("port").and_then(Value::as_u64).and_then(|port| u16::try_from(port).ok())?;
        Some(Action::Grpc { port, service: text(grpc, "/service").to_string() })
    }
}

/// The results of a probe in a row, and what they come to.
#[derive(Clone, Debug)]
pub(crate) struct Results {
    same: u32,
    last: Option<bool>,
    /// What the probe has come to.
    pub(crate) outcome: Option<bool>,
}

impl Results {
    /// Before the first result: a liveness probe has succeeded, the others have not.
    pub(crate) fn new(kind: ProbeKind) -> Self {
        let outcome = match kind {
            ProbeKind::Liveness => Some(true),
            ProbeKind::Readiness => Some(false),
            ProbeKind::Startup => None,
        };
        Results { same: 0, last: None, outcome }
    }

    /// Adds a result. Returns whether the outcome is another than before (`worker.doProbe`).
    pub(crate) fn add(&mut self, probe: &Probe, succeeded: bool) -> bool {
        self.same = if self.last == Some(succeeded) { self.same + 1 } else { 1 };
        self.last = Some(succeeded);
        let threshold = if succeeded { probe.success } else { probe.failure };
        if self.same < threshold || self.outcome == Some(succeeded) {
            return false;
        }
        self.outcome = Some(succeeded);
        true
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn probes_with_their_defaults() {
        let container = json!({
            "ports": [{"name": "web", "containerPort": 8080}],
            "readinessProbe": {"httpGet": {"port": "web", "path": "healthz"}},
            "livenessProbe": {"tcpSocket": {"port": 9}, "periodSeconds": 3, "timeoutSeconds": 2, "failureThreshold": 1},
        });
        let readiness = Probe::of(&container, ProbeKind::Readiness).unwrap();
        let Action::Http { scheme, host, port, path, .. } = &readiness.action else {
            panic!("{readiness:?}")
        };
        assert_eq!(
            (scheme.as_str(), host, port.number(&container), path.as_str()),
            ("HTTP", &None, Some(8080), "/healthz")
        );
        assert_eq!(
            (readiness.period, readiness.timeout, readiness.failure),
            (Duration::from_secs(10), Duration::from_secs(1), 3)
        );
        let liveness = Probe::of(&container, ProbeKind::Liveness).unwrap();
        assert_eq!(
            (liveness.period, liveness.timeout, liveness.failure),
            (Duration::from_secs(3), Duration::from_secs(2), 1)
        );
        assert_eq!(Probe::of(&container, ProbeKind::Startup), None);
    }

    /// Thresholds, results in a row, and the outcome after each.
    #[test]
    fn results_count_in_a_row() {
        let table = [
            (ProbeKind::Readiness, 1, 3, "+--+---+", "11111101"),
            (ProbeKind::Readiness, 2, 1, "++-+++", "010011"),
            (ProbeKind::Liveness, 1, 3, "--+---", "111110"),
        ];
        for (kind, success, failure, results, expected) in table {
            let container = json!({
                kind.field(): {"tcpSocket": {"port": 1}, "successThreshold": success, "failureThreshold": failure}
            });
            let probe = Probe::of(&container, kind).unwrap();
            let mut state = Results::new(kind);
            let outcomes = results.chars().map(|result| {
                state.add(&probe, result == '+');
                if state.outcome == Some(true) { '1' } else { '0' }
            });
            assert_eq!(outcomes.collect::<String>(), expected, "{kind:?} {success} {failure}");
        }
    }
}
