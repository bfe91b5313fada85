//! Takes the place of an operator with kubectl, dig and a watch: runs a [`Scenario`] against a cluster, and reports what is
//! observed. Must not depend on where the report goes.
//!
//! The field `says` has the expected answer, in these words:
//!
//! | word | means |
//! |---|---|
//! | `db-0` | an address that this pod has; in another namespace than `default` it is `ring/db-0` |
//! | `db-0 (gone)` | an address that this pod had, and that is free now |
//! | `db-0 (not ready)`, `(stopping)`, `(unreachable)` | the state of the pod at the address |
//! | `db-0 (old process)` | the address of a deleted pod whose container still runs behind a network partition |
//! | `svc/db` | the address of a Service |
//! | `db-0:7000` | an SRV record: target and port |
//! | `db-0:7000 (no address)`, `(at db-1)` | the target's address is missing, or belongs to another pod |
//! | `cname:db.` | an alias |
//! | `NODATA`, `NXDOMAIN`, `SERVFAIL` … | an answer without records |
//! | `truncated` | TC is set |
//! | `ttl=5` | a TTL other than the cluster's |
//! | `silence`, `refused`, `reset`, `closed` | no answer, with the state of the connection |
//! | `wrong-id`, `wrong-question`, `malformed` | a reply that does not answer the query |

mod ask;
pub mod scenario;
mod search;
mod words;

use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use crate::fault::FaultSpec;
use crate::manifest::Manifest;
use crate::queries::Filter;
use crate::store::Name;
use crate::wire::DomainName;
use crate::{Clock, Cluster, Error, Fault, FaultGuard, MANUAL_START, Mark, Settings};
use ask::{Ask, Received};
use scenario::{Event, Expectation, NodeEvent, PodEvent, Question, Says};
pub use scenario::{Scenario, scenarios};
use search::Verdict;

/// An observation of a run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Seen {
    /// The run waits, in real time, for the time of a step.
    Waiting {
        /// The remaining time.
        left: Duration,
        /// The step.
        next: String,
    },
    /// The result of a step.
    Step(Outcome),
    /// The result of an expectation.
    Expectation(Outcome),
}

/// The result of a step or an expectation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// Time since the start, on the cluster's clock.
    pub at: Duration,
    /// Duration of the step or check in real time, without the wait before it.
    pub took: Duration,
    /// The step or expectation: `restart db-1`.
    pub what: String,
    /// What was observed: changed names, or the answer.
    pub seen: Vec<String>,
    /// Why it failed; `None` if it passed.
    pub failure: Option<String>,
    /// Its line in the file.
    pub line: u32,
}

/// A run of a scenario.
pub struct Play<'s> {
    scenario: &'s Scenario,
    cluster: Cluster,
    began: Instant,
    faults: BTreeMap<Name, FaultGuard>,
    /// Addresses of remembered answers, by their names.
    remembered: BTreeMap<Name, Vec<IpAddr>>,
    /// The steps so far, each with the position and time of its end.
    done: Vec<(String, Mark, Instant)>,
    /// Sockets that the scenario's own queries came from.
    own: HashSet<SocketAddr>,
}

impl<'s> Play<'s> {
    /// Starts the cluster that `manifests` describe, answering at `listen`.
    ///
    /// # Errors
    /// Those of [`Builder::start`](crate::Builder::start).
    pub fn begin(
        scenario: &'s Scenario,
        manifests: Vec<Manifest>,
        listen: SocketAddr,
    ) -> Result<Self, Error> {
        let clock = if scenario.manual { Clock::manual() } else { Clock::real().at_speed(scenario.speed) };
        let settings = Settings {
            delays: scenario.delays,
            address_reuse: scenario.address_reuse,
            ..Settings::default()
        };
        let cluster = Cluster::builder()
            .read(manifests)
            .settings(settings)
            .order(scenario.order)
            .seed(scenario.seed)
            .clock(clock)
            .listen(listen)
            .start()
            .wait()?;
        Ok(Play {
            scenario,
            cluster,
            began: Instant::now(),
            faults: BTreeMap::new(),
            remembered: BTreeMap::new(),
            done: Vec::new(),
            own: HashSet::new(),
        })
    }

    /// The cluster of the run.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Runs all steps, checks the expectations, and passes each observation to `report`. Returns whether everything passed.
    pub fn run(mut self, mut report: impl FnMut(&Seen)) -> bool {
        let mut passed = true;
        for step in &self.scenario.steps {
            let what = step.event.to_string();
            self.wait_until(step.at, &what, &mut report);
            let began = Instant::now();
            let (seen, failure) = match self.perform(&step.event) {
                Ok((seen, failure)) => (seen, failure),
                Err(error) => (Vec::new(), Some(error.to_string())),
            };
            passed &= failure.is_none();
            let now = self.cluster.mark();
            let ended = Instant::now();
            self.done.push((what.clone(), now, ended));
            let took = ended - began;
            report(&Seen::Step(Outcome { at: step.at, took, what, seen, failure, line: step.line }));
        }
        let at = self.scenario.steps.last().map_or(Duration::ZERO, |last| last.at);
        for expectation in &self.scenario.expectations {
            let began = Instant::now();
            let (seen, failure) = self.check(expectation);
            let took = began.elapsed();
            passed &= failure.is_none();
            let what = expectation.to_string();
            report(&Seen::Expectation(Outcome { at, took, what, seen, failure, line: expectation.line }));
        }
        passed
    }

    /// Waits, or advances a manual clock, until `at`.
    fn wait_until(&self, at: Duration, next: &str, report: &mut impl FnMut(&Seen)) {
        if self.scenario.manual {
            let now = self.cluster.now().since(MANUAL_START);
            if at > now {
                self.cluster.advance(at - now);
            }
            return;
        }
        let due = self.began + at.div_f64(self.scenario.speed);
        loop {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            report(&Seen::Waiting { left, next: next.into() });
            std::thread::sleep(left.min(Duration::from_secs(1)));
        }
    }

    /// Performs `event`. Returns what was observed, and why it failed, if it did.
    fn perform(&mut self, event: &Event) -> Result<(Vec<String>, Option<String>), Error> {
        let cluster = &self.cluster;
        let change = match event {
            Event::Pods(what, names) => {
                let changes = names.iter().map(|name| {
                    let pod = cluster.pod(name);
                    match what {
                        PodEvent::Ready => pod.ready(),
                        PodEvent::Unready => pod.unready(),
                        PodEvent::Crash => pod.crash(),
                        PodEvent::Delete => pod.delete(),
                        PodEvent::ForceDelete => pod.force_delete(),
                        PodEvent::Restart => pod.restart().wait(),
                    }
                });
                let names =
                    changes.collect::<Result<Vec<_>, _>>()?.into_iter().flat_map(|change| change.names);
                return Ok((names.map(|name| name.to_string()).collect(), None));
            }
            Event::RestartAt(pod, ip) => cluster.pod(pod).restart_with_ip(*ip).wait()?,
            Event::Bind(pod, port, address) => cluster.pod(pod).bind(port, *address)?,
            Event::Scale(name, replicas) => cluster.scale(name, *replicas).wait()?,
            Event::Node(what, name) => {
                let node = cluster.node(name);
                match what {
                    NodeEvent::Down => node.down(),
                    NodeEvent::Off => node.off(),
                    NodeEvent::Up => node.up(),
                    NodeEvent::Reboot => node.reboot(),
                }?
            }
            Event::Apply(manifests) => cluster.apply(manifests.as_str())?,
            Event::Remove(kind, name) => cluster.delete(*kind, name)?,
            Event::Fault(name, spec) => {
                let fault = Fault::from(FaultSpec::clone(spec)).named(name.as_str());
                let guard = cluster.try_fault(fault)?;
                self.faults.insert(name.clone(), guard);
                return Ok((Vec::new(), None));
            }
            Event::Clear(names) => {
                for name in names {
                    if name == "*" {
                        self.faults.clear();
                    } else if self.faults.remove(name).is_none() {
                        let there = self.faults.keys().map(ToString::to_string).collect();
                        return Err(Error::Missing { wanted: format!("Fault {name}"), there });
                    }
                }
                return Ok((Vec::new(), None));
            }
            Event::Ask(question) => return self.ask(question),
            Event::Remember(called, says) => {
                let Some(addresses) = self.remembered.get(called) else {
                    let there = self.remembered.keys().map(ToString::to_string).collect();
                    return Err(Error::Missing { wanted: format!("answer named {called}"), there });
                };
                return Ok(compared(words::address_owners(cluster.driver(), addresses), Some(says)));
            }
            Event::Wait => return Ok((Vec::new(), None)),
        };
        Ok((change.names.iter().map(ToString::to_string).collect(), None))
    }

    fn ask(&mut self, question: &Question) -> Result<(Vec<String>, Option<String>), Error> {
        let from = match &question.from {
            Some(pod) => self.cluster.pod(pod).address().ok_or_else(|| {
                Error::Refused(format!("ask from {pod}: the pod does not exist, or has no address"))
            })?,
            None => Ipv4Addr::LOCALHOST.into(),
        };
        let received = self.search(question, from)?;
        let words = match received {
            Received::Reply(reply) => {
                if let Some(called) = &question.called {
                    self.remembered.insert(called.clone(), words::addresses(&reply));
                }
                words::words(self.cluster.driver(), &reply)
            }
            Received::Odd(what) => vec![what.into()],
        };
        Ok(compared(words, question.says.as_ref()))
    }

    /// Resolves a question as the resolver of its pod does: sends a query for each name of the search list until an answer
    /// is final. Returns the answer that takes precedence: that one, or NODATA, SERVFAIL, NXDOMAIN, in this order.
    fn search(&mut self, question: &Question, from: IpAddr) -> Result<Received, Error> {
        let namespace =
            question.from.as_deref().and_then(|pod| pod.split_once('/')).map_or("default", |(ns, _)| ns);
        let candidates = search::candidates(&question.name, &self.cluster.search(namespace));
        let is_completed = candidates.len() > 1;
        let mut best: Option<(Verdict, Received)> = None;
        for candidate in candidates {
            let name: DomainName = match candidate.parse() {
                Ok(name) => name,
                // A resolver skips a completed name that is too long.
                Err(_) if is_completed && question.name.parse::<DomainName>().is_ok() => continue,
                Err(error) => return Err(Error::Refused(format!("ask {}: {error}", question.name))),
            };
            let ask = Ask {
                name: &name,
                qtype: question.qtype,
                server: self.cluster.dns_addr(),
                from,
                transport: question.transport,
                edns: question.edns,
                patience: question.patience,
                // Any id is valid; this one is the same in each run.
                id: u16::try_from(self.done.len()).unwrap_or(u16::MAX),
            };
            let (received, client) = ask
                .ask()
                .map_err(|error| Error::Refused(format!("cannot send a query from {from}: {error}")))?;
            self.own.insert(client);
            let verdict = Verdict::of(&received);
            if best.as_ref().is_none_or(|(known, _)| verdict < *known) {
                best = Some((verdict, received));
            }
            if verdict == Verdict::Final {
                break;
            }
        }
        let best =
            best.ok_or_else(|| Error::Refused(format!("ask {}: the name is too long", question.name)))?;
        Ok(best.1)
    }

    /// Checks an expectation. Returns the matching queries, and why it failed, if it did.
    fn check(&self, expected: &Expectation) -> (Vec<String>, Option<String>) {
        let mut queries = self.cluster.queries().matching(expected.filter());
        let mut since = self.began;
        if let Some(after) = &expected.after {
            let Some((_, mark, at)) = self.done.iter().find(|(what, ..)| what.starts_with(after.as_str()))
            else {
                return (Vec::new(), Some(format!("no step begins with {after:?}")));
            };
            queries = queries.after(mark);
            since = *at;
        }
        let within = if self.scenario.manual {
            expected.within
        } else {
            expected.within.div_f64(self.scenario.speed).saturating_sub(since.elapsed())
        };
        let queries = queries.excluding(self.own.clone());
        let seen = queries.wait_for(expected.at_least, within).wait().unwrap_or_else(|timeout| timeout.seen);
        let too_few = seen.len() < expected.at_least;
        let too_many = expected.at_most.is_some_and(|most| seen.len() > most);
        let shown: Vec<_> = seen.iter().take(LISTED_QUERIES).map(ToString::to_string).collect();
        let failure = (too_few || too_many).then(|| format!("there were {} queries", seen.len()));
        (shown, failure)
    }
}

/// Maximum number of queries that an expectation lists.
const LISTED_QUERIES: usize = 5;

/// Returns `words`, and how they differ from the expected ones.
fn compared(words: Vec<String>, says: Option<&Says>) -> (Vec<String>, Option<String>) {
    let wrong = says.filter(|says| !words::match_expected(&words, says));
    let failure = wrong.map(|says| format!("expected: {says}"));
    (vec![words.join(" ")], failure)
}

impl Expectation {
    fn filter(&self) -> Filter {
        Filter {
            name: self.name.clone(),
            qtype: self.qtype,
            pod: self.pod.as_ref().map(ToString::to_string),
            transport: self.transport,
            code: self.code.map(Some),
            ..Filter::default()
        }
    }
}
