//! Points in the cluster's time, in the format of the API.

use std::fmt;
use std::num::NonZeroU64;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de};

/// A point in time, in milliseconds since 1970. Objects show it in whole seconds, as metav1.Time does.
///
/// It counts from [`i64::MIN`], which is not valid, so that an `Option<Time>` has the size of a `Time`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(NonZeroU64);

impl Time {
    /// The time `millis` milliseconds after the start of 1970.
    pub const fn from_unix_millis(millis: i64) -> Self {
        match NonZeroU64::new(millis.cast_unsigned() ^ 1 << 63) {
            Some(counted) => Time(counted),
            None => Time(NonZeroU64::MIN),
        }
    }

    /// Milliseconds since the start of 1970.
    pub const fn unix_millis(self) -> i64 {
        (self.0.get() ^ 1 << 63).cast_signed()
    }

    /// Whole seconds since 1970 as in SOA serials: modulo 2^32 (RFC 1982).
    pub const fn serial(self) -> u32 {
        self.unix_millis().div_euclid(1000) as u32
    }

    /// The time `time` later.
    #[must_use]
    pub fn after(self, time: Duration) -> Self {
        Time::from_unix_millis(self.unix_millis().saturating_add(millis(time)))
    }

    /// The time `seconds` later.
    #[must_use]
    pub fn after_secs(self, seconds: u32) -> Self {
        self.after(Duration::from_secs(seconds.into()))
    }

    /// The time `time` earlier.
    #[must_use]
    pub fn before(self, time: Duration) -> Self {
        Time::from_unix_millis(self.unix_millis().saturating_sub(millis(time)))
    }

    /// The time since `earlier`; zero if that is later.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_millis(self.0.get().saturating_sub(earlier.0.get()))
    }

    /// In the format of RFC 1123, like Go's RFC1123Z: `Sun, 22 Nov 2026 18:05:42 +0000`.
    pub fn rfc1123(self) -> String {
        let moment = Timestamp::from_second(self.unix_millis().div_euclid(1000)).unwrap_or(Timestamp::MAX);
        moment.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
    }

    /// The next tick of a loop with `period`: the first one not before this time.
    #[must_use]
    pub fn next_tick(self, period: Duration) -> Self {
        let (now, period) = (self.unix_millis(), millis(period).max(1));
        let ticks = now.div_euclid(period).saturating_add(i64::from(now.rem_euclid(period) > 0));
        Time::from_unix_millis(ticks.saturating_mul(period))
    }
}

/// The start of 1970.
impl Default for Time {
    fn default() -> Self {
        Time::from_unix_millis(0)
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Time").field(&self.unix_millis()).finish()
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// `2026-11-22T18:05:42Z`
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::from_second(self.unix_millis().div_euclid(1000)) {
            Ok(moment) => moment.fmt(f),
            Err(_) => f.write_str("9999-12-31T23:59:59Z"),
        }
    }
}

impl std::str::FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let moment = text.parse::<Timestamp>();
        moment
            .map(|moment| Time::from_unix_millis(moment.as_millisecond()))
            .map_err(|_| format!("{text:?} is not a time (RFC 3339) such as 2026-01-01T00:00:00Z"))
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// `time` in the notation that [`duration`](super::duration) parses: `1m30s`.
pub fn shown_duration(time: Duration) -> String {
    crate::text::Span(time).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_format_of_the_api() {
        let moment: Time = "2026-11-22T18:05:42Z".parse().unwrap();
        assert_eq!(moment.to_string(), "2026-11-22T18:05:42Z");
        assert_eq!(moment.rfc1123(), "Sun, 22 Nov 2026 18:05:42 +0000");
        assert_eq!(moment.after(Duration::from_millis(900)).to_string(), "2026-11-22T18:05:42Z");
        assert_eq!(moment.after_secs(18).to_string(), "2026-11-22T18:06:00Z");
        assert_eq!("2026-11-22T19:05:42.5+01:00".parse::<Time>().unwrap().since(moment).as_millis(), 500);
        assert!("yesterday".parse::<Time>().is_err());
        assert!(!Time::from_unix_millis(i64::MAX).to_string().is_empty());
    }

    #[test]
    fn ticks_are_multiples_of_the_period() {
        let five = Duration::from_secs(5);
        for (at, tick) in [(0, 0), (1, 5000), (5000, 5000), (5001, 10000)] {
            assert_eq!(Time::from_unix_millis(at).next_tick(five), Time::from_unix_millis(tick), "{at}");
        }
    }
}
