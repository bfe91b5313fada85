//! Bytes that clients have been sent and have not read: the maximum for all clients together. Beyond it, the connection
//! that has read nothing for the longest time is closed. Must not depend on what is sent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::body::Bytes;
use tokio::sync::Notify;

/// Maximum number of waiting bytes of all clients together.
pub(crate) const WAITING_BYTES: usize = 64 << 20;

/// Approximate size of a piece of a stream, in bytes: the memory of a watch or list for one client. A single object may be
/// larger.
pub(crate) const PIECE_BYTES: usize = 64 << 10;

/// The waiting bytes of all connections.
pub(crate) struct Outgoing {
    bound: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bytes: usize,
    /// By number: the connections with waiting bytes.
    accounts: BTreeMap<u64, Account>,
    next: u64,
    /// Number of pieces sent or read so far, as a logical clock.
    clock: u64,
}

struct Account {
    bytes: usize,
    /// When the client last read something, or was sent the first piece.
    active: u64,
    cut_off: Arc<Notify>,
}

/// A connection. Clones share it.
#[derive(Clone)]
pub(crate) struct Connection {
    outgoing: Arc<Outgoing>,
    number: u64,
    cut_off: Arc<Notify>,
}

/// Bytes that are counted while they wait.
struct Waiting {
    bytes: Bytes,
    connection: Connection,
}

impl Outgoing {
    /// With a maximum of `bound` waiting bytes.
    pub(crate) fn new(bound: usize) -> Arc<Self> {
        Arc::new(Outgoing { bound, state: Mutex::default() })
    }

    /// A connection without waiting bytes.
    pub(crate) fn connection(self: &Arc<Self>) -> Connection {
        let mut state = self.state();
        state.next += 1;
        Connection { outgoing: self.clone(), number: state.next, cut_off: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// Closes the slowest connection other than `number`. Returns false if there is none.
    fn cut_off_slowest(&mut self, number: u64) -> bool {
        let others = self.accounts.iter().filter(|(other, _)| **other != number);
        let Some(slowest) = others.min_by_key(|(_, account)| account.active).map(|(other, _)| *other) else {
            return false;
        };
        if let Some(account) = self.accounts.remove(&slowest) {
            self.bytes -= account.bytes;
            account.cut_off.notify_one();
        }
        true
    }
}

impl Connection {
    /// Counts `bytes` as waiting until the result is dropped.
    pub(crate) fn send(&self, bytes: Bytes) -> Bytes {
        let mut state = self.outgoing.state();
        let now = state.tick();
        let account = state.accounts.entry(self.number);
        let account =
            account.or_insert_with(|| Account { bytes: 0, active: now, cut_off: self.cut_off.clone() });
        account.bytes += bytes.len();
        state.bytes += bytes.len();
        while state.bytes > self.outgoing.bound && state.cut_off_slowest(self.number) {}
        drop(state);
        Bytes::from_owner(Waiting { bytes, connection: self.clone() })
    }

    /// Returns once the connection is to be closed.
    pub(crate) async fn cut_off(&self) {
        self.cut_off.notified().await;
    }
}

impl AsRef<[u8]> for Waiting {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut state = self.connection.outgoing.state();
        let now = state.tick();
        // A closed connection has no account.
        let Some(account) = state.accounts.get_mut(&self.connection.number) else { return };
        let taken = self.bytes.len().min(account.bytes);
        account.bytes -= taken;
        account.active = now;
        if account.bytes == 0 {
            state.accounts.remove(&self.connection.number);
        }
        state.bytes -= taken;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    async fn is_cut_off(connection: &Connection) -> bool {
        timeout(Duration::ZERO, connection.cut_off()).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn the_slowest_connection_is_closed() {
        let outgoing = Outgoing::new(100);
        let [slow, reader, other] = [(); 3].map(|()| outgoing.connection());
        let piece = |length: usize| Bytes::from(vec![0; length]);
        let kept = slow.send(piece(40));
        let taken = reader.send(piece(40));
        drop(taken);
        let waiting = reader.send(piece(60));
        assert!(!is_cut_off(&slow).await, "exactly the bound");
        let last = other.send(piece(1));
        assert_eq!(
            [is_cut_off(&slow).await, is_cut_off(&reader).await, is_cut_off(&other).await],
            [true, false, false]
        );
        drop(kept);
        assert_eq!(outgoing.state().bytes, 61, "what a connection that was cut off drops counts no more");
        let alone = other.send(piece(1000));
        assert_eq!([is_cut_off(&reader).await, is_cut_off(&other).await], [true, false]);
        drop((waiting, last, alone));
        let state = outgoing.state();
        assert_eq!((state.bytes, state.accounts.len()), (0, 0));
    }
}
