//! Amounts of resources: `500m`, `1Gi`, `2e3` (`k8s.io/apimachinery/pkg/api/resource`).

use std::cmp::Ordering;
use std::fmt;
use std::ops::Add;
use std::str::FromStr;

use serde_json::Value;

/// An amount and its format.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quantity {
    /// In billionths.
    nano: i128,
    binary: bool,
}

/// The text is not a quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QuantityError;

const NANO: i128 = 1_000_000_000;

/// The decimal suffixes, in billionths, then the binary ones.
const DECIMAL: [(&str, i128); 10] = [
    ("E", NANO * 1_000_000_000_000_000_000),
    ("P", NANO * 1_000_000_000_000_000),
    ("T", NANO * 1_000_000_000_000),
    ("G", NANO * 1_000_000_000),
    ("M", NANO * 1_000_000),
    ("k", NANO * 1000),
    ("", NANO),
    ("m", 1_000_000),
    ("u", 1000),
    ("n", 1),
];
const BINARY: [(&str, i128); 6] = [
    ("Ei", NANO << 60),
    ("Pi", NANO << 50),
    ("Ti", NANO << 40),
    ("Gi", NANO << 30),
    ("Mi", NANO << 20),
    ("Ki", NANO << 10),
];

impl Quantity {
    /// Zero.
    pub(crate) const ZERO: Quantity = Quantity { nano: 0, binary: false };
    /// One.
    pub(crate) const ONE: Quantity = Quantity { nano: NANO, binary: false };
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let digits = |c: char| c.is_ascii_digit() || matches!(c, '.' | '+' | '-');
        let end = text.find(|c| !digits(c)).unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let decimal = DECIMAL.iter().find(|(known, _)| *known == suffix).map(|(_, unit)| (*unit, false));
        let binary = || BINARY.iter().find(|(known, _)| *known == suffix).map(|(_, unit)| (*unit, true));
        let exponent = || {
            let power: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            let power = u32::try_from(power + 9).ok().filter(|power| *power <= 27)?;
            Some((10i128.pow(power), false))
        };
        let (unit, binary) = decimal.or_else(binary).or_else(exponent).ok_or(QuantityError)?;
        let negative = number.starts_with('-');
        let number = number.trim_start_matches(['+', '-']);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || whole.len() > 18 || fraction.len() > 9 {
            return Err(QuantityError);
        }
        let read = |digits: &str| match digits {
            "" => Ok(0),
            digits => digits.parse::<i128>().map_err(|_| QuantityError),
        };
        let places = 10i128.pow(u32::try_from(fraction.len()).unwrap_or(0));
        let scaled = read(whole)? * places + read(fraction)?;
        let nano = scaled.checked_mul(unit).ok_or(QuantityError)?;
        // Amounts are rounded up to a billionth.
        let nano = nano.div_euclid(places) + i128::from(nano.rem_euclid(places) > 0);
        Ok(Quantity { nano: if negative { -nano } else { nano }, binary })
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nano == 0 {
            return f.write_str("0");
        }
        let fits = |(_, unit): &&(&str, i128)| self.nano % unit == 0;
        let large = self.nano.abs() >= NANO << 10;
        let binary = BINARY.iter().find(fits).filter(|_| self.binary && large);
        // A binary quantity that no binary suffix divides is written as a whole number.
        let plain = || Some(&DECIMAL[6]).filter(|unit| self.binary && large && fits(unit));
        let (suffix, unit) =
            binary.or_else(plain).or_else(|| DECIMAL.iter().find(fits)).copied().unwrap_or(("n", 1));
        write!(f, "{}{suffix}", self.nano / unit)
    }
}

/// The sum has the format of the first, unless that is zero.
impl Add for Quantity {
    type Output = Quantity;
    fn add(self, other: Quantity) -> Quantity {
        let binary = if self.nano == 0 { other.binary } else { self.binary };
        Quantity { nano: self.nano.saturating_add(other.nano), binary }
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

/// Reads a quantity, which may be a number in JSON.
pub(crate) fn read(json: &Value) -> Option<Quantity> {
    match json {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.to_string().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_have_the_canonical_form() {
        let table = [
            ("0", "0"),
            ("1", "1"),
            ("1000", "1k"),
            ("500m", "500m"),
            ("0.5", "500m"),
            ("1.5", "1500m"),
            ("1Gi", "1Gi"),
            ("1024Mi", "1Gi"),
            ("1500Mi", "1500Mi"),
            ("0.5Gi", "512Mi"),
            ("2e3", "2k"),
            ("1Ki", "1Ki"),
            ("-3", "-3"),
        ];
        for (text, expected) in table {
            assert_eq!(text.parse::<Quantity>().map(|read| read.to_string()), Ok(expected.into()), "{text}");
        }
        for bad in ["", "x", "1Xi", "Mi", "1.2.3"] {
            assert_eq!(bad.parse::<Quantity>(), Err(QuantityError), "{bad}");
        }
    }

    #[test]
    fn sums_have_the_format_of_the_first() {
        let sum = |a: &str, b: &str| {
            (a.parse::<Quantity>().expect("one") + b.parse::<Quantity>().expect("one")).to_string()
        };
        assert_eq!([sum("252Mi", "4Mi"), sum("0", "1Gi"), sum("500m", "1")], ["256Mi", "1Gi", "1500m"]);
    }
}
