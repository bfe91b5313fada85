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

use crate::fault::Transport;
use crate::store::{Name, Time};
pub use filter::{Filter, Position};
pub use query::Query;

/// Maximum length of the kept part of one reply, in bytes. Of a longer reply the header is reported, with its counts, and
/// the records are omitted.
const REPLY_BYTES: usize = 4096;

/// What keeping an exchange takes beside its bytes, in bytes.
const OVERHEAD: usize = size_of::<Exchange>();

/// What a query and its reply have together at least, in bytes, as a rule.
const USUAL: usize = 100;

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
    /// Numbered up to `next`, without a gap.
    exchanges: VecDeque<Exchange>,
    /// The bytes of all exchanges, one after the other: each one's request, and then its reply. One ring for all, because
    /// nothing is allocated or freed then when a query comes.
    bytes: VecDeque<u8>,
    /// The number of the next; they count up from 1.
    next: u64,
    bound: usize,
    closed: bool,
}

/// One query and what became of it, as it went over the wire.
#[derive(Clone, Debug)]
struct Exchange {
    at: Time,
    took: Duration,
    client: SocketAddr,
    fault: Option<Name>,
    serial: u32,
    /// How many bytes of the request are kept: all.
    request: u32,
    /// How many bytes of the reply are kept.
    kept: u32,
    /// How long the whole reply was; none was sent if absent.
    reply: Option<u32>,
    transport: Transport,
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
        let kept = Kept {
            // Only what is written to takes memory; growing would leave behind what was too small.
            exchanges: VecDeque::with_capacity(bound / (OVERHEAD + USUAL)),
            bytes: VecDeque::with_capacity(bound),
            next: 1,
            bound,
            closed: false,
        };
        QueryLog(Arc::new(Shared { kept: Mutex::new(kept), arrived: Notify::new() }))
    }

    /// Writes down exchanges, one after the other.
    pub fn record<'a>(&self, exchanges: impl IntoIterator<Item = Exchanged<'a>>) {
        let mut kept = self.lock();
        exchanges.into_iter().for_each(|exchanged| kept.push(exchanged));
        drop(kept);
        self.0.arrived.notify_waiters();
    }

    /// The number of the latest query, whether or not it is still kept.
    pub fn latest(&self) -> u64 {
        self.lock().next - 1
    }

    /// How many queries are not kept any more.
    pub fn dropped(&self) -> u64 {
        self.lock().dropped()
    }

    /// The queries after the one with this number, oldest first.
    pub fn after(&self, number: u64) -> Vec<Query> {
        self.first_after(number, usize::MAX).0
    }

    /// As [`after`](Self::after), as far as the queries and their replies have no more than `bytes` on the wire, but at least
    /// one; and whether that is all.
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
    pub fn close(&self) {
        self.lock().closed = true;
        self.0.arrived.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Exchange {
    /// How many bytes of it are kept.
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

    /// How much memory the exchanges take, in bytes.
    fn size(&self) -> usize {
        self.bytes.len() + self.exchanges.len() * OVERHEAD
    }

    fn dropped(&self) -> u64 {
        self.next - 1 - self.exchanges.len() as u64
    }

    /// The exchanges after the one with this number, as far as they have no more than `most` bytes, but at least one: the
    /// number of the first, all of them, their bytes, and whether there are no more.
    fn after(&self, number: u64, most: usize) -> (u64, Vec<Exchange>, Vec<u8>, bool) {
        let skip = number.saturating_sub(self.dropped()).min(self.exchanges.len() as u64);
        let rest = || self.exchanges.range(skip as usize..);
        let begin = self.bytes.len() - rest().map(Exchange::len).sum::<usize>();
        let mut length = 0;
        let mut exchanges = Vec::new();
        for exchange in rest() {
            if !exchanges.is_empty() && length + exchange.len() > most {
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

    fn asked(log: &QueryLog, request: &[u8], reply: Option<&[u8]>) {
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
    fn the_oldest_go_first_and_are_counted() {
        let log = QueryLog::new(3 * (100 + OVERHEAD) + 1);
        for _ in 0..10 {
            asked(&log, &[0; 50], Some(&[0; 50]));
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
        asked(&log, &[0; 900], None);
        assert_eq!((log.after(0).len(), log.dropped()), (0, 11), "more than the whole log");
    }

    /// Answer records and length of a reply; what the log reports of it.
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
            asked(&log, &[0; 12], Some(&reply));
            let query = log.after(0).remove(0);
            assert_eq!((query.answer_count, query.records_omitted), (records, is_longer));
            assert!(query.to_string().contains(line), "{query}");
        }
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
