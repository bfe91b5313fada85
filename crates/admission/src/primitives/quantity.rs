//! Amounts of resources in their canonical form: `500m`, `1Gi` (`k8s.io/apimachinery/pkg/api/resource`).

use serde_json::Value;

/// An amount, in billionths: the smallest that can be said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Quantity(i128);

const NANO: i128 = 1_000_000_000;

impl Quantity {
    pub(crate) const ONE: Quantity = Quantity(NANO);

    /// What `text` says, which decoding has found to be a quantity; nothing, if there is none.
    pub(crate) fn of(text: &str) -> Quantity {
        let is_number = |c: char| c.is_ascii_digit() || matches!(c, '.' | '+' | '-');
        let end = text.find(|c| !is_number(c)).unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let power = |exponent: i32| u32::try_from(exponent + 9).ok().and_then(|e| 10i128.checked_pow(e));
        let unit = match suffix {
            "n" => power(-9),
            "u" => power(-6),
            "m" => power(-3),
            "" => power(0),
            "k" => power(3),
            "M" => power(6),
            "G" => power(9),
            "T" => power(12),
            "P" => power(15),
            "E" => power(18),
            "Ki" => Some(NANO << 10),
            "Mi" => Some(NANO << 20),
            "Gi" => Some(NANO << 30),
            "Ti" => Some(NANO << 40),
            "Pi" => Some(NANO << 50),
            "Ei" => Some(NANO << 60),
            other => other.trim_start_matches(['e', 'E']).parse().ok().and_then(power),
        };
        let unit = unit.unwrap_or(i128::MAX);
        let is_negative = number.starts_with('-');
        let number = number.trim_start_matches(['+', '-']);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = |text: &str| text.parse::<i128>().unwrap_or(0);
        let places = u32::try_from(fraction.len()).ok().and_then(|places| 10i128.checked_pow(places));
        let part = places.map_or(0, |places| digits(fraction).saturating_mul(unit) / places);
        let nano = digits(whole).saturating_mul(unit).saturating_add(part);
        Quantity(if is_negative { -nano } else { nano })
    }

    /// The sum of both.
    pub(crate) fn plus(self, other: Quantity) -> Quantity {
        Quantity(self.0.saturating_add(other.0))
    }

    /// Whether it is a whole number, as far as the low 64 bits of its thousandths are: Go has no more in a `MilliValue`.
    pub(crate) fn is_whole(self) -> bool {
        (self.milli() as i64) % 1000 == 0
    }

    /// `MilliValue`, rounded up.
    pub(crate) fn milli(self) -> i128 {
        -(-self.0).div_euclid(1_000_000)
    }

    /// `Value` in the 64 bits that Go has for it.
    pub(crate) fn low_value(self) -> i64 {
        self.value() as i64
    }

    /// `Value`, rounded up.
    pub(crate) fn value(self) -> i128 {
        -(-self.0).div_euclid(NANO)
    }
}

/// `SetDefaults_ResourceList`: the amounts of a list in whole thousandths, rounded up.
pub(crate) fn round_up(amounts: Option<&mut Value>) {
    for amount in amounts.and_then(Value::as_object_mut).into_iter().flatten().map(|(_, amount)| amount) {
        let Quantity(nano) = Quantity::of(amount.as_str().unwrap_or_default());
        if nano % 1_000_000 != 0 {
            *amount = decimal(Quantity(nano).milli()).into();
        }
    }
}

/// Thousandths in the shortest decimal form.
fn decimal(milli: i128) -> String {
    let mut number = milli;
    let mut suffixes = ["m", "", "k", "M", "G", "T", "P", "E"].into_iter();
    let mut suffix = suffixes.next().unwrap_or_default();
    while number != 0 && number % 1000 == 0 {
        let Some(next) = suffixes.next() else { break };
        (number, suffix) = (number / 1000, next);
    }
    format!("{number}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts() {
        let table = [("", "0"), ("1500m", "1.5"), ("1Ki", "1024"), ("1e3", "1k"), ("-1", "-1000m")];
        for (one, other) in table {
            assert_eq!(Quantity::of(one), Quantity::of(other), "{one} {other}");
        }
        assert!(Quantity::of("100m") < Quantity::of("1"));
        let mut list = serde_json::json!({ "a": "1n", "b": "999999999n", "c": "1Gi" });
        round_up(Some(&mut list));
        assert_eq!(list, serde_json::json!({ "a": "1m", "b": "1", "c": "1Gi" }));
        assert_eq!((Quantity::of("1n").milli(), Quantity::of("1500m").value()), (1, 2));
    }
}
