//! The missed times of a schedule since a Job was last created (mostRecentScheduleTime in
//! `pkg/controller/cronjob/utils.go`).

use std::time::Duration;

use crate::store::{Schedule, Time};

/// Number of missed times from which a warning is recorded (mostRecentScheduleTime).
const MISSED_MANY: u64 = 100;

/// Missed times.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Missed {
    pub(super) last: Time,
    /// Whether there are more of them than a running controller would miss.
    pub(super) are_many: bool,
}

impl Missed {
    /// The times of `schedule` after `from`, up to and including `now`.
    ///
    /// # Errors
    /// Why the schedule has no times, such as 31 February.
    pub(super) fn since(schedule: &Schedule, from: Time, now: Time) -> Result<Option<Missed>, &'static str> {
        let never = "time difference between two schedules is less than 1 second";
        let first = schedule.next(from).ok_or(never)?;
        if now < first {
            return Ok(None);
        }
        let second = schedule.next(first).ok_or(never)?;
        if now < second {
            return Ok(Some(Missed { last: first, are_many: false }));
        }
        // The number is estimated from the first interval. The last time is searched from one interval before the
        // estimate, because intervals differ: 30 6-16/4 * * 1-5.
        let interval = second.since(first).as_secs().max(1);
        let count = now.since(first).as_secs() / interval + 1;
        let skipped = Duration::from_secs(interval.saturating_mul(count.saturating_sub(2)));
        let mut next = schedule.next(first.after(skipped)).ok_or(never)?;
        let mut last = None;
        while next <= now {
            last = Some(next);
            next = schedule.next(next).ok_or(never)?;
        }
        Ok(last.map(|last| Missed { last, are_many: count > MISSED_MANY }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_recent_missed_time_is_found() {
        let time = |text: &str| text.parse::<Time>().expect(text);
        // The schedule, its start, now; the most recent time, and whether too many were missed.
        let table = [
            ("0 * * * *", "2024-02-27T10:00:00Z", "2024-02-27T10:59:59Z", None),
            (
                "0 * * * *",
                "2024-02-27T10:00:00Z",
                "2024-02-27T11:00:00Z",
                Some(("2024-02-27T11:00:00Z", false)),
            ),
            (
                "0 * * * *",
                "2024-02-27T10:00:00Z",
                "2024-02-27T15:30:00Z",
                Some(("2024-02-27T15:00:00Z", false)),
            ),
            (
                "0 * * * *",
                "2024-02-27T10:00:00Z",
                "2024-03-02T14:30:00Z",
                Some(("2024-03-02T14:00:00Z", false)),
            ),
            (
                "0 * * * *",
                "2024-02-27T10:00:00Z",
                "2024-03-02T15:30:00Z",
                Some(("2024-03-02T15:00:00Z", true)),
            ),
            (
                "@every 7m",
                "2024-02-27T10:00:00Z",
                "2024-02-27T10:30:00Z",
                Some(("2024-02-27T10:28:00Z", false)),
            ),
            // From Friday evening to Monday morning.
            (
                "30 6-16/4 * * 1-5",
                "2024-03-01T14:30:00Z",
                "2024-03-04T11:00:00Z",
                Some(("2024-03-04T10:30:00Z", false)),
            ),
        ];
        for (text, from, now, expected) in table {
            let schedule = Schedule::parse(text).expect(text);
            let missed = Missed::since(&schedule, time(from), time(now));
            let expected = expected.map(|(last, are_many)| Missed { last: time(last), are_many });
            assert_eq!(missed, Ok(expected), "{text} {now}");
        }
        let never = Schedule::parse("59 23 31 2 *").expect("a schedule");
        assert!(Missed::since(&never, Time::default(), time("2024-02-27T10:00:00Z")).is_err());
    }
}
