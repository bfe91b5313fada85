//! Amounts of resources, `500m`, `1Gi`, `2e3`, as `k8s.io/apimachinery/pkg/api/resource` parses, compares and writes them.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Add;
use std::str::FromStr;

use serde_json::Value;

/// An amount, and the format in which it is written. Amounts beyond 10^29 count as equal.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    /// In billionths, the smallest unit of a quantity.
    nano: i128,
    format: Format,
}

/// The reason why a text is no quantity, in the words of apimachinery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// `ErrFormatWrong`
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Format,
    /// `ErrNumeric`
    #[error("unable to parse numeric part of quantity")]
    Numeric,
    /// `ErrSuffix`
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

/// How a quantity is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// With a suffix for a power of ten.
    Decimal,
    /// With an exponent.
    Exponent,
    /// With a suffix for a power of two.
    Binary,
}

const NANO: i128 = 1_000_000_000;
/// Maximum of an amount with a suffix for a power of two (`maxAllowed`), in billionths.
const BINARY_MAX: i128 = i64::MAX as i128 * NANO;

const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
const BINARY: [(&str, i32); 6] = [("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40), ("Pi", 50), ("Ei", 60)];

/// The parts of a quantity, without zeros at the start.
struct Parts<'t> {
    negative: bool,
    whole: &'t str,
    fraction: &'t str,
    suffix: &'t str,
    /// Sign and digits, unchanged.
    value: &'t str,
}

/// `parseQuantityString`
fn parts(text: &str) -> Result<Parts<'_>, QuantityError> {
    if text.is_empty() {
        return Err(QuantityError::Format);
    }
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
        return Err(QuantityError::Format);
    }
    let whole = if whole.is_empty() { "0" } else { whole };
    Ok(Parts { negative, whole, fraction, suffix, value })
}

/// `suffixHandler.interpret`: the power of the format's base, and the format.
fn interpret(suffix: &str) -> Result<(i32, Format), QuantityError> {
    let find =
        |table: &[(&str, i32)]| table.iter().find(|(known, _)| *known == suffix).map(|(_, power)| *power);
    if let Some(power) = find(&DECIMAL) {
        return Ok((power, Format::Decimal));
    }
    if let Some(power) = find(&BINARY) {
        return Ok((power, Format::Binary));
    }
    let power = suffix.strip_prefix(['e', 'E']).and_then(|power| power.parse::<i64>().ok());
    // Go keeps the lower half of a larger exponent.
    power.map(|power| (power as i32, Format::Exponent)).ok_or(QuantityError::Suffix)
}

/// A quantity that has been parsed: its parts, the power and the format of its suffix, and whether apimachinery keeps its text.
struct Parsed<'t> {
    parts: Parts<'t>,
    power: i32,
    format: Format,
    as_written: bool,
}

/// `ParseQuantity`
fn parse(text: &str) -> Result<Parsed<'_>, QuantityError> {
    let parts = parts(text)?;
    let (power, format) = interpret(parts.suffix)?;
    let count = parts.whole.len() + parts.fraction.len();
    let (len, whole) = (i32::try_from(count).unwrap_or(i32::MAX), parts.whole.len() as i32);
    let (factor, precision) = match format {
        Format::Binary if parts.fraction.is_empty() => {
            (1i64.checked_shl(power as u32).unwrap_or(1), 15 - whole - (power as f32 * 3.0 / 10.0) as i32 - 1)
        }
        Format::Binary => (1, -1),
        _ => (1, 18 - len),
    };
    let mut parsed = Parsed { parts, power, format, as_written: false };
    let scale = parsed.scale();
    if precision >= 0 && scale >= -9 {
        let digits = parsed.digits();
        let value: i64 = digits.parse().map_err(|_| QuantityError::Numeric)?;
        // A text that is canonical is kept.
        parsed.as_written = value.checked_mul(factor).is_some()
            && match format {
                Format::Binary => value & 7 != 0,
                _ => scale % 3 == 0 && !digits.ends_with("000") && !digits.starts_with('0'),
            };
    } else if !parsed.parts.value.bytes().any(|byte| byte.is_ascii_digit()) {
        return Err(QuantityError::Numeric);
    }
    Ok(parsed)
}

impl Parsed<'_> {
    /// The digits before and after the point.
    fn digits(&self) -> String {
        format!("{}{}", self.parts.whole, self.parts.fraction)
    }

    /// The power of ten of the last of the digits, if the suffix is for one.
    fn scale(&self) -> i32 {
        let power = if self.format == Format::Binary { 0 } else { self.power };
        power.saturating_sub(i32::try_from(self.parts.fraction.len()).unwrap_or(i32::MAX))
    }

    /// The amount without its sign, in billionths, rounded up.
    fn nano(&self) -> i128 {
        if self.format == Format::Binary {
            return self.binary_nano();
        }
        let (digits, scale) = to_nano(&self.digits(), self.scale());
        if digits.is_empty() {
            return 0;
        }
        let unit = u32::try_from(scale + 9).ok().and_then(|power| 10i128.checked_pow(power));
        let digits = digits.parse::<i128>().ok();
        digits.zip(unit).and_then(|(digits, unit)| digits.checked_mul(unit)).unwrap_or(i128::MAX)
    }

    fn binary_nano(&self) -> i128 {
        let Parts { whole, fraction, .. } = self.parts;
        // Digits beyond the 18th of a fraction add less than a billionth, which is rounded up.
        let (near, far) = fraction.split_at(fraction.len().min(18));
        let unit = 10i128.pow(near.len() as u32);
        let whole: i128 =
            if whole.len() > 19 { i64::MAX.into() } else { whole.parse().unwrap_or(i64::MAX.into()) };
        let fraction: i128 = near.parse().unwrap_or(0);
        let more = far.bytes().any(|byte| byte != b'0');
        let whole = whole.checked_mul(NANO << self.power).unwrap_or(BINARY_MAX).min(BINARY_MAX);
        let (high, low) = ((fraction << self.power) / unit, (fraction << self.power) % unit);
        let low = low * NANO;
        let fraction = high * NANO + low / unit + i128::from(low % unit > 0 || more);
        (whole + fraction).min(BINARY_MAX)
    }
}

/// The digits without zeros at the start, and their power of ten, which is at least that of a billionth: digits beyond it are rounded
/// up.
fn to_nano(digits: &str, scale: i32) -> (String, i32) {
    let mut digits = digits.trim_start_matches('0').to_owned();
    if scale >= -9 {
        return (digits, scale);
    }
    let drop = usize::try_from(-9 - i64::from(scale)).unwrap_or(usize::MAX);
    let rest = digits.split_off(digits.len().saturating_sub(drop));
    if rest.bytes().any(|byte| byte != b'0') {
        digits = increment(&digits);
    }
    (digits, -9)
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

/// The number `digits`·10^`scale` in its shortest form.
fn decimal(sign: &str, digits: &str, scale: i32, format: Format) -> String {
    let (mut digits, mut scale) = to_nano(digits, scale);
    if digits.is_empty() {
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
    let suffix = DECIMAL.iter().find(|(_, power)| *power == scale).map_or("", |(suffix, _)| suffix);
    format!("{sign}{digits}{suffix}")
}

impl Quantity {
    /// Zero.
    pub const ZERO: Quantity = Quantity { nano: 0, format: Format::Decimal };
    /// One.
    pub const ONE: Quantity = Quantity { nano: NANO, format: Format::Decimal };

    /// The amount of a field that decoding has found to be a quantity; zero if it is empty.
    pub fn of(text: &str) -> Quantity {
        text.parse().unwrap_or(Quantity::ZERO)
    }

    /// The amount in `json`, which may be a number.
    pub fn read(json: &Value) -> Option<Quantity> {
        match json {
            Value::String(text) => text.parse().ok(),
            Value::Number(number) => number.to_string().parse().ok(),
            _ => None,
        }
    }

    /// `text` as a quantity is written that was parsed from it.
    ///
    /// # Errors
    ///
    /// The reason why it is none.
    pub fn canonical(text: &str) -> Result<String, QuantityError> {
        let text = text.trim();
        let parsed = parse(text)?;
        if parsed.as_written {
            return Ok(text.into());
        }
        let sign = if parsed.parts.negative { "-" } else { "" };
        Ok(match parsed.format {
            Format::Binary => Quantity::from(parsed).to_string(),
            // It may have more digits than an amount here.
            format => decimal(sign, &parsed.digits(), parsed.scale(), format),
        })
    }

    /// Whether it is a whole number, as far as the low 64 bits of its thousandths show: Go has no more in a `MilliValue`.
    pub fn is_whole(self) -> bool {
        (self.milli() as i64) % 1000 == 0
    }

    /// `MilliValue`: in thousandths, rounded away from zero.
    pub fn milli(self) -> i128 {
        self.scaled(1_000_000)
    }

    /// `Value`: as a whole number, rounded away from zero.
    pub fn value(self) -> i128 {
        self.scaled(NANO)
    }

    /// `Value` in the 64 bits that Go has for it.
    pub fn low_value(self) -> i64 {
        self.value() as i64
    }

    /// `RoundUp(Milli)`
    pub fn rounded_to_milli(self) -> Quantity {
        Quantity { nano: self.milli().saturating_mul(1_000_000), ..self }
    }

    /// `Sign`: -1, 0 or 1.
    pub fn sign(self) -> i128 {
        self.nano.signum()
    }

    fn scaled(self, unit: i128) -> i128 {
        self.nano / unit + if self.nano % unit == 0 { 0 } else { self.nano.signum() }
    }
}

impl Default for Quantity {
    fn default() -> Self {
        Quantity::ZERO
    }
}

impl From<Parsed<'_>> for Quantity {
    fn from(parsed: Parsed<'_>) -> Self {
        let nano = parsed.nano();
        Quantity { nano: if parsed.parts.negative { -nano } else { nano }, format: parsed.format }
    }
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        parse(text.trim()).map(Quantity::from)
    }
}

impl fmt::Display for Quantity {
    /// `CanonicalizeBytes`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.nano < 0 { "-" } else { "" };
        let nano = self.nano.unsigned_abs();
        let unit = NANO.unsigned_abs();
        let format = match self.format {
            Format::Binary if !nano.is_multiple_of(unit) || nano < 1024 * unit => Format::Decimal,
            format => format,
        };
        if format != Format::Binary {
            return f.write_str(&decimal(sign, &nano.to_string(), -9, format));
        }
        let (mut value, mut suffix) = (nano / unit, "");
        for (next, _) in BINARY {
            if !value.is_multiple_of(1024) {
                break;
            }
            (value, suffix) = (value / 1024, next);
        }
        write!(f, "{sign}{value}{suffix}")
    }
}

/// The sum is written as the first, unless that is zero.
impl Add for Quantity {
    type Output = Quantity;
    fn add(self, other: Quantity) -> Quantity {
        let format = if self.nano == 0 { other.format } else { self.format };
        Quantity { nano: self.nano.saturating_add(other.nano), format }
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nano == other.nano
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nano.cmp(&other.nano)
    }
}

#[cfg(test)]
mod tests;
