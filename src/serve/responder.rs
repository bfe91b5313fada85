//! Where every transport gets its replies from: `answer`, guarded against panics, and the upstream for names that are
//! not the cluster's. It must not know which transport asks.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedSemaphorePermit;

use super::packet;
use super::query_log::Witness;
use super::stats::Stats;
use super::upstream::{self, Upstream};
use super::view::View;
use crate::answer::{Answerer, Client, Order, Verdict};
use crate::zone;

/// What all transports of one server share.
pub(super) struct Responder {
    zone: zone::Published,
    witness: Witness,
    order: Order,
    /// The next answerer's.
    seed: AtomicU64,
    upstream: Option<Upstream>,
    stats: Arc<Stats>,
    /// Answerers between two uses, so that ten thousand connections need no more of them than there are threads.
    spare: Mutex<Vec<Answerer>>,
}

/// What became of a request.
pub(super) enum Outcome {
    /// Nothing is to be sent.
    Silent,
    /// The reply is to be sent; it is from the zone with this serial.
    Reply { serial: u32 },
    /// The upstream is to be asked first, with [`Responder::relay`].
    Relay(Relay),
}

/// Something to ask of the upstream. Until it is dropped it holds its place among the questions that may wait at a time.
pub(super) struct Relay {
    errand: Errand,
    /// The serial of the zone that did not have the answer.
    pub(super) serial: u32,
    _permit: OwnedSemaphorePermit,
}

enum Errand {
    Forward,
    Chase { name: Vec<u8>, record_type: u16 },
}

impl Responder {
    pub(super) fn new(
        view: View,
        order: Order,
        seed: u64,
        upstream: Option<Upstream>,
        stats: Arc<Stats>,
    ) -> Self {
        let View { zone, clock, queries } = view;
        Responder {
            zone,
            witness: Witness::new(clock, queries),
            order,
            seed: AtomicU64::new(seed),
            upstream,
            stats,
            spare: Mutex::default(),
        }
    }

    pub(super) fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Who has to be told of queries.
    pub(super) fn witness(&self) -> &Witness {
        &self.witness
    }

    /// An answerer with a seed of its own, to keep.
    pub(super) fn answerer(&self) -> Answerer {
        Answerer::new(self.order, self.seed.fetch_add(1, Ordering::Relaxed), self.upstream.is_some())
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

    /// Answers `request` into `reply`, as far as that goes without asking anybody.
    pub(super) fn respond(
        &self,
        answerer: &mut Answerer,
        request: &[u8],
        client: Client,
        reply: &mut Vec<u8>,
    ) -> Outcome {
        self.stats.queries.add(1);
        let zone = self.zone.load();
        let verdict = self.guarded(answerer, request, reply, |answerer, reply| {
            answerer.answer(&zone, request, client, reply)
        });
        let serial = zone.serial();
        let errand = match verdict {
            Verdict::Silent => return Outcome::Silent,
            Verdict::Reply => return Outcome::Reply { serial },
            Verdict::Forward => Errand::Forward,
            Verdict::Chase => {
                let (name, record_type) = answerer.target();
                Errand::Chase { name: name.to_vec(), record_type }
            }
        };
        match self.upstream.as_ref().and_then(Upstream::admit) {
            Some(permit) => Outcome::Relay(Relay { errand, serial, _permit: permit }),
            None => Outcome::Reply { serial },
        }
    }

    /// Completes `reply` with what the upstream says. Where it says nothing, a forwarded request gets SERVFAIL, with
    /// the question and OPT record the reply has already, and an alias goes out without its target's records.
    pub(super) async fn relay(&self, relay: &Relay, request: &[u8], client: Client, reply: &mut Vec<u8>) {
        let Some(upstream) = &self.upstream else { return };
        match &relay.errand {
            Errand::Forward => match upstream.ask(request).await {
                Ok(relayed) => {
                    *reply = relayed;
                    if client.udp && reply.len() > udp_limit(request, client) {
                        packet::truncate(reply);
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "the upstream did not answer a forwarded query");
                    packet::set_rcode(reply, packet::SERVFAIL);
                }
            },
            Errand::Chase { name, record_type } => {
                let answer = upstream.ask(&upstream::query_for(name, *record_type)).await;
                let Some((records, truncated)) = answer.ok().and_then(|answer| upstream::records(&answer))
                else {
                    return;
                };
                let zone = self.zone.load();
                self.with_answerer(|answerer| {
                    self.guarded(answerer, request, reply, |answerer, reply| {
                        answerer.complete(&zone, request, client, &records, truncated, reply);
                        Verdict::Reply
                    })
                });
            }
        }
    }

    /// Returns once nobody waits for the upstream any more.
    pub(super) async fn idle(&self) {
        if let Some(upstream) = &self.upstream {
            upstream.idle().await;
        }
    }

    /// Runs `answer`. A panic costs one query its answer, not everybody the listener: its client gets SERVFAIL, and
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
            packet::header_only(request, packet::SERVFAIL, reply);
            if reply.is_empty() || packet::is_response(request) { Verdict::Silent } else { Verdict::Reply }
        })
    }
}

/// How long a reply over UDP may be (RFC 6891 section 6.2.3), in bytes: what the client's OPT record says, at least
/// 512, and no more than the listener sends.
fn udp_limit(request: &[u8], client: Client) -> usize {
    let asked = packet::opt(request).map_or(512, |opt| opt.udp_size.max(512));
    usize::from(asked.min(client.max_udp))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::super::upstream::tests::{QUERY, reply_to, stub};
    use super::*;
    use crate::zone::{Settings, Zone};

    const UDP: Client = Client { udp: true, ipv6: false, max_udp: 1232 };
    const TCP: Client = Client { udp: false, ..UDP };

    fn responder(upstream: SocketAddr) -> Responder {
        let zone = zone::Published::new(Zone::new(Settings::default()));
        Responder::new(zone.into(), Order::Stable, 0, Some(Upstream::new(upstream)), Arc::default())
    }

    /// What a client gets for `request` that is forwarded; REFUSED, with the question, is what stands in the reply.
    async fn forwarded(upstream: SocketAddr, request: &[u8], client: Client) -> Vec<u8> {
        let responder = responder(upstream);
        let permit = responder.upstream.as_ref().and_then(Upstream::admit).expect("a place");
        let mut reply = reply_to(request, 0x8105, 0, b"");
        let relay = Relay { errand: Errand::Forward, serial: 0, _permit: permit };
        responder.relay(&relay, request, client, &mut reply).await;
        reply
    }

    #[tokio::test]
    async fn a_forwarded_query_gets_the_upstreams_reply_as_far_as_it_fits() {
        let record = |length: u16| {
            let text = [b"\xc0\x0c\0\x10\0\x01\0\0\0\x1e".as_slice(), &length.to_be_bytes()].concat();
            [text, vec![b'x'; usize::from(length)]].concat()
        };
        let whole = |length| reply_to(QUERY, 0x8180, 1, &record(length));
        let cut = reply_to(QUERY, 0x8380, 0, b"");
        let with_opt = |size: u16| {
            let mut query = QUERY.to_vec();
            query[11] = 1;
            query.extend_from_slice(&[0, 0, 41, (size >> 8) as u8, size as u8, 0, 0, 0, 0, 0, 0]);
            query
        };
        let table = [
            ("512 bytes without EDNS", QUERY.to_vec(), UDP, 473, whole(473)),
            ("513 bytes without EDNS", QUERY.to_vec(), UDP, 474, cut.clone()),
            ("513 bytes over TCP", QUERY.to_vec(), TCP, 474, whole(474)),
            ("513 bytes, the client takes 100", with_opt(100), UDP, 474, cut.clone()),
            ("513 bytes, the client takes 1000", with_opt(1000), UDP, 474, whole(474)),
            ("the client takes more than the listener sends", with_opt(4096), UDP, 1300, cut),
        ];
        for (what, query, client, length, expected) in table {
            let upstream =
                stub(move |query| vec![reply_to(query, 0x8180, 1, &record(length))], |_| vec![]).await;
            assert_eq!(forwarded(upstream, &query, client).await, expected, "{what}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_upstream_is_servfail_with_the_question() {
        let upstream = stub(|_| vec![], |_| vec![]).await;
        assert_eq!(forwarded(upstream, QUERY, UDP).await, reply_to(QUERY, 0x8102, 0, b""));
    }

    #[tokio::test]
    async fn beyond_the_limit_foreign_names_are_refused() {
        let responder = responder((Ipv4Addr::LOCALHOST, 1).into());
        let mut answerer = responder.answerer();
        let mut reply = Vec::new();
        let mut waiting = Vec::new();
        while let Outcome::Relay(relay) = responder.respond(&mut answerer, QUERY, UDP, &mut reply) {
            waiting.push(relay);
        }
        assert_eq!(waiting.len(), 1000);
        assert_eq!(reply, reply_to(QUERY, 0x8105, 0, b""));
        waiting.pop();
        assert!(matches!(responder.respond(&mut answerer, QUERY, UDP, &mut reply), Outcome::Relay(_)));
    }

    #[tokio::test]
    async fn a_panic_costs_one_answer() {
        let responder = responder((Ipv4Addr::LOCALHOST, 1).into());
        let mut answerer = responder.answerer();
        let mut reply = Vec::new();
        let mut panicking = |request: &[u8]| {
            let verdict = responder.guarded(&mut answerer, request, &mut reply, |_, reply| {
                reply.extend_from_slice(b"half an answ");
                panic!("on purpose")
            });
            (verdict, reply.clone())
        };
        let servfail = b"\x12\x34\x81\x02\0\0\0\0\0\0\0\0".to_vec();
        assert_eq!(panicking(QUERY), (Verdict::Reply, servfail));
        assert_eq!(panicking(b"short").0, Verdict::Silent);
        assert_eq!(
            panicking(&reply_to(QUERY, 0x8180, 0, b"")).0,
            Verdict::Silent,
            "a response gets no response"
        );
        assert_eq!(responder.stats().panics.get(), 3);
        let mut reply = Vec::new();
        responder.respond(&mut answerer, QUERY, UDP, &mut reply);
        assert_eq!(reply, reply_to(QUERY, 0x8105, 0, b""), "the next is answered as ever");
    }
}
