//! Where every transport gets its replies from: `answer`, guarded against panics, the upstream for names that are not the
//! cluster's, and what faults do to a reply's way. It must not know which transport asks.

use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::Guard;
use tokio::sync::OwnedSemaphorePermit;

use super::delays::{Delay, Delays};
use super::stats::Stats;
use super::upstream::{self, Upstream};
use super::view::View;
use crate::answer::{Answerer, Client, Hit, Order, Outside, Verdict};
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

/// Some queries that are answered from one state of the zone, one after the other.
pub(super) struct Turn<'r> {
    responder: &'r Responder,
    zone: Guard<Arc<Zone>>,
}

/// What became of a request.
pub(super) enum Outcome {
    /// Nothing is to be sent.
    Silent(Told),
    /// The reply is to be sent.
    Reply(Told),
    /// Something is to be waited for first, with [`Responder::finish`].
    Later(Later),
}

/// What is to be told of an answer.
pub(super) struct Told {
    /// The serial of the zone that was asked.
    pub(super) serial: u32,
    /// What has hit it.
    pub(super) hit: Option<Hit>,
}

/// What a reply has to wait for: the upstream, or a fault that holds it back. Until it is dropped it holds its place among
/// those that may wait at a time.
pub(super) struct Later {
    errand: Option<(Errand, OwnedSemaphorePermit)>,
    delay: Option<Delay>,
    pub(super) told: Told,
}

enum Errand {
    Forward,
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

    /// Begins a turn in which so many queries are answered.
    pub(super) fn turn(&self, queries: usize) -> Turn<'_> {
        self.stats.queries.add(queries as u64);
        Turn { responder: self, zone: self.view.zone.load() }
    }

    /// Does what `reply` has to wait for, and tells whether it is to be sent then.
    pub(super) async fn finish(
        &self,
        later: &mut Later,
        request: &[u8],
        client: Client,
        reply: &mut Vec<u8>,
    ) -> bool {
        if let Some((errand, _)) = &later.errand {
            self.relay(errand, later.told.hit.as_ref(), request, client, reply).await;
        }
        later.errand = None;
        match later.delay.take() {
            Some(delay) => delay.wait().await,
            None => true,
        }
    }

    /// Completes `reply` with what the upstream says. Where it says nothing, a forwarded request gets SERVFAIL, with
    /// the question and OPT record the reply has already, and an alias goes out without its target's records.
    async fn relay(
        &self,
        errand: &Errand,
        hit: Option<&Hit>,
        request: &[u8],
        client: Client,
        reply: &mut Vec<u8>,
    ) {
        let Some(upstream) = &self.upstream else { return };
        match errand {
            Errand::Forward => {
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
                    hit.bend_relayed(reply);
                }
            }
            Errand::Chase { name, record_type } => {
                let answer = upstream.ask(&upstream::query_for(name, *record_type)).await;
                let Some((records, truncated)) = answer.ok().and_then(|answer| upstream::records(&answer))
                else {
                    return;
                };
                let zone = self.view.zone.load();
                self.with_answerer(|answerer| {
                    self.guarded(answerer, request, reply, |answerer, reply| {
                        answerer.complete(&zone, request, client, &records, truncated, hit, reply);
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

    /// Lets go of replies that faults hold back: a server that ends does not send them.
    pub(super) fn give_up_delays(&self) {
        self.delays.give_up();
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
            wire::error_reply(request, ResponseCode::SERVFAIL, reply);
            let is_request = Header::read(request).is_some_and(|header| !header.has(flag::RESPONSE));
            if is_request { Verdict::Reply } else { Verdict::Silent }
        })
    }
}

impl Turn<'_> {
    /// Answers `request`, which `asker` sends, into `reply`, as far as that goes without waiting.
    pub(super) fn respond(
        &self,
        answerer: &mut Answerer,
        request: &[u8],
        client: Client,
        asker: IpAddr,
        reply: &mut Vec<u8>,
    ) -> Outcome {
        let Turn { responder, zone } = self;
        let faults = &responder.view.faults;
        let mut hit = None;
        let verdict = if faults.is_empty() {
            responder.guarded(answerer, request, reply, |answerer, reply| {
                answerer.answer(zone, request, client, reply)
            })
        } else {
            let asked = (asker, responder.view.clock.now());
            responder.guarded(answerer, request, reply, |answerer, reply| {
                let verdict;
                (verdict, hit) = answerer.answer_amid(faults, asked, zone, request, client, reply);
                verdict
            })
        };
        let serial = hit.as_ref().and_then(Hit::serial).unwrap_or_else(|| zone.serial());
        let told = Told { serial, hit };
        let errand = match verdict {
            Verdict::Silent => return Outcome::Silent(told),
            Verdict::Reply if told.hit.is_none() => return Outcome::Reply(told),
            Verdict::Reply => None,
            Verdict::Forward => Some(Errand::Forward),
            Verdict::Chase => {
                let (name, record_type) = answerer.target();
                Some(Errand::Chase { name: name.to_vec(), record_type })
            }
        };
        let errand = errand.zip(responder.upstream.as_ref().and_then(Upstream::admit));
        let held = told.hit.as_ref().and_then(|hit| Some((hit.delay()?, faults.ending(hit)?)));
        let delay = match held.map(|(by, ending)| responder.delays.admit(by, ending)) {
            Some(None) => {
                responder.stats.dropped.add(1);
                return Outcome::Silent(told);
            }
            delay => delay.flatten(),
        };
        match errand.is_some() || delay.is_some() {
            true => Outcome::Later(Later { errand, delay, told }),
            false => Outcome::Reply(told),
        }
    }
}

/// How long a reply over UDP may be (RFC 6891 section 6.2.3), in bytes: what the client's OPT record says, at least
/// 512, and no more than the listener sends.
fn udp_limit(request: &[u8], client: Client) -> usize {
    let asked = wire::opt(request).map_or(512, |opt| opt.edns.udp_size.max(512));
    usize::from(asked.min(client.max_udp))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::time::Duration;

    use super::super::upstream::tests::{QUERY, reply_to, stub};
    use super::*;
    use crate::answer::fault::Rule;
    use crate::store::fault::FaultSpec;
    use crate::zone::{self, Settings, Zone};

    const UDP: Client = Client { udp: true, ipv6: false, max_udp: 1232 };
    const TCP: Client = Client { udp: false, ..UDP };
    const ASKER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn responder(upstream: SocketAddr) -> Responder {
        let zone = zone::Published::new(Zone::new(Settings::default()));
        let upstream = Some(Upstream::new(vec![upstream], 1000));
        Responder::new(zone.into(), Order::Stable, 0, (upstream, Outside::NxDomain), Arc::default())
    }

    /// What a client gets for `request` that is forwarded; REFUSED, with the question, is what stands in the reply.
    async fn forwarded(upstream: SocketAddr, request: &[u8], client: Client) -> Vec<u8> {
        let responder = responder(upstream);
        let permit = responder.upstream.as_ref().and_then(Upstream::admit).expect("a place");
        let mut reply = reply_to(request, 0x8105, 0, b"");
        let mut later = Later {
            errand: Some((Errand::Forward, permit)),
            delay: None,
            told: Told { serial: 0, hit: None },
        };
        assert!(responder.finish(&mut later, request, client, &mut reply).await);
        reply
    }

    #[tokio::test]
    async fn a_forwarded_query_gets_the_upstreams_reply_as_far_as_it_fits() {
        let record = |length: u16| {
            let text = [b"\xc0\x0c\xff\0\0\x01\0\0\0\x1e".as_slice(), &length.to_be_bytes()].concat();
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
        while let Outcome::Later(later) =
            responder.turn(1).respond(&mut answerer, QUERY, UDP, ASKER, &mut reply)
        {
            waiting.push(later);
        }
        assert_eq!(waiting.len(), 1000);
        assert_eq!(reply, reply_to(QUERY, 0x8105, 0, b""));
        waiting.pop();
        assert!(matches!(
            responder.turn(1).respond(&mut answerer, QUERY, UDP, ASKER, &mut reply),
            Outcome::Later(_)
        ));
    }

    /// What becomes of a question that is forwarded while a fault does `actions`; `None` for silence.
    async fn forwarded_amid(actions: &str, upstream: SocketAddr, client: Client) -> Option<Vec<u8>> {
        let responder = responder(upstream);
        let rule = Rule {
            name: "f".into(),
            spec: FaultSpec { actions: actions.parse().expect("actions"), ..FaultSpec::default() },
            clients: Vec::new(),
            in_force: true,
            past: Arc::default(),
            state: Arc::default(),
        };
        responder.view.faults.publish(vec![Arc::new(rule)]);
        let (mut answerer, mut reply) = (responder.answerer(), Vec::new());
        match responder.turn(1).respond(&mut answerer, QUERY, client, ASKER, &mut reply) {
            Outcome::Silent(_) => None,
            Outcome::Reply(_) => Some(reply),
            Outcome::Later(mut later) => {
                responder.finish(&mut later, QUERY, client, &mut reply).await.then_some(reply)
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn faults_hit_forwarded_queries_too() {
        let relayed = reply_to(QUERY, 0x8180, 0, b"");
        let servfail = reply_to(QUERY, 0x8102, 0, b"");
        let mut another_id = relayed.clone();
        another_id[1] += 1;
        let mut another_question = relayed.clone();
        another_question[13] = b'x';
        let table = [
            ("ok", Some(relayed.clone())),
            ("servfail", Some(servfail)),
            ("nxdomain", Some(reply_to(QUERY, 0x8103, 0, b""))),
            ("nodata", Some(reply_to(QUERY, 0x8100, 0, b""))),
            ("truncate", Some(reply_to(QUERY, 0x8300, 0, b""))),
            ("drop", None),
            ("wrong id", Some(another_id)),
            ("wrong question", Some(another_question)),
            ("cache 30, glue none", Some(relayed.clone())),
        ];
        for (actions, expected) in table {
            let upstream = stub(|query| vec![reply_to(query, 0x8180, 0, b"")], |_| vec![]).await;
            assert_eq!(forwarded_amid(actions, upstream, UDP).await, expected, "{actions}");
        }
        let upstream = stub(|query| vec![reply_to(query, 0x8180, 0, b"")], |_| vec![]).await;
        let asked = tokio::time::Instant::now();
        assert_eq!(forwarded_amid("delay 90s", upstream, TCP).await, Some(relayed));
        assert!(asked.elapsed() >= Duration::from_secs(90));
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
        responder.turn(1).respond(&mut answerer, QUERY, UDP, ASKER, &mut reply);
        assert_eq!(reply, reply_to(QUERY, 0x8105, 0, b""), "the next is answered as ever");
    }
}
