//! The UDP transport: one loop a socket, which receives, answers and sends in turn. It must not know what makes the
//! replies, nor how a socket finds out which address was asked.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::coop::consume_budget;
use tokio::time::sleep;

use super::Draining;
use super::datagram::{Datagrams, Origin};
use super::packet;
use super::query_log::{self, Asked, Began};
use super::responder::{Later, Outcome, Responder};
use crate::answer::{Answerer, Client};

/// How many datagrams are answered before others get their turn on the thread.
const BATCH: usize = 64;

/// How many datagrams are answered after the end was asked for: more than the receive buffer holds, so whatever
/// comes later was sent later.
const BACKLOG: usize = 16_384;

/// After an error that does not say "nothing there": a socket that keeps failing must not keep a core busy.
const PAUSE: Duration = Duration::from_millis(10);

/// Answers what comes in on `socket` until draining begins, and then what had come in by then. Replies are at
/// most `max_udp` bytes long.
pub(super) async fn serve(
    socket: Datagrams,
    max_udp: u16,
    responder: Arc<Responder>,
    mut draining: Draining,
) {
    let mut udp = Loop {
        socket: Arc::new(socket),
        max_udp,
        answerer: responder.answerer(),
        responder,
        // The largest datagram there is: what is too long for a query is answered as such, not cut.
        request: vec![0; usize::from(u16::MAX)].into(),
        reply: Vec::with_capacity(usize::from(u16::MAX)),
    };
    loop {
        tokio::select! {
            biased;
            () = draining.begun() => break,
            _ = udp.socket.readable() => udp.answer_up_to(BATCH).await,
        }
        consume_budget().await;
    }
    // The runtime hears of the last datagrams only when its driver has had a turn.
    sleep(Duration::from_millis(1)).await;
    udp.answer_up_to(BACKLOG).await;
    udp.responder.idle().await;
}

/// One socket and what answering on it needs, allocated once.
struct Loop {
    socket: Arc<Datagrams>,
    max_udp: u16,
    responder: Arc<Responder>,
    answerer: Answerer,
    request: Box<[u8]>,
    reply: Vec<u8>,
}

impl Loop {
    async fn answer_up_to(&mut self, count: usize) {
        for _ in 0..count {
            match self.socket.try_receive(&mut self.request) {
                Ok((length, origin)) => self.answer(length, origin).await,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // An ICMP message about an earlier reply, an interface that went down: some client's trouble, not
                // the socket's.
                Err(_) => {
                    self.responder.stats().dropped.add(1);
                    sleep(PAUSE).await;
                }
            }
        }
    }

    async fn answer(&mut self, length: usize, origin: Origin) {
        let request = &self.request[..length];
        // Nobody can receive at port 0; who sends from it wants to see what we do.
        if origin.peer.port() == 0 {
            self.responder.stats().dropped.add(1);
            return;
        }
        let began = query_log::begin(self.responder.view());
        let client = Client { udp: true, ipv6: origin.peer.is_ipv6(), max_udp: self.max_udp };
        let asked = Asked { client: origin.peer, protocol: "udp", request };
        let asker = origin.peer.ip();
        // Written down before it is sent: whoever has the answer finds it there.
        match self.responder.respond(&mut self.answerer, request, client, asker, &mut self.reply) {
            Outcome::Silent(told) => query_log::end(self.responder.view(), began, asked, &told, None),
            Outcome::Reply(told) => {
                query_log::end(self.responder.view(), began, asked, &told, Some(&self.reply));
                send(&self.socket, &self.responder, &mut self.reply, &origin).await;
            }
            Outcome::Later(later) => self.finish(later, began, client, length, origin),
        }
    }

    /// Leaves a reply that has to wait to a task of its own: nobody else waits for that.
    fn finish(&self, mut later: Later, began: Option<Began>, client: Client, length: usize, origin: Origin) {
        let (socket, responder) = (self.socket.clone(), self.responder.clone());
        let (request, mut reply) = (self.request[..length].to_vec(), self.reply.clone());
        tokio::spawn(async move {
            let is_sent = responder.finish(&mut later, &request, client, &mut reply).await;
            let asked = Asked { client: origin.peer, protocol: "udp", request: &request };
            query_log::end(responder.view(), began, asked, &later.told, is_sent.then_some(&reply));
            if is_sent {
                send(&socket, &responder, &mut reply, &origin).await;
            }
        });
    }
}

async fn send(socket: &Datagrams, responder: &Responder, reply: &mut Vec<u8>, origin: &Origin) {
    let mut sent = socket.send(reply, origin).await;
    // An IP packet takes a little less than the 65,535 bytes that EDNS can promise.
    if sent.as_ref().is_err_and(is_too_long) {
        packet::truncate(reply);
        sent = socket.send(reply, origin).await;
    }
    let stats = responder.stats();
    let count = if sent.is_ok() { &stats.udp_replies } else { &stats.dropped };
    count.add(1);
}

#[cfg(unix)]
fn is_too_long(error: &io::Error) -> bool {
    error.raw_os_error() == Some(nix::libc::EMSGSIZE)
}

#[cfg(not(unix))]
fn is_too_long(_: &io::Error) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Order;
    use crate::serve::stats::Stats;
    use crate::zone::{Published, Settings, Zone};

    #[tokio::test]
    async fn what_no_datagram_holds_is_truncated() {
        let zone = Published::new(Zone::new(Settings::default()));
        let responder = Responder::new(zone.into(), Order::Stable, 0, None, Arc::new(Stats::default()));
        let bind = || async { tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap() };
        let (server, client) = (bind().await, bind().await);
        client.connect(server.local_addr().unwrap()).await.unwrap();
        let server = Datagrams::new(server).unwrap();
        client.send(b"?").await.unwrap();
        server.readable().await.unwrap();
        let (_, origin) = server.try_receive(&mut [0; 16]).unwrap();
        let header = |flags, answers| [0, 7, flags, 0, 0, 1, 0, answers, 0, 0, 0, 0];
        let question = b"\x03web\0\0\x01\0\x01";
        let mut reply = [&header(0x84, 1)[..], question, &[0; 65_500]].concat();
        send(&server, &responder, &mut reply, &origin).await;
        let mut received = [0; 64];
        let length = client.recv(&mut received).await.unwrap();
        assert_eq!(received[..length], [&header(0x86, 0)[..], question].concat());
        assert_eq!(responder.stats().udp_replies.get(), 1);
    }
}
