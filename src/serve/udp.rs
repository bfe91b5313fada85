//! The UDP transport: a thread for each socket, which receives, answers and sends in turn, many datagrams at a time. It
//! must not know what makes the replies, nor how a socket finds out which address was asked.
//!
//! It is a thread and not a task because waiting inside the receiving call is the quickest way to be woken: a runtime
//! would be told by its own call that there is something to receive.

use std::io;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::Draining;
#[cfg(target_os = "linux")]
use super::batch::{Inbox, Outbox, end_waiting};
use super::datagram::{Datagrams, Origin};
#[cfg(not(target_os = "linux"))]
use super::one_by_one::{Inbox, Outbox, end_waiting};
use super::query_log::{self, Began, Received};
use super::responder::{Basis, Outcome, Responder};
use crate::answer::{Answerer, Client};
use crate::wire;

/// How many datagrams are answered after the end was asked for: more than the receive buffer holds, so whatever
/// comes later was sent later.
const BACKLOG: usize = 16_384;

/// After an error that does not say "nothing there": a socket that keeps failing must not keep a core busy.
const PAUSE: Duration = Duration::from_millis(10);

/// A reply's buffer that has grown larger than this, in bytes, is given back.
const KEPT: usize = 8192;

/// Answers what comes in on `socket` until draining begins, and then what had come in by then. Replies are at
/// most `max_udp` bytes long.
pub(super) async fn serve(
    socket: Datagrams,
    max_udp: u16,
    responder: Arc<Responder>,
    mut draining: Draining,
) {
    let mut thread = Thread::start(socket, max_udp, responder.clone());
    tokio::select! {
        biased;
        () = draining.begun() => {}
        // It does not end by itself, unless it panics.
        _ = &mut thread.ended => {}
    }
    thread.end().await;
    responder.idle().await;
}

/// The thread of one socket; it ends when this is dropped, at the latest.
struct Thread {
    socket: Arc<Datagrams>,
    over: Arc<AtomicBool>,
    ended: oneshot::Receiver<()>,
    handle: Option<JoinHandle<()>>,
}

impl Thread {
    /// # Panics
    /// When the system gives no thread.
    fn start(socket: Datagrams, max_udp: u16, responder: Arc<Responder>) -> Self {
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

    fn tell(&self) {
        self.over.store(true, Ordering::Relaxed);
        end_waiting(&self.socket);
    }

    /// Lets it answer what has come in, and end.
    async fn end(mut self) {
        self.tell();
        _ = (&mut self.ended).await;
        if let Some(Err(panic)) = self.handle.take().map(JoinHandle::join) {
            resume_unwind(panic);
        }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.tell();
        _ = self.handle.take().map(JoinHandle::join);
    }
}

/// One socket and what answering on it needs, allocated once.
struct Worker {
    socket: Arc<Datagrams>,
    max_udp: u16,
    responder: Arc<Responder>,
    answerer: Answerer,
    /// Where replies wait that are not ready.
    runtime: Handle,
    inbox: Inbox,
    outbox: Outbox,
    /// The replies of this turn, and after them what buffers there are.
    replies: Vec<(Vec<u8>, Origin)>,
    /// The datagrams of this turn, for the query log.
    answered: Vec<Answered>,
}

/// What became of a datagram.
struct Answered {
    datagram: usize,
    basis: Basis,
    reply: Option<usize>,
}

impl Worker {
    fn new(socket: Arc<Datagrams>, max_udp: u16, responder: Arc<Responder>, runtime: Handle) -> Self {
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
                Err(error) if is_patience(&error) => {}
                // An ICMP message about an earlier reply, an interface that went down: some client's trouble, not
                // the socket's.
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

    /// Answers what is in the inbox.
    fn answer(&mut self) {
        let Worker { responder, inbox, replies, answered, max_udp, .. } = self;
        let began = query_log::begin(responder.view());
        let batch = responder.batch(inbox.len());
        let received = |datagram: usize| received(inbox.datagram(datagram), *max_udp);
        let mut ready = 0;
        answered.clear();
        for datagram in 0..inbox.len() {
            let (received, origin) = (received(datagram), *inbox.datagram(datagram).1);
            // Nothing can receive at port 0: a reply would only show what this host does with it.
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
                pending @ Outcome::Pending(_) => {
                    let late = Late {
                        socket: self.socket.clone(),
                        responder: responder.clone(),
                        origin,
                        max_udp: *max_udp,
                        began,
                        request: received.request.into(),
                        reply: reply.clone(),
                    };
                    self.runtime.spawn(late.finish(pending));
                }
            }
        }
        // Recorded before it is sent: a client that has the answer finds it in the log.
        query_log::end(
            responder.view(),
            began,
            answered.iter().map(|Answered { datagram, basis, reply }| {
                (received(*datagram), basis, reply.map(|at| &replies[at].0[..]))
            }),
        );
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
                    let is_sent = shorten(reply, &error) && self.socket.try_send(reply, to).is_ok();
                    at += 1;
                    sent += usize::from(is_sent);
                }
            }
        }
        let stats = self.responder.stats();
        stats.udp_replies.add(sent as u64);
        stats.dropped.add((ready - sent) as u64);
        for (reply, _) in self.replies.iter_mut().filter(|(reply, _)| reply.capacity() > KEPT) {
            *reply = Vec::new();
        }
    }
}

/// A datagram and where it came from, as the responder takes it.
fn received<'a>((request, origin): (&'a [u8], &Origin), max_udp: u16) -> Received<'a> {
    let client = Client { udp: true, ipv6: origin.peer.is_ipv6(), max_udp };
    Received { request, peer: origin.peer, client, protocol: &"udp" }
}

/// A reply that has to wait, in a task of its own: no other waits for it.
struct Late {
    socket: Arc<Datagrams>,
    responder: Arc<Responder>,
    origin: Origin,
    max_udp: u16,
    began: Option<Began>,
    request: Vec<u8>,
    reply: Vec<u8>,
}

impl Late {
    async fn finish(self, pending: Outcome) {
        let Late { socket, responder, origin, max_udp, began, request, mut reply } = self;
        let received = received((&request, &origin), max_udp);
        if !responder.conclude(pending, began, received, &mut reply).await {
            return;
        }
        let mut sent = socket.send(&reply, &origin).await;
        if sent.as_ref().is_err_and(|error| shorten(&mut reply, error)) {
            sent = socket.send(&reply, &origin).await;
        }
        let stats = responder.stats();
        let count = if sent.is_ok() { &stats.udp_replies } else { &stats.dropped };
        count.add(1);
    }
}

/// Truncates a reply that `error` says is too long for a datagram, and tells whether it was: an IP packet takes a little
/// less than the 65,535 bytes that EDNS can promise.
fn shorten(reply: &mut Vec<u8>, error: &io::Error) -> bool {
    #[cfg(unix)]
    let is_too_long = error.raw_os_error() == Some(nix::libc::EMSGSIZE);
    #[cfg(not(unix))]
    let is_too_long = false;
    if is_too_long {
        wire::truncate(reply);
    }
    is_too_long
}

/// Whether nothing came, and it is time to look whether it is still worth waiting.
fn is_patience(error: &io::Error) -> bool {
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
    async fn what_no_datagram_holds_is_truncated() {
        let zone = Published::new(Zone::new(Settings::default()));
        let responder =
            Responder::new(zone.into(), Order::Stable, 0, (None, Outside::NxDomain), Arc::default());
        let bind = || UdpSocket::bind("127.0.0.1:0").unwrap();
        let (server, client) = (bind(), bind());
        client.connect(server.local_addr().unwrap()).unwrap();
        let server = Arc::new(Datagrams::new(server).unwrap());
        let origin = Origin { peer: client.local_addr().unwrap(), asked: None };
        let header = |flags, answers| [0, 7, flags, 0, 0, 1, 0, answers, 0, 0, 0, 0];
        let question = b"\x03web\0\0\x01\0\x01";
        let reply = || [&header(0x84, 1)[..], question, &[0; 65_500]].concat();
        let short = [&header(0x86, 0)[..], question].concat();
        let mut worker = Worker::new(server.clone(), u16::MAX, responder.into(), Handle::current());
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
