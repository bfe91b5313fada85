use tokio::net::TcpListener;

use hickory_proto::op::Message;

use super::*;
use crate::wire::RecordBuf;

/// A query as a client sends it: id 0x1234, RD, `a.example. A IN`.
pub(in super::super) const QUERY: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\x07example\0\0\x01\0\x01";

/// Returns the header and question of `query` with these flags, and `records` as its answer section.
pub(in super::super) fn reply_to(query: &[u8], flags: u16, count: u8, records: &[u8]) -> Vec<u8> {
    let question = wire::question(query).expect("a question").bytes;
    let mut reply = [&query[..HEADER], question, records].concat();
    reply[2..4].copy_from_slice(&flags.to_be_bytes());
    reply[4..HEADER].copy_from_slice(&[0, 1, 0, count, 0, 0, 0, 0]);
    reply
}

/// Starts an upstream on a free port. A query over UDP gets the datagrams that `udp` returns, over TCP the message that
/// `tcp` returns.
pub(in super::super) async fn stub(
    udp: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static,
    tcp: impl Fn(&[u8]) -> Vec<u8> + Send + 'static,
) -> SocketAddr {
    let (datagrams, listener) = loop {
        let datagrams = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        // Another process may have that port for TCP.
        if let Ok(listener) = TcpListener::bind(datagrams.local_addr().unwrap()).await {
            break (datagrams, listener);
        }
    };
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut query = vec![0; 4096];
        loop {
            let (length, client) = datagrams.recv_from(&mut query).await.unwrap();
            for reply in udp(&query[..length]) {
                datagrams.send_to(&reply, client).await.unwrap();
            }
        }
    });
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut query = vec![0; usize::from(stream.read_u16().await.unwrap())];
            stream.read_exact(&mut query).await.unwrap();
            let reply = tcp(&query);
            stream.write_u16(reply.len() as u16).await.unwrap();
            stream.write_all(&reply).await.unwrap();
        }
    });
    address
}

fn no_tcp(_: &[u8]) -> Vec<u8> {
    panic!("unexpected query over TCP")
}

#[tokio::test]
async fn a_forwarded_query_has_a_random_id_and_the_reply_the_clients() {
    let (seen, mut ids) = tokio::sync::mpsc::unbounded_channel();
    let udp = move |query: &[u8]| {
        seen.send(wire::u16_at(query, 0).unwrap()).unwrap();
        vec![reply_to(query, 0x8180, 0, b"")]
    };
    let upstream = Upstream::new(vec![stub(udp, no_tcp).await], 1000);
    for _ in 0..8 {
        assert_eq!(upstream.ask(QUERY).await.unwrap(), reply_to(QUERY, 0x8180, 0, b""));
    }
    let ids: Vec<u16> = (0..8).map(|_| ids.try_recv().unwrap()).collect();
    assert!(ids.windows(2).any(|pair| pair[0] != pair[1]), "eight times the same id: {ids:?}");
}

#[tokio::test]
async fn replies_to_other_queries_are_ignored() {
    let udp = |query: &[u8]| {
        let right = reply_to(query, 0x8180, 0, b"");
        let mut wrong_id = right.clone();
        wrong_id[1] ^= 1;
        let mut wrong_name = right.clone();
        wrong_name[13] = b'b';
        let no_response = query.to_vec();
        let no_question = [&right[..4], &[0; 8]].concat();
        vec![vec![], b"short".to_vec(), wrong_id, wrong_name, no_response, no_question, right]
    };
    let upstream = Upstream::new(vec![stub(udp, no_tcp).await], 1000);
    assert_eq!(upstream.ask(QUERY).await.unwrap(), reply_to(QUERY, 0x8180, 0, b""));
}

#[tokio::test]
async fn a_truncated_reply_is_asked_again_over_tcp() {
    let whole = [b"\xc0\x0c\xff\0\0\x01\0\0\0\x1e\x07\xd0".as_slice(), &[b'x'; 2000]].concat();
    let expected = reply_to(QUERY, 0x8180, 1, &whole);
    let udp = |query: &[u8]| vec![reply_to(query, 0x8380, 0, b"")];
    let tcp = move |query: &[u8]| reply_to(query, 0x8180, 1, &whole);
    let upstream = Upstream::new(vec![stub(udp, tcp).await], 1000);
    assert_eq!(upstream.ask(QUERY).await.unwrap(), expected);
}

/// Malformed replies: none of them is relayed.
#[tokio::test]
async fn malformed_replies_are_failures() {
    let address = b"\xc0\x0c\0\x01\0\x01\0\0\0\x1e\0\x04\x7f\0\0\x01";
    let to_itself = b"\xc0\x21\0\x01\0\x01\0\0\0\x1e\0\x04\x7f\0\0\x01";
    type Reply = Box<dyn Fn(&[u8]) -> Vec<u8> + Send>;
    let table: [(&str, Reply); 7] = [
        (
            "more records than the header states",
            Box::new(|query| reply_to(query, 0x8180, 1, &address.repeat(2))),
        ),
        ("fewer records than the header states", Box::new(|query| reply_to(query, 0x8180, 2, address))),
        ("a record that is cut", Box::new(|query| reply_to(query, 0x8180, 1, &address[..14]))),
        (
            "an address of three bytes",
            Box::new(|query| reply_to(query, 0x8180, 1, b"\xc0\x0c\0\x01\0\x01\0\0\0\x1e\0\x03\x7f\0\0")),
        ),
        (
            "a name that points to itself",
            Box::new(|query| {
                let mut looping = to_itself.to_vec();
                looping[1] = wire::question(query).map_or(0, |question| 12 + question.bytes.len()) as u8;
                reply_to(query, 0x8180, 1, &looping)
            }),
        ),
        ("another opcode", Box::new(|query| reply_to(query, 0x9180, 0, b""))),
        ("bytes behind its end", Box::new(|query| reply_to(query, 0x8180, 0, b"x"))),
    ];
    for (what, reply) in table {
        let upstream = Upstream::new(vec![stub(move |query| vec![reply(query)], no_tcp).await], 1000);
        let refused = upstream.ask(QUERY).await.map_err(|error| error.kind());
        assert_eq!(refused, Err(io::ErrorKind::InvalidData), "{what}");
    }
}

/// A query that is forwarded back to this server is not forwarded again: it waits for itself until the upstream times out.
#[tokio::test(start_paused = true)]
async fn the_same_query_is_in_progress_only_once() {
    let (seen, mut asked) = tokio::sync::mpsc::unbounded_channel();
    let udp = move |_: &[u8]| {
        seen.send(()).unwrap();
        vec![]
    };
    let upstream = Arc::new(Upstream::new(vec![stub(udp, no_tcp).await], 1000));
    let again = |id: u8| {
        let (upstream, mut query) = (upstream.clone(), QUERY.to_vec());
        query[0] = id;
        tokio::spawn(async move { upstream.ask(&query).await.is_err() })
    };
    let waiting: Vec<_> = (0..100).map(again).collect();
    for waits in waiting {
        assert!(waits.await.unwrap());
    }
    let mut count = 0;
    while asked.try_recv().is_ok() {
        count += 1;
    }
    assert_eq!(count, TRIES);
    assert!(upstream.asking().is_empty(), "removed once it is answered");
    let left = again(0);
    while upstream.asking().is_empty() {
        tokio::task::yield_now().await;
    }
    left.abort();
    assert!(
        left.await.unwrap_err().is_cancelled() && upstream.asking().is_empty(),
        "removed when its client disconnects"
    );
}

#[tokio::test]
async fn a_truncated_reply_is_relayed_if_tcp_fails() {
    let udp = |query: &[u8]| vec![reply_to(query, 0x8380, 0, b"")];
    let upstream = Upstream::new(vec![stub(udp, |_| b"no reply to that".to_vec()).await], 1000);
    assert_eq!(upstream.ask(QUERY).await.unwrap(), reply_to(QUERY, 0x8380, 0, b""));
}

#[tokio::test(start_paused = true)]
async fn a_single_upstream_that_does_not_reply_is_tried_twice() {
    let (seen, mut tries) = tokio::sync::mpsc::unbounded_channel();
    let udp = move |_: &[u8]| {
        seen.send(()).unwrap();
        vec![]
    };
    let upstream = Upstream::new(vec![stub(udp, no_tcp).await], 1000);
    let began = tokio::time::Instant::now();
    assert_eq!(upstream.ask(QUERY).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert_eq!(began.elapsed().as_secs(), 4);
    assert_eq!((tries.recv().await, tries.recv().await, tries.try_recv().ok()), (Some(()), Some(()), None));
}

#[tokio::test]
async fn the_number_of_waiting_queries_is_limited() {
    let upstream = Upstream::new(vec![(Ipv4Addr::LOCALHOST, 1).into()], 1000);
    let mut waiting: Vec<_> = (0..IN_FLIGHT).map_while(|_| upstream.admit()).collect();
    assert_eq!(waiting.len(), IN_FLIGHT as usize);
    assert!(upstream.admit().is_none());
    waiting.pop();
    assert!(upstream.admit().is_some());
}

#[test]
fn records_come_out_uncompressed() {
    let answer = b"\xc0\x0c\0\x05\0\x01\0\0\0\x1e\0\x04\x01b\xc0\x0e\
        \x01b\xc0\x0e\0\x01\0\x01\0\0\0\x3c\0\x04\x7f\0\0\x01";
    let reply = reply_to(QUERY, 0x8180, 2, answer);
    let record = |owner: &[u8], record_type, ttl, rdata: &[u8]| RecordBuf {
        owner: owner.to_vec(),
        record_type,
        ttl,
        rdata: rdata.to_vec(),
    };
    let UpstreamAnswer { records, truncated } = answer_of(&reply).expect("an answer");
    let alias = record(b"\x01a\x07example\0", RecordType::CNAME, 30, b"\x01b\x07example\0");
    assert_eq!(records, [alias, record(b"\x01b\x07example\0", RecordType::A, 60, &[127, 0, 0, 1])]);
    assert!(!truncated);
    assert!(
        answer_of(&reply_to(QUERY, 0x8182, 0, b"")).is_none(),
        "SERVFAIL does not state whether the name exists"
    );
    assert_eq!(answer_of(&reply_to(QUERY, 0x8183, 0, b"")), Some(UpstreamAnswer::default()), "NXDOMAIN does");
    assert!(answer_of(&reply[..reply.len() - 1]).is_none(), "malformed");
}

#[test]
fn the_question_for_a_target_is_a_query_of_its_own() {
    let query = query_for(b"\x01a\x07example\0", RecordType::AAAA);
    let message = Message::from_vec(&query).expect("a message");
    assert_eq!(message.queries[0].to_string(), "a.example. IN AAAA");
    assert!(message.metadata.recursion_desired);
    assert_eq!(message.edns.expect("EDNS").max_payload(), 1232);
}
