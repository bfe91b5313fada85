//! One TCP connection (RFC 7766): queries in, answers out, in order. It must not know how many others there are.

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

/// How much is read at a time, in bytes.
const CHUNK: usize = 16 * 1024;

/// How much of the answers is collected before it is written, in bytes.
const BATCH: usize = 64 * 1024;

/// Once draining has begun: how long a client may send nothing before it counts as having sent everything. What was
/// sent but had no room in our receive buffer arrives within a round trip of our reading.
const QUIET: Duration = Duration::from_millis(50);

/// Once draining has begun: how long a client that never falls quiet is answered.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Answers what `client` asks until it leaves, breaks a rule, has to make room, or is answered while draining.
pub(super) async fn converse(
    stream: TcpStream,
    client: SocketAddr,
    limits: TcpLimits,
    admission: Admission,
    responder: Arc<Responder>,
    draining: Draining,
) {
    // Without it the kernel holds the second of two answers back until the first is acknowledged.
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

/// Does what `fault` does to a connection, instead of answering on it.
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
            // The client connects anew, and is answered.
            () = ending.ended() => {}
            () = ignore(&stream) => return,
        },
    }
    // Without time to linger, closing resets.
    let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
}

/// Reads what comes on `stream` until the client gives up.
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
    /// What was read and not yet answered: less than one message, between two reads.
    input: Vec<u8>,
    /// The answer being made.
    reply: Vec<u8>,
    /// Answers with their lengths, not yet written.
    output: Vec<u8>,
    /// How many answers `output` holds.
    answers: u64,
    /// When the last whole message came.
    active: Instant,
    /// When the message that `input` holds the beginning of began.
    unfinished: Option<Instant>,
}

impl Connection {
    async fn run(&mut self, admission: &Admission, mut draining: Draining) -> io::Result<()> {
        let mut last_words: Option<Instant> = None;
        while last_words.is_none_or(|end| Instant::now() < end) {
            // However many connections wait, they hold no more memory than they were sent.
            self.input.shrink_to_fit();
            (self.reply, self.output) = (Vec::new(), Vec::new());
            let deadline = match (last_words, self.unfinished) {
                (Some(end), _) => end.min(Instant::now() + QUIET),
                (None, Some(began)) => began + self.limits.message,
                (None, None) => self.active + self.limits.idle,
            };
            tokio::select! {
                biased;
                readable = self.stream.readable() => readable?,
                () = draining.begun(), if last_words.is_none() => {
                    last_words = Some(Instant::now() + LAST_WORDS);
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
            let heard = self.answer_what_is_whole().await?;
            if let Heard::Queries = heard {
                admission.touch();
            }
            self.flush().await?;
            if let Heard::Nonsense = heard {
                return Ok(());
            }
        }
        // Everything that was read is answered: a client that only closed its half still gets to the end.
        self.stream.shutdown().await
    }

    /// Answers the messages that `input` holds whole and keeps the rest of it.
    async fn answer_what_is_whole(&mut self) -> io::Result<Heard> {
        let mut at = 0;
        while let Some((&length, rest)) = self.input[at..].split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(length));
            if length < HEADER {
                return Ok(Heard::Nonsense);
            }
            if rest.len() < length {
                break;
            }
            self.answer(at + 2, length).await;
            at += 2 + length;
            if self.output.len() >= BATCH {
                self.flush().await?;
            }
        }
        self.input.drain(..at);
        let now = Instant::now();
        let began = if at > 0 { now } else { self.unfinished.unwrap_or(now) };
        self.unfinished = (!self.input.is_empty()).then_some(began);
        if at == 0 {
            return Ok(Heard::Part);
        }
        self.active = now;
        Ok(Heard::Queries)
    }

    /// Answers the message of `length` bytes at `at` of `input`.
    async fn answer(&mut self, at: usize, length: usize) {
        let Connection { client: peer, responder, input, reply, output, .. } = self;
        let client = Client { udp: false, ipv6: peer.is_ipv6(), max_udp: u16::MAX };
        let request = &input[at..at + length];
        // Answers keep their order, so whatever is asked next on this connection waits as well, as in CoreDNS.
        let is_sent =
            responder.answer(Received { request, peer: *peer, client, protocol: &"tcp" }, reply).await;
        if !is_sent {
            return;
        }
        // A reply longer than its length field can say cannot be sent.
        let Ok(length) = u16::try_from(reply.len()) else { return };
        output.extend_from_slice(&length.to_be_bytes());
        output.extend_from_slice(reply);
        self.answers += 1;
    }

    /// Writes the answers that are ready: their lengths in the same segment as they (RFC 7766 section 8).
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

/// What the last read brought.
enum Heard {
    /// One message or more.
    Queries,
    /// Not yet a whole message.
    Part,
    /// A length shorter than a header: the client does not speak DNS.
    Nonsense,
}
