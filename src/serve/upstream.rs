//! Takes the place of CoreDNS's `forward` plugin: asks upstream servers and checks that the reply is the one that
//! was asked for. It must not know what the question is about, nor who waits for the answer.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hickory_proto::op::{Message, OpCode};
use hickory_proto::rr::{DNSClass, Name, RData};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, BinEncodable, BinEncoder, NameEncoding};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::answer::UpstreamAnswer;
use crate::wire::{self, HEADER, Header, RecordBuf, RecordType, ResponseCode, flag};

/// How many questions may wait for the upstream at a time. More are REFUSED, as the `forward` plugin does at its
/// `max_concurrent`, which kubeadm sets to this number.
const IN_FLIGHT: u32 = 1000;

/// How often the upstream is asked before it counts as silent, where it is one server; several are asked once each.
const TRIES: usize = 2;

/// How long each try waits for the reply.
const PATIENCE: Duration = Duration::from_secs(2);

/// The servers that names outside the cluster are asked of.
pub(super) struct Upstream {
    /// In the order in which they are asked, at least one.
    addresses: Vec<SocketAddr>,
    in_flight: Arc<Semaphore>,
    /// How many permits there are.
    places: u32,
    /// Keyed by the operating system's randomness: hashing a counter gives ids that nobody outside can foretell
    /// (RFC 5452 section 9.2), without a generator of our own.
    ids: RandomState,
    asked: AtomicU64,
    /// The questions that are being asked, by the query without its id. Another client's same question waits for the same
    /// reply, and so does a question that comes back here by way of the upstream: it goes round once.
    asking: Mutex<HashMap<Box<[u8]>, Arc<Asking>>>,
}

/// The reply to a question, once it has come or will not come.
type Asking = OnceCell<Result<Vec<u8>, io::ErrorKind>>;

impl Upstream {
    /// `addresses` are asked in their order, the next one where one is silent, on `sockets` sockets at most.
    pub(super) fn new(addresses: Vec<SocketAddr>, sockets: usize) -> Self {
        let places = IN_FLIGHT.min(u32::try_from(sockets).unwrap_or(u32::MAX));
        Upstream {
            addresses,
            places,
            in_flight: Arc::new(Semaphore::new(places as usize)),
            ids: RandomState::new(),
            asked: AtomicU64::new(0),
            asking: Mutex::default(),
        }
    }

    /// Leave to ask one question, unless too many wait already.
    pub(super) fn admit(&self) -> Option<OwnedSemaphorePermit> {
        self.in_flight.clone().try_acquire_owned().ok()
    }

    /// Returns once no question waits any more.
    pub(super) async fn idle(&self) {
        let _ = self.in_flight.acquire_many(self.places).await;
    }

    /// Asks `query`, over TCP as well where the reply does not fit UDP. The reply has the id of `query`.
    ///
    /// # Errors
    /// The last try's, when each of them failed or took longer than [`PATIENCE`].
    pub(super) async fn ask(&self, query: &[u8]) -> io::Result<Vec<u8>> {
        if query.len() < HEADER {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let (id, question) = (&query[..2], &query[2..]);
        let waiting = Waiting::new(self, question);
        let replied = waiting
            .asking
            .get_or_init(async || self.ask_alone(query).await.map_err(|error| error.kind()))
            .await;
        let mut reply = replied.clone()?;
        reply[..2].copy_from_slice(id);
        Ok(reply)
    }

    fn asking(&self) -> MutexGuard<'_, HashMap<Box<[u8]>, Arc<Asking>>> {
        self.asking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask_alone(&self, query: &[u8]) -> io::Result<Vec<u8>> {
        let mut failure = io::Error::from(io::ErrorKind::InvalidInput);
        let mut asked = query.to_vec();
        for &address in self.addresses.iter().cycle().take(TRIES.max(self.addresses.len())) {
            let id = self.ids.hash_one(self.asked.fetch_add(1, Ordering::Relaxed)) as u16;
            asked[..2].copy_from_slice(&id.to_be_bytes());
            match within(PATIENCE, over_udp(address, &asked)).await {
                Ok(mut reply) => {
                    // A reply that stayed cut is better than none.
                    if wire::is_truncated(&reply)
                        && let Ok(whole) = within(PATIENCE, over_tcp(address, &asked)).await
                    {
                        reply = whole;
                    }
                    return Ok(reply);
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }
}

/// A client that waits for the reply to its question.
struct Waiting<'a> {
    upstream: &'a Upstream,
    question: &'a [u8],
    asking: Arc<Asking>,
}

impl<'a> Waiting<'a> {
    fn new(upstream: &'a Upstream, question: &'a [u8]) -> Self {
        let asking = upstream.asking().entry(question.into()).or_default().clone();
        Waiting { upstream, question, asking }
    }
}

/// A question is forgotten once it has its reply, or no client waits for it any more: one that leaves must not leave an entry
/// behind.
impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut all = self.upstream.asking();
        let is_current = |current: &Arc<Asking>| Arc::ptr_eq(current, &self.asking);
        // The table and this client.
        let is_last = Arc::strong_count(&self.asking) <= 2;
        if (self.asking.initialized() || is_last) && all.get(self.question).is_some_and(is_current) {
            all.remove(self.question);
        }
    }
}

/// Asks `query` of the server at `address` over UDP.
async fn over_udp(address: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    // A port of its own for each question, connected: only the upstream can answer, and it has to hit the port.
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(address).await?;
    socket.send(query).await?;
    let mut reply = vec![0; usize::from(u16::MAX)];
    loop {
        let length = socket.recv(&mut reply).await?;
        if answers(query, &reply[..length]) {
            reply.truncate(length);
            return well_formed(reply);
        }
    }
}

/// Asks `query` of the server at `address` over TCP.
async fn over_tcp(address: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    let length = u16::try_from(query.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    stream.write_all(&[&length.to_be_bytes(), query].concat()).await?;
    let length = stream.read_u16().await?;
    let mut reply = vec![0; usize::from(length)];
    stream.read_exact(&mut reply).await?;
    if answers(query, &reply) { well_formed(reply) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// `reply`, if it is a message that can be relayed: a reply to a query, with as many records as it says, all of them whole, and
/// nothing behind them. A client's parser must not be the first to find out.
fn well_formed(reply: Vec<u8>) -> io::Result<Vec<u8>> {
    let mut decoder = BinDecoder::new(&reply);
    let read = Message::read(&mut decoder);
    let sound = |message: &Message| message.metadata.op_code == OpCode::Query && message.queries.len() == 1;
    if read.as_ref().is_ok_and(sound) && decoder.is_empty() {
        return Ok(reply);
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "the upstream's reply is malformed"))
}

/// Whether `reply` is a response to `query`: the id and the question are the same (RFC 5452 section 9.1).
fn answers(query: &[u8], reply: &[u8]) -> bool {
    Header::read(reply).is_some_and(|header| header.has(flag::RESPONSE))
        && reply[..2] == query[..2]
        && match (wire::question(query), wire::question(reply)) {
            (Some(asked), Some(answered)) => asked.equals(&answered),
            _ => false,
        }
}

/// Runs `work`, for at most `limit`.
async fn within<T>(limit: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(limit, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// A query for `name` (wire form) and `record_type`, of class IN, with recursion desired. Its OPT record promises to
/// take 1232 bytes over UDP: what fits every path; more comes over TCP.
pub(super) fn query_for(name: &[u8], record_type: RecordType) -> Vec<u8> {
    let mut query = b"\0\0\x01\0\0\x01\0\0\0\0\0\x01".to_vec();
    query.extend_from_slice(name);
    query.extend_from_slice(&record_type.0.to_be_bytes());
    query.extend_from_slice(b"\0\x01");
    query.extend_from_slice(b"\0\0\x29\x04\xd0\0\0\0\0\0\0");
    query
}

/// The answer section of `reply`, class IN. `None` where it is malformed, or says neither that the name
/// exists nor that it does not: such a reply tells nothing about the name.
pub(super) fn answer_of(reply: &[u8]) -> Option<UpstreamAnswer> {
    let code = Header::read(reply)?.response_code();
    if ![ResponseCode::NOERROR, ResponseCode::NXDOMAIN].contains(&code) {
        return None;
    }
    let message = Message::from_vec(reply).ok()?;
    let records = message.answers.iter().filter(|record| record.dns_class == DNSClass::IN).map(|record| {
        Some(RecordBuf {
            owner: owner(&record.name)?,
            record_type: RecordType(record.record_type().into()),
            ttl: record.ttl,
            rdata: rdata(&record.data)?,
        })
    });
    Some(UpstreamAnswer { records: records.collect::<Option<_>>()?, truncated: wire::is_truncated(reply) })
}

fn owner(name: &Name) -> Option<Vec<u8>> {
    uncompressed(|encoder| name.emit(encoder).is_ok())
}

fn rdata(data: &RData) -> Option<Vec<u8>> {
    uncompressed(|encoder| data.emit(encoder).is_ok())
}

fn uncompressed(emit: impl FnOnce(&mut BinEncoder<'_>) -> bool) -> Option<Vec<u8>> {
    let mut wire = Vec::new();
    let mut encoder = BinEncoder::new(&mut wire);
    encoder.set_name_encoding(NameEncoding::Uncompressed);
    emit(&mut encoder).then_some(wire)
}

#[cfg(test)]
pub(super) mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// A query as a client sends it: id 0x1234, RD, `a.example. A IN`.
    pub(in super::super) const QUERY: &[u8] =
        b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\x07example\0\0\x01\0\x01";

    /// `query`'s header and question with these flags, and as the answer records what `records` holds.
    pub(in super::super) fn reply_to(query: &[u8], flags: u16, count: u8, records: &[u8]) -> Vec<u8> {
        let question = wire::question(query).expect("a question").bytes;
        let mut reply = [&query[..HEADER], question, records].concat();
        reply[2..4].copy_from_slice(&flags.to_be_bytes());
        reply[4..HEADER].copy_from_slice(&[0, 1, 0, count, 0, 0, 0, 0]);
        reply
    }

    /// An upstream on a port of its own: each query over UDP gets the datagrams of `udp`, over TCP the message of
    /// `tcp`.
    pub(in super::super) async fn stub(
        udp: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static,
        tcp: impl Fn(&[u8]) -> Vec<u8> + Send + 'static,
    ) -> SocketAddr {
        let (datagrams, listener) = loop {
            let datagrams = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
            // Somebody else may have that port for TCP.
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
        panic!("nothing was to be asked over TCP")
    }

    #[tokio::test]
    async fn the_reply_has_the_askers_id_and_the_upstream_saw_another() {
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
    async fn what_does_not_answer_the_question_is_not_heard() {
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
    async fn what_is_too_long_for_udp_is_asked_over_tcp() {
        let whole = [b"\xc0\x0c\xff\0\0\x01\0\0\0\x1e\x07\xd0".as_slice(), &[b'x'; 2000]].concat();
        let expected = reply_to(QUERY, 0x8180, 1, &whole);
        let udp = |query: &[u8]| vec![reply_to(query, 0x8380, 0, b"")];
        let tcp = move |query: &[u8]| reply_to(query, 0x8180, 1, &whole);
        let upstream = Upstream::new(vec![stub(udp, tcp).await], 1000);
        assert_eq!(upstream.ask(QUERY).await.unwrap(), expected);
    }

    /// What is wrong with a reply, and the reply: none of them is relayed.
    #[tokio::test]
    async fn malformed_replies_are_failures() {
        let address = b"\xc0\x0c\0\x01\0\x01\0\0\0\x1e\0\x04\x7f\0\0\x01";
        let to_itself = b"\xc0\x21\0\x01\0\x01\0\0\0\x1e\0\x04\x7f\0\0\x01";
        type Reply = Box<dyn Fn(&[u8]) -> Vec<u8> + Send>;
        let table: [(&str, Reply); 7] = [
            ("more records than it says", Box::new(|query| reply_to(query, 0x8180, 1, &address.repeat(2)))),
            ("fewer records than it says", Box::new(|query| reply_to(query, 0x8180, 2, address))),
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

    /// A question that comes back here is not asked again: it waits for itself until the upstream counts as silent.
    #[tokio::test(start_paused = true)]
    async fn the_same_question_is_asked_once_at_a_time() {
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
        assert!(upstream.asking().is_empty(), "forgotten once it is answered");
        let left = again(0);
        while upstream.asking().is_empty() {
            tokio::task::yield_now().await;
        }
        left.abort();
        assert!(
            left.await.unwrap_err().is_cancelled() && upstream.asking().is_empty(),
            "and when the client leaves"
        );
    }

    #[tokio::test]
    async fn a_cut_reply_is_better_than_none() {
        let udp = |query: &[u8]| vec![reply_to(query, 0x8380, 0, b"")];
        let upstream = Upstream::new(vec![stub(udp, |_| b"no reply to that".to_vec()).await], 1000);
        assert_eq!(upstream.ask(QUERY).await.unwrap(), reply_to(QUERY, 0x8380, 0, b""));
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_upstream_is_asked_twice() {
        let (seen, mut tries) = tokio::sync::mpsc::unbounded_channel();
        let udp = move |_: &[u8]| {
            seen.send(()).unwrap();
            vec![]
        };
        let upstream = Upstream::new(vec![stub(udp, no_tcp).await], 1000);
        let began = tokio::time::Instant::now();
        assert_eq!(upstream.ask(QUERY).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed().as_secs(), 4);
        assert_eq!(
            (tries.recv().await, tries.recv().await, tries.try_recv().ok()),
            (Some(()), Some(()), None)
        );
    }

    #[tokio::test]
    async fn only_so_many_wait() {
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
        assert!(answer_of(&reply_to(QUERY, 0x8182, 0, b"")).is_none(), "SERVFAIL says nothing of the name");
        assert_eq!(
            answer_of(&reply_to(QUERY, 0x8183, 0, b"")),
            Some(UpstreamAnswer::default()),
            "NXDOMAIN does"
        );
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
}
