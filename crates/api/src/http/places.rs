//! Limits API connections. At the limit, the connection that has waited longest for a request is closed, but none whose
//! request is being answered, such as a watch. Must not depend on what is requested.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The open connections.
pub(crate) struct Places {
    limit: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    next: u64,
    /// A logical clock, for the order in which connections became idle.
    clock: u64,
    seats: HashMap<u64, Seat>,
}

struct Seat {
    /// When it became idle, on the logical clock; `None` while a request is answered.
    idle: Option<u64>,
    evicted: Arc<Notify>,
}

/// Permission of a connection to be open. Dropping its last clone frees the place.
#[derive(Clone)]
pub(crate) struct Place(Arc<Held>);

struct Held {
    places: Arc<Places>,
    number: u64,
    evicted: Arc<Notify>,
}

/// A request that is being answered. Dropping this makes the connection idle again.
pub(crate) struct Busy(Place);

impl Places {
    /// With a maximum of `limit` connections, at least one.
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Places { limit: limit.max(1), open: Mutex::default() })
    }

    /// Returns a place for a new connection, unless all are answering requests.
    pub(crate) fn admit(self: &Arc<Self>) -> Option<Place> {
        let mut open = self.open();
        if open.seats.len() >= self.limit {
            let idle = open.seats.iter().filter_map(|(number, seat)| Some((seat.idle?, *number)));
            let (_, idlest) = idle.min()?;
            open.seats.remove(&idlest)?.evicted.notify_one();
        }
        open.next += 1;
        open.clock += 1;
        let (number, evicted) = (open.next, Arc::<Notify>::default());
        let seat = Seat { idle: Some(open.clock), evicted: evicted.clone() };
        open.seats.insert(number, seat);
        drop(open);
        Some(Place(Arc::new(Held { places: self.clone(), number, evicted })))
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Marks the connection as answering a request.
    pub(crate) fn busy(&self) -> Busy {
        if let Some(seat) = self.0.places.open().seats.get_mut(&self.0.number) {
            seat.idle = None;
        }
        Busy(self.clone())
    }

    /// Returns once the connection is evicted.
    pub(crate) async fn evicted(&self) {
        self.0.evicted.notified().await;
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut open = self.0.0.places.open();
        open.clock += 1;
        let now = open.clock;
        if let Some(seat) = open.seats.get_mut(&self.0.0.number) {
            seat.idle = Some(now);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.places.open().seats.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    async fn is_evicted(place: &Place) -> bool {
        timeout(Duration::ZERO, place.evicted()).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_idle_connection_is_evicted_and_no_busy_one() {
        let places = Places::new(2);
        let [first, second] = [places.admit().expect("a place"), places.admit().expect("a place")];
        drop(first.busy());
        let third = places.admit().expect("the place of the second");
        assert_eq!([is_evicted(&first).await, is_evicted(&second).await], [false, true]);
        drop(second);
        let (watch, other) = (first.busy(), third.busy());
        assert!(places.admit().is_none(), "all are being answered");
        drop(watch);
        assert!(places.admit().is_some());
        assert_eq!([is_evicted(&first).await, is_evicted(&third).await], [true, false]);
        drop(other);
    }

    #[tokio::test]
    async fn a_closed_connection_frees_its_place() {
        let places = Places::new(1);
        let first = places.admit().expect("a place");
        let busy = first.busy();
        drop(first);
        assert!(places.admit().is_none(), "its answer is still sent");
        drop(busy);
        assert!(places.admit().is_some());
    }
}
