//! Schedules in cron format, as `robfig/cron`'s ParseStandard parses them: five fields, names of months and days,
//! abbreviations such as `@hourly` and `@daily`, and `@every 5m`.

use std::time::Duration;

use jiff::civil::DateTime;

use super::time::Time;
use super::time_zone::TimeZone;
use crate::text::duration;

const MINUTE: Duration = Duration::from_secs(60);

/// Number of years in which the next time is searched, as in the library.
const HORIZON: i16 = 5;

/// The minimum and maximum of a field, and the names of its values from the minimum on.
struct Bounds(u32, u32, &'static [&'static str]);

const MINUTES: Bounds = Bounds(0, 59, &[]);
const HOURS: Bounds = Bounds(0, 23, &[]);
const DAYS: Bounds = Bounds(1, 31, &[]);
const MONTHS: Bounds =
    Bounds(1, 12, &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]);
const WEEKDAYS: Bounds = Bounds(0, 6, &["sun", "mon", "tue", "wed", "thu", "fri", "sat"]);

/// A recurring time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    times: Times,
    zone: TimeZone,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Times {
    /// The values of each field.
    Fields { minutes: Field, hours: Field, days: Field, months: Field, weekdays: Field },
    /// A fixed interval.
    Every(Duration),
}

/// The values that a field allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Field {
    /// A bit for each value.
    bits: u64,
    /// Whether it allows all of them (`*` or `?`).
    is_star: bool,
}

impl Field {
    fn has(self, value: i8) -> bool {
        self.bits >> value & 1 == 1
    }

    /// Parses `0,30`, `8-17/2` or `*` (getField).
    fn parse(text: &str, bounds: &Bounds) -> Result<Self, String> {
        let mut field = Field { bits: 0, is_star: false };
        for range in text.split(',').filter(|range| !range.is_empty()) {
            field.add(range, bounds)?;
        }
        Ok(field)
    }

    /// Adds the values of a range (getRange).
    fn add(&mut self, text: &str, Bounds(least, most, names): &Bounds) -> Result<(), String> {
        let value = |text: &str| {
            let named = names.iter().position(|name| text.eq_ignore_ascii_case(name));
            named.map_or_else(|| number(text), |at| Ok(at as u64 + u64::from(*least)))
        };
        let (least, most) = (u64::from(*least), u64::from(*most));
        let parts: Vec<&str> = text.split('/').collect();
        let ends: Vec<&str> = parts[0].split('-').collect();
        let is_star = matches!(ends[0], "*" | "?");
        let (first, mut last) = match ends[..] {
            _ if is_star => (least, most),
            [one] => (value(one)?, value(one)?),
            [first, last] => (value(first)?, value(last)?),
            _ => {
                value(ends[0])?;
                return Err(format!("too many hyphens: {text}"));
            }
        };
        let step = match parts[..] {
            [_] => 1,
            [_, step] => {
                let step = number(step)?;
                if ends.len() == 1 {
                    last = most;
                }
                step
            }
            _ => return Err(format!("too many slashes: {text}")),
        };
        if first < least {
            return Err(format!("beginning of range ({first}) below minimum ({least}): {text}"));
        }
        if last > most {
            return Err(format!("end of range ({last}) above maximum ({most}): {text}"));
        }
        if first > last {
            return Err(format!("beginning of range ({first}) beyond end of range ({last}): {text}"));
        }
        if step == 0 {
            return Err(format!("step of range should be a positive number: {text}"));
        }
        let step = usize::try_from(step).unwrap_or(usize::MAX);
        (first..=last).step_by(step).for_each(|value| self.bits |= 1 << value);
        self.is_star |= is_star && step == 1;
        Ok(())
    }
}

/// Parses a number that is not negative, with the errors of Go's `strconv.Atoi` (mustParseInt).
fn number(text: &str) -> Result<u64, String> {
    let why = match text.parse::<i64>() {
        Ok(number) if number < 0 => return Err(format!("negative number ({number}) not allowed: {text}")),
        Ok(number) => return Ok(number.unsigned_abs()),
        Err(error) => match error.kind() {
            std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => "value out of range",
            _ => "invalid syntax",
        },
    };
    Err(format!("failed to parse int from {text}: strconv.Atoi: parsing {text:?}: {why}"))
}

impl Schedule {
    /// Parses `text`, in UTC unless it starts with a time zone.
    ///
    /// # Errors
    /// The error of the library, if `text` is invalid.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("empty spec string".into());
        }
        let zoned = text.strip_prefix("TZ=").or_else(|| text.strip_prefix("CRON_TZ="));
        let (zone, text) = match zoned {
            None => (TimeZone::default(), text),
            Some(zoned) => {
                let (name, text) = zoned.split_once(' ').ok_or("invalid schedule format: no schedule")?;
                let zone =
                    TimeZone::find(name).map_err(|why| format!("provided bad location {name}: {why}"))?;
                (zone, text.trim())
            }
        };
        Ok(Schedule { times: Times::parse(text)?, zone })
    }

    /// The same schedule in another time zone.
    #[must_use]
    pub fn in_zone(self, zone: TimeZone) -> Self {
        Schedule { zone, ..self }
    }

    /// The first time after `time`; `None` if there is none within five years.
    pub fn next(&self, time: Time) -> Option<Time> {
        if let Times::Every(period) = self.times {
            let whole = time.unix_millis().div_euclid(1000) * 1000;
            return Some(Time::from_unix_millis(whole).after(period));
        }
        let minutes = time.unix_millis().div_euclid(60_000) + 1;
        let mut time = Time::from_unix_millis(minutes.saturating_mul(60_000));
        let horizon = self.zone.civil(time)?.year().checked_add(HORIZON)?;
        loop {
            let civil = self.zone.civil(time).filter(|civil| civil.year() <= horizon)?;
            match self.times.first_mismatch(civil) {
                None => return Some(time),
                Some(Unit::Day) => time = self.zone.next_day(civil)?,
                Some(Unit::Hour) => {
                    time = time.after(MINUTE * (60 - u32::from(civil.minute().unsigned_abs())));
                }
                Some(Unit::Minute) => time = time.after(MINUTE),
            }
        }
    }
}

/// The unit of a time that a schedule does not allow.
enum Unit {
    Day,
    Hour,
    Minute,
}

impl Times {
    fn parse(text: &str) -> Result<Self, String> {
        let fields = match text {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            text => match text.strip_prefix("@every ") {
                Some(period) => {
                    let why =
                        || format!("failed to parse duration {text}: time: invalid duration {period:?}");
                    let seconds = duration(period).ok_or_else(why)?.as_secs().max(1);
                    return Ok(Times::Every(Duration::from_secs(seconds)));
                }
                None if text.starts_with('@') => return Err(format!("unrecognized descriptor: {text}")),
                None => text,
            },
        };
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields[..] else {
            let count = fields.len();
            return Err(format!("expected exactly 5 fields, found {count}: [{}]", fields.join(" ")));
        };
        Ok(Times::Fields {
            minutes: Field::parse(minutes, &MINUTES)?,
            hours: Field::parse(hours, &HOURS)?,
            days: Field::parse(days, &DAYS)?,
            months: Field::parse(months, &MONTHS)?,
            weekdays: Field::parse(weekdays, &WEEKDAYS)?,
        })
    }

    /// The largest unit in which a time does not match.
    fn first_mismatch(&self, time: DateTime) -> Option<Unit> {
        let Times::Fields { minutes, hours, days, months, weekdays } = self else { return None };
        let by_month = days.has(time.day());
        let by_week = weekdays.has(time.weekday().to_sunday_zero_offset());
        // If both kinds of days are restricted, one match is enough.
        let is_day = if days.is_star || weekdays.is_star { by_month && by_week } else { by_month || by_week };
        if !is_day || !months.has(time.month()) {
            Some(Unit::Day)
        } else if !hours.has(time.hour()) {
            Some(Unit::Hour)
        } else if !minutes.has(time.minute()) {
            Some(Unit::Minute)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_parsed_and_followed() {
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
            ("@every 10ms", "2024-02-27T10:07:31Z"),
            ("TZ=Asia/Kolkata 0 0 * * *", "2024-02-27T18:30:00Z"),
        ];
        for (text, expected) in table {
            let schedule = Schedule::parse(text).expect(text);
            assert_eq!(schedule.next(from).map(|time| time.to_string()).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(Schedule::parse("59 23 31 2 *").expect("a schedule").next(from), None);
    }

    /// The errors of robfig/cron v3.0.1.
    #[test]
    fn invalid_schedules_are_refused() {
        let table = [
            ("", "empty spec string"),
            ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
            ("60 * * * *", "end of range (60) above maximum (59): 60"),
            ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
            ("a * * * *", "failed to parse int from a: strconv.Atoi: parsing \"a\": invalid syntax"),
            ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
            ("*/0 * * * *", "step of range should be a positive number: */0"),
            ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
            ("1/2/3 * * * *", "too many slashes: 1/2/3"),
            ("* * * * 7", "end of range (7) above maximum (6): 7"),
            ("@fortnightly", "unrecognized descriptor: @fortnightly"),
            ("TZ=Mars/Base 0 0 * * *", "provided bad location Mars/Base: unknown time zone Mars/Base"),
        ];
        for (text, expected) in table {
            assert_eq!(Schedule::parse(text), Err(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_schedule_follows_its_time_zone() {
        // The zone, the schedule, a time and the three next ones.
        let table = [
            // Clocks go forward from 02:00 to 03:00 on 31 March: 02:30 does not exist that day.
            (
                "Europe/Berlin",
                "30 2 * * *",
                "2024-03-30T00:00:00Z",
                ["2024-03-30T01:30:00Z", "2024-04-01T00:30:00Z", "2024-04-02T00:30:00Z"],
            ),
            // Clocks go back from 02:00 to 01:00 on 3 November: 01:30 is twice that day.
            (
                "America/New_York",
                "30 1 * * *",
                "2024-11-03T00:00:00Z",
                ["2024-11-03T05:30:00Z", "2024-11-03T06:30:00Z", "2024-11-04T06:30:00Z"],
            ),
            (
                "Asia/Kolkata",
                "0 9 * * 1",
                "2024-02-27T00:00:00Z",
                ["2024-03-04T03:30:00Z", "2024-03-11T03:30:00Z", "2024-03-18T03:30:00Z"],
            ),
        ];
        for (zone, text, from, expected) in table {
            let schedule = Schedule::parse(text).expect(text).in_zone(TimeZone::find(zone).expect(zone));
            let mut time: Time = from.parse().expect(from);
            for expected in expected {
                time = schedule.next(time).expect("a time");
                assert_eq!(time.to_string(), expected, "{zone} {text}");
            }
        }
    }
}
