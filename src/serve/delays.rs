//! Replies that are delayed: their maximum number, and their cancellation. Must not depend on the reason.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::sleep;

use crate::answer::fault::Ending;

/// Maximum number of delayed replies at a time: about as many as clients on one machine can wait for.
const DELAYED_REPLIES: usize = 10_000;

/// The places of delayed replies.
pub(super) struct Delays {
    places: Arc<Semaphore>,
    over: watch::Sender<bool>,
}

/// A place, and the time for which it is needed.
pub(super) struct Delay {
    by: Duration,
    ending: Ending,
    over: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
}

impl Default for Delays {
    fn default() -> Self {
        Delays { places: Arc::new(Semaphore::new(DELAYED_REPLIES)), over: watch::Sender::new(false) }
    }
}

impl Delays {
    /// Returns a place for `by`, or until the fault ends; none if all are taken.
    pub(super) fn admit(&self, by: Duration, ending: Ending) -> Option<Delay> {
        let place = self.places.clone().try_acquire_owned().ok()?;
        Some(Delay { by, ending, over: self.over.subscribe(), _place: place })
    }

    /// Cancels all delays: their replies are not sent.
    pub(super) fn give_up(&self) {
        self.over.send_replace(true);
    }
}

impl Delay {
    /// Waits for the time, or for the end of the fault. Returns whether the reply is to be sent.
    pub(super) async fn wait(mut self) -> bool {
        tokio::select! {
            () = sleep(self.by) => true,
            () = self.ending.ended() => true,
            // A closed channel means shutdown as well.
            _ = self.over.wait_for(|over| *over) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::Instant;

    use super::*;
    use crate::answer::Faults;
    use crate::answer::fault::Rule;
    use crate::fault::FaultSpec;

    /// Publishes a fault, and returns its end.
    fn fault(faults: &Faults) -> Ending {
        let spec = FaultSpec { actions: "tcp hang".parse().expect("an action"), ..FaultSpec::default() };
        let rule = Rule {
            name: "f".into(),
            spec,
            clients: Vec::new(),
            in_force: true,
            past: Arc::default(),
            state: Arc::default(),
        };
        faults.publish(vec![Arc::new(rule)]);
        let hit = faults.connection([127, 0, 0, 1].into());
        hit.expect("a connection is hit").2
    }

    #[tokio::test(start_paused = true)]
    async fn a_reply_waits_for_its_time_or_for_the_end_of_the_fault_or_of_the_server() {
        let (delays, faults) = (Delays::default(), Faults::default());
        let begun = Instant::now();
        assert!(delays.admit(Duration::from_secs(3), fault(&faults)).expect("a place").wait().await);
        assert_eq!(begun.elapsed(), Duration::from_secs(3));
        let day = Duration::from_secs(86_400);
        let held = tokio::spawn(delays.admit(day, fault(&faults)).expect("a place").wait());
        faults.publish(Vec::new());
        assert!(held.await.expect("no panic"), "sent");
        let held = tokio::spawn(delays.admit(day, fault(&faults)).expect("a place").wait());
        delays.give_up();
        assert!(!held.await.expect("no panic"), "not sent");
        assert!(begun.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn places_are_bounded_and_come_free() {
        let (delays, faults) = (Delays::default(), Faults::default());
        let ending = fault(&faults);
        let held: Vec<Delay> = std::iter::from_fn(|| delays.admit(Duration::ZERO, ending.clone())).collect();
        assert_eq!(held.len(), DELAYED_REPLIES);
        drop(held);
        assert!(delays.admit(Duration::ZERO, ending).is_some());
    }
}
