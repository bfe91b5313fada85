//! Limits on open TCP connections: one in total and one per client. At a limit, the connection that has been idle longest
//! is closed. Must not depend on what is sent on the connections.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

/// The open connections.
pub(super) struct Admissions {
    limit: usize,
    per_client: usize,
    /// Idle times are measured from here.
    epoch: Instant,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    next: u64,
    seats: HashMap<u64, Arc<Seat>>,
}

struct Seat {
    client: IpAddr,
    /// Time of the last answer, in milliseconds since the epoch.
    active: AtomicU64,
    evicted: Notify,
}

/// Permission of one connection to be open. Dropping it frees its place.
pub(super) struct Admission {
    admissions: Arc<Admissions>,
    number: u64,
    seat: Arc<Seat>,
}

impl Admissions {
    /// At most `limit` connections, and at most `per_client` from one address other than loopback.
    pub(super) fn new(limit: usize, per_client: usize) -> Self {
        Admissions {
            limit: limit.max(1),
            per_client: per_client.max(1),
            epoch: Instant::now(),
            open: Mutex::default(),
        }
    }

    /// Admits a connection of `client`, and returns whether another one was evicted for it.
    pub(super) fn admit(self: &Arc<Self>, client: IpAddr) -> (Admission, bool) {
        let mut open = self.open();
        let of_client = |seat: &Seat| seat.client == client;
        let held = open.seats.values().filter(|seat| of_client(seat)).count();
        let evicted = if !client.is_loopback() && held >= self.per_client {
            open.evict(of_client)
        } else if open.seats.len() >= self.limit {
            open.evict(|_| true)
        } else {
            false
        };
        let number = open.next;
        open.next += 1;
        let seat = Arc::new(Seat { client, active: AtomicU64::new(self.now()), evicted: Notify::new() });
        open.seats.insert(number, seat.clone());
        drop(open);
        (Admission { admissions: self.clone(), number, seat }, evicted)
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Open {
    /// Evicts the connection that has been idle longest among those that match `concerned`; of two that are equal, the
    /// older one.
    fn evict(&mut self, concerned: impl Fn(&Seat) -> bool) -> bool {
        let idlest = self
            .seats
            .iter()
            .filter(|(_, seat)| concerned(seat))
            .min_by_key(|(number, seat)| (seat.active.load(Ordering::Relaxed), **number))
            .map(|(&number, _)| number);
        let seat = idlest.and_then(|number| self.seats.remove(&number));
        if let Some(seat) = &seat {
            seat.evicted.notify_one();
        }
        seat.is_some()
    }
}

impl Admission {
    /// Records that the connection was used just now.
    pub(super) fn touch(&self) {
        self.seat.active.store(self.admissions.now(), Ordering::Relaxed);
    }

    /// Returns once the connection is evicted.
    pub(super) async fn evicted(&self) {
        self.seat.evicted.notified().await;
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.admissions.open().seats.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{advance, timeout};

    use super::*;

    async fn is_evicted(admission: &Admission) -> bool {
        timeout(Duration::ZERO, admission.evicted()).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_limit_the_longest_idle_connection_is_evicted() {
        let local = "127.0.0.1".parse().unwrap();
        let admissions = Arc::new(Admissions::new(2, 1));
        let (first, _) = admissions.admit(local);
        let (second, evicted) = admissions.admit(local);
        assert!(!evicted, "a loopback client has no limit of its own");
        advance(Duration::from_millis(5)).await;
        first.touch();
        let (third, evicted) = admissions.admit(local);
        assert!(evicted);
        assert_eq!([is_evicted(&first).await, is_evicted(&second).await], [false, true]);
        drop((second, third));
        assert!(
            !admissions.admit(local).1,
            "a closed connection frees a place, an evicted one did so before"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_at_its_limit_evicts_its_own_connection() {
        let [one, other] = ["192.0.2.1", "192.0.2.2"].map(|ip| ip.parse().unwrap());
        let admissions = Arc::new(Admissions::new(10, 2));
        let (others, _) = admissions.admit(other);
        advance(Duration::from_millis(5)).await;
        let held: Vec<_> = (0..3).map(|_| admissions.admit(one).0).collect();
        assert!(!is_evicted(&others).await, "idle longest, but of another client");
        assert!(is_evicted(&held[0]).await);
        assert!(!is_evicted(&held[1]).await && !is_evicted(&held[2]).await);
    }
}
