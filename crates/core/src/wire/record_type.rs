//! Record types, as IANA's "DNS Parameters" lists them.

use std::fmt;
use std::str::FromStr;

/// A record type. Displayed as its name, or as `TYPE123` (RFC 3597, 5) where it has none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordType(pub u16);

impl RecordType {
    /// An IPv4 address.
    pub const A: RecordType = RecordType(1);
    /// An IPv6 address.
    pub const AAAA: RecordType = RecordType(28);
    /// All types; a question's type only.
    pub const ANY: RecordType = RecordType(255);
    /// An alias.
    pub const CNAME: RecordType = RecordType(5);
    /// A name server of a zone.
    pub const NS: RecordType = RecordType(2);
    /// The name of an address.
    pub const PTR: RecordType = RecordType(12);
    /// The start of a zone's authority; its serial changes with every change of the zone.
    pub const SOA: RecordType = RecordType(6);
    /// The location of a service: port and host name (RFC 2782).
    pub const SRV: RecordType = RecordType(33);
    /// Text.
    pub const TXT: RecordType = RecordType(16);

    pub(crate) const MX: RecordType = RecordType(15);
    pub(crate) const OPT: RecordType = RecordType(41);
    pub(crate) const IXFR: RecordType = RecordType(251);
    pub(crate) const AXFR: RecordType = RecordType(252);
}

/// The types that have a name.
const TYPES: [(u16, &str); 27] = [
    (1, "A"),
    (2, "NS"),
    (5, "CNAME"),
    (6, "SOA"),
    (12, "PTR"),
    (13, "HINFO"),
    (15, "MX"),
    (16, "TXT"),
    (28, "AAAA"),
    (29, "LOC"),
    (33, "SRV"),
    (35, "NAPTR"),
    (39, "DNAME"),
    (41, "OPT"),
    (43, "DS"),
    (44, "SSHFP"),
    (46, "RRSIG"),
    (47, "NSEC"),
    (48, "DNSKEY"),
    (50, "NSEC3"),
    (52, "TLSA"),
    (64, "SVCB"),
    (65, "HTTPS"),
    (251, "IXFR"),
    (252, "AXFR"),
    (255, "ANY"),
    (257, "CAA"),
];

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match TYPES.iter().find(|(number, _)| *number == self.0) {
            Some((_, name)) => f.pad(name),
            None => f.pad(&format!("TYPE{}", self.0)),
        }
    }
}

impl fmt::Debug for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not a record type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a record type such as A, SRV or TYPE65{}", .similar.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default())]
pub struct UnknownType {
    text: String,
    similar: Option<&'static str>,
}

impl FromStr for RecordType {
    type Err = UnknownType;

    /// Parses a name, in any case; `TYPE33` works for all types.
    fn from_str(text: &str) -> Result<Self, UnknownType> {
        let known = TYPES.iter().find(|(_, known)| known.eq_ignore_ascii_case(text));
        let number =
            || text.get(..4).filter(|t| t.eq_ignore_ascii_case("TYPE")).and_then(|_| text[4..].parse().ok());
        known.map(|(number, _)| *number).or_else(number).map(RecordType).ok_or_else(|| UnknownType {
            text: text.chars().take(20).collect(),
            similar: similar(&text.to_ascii_uppercase()),
        })
    }
}

/// Maximum edit distance, by the text's length in characters, of a name that is suggested for it: 1, and one more for
/// every four characters.
fn similar(text: &str) -> Option<&'static str> {
    let limit = 1 + text.chars().count() / 4;
    let names = TYPES.iter().map(|(_, name)| (strsim::damerau_levenshtein(text, name), *name));
    names
        .filter(|&(distance, _)| distance <= limit)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_parsed_and_displayed_by_its_name() {
        assert_eq!(("srv".parse(), "TYPE33".parse()), (Ok(RecordType::SRV), Ok(RecordType::SRV)));
        assert_eq!(
            (RecordType(666).to_string(), format!("{:>5}", RecordType::SRV)),
            ("TYPE666".into(), "  SRV".into())
        );
        let error = "SVR".parse::<RecordType>().map_err(|error| error.to_string());
        assert_eq!(
            error,
            Err("\"SVR\" is not a record type such as A, SRV or TYPE65; did you mean `SRV`?".into())
        );
    }
}
