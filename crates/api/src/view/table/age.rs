//! Durations in few letters: apimachinery's `duration.HumanDuration`.

use serde_json::Value;

use super::field;
use clusterlocal_core::store::Time;

/// The age of `object` at `now`.
pub(super) fn age(object: &Value, now: Time) -> String {
    since(field::text(object, "/metadata/creationTimestamp"), now)
}

/// The time between `timestamp` and `now`; `<unknown>` if it is no timestamp.
pub(crate) fn since(timestamp: &str, now: Time) -> String {
    match timestamp.parse::<Time>() {
        Ok(then) => human_duration(now.unix_millis().saturating_sub(then.unix_millis())),
        Err(_) => "<unknown>".into(),
    }
}

/// A duration of `millis` milliseconds in its one or two largest units: `5m30s`, `3h`, `2d4h`.
///
/// Clocks may differ by up to 2 s; times further in the future are `<invalid>`.
pub fn human_duration(millis: i64) -> String {
    let seconds = millis / 1000;
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let (days, years) = (hours / 24, hours / 24 / 365);
    let two = |large: i64, unit: char, small: i64, subunit: char| match small {
        0 => format!("{large}{unit}"),
        small => format!("{large}{unit}{small}{subunit}"),
    };
    if seconds < -1 {
        "<invalid>".into()
    } else if seconds < 0 {
        "0s".into()
    } else if seconds < 120 {
        format!("{seconds}s")
    } else if minutes < 10 {
        two(minutes, 'm', seconds % 60, 's')
    } else if minutes < 180 {
        format!("{minutes}m")
    } else if hours < 8 {
        two(hours, 'h', minutes % 60, 'm')
    } else if hours < 48 {
        format!("{hours}h")
    } else if days < 8 {
        two(days, 'd', hours % 24, 'h')
    } else if years < 2 {
        format!("{days}d")
    } else if years < 8 {
        two(years, 'y', days % 365, 'd')
    } else {
        format!("{years}y")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_their_one_or_two_largest_units() {
        const M: i64 = 60;
        const H: i64 = 60 * M;
        const D: i64 = 24 * H;
        let table = [
            (-2, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (9 * M + 59, "9m59s"),
            (10 * M, "10m"),
            (179 * M, "179m"),
            (3 * H, "3h"),
            (7 * H + 59 * M, "7h59m"),
            (8 * H, "8h"),
            (47 * H, "47h"),
            (48 * H, "2d"),
            (7 * D + 23 * H, "7d23h"),
            (8 * D, "8d"),
            (729 * D, "729d"),
            (730 * D, "2y"),
            (3 * 365 * D + 5 * D, "3y5d"),
            (9 * 365 * D, "9y"),
        ];
        for (seconds, expected) in table {
            assert_eq!(human_duration(seconds * 1000), expected, "{seconds} s");
        }
        assert_eq!(since("", Time::default()), "<unknown>");
    }
}
