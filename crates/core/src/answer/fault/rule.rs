//! One fault as it applies to questions: what it matches, and the state it has between them.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fastrand::Rng;
use ipnet::IpNet;
use smallvec::SmallVec;
use tokio::sync::watch;

use super::bounded::Bounded;
use super::cache::Cache;
use crate::fault::{Action, FaultSpec, Tcp, Transport};
use crate::store::{Name, Time};
use crate::wire::{Question, RecordType, labels};
use crate::zone::Zone;

/// A fault, resolved for matching.
pub struct Rule {
    /// Name of the Fault.
    pub name: Name,
    /// The spec, with its preset expanded.
    pub spec: FaultSpec,
    /// The addresses of the clients it applies to; all, if the spec names none.
    pub clients: Vec<IpNet>,
    /// Whether it is in force: between its start and its end.
    pub in_force: bool,
    /// The zones since it came into force.
    pub past: Arc<ZoneHistory>,
    /// Its state, with the number of hits.
    pub state: Arc<State>,
}

impl Rule {
    /// Whether `question` is hit: the number of questions hit before, and the step of the sequence, if there is one.
    pub(super) fn question(
        &self,
        question: &Question<'_>,
        udp: bool,
        asker: IpAddr,
    ) -> Option<(u64, Option<usize>)> {
        let matching = &self.spec.matching;
        let type_matches = || matching.types.is_empty() || matching.types.contains(&question.record_type);
        let name_matches = || matching.name.as_ref().is_none_or(|glob| glob.matches(&text(question.name)));
        let transport = if udp { Transport::Udp } else { Transport::Tcp };
        let matches = self.in_force
            && self.spec.all_actions().any(|action| !matches!(action, Action::Tcp(_)))
            && self.is_for(transport, asker)
            && type_matches()
            && name_matches();
        if !matches {
            return None;
        }
        let number = self.draw(&self.state.questions)?;
        let steps = self.spec.sequence.len();
        let step = (steps > 0).then(|| self.state.next_step(question, asker, steps));
        Some((number, step))
    }

    /// The action for a connection of `client`.
    pub(super) fn connection(&self, client: IpAddr) -> Option<Tcp> {
        let action = self.spec.actions.iter().find_map(|action| match action {
            Action::Tcp(tcp) => Some(*tcp),
            _ => None,
        })?;
        if !self.in_force || !self.is_for(Transport::Tcp, client.to_canonical()) {
            return None;
        }
        self.draw(&self.state.connections).map(|_| action)
    }

    fn is_for(&self, transport: Transport, client: IpAddr) -> bool {
        let matching = &self.spec.matching;
        matching.transport.is_none_or(|wanted| wanted == transport)
            && (matching.clients.is_empty() || self.clients.iter().any(|network| network.contains(&client)))
    }

    /// Counts a match and decides whether it is a hit; returns its number among the matches.
    fn draw(&self, matched: &AtomicU64) -> Option<u64> {
        let matching = &self.spec.matching;
        let number = matched.fetch_add(1, Ordering::Relaxed);
        if matching.every.is_some_and(|every| !(number + 1).is_multiple_of(every.get().into())) {
            return None;
        }
        if matching.probability.is_some_and(|p| rng_for(self.spec.seed, number, b'p').f64() >= p.get()) {
            return None;
        }
        let times = self.spec.times.map_or(u64::MAX, u64::from);
        let more = |hits| (hits < times).then_some(hits + 1);
        self.state.hits.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok().map(|_| number)
    }
}

/// The random numbers for question `number` from `seed`, for the purpose `salt`: the same for the same questions.
pub(super) fn rng_for(seed: u64, number: u64, salt: u8) -> Rng {
    // The odd constant of splitmix64 separates the states of successive numbers.
    let mixed = seed ^ (number << 8 | u64::from(salt)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut rng = Rng::with_seed(mixed);
    Rng::with_seed(rng.u64(..))
}

/// A name as patterns match it: in lower case, without the final dot.
pub(super) fn text(wire: &[u8]) -> SmallVec<[u8; 256]> {
    let mut text = SmallVec::new();
    for label in labels(wire) {
        if !text.is_empty() {
            text.push(b'.');
        }
        text.extend(label.iter().map(u8::to_ascii_lowercase));
    }
    text
}

/// Maximum number of names, types and clients with a position of their own in a sequence; beyond it the oldest start
/// over.
const SEQUENCES: usize = 10_000;

/// A name (in lower case), a type and a client.
type SequenceKey = (Box<[u8]>, RecordType, IpAddr);

/// The state of a fault between questions.
pub struct State {
    questions: AtomicU64,
    connections: AtomicU64,
    hits: AtomicU64,
    sequences: Mutex<Bounded<SequenceKey, usize>>,
    /// Number of times the fault has ended.
    endings: watch::Sender<u64>,
    /// The caches of CoreDNS, one for each of kubeadm's two replicas.
    pub(super) replicas: [Cache; 2],
    pub(super) node_local: Cache,
}

impl Default for State {
    fn default() -> Self {
        State {
            questions: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            hits: AtomicU64::new(0),
            sequences: Mutex::new(Bounded::new(SEQUENCES, usize::MAX)),
            endings: watch::Sender::new(0),
            replicas: Default::default(),
            node_local: Cache::default(),
        }
    }
}

impl State {
    /// A receiver that is notified when the fault ends the next time.
    pub(super) fn ending(&self) -> watch::Receiver<u64> {
        self.endings.subscribe()
    }

    /// Records that the fault has ended.
    pub(super) fn end(&self) {
        self.endings.send_modify(|endings| *endings += 1);
    }

    pub(super) fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    fn next_step(&self, question: &Question<'_>, asker: IpAddr, steps: usize) -> usize {
        let asked = (question.name.to_ascii_lowercase().into(), question.record_type, asker);
        let mut sequences = self.sequences.lock().unwrap_or_else(PoisonError::into_inner);
        match sequences.get_mut(&asked) {
            Some(step) => {
                *step = (*step + 1) % steps;
                *step
            }
            None => {
                sequences.insert(asked, 0, 0);
                0
            }
        }
    }
}

/// Maximum number of past zones for clients that see changes late; the oldest are dropped.
const ZONES_KEPT: usize = 1024;

/// The zones since a fault came into force, each with the time at which it became visible.
#[derive(Default)]
pub struct ZoneHistory(Mutex<VecDeque<(Time, Arc<Zone>)>>);

impl ZoneHistory {
    /// Starts the history at `now` with `zone`.
    pub(crate) fn from(now: Time, zone: Arc<Zone>) -> Self {
        ZoneHistory(Mutex::new([(now, zone)].into()))
    }

    /// Records that `zone` is visible from `now` on, and drops zones replaced longer than `kept` ago.
    pub(crate) fn push(&self, now: Time, zone: Arc<Zone>, kept: std::time::Duration) {
        let mut zones = self.zones();
        let forgotten = now.before(kept);
        while zones.len() >= ZONES_KEPT || zones.get(1).is_some_and(|(since, _)| *since <= forgotten) {
            zones.pop_front();
        }
        zones.push_back((now, zone));
    }

    /// The first zone.
    pub(super) fn first(&self) -> Option<Arc<Zone>> {
        self.zones().front().map(|(_, zone)| zone.clone())
    }

    /// The zone that was visible at `time`, or the first if that was before.
    pub(super) fn at(&self, time: Time) -> Option<Arc<Zone>> {
        let zones = self.zones();
        let showed = zones.iter().rev().find(|(since, _)| *since <= time).or_else(|| zones.front());
        showed.map(|(_, zone)| zone.clone())
    }

    fn zones(&self) -> MutexGuard<'_, VecDeque<(Time, Arc<Zone>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
