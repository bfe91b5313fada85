//! Time zones of the IANA database: the system's, or else the built-in one, if there is one.

use jiff::Timestamp;
use jiff::civil::DateTime;

use super::time::Time;

/// A time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeZone(jiff::tz::TimeZone);

/// UTC.
impl Default for TimeZone {
    fn default() -> Self {
        TimeZone(jiff::tz::TimeZone::UTC)
    }
}

impl TimeZone {
    /// The time zone called `name`, in its exact spelling; UTC for the empty name and for `Local`.
    ///
    /// # Errors
    /// The error of Go's `time.LoadLocation`, if the zone does not exist.
    pub fn find(name: &str) -> Result<Self, String> {
        if matches!(name, "" | "UTC" | "Local") {
            return Ok(TimeZone::default());
        }
        if name.contains("..") || name.starts_with(['/', '\\']) {
            return Err("time: invalid location name".into());
        }
        // The lookup ignores case, Go's file lookup does not.
        let found = jiff::tz::TimeZone::get(name).ok().filter(|zone| zone.iana_name() == Some(name));
        found.map(TimeZone).ok_or_else(|| format!("unknown time zone {name}"))
    }

    /// The civil time of the zone at `time`.
    pub(super) fn civil(&self, time: Time) -> Option<DateTime> {
        let moment = Timestamp::from_millisecond(time.unix_millis()).ok()?;
        Some(self.0.to_datetime(moment))
    }

    /// When the day after that of `civil` starts.
    pub(super) fn next_day(&self, civil: DateTime) -> Option<Time> {
        let day = civil.date().tomorrow().ok()?.to_zoned(self.0.clone()).ok()?;
        Some(Time::from_unix_millis(day.timestamp().as_millisecond()))
    }

    /// `time` in RFC 3339 format with the zone's offset: `2026-11-22T19:05:42+01:00`.
    pub fn rfc3339(&self, time: Time) -> String {
        let Ok(moment) = Timestamp::from_second(time.unix_millis().div_euclid(1000)) else {
            return time.to_string();
        };
        let offset = self.0.to_offset(moment);
        if offset.is_zero() { time.to_string() } else { moment.display_with_offset(offset).to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_zones_are_found_by_their_exact_name() {
        let moment: Time = "2026-11-22T18:05:42Z".parse().expect("a time");
        let table = [
            ("", Ok("2026-11-22T18:05:42Z")),
            ("UTC", Ok("2026-11-22T18:05:42Z")),
            ("Europe/London", Ok("2026-11-22T18:05:42Z")),
            ("Europe/Berlin", Ok("2026-11-22T19:05:42+01:00")),
            ("America/St_Johns", Ok("2026-11-22T14:35:42-03:30")),
            ("europe/berlin", Err("unknown time zone europe/berlin")),
            ("Mars/Base", Err("unknown time zone Mars/Base")),
            ("../etc/passwd", Err("time: invalid location name")),
        ];
        for (name, expected) in table {
            let found = TimeZone::find(name).map(|zone| zone.rfc3339(moment));
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{name}");
        }
    }
}
