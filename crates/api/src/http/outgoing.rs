//! What clients were sent and have not taken yet: how many bytes of it may wait in all. Where it is more, the connection
//! that has taken nothing for longest is cut off. It must not know what is sent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::body::Bytes;
use tokio::sync::Notify;

/// Maximum of the bytes that wait for all clients together.
pub(crate) const WAITING_BYTES: usize = 64 << 20;

/// About how long a piece of a stream is, in bytes: a watch's or list's memory for one client. A single object may be
/// longer.
pub(crate) const PIECE_BYTES: usize = 64 << 10;

/// The bytes that wait, by connection.
pub(crate) struct Outgoing {
    bound: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bytes: usize,
    /// By number of the connection: those for which something waits.
    accounts: BTreeMap<u64, Account>,
    next: u64,
    /// Counts pieces that were sent or taken: the order of what happens.
    clock: u64,
}

struct Account {
    bytes: usize,
    /// When the client took something last, or else when it was sent the first piece.
    active: u64,
    cut_off: Arc<Notify>,
}

/// One connection. A clone is the same.
#[derive(Clone)]
pub(crate) struct Connection {
    outgoing: Arc<Outgoing>,
    number: u64,
    cut_off: Arc<Notify>,
}

/// Bytes that count as long as they wait.
struct Waiting {
    bytes: Bytes,
    connection: Connection,
}

impl Outgoing {
    /// As many bytes as `bound` may wait.
    pub(crate) fn new(bound: usize) -> Arc<Self> {
        Arc::new(Outgoing { bound, state: Mutex::default() })
    }

    /// A connection, for which nothing waits yet.
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

    /// Cuts off the slowest connection but for `number`; false if there is no other.
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
    /// `bytes`, which wait until they are dropped.
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

    /// Returns when the connection is to be cut off.
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
        // One that was cut off has no account any more.
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
    async fn the_slowest_makes_room() {
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
