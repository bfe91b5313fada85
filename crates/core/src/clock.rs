//! The cluster's time: the wall's, a faster one, or one that somebody moves by hand. Nobody else reads the wall clock.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;

use crate::store::Time;

/// What time a manual clock shows at first: 2026-01-01T00:00:00Z. It is fixed, so that the same steps happen at the same
/// times, and the periods of all controllers begin at it.
pub const MANUAL_START: Time = Time::from_unix_millis(1_767_225_600_000);

/// What time it is in the cluster.
#[derive(Clone, Debug)]
pub struct Clock {
    /// What time it was when it was set last.
    set_to: Time,
    /// Since when it runs; it stands still if absent.
    running_since: Option<Instant>,
    speed: f64,
}

impl Clock {
    /// A clock that shows the time of day, and runs on from now.
    pub fn real() -> Self {
        Clock { set_to: wall(), running_since: Some(Instant::now()), speed: 1.0 }
    }

    /// A clock that stands still at [`MANUAL_START`] until it is moved or resumed.
    pub fn manual() -> Self {
        Clock::standing_at(MANUAL_START)
    }

    /// A clock that stands still at `time`.
    pub fn standing_at(time: Time) -> Self {
        Clock { set_to: time, running_since: None, speed: 1.0 }
    }

    /// The same, `speed` times as fast when it runs.
    #[must_use]
    pub fn at_speed(self, speed: f64) -> Self {
        Clock { set_to: self.now(), running_since: self.running_since.map(|_| Instant::now()), speed }
    }

    /// What it shows.
    pub fn now(&self) -> Time {
        self.at(Instant::now())
    }

    /// What it showed at `moment`, if it was not set since.
    fn at(&self, moment: Instant) -> Time {
        let since = |since| moment.saturating_duration_since(since).mul_f64(self.speed);
        self.set_to.after(self.running_since.map_or(Duration::ZERO, since))
    }

    /// How long it takes by the wall until it shows `time`; for ever if it stands still.
    pub fn until(&self, time: Time) -> Option<Duration> {
        self.running_since.map(|_| time.since(self.now()).div_f64(self.speed))
    }

    /// Moves it on by `time`.
    pub fn advance(&mut self, time: Duration) {
        self.set_to = self.set_to.after(time);
    }

    /// Stops it.
    pub fn pause(&mut self) {
        self.set_to = self.now();
        self.running_since = None;
    }

    /// Lets it run on, from what it shows.
    pub fn resume(&mut self) {
        self.set_to = self.now();
        self.running_since = Some(Instant::now());
    }

    /// Whether it runs.
    pub fn is_running(&self) -> bool {
        self.running_since.is_some()
    }

    /// How many times as fast as the wall's it runs, when it runs.
    pub fn speed(&self) -> f64 {
        self.speed
    }
}

/// A clock that many look at while somebody sets it. A clone is the same clock.
#[derive(Clone, Debug)]
pub struct SharedClock(Arc<ArcSwap<Clock>>);

impl SharedClock {
    /// Lets others look at `clock`.
    pub fn new(clock: Clock) -> Self {
        SharedClock(Arc::new(ArcSwap::from_pointee(clock)))
    }

    /// What it shows.
    pub fn now(&self) -> Time {
        self.0.load().now()
    }

    /// What it showed at `moment`, if it was not set since.
    pub fn at(&self, moment: Instant) -> Time {
        self.0.load().at(moment)
    }

    /// The clock as it is set.
    pub fn get(&self) -> Clock {
        Clock::clone(&self.0.load())
    }

    /// Sets it. Who sets it has to see to it that nobody else does so at the same time.
    pub(crate) fn set(&self, act: impl FnOnce(&mut Clock)) {
        let mut clock = self.get();
        act(&mut clock);
        self.0.store(Arc::new(clock));
    }
}

impl Default for SharedClock {
    /// The wall's.
    fn default() -> Self {
        SharedClock::new(Clock::real())
    }
}

fn wall() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::default().after(since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_stands_still_until_it_is_moved() {
        let begin = Time::from_unix_millis(1_000);
        let mut clock = Clock::standing_at(begin);
        assert_eq!((clock.now(), clock.until(begin.after_secs(1))), (begin, None));
        clock.advance(Duration::from_secs(355));
        assert_eq!(clock.now(), begin.after_secs(355));
        clock.resume();
        assert!(
            clock.now() >= begin.after_secs(355) && clock.until(begin).is_some_and(|wait| wait.is_zero())
        );
        clock.pause();
        assert_eq!(clock.now(), clock.now());
    }

    #[test]
    fn a_fast_clock_waits_for_less() {
        let clock = Clock::real().at_speed(60.0);
        let wait = clock.until(clock.now().after_secs(60)).expect("it runs");
        assert!(wait <= Duration::from_secs(1) && wait > Duration::from_millis(500), "{wait:?}");
    }
}
