//! Replies for every transport: `answer`, guarded against panics, the upstream for names outside the cluster domain, the
//! delays of faults, and the query log. Must not depend on a transport.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::Guard;
use tokio::sync::OwnedSemaphorePermit;

use super::delays::{Delay, Delays};
use super::query_log::{Basis, Log, Received};
use super::stats::Stats;
use super::upstream::{self, Upstream};
use super::view::View;
use crate::answer::{Answerer, Client, Hit, Order, Outside, Query, Verdict};
use crate::wire::{self, Header, RecordType, ResponseCode, flag};
use crate::zone::Zone;

/// State that all transports of one server share.
pub(super) struct Responder {
    view: View,
    order: Order,
    /// Seed of the next answerer.
    seed: AtomicU64,
    upstream: Option<Upstream>,
    outside: Outside,
    delays: Delays,
    stats: Arc<Stats>,
    /// Idle answerers, so that ten thousand connections need no more of them than there are threads.
    spare: Mutex<Vec<Answerer>>,
}

/// Queries that were received together. They are answered from one state of the zone, in order.
pub(super) struct Batch<'r> {
    responder: &'r Responder,
    zone: Guard<Arc<Zone>>,
    pub(super) log: Log,
}

/// The result of a query.
pub(super) enum Outcome {
    /// No reply is sent.
    Silent(Basis),
    /// The reply is sent.
    Reply(Basis),
    /// The reply has to wait; see [`Responder::conclude`].
    Pending(Pending),
}

/// A reply that waits for the upstream or for a fault's delay. Until it is dropped it occupies a place among the replies
/// that may wait at a time.
pub(super) struct Pending {
    task: Option<(UpstreamTask, OwnedSemaphorePermit)>,
    delay: Option<Delay>,
    basis: Basis,
    log: Log,
}

/// The query for the upstream.
enum UpstreamTask {
    /// The query itself.
    Forward,
    /// A query for the target of an alias.
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

    /// The source of the answers.
    pub(super) fn view(&self) -> &View {
        &self.view
    }

    /// Returns an answerer with its own seed, for a thread to keep.
    pub(super) fn answerer(&self) -> Answerer {
        Answerer::new(self.order, self.seed.fetch_add(1, Ordering::Relaxed), self.outside)
    }

    /// Runs `work` with an idle answerer.
    pub(super) fn with_answerer<T>(&self, work: impl FnOnce(&mut Answerer) -> T) -> T {
        let spare = || self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        let lent = spare().pop();
        let mut answerer = lent.unwrap_or_else(|| self.answerer());
        let result = work(&mut answerer);
        spare().push(answerer);
        result
    }

    /// Starts a batch of `queries` queries.
    pub(super) fn batch(&self, queries: usize) -> Batch<'_> {
        self.stats.queries.add(queries as u64);
        let log = Log::begin(&self.view);
        Batch { responder: self, zone: self.view.zone.load(), log }
    }

    /// Answers `received` into `reply` and records it. Returns whether the reply is sent.
    pub(super) async fn answer(&self, received: Received<'_>, reply: &mut Vec<u8>) -> bool {
        let pending = {
            let batch = self.batch(1);
            match self.with_answerer(|answerer| batch.answer(answerer, &received, reply)) {
                Outcome::Silent(basis) => {
                    batch.log.record(&self.view, [(received, &basis, None)]);
                    return false;
                }
                Outcome::Reply(basis) => {
                    batch.log.record(&self.view, [(received, &basis, Some(&reply[..]))]);
                    return true;
                }
                Outcome::Pending(pending) => pending,
            }
        };
        self.conclude(pending, received, reply).await
    }

    /// Waits until the reply is complete, and records the query. Returns whether the reply is sent.
    pub(super) async fn conclude(
        &self,
        Pending { task, delay, basis, log }: Pending,
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
        log.record(&self.view, [(received, &basis, is_sent.then_some(&reply[..]))]);
        is_sent
    }

    /// Completes `reply` with the upstream's answer. If there is none, a forwarded query gets SERVFAIL, with the question
    /// and OPT record that the reply has already, and an alias is sent without its target's records.
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
                        tracing::debug!(%error, "forwarding a query failed");
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

    /// Cancels delayed replies: a server that shuts down does not send them.
    pub(super) fn give_up_delays(&self) {
        self.delays.give_up();
    }

    /// Runs `answer`. A panic costs one query its answer and does not end the listener: the client gets SERVFAIL, and the
    /// answerer, whose state is unknown, is replaced.
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
                "the handler of a query panicked; its client gets SERVFAIL. This is a bug in clusterlocal: please report it"
            );
            wire::error_reply(request, ResponseCode::SERVFAIL, reply);
            let is_request = Header::read(request).is_some_and(|header| !header.has(flag::RESPONSE));
            if is_request { Verdict::Reply } else { Verdict::Silent }
        })
    }
}

impl Batch<'_> {
    /// Answers `received` into `reply`, as far as possible without waiting.
    pub(super) fn answer(
        &self,
        answerer: &mut Answerer,
        &Received { request, peer, client, .. }: &Received<'_>,
        reply: &mut Vec<u8>,
    ) -> Outcome {
        let Batch { responder, zone, log } = self;
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
            Outcome::Pending(Pending { task, delay, basis, log: *log })
        } else {
            Outcome::Reply(basis)
        }
    }
}

/// Maximum size of a reply over UDP (RFC 6891 section 6.2.3), in bytes: that of the client's OPT record, at least 512, and
/// at most that of the listener.
fn udp_limit(request: &[u8], client: Client) -> usize {
    let asked = wire::opt(request).map_or(512, |opt| opt.edns.udp_size.max(512));
    usize::from(asked.min(client.max_udp))
}

#[cfg(test)]
mod tests;
