//! Schedules in the format of cron, as `robfig/cron`'s ParseStandard reads them: five fields, names of months and days,
//! and the abbreviations `@hourly`, `@daily` and their like; `@every 5m`. Times are UTC.

use std::time::Duration;

use crate::store::{Time, duration};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Days in which the next time is looked for: five years, as in the library.
const HORIZON: i64 = 5 * 366;

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// When something happens again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Schedule {
    /// A bit for each value of a field that is meant.
    Fields {
        minutes: u64,
        hours: u64,
        days: u64,
        months: u64,
        weekdays: u64,
        any_day: bool,
        any_weekday: bool,
    },
    /// A fixed time after the one before.
    Every(Duration),
}

/// The bits of one field, and whether it means all of them (`*` or `?`).
fn field(text: &str, min: u32, max: u32, names: &[&str]) -> Option<(u64, bool)> {
    let number = |text: &str| {
        let named = names.iter().position(|name| text.eq_ignore_ascii_case(name));
        let number = named.map(|at| at as u32 + min).or_else(|| text.parse().ok())?;
        (min..=max).contains(&number).then_some(number)
    };
    let (mut bits, mut any) = (0u64, false);
    for part in text.split(',') {
        let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
        let step: u32 = step.map_or(Some(1), |step| step.parse().ok().filter(|step| *step > 0))?;
        let (from, to) = match range {
            "*" | "?" => {
                any |= step == 1;
                (min, max)
            }
            _ => match range.split_once('-') {
                Some((from, to)) => (number(from)?, number(to)?),
                None if part.contains('/') => (number(range)?, max),
                None => (number(range)?, number(range)?),
            },
        };
        if from > to {
            return None;
        }
        (from..=to).step_by(step as usize).for_each(|value| bits |= 1 << value);
    }
    Some((bits, any))
}

impl Schedule {
    /// The schedule that `text` says, if it says one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = match text.trim() {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            other => other,
        };
        if let Some(period) = text.strip_prefix("@every ") {
            let period = duration(period).filter(|period| *period >= Duration::from_secs(1))?;
            return Some(Schedule::Every(Duration::from_secs(period.as_secs())));
        }
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else { return None };
        let (minutes, _) = field(minute, 0, 59, &[])?;
        let (hours, _) = field(hour, 0, 23, &[])?;
        let (days, any_day) = field(day, 1, 31, &[])?;
        let (months, _) = field(month, 1, 12, &MONTHS)?;
        let (weekdays, any_weekday) = field(weekday, 0, 6, &DAYS)?;
        Some(Schedule::Fields { minutes, hours, days, months, weekdays, any_day, any_weekday })
    }

    /// The first time after `time`; none within five years.
    pub(super) fn next(self, time: Time) -> Option<Time> {
        let Schedule::Fields { minutes, hours, .. } = self else {
            let Schedule::Every(period) = self else { return None };
            let whole = time.unix_millis().div_euclid(1000) * 1000;
            return Some(Time::from_unix_millis(whole).after(period));
        };
        let mut millis = (time.unix_millis().div_euclid(MINUTE) + 1) * MINUTE;
        let end = millis.saturating_add(HORIZON * DAY);
        let next = |millis: i64, unit: i64| (millis.div_euclid(unit) + 1) * unit;
        while millis < end {
            let of_day = millis.rem_euclid(DAY);
            if !self.has_day(millis.div_euclid(DAY)) {
                millis = next(millis, DAY);
            } else if hours >> (of_day / HOUR) & 1 == 0 {
                millis = next(millis, HOUR);
            } else if minutes >> (of_day % HOUR / MINUTE) & 1 == 0 {
                millis = next(millis, MINUTE);
            } else {
                return Some(Time::from_unix_millis(millis));
            }
        }
        None
    }

    /// Whether a day, counted from 1970, is meant: where both kinds of days are restricted, either will do.
    fn has_day(self, day: i64) -> bool {
        let Schedule::Fields { days, months, weekdays, any_day, any_weekday, .. } = self else {
            return false;
        };
        let (month, of_month) = civil(day);
        let by_month = days >> of_month & 1 == 1;
        let by_week = weekdays >> (day + 4).rem_euclid(7) & 1 == 1;
        let fits = if any_day || any_weekday { by_month && by_week } else { by_month || by_week };
        months >> month & 1 == 1 && fits
    }
}

/// Month and day of the month of a day counted from 1970, in the Gregorian calendar (Hinnant's `civil_from_days`).
fn civil(day: i64) -> (u32, u32) {
    let day = day + 719_468;
    let of_era = day.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (month as u32, of_month as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_times_of_schedules() {
        // A Tuesday.
        let from: Time = "2024-02-27T10:07:30Z".parse().expect("a time");
        let table = [
            ("* * * * *", "2024-02-27T10:08:00Z"),
            ("*/5 * * * *", "2024-02-27T10:10:00Z"),
            ("7 * * * *", "2024-02-27T11:07:00Z"),
            ("0 0 29 2 *", "2024-02-29T00:00:00Z"),
            ("30 6-16/4 * * 1-5", "2024-02-27T10:30:00Z"),
            ("0 12 * * SUN", "2024-03-03T12:00:00Z"),
            ("0 0 1 * mon", "2024-03-01T00:00:00Z"),
            ("0 0 ? jan ?", "2025-01-01T00:00:00Z"),
            ("15,45 8 * * *", "2024-02-28T08:15:00Z"),
            ("@hourly", "2024-02-27T11:00:00Z"),
            ("@daily", "2024-02-28T00:00:00Z"),
            ("@weekly", "2024-03-03T00:00:00Z"),
            ("@every 90s", "2024-02-27T10:09:00Z"),
        ];
        for (text, expected) in table {
            let schedule = Schedule::parse(text).expect(text);
            assert_eq!(schedule.next(from).map(|time| time.to_string()).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(Schedule::parse("59 23 31 2 *").expect("a schedule").next(from), None);
        for text in ["", "* * * *", "60 * * * *", "* * 0 * *", "a * * * *", "5-1 * * * *", "*/0 * * * *"] {
            assert_eq!(Schedule::parse(text), None, "{text}");
        }
    }
}
