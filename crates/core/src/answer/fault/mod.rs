//! Takes the place of everything between a cluster's DNS and its clients: caches, replicas, middleboxes and failures.
//! Decides which fault a question or a connection hits, and applies it to the answer. Must not depend on the wall clock,
//! sockets, or the source of faults.
//!
//! ```text
//!   question ─▶ Faults ─▶ Hit ─▶ zone ─▶ caches ─▶ records, size ─▶ bytes ─▶ delay or silence (serve)
//! ```
//!
//! The state of a fault is bounded: positions in the sequence for 10,000 questions; 10,000 answers and 10,000 denials
//! of at most 250,000 records each in a cache; 1,024 zones for clients that see changes late.

mod bounded;
mod cache;
mod draft;
mod records;
mod rule;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use fastrand::Rng;
use tokio::sync::watch;

use super::{Answerer, Client, Query, Request, Verdict};
use crate::fault::{Action, EdnsSupport, Target, Tcp};
use crate::store::{Name, Time};
use crate::wire::{HEADER, ResponseCode};
use crate::zone::Zone;
use cache::{CacheKey, Layer};
use draft::Draft;
use rule::State;
pub use rule::{Rule, ZoneHistory};

/// The faults of a cluster's DNS. Clones share them.
#[derive(Clone, Default)]
pub struct Faults(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Whether any fault is in force: the only check a question costs while there is none.
    any: AtomicBool,
    /// All faults, in the order in which they are matched.
    rules: ArcSwap<Vec<Arc<Rule>>>,
}

impl Faults {
    /// Whether none is in force.
    pub fn is_empty(&self) -> bool {
        !self.0.any.load(Ordering::Relaxed)
    }

    /// Number of questions and connections that the fault called `name` has hit since it was created or its spec
    /// changed.
    pub fn hits(&self, name: &str) -> u64 {
        let rules = self.0.rules.load();
        rules.iter().find(|rule| rule.name == name).map_or(0, |rule| rule.state.hits())
    }

    /// The name of the fault that hits a connection of `client`, and what happens to it.
    pub fn connection(&self, client: IpAddr) -> Option<(Name, Tcp, Ending)> {
        if self.is_empty() {
            return None;
        }
        let rules = self.0.rules.load();
        rules.iter().find_map(|rule| {
            let tcp = rule.connection(client)?;
            Some((rule.name.clone(), tcp, Ending(rule.state.ending())))
        })
    }

    /// Publishes `rules`, in the order in which they are matched. Replies that ended faults delayed are released.
    pub fn publish(&self, rules: Vec<Arc<Rule>>) {
        let in_force = |rules: &[Arc<Rule>]| -> HashMap<*const State, Arc<Rule>> {
            let rules = rules.iter().filter(|rule| rule.in_force);
            rules.map(|rule| (Arc::as_ptr(&rule.state), rule.clone())).collect()
        };
        let now = in_force(&rules);
        let before = self.0.rules.swap(Arc::new(rules));
        self.0.any.store(!now.is_empty(), Ordering::Relaxed);
        let ended = in_force(&before).into_iter().filter(|(state, _)| !now.contains_key(state));
        ended.for_each(|(_, rule)| rule.state.end());
    }

    /// Returns a handle on the end of the fault of `hit`; `None` if it has ended already.
    pub fn ending(&self, hit: &Hit) -> Option<Ending> {
        // Subscribes before the check, so that an end in between is not missed.
        let ending = Ending(hit.rule.state.ending());
        let goes_on = |rule: &Arc<Rule>| rule.in_force && Arc::ptr_eq(&rule.state, &hit.rule.state);
        self.0.rules.load().iter().any(goes_on).then_some(ending)
    }

    /// Matches `request`, which `asker` sends at `now`, and counts the hit. After the answer the caller applies
    /// [`Hit::delay`] and, to the upstream's reply to a forwarded request, [`Hit::apply_to_relayed`].
    pub fn hit(&self, request: &[u8], client: Client, asker: IpAddr, now: Time) -> Option<Hit> {
        let request = Request::read(request, client.udp).ok()?;
        let asker = asker.to_canonical();
        self.0.rules.load().iter().find_map(|rule| {
            let (number, step) = rule.question(&request.question, client.udp, asker)?;
            Some(Hit { rule: rule.clone(), step, number, asker, now })
        })
    }
}

/// Notification of the end of a fault, for replies that it delays.
#[derive(Clone, Debug)]
pub struct Ending(watch::Receiver<u64>);

impl Ending {
    /// Returns once the fault has ended: by its time, or because it was deleted or replaced.
    pub async fn ended(&mut self) {
        // A dropped sender means that the fault itself was dropped: it has ended too.
        _ = self.0.changed().await;
    }
}

/// A question that a fault has hit.
#[derive(Clone)]
pub struct Hit {
    rule: Arc<Rule>,
    /// Step of the sequence.
    step: Option<usize>,
    /// Number of questions that matched before: the seed of this one's random numbers.
    number: u64,
    asker: IpAddr,
    now: Time,
}

impl Hit {
    /// The fault's name.
    pub fn fault(&self) -> &Name {
        &self.rule.name
    }

    /// How long to delay the reply, in real time.
    pub fn delay(&self) -> Option<Duration> {
        self.actions().iter().find_map(|action| match action {
            Action::Delay { by, jitter } => {
                let share = self.rng_for(b'd').f64() * 2.0;
                Some((*by + jitter.mul_f64(share)).saturating_sub(*jitter))
            }
            _ => None,
        })
    }

    /// Applies the fault to a reply of an upstream: the actions on bytes, its id and its question.
    pub fn apply_to_relayed(&self, reply: &mut [u8]) {
        if self.has_action(&Action::WrongQuestion) && reply.len() > HEADER + 1 {
            let end = reply.len().min(HEADER + 5);
            draft::another_question(&mut reply[HEADER..end]);
        }
        self.change_id(reply);
    }

    /// Whether the query gets no reply.
    pub(super) fn drops_reply(&self) -> bool {
        self.has_action(&Action::Drop)
    }

    fn actions(&self) -> &[Action] {
        match self.step {
            Some(step) => &self.rule.spec.sequence[step].0,
            None => &self.rule.spec.actions.0,
        }
    }

    fn has_action(&self, action: &Action) -> bool {
        self.actions().contains(action)
    }

    /// The random numbers of this question for the purpose `salt`.
    fn rng_for(&self, salt: u8) -> Rng {
        rule::rng_for(self.rule.spec.seed, self.number, salt)
    }

    fn change_id(&self, reply: &mut [u8]) {
        if let Some(id) = reply.first_chunk_mut::<2>().filter(|_| self.has_action(&Action::WrongId)) {
            *id = u16::from_be_bytes(*id).wrapping_add(1).to_be_bytes();
        }
    }

    /// The serial of the zone that the answer is from, if it is not the current one. Entries of a cache may be older
    /// still.
    pub fn serial(&self) -> Option<u32> {
        self.zone().map(|zone| zone.serial())
    }

    /// Which of kubeadm's two replicas of CoreDNS answers. Of two that disagree, the first has the old zone.
    fn replica(&self) -> usize {
        self.rng_for(b'r').usize(..self.rule.state.replicas.len())
    }

    /// The zone to answer from, if it is not the current one.
    fn zone(&self) -> Option<Arc<Zone>> {
        let past = &self.rule.past;
        self.actions().iter().find_map(|action| match action {
            Action::Stale => past.first(),
            Action::Flap if self.replica() == 0 => past.first(),
            Action::Lag(by) => past.at(self.now.before(*by)),
            _ => None,
        })
    }

    /// The caches between the client and the zone, the client's first.
    fn caches(&self) -> Vec<Layer<'_>> {
        let mut layers = Vec::new();
        if self.has_action(&Action::NodeLocal) {
            layers.push(Layer { cache: &self.rule.state.node_local, success: 30, denial: 5 });
        }
        for action in self.actions() {
            if let Action::Cache { success, denial } = *action {
                let cache = &self.rule.state.replicas[self.replica()];
                layers.push(Layer { cache, success, denial });
            }
        }
        layers
    }

    /// Whether the reply does not depend on the records of the name.
    fn is_decided(&self) -> bool {
        let decides = |action: &Action| matches!(action, Action::Rcode(_) | Action::NoData);
        self.truncates() || self.actions().iter().any(decides)
    }

    fn truncates(&self) -> bool {
        self.actions().iter().any(|action| matches!(action, Action::Truncate { .. }))
    }
}

impl Answerer {
    /// Answers `request`, which was parsed from `query` and which `hit` hits.
    pub(super) fn answer_with_fault(
        &mut self,
        hit: &Hit,
        zone: &Zone,
        request: &Request<'_>,
        query: &Query<'_>,
        reply: &mut Vec<u8>,
    ) -> Verdict {
        let past = hit.zone();
        let zone = past.as_deref().unwrap_or(zone);
        let key = CacheKey::of(request);
        let (mut draft, mut verdict) = through(&hit.caches(), &key, hit.now, || {
            let (mut draft, verdict) = self.draft(zone, request, self.upstream(query));
            if draft.authoritative
                && draft.code == ResponseCode::NXDOMAIN
                && hit.has_action(&Action::Unsynced)
            {
                draft.code = ResponseCode::SERVFAIL;
            }
            (draft, verdict)
        });
        if hit.is_decided() {
            if verdict == Verdict::Forward {
                draft = Draft { truncated: hit.truncates(), ..Draft::default() };
            }
            verdict = Verdict::Reply;
        }
        let order = self.order;
        records::apply(&mut draft, hit, zone, request, order, &mut self.rng);
        self.write(&draft, hit, request, query.client, reply);
        if verdict != Verdict::Forward {
            hit.change_id(reply);
        }
        verdict
    }

    /// Writes `draft` for `client`.
    fn write(
        &mut self,
        draft: &Draft,
        hit: &Hit,
        request: &Request<'_>,
        client: Client,
        reply: &mut Vec<u8>,
    ) {
        let mut opt = request.opt;
        let mut client = client;
        for action in hit.actions() {
            match action {
                Action::Edns(EdnsSupport::Ignore) => opt = None,
                Action::Edns(EdnsSupport::FormErr) if opt.is_some() => {
                    let refused = Draft::bare(ResponseCode::FORMERR);
                    let request = Request { opt: None, ..*request };
                    return self.finish(&refused, &request, client, hit, reply);
                }
                Action::Edns(EdnsSupport::Limit(size)) => client.max_udp = client.max_udp.min(*size),
                _ => {}
            }
        }
        self.finish(draft, &Request { opt, ..*request }, client, hit, reply);
    }

    fn finish(
        &mut self,
        draft: &Draft,
        request: &Request<'_>,
        client: Client,
        hit: &Hit,
        reply: &mut Vec<u8>,
    ) {
        let mut question = request.question.bytes.to_vec();
        if hit.has_action(&Action::WrongQuestion) {
            draft::another_question(&mut question);
        }
        let compressed = hit.has_action(&Action::Target(Target::Compressed));
        draft.write(self, request, &question, client, compressed, reply);
    }
}

/// The reply of `caches` for `key` at `now`, or else that of `answer`, which they then store.
fn through(
    caches: &[Layer<'_>],
    key: &CacheKey,
    now: Time,
    answer: impl FnOnce() -> (Draft, Verdict),
) -> (Draft, Verdict) {
    let kept = caches.iter().enumerate().find_map(|(at, cache)| Some((at, cache.get(key, now)?)));
    let (missed, (mut draft, verdict)) = match kept {
        Some((at, draft)) => (at, (draft, Verdict::Reply)),
        None => (caches.len(), answer()),
    };
    // Chased names come here again with the upstream's answer; answers without authority are not cached.
    if verdict == Verdict::Reply && draft.authoritative {
        caches[..missed].iter().rev().for_each(|cache| cache.keep(key, &mut draft, now));
    }
    (draft, verdict)
}

#[cfg(test)]
mod tests;
