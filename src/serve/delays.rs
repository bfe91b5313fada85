//! Replies that are held back for a while: how many there may be, and their end. It must not know why.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::sleep;

/// So many replies may be held back at a time: about as many as clients can wait for on one machine.
const HELD: usize = 10_000;

/// The places for replies that are held back.
pub(super) struct Delays {
    places: Arc<Semaphore>,
    over: watch::Sender<bool>,
}

/// A place, and how long it is needed.
pub(super) struct Delay {
    by: Duration,
    over: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
}

impl Default for Delays {
    fn default() -> Self {
        Delays { places: Arc::new(Semaphore::new(HELD)), over: watch::Sender::new(false) }
    }
}

impl Delays {
    /// A place for `by`, unless all are taken.
    pub(super) fn admit(&self, by: Duration) -> Option<Delay> {
        let place = self.places.clone().try_acquire_owned().ok()?;
        Some(Delay { by, over: self.over.subscribe(), _place: place })
    }

    /// Nobody waits any longer: what is held back is not sent.
    pub(super) fn give_up(&self) {
        self.over.send_replace(true);
    }
}

impl Delay {
    /// Waits for the time; tells whether the reply is to be sent then.
    pub(super) async fn wait(mut self) -> bool {
        tokio::select! {
            () = sleep(self.by) => true,
            // Where nobody is left to tell, it is over as well.
            _ = self.over.wait_for(|over| *over) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_reply_waits_for_its_time_or_for_the_end() {
        let delays = Delays::default();
        let begun = Instant::now();
        assert!(delays.admit(Duration::from_secs(3)).expect("a place").wait().await);
        assert_eq!(begun.elapsed(), Duration::from_secs(3));
        let held = tokio::spawn(delays.admit(Duration::from_secs(3600)).expect("a place").wait());
        delays.give_up();
        assert!(!held.await.expect("no panic"));
        assert!(begun.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn there_are_so_many_places() {
        let delays = Delays::default();
        let held: Vec<Delay> = std::iter::from_fn(|| delays.admit(Duration::ZERO)).collect();
        assert_eq!(held.len(), HELD);
        drop(held);
        assert!(delays.admit(Duration::ZERO).is_some());
    }
}
