//! Takes the place of CoreDNS's UDP server: one thread per socket, which receives, answers and sends in turn, many
//! datagrams at a time where the system supports it. Must not depend on what makes the replies.
//!
//! A thread and not a task, because a thread that blocks in the receiving call is woken soonest: a runtime would need
//! another system call to detect that the socket is readable.

#[cfg(all(target_os = "linux", not(clusterlocal_portable)))]
mod destination;
#[cfg(all(target_os = "linux", not(clusterlocal_portable)))]
mod linux;
#[cfg(any(not(target_os = "linux"), clusterlocal_portable))]
mod portable;

use std::io;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::Draining;
use super::query_log::{Basis, Received};
use super::responder::{Outcome, Pending, Responder};
use crate::answer::{Answerer, Client};
use crate::wire;
#[cfg(all(target_os = "linux", not(clusterlocal_portable)))]
use linux as system;
#[cfg(any(not(target_os = "linux"), clusterlocal_portable))]
use portable as system;
pub(super) use system::Socket;
use system::{Inbox, Origin, Outbox};

/// Bytes of a datagram that are read: more than a query may have, so that a query that is too long is detected.
const REQUEST_SIZE: usize = 1024;

/// Maximum time that a reply waits for space in the send buffer before it is dropped.
const SEND_TIMEOUT: Duration = Duration::from_millis(100);

/// Maximum number of datagrams that are answered after draining has begun: more than the receive buffer holds, so that any
/// further ones were sent later.
const BACKLOG: usize = 16_384;

/// Pause after a receive error: a socket that keeps failing must not keep a core busy.
const PAUSE: Duration = Duration::from_millis(10);

/// Maximum capacity of a reply buffer that is reused, in bytes. Larger ones are freed.
const REUSED_CAPACITY: usize = 8192;

/// Answers the datagrams of `socket` until draining begins, and then those received by then. Replies have at most `max_udp`
/// bytes.
pub(super) async fn serve(socket: Socket, max_udp: u16, responder: Arc<Responder>, mut draining: Draining) {
    let mut thread = Thread::start(socket, max_udp, responder.clone());
    tokio::select! {
        biased;
        () = draining.begun() => {}
        // The thread ends by itself only if it panics.
        _ = &mut thread.ended => {}
    }
    thread.end().await;
    responder.idle().await;
}

/// The thread of one socket. Dropping this ends it.
struct Thread {
    socket: Arc<Socket>,
    over: Arc<AtomicBool>,
    ended: oneshot::Receiver<()>,
    handle: Option<JoinHandle<()>>,
}

impl Thread {
    /// # Panics
    /// If the system has no thread left.
    fn start(socket: Socket, max_udp: u16, responder: Arc<Responder>) -> Self {
        let (socket, over) = (Arc::new(socket), Arc::new(AtomicBool::new(false)));
        let (ends, ended) = oneshot::channel();
        let runtime = Handle::current();
        let work = {
            let (socket, over) = (socket.clone(), over.clone());
            move || {
                let _ends = ends;
                Worker::new(socket, max_udp, responder, runtime).run(&over);
            }
        };
        let handle = thread::Builder::new().name("udp".into()).spawn(work);
        let handle = Some(handle.expect("a thread for a UDP socket"));
        Thread { socket, over, ended, handle }
    }

    fn request_end(&self) {
        self.over.store(true, Ordering::Relaxed);
        self.socket.end_waiting();
    }

    /// Ends the thread, and returns once it has answered what was received.
    async fn end(mut self) {
        self.request_end();
        _ = (&mut self.ended).await;
        if let Some(Err(panic)) = self.handle.take().map(JoinHandle::join) {
            resume_unwind(panic);
        }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.request_end();
        _ = self.handle.take().map(JoinHandle::join);
    }
}

/// A socket with the buffers for answering on it, allocated once.
struct Worker {
    socket: Arc<Socket>,
    max_udp: u16,
    responder: Arc<Responder>,
    answerer: Answerer,
    /// Runs the tasks of replies that are not ready.
    runtime: Handle,
    inbox: Inbox,
    outbox: Outbox,
    /// The replies of this turn, followed by spare buffers.
    replies: Vec<(Vec<u8>, Origin)>,
    /// The datagrams of this turn, for the query log.
    answered: Vec<Answered>,
}

/// The result of a datagram.
struct Answered {
    datagram: usize,
    basis: Basis,
    reply: Option<usize>,
}

impl Worker {
    fn new(socket: Arc<Socket>, max_udp: u16, responder: Arc<Responder>, runtime: Handle) -> Self {
        Worker {
            inbox: Inbox::new(&socket),
            outbox: Outbox::new(&socket),
            socket,
            max_udp,
            answerer: responder.answerer(),
            responder,
            runtime,
            replies: Vec::new(),
            answered: Vec::new(),
        }
    }

    fn run(&mut self, over: &AtomicBool) {
        while !over.load(Ordering::Relaxed) {
            match self.inbox.receive(&self.socket, true) {
                Ok(()) => self.answer(),
                Err(error) if is_timeout(&error) => {}
                // An ICMP message about an earlier reply, or an interface that went down: the socket itself is usable.
                Err(_) => {
                    self.responder.stats().dropped.add(1);
                    thread::sleep(PAUSE);
                }
            }
        }
        let mut left = BACKLOG;
        while left > 0 && self.inbox.receive(&self.socket, false).is_ok() {
            left = left.saturating_sub(self.inbox.len());
            self.answer();
        }
    }

    /// Answers the datagrams in the inbox.
    fn answer(&mut self) {
        let Worker { responder, inbox, replies, answered, max_udp, .. } = self;
        let batch = responder.batch(inbox.len());
        let received = |datagram: usize| received(inbox.datagram(datagram), *max_udp);
        let mut ready = 0;
        answered.clear();
        for datagram in 0..inbox.len() {
            let (received, origin) = (received(datagram), *inbox.datagram(datagram).1);
            // A reply to port 0 cannot be delivered: drop the datagram.
            if origin.peer.port() == 0 {
                responder.stats().dropped.add(1);
                continue;
            }
            if ready == replies.len() {
                replies.push((Vec::new(), origin));
            }
            let (reply, to) = &mut replies[ready];
            match batch.answer(&mut self.answerer, &received, reply) {
                Outcome::Silent(basis) => answered.push(Answered { datagram, basis, reply: None }),
                Outcome::Reply(basis) => {
                    answered.push(Answered { datagram, basis, reply: Some(ready) });
                    *to = origin;
                    ready += 1;
                }
                Outcome::Pending(pending) => {
                    let late = Late {
                        socket: self.socket.clone(),
                        responder: responder.clone(),
                        origin,
                        max_udp: *max_udp,
                        request: received.request.into(),
                        reply: reply.clone(),
                    };
                    self.runtime.spawn(late.finish(pending));
                }
            }
        }
        // Recorded before it is sent: a client that has the answer finds it in the log.
        let exchanges = answered.iter().map(|Answered { datagram, basis, reply }| {
            (received(*datagram), basis, reply.map(|at| &replies[at].0[..]))
        });
        batch.log.record(responder.view(), exchanges);
        self.send(ready);
    }

    /// Sends the first `ready` of the replies.
    fn send(&mut self, ready: usize) {
        let (mut at, mut sent) = (0, 0);
        while at < ready {
            match self.outbox.send(&self.socket, &self.replies[at..ready]) {
                Ok(count) => {
                    at += count;
                    sent += count;
                }
                Err(error) => {
                    let (reply, to) = &mut self.replies[at];
                    let is_sent = shorten(reply, &error) && self.socket.send(reply, to).is_ok();
                    at += 1;
                    sent += usize::from(is_sent);
                }
            }
        }
        let stats = self.responder.stats();
        stats.udp_replies.add(sent as u64);
        stats.dropped.add((ready - sent) as u64);
        for (reply, _) in self.replies.iter_mut().filter(|(reply, _)| reply.capacity() > REUSED_CAPACITY) {
            *reply = Vec::new();
        }
    }
}

/// The datagram in the form that the responder takes.
fn received<'a>((request, origin): (&'a [u8], &Origin), max_udp: u16) -> Received<'a> {
    let client = Client { udp: true, ipv6: origin.peer.is_ipv6(), max_udp };
    Received { request, peer: origin.peer, client, protocol: &"udp" }
}

/// A reply that is not ready, in a task of its own, so that no other reply waits for it.
struct Late {
    socket: Arc<Socket>,
    responder: Arc<Responder>,
    origin: Origin,
    max_udp: u16,
    request: Vec<u8>,
    reply: Vec<u8>,
}

impl Late {
    async fn finish(mut self, pending: Pending) {
        let received = received((&self.request, &self.origin), self.max_udp);
        if !self.responder.conclude(pending, received, &mut self.reply).await {
            return;
        }
        let mut sent = self.send().await;
        if sent.as_ref().is_err_and(|error| shorten(&mut self.reply, error)) {
            sent = self.send().await;
        }
        let stats = self.responder.stats();
        let count = if sent.is_ok() { &stats.udp_replies } else { &stats.dropped };
        count.add(1);
    }

    /// Sends the reply as soon as the send buffer has space.
    async fn send(&self) -> io::Result<()> {
        const TRIES: u32 = 10;
        for _ in 0..TRIES {
            match self.socket.send(&self.reply, &self.origin) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(SEND_TIMEOUT / TRIES).await,
                done => return done,
            }
        }
        self.socket.send(&self.reply, &self.origin)
    }
}

/// Truncates `reply` if `error` means that it is too long for a datagram, and returns whether it did: an IP packet holds a
/// little less than the 65,535 bytes that EDNS can announce.
fn shorten(reply: &mut Vec<u8>, error: &io::Error) -> bool {
    #[cfg(unix)]
    const MESSAGE_SIZE: i32 = nix::libc::EMSGSIZE;
    // WSAEMSGSIZE.
    #[cfg(not(unix))]
    const MESSAGE_SIZE: i32 = 10040;
    let is_too_long = error.raw_os_error() == Some(MESSAGE_SIZE);
    if is_too_long {
        wire::truncate(reply);
    }
    is_too_long
}

/// Whether no datagram was received.
fn is_timeout(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;
    use crate::answer::{Order, Outside};
    use crate::zone::{Published, Settings, Zone};

    #[tokio::test]
    async fn a_reply_too_long_for_a_datagram_is_truncated() {
        let zone = Published::new(Zone::new(Settings::default()));
        let responder =
            Responder::new(zone.into(), Order::Stable, 0, (None, Outside::NxDomain), Arc::default());
        let bind = || UdpSocket::bind("127.0.0.1:0").unwrap();
        let (server, client) = (bind(), bind());
        client.connect(server.local_addr().unwrap()).unwrap();
        client.send(b"a query").unwrap();
        let header = |flags, answers| [0, 7, flags, 0, 0, 1, 0, answers, 0, 0, 0, 0];
        let question = b"\x03web\0\0\x01\0\x01";
        let reply = || [&header(0x84, 1)[..], question, &[0; 65_500]].concat();
        let short = [&header(0x86, 0)[..], question].concat();
        let server = Arc::new(Socket::new(server).unwrap());
        let mut worker = Worker::new(server, u16::MAX, responder.into(), Handle::current());
        worker.inbox.receive(&worker.socket, true).unwrap();
        let origin = *worker.inbox.datagram(0).1;
        worker.replies = vec![(short.clone(), origin), (reply(), origin), (short.clone(), origin)];
        worker.send(3);
        for _ in 0..3 {
            let mut received = [0; 64];
            let length = client.recv(&mut received).unwrap();
            assert_eq!(received[..length], short);
        }
        assert_eq!(worker.responder.stats().udp_replies.get(), 3);
        assert_eq!(worker.responder.stats().dropped.get(), 0);
    }
}
