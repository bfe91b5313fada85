//! Takes the place of CoreDNS's `log` plugin for programs: what was asked, by whom, and what they were told, for tests to
//! ask after. It must not know sockets or the cluster.
//!
//! Writing a query down copies its bytes and no more; they are read when somebody wants to know. The log holds so many
//! bytes; then the oldest go, and are counted.

mod filter;
mod query;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::store::fault::Transport;
use crate::store::{Name, Time};
pub use filter::{Filter, Position};
pub use query::{Edns, Query};

/// The bytes that are kept of one reply; records beyond are only counted.
const REPLY_BYTES: usize = 4096;

/// What keeping an exchange takes beside its bytes: about that much, of them.
const OVERHEAD: usize = 200;

/// What was asked and answered, as far as it is kept. A clone is another handle on the same log.
#[derive(Clone, Debug)]
pub struct QueryLog(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    kept: Mutex<Kept>,
    arrived: Notify,
}

#[derive(Debug)]
struct Kept {
    exchanges: VecDeque<Exchange>,
    /// The number of the next; they count up from 1.
    next: u64,
    bytes: usize,
    bound: usize,
    closed: bool,
}

/// One query and what became of it, as it went over the wire.
#[derive(Clone, Debug)]
struct Exchange {
    number: u64,
    at: Time,
    took: Duration,
    client: SocketAddr,
    transport: Transport,
    serial: u32,
    fault: Option<Name>,
    /// The request, and then the reply.
    bytes: Vec<u8>,
    request: usize,
    /// How long the whole reply was; none was sent if absent.
    reply: Option<usize>,
}

/// What a transport writes down.
#[derive(Clone, Copy, Debug)]
pub struct Exchanged<'a> {
    /// When the query came, in the cluster's time.
    pub at: Time,
    /// How long it took by the wall, until the reply was sent or given up.
    pub took: Duration,
    /// Who asked.
    pub client: SocketAddr,
    /// How.
    pub transport: Transport,
    /// The serial of the zone that the answer is from.
    pub serial: u32,
    /// The fault that hit it.
    pub fault: Option<&'a Name>,
    /// The query's bytes.
    pub request: &'a [u8],
    /// The reply's, if one was sent.
    pub reply: Option<&'a [u8]>,
}

impl Default for QueryLog {
    /// A log of four megabytes: about 15,000 queries.
    fn default() -> Self {
        QueryLog::new(4 << 20)
    }
}

impl QueryLog {
    /// A log that keeps about so many bytes.
    pub fn new(bound: usize) -> Self {
        let kept = Kept { exchanges: VecDeque::new(), next: 1, bytes: 0, bound, closed: false };
        QueryLog(Arc::new(Shared { kept: Mutex::new(kept), arrived: Notify::new() }))
    }

    /// Writes down one exchange.
    pub fn record(&self, exchanged: Exchanged<'_>) {
        self.lock().push(exchanged);
        self.0.arrived.notify_waiters();
    }

    /// The number of the latest query, whether or not it is still kept.
    pub fn latest(&self) -> u64 {
        self.lock().next - 1
    }

    /// How many queries are not kept any more.
    pub fn dropped(&self) -> u64 {
        let kept = self.lock();
        kept.exchanges.front().map_or(kept.next - 1, |first| first.number - 1)
    }

    /// The queries after the one with this number, oldest first.
    pub fn after(&self, number: u64) -> Vec<Query> {
        let exchanges: Vec<Exchange> = {
            let kept = self.lock();
            let first = kept.exchanges.partition_point(|exchange| exchange.number <= number);
            kept.exchanges.range(first..).cloned().collect()
        };
        exchanges.iter().map(Query::read).collect()
    }

    /// Returns once there are queries after the one with this number; false when there will be none any more.
    pub async fn arrived(&self, number: u64) -> bool {
        loop {
            let arrived = self.0.arrived.notified();
            let (latest, closed) = {
                let kept = self.lock();
                (kept.next - 1, kept.closed)
            };
            if latest > number || closed {
                return latest > number;
            }
            arrived.await;
        }
    }

    /// Says that there will be no more queries.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.0.arrived.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn push(&mut self, exchanged: Exchanged<'_>) {
        let Exchanged { at, took, client, transport, serial, fault, request, reply } = exchanged;
        let kept = reply.map_or(&[][..], |reply| &reply[..reply.len().min(REPLY_BYTES)]);
        let size = request.len() + kept.len() + OVERHEAD;
        // What has to go leaves its memory to what comes.
        let mut bytes = Vec::new();
        while self.bytes + size > self.bound {
            let Some(oldest) = self.exchanges.pop_front() else { break };
            self.bytes -= oldest.bytes.len() + OVERHEAD;
            bytes = oldest.bytes;
        }
        bytes.clear();
        bytes.extend_from_slice(request);
        bytes.extend_from_slice(kept);
        let number = self.next;
        self.next += 1;
        if size > self.bound {
            return;
        }
        self.bytes += size;
        self.exchanges.push_back(Exchange {
            number,
            at,
            took,
            client,
            transport,
            serial,
            fault: fault.cloned(),
            bytes,
            request: request.len(),
            reply: reply.map(<[u8]>::len),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(log: &QueryLog, request: &[u8], reply: Option<&[u8]>) {
        log.record(Exchanged {
            at: Time::from_unix_millis(0),
            took: Duration::ZERO,
            client: "127.244.0.1:999".parse().unwrap(),
            transport: Transport::Udp,
            serial: 7,
            fault: None,
            request,
            reply,
        });
    }

    #[test]
    fn the_oldest_go_first_and_are_counted() {
        let log = QueryLog::new(1000);
        for _ in 0..10 {
            asked(&log, &[0; 50], Some(&[0; 50]));
        }
        let numbers: Vec<_> = log.after(0).iter().map(|query| query.number).collect();
        assert_eq!((numbers, log.dropped(), log.latest()), (vec![8, 9, 10], 7, 10));
        assert_eq!(log.after(9).len(), 1);
        asked(&log, &[0; 900], None);
        assert_eq!((log.after(0).len(), log.dropped()), (0, 11), "more than the whole log");
    }

    #[tokio::test]
    async fn who_waits_is_told() {
        let log = QueryLog::default();
        let waiting = tokio::spawn({
            let log = log.clone();
            async move { assert!(log.arrived(1).await) }
        });
        asked(&log, b"", None);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        asked(&log, b"", None);
        waiting.await.unwrap();
    }
}
