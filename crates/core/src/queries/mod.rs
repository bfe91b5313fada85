//! Takes the place of CoreDNS's `log` plugin for programs: the record of queries and replies, for tests. Must not
//! depend on sockets or the cluster.
//!
//! Recording a query only copies its bytes; they are parsed when they are read. The size of the log is bounded; the
//! oldest queries are dropped, and counted.

mod filter;
mod query;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::fault::Transport;
use crate::store::{Name, Time};
pub use filter::{Filter, Position};
pub use query::Query;

/// Maximum length of the kept part of one reply, in bytes. Of a longer reply the header is reported, with its counts,
/// and the records are omitted.
const REPLY_BYTES: usize = 4096;

/// Memory that an exchange takes besides its messages, in bytes.
const OVERHEAD: usize = size_of::<Exchange>();

/// Typical minimum size of a query and its reply together, in bytes.
const TYPICAL: usize = 100;

/// The recorded queries and replies. Clones share the log.
#[derive(Clone, Debug)]
pub struct QueryLog(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    kept: Mutex<Kept>,
    arrived: Notify,
}

#[derive(Debug)]
struct Kept {
    /// Numbered up to `next`, without gaps.
    exchanges: VecDeque<Exchange>,
    /// The bytes of all exchanges: each request is followed by its reply. A single ring buffer, because recording a
    /// query then allocates and frees nothing.
    bytes: VecDeque<u8>,
    /// The number of the next exchange, starting at 1.
    next: u64,
    bound: usize,
    closed: bool,
}

/// One query and its reply, as sent over the wire.
#[derive(Clone, Debug)]
struct Exchange {
    at: Time,
    took: Duration,
    client: SocketAddr,
    fault: Option<Name>,
    serial: u32,
    /// Length of the request, which is kept completely, in bytes.
    request: u32,
    /// Length of the kept part of the reply, in bytes.
    kept: u32,
    /// Length of the whole reply, in bytes; absent if none was sent.
    reply: Option<u32>,
    transport: Transport,
}

/// An exchange as a transport records it.
#[derive(Clone, Copy, Debug)]
pub struct Exchanged<'a> {
    /// When the query was received, in the cluster's time.
    pub at: Time,
    /// Real time until the reply was sent or abandoned.
    pub took: Duration,
    /// The client.
    pub client: SocketAddr,
    /// The transport.
    pub transport: Transport,
    /// The serial of the zone that the answer is from.
    pub serial: u32,
    /// The fault that hit it.
    pub fault: Option<&'a Name>,
    /// The bytes of the query.
    pub request: &'a [u8],
    /// The bytes of the reply, if one was sent.
    pub reply: Option<&'a [u8]>,
}

impl Default for QueryLog {
    /// A log of four megabytes: about 15,000 queries.
    fn default() -> Self {
        QueryLog::new(4 << 20)
    }
}

impl QueryLog {
    /// A log of about `bound` bytes.
    pub fn new(bound: usize) -> Self {
        let kept = Kept {
            // Memory is taken only once it is written to; a buffer that grows would leave its smaller predecessors
            // behind.
            exchanges: VecDeque::with_capacity(bound / (OVERHEAD + TYPICAL)),
            bytes: VecDeque::with_capacity(bound),
            next: 1,
            bound,
            closed: false,
        };
        QueryLog(Arc::new(Shared { kept: Mutex::new(kept), arrived: Notify::new() }))
    }

    /// Records exchanges in order.
    pub fn record<'a>(&self, exchanges: impl IntoIterator<Item = Exchanged<'a>>) {
        let mut kept = self.lock();
        exchanges.into_iter().for_each(|exchanged| kept.push(exchanged));
        drop(kept);
        self.0.arrived.notify_waiters();
    }

    /// The number of the latest query, even if it has been dropped.
    pub fn latest(&self) -> u64 {
        self.lock().next - 1
    }

    /// Number of dropped queries.
    pub fn dropped(&self) -> u64 {
        self.lock().dropped()
    }

    /// The queries after number `number`, oldest first.
    pub fn after(&self, number: u64) -> Vec<Query> {
        self.first_after(number, usize::MAX).0
    }

    /// Like [`after`](Self::after), limited to `bytes` of queries and replies on the wire, but at least one; and
    /// whether no more follow.
    pub fn first_after(&self, number: u64, bytes: usize) -> (Vec<Query>, bool) {
        let (first, exchanges, bytes, all) = self.lock().after(number, bytes);
        let mut rest = &bytes[..];
        let read = |(number, exchange): (u64, &Exchange)| {
            let (request, after) = rest.split_at(exchange.request as usize);
            let (reply, after) = after.split_at(exchange.kept as usize);
            rest = after;
            Query::read(number, exchange, request, reply)
        };
        ((first..).zip(&exchanges).map(read).collect(), all)
    }

    /// Waits for queries after number `number`; returns false once the log is closed without any.
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

    /// Closes the log: no more queries follow.
    pub fn close(&self) {
        self.lock().closed = true;
        self.0.arrived.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Exchange {
    /// Number of its kept bytes.
    fn len(&self) -> usize {
        self.request as usize + self.kept as usize
    }
}

impl Kept {
    fn push(&mut self, exchanged: Exchanged<'_>) {
        let Exchanged { at, took, client, transport, serial, fault, request, reply } = exchanged;
        let kept = reply.map_or(&[][..], |reply| &reply[..reply.len().min(REPLY_BYTES)]);
        let exchange = Exchange {
            at,
            took,
            client,
            fault: fault.cloned(),
            serial,
            request: request.len() as u32,
            kept: kept.len() as u32,
            reply: reply.map(|reply| reply.len() as u32),
            transport,
        };
        self.next += 1;
        while self.size() + exchange.len() + OVERHEAD > self.bound {
            let Some(oldest) = self.exchanges.pop_front() else { return };
            self.bytes.drain(..oldest.len());
        }
        self.bytes.extend(request);
        self.bytes.extend(kept);
        self.exchanges.push_back(exchange);
    }

    /// Memory that the exchanges take, in bytes.
    fn size(&self) -> usize {
        self.bytes.len() + self.exchanges.len() * OVERHEAD
    }

    fn dropped(&self) -> u64 {
        self.next - 1 - self.exchanges.len() as u64
    }

    /// The exchanges after number `number`, limited to `bytes_max` bytes but at least one: the number of the first, the
    /// exchanges, their bytes, and whether no more follow.
    fn after(&self, number: u64, bytes_max: usize) -> (u64, Vec<Exchange>, Vec<u8>, bool) {
        let skip = number.saturating_sub(self.dropped()).min(self.exchanges.len() as u64);
        let rest = || self.exchanges.range(skip as usize..);
        let begin = self.bytes.len() - rest().map(Exchange::len).sum::<usize>();
        let mut length = 0;
        let mut exchanges = Vec::new();
        for exchange in rest() {
            if !exchanges.is_empty() && length + exchange.len() > bytes_max {
                break;
            }
            length += exchange.len();
            exchanges.push(exchange.clone());
        }
        let all = exchanges.len() == rest().len();
        let bytes = self.bytes.range(begin..begin + length).copied().collect();
        (self.dropped() + skip + 1, exchanges, bytes, all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(log: &QueryLog, request: &[u8], reply: Option<&[u8]>) {
        log.record([Exchanged {
            at: Time::from_unix_millis(0),
            took: Duration::ZERO,
            client: "127.244.0.1:999".parse().unwrap(),
            transport: Transport::Udp,
            serial: 7,
            fault: None,
            request,
            reply,
        }]);
    }

    #[test]
    fn the_oldest_are_dropped_and_counted() {
        let log = QueryLog::new(3 * (100 + OVERHEAD) + 1);
        for _ in 0..10 {
            record(&log, &[0; 50], Some(&[0; 50]));
        }
        let numbers: Vec<_> = log.after(0).iter().map(|query| query.number).collect();
        assert_eq!((numbers, log.dropped(), log.latest()), (vec![8, 9, 10], 7, 10));
        assert_eq!(log.after(9).len(), 1);
        let part = |bytes| {
            let (queries, all) = log.first_after(0, bytes);
            (queries.iter().map(|query| query.number).collect::<Vec<_>>(), all)
        };
        assert_eq!(part(200), (vec![8, 9], false));
        assert_eq!(part(1), (vec![8], false), "one at least");
        assert_eq!(part(300), (vec![8, 9, 10], true));
        record(&log, &[0; 900], None);
        assert_eq!((log.after(0).len(), log.dropped()), (0, 11), "more than the whole log");
    }

    /// Answer records and length of a reply, and how the log reports it.
    #[test]
    fn answers_of_a_reply_are_counted_whether_or_not_its_records_are_kept() {
        use hickory_proto::op::{Message, MessageType, OpCode};
        use hickory_proto::rr::rdata::TXT;
        use hickory_proto::rr::{Name, RData, Record};
        for (records, is_longer, line) in
            [(2, false, "2 answers serial"), (30, true, "30 answers (records omitted) serial")]
        {
            let mut message = Message::new(1, MessageType::Response, OpCode::Query);
            for _ in 0..records {
                let data = RData::TXT(TXT::new(vec!["x".repeat(200)]));
                message.answers.push(Record::from_rdata(Name::root(), 5, data));
            }
            let reply = message.to_vec().unwrap();
            assert_eq!(reply.len() > REPLY_BYTES, is_longer);
            let log = QueryLog::default();
            record(&log, &[0; 12], Some(&reply));
            let query = log.after(0).remove(0);
            assert_eq!((query.answer_count, query.records_omitted), (records, is_longer));
            assert!(query.to_string().contains(line), "{query}");
        }
    }

    #[tokio::test]
    async fn waiters_are_notified() {
        let log = QueryLog::default();
        let waiting = tokio::spawn({
            let log = log.clone();
            async move { assert!(log.arrived(1).await) }
        });
        record(&log, b"", None);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        record(&log, b"", None);
        waiting.await.unwrap();
    }
}
