//! Points in the cluster's time, as the API writes them.

use std::fmt;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, de};

/// A moment, in milliseconds since 1970. Objects show it in whole seconds, as metav1.Time does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

impl Time {
    /// The moment `millis` milliseconds after the beginning of 1970.
    pub const fn from_unix_millis(millis: i64) -> Self {
        Time(millis)
    }

    /// Milliseconds since the beginning of 1970.
    pub const fn unix_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970 as SOA serials have them: modulo 2^32 (RFC 1982).
    pub const fn serial(self) -> u32 {
        self.0.div_euclid(1000) as u32
    }

    /// The moment that is `time` later.
    #[must_use]
    pub fn after(self, time: Duration) -> Self {
        Time(self.0.saturating_add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX)))
    }

    /// The moment `seconds` later.
    #[must_use]
    pub fn after_secs(self, seconds: u32) -> Self {
        self.after(Duration::from_secs(seconds.into()))
    }

    /// The moment that is `time` earlier.
    #[must_use]
    pub fn before(self, time: Duration) -> Self {
        Time(self.0.saturating_sub(i64::try_from(time.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; nothing if it is not.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The first moment not before this one at which a loop with `period` comes round.
    #[must_use]
    pub fn next_tick(self, period: Duration) -> Self {
        let period = i64::try_from(period.as_millis()).unwrap_or(i64::MAX).max(1);
        Time(self.0.div_euclid(period).saturating_add(i64::from(self.0.rem_euclid(period) > 0)) * period)
    }
}

/// `2026-11-22T18:05:42Z`
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::from_second(self.0.div_euclid(1000)) {
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
            .map(|moment| Time(moment.as_millisecond()))
            .map_err(|_| format!("{text:?} is not a time (RFC 3339)"))
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// A span of time as people write it: `5s`, `1m30s`, `500ms`, `0`.
pub fn duration(text: &str) -> Option<Duration> {
    if text.trim() == "0" {
        return Some(Duration::ZERO);
    }
    text.parse::<SignedDuration>().ok()?.try_into().ok()
}

/// As [`duration`] reads it: `1m30s`.
pub fn shown_duration(time: Duration) -> String {
    super::fault::Span(time).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_and_written_as_the_api_does() {
        let moment: Time = "2026-11-22T18:05:42Z".parse().unwrap();
        assert_eq!(moment.to_string(), "2026-11-22T18:05:42Z");
        assert_eq!(moment.after(Duration::from_millis(900)).to_string(), "2026-11-22T18:05:42Z");
        assert_eq!(moment.after_secs(18).to_string(), "2026-11-22T18:06:00Z");
        assert_eq!("2026-11-22T19:05:42.5+01:00".parse::<Time>().unwrap().since(moment).as_millis(), 500);
        assert!("yesterday".parse::<Time>().is_err());
        assert!(!Time::from_unix_millis(i64::MAX).to_string().is_empty());
    }

    #[test]
    fn loops_come_round() {
        let five = Duration::from_secs(5);
        for (at, tick) in [(0, 0), (1, 5000), (5000, 5000), (5001, 10000)] {
            assert_eq!(Time(at).next_tick(five), Time(tick), "{at}");
        }
    }

    #[test]
    fn spans_of_time() {
        let table = [
            ("5s", Some(5_000)),
            ("1m30s", Some(90_000)),
            ("1m 30s", Some(90_000)),
            ("500ms", Some(500)),
            ("0", Some(0)),
            ("0s", Some(0)),
            ("355s", Some(355_000)),
            ("5", None),
            ("-5s", None),
            ("soon", None),
        ];
        for (text, millis) in table {
            assert_eq!(duration(text), millis.map(Duration::from_millis), "{text:?}");
        }
    }
}
