//! Has no counterpart in a cluster: the format of `kind: Scenario`, steps at times, and the queries expected at their end.
//! [`play`](crate::play) runs it.
//!
//! ```yaml
//! apiVersion: clusterlocal.dev/v1
//! kind: Scenario
//! metadata: {name: new-address}
//! sees: The name stays and the address changes. A client that looked it up only once has a stale address.
//! clock: manual                     # time passes only between steps; or real, or a speed: 10x
//! seed: 42                          # of random choices
//! delays: {start: 1s, ready: 5s, stop: 30s}
//! addressReuse: lifo                # order in which free addresses are used again; or never
//! order: stable                     # of addresses; or shuffle
//! steps:                            # one action each; without `at`, at the time of the previous step
//! - {ask: db-1.db A, as: first, says: db-1}
//! - {at: 10s, restart: db-1}        # or delete, forceDelete, ready, unready, crash: POD, or a list of pods
//! - {remember: first, says: db-1 (gone)}       # the current owners of the remembered addresses
//! - {at: 20s, scale: {db: 5}}
//! - {at: 30s, node: {down: node-1}} # or off, up, reboot
//! - {at: 40s, fault: {slow: {match: {types: [SRV]}, actions: [delay 100ms]}}}
//! - {at: 50s, clear: slow}          # ends the fault; a list, or all of them: "*"
//! - {at: 1m, bind: {db-0: "127.0.0.1:4000"}, port: peer}
//! - {at: 1m10s, remove: Service db}
//! - {at: 1m20s, apply: "apiVersion: v1 ..."}
//! - {ask: _peer._tcp.db SRV, from: db-0, tcp: true, edns: 1232, says: [db-0:7000, db-2:7000]}
//! expect:                           # of the queries of other clients, after the last step
//! - {queries: {name: "db-1.db.*", type: A, after: restart db-1}, atLeast: 1, within: 10s}
//! - {queries: {type: ANY}, atMost: 0}
//! ```
//!
//! Names in questions are completed by the search list of a pod (`ndots:5`), in the namespace of the querying pod or else
//! in `default`, unless they end with a dot. [`play`](crate::play) lists the words of `says`. An unknown field is an error:
//! a misspelling must not change what is tested.

mod display;
mod spec;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::addresses::Reuse;
use crate::answer::Order;
use crate::fault::{FaultSpec, Glob, Span, Transport};
use crate::manifest::{DOCUMENT_PROBLEMS, Manifest, Place, Problem, decode};
use crate::reconcile::Delays;
use crate::store::{Kind, Name};
use crate::wire::{RecordType, ResponseCode};
use spec::{Clock, OrderWord, ReuseWord, ScenarioSpec};

/// A scenario.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Scenario {
    /// Its name.
    pub name: Name,
    /// What a reader of the run will observe, in a sentence or two.
    pub sees: String,
    /// Whether time passes only between steps.
    #[doc(hidden)]
    pub manual: bool,
    /// Speed of the clock relative to real time, unless it is manual.
    #[doc(hidden)]
    pub speed: f64,
    /// Seed of random choices.
    #[doc(hidden)]
    pub seed: u64,
    /// Delays of pods.
    #[doc(hidden)]
    pub delays: Delays,
    /// How free addresses are used again.
    #[doc(hidden)]
    pub address_reuse: Reuse,
    /// Order of addresses in answers.
    #[doc(hidden)]
    pub order: Order,
    /// The steps, ordered by time.
    #[doc(hidden)]
    pub steps: Vec<Step>,
    /// The expectations, checked after the last step.
    #[doc(hidden)]
    pub expectations: Vec<Expectation>,
    /// Its position in the file.
    #[doc(hidden)]
    pub place: Place,
}

/// A step.
#[doc(hidden)]
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Step {
    /// Time since the start, on the cluster's clock.
    pub at: Duration,
    /// The action.
    pub event: Event,
    /// Its line in the file.
    pub line: u32,
}

/// An action.
#[doc(hidden)]
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// Changes pods.
    Pods(PodEvent, Vec<Name>),
    /// Replaces a pod by one with this address.
    RestartAt(Name, IpAddr),
    /// Binds a pod to this address, for the port of this name.
    Bind(Name, String, SocketAddr),
    /// Scales a workload.
    Scale(Name, u32),
    /// Changes a node.
    Node(NodeEvent, Name),
    /// Adds a fault with this name.
    Fault(Name, Box<FaultSpec>),
    /// Removes faults; `*` for all.
    Clear(Vec<Name>),
    /// Applies manifests.
    Apply(String),
    /// Deletes an object.
    Remove(Kind, Name),
    /// Sends a query.
    Ask(Question),
    /// Checks the current owners of the addresses in the answer of this name.
    Remember(Name, Says),
    /// Does nothing until its time.
    Wait,
}

/// A change of a pod.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "documented at `PodHandle`")]
pub enum PodEvent {
    Ready,
    Unready,
    Crash,
    Delete,
    ForceDelete,
    Restart,
}

/// A change of a node.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "documented at `NodeHandle`")]
pub enum NodeEvent {
    Down,
    Off,
    Up,
    Reboot,
}

/// A query, with the expected answer.
#[doc(hidden)]
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Question {
    /// The name as written: relative, or with a trailing dot.
    pub name: String,
    /// The type.
    pub qtype: RecordType,
    /// The pod that sends the query.
    pub from: Option<Name>,
    /// The transport.
    pub transport: Transport,
    /// UDP size that the client announces, in bytes; 0 is without EDNS.
    pub edns: u16,
    /// Time-out, in real time.
    pub patience: Duration,
    /// Name under which the answer is remembered.
    pub called: Option<Name>,
    /// The expected answer, if any.
    pub says: Option<Says>,
}

/// An expected answer: exactly these words, in any order or in this one.
#[doc(hidden)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Says {
    /// In any order.
    Words(Vec<String>),
    /// In this order.
    List(Vec<String>),
}

/// The expected number of queries.
#[doc(hidden)]
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Expectation {
    /// Name of the query.
    pub name: Option<Glob>,
    /// Type of the query.
    pub qtype: Option<RecordType>,
    /// Pod that sent it.
    pub pod: Option<Name>,
    /// Transport of the query.
    pub transport: Option<Transport>,
    /// Response code of the reply.
    pub code: Option<ResponseCode>,
    /// Only queries after this step: the first whose rendering begins with this text.
    pub after: Option<String>,
    /// Minimum number of queries.
    pub at_least: usize,
    /// Maximum number of queries.
    pub at_most: Option<usize>,
    /// Time to wait for the minimum number, from that step or the start: on the cluster's clock if it runs, otherwise in
    /// real time.
    pub within: Duration,
    /// Its line in the file.
    pub line: u32,
}

/// Decodes the Scenarios of `manifest`.
///
/// # Errors
///
/// Every problem of every Scenario, if one is malformed or invalid.
pub fn scenarios(manifest: &Manifest) -> Result<Vec<Scenario>, Vec<Problem>> {
    let (mut scenarios, mut problems) = (Vec::new(), Vec::new());
    for place in &manifest.scenarios {
        match decoded(place) {
            Ok(scenario) => scenarios.push(scenario),
            Err(more) => problems.extend(more),
        }
    }
    if problems.is_empty() { Ok(scenarios) } else { Err(problems) }
}

fn decoded(place: &Place) -> Result<Scenario, Vec<Problem>> {
    let written: ScenarioSpec = decode(place).map_err(|problem| vec![*problem])?;
    let mut problems = Vec::new();
    let mut report = |path: String, message: String| {
        if problems.len() < DOCUMENT_PROBLEMS {
            problems.push(Problem::at(place, place.locate(&path), format!("{path}: {message}")));
        }
    };
    let (mut steps, mut last) = (Vec::new(), Duration::ZERO);
    for (number, step) in written.steps.into_iter().enumerate() {
        let path = format!("steps[{number}]");
        let at = step.at.map_or(last, |at| at.0);
        if at < last {
            report(format!("{path}.at"), format!("is earlier than the previous step, at {}", Span(last)));
        }
        last = at.max(last);
        let line = place.locate(&path).line;
        match step.events() {
            Ok(events) => steps.extend(events.into_iter().map(|event| Step { at, event, line })),
            Err(message) => report(path, message),
        }
    }
    let mut expectations = Vec::new();
    for (number, expected) in written.expect.into_iter().enumerate() {
        let path = format!("expect[{number}]");
        let line = place.locate(&path).line;
        let queries = expected.queries;
        let code = queries.rcode.as_ref().map(|code| {
            // The highest assigned code, BADCOOKIE of RFC 7873, is 23.
            let known = code.parse().ok().filter(|known: &ResponseCode| known.0 < 24);
            known.ok_or_else(|| format!("{code:?} is not a response code such as NXDOMAIN or SERVFAIL"))
        });
        match code.transpose() {
            Ok(code) => expectations.push(Expectation {
                name: queries.name,
                qtype: queries.record_type,
                pod: queries.pod,
                transport: queries.transport,
                code,
                after: queries.after,
                at_least: expected.at_least.unwrap_or(usize::from(expected.at_most.is_none())),
                at_most: expected.at_most,
                within: expected.within.0,
                line,
            }),
            Err(message) => report(format!("{path}.queries.rcode"), message),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let Clock { manual, speed } = written.clock;
    let delays = written.delays;
    Ok(Scenario {
        name: written.metadata.name.unwrap_or_else(|| "scenario".into()),
        sees: written.sees,
        manual,
        speed,
        seed: written.seed,
        delays: Delays { start: delays.start.0, ready: delays.ready.0, stop: delays.stop.0 },
        address_reuse: if written.address_reuse == ReuseWord::Lifo { Reuse::Lifo } else { Reuse::Never },
        order: if written.order == OrderWord::Stable { Order::Stable } else { Order::Shuffle },
        steps,
        expectations,
        place: place.clone(),
    })
}

impl Says {
    /// Splits `text` into words; text in brackets belongs to the preceding word.
    pub(crate) fn words(text: &str) -> Self {
        let mut words: Vec<String> = Vec::new();
        for word in text.split_whitespace() {
            match words.last_mut() {
                Some(last) if word.starts_with('(') || last.contains('(') && !last.contains(')') => {
                    last.push(' ');
                    last.push_str(word);
                }
                _ => words.push(word.into()),
            }
        }
        Says::Words(words)
    }
}

impl fmt::Display for Says {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Says::Words(words) => f.write_str(&words.join(" ")),
            Says::List(words) => f.write_str(&words.join(", then ")),
        }
    }
}

#[cfg(test)]
mod tests;
