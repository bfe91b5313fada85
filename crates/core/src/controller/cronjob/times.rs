//! Which times of a schedule have come since a Job was created last (mostRecentScheduleTime in
//! `pkg/controller/cronjob/utils.go`).

use std::time::Duration;

use crate::store::{Schedule, Time};

/// Missed times beyond which a warning is recorded (mostRecentScheduleTime).
const MANY: u64 = 100;

/// Times that have come.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Missed {
    pub(super) last: Time,
    /// Whether they are more than a controller that runs would miss.
    pub(super) are_many: bool,
}

impl Missed {
    /// The times of `schedule` after `from`, up to `now`.
    ///
    /// # Errors
    /// Why the schedule has no times: 31 February.
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
        // Their number is estimated by the first interval; the last is looked for from one interval before the estimate on,
        // because intervals differ: 30 6-16/4 * * 1-5.
        let interval = second.since(first).as_secs().max(1);
        let count = now.since(first).as_secs() / interval + 1;
        let skipped = Duration::from_secs(interval.saturating_mul(count.saturating_sub(2)));
        let mut next = schedule.next(first.after(skipped)).ok_or(never)?;
        let mut last = None;
        while next <= now {
            last = Some(next);
            next = schedule.next(next).ok_or(never)?;
        }
        Ok(last.map(|last| Missed { last, are_many: count > MANY }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_time_that_has_come() {
        let time = |text: &str| text.parse::<Time>().expect(text);
        // The schedule, since when, now; the last time, and whether there were too many.
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
