//! Notation of names, durations and quantities, in objects and in faults. Must not depend on their owners.

mod quantity;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use arcstr::ArcStr;
use jiff::SignedDuration;

pub use self::quantity::{Quantity, QuantityError};

/// A name, namespace, label or port name: a pointer of eight bytes to shared text.
pub type Name = ArcStr;

/// Maximum length of a label (RFC 1035, 2.3.4), in bytes.
pub const LABEL_MAX: usize = 63;

/// Maximum length of an object's name that is a DNS subdomain (RFC 1123), in bytes.
pub const SUBDOMAIN_MAX: usize = 253;

/// Whether `text` is an RFC 1123 label: lower-case letters, digits and inner hyphens, at most 63 bytes.
pub fn is_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    !bytes.is_empty()
        && bytes.len() <= LABEL_MAX
        && bytes.iter().all(|&b| alphanumeric(b) || b == b'-')
        && alphanumeric(bytes[0])
        && alphanumeric(bytes[bytes.len() - 1])
}

/// Whether `text` is an RFC 1123 subdomain: labels joined by dots, at most 253 bytes.
///
/// Like Kubernetes, this limits only the whole, not each label to 63 bytes.
pub fn is_subdomain(text: &str) -> bool {
    text.len() <= SUBDOMAIN_MAX
        && text.split('.').all(|label| {
            let bytes = label.as_bytes();
            let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
            !bytes.is_empty()
                && bytes.iter().all(|&b| alphanumeric(b) || b == b'-')
                && alphanumeric(bytes[0])
                && alphanumeric(bytes[bytes.len() - 1])
        })
}

/// Maximum number of candidates that are compared; without it, the time for many unknown names is quadratic.
const CANDIDATES: usize = 500;

/// The candidate closest to `text`, within a typo or two.
pub fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let text = text.to_ascii_lowercase();
    let length = text.chars().count();
    let far = 1 + length / 4;
    // The edit distance of two texts is at least the difference of their lengths.
    let near = |candidate: &&str| candidate.chars().count().abs_diff(length) <= far;
    candidates
        .into_iter()
        .filter(near)
        .take(CANDIDATES)
        .map(|candidate| (strsim::damerau_levenshtein(&text, &candidate.to_ascii_lowercase()), candidate))
        .filter(|&(distance, _)| distance <= far)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// Parses a duration: `5s`, `1m30s`, `500ms`, `0`.
pub fn duration(text: &str) -> Option<Duration> {
    if text.trim() == "0" {
        return Some(Duration::ZERO);
    }
    text.parse::<SignedDuration>().ok()?.try_into().ok()
}

/// A duration, displayed as `1m30s` or `500ms`.
#[derive(Clone, Copy)]
pub struct Span(pub Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        let parts = [
            (millis / 3_600_000, "h"),
            (millis / 60_000 % 60, "m"),
            (millis / 1000 % 60, "s"),
            (millis % 1000, "ms"),
        ];
        if millis == 0 {
            return f.write_str("0s");
        }
        parts
            .iter()
            .filter(|(number, _)| *number > 0)
            .try_for_each(|(number, unit)| write!(f, "{number}{unit}"))
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        duration(text)
            .map(Span)
            .ok_or_else(|| format!("{text:?} is not a duration such as 500ms, 5s or 1m30s"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typos_find_the_nearest_candidate() {
        let names = ["cassandra", "cassandra-client", "db"];
        let table = [
            ("casandra", Some("cassandra")),
            ("Cassandra", Some("cassandra")),
            ("bd", Some("db")),
            ("redis", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(nearest(text, names), expected, "{text:?}");
        }
    }

    #[test]
    fn labels_and_subdomains_are_validated() {
        let table = [
            ("web-0", true),
            ("0-web", true),
            ("Web", false),
            ("-web", false),
            ("web-", false),
            ("", false),
            ("a.b", false),
        ];
        for (name, expected) in table {
            assert_eq!(is_label(name), expected, "{name:?}");
        }
        assert!(is_label(&"a".repeat(63)) && !is_label(&"a".repeat(64)));
        assert!(is_subdomain("kube-dns-x.y") && !is_subdomain("a..b") && !is_subdomain("a_b"));
    }

    #[test]
    fn durations_are_parsed_and_displayed() {
        let table = [
            ("5s", Some(5_000)),
            ("1m30s", Some(90_000)),
            ("1m 30s", Some(90_000)),
            ("500ms", Some(500)),
            ("0", Some(0)),
            ("0s", Some(0)),
            ("355s", Some(355_000)),
            ("5", None),
            ("-5s", None),
            ("soon", None),
        ];
        for (text, millis) in table {
            assert_eq!(duration(text), millis.map(Duration::from_millis), "{text:?}");
        }
    }
}
