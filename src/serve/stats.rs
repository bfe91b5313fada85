//! Counters of the transports. Counting takes one relaxed addition; nothing here decides
//! anything.

use std::sync::atomic::{AtomicU64, Ordering};

/// The counters of one set of listeners, all since they were bound.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Messages read, whatever became of them.
    pub queries: Counter,
    /// Replies sent over UDP.
    pub udp_replies: Counter,
    /// Replies sent over TCP.
    pub tcp_replies: Counter,
    /// Datagrams that could not be read or answered, replies that a TCP client did not take, and those that found no
    /// place to be held back in by a fault.
    pub dropped: Counter,
    /// TCP connections closed because there were too many.
    pub evicted: Counter,
    /// Queries whose answering panicked; their clients got SERVFAIL.
    pub panics: Counter,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// The count so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts `n` more.
    pub(super) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }
}
