//! Replies for every transport: `answer`, guarded against panics, the upstream for names that are not the cluster's, the delays of
//! faults, and the query log. Must not depend on a transport.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::Guard;
use tokio::sync::OwnedSemaphorePermit;

use super::delays::{Delay, Delays};
use super::query_log::{self, Began, Received};
use super::stats::Stats;
use super::upstream::{self, Upstream};
use super::view::View;
use crate::answer::{Answerer, Client, Hit, Order, Outside, Query, Verdict};
use crate::wire::{self, Header, RecordType, ResponseCode, flag};
use crate::zone::Zone;

/// What all transports of one server share.
pub(super) struct Responder {
    view: View,
    order: Order,
    /// The next answerer's.
    seed: AtomicU64,
    upstream: Option<Upstream>,
    outside: Outside,
    delays: Delays,
    stats: Arc<Stats>,
    /// Answerers between two uses, so that ten thousand connections need no more of them than there are threads.
    spare: Mutex<Vec<Answerer>>,
}

/// Queries that were received together: answered from one state of the zone, one after the other.
pub(super) struct Batch<'r> {
    responder: &'r Responder,
    zone: Guard<Arc<Zone>>,
    began: Option<Began>,
}

/// What became of a query.
pub(super) enum Outcome {
    /// No reply is sent.
    Silent(Basis),
    /// The reply is to be sent.
    Reply(Basis),
    /// The reply has to wait; see [`Responder::conclude`].
    Pending(Pending),
}

/// What a reply is based on, for the query log.
pub(super) struct Basis {
    /// The serial of the zone that was asked.
    pub(super) serial: u32,
    /// The fault that hit the query.
    pub(super) hit: Option<Hit>,
}

/// What a reply has to wait for: the upstream, or a fault that holds it back. Until it is dropped it holds its place among
/// those that may wait at a time.
pub(super) struct Pending {
    task: Option<(UpstreamTask, OwnedSemaphorePermit)>,
    delay: Option<Delay>,
    basis: Basis,
    began: Option<Began>,
}

/// What the upstream is asked.
enum UpstreamTask {
    /// The query itself.
    Forward,
    /// The target of an alias.
    Chase { name: Vec<u8>, record_type: RecordType },
}

impl Responder {
    pub(super) fn new(
        view: View,
        order: Order,
        seed: u64,
        (upstream, outside): (Option<Upstream>, Outside),
        stats: Arc<Stats>,
    ) -> Self {
        Responder {
            view,
            order,
            seed: AtomicU64::new(seed),
            outside: if upstream.is_some() { Outside::Forwarded } else { outside },
            upstream,
            delays: Delays::default(),
            stats,
            spare: Mutex::default(),
        }
    }

    pub(super) fn stats(&self) -> &Stats {
        &self.stats
    }

    /// What is served.
    pub(super) fn view(&self) -> &View {
        &self.view
    }

    /// An answerer with a seed of its own, to keep.
    pub(super) fn answerer(&self) -> Answerer {
        Answerer::new(self.order, self.seed.fetch_add(1, Ordering::Relaxed), self.outside)
    }

    /// Lends `work` an answerer.
    pub(super) fn with_answerer<T>(&self, work: impl FnOnce(&mut Answerer) -> T) -> T {
        let spare = || self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        let lent = spare().pop();
        let mut answerer = lent.unwrap_or_else(|| self.answerer());
        let result = work(&mut answerer);
        spare().push(answerer);
        result
    }

    /// Begins a batch of `queries` queries.
    pub(super) fn batch(&self, queries: usize) -> Batch<'_> {
        self.stats.queries.add(queries as u64);
        let began = query_log::begin(&self.view);
        Batch { responder: self, zone: self.view.zone.load(), began }
    }

    /// Answers `received` into `reply` and records it; returns whether the reply is to be sent.
    pub(super) async fn answer(&self, received: Received<'_>, reply: &mut Vec<u8>) -> bool {
        let pending = {
            let batch = self.batch(1);
            match self.with_answerer(|answerer| batch.answer(answerer, &received, reply)) {
                Outcome::Silent(basis) => {
                    batch.record([(received, &basis, None)]);
                    return false;
                }
                Outcome::Reply(basis) => {
                    batch.record([(received, &basis, Some(&reply[..]))]);
                    return true;
                }
                Outcome::Pending(pending) => pending,
            }
        };
        self.conclude(pending, received, reply).await
    }

    /// Waits for what the reply has to wait for and records the query; returns whether the reply is to be sent.
    pub(super) async fn conclude(
        &self,
        Pending { task, delay, basis, began }: Pending,
        received: Received<'_>,
        reply: &mut Vec<u8>,
    ) -> bool {
        if let Some((task, permit)) = task {
            self.relay(task, basis.hit.as_ref(), &received, reply).await;
            drop(permit);
        }
        let is_sent = match delay {
            Some(delay) => delay.wait().await,
            None => true,
        };
        query_log::end(&self.view, began, [(received, &basis, is_sent.then_some(&reply[..]))]);
        is_sent
    }

    /// Completes `reply` with what the upstream answers. Where it does not, a forwarded request gets SERVFAIL, with
    /// the question and OPT record the reply has already, and an alias goes out without its target's records.
    async fn relay(
        &self,
        task: UpstreamTask,
        hit: Option<&Hit>,
        &Received { request, client, .. }: &Received<'_>,
        reply: &mut Vec<u8>,
    ) {
        let Some(upstream) = &self.upstream else { return };
        match task {
            UpstreamTask::Forward => {
                match upstream.ask(request).await {
                    Ok(relayed) => {
                        *reply = relayed;
                        if client.udp && reply.len() > udp_limit(request, client) {
                            wire::truncate(reply);
                        }
                    }
                    Err(error) => {
                        tracing::debug!(%error, "the upstream did not answer a forwarded query");
                        wire::set_response_code(reply, ResponseCode::SERVFAIL);
                    }
                }
                if let Some(hit) = hit {
                    hit.apply_to_relayed(reply);
                }
            }
            UpstreamTask::Chase { name, record_type } => {
                let answer = upstream.ask(&upstream::query_for(&name, record_type)).await;
                let Some(answer) = answer.ok().and_then(|answer| upstream::answer_of(&answer)) else {
                    return;
                };
                let query = Query { request, client, upstream: Some(&answer), fault: hit };
                let zone = self.view.zone.load();
                self.with_answerer(|answerer| {
                    self.guarded(answerer, request, reply, |answerer, reply| {
                        answerer.answer(&zone, &query, reply)
                    })
                });
            }
        }
    }

    /// Returns once no reply waits for the upstream.
    pub(super) async fn idle(&self) {
        if let Some(upstream) = &self.upstream {
            upstream.idle().await;
        }
    }

    /// Drops the replies that faults hold back: a server that ends does not send them.
    pub(super) fn give_up_delays(&self) {
        self.delays.give_up();
    }

    /// Runs `answer`. A panic costs one query its answer, not all clients the listener: its client gets SERVFAIL, and
    /// the answerer, of whose state nothing is known then, is replaced.
    fn guarded(
        &self,
        answerer: &mut Answerer,
        request: &[u8],
        reply: &mut Vec<u8>,
        answer: impl FnOnce(&mut Answerer, &mut Vec<u8>) -> Verdict,
    ) -> Verdict {
        let attempt = catch_unwind(AssertUnwindSafe(|| answer(answerer, reply)));
        attempt.unwrap_or_else(|_| {
            *answerer = self.answerer();
            self.stats.panics.add(1);
            tracing::error!(
                bytes = request.len(),
                "answering a query panicked; its client gets SERVFAIL. This is a bug in clusterlocal: please report it"
            );
            wire::error_reply(request, ResponseCode::SERVFAIL, reply);
            let is_request = Header::read(request).is_some_and(|header| !header.has(flag::RESPONSE));
            if is_request { Verdict::Reply } else { Verdict::Silent }
        })
    }
}

impl Batch<'_> {
    /// Answers `received` into `reply`, as far as that goes without waiting.
    pub(super) fn answer(
        &self,
        answerer: &mut Answerer,
        &Received { request, peer, client, .. }: &Received<'_>,
        reply: &mut Vec<u8>,
    ) -> Outcome {
        let Batch { responder, zone, began } = self;
        let View { faults, clock, .. } = &responder.view;
        let mut hit = None;
        let verdict = responder.guarded(answerer, request, reply, |answerer, reply| {
            if !faults.is_empty() {
                hit = faults.hit(request, client, peer.ip(), clock.now());
            }
            answerer.answer(zone, &Query { request, client, upstream: None, fault: hit.as_ref() }, reply)
        });
        let serial = hit.as_ref().and_then(Hit::serial).unwrap_or_else(|| zone.serial());
        let basis = Basis { serial, hit };
        let task = match verdict {
            Verdict::Silent => return Outcome::Silent(basis),
            Verdict::Reply if basis.hit.is_none() => return Outcome::Reply(basis),
            Verdict::Reply => None,
            Verdict::Forward => Some(UpstreamTask::Forward),
            Verdict::Chase => {
                let (name, record_type) = answerer.target();
                Some(UpstreamTask::Chase { name: name.to_vec(), record_type })
            }
        };
        let task = task.zip(responder.upstream.as_ref().and_then(Upstream::admit));
        let held = basis.hit.as_ref().and_then(|hit| Some((hit.delay()?, faults.ending(hit)?)));
        let delay = match held.map(|(by, ending)| responder.delays.admit(by, ending)) {
            Some(None) => {
                responder.stats.dropped.add(1);
                return Outcome::Silent(basis);
            }
            delay => delay.flatten(),
        };
        if task.is_some() || delay.is_some() {
            Outcome::Pending(Pending { task, delay, basis, began: *began })
        } else {
            Outcome::Reply(basis)
        }
    }

    /// Records queries of this batch, and their replies where there are any.
    pub(super) fn record<'a>(
        &self,
        exchanges: impl IntoIterator<Item = (Received<'a>, &'a Basis, Option<&'a [u8]>), IntoIter: Clone>,
    ) {
        query_log::end(&self.responder.view, self.began, exchanges);
    }
}

/// How long a reply over UDP may be (RFC 6891 section 6.2.3), in bytes: what the client's OPT record says, at least
/// 512, and no more than the listener sends.
fn udp_limit(request: &[u8], client: Client) -> usize {
    let asked = wire::opt(request).map_or(512, |opt| opt.edns.udp_size.max(512));
    usize::from(asked.min(client.max_udp))
}

#[cfg(test)]
mod tests;
