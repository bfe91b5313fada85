//! One fault as it applies to questions: what it matches, and what it has to remember between them.

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

/// One fault.
pub struct Rule {
    /// Name of the Fault.
    pub name: Name,
    /// Without a preset.
    pub spec: FaultSpec,
    /// The clients it is for, as addresses; all, if the spec names none.
    pub clients: Vec<IpNet>,
    /// Whether it is now: after its beginning and before its end.
    pub in_force: bool,
    /// The zones since it came into force.
    pub past: Arc<Past>,
    /// What it has hit so far.
    pub state: Arc<State>,
}

impl Rule {
    /// Whether `question` is hit: how many were before, and the step of the sequence, if there is one.
    pub(super) fn question(
        &self,
        question: &Question<'_>,
        udp: bool,
        asker: IpAddr,
    ) -> Option<(u64, Option<usize>)> {
        let matching = &self.spec.matching;
        let type_meant = || matching.types.is_empty() || matching.types.contains(&question.record_type);
        let name_meant = || matching.name.as_ref().is_none_or(|glob| glob.matches(&text(question.name)));
        let transport = if udp { Transport::Udp } else { Transport::Tcp };
        let meant = self.in_force
            && self.spec.all_actions().any(|action| !matches!(action, Action::Tcp(_)))
            && self.is_for(transport, asker)
            && type_meant()
            && name_meant();
        if !meant {
            return None;
        }
        let number = self.draw(&self.state.questions)?;
        let steps = self.spec.sequence.len();
        let step = (steps > 0).then(|| self.state.next_step(question, asker, steps));
        Some((number, step))
    }

    /// What happens to a connection of `client`.
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

    /// Whether one that matches is hit; gives its number among those.
    fn draw(&self, matched: &AtomicU64) -> Option<u64> {
        let matching = &self.spec.matching;
        let number = matched.fetch_add(1, Ordering::Relaxed);
        if matching.every.is_some_and(|every| !(number + 1).is_multiple_of(every.get().into())) {
            return None;
        }
        if matching.probability.is_some_and(|p| lot(self.spec.seed, number, b'p').f64() >= p.get()) {
            return None;
        }
        let times = self.spec.times.map_or(u64::MAX, u64::from);
        let more = |hits| (hits < times).then_some(hits + 1);
        self.state.hits.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok().map(|_| number)
    }
}

/// What is drawn from `seed` for the question `number`, for the purpose `salt`: the same for the same questions.
pub(super) fn lot(seed: u64, number: u64, salt: u8) -> Rng {
    // The odd constant of splitmix64 keeps neighbours apart.
    let mixed = seed ^ (number << 8 | u64::from(salt)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut rng = Rng::with_seed(mixed);
    Rng::with_seed(rng.u64(..))
}

/// A name as patterns see it: in lower case, without the last dot.
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

/// So many names, types and clients have a place in a sequence of their own; the first begin anew when more come.
const SEQUENCES: usize = 10_000;

/// A name (in lower case), a type and a client.
type Asked = (Box<[u8]>, RecordType, IpAddr);

/// What a fault remembers.
pub struct State {
    questions: AtomicU64,
    connections: AtomicU64,
    hits: AtomicU64,
    sequences: Mutex<Bounded<Asked, usize>>,
    /// How often the fault has ended.
    endings: watch::Sender<u64>,
    /// CoreDNS's, one for each of kubeadm's two replicas.
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
    /// Changes when the fault ends the next time.
    pub(super) fn ending(&self) -> watch::Receiver<u64> {
        self.endings.subscribe()
    }

    /// The fault has ended.
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

/// So many zones are kept for those who are told late; the oldest go first.
const ZONES_KEPT: usize = 1024;

/// The zones that there were since a fault came into force, each with when it began to show.
#[derive(Default)]
pub struct Past(Mutex<VecDeque<(Time, Arc<Zone>)>>);

impl Past {
    /// Begins at `now` with `zone`.
    pub(crate) fn from(now: Time, zone: Arc<Zone>) -> Self {
        Past(Mutex::new([(now, zone)].into()))
    }

    /// Notes that `zone` shows from `now` on. What showed longer than `kept` ago is forgotten.
    pub(crate) fn push(&self, now: Time, zone: Arc<Zone>, kept: std::time::Duration) {
        let mut zones = self.zones();
        let forgotten = now.before(kept);
        while zones.len() >= ZONES_KEPT || zones.get(1).is_some_and(|(since, _)| *since <= forgotten) {
            zones.pop_front();
        }
        zones.push_back((now, zone));
    }

    /// The zone of the beginning.
    pub(super) fn first(&self) -> Option<Arc<Zone>> {
        self.zones().front().map(|(_, zone)| zone.clone())
    }

    /// The zone that showed at `time`, or the first if that was before.
    pub(super) fn at(&self, time: Time) -> Option<Arc<Zone>> {
        let zones = self.zones();
        let showed = zones.iter().rev().find(|(since, _)| *since <= time).or_else(|| zones.front());
        showed.map(|(_, zone)| zone.clone())
    }

    fn zones(&self) -> MutexGuard<'_, VecDeque<(Time, Arc<Zone>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
