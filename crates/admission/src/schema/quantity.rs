//! Quantities as apimachinery reads and writes them: `ParseQuantity`, and the canonical form of a `Quantity`.

/// `ErrFormatWrong`
const FORMAT: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
/// `ErrNumeric`
const NUMERIC: &str = "unable to parse numeric part of quantity";
/// `ErrSuffix`
const SUFFIX: &str = "unable to parse quantity's suffix";

const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
const BINARY: [(&str, u32); 6] = [("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40), ("Pi", 50), ("Ei", 60)];

/// How a quantity is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    /// With a suffix for a power of ten.
    Decimal,
    /// With an exponent.
    Exponent,
    /// With a suffix for a power of two, which is this.
    Binary(u32),
}

/// What stands in a quantity, without zeros at the start.
struct Parts<'t> {
    negative: bool,
    whole: &'t str,
    fraction: &'t str,
    suffix: &'t str,
    /// Sign and digits as they stand.
    value: &'t str,
}

/// `parseQuantityString`
fn parts(text: &str) -> Result<Parts<'_>, &'static str> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let negative = text.starts_with('-');
    let begin = usize::from(text.starts_with(['-', '+']));
    let rest = &text[begin..];
    let zeros = rest.bytes().take_while(|byte| *byte == b'0').count();
    let rest = &rest[zeros..];
    let (whole, rest) = rest.split_at(digits(rest));
    let (fraction, suffix) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(digits(rest)),
        None => ("", rest),
    };
    let value = &text[..text.len() - suffix.len()];
    let letters = suffix.bytes().take_while(|byte| b"eEinumkKMGTP".contains(byte)).count();
    let power = &suffix[letters..];
    let power = power.strip_prefix(['-', '+']).unwrap_or(power);
    if digits(power) != power.len() {
        return Err(FORMAT);
    }
    let whole = if whole.is_empty() { "0" } else { whole };
    Ok(Parts { negative, whole, fraction, suffix, value })
}

/// `suffixHandler.interpret`
fn interpret(suffix: &str) -> Option<(i32, Format)> {
    if let Some((_, exponent)) = DECIMAL.iter().find(|(known, _)| *known == suffix) {
        return Some((*exponent, Format::Decimal));
    }
    if let Some((_, power)) = BINARY.iter().find(|(known, _)| *known == suffix) {
        return Some((0, Format::Binary(*power)));
    }
    let power = suffix.strip_prefix(['e', 'E']).filter(|power| !power.is_empty())?;
    // Go keeps the lower half of a larger exponent.
    Some((power.parse::<i64>().ok()? as i32, Format::Exponent))
}

/// `text` as a `Quantity` is written that was read from it.
///
/// # Errors
///
/// Why it is none, in the words of apimachinery.
pub(crate) fn canonical(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    if text.is_empty() {
        return Err(FORMAT);
    }
    let parts = parts(text)?;
    let (exponent, format) = interpret(parts.suffix).ok_or(SUFFIX)?;
    let count = parts.whole.len() + parts.fraction.len();
    let (len, whole) = (i32::try_from(count).unwrap_or(i32::MAX), parts.whole.len() as i32);
    let (factor, precision) = match format {
        Format::Binary(power) if parts.fraction.is_empty() => {
            (1i64.checked_shl(power).unwrap_or(1), 15 - whole - (power as f32 * 3.0 / 10.0) as i32 - 1)
        }
        Format::Binary(_) => (1, -1),
        _ => (1, 18 - len),
    };
    let scale = exponent.saturating_sub(parts.fraction.len() as i32);
    let digits = format!("{}{}", parts.whole, parts.fraction);
    if precision >= 0 && scale >= -9 {
        let value: i64 = digits.parse().map_err(|_| NUMERIC)?;
        if value.checked_mul(factor).is_some() {
            // What is canonical already stands as it was written.
            let as_written = match format {
                Format::Binary(_) => value & 7 != 0,
                _ => scale % 3 == 0 && !digits.ends_with("000") && !digits.starts_with('0'),
            };
            if as_written {
                return Ok(text.into());
            }
        }
    } else if !parts.value.bytes().any(|byte| byte.is_ascii_digit()) {
        return Err(NUMERIC);
    }
    let sign = if parts.negative { "-" } else { "" };
    match format {
        Format::Binary(power) => Ok(binary(sign, &parts, power)),
        _ => Ok(decimal(sign, digits, scale, format)),
    }
}

/// The number `digits`·10^`scale`.
fn decimal(sign: &str, digits: String, mut scale: i32, format: Format) -> String {
    let mut digits = digits.trim_start_matches('0').to_owned();
    // What is less than a billionth counts as one.
    if scale < -9 {
        let drop = usize::try_from(-9 - scale).unwrap_or(0);
        let rest = digits.split_off(digits.len().saturating_sub(drop));
        scale = -9;
        if rest.bytes().any(|byte| byte != b'0') {
            digits = increment(&digits);
        }
    }
    if digits.trim_start_matches('0').is_empty() {
        return "0".into();
    }
    while digits.len() > 1 && digits.ends_with('0') {
        digits.pop();
        scale += 1;
    }
    while scale % 3 != 0 {
        digits.push('0');
        scale -= 1;
    }
    if format == Format::Exponent {
        let power = if scale == 0 { String::new() } else { format!("e{scale}") };
        return format!("{sign}{digits}{power}");
    }
    let suffix = DECIMAL.iter().find(|(_, exponent)| *exponent == scale).map_or("", |(suffix, _)| suffix);
    format!("{sign}{digits}{suffix}")
}

fn increment(digits: &str) -> String {
    let kept = digits.trim_end_matches('9');
    let nines = digits.len() - kept.len();
    let mut more = kept.to_owned();
    match more.pop() {
        Some(last) => more.push(char::from(last as u8 + 1)),
        None => more.push('1'),
    }
    more.extend(std::iter::repeat_n('0', nines));
    more
}

/// The number of `parts`·2^`power`, at most what an `int64` holds.
fn binary(sign: &str, parts: &Parts<'_>, power: u32) -> String {
    const BILLION: i128 = 1_000_000_000;
    const MAX: i128 = i64::MAX as i128 * BILLION;
    // Digits beyond the 18th of a fraction only round it up.
    let (near, far) = parts.fraction.split_at(parts.fraction.len().min(18));
    let unit = 10i128.pow(near.len() as u32);
    let whole: i128 =
        if parts.whole.len() > 19 { i128::from(i64::MAX) } else { parts.whole.parse().unwrap_or(0) };
    let fraction: i128 = near.parse().unwrap_or(0);
    let more = far.bytes().any(|byte| byte != b'0');
    let whole = whole.checked_mul(BILLION << power).unwrap_or(MAX).min(MAX);
    // The fraction, in billionths, rounded up.
    let (high, low) = ((fraction << power) / unit, (fraction << power) % unit);
    let low = low * BILLION;
    let fraction = high * BILLION + low / unit + i128::from(low % unit > 0 || more);
    let nano = (whole + fraction).min(MAX);
    if nano == 0 {
        return "0".into();
    }
    if nano % BILLION != 0 || nano < 1024 * BILLION {
        return decimal(sign, nano.to_string(), -9, Format::Decimal);
    }
    let (mut value, mut suffix) = (nano / BILLION, "");
    for (next, _) in BINARY {
        if value < 1024 || value % 1024 != 0 {
            break;
        }
        (value, suffix) = (value / 1024, next);
    }
    format!("{sign}{value}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_written_as_apimachinery_does() {
        let table = [
            ("0", "0"),
            ("1", "1"),
            ("1000", "1k"),
            ("1000m", "1"),
            ("500m", "500m"),
            ("0.5", "500m"),
            ("1.50", "1500m"),
            ("1.5Gi", "1536Mi"),
            ("1Gi", "1Gi"),
            ("1024Mi", "1Gi"),
            ("1500Mi", "1500Mi"),
            ("0.5Gi", "512Mi"),
            ("2e3", "2e3"),
            ("12e2", "1200"),
            ("-3", "-3"),
            ("+5", "+5"),
            ("05", "05"),
            ("-0", "0"),
            ("0.1n", "1n"),
            ("0.1Ki", "102400m"),
            ("Mi", "0"),
            ("9Ei", "9223372036854775807"),
            ("1e100", "10e99"),
            (" 1 ", "1"),
        ];
        for (text, expected) in table {
            assert_eq!(canonical(text), Ok(expected.into()), "{text}");
        }
        for (bad, why) in [("", FORMAT), ("x", FORMAT), ("1Xi", FORMAT), ("1.2.3", FORMAT), ("1iM", SUFFIX)] {
            assert_eq!(canonical(bad), Err(why), "{bad}");
        }
    }
}
