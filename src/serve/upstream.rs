//! Forwards queries to upstream servers, as CoreDNS's `forward` plugin does, and checks that a reply belongs to its query.
//! Must not depend on what the query is about, nor on what waits for the answer.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::answer::UpstreamAnswer;
use crate::wire::{self, HEADER, Header, IN, Opcode, RecordType, ResponseCode, Section, Whole, flag};

/// Maximum number of queries that wait for the upstream. Further ones are REFUSED, as by the `forward` plugin at its
/// `max_concurrent`, which kubeadm sets to this number.
const IN_FLIGHT: u32 = 1000;

/// Number of tries with an upstream of one server; several servers are tried once each.
const TRIES: usize = 2;

/// Time-out of one try.
const UPSTREAM_TIMEOUT: Duration = Duration::from_secs(2);

/// The servers to which queries outside the cluster domain are forwarded.
pub(super) struct Upstream {
    /// In the order of the tries; at least one.
    addresses: Vec<SocketAddr>,
    in_flight: Arc<Semaphore>,
    /// Number of permits.
    places: u32,
    /// Hashing a counter with the operating system's random keys gives ids that no other host can predict (RFC 5452 section
    /// 9.2), without a random number generator.
    ids: RandomState,
    asked: AtomicU64,
    /// The queries in progress, by their content without the id. The same query of another client waits for the same reply,
    /// and so does a query that the upstream forwards back to this server: a forwarding loop ends after one round.
    asking: Mutex<HashMap<Box<[u8]>, Arc<Asking>>>,
}

/// The reply to a query, or its failure, once it is known.
type Asking = OnceCell<Result<Vec<u8>, io::ErrorKind>>;

impl Upstream {
    /// Forwards to `addresses` in their order, the next one if one does not reply, on at most `sockets` sockets.
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

    /// Returns a permit for one query, unless too many wait already.
    pub(super) fn admit(&self) -> Option<OwnedSemaphorePermit> {
        self.in_flight.clone().try_acquire_owned().ok()
    }

    /// Returns once no query waits.
    pub(super) async fn idle(&self) {
        let _ = self.in_flight.acquire_many(self.places).await;
    }

    /// Forwards `query`, and repeats it over TCP if the reply is truncated. The reply has the id of `query`.
    ///
    /// # Errors
    /// The error of the last try, if each of them failed or took longer than [`UPSTREAM_TIMEOUT`].
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
            match within(UPSTREAM_TIMEOUT, over_udp(address, &asked)).await {
                Ok(mut reply) => {
                    // A truncated reply is better than none.
                    if wire::is_truncated(&reply)
                        && let Ok(whole) = within(UPSTREAM_TIMEOUT, over_tcp(address, &asked)).await
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

/// A client that waits for the reply to its query.
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

/// Removes the query once it has its reply or no client waits for it: a client that disconnects must not leave an entry
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

/// Sends `query` to the server at `address` over UDP.
async fn over_udp(address: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    // One connected socket per query: only the upstream can answer it, and a spoofed reply has to match a random port.
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

/// Sends `query` to the server at `address` over TCP.
async fn over_tcp(address: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    let length = u16::try_from(query.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    stream.write_all(&[&length.to_be_bytes(), query].concat()).await?;
    let length = stream.read_u16().await?;
    let mut reply = vec![0; usize::from(length)];
    stream.read_exact(&mut reply).await?;
    if answers(query, &reply) { well_formed(reply) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// Returns `reply` if it can be relayed: a reply to a query, with the number of records that its header states, all of them
/// complete, and nothing behind them. Clients never get a malformed message.
fn well_formed(reply: Vec<u8>) -> io::Result<Vec<u8>> {
    let is_sound = |whole: Whole| {
        whole.header.opcode() == Opcode::QUERY && whole.header.counts[0] == 1 && whole.end == reply.len()
    };
    if Whole::read(&reply).is_some_and(is_sound) {
        return Ok(reply);
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "the upstream's reply is malformed"))
}

/// Whether `reply` is a response to `query`: id and question are the same (RFC 5452 section 9.1).
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

/// Returns a query for `name` (wire form) and `record_type`, class IN, with recursion desired. Its OPT record allows 1232
/// bytes over UDP, which every path carries; longer replies use TCP.
pub(super) fn query_for(name: &[u8], record_type: RecordType) -> Vec<u8> {
    let mut query = b"\0\0\x01\0\0\x01\0\0\0\0\0\x01".to_vec();
    query.extend_from_slice(name);
    query.extend_from_slice(&record_type.0.to_be_bytes());
    query.extend_from_slice(b"\0\x01");
    query.extend_from_slice(b"\0\0\x29\x04\xd0\0\0\0\0\0\0");
    query
}

/// Returns the answer section of `reply`, class IN. `None` if it is malformed or has a code other than NOERROR and
/// NXDOMAIN: such a reply does not state whether the name exists.
pub(super) fn answer_of(reply: &[u8]) -> Option<UpstreamAnswer> {
    let code = Header::read(reply)?.response_code();
    if ![ResponseCode::NOERROR, ResponseCode::NXDOMAIN].contains(&code) {
        return None;
    }
    let answers = Whole::read(reply)?.records.into_iter();
    let answers = answers.filter(|(section, class, _)| (*section, *class) == (Section::Answer, IN));
    let records = answers.map(|(.., record)| record).collect();
    Some(UpstreamAnswer { records, truncated: wire::is_truncated(reply) })
}

#[cfg(test)]
pub(super) mod tests;
