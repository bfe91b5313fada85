//! The cluster's time: the system clock's, a faster one, or one that is moved by hand. Nothing else may read the system
//! clock.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;

use crate::store::Time;

/// The initial time of a manual clock: 2026-01-01T00:00:00Z. It is fixed so that the same steps happen at the same
/// times, and the periods of all controllers start at it.
pub const MANUAL_START: Time = Time::from_unix_millis(1_767_225_600_000);

/// The current time of the cluster.
#[derive(Clone, Debug)]
pub struct Clock {
    /// The time it was set to last.
    set_to: Time,
    /// When it was started; absent while it is paused.
    running_since: Option<Instant>,
    speed: f64,
}

impl Clock {
    /// A clock that shows the time of day and runs from now on.
    pub fn real() -> Self {
        Clock { set_to: wall(), running_since: Some(Instant::now()), speed: 1.0 }
    }

    /// A clock that is paused at [`MANUAL_START`] until it is moved or resumed.
    pub fn manual() -> Self {
        Clock::paused_at(MANUAL_START)
    }

    /// A clock that is paused at `time`.
    pub fn paused_at(time: Time) -> Self {
        Clock { set_to: time, running_since: None, speed: 1.0 }
    }

    /// The same clock, `speed` times as fast while it runs.
    #[must_use]
    pub fn at_speed(self, speed: f64) -> Self {
        Clock { set_to: self.now(), running_since: self.running_since.map(|_| Instant::now()), speed }
    }

    /// The current time.
    pub fn now(&self) -> Time {
        self.at(Instant::now())
    }

    /// The time at `moment`, if it was not set since.
    fn at(&self, moment: Instant) -> Time {
        let since = |since| moment.saturating_duration_since(since).mul_f64(self.speed);
        self.set_to.after(self.running_since.map_or(Duration::ZERO, since))
    }

    /// Real time until it shows `time`; `None` if it is paused.
    pub fn until(&self, time: Time) -> Option<Duration> {
        self.running_since.map(|_| time.since(self.now()).div_f64(self.speed))
    }

    /// Moves it forward by `time`.
    pub fn advance(&mut self, time: Duration) {
        self.set_to = self.set_to.after(time);
    }

    /// Pauses it.
    pub fn pause(&mut self) {
        self.set_to = self.now();
        self.running_since = None;
    }

    /// Resumes it from its current time.
    pub fn resume(&mut self) {
        self.set_to = self.now();
        self.running_since = Some(Instant::now());
    }

    /// Whether it runs.
    pub fn is_running(&self) -> bool {
        self.running_since.is_some()
    }

    /// Its speed while it runs, as a multiple of real time.
    pub fn speed(&self) -> f64 {
        self.speed
    }
}

/// A clock with many readers and one writer. Clones share it.
#[derive(Clone, Debug)]
pub struct SharedClock(Arc<ArcSwap<Clock>>);

impl SharedClock {
    /// Shares `clock`.
    pub fn new(clock: Clock) -> Self {
        SharedClock(Arc::new(ArcSwap::from_pointee(clock)))
    }

    /// The current time.
    pub fn now(&self) -> Time {
        self.0.load().now()
    }

    /// The time at `moment`, if it was not set since.
    pub fn at(&self, moment: Instant) -> Time {
        self.0.load().at(moment)
    }

    /// The current setting of the clock.
    pub fn get(&self) -> Clock {
        Clock::clone(&self.0.load())
    }

    /// Changes the clock. The caller must exclude other writers.
    pub(crate) fn set(&self, act: impl FnOnce(&mut Clock)) {
        let mut clock = self.get();
        act(&mut clock);
        self.0.store(Arc::new(clock));
    }
}

impl Default for SharedClock {
    /// The system clock.
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
    fn a_manual_clock_changes_only_when_it_is_moved() {
        let begin = Time::from_unix_millis(1_000);
        let mut clock = Clock::paused_at(begin);
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
    fn a_fast_clock_waits_less_real_time() {
        let clock = Clock::real().at_speed(60.0);
        let wait = clock.until(clock.now().after_secs(60)).expect("it runs");
        assert!(wait <= Duration::from_secs(1) && wait > Duration::from_millis(500), "{wait:?}");
    }
}
