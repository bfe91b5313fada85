use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::super::upstream::tests::{QUERY, reply_to, stub};
use super::*;
use crate::answer::fault::Rule;
use crate::fault::FaultSpec;
use crate::zone::{self, Settings, Zone};

const UDP: Client = Client { udp: true, ipv6: false, max_udp: 1232 };
const TCP: Client = Client { udp: false, ..UDP };

fn received(request: &[u8], client: Client) -> Received<'_> {
    Received { request, peer: (Ipv4Addr::LOCALHOST, 40212).into(), client, protocol: &"udp" }
}

fn responder(upstream: SocketAddr) -> Responder {
    let zone = zone::Published::new(Zone::new(Settings::default()));
    let upstream = Some(Upstream::new(vec![upstream], 1000));
    Responder::new(zone.into(), Order::Stable, 0, (upstream, Outside::NxDomain), Arc::default())
}

/// Returns the reply to `request` when it is forwarded. Before that the reply is REFUSED, with the question.
async fn forwarded(upstream: SocketAddr, request: &[u8], client: Client) -> Vec<u8> {
    let responder = responder(upstream);
    let permit = responder.upstream.as_ref().and_then(Upstream::admit).expect("a place");
    let mut reply = reply_to(request, 0x8105, 0, b"");
    let pending = Pending {
        task: Some((UpstreamTask::Forward, permit)),
        delay: None,
        basis: Basis { serial: 0, hit: None },
        log: Log::begin(responder.view()),
    };
    assert!(responder.conclude(pending, received(request, client), &mut reply).await);
    reply
}

#[tokio::test]
async fn a_forwarded_reply_that_is_too_large_for_the_client_is_truncated() {
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
        ("513 bytes, the client accepts 100", with_opt(100), UDP, 474, cut.clone()),
        ("513 bytes, the client accepts 1000", with_opt(1000), UDP, 474, whole(474)),
        ("the client accepts more than the listener sends", with_opt(4096), UDP, 1300, cut),
    ];
    for (what, query, client, length, expected) in table {
        let upstream = stub(move |query| vec![reply_to(query, 0x8180, 1, &record(length))], |_| vec![]).await;
        assert_eq!(forwarded(upstream, &query, client).await, expected, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_does_not_reply_gives_servfail_with_the_question() {
    let upstream = stub(|_| vec![], |_| vec![]).await;
    assert_eq!(forwarded(upstream, QUERY, UDP).await, reply_to(QUERY, 0x8102, 0, b""));
}

#[tokio::test]
async fn forwarded_queries_beyond_the_limit_are_refused() {
    let responder = responder((Ipv4Addr::LOCALHOST, 1).into());
    let mut answerer = responder.answerer();
    let mut reply = Vec::new();
    let mut waiting = Vec::new();
    while let Outcome::Pending(pending) =
        responder.batch(1).answer(&mut answerer, &received(QUERY, UDP), &mut reply)
    {
        waiting.push(pending);
    }
    assert_eq!(waiting.len(), 1000);
    assert_eq!(reply, reply_to(QUERY, 0x8105, 0, b""));
    waiting.pop();
    assert!(matches!(
        responder.batch(1).answer(&mut answerer, &received(QUERY, UDP), &mut reply),
        Outcome::Pending(_)
    ));
}

/// Returns the reply to a query that is forwarded while a fault applies `actions`; `None` for no reply.
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
    let mut reply = Vec::new();
    responder.answer(received(QUERY, client), &mut reply).await.then_some(reply)
}

#[tokio::test(start_paused = true)]
async fn faults_apply_to_forwarded_queries() {
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
async fn a_panic_gives_servfail_and_the_next_query_is_answered() {
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
    assert_eq!(panicking(&reply_to(QUERY, 0x8180, 0, b"")).0, Verdict::Silent, "a response gets no response");
    assert_eq!(responder.stats().panics.get(), 3);
    let mut reply = Vec::new();
    responder.batch(1).answer(&mut answerer, &received(QUERY, UDP), &mut reply);
    assert_eq!(reply, reply_to(QUERY, 0x8105, 0, b""), "the next query is answered");
}
