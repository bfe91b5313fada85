//! `kind: Scenario`: a story about a cluster, in steps at times, and what has to have been asked when it is over. What is
//! this is how a file has it; [`play`](crate::play) lets it happen.
//!
//! ```yaml
//! apiVersion: clusterlocal.dev/v1
//! kind: Scenario
//! metadata: {name: new-address}
//! sees: The name stays and the address does not. Whoever looked it up once talks to nobody.
//! clock: manual                     # time passes from step to step; or real, at some speed: 10x
//! seed: 42                          # what goes by lot follows from it
//! delays: {start: 1s, ready: 5s, stop: 30s}
//! addressReuse: lifo                # or never
//! order: stable                     # of addresses; or shuffle
//! steps:                            # one thing each; without `at`, at the time of the one before
//! - {ask: db-1.db A, as: first, says: db-1}
//! - {at: 10s, restart: db-1}        # or delete, forceDelete, ready, unready, crash: POD, or a list of pods
//! - {remember: first, says: db-1 (gone)}       # who has now what was answered then
//! - {at: 20s, scale: {db: 5}}
//! - {at: 30s, node: {down: node-1}} # or off, up, reboot
//! - {at: 40s, fault: {slow: {match: {types: [SRV]}, actions: [delay 100ms]}}}
//! - {at: 50s, clear: slow}          # ends the fault; a list, or all of them: "*"
//! - {at: 1m, bind: {db-0: "127.0.0.1:4000"}, port: peer}
//! - {at: 1m10s, remove: Service db}
//! - {at: 1m20s, apply: "apiVersion: v1 ..."}
//! - {ask: _peer._tcp.db SRV, from: db-0, tcp: true, edns: 1232, says: [db-0:7000, db-2:7000]}
//! expect:                           # of the queries of others, when the steps are done
//! - {queries: {name: "db-1.db.*", type: A, after: restart db-1}, atLeast: 1, within: 10s}
//! - {queries: {type: ANY}, atMost: 0}
//! ```
//!
//! Names in questions are completed by the search list of a pod (`ndots:5`), in the namespace of the pod that asks or else in
//! `default`, unless they end with a dot. [`play`](crate::play) describes what `says` means. An unknown field is an error: a slip of the pen must not change what is tested.

mod shown;
mod written;

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
use written::{Clock, OrderWord, ReuseWord, Written};

/// A story about a cluster.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Scenario {
    /// What it is called.
    pub name: Name,
    /// What whoever plays it will see, in a sentence or two.
    pub sees: String,
    /// Whether time passes only from step to step.
    #[doc(hidden)]
    pub manual: bool,
    /// How many times as fast as the wall's the clock runs, if it does.
    #[doc(hidden)]
    pub speed: f64,
    /// What goes by lot follows from it.
    #[doc(hidden)]
    pub seed: u64,
    /// How long pods take.
    #[doc(hidden)]
    pub delays: Delays,
    /// What becomes of the addresses that pods give back.
    #[doc(hidden)]
    pub address_reuse: Reuse,
    /// The order of addresses in answers.
    #[doc(hidden)]
    pub order: Order,
    /// What happens, by time.
    #[doc(hidden)]
    pub steps: Vec<Step>,
    /// What has to have been asked in the end.
    #[doc(hidden)]
    pub expectations: Vec<Expectation>,
    /// Where it stands.
    #[doc(hidden)]
    pub place: Place,
}

/// One thing that happens.
#[doc(hidden)]
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Step {
    /// When, since the beginning, in the cluster's time.
    pub at: Duration,
    /// What.
    pub event: Event,
    /// In which line of the file.
    pub line: u32,
}

/// What can happen.
#[doc(hidden)]
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// Something happens to pods.
    Pods(PodEvent, Vec<Name>),
    /// A pod is replaced, by one that has this address.
    RestartAt(Name, IpAddr),
    /// What stands for a pod listens elsewhere: at this address, for the port of this name.
    Bind(Name, String, SocketAddr),
    /// A workload gets another number of pods.
    Scale(Name, u32),
    /// Something happens to a node.
    Node(NodeEvent, Name),
    /// Something begins to go wrong, under this name.
    Fault(Name, Box<FaultSpec>),
    /// It is over; `*` for everything that goes wrong.
    Clear(Vec<Name>),
    /// Manifests are applied.
    Apply(String),
    /// An object is deleted.
    Remove(Kind, Name),
    /// Somebody asks.
    Ask(Question),
    /// Somebody remembers what was answered to the question of this name.
    Remember(Name, Says),
    /// Nothing; time passes until then.
    Wait,
}

/// What can happen to a pod.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "as Cluster's pod handles have them")]
pub enum PodEvent {
    Ready,
    Unready,
    Crash,
    Delete,
    ForceDelete,
    Restart,
}

/// What can happen to a node.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "as Cluster's node handles have them")]
pub enum NodeEvent {
    Down,
    Off,
    Up,
    Reboot,
}

/// A question, and what is expected to be said.
#[doc(hidden)]
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Question {
    /// As it is written: short, or with a dot at the end.
    pub name: String,
    /// For what.
    pub qtype: RecordType,
    /// The pod whose address it comes from.
    pub from: Option<Name>,
    /// How.
    pub transport: Transport,
    /// How much is taken over UDP, in bytes; 0 is without EDNS.
    pub edns: u16,
    /// How long an answer is waited for, by the wall.
    pub patience: Duration,
    /// What the answer is called, to be remembered.
    pub called: Option<Name>,
    /// What has to be said, if anything has to.
    pub says: Option<Says>,
}

/// What is expected to be said: words that have to be there and no others, in any order or in this one.
#[doc(hidden)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Says {
    /// In any order.
    Words(Vec<String>),
    /// In this one.
    List(Vec<String>),
}

/// What has to have been asked in the end.
#[doc(hidden)]
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Expectation {
    /// The name that was asked for.
    pub name: Option<Glob>,
    /// The type.
    pub qtype: Option<RecordType>,
    /// The pod that asked.
    pub pod: Option<Name>,
    /// How it was asked.
    pub transport: Option<Transport>,
    /// What was said.
    pub code: Option<ResponseCode>,
    /// After which step it was asked: the first that begins so, as it is shown.
    pub after: Option<String>,
    /// How many at least.
    pub at_least: usize,
    /// How many at most.
    pub at_most: Option<usize>,
    /// How long is waited for the first of them, from then on or from the beginning: in the cluster's time if that passes, else by
    /// the wall.
    pub within: Duration,
    /// In which line of the file.
    pub line: u32,
}

/// Decodes the Scenarios of `manifest`.
///
/// # Errors
///
/// Every problem of every Scenario, where one is malformed or asks for the impossible.
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
    let written: Written = decode(place).map_err(|problem| vec![*problem])?;
    let mut problems = Vec::new();
    let mut complain = |path: String, message: String| {
        if problems.len() < DOCUMENT_PROBLEMS {
            problems.push(Problem::at(place, place.locate(&path), format!("{path}: {message}")));
        }
    };
    let (mut steps, mut last) = (Vec::new(), Duration::ZERO);
    for (number, step) in written.steps.into_iter().enumerate() {
        let path = format!("steps[{number}]");
        let at = step.at.map_or(last, |at| at.0);
        if at < last {
            complain(
                format!("{path}.at"),
                format!("is before the step that comes before it, at {}", Span(last)),
            );
        }
        last = at.max(last);
        let line = place.locate(&path).line;
        match step.events() {
            Ok(events) => steps.extend(events.into_iter().map(|event| Step { at, event, line })),
            Err(message) => complain(path, message),
        }
    }
    let mut expectations = Vec::new();
    for (number, expected) in written.expect.into_iter().enumerate() {
        let path = format!("expect[{number}]");
        let line = place.locate(&path).line;
        let queries = expected.queries;
        let code = queries.rcode.as_ref().map(|code| {
            // The last code that there is, RFC 7873's BADCOOKIE, is 23.
            let known = code.parse().ok().filter(|known: &ResponseCode| known.0 < 24);
            known.ok_or_else(|| format!("{code:?} is no response code: write NXDOMAIN or SERVFAIL"))
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
            Err(message) => complain(format!("{path}.queries.rcode"), message),
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
    /// The words of `text`; what is in brackets belongs to the word before.
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
