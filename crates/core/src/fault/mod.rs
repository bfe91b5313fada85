//! Has no counterpart in a cluster: the language of faults, of how the cluster's DNS fails, for which questions and when,
//! in files, the API and on the command line. Must not depend on objects, time or answers: `store` keeps a
//! `Fault` as an object, `control_plane` finds which are in force, `answer` applies them.
//!
//! ```yaml
//! apiVersion: clusterlocal.dev/v1
//! kind: Fault
//! metadata: {name: srv-fails}
//! spec:
//! match:                         # all fields have to match; without it, every question matches
//! name: "_cql._tcp.*"          # of the question, without the final dot, case-insensitive; * any characters, ? one
//!     types: [SRV]
//!     transport: tcp               # or udp
//!     clients: [cassandra-1, ring/db-0, 127.0.0.1, 127.244.0.0/16]
//! every: 3                     # each third matching question
//! probability: 0.25            # random, from the seed
//! priority: 10                   # matched before faults of a lower one; default 0
//! times: 2                       # maximum number of hits
//! after: 5s                      # starts that long after its creation, in the cluster's time
//! for: 30s                       # and lasts that long
//!   seed: 7
//!   actions: [delay 3s ±500ms, servfail]
//! # or, one after the other for each name, type and client:
//!   # sequence: [ok, ok, drop, "delay 1s, nxdomain"]
//! # or the name of a well-known failure:
//!   # preset: dns-outage 30s
//! ```
//!
//! The first fault that hits a question is the only one that applies to it: faults of higher `priority` first, then in
//! order of creation. The action `ok` protects questions from all later faults. A fault is created and deleted with its
//! file, like any object, and starts over when its spec changes; `after` and `for` count from its creation.

mod action;
mod glob;
mod notation;
mod notation_error;
mod preset;
mod text;

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::RecordType;
use crate::text::{Name, is_label, is_subdomain, nearest};

pub use crate::text::Span;
pub use action::{Action, Actions, Arrangement, EdnsSupport, Glue, Selection, Target, Tcp};
pub use glob::Glob;
pub use notation::{ACTIONS, Notation};
pub use notation_error::NotationError;
pub use preset::{PRESETS, Preset, PresetInfo};

/// The spec of a Fault: actions, clients and time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default, expecting = "the spec of a Fault")]
pub struct FaultSpec {
    /// The questions, or connections, that it hits.
    #[serde(rename = "match", skip_serializing_if = "Match::is_everything")]
    pub matching: Match,
    /// Faults of a higher priority are matched first; among equals, those that were created first.
    #[serde(skip_serializing_if = "is_default")]
    pub priority: i32,
    /// Maximum number of hits; no limit if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// Time from its creation to its start, in the cluster's time.
    #[serde(with = "text::span", skip_serializing_if = "Duration::is_zero")]
    pub after: Duration,
    /// Time from its start to its end, in the cluster's time; without an end if absent.
    #[serde(rename = "for", with = "text::optional_span", skip_serializing_if = "Option::is_none")]
    pub lasting: Option<Duration>,
    /// Seed of all random choices.
    #[serde(skip_serializing_if = "is_zero")]
    pub seed: u64,
    /// The actions, all of which are applied.
    #[serde(skip_serializing_if = "Actions::is_empty")]
    pub actions: Actions,
    /// Instead of `actions`: one entry for each question in turn, counted for each name, type and client's address,
    /// starting over after the last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sequence: Vec<Actions>,
    /// Instead of both: the name of a well-known failure, which [`Self::expanded`] replaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
}

fn is_default(priority: &i32) -> bool {
    *priority == 0
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Parses an effect on every question: actions (`delay 3s, servfail`), a preset (`dns-outage 30s`), or steps in turn
/// (`ok | drop | delay 1s, nxdomain`).
impl FromStr for FaultSpec {
    type Err = NotationError;

    fn from_str(text: &str) -> Result<Self, NotationError> {
        if text.contains('|') {
            let sequence = text.split('|').map(|step| step.trim().parse()).collect::<Result<_, _>>()?;
            return Ok(FaultSpec { sequence, ..FaultSpec::default() });
        }
        let word = text.split_whitespace().next().unwrap_or_default();
        let is_action = ACTIONS.iter().any(|action| action.written.split(' ').next() == Some(word));
        if !is_action && PRESETS.iter().any(|preset| preset.name == word) {
            return Ok(FaultSpec { preset: Some(text.parse()?), ..FaultSpec::default() });
        }
        Ok(FaultSpec { actions: text.parse()?, ..FaultSpec::default() })
    }
}

impl FaultSpec {
    /// A fault that applies `actions` to every question.
    pub fn new(actions: impl IntoIterator<Item = Action>) -> Self {
        FaultSpec { actions: actions.into_iter().collect(), ..FaultSpec::default() }
    }

    /// The spec with its preset replaced: fields that are absent are filled in from the preset.
    #[must_use]
    pub fn expanded(&self) -> FaultSpec {
        let mut spec = self.clone();
        if let Some(preset) = spec.preset.take() {
            preset.fill(&mut spec);
        }
        spec
    }

    /// The actions of all steps.
    pub fn all_actions(&self) -> impl Iterator<Item = &Action> {
        self.actions.iter().chain(self.sequence.iter().flat_map(|step| step.iter()))
    }
}

/// `delay 3s, servfail; name=_cql._tcp.* types=SRV; for 30s`: actions, match, time. A preset is displayed expanded.
impl fmt::Display for FaultSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spec = self.expanded();
        if spec.sequence.is_empty() {
            write!(f, "{}", spec.actions)?
        } else {
            f.write_str("in turn: ")?;
            for (at, step) in spec.sequence.iter().enumerate() {
                write!(f, "{}{step}", if at > 0 { " | " } else { "" })?;
            }
        }
        if !spec.matching.is_everything() {
            write!(f, "; {}", spec.matching)?;
        }
        let mut separator = "; ";
        let mut when = |f: &mut fmt::Formatter<'_>, what: fmt::Arguments<'_>| {
            let written = write!(f, "{separator}{what}");
            separator = " ";
            written
        };
        if !spec.after.is_zero() {
            when(f, format_args!("after {}", Span(spec.after)))?;
        }
        if let Some(lasting) = spec.lasting {
            when(f, format_args!("for {}", Span(lasting)))?;
        }
        if let Some(times) = spec.times {
            when(f, format_args!("{times} times"))?;
        }
        if spec.priority != 0 {
            when(f, format_args!("priority {}", spec.priority))?;
        }
        Ok(())
    }
}

/// The questions a fault hits. Absent and empty fields match everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default, expecting = "what a Fault hits")]
pub struct Match {
    /// The question's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Glob>,
    /// The question's types.
    #[serde(deserialize_with = "text::one_or_more", skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<RecordType>,
    /// The transport.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
    /// The clients.
    #[serde(deserialize_with = "text::one_or_more", skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<Client>,
    /// Only every Nth question that matches the fields above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<NonZeroU32>,
    /// Probability of a hit, for each of the remaining questions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probability: Option<Probability>,
}

impl Match {
    /// Whether no field is set.
    pub fn is_everything(&self) -> bool {
        *self == Match::default()
    }
}

/// `name=_cql._tcp.* types=SRV`
impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn list(all: &[impl fmt::Display]) -> Option<String> {
            let all: Vec<String> = all.iter().map(ToString::to_string).collect();
            (!all.is_empty()).then(|| all.join(","))
        }
        let fields = [
            ("name", self.name.as_ref().map(ToString::to_string)),
            ("types", list(&self.types)),
            ("transport", self.transport.map(|transport| transport.to_string())),
            ("clients", list(&self.clients)),
            ("every", self.every.map(|every| every.to_string())),
            ("probability", self.probability.map(|probability| probability.to_string())),
        ];
        let set = fields.into_iter().filter_map(|(field, value)| Some(format!("{field}={}", value?)));
        f.write_str(&set.collect::<Vec<_>>().join(" "))
    }
}

/// The transport of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
}

impl FromStr for Transport {
    type Err = NotationError;

    fn from_str(text: &str) -> Result<Self, NotationError> {
        match text {
            "udp" => Ok(Transport::Udp),
            "tcp" => Ok(Transport::Tcp),
            _ => Err(NotationError::new(text, "udp or tcp", nearest(text, ["udp", "tcp"]))),
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        })
    }
}

/// A client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Client {
    /// A pod, by its current addresses.
    Pod {
        /// `default` if absent.
        namespace: Name,
        /// Its name.
        name: Name,
    },
    /// An address or a network.
    Network(IpNet),
}

/// The namespace of pods that are given by name alone.
const DEFAULT_NAMESPACE: &str = "default";

impl FromStr for Client {
    type Err = NotationError;

    fn from_str(text: &str) -> Result<Self, NotationError> {
        if let Ok(network) = text.parse::<IpNet>() {
            return Ok(Client::Network(network.trunc()));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Client::Network(address.into()));
        }
        let (namespace, name) = text.split_once('/').unwrap_or((DEFAULT_NAMESPACE, text));
        // Digits and dots are an invalid address, though also a valid name of a pod.
        let numeric = name.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        if is_label(namespace) && is_subdomain(name) && !numeric {
            return Ok(Client::Pod { namespace: namespace.into(), name: name.into() });
        }
        let wanted = "a pod (cassandra-1, NAMESPACE/POD), an IP address or a network such as 127.244.0.0/16";
        Err(NotationError::new(text, wanted, None))
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Client::Pod { namespace, name } if namespace == DEFAULT_NAMESPACE => f.write_str(name),
            Client::Pod { namespace, name } => write!(f, "{namespace}/{name}"),
            Client::Network(network) if network.prefix_len() == network.max_prefix_len() => {
                network.addr().fmt(f)
            }
            Client::Network(network) => network.fmt(f),
        }
    }
}

/// A probability, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Probability(f64);

/// The value is never NaN.
impl Eq for Probability {}

impl Probability {
    /// The probability `value`, if that is between 0 and 1.
    pub fn new(value: f64) -> Option<Self> {
        (0.0..=1.0).contains(&value).then_some(Probability(value))
    }

    /// The value, from 0 to 1.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl FromStr for Probability {
    type Err = NotationError;

    fn from_str(text: &str) -> Result<Self, NotationError> {
        let value = text.parse().ok().and_then(Probability::new);
        value.ok_or_else(|| NotationError::new(text, "a probability from 0 to 1, such as 0.25", None))
    }
}

impl fmt::Display for Probability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests;
