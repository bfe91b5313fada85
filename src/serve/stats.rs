//! Counters of the transports. Counting is one relaxed addition. No decision depends on a counter.

use std::sync::atomic::{AtomicU64, Ordering};

/// The counters of one set of listeners, since they were bound.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Messages read, answered or not.
    pub queries: Counter,
    /// Replies sent over UDP.
    pub udp_replies: Counter,
    /// Replies sent over TCP.
    pub tcp_replies: Counter,
    /// Datagrams that could not be read or answered, replies that a TCP client did not read, and replies beyond the maximum
    /// number of delayed ones.
    pub dropped: Counter,
    /// TCP connections that were closed at a limit.
    pub evicted: Counter,
    /// Queries whose handler panicked. Their clients got SERVFAIL.
    pub panics: Counter,
}

/// A counter.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// The current value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Adds `n`.
    pub(super) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }
}
