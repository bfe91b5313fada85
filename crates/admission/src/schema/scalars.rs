//! Texts of fields that are more than texts: times and base64, as Go's standard library reads and writes them.

use std::fmt::Write as _;

/// A calendar date: `(year, month, day)` of the days since 1970.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// The days since 1970 of a calendar date.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let month = if month > 2 { month - 3 } else { month + 9 };
    era * 146_097 + year * 365 + year / 4 - year / 100 + (153 * month + 2) / 5 + day - 1 - 719_468
}

/// A text as the errors of Go's time package quote it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => quoted.extend(['\\', char::from(byte)]),
            b' '..=0x7f => quoted.push(char::from(byte)),
            _ => _ = write!(quoted, "\\x{byte:02x}"),
        }
    }
    quoted.push('"');
    quoted
}

/// `text` as `metav1.Time` is written that was read from it, in UTC; with `micro`, `metav1.MicroTime`. Nothing of Go's zero time.
///
/// # Errors
///
/// The error of `time.Parse`.
pub(super) fn time(text: &str, micro: bool) -> Result<Option<String>, String> {
    let layout = if micro { "2006-01-02T15:04:05.000000Z07:00" } else { "2006-01-02T15:04:05Z07:00" };
    let cannot = |rest: &str, element: &str| {
        let (text, layout, rest, element) = (quoted(text), quoted(layout), quoted(rest), quoted(element));
        format!("parsing time {text} as {layout}: cannot parse {rest} as {element}")
    };
    let wrong = |what: &str| format!("parsing time {}: {what}", quoted(text));
    let mut rest = text;
    let mut numbers = [0i64; 6];
    let elements: [(&str, &str, &str, i64); 6] = [
        ("", "2006", "", 9999),
        ("-", "01", "month", 12),
        ("-", "02", "", 99),
        ("T", "15", "hour", 23),
        (":", "04", "minute", 59),
        (":", "05", "second", 59),
    ];
    for ((before, element, name, most), number) in elements.into_iter().zip(&mut numbers) {
        rest = rest.strip_prefix(before).ok_or_else(|| cannot(rest, before))?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count().min(element.len());
        // Go takes one digit for an hour, and requires only the first digit of a year here.
        let enough = digits == element.len() || element == "15" && digits == 1;
        if !enough {
            return Err(cannot(rest, element));
        }
        *number = rest[..digits].parse().unwrap_or(0);
        let hold = &rest[digits..];
        if *number > most || element == "01" && *number == 0 {
            return Err(wrong(&format!("{name} out of range")));
        }
        rest = hold;
    }
    let mut micros = 0;
    let fraction = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    if micro {
        let digits = rest.strip_prefix(['.', ',']).map_or(0, fraction);
        if digits < 6 {
            return Err(cannot(rest, ".000000"));
        }
        micros = rest[1..7].parse().unwrap_or(0);
        rest = &rest[7..];
    } else if let Some(digits) = rest.strip_prefix(['.', ',']).map(fraction).filter(|digits| *digits > 0) {
        rest = &rest[1 + digits..];
    }
    let mut offset = 0;
    if let Some(after) = rest.strip_prefix('Z') {
        rest = after;
    } else {
        let zone = rest.get(..6).filter(|zone| {
            let bytes = zone.as_bytes();
            bytes[3] == b':' && [1, 2, 4, 5].iter().all(|at| bytes[*at].is_ascii_digit())
        });
        let zone = zone.ok_or_else(|| cannot(rest, "Z07:00"))?;
        let read = |digits: &str| digits.parse::<i64>().unwrap_or(0);
        let (hours, minutes) = (read(&zone[1..3]), read(&zone[4..6]));
        if hours > 24 {
            return Err(wrong("time zone offset hour out of range"));
        }
        if minutes > 60 {
            return Err(wrong("time zone offset minute out of range"));
        }
        offset = match zone.as_bytes()[0] {
            b'+' => hours * 3600 + minutes * 60,
            b'-' => -(hours * 3600 + minutes * 60),
            _ => return Err(cannot(rest, "Z07:00")),
        };
        rest = &rest[6..];
    }
    if !rest.is_empty() {
        return Err(wrong(&format!("extra text: {}", quoted(rest))));
    }
    let [year, month, day, hour, minute, second] = numbers;
    let next = if month == 12 { days(year + 1, 1, 1) } else { days(year, month + 1, 1) };
    if day < 1 || day > next - days(year, month, 1) {
        return Err(wrong("day out of range"));
    }
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
    if seconds == days(1, 1, 1) * 86_400 && micros == 0 {
        return Ok(None);
    }
    let (year, month, day) = date(seconds.div_euclid(86_400));
    let clock = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
    let micros = if micro { format!(".{micros:06}") } else { String::new() };
    Ok(Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{micros}Z")))
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// `text`, which is base64, as Go writes it.
///
/// # Errors
///
/// The error of `base64.StdEncoding`.
pub(super) fn base64(text: &str) -> Result<String, String> {
    let bytes = unbase64(text.as_bytes()).map_err(|at| format!("illegal base64 data at input byte {at}"))?;
    Ok(to_base64(&bytes))
}

/// The bytes of base64, or the place of the first that is none.
pub(crate) fn unbase64(text: &[u8]) -> Result<Vec<u8>, usize> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let is_end = |byte: u8| byte == b'\n' || byte == b'\r';
    let (mut four, mut count) = (0u32, 0);
    let mut at = 0;
    while at < text.len() {
        let byte = text[at];
        at += 1;
        if is_end(byte) {
            continue;
        }
        if let Some(value) = ALPHABET.iter().position(|known| *known == byte) {
            four = four << 6 | value as u32;
            count += 1;
            if count == 4 {
                bytes.extend_from_slice(&four.to_be_bytes()[1..]);
                (four, count) = (0, 0);
            }
            continue;
        }
        if byte != b'=' || count < 2 {
            return Err(at - 1);
        }
        let skip = |at: &mut usize| {
            while *at < text.len() && is_end(text[*at]) {
                *at += 1;
            }
        };
        if count == 2 {
            skip(&mut at);
            match text.get(at) {
                None => return Err(text.len()),
                Some(b'=') => at += 1,
                Some(_) => return Err(at - 1),
            }
        }
        skip(&mut at);
        if at < text.len() {
            return Err(at);
        }
        let last = (four << (6 * (4 - count))).to_be_bytes();
        bytes.extend_from_slice(&last[1..count]);
        return Ok(bytes);
    }
    if count > 0 { Err(text.len() - count) } else { Ok(bytes) }
}

/// `bytes` as base64.
pub(crate) fn to_base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let of = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let three = of(0) << 16 | of(1) << 8 | of(2);
        for place in 0..4 {
            let value = (three >> (18 - 6 * place)) & 63;
            text.push(if place <= chunk.len() { char::from(ALPHABET[value as usize]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_go_does() {
        let table = [
            ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
            ("2026-01-01T00:04:05.5+01:00", "2025-12-31T23:04:05Z"),
            ("x", r#"parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006""#),
            ("", r#"parsing time "" as "2006-01-02T15:04:05Z07:00": cannot parse "" as "2006""#),
            ("2026-13-02T03:04:05Z", r#"parsing time "2026-13-02T03:04:05Z": month out of range"#),
            ("2026-02-30T03:04:05Z", r#"parsing time "2026-02-30T03:04:05Z": day out of range"#),
        ];
        for (text, expected) in table {
            let read = time(text, false).map(Option::unwrap_or_default).unwrap_or_else(|error| error);
            assert_eq!(read, expected, "{text}");
        }
        assert_eq!(time("0001-01-01T00:00:00Z", false), Ok(None));
        assert_eq!(time("2026-01-02T03:04:05.123456Z", true), Ok(Some("2026-01-02T03:04:05.123456Z".into())));
    }

    #[test]
    fn base64_is_read_as_go_does() {
        for text in ["", "YQ==", "YWI=", "YWJj", "YWJjZA=="] {
            assert_eq!(base64(text), Ok(text.into()));
        }
        for (text, at) in
            [("x", 0), ("a.b", 1), ("Upper_Case", 5), ("127.0.0.1", 3), ("YQ=", 3), ("YWI", 0), ("YQ==x", 4)]
        {
            assert_eq!(base64(text), Err(format!("illegal base64 data at input byte {at}")), "{text}");
        }
    }
}
