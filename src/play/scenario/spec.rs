//! The file format of a Scenario, with its abbreviations; each step has one action.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny};

use super::{Event, NodeEvent, PodEvent, Question, Says};
use crate::fault::{FaultSpec, Glob, Span, Transport};
use crate::manifest::{Entries, OneOrMore, REPLICAS};
use crate::store::{Kind, Name};
use crate::wire::{RecordType, UnknownType};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "a Scenario")]
pub(super) struct ScenarioSpec {
    #[serde(rename = "apiVersion")]
    pub(super) _api_version: IgnoredAny,
    #[serde(rename = "kind")]
    pub(super) _kind: IgnoredAny,
    #[serde(default)]
    pub(super) metadata: Metadata,
    #[serde(default)]
    pub(super) sees: String,
    #[serde(default)]
    pub(super) clock: Clock,
    #[serde(default)]
    pub(super) seed: u64,
    #[serde(default)]
    pub(super) delays: DelaysSpec,
    #[serde(default)]
    pub(super) address_reuse: ReuseWord,
    #[serde(default)]
    pub(super) order: OrderWord,
    #[serde(default)]
    pub(super) steps: Vec<StepSpec>,
    #[serde(default)]
    pub(super) expect: Vec<ExpectationSpec>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Metadata {
    pub(super) name: Option<Name>,
    #[serde(rename = "labels")]
    pub(super) _labels: IgnoredAny,
    #[serde(rename = "annotations")]
    pub(super) _annotations: IgnoredAny,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "delays: start, ready, stop")]
pub(super) struct DelaysSpec {
    pub(super) start: Time,
    pub(super) ready: Time,
    pub(super) stop: Time,
}

#[derive(Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum ReuseWord {
    #[default]
    Never,
    Lifo,
}

#[derive(Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum OrderWord {
    Shuffle,
    #[default]
    Stable,
}

/// A duration: `1m30s`.
#[derive(Clone, Copy, Default)]
pub(super) struct Time(pub(super) Duration);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Name::deserialize(deserializer)?;
        text.parse().map(|Span(time)| Time(time)).map_err(de::Error::custom)
    }
}

/// `manual`, `real`, or a speed: `60x`.
pub(super) struct Clock {
    pub(super) manual: bool,
    pub(super) speed: f64,
}

impl Default for Clock {
    fn default() -> Self {
        Clock { manual: true, speed: 1.0 }
    }
}

impl<'de> Deserialize<'de> for Clock {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Name::deserialize(deserializer)?;
        let fast =
            || text.strip_suffix('x')?.parse().ok().filter(|speed: &f64| (0.001..=100_000.0).contains(speed));
        match (text.as_str(), fast()) {
            ("manual", _) => Ok(Clock::default()),
            ("real", _) => Ok(Clock { manual: false, speed: 1.0 }),
            (_, Some(speed)) => Ok(Clock { manual: false, speed }),
            _ => Err(de::Error::custom(format_args!("{text:?} is not manual, real or a speed like 10x"))),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields, expecting = "a step")]
pub(super) struct StepSpec {
    pub(super) at: Option<Time>,
    pub(super) ready: Names,
    pub(super) unready: Names,
    pub(super) crash: Names,
    pub(super) delete: Names,
    pub(super) force_delete: Names,
    pub(super) restart: Names,
    pub(super) ip: Option<IpAddr>,
    pub(super) bind: Entries<SocketAddr>,
    pub(super) port: Option<String>,
    pub(super) scale: Entries<u32>,
    pub(super) node: NodeSpec,
    pub(super) fault: Entries<FaultSpec>,
    pub(super) clear: Names,
    pub(super) apply: Option<String>,
    pub(super) remove: Option<String>,
    pub(super) ask: Option<String>,
    pub(super) from: Option<Name>,
    pub(super) tcp: bool,
    pub(super) edns: Option<u16>,
    pub(super) patience: Option<Time>,
    #[serde(rename = "as")]
    pub(super) called: Option<Name>,
    pub(super) remember: Option<Name>,
    pub(super) says: Option<SaysSpec>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "down, off, up or reboot, and nodes")]
pub(super) struct NodeSpec {
    pub(super) down: Names,
    pub(super) off: Names,
    pub(super) up: Names,
    pub(super) reboot: Names,
}

/// One name, or a list of names.
#[derive(Default)]
pub(super) struct Names(Vec<Name>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrMore("a name", |name: &str| Ok(Name::from(name)))).map(Names)
    }
}

/// `db-0 db-1`, or a list if the order matters.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected the words of an answer: a text such as says: db-0 db-1, or a list such as says: [db-0, db-1]"
)]
pub(super) enum SaysSpec {
    Words(String),
    List(Vec<String>),
}

impl From<SaysSpec> for Says {
    fn from(written: SaysSpec) -> Self {
        match written {
            SaysSpec::Words(text) => Says::words(&text),
            SaysSpec::List(list) => Says::List(list),
        }
    }
}

impl StepSpec {
    /// Converts the step into events: one action, on one object or several of a kind.
    pub(super) fn events(mut self) -> Result<Vec<Event>, String> {
        use Event::{Apply, Bind, Clear, Fault, Node, Pods, Remember, RestartAt, Scale};
        let mut events = Vec::new();
        let ip = self.ip.take();
        match (ip, self.restart.0.as_slice()) {
            (Some(ip), [pod]) => events.push(RestartAt(pod.clone(), ip)),
            (Some(_), _) => return Err("ip: is only allowed with the restart of one pod".into()),
            (None, _) => {}
        }
        let restart = if ip.is_some() { Names::default() } else { std::mem::take(&mut self.restart) };
        for (event, names) in [
            (PodEvent::Ready, self.ready),
            (PodEvent::Unready, self.unready),
            (PodEvent::Crash, self.crash),
            (PodEvent::Delete, self.delete),
            (PodEvent::ForceDelete, self.force_delete),
            (PodEvent::Restart, restart),
        ] {
            events.extend((!names.0.is_empty()).then_some(Pods(event, names.0)));
        }
        let mut actions = events.len();
        let mut more = |new: Vec<Event>| {
            actions += usize::from(!new.is_empty());
            events.extend(new);
        };
        let port = self.port.take();
        if port.is_some() == self.bind.0.is_empty() {
            return Err(
                "bind and port require each other: bind: {db-0: \"127.0.0.1:4000\"}, port: peer".into()
            );
        }
        let bound = self.bind.0.into_iter();
        more(bound.map(|(pod, address)| Bind(pod, port.clone().unwrap_or_default(), address)).collect());
        if let Some((name, replicas)) = self.scale.0.iter().find(|(_, replicas)| *replicas > REPLICAS) {
            return Err(format!("scale.{name}: {replicas} pods exceed the maximum of {REPLICAS}"));
        }
        more(self.scale.0.into_iter().map(|(name, replicas)| Scale(name, replicas)).collect());
        let nodes = [
            (NodeEvent::Down, self.node.down),
            (NodeEvent::Off, self.node.off),
            (NodeEvent::Up, self.node.up),
            (NodeEvent::Reboot, self.node.reboot),
        ];
        more(
            nodes
                .into_iter()
                .flat_map(|(event, names)| names.0.into_iter().map(move |name| Node(event, name)))
                .collect(),
        );
        more(self.fault.0.into_iter().map(|(name, spec)| Fault(name, Box::new(spec))).collect());
        more((!self.clear.0.is_empty()).then_some(Clear(self.clear.0)).into_iter().collect());
        more(self.apply.map(Apply).into_iter().collect());
        more(self.remove.as_deref().map(removal).transpose()?.into_iter().collect());
        let says = self.says.map(Says::from);
        match (self.ask, self.remember) {
            (Some(ask), None) => {
                let (name, qtype) = ask.split_once(' ').unwrap_or((&ask, "A"));
                let qtype = qtype.trim().parse().map_err(|error: UnknownType| format!("ask: {error}"))?;
                more(vec![Event::Ask(Question {
                    name: name.into(),
                    qtype,
                    from: self.from,
                    transport: if self.tcp { Transport::Tcp } else { Transport::Udp },
                    edns: self.edns.unwrap_or(1232),
                    patience: self.patience.map_or(QUERY_TIMEOUT, |patience| patience.0),
                    called: self.called,
                    says,
                })]);
            }
            (None, Some(called)) => {
                more(vec![Remember(called, says.ok_or("remember: requires says")?)]);
            }
            (None, None) if says.is_some() => return Err("says: is only allowed with ask or remember".into()),
            (None, None) => {}
            (Some(_), Some(_)) => actions = 2,
        }
        match actions {
            0 if self.at.is_some() => Ok(vec![Event::Wait]),
            0 => Err(format!("no action: expected one of {VERBS}")),
            1 => Ok(events),
            _ => Err("more than one action: write a step for each".into()),
        }
    }
}

/// Default time-out of a query, in real time.
const QUERY_TIMEOUT: Duration = Duration::from_secs(2);

const VERBS: &str = "ask, remember, ready, unready, crash, delete, forceDelete, restart, bind, scale, node, fault, clear, \
                     apply, remove";

/// Parses `Service db`, the object to delete.
fn removal(text: &str) -> Result<Event, String> {
    let kind = text.split_once(' ').and_then(|(kind, name)| {
        let kind = Kind::ALL.into_iter().find(|known| known.as_str() == kind)?;
        Some(Event::Remove(kind, name.trim().into()))
    });
    kind.ok_or_else(|| format!("remove: {text:?} is not KIND NAME, such as Service db"))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "an expectation")]
pub(super) struct ExpectationSpec {
    pub(super) queries: FilterSpec,
    pub(super) at_least: Option<usize>,
    pub(super) at_most: Option<usize>,
    #[serde(default)]
    pub(super) within: Time,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields, expecting = "the fields of a query")]
pub(super) struct FilterSpec {
    pub(super) name: Option<Glob>,
    #[serde(rename = "type")]
    pub(super) record_type: Option<RecordType>,
    pub(super) pod: Option<Name>,
    pub(super) transport: Option<Transport>,
    pub(super) rcode: Option<String>,
    pub(super) after: Option<String>,
}
