//! One TCP connection (RFC 7766): reads queries and writes their answers, in order. Must not depend on other connections.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

use super::Draining;
use super::admission::Admission;
use super::options::TcpLimits;
use super::query_log::Received;
use super::responder::Responder;
use crate::answer::Client;
use crate::answer::fault::Ending;
use crate::fault::Tcp as Fault;
use crate::wire::HEADER;

/// Bytes that are read at a time.
const CHUNK: usize = 16 * 1024;

/// Size at which collected answers are written, in bytes.
const WRITE_SIZE: usize = 64 * 1024;

/// Time without data, while draining, after which a client is taken to have sent everything. Data that had no room in our
/// receive buffer arrives within a round trip after we read.
const DRAIN_IDLE: Duration = Duration::from_millis(50);

/// Maximum time, while draining, of answering a client that keeps sending.
const DRAIN_LIMIT: Duration = Duration::from_secs(1);

/// Answers the queries of `client` until it disconnects, sends what is not DNS, times out, is evicted, or draining is over.
pub(super) async fn converse(
    stream: TcpStream,
    client: SocketAddr,
    limits: TcpLimits,
    admission: Admission,
    responder: Arc<Responder>,
    draining: Draining,
) {
    // Without TCP_NODELAY the kernel delays the second of two answers until the first is acknowledged.
    let _ = stream.set_nodelay(true);
    let mut connection = Connection {
        stream,
        client,
        limits,
        responder,
        input: Vec::new(),
        reply: Vec::new(),
        output: Vec::new(),
        answers: 0,
        active: Instant::now(),
        unfinished: None,
    };
    tokio::select! {
        biased;
        () = admission.evicted() => {}
        _ = connection.run(&admission, draining) => {}
    }
}

/// Applies `fault` to a connection, instead of answering on it.
pub(super) async fn fail(
    stream: TcpStream,
    (fault, mut ending): (Fault, Ending),
    limits: TcpLimits,
    admission: Admission,
    mut draining: Draining,
) {
    match fault {
        Fault::Refuse => {}
        Fault::Reset => drop(timeout(limits.idle, stream.readable()).await),
        Fault::Hang => tokio::select! {
            biased;
            () = admission.evicted() => return,
            () = draining.begun() => return,
            // The client reconnects, and is answered.
            () = ending.ended() => {}
            () = ignore(&stream) => return,
        },
    }
    // With a linger time of zero, closing sends RST.
    let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
}

/// Discards input of `stream` until the client closes it.
async fn ignore(stream: &TcpStream) {
    let mut ignored = [0; 512];
    while stream.readable().await.is_ok() {
        match stream.try_read(&mut ignored) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

struct Connection {
    stream: TcpStream,
    client: SocketAddr,
    limits: TcpLimits,
    responder: Arc<Responder>,
    /// Bytes read and not yet answered: less than one message, between two reads.
    input: Vec<u8>,
    /// The answer being built.
    reply: Vec<u8>,
    /// Answers that are not yet written, each with its length.
    output: Vec<u8>,
    /// Number of answers in `output`.
    answers: u64,
    /// When the last whole message arrived.
    active: Instant,
    /// When the first byte of the incomplete message in `input` arrived.
    unfinished: Option<Instant>,
}

impl Connection {
    async fn run(&mut self, admission: &Admission, mut draining: Draining) -> io::Result<()> {
        let mut drain_until: Option<Instant> = None;
        while drain_until.is_none_or(|end| Instant::now() < end) {
            // Idle connections keep no memory beyond what they were sent.
            self.input.shrink_to_fit();
            (self.reply, self.output) = (Vec::new(), Vec::new());
            let deadline = match (drain_until, self.unfinished) {
                (Some(end), _) => end.min(Instant::now() + DRAIN_IDLE),
                (None, Some(began)) => began + self.limits.message,
                (None, None) => self.active + self.limits.idle,
            };
            tokio::select! {
                biased;
                readable = self.stream.readable() => readable?,
                () = draining.begun(), if drain_until.is_none() => {
                    drain_until = Some(Instant::now() + DRAIN_LIMIT);
                    continue;
                }
                () = sleep_until(deadline) => break,
            }
            self.input.reserve(CHUNK);
            match self.stream.try_read_buf(&mut self.input) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            }
            let input = self.answer_complete().await?;
            if let Input::Queries = input {
                admission.touch();
            }
            self.flush().await?;
            if let Input::Malformed = input {
                return Ok(());
            }
        }
        // Everything that was read is answered: a client that closed only its sending side gets all answers.
        self.stream.shutdown().await
    }

    /// Answers the complete messages in `input`, and keeps the incomplete rest.
    async fn answer_complete(&mut self) -> io::Result<Input> {
        let mut at = 0;
        while let Some((&length, rest)) = self.input[at..].split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(length));
            if length < HEADER {
                return Ok(Input::Malformed);
            }
            if rest.len() < length {
                break;
            }
            self.answer(at + 2, length).await;
            at += 2 + length;
            if self.output.len() >= WRITE_SIZE {
                self.flush().await?;
            }
        }
        self.input.drain(..at);
        let now = Instant::now();
        let began = if at > 0 { now } else { self.unfinished.unwrap_or(now) };
        self.unfinished = (!self.input.is_empty()).then_some(began);
        if at == 0 {
            return Ok(Input::Incomplete);
        }
        self.active = now;
        Ok(Input::Queries)
    }

    /// Answers the message of `length` bytes at offset `at` of `input`.
    async fn answer(&mut self, at: usize, length: usize) {
        let Connection { client: peer, responder, input, reply, output, .. } = self;
        let client = Client { udp: false, ipv6: peer.is_ipv6(), max_udp: u16::MAX };
        let request = &input[at..at + length];
        // Answers keep their order: a delayed answer delays the next ones on its connection, as in CoreDNS.
        let is_sent =
            responder.answer(Received { request, peer: *peer, client, protocol: &"tcp" }, reply).await;
        if !is_sent {
            return;
        }
        // A reply longer than its length field can express cannot be sent.
        let Ok(length) = u16::try_from(reply.len()) else { return };
        output.extend_from_slice(&length.to_be_bytes());
        output.extend_from_slice(reply);
        self.answers += 1;
    }

    /// Writes the collected answers, each in one segment with its length (RFC 7766 section 8).
    async fn flush(&mut self) -> io::Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        let stats = self.responder.stats();
        let written = timeout(self.limits.write, self.stream.write_all(&self.output)).await;
        let written = written.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let count = if written.is_ok() { &stats.tcp_replies } else { &stats.dropped };
        count.add(self.answers);
        self.answers = 0;
        self.output.clear();
        written
    }
}

/// What a read returned.
enum Input {
    /// At least one message.
    Queries,
    /// An incomplete message.
    Incomplete,
    /// A length shorter than a header: not DNS.
    Malformed,
}
