//! Record types and response codes, as tests name them. It must not know messages.

use std::fmt;
use std::str::FromStr;

use super::text::{rcode_name, type_name, type_number};
use super::wire::rtype;

/// A record type (IANA, "DNS Parameters"). Shown by its name, or as `TYPE123` (RFC 3597, 5) where it has none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordType(pub u16);

/// An IPv4 address.
pub const A: RecordType = RecordType(rtype::A);
/// An IPv6 address.
pub const AAAA: RecordType = RecordType(rtype::AAAA);
/// Everything there is; not a type of records, but one of questions.
pub const ANY: RecordType = RecordType(255);
/// Another name for the name.
pub const CNAME: RecordType = RecordType(rtype::CNAME);
/// A name server of a zone.
pub const NS: RecordType = RecordType(rtype::NS);
/// The name of an address.
pub const PTR: RecordType = RecordType(rtype::PTR);
/// The beginning of a zone's authority; its serial tells one state from the next.
pub const SOA: RecordType = RecordType(rtype::SOA);
/// Where a service is: port and name (RFC 2782).
pub const SRV: RecordType = RecordType(rtype::SRV);
/// Text.
pub const TXT: RecordType = RecordType(rtype::TXT);

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&type_name(self.0))
    }
}

impl fmt::Debug for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for RecordType {
    type Err = String;

    /// In any case: `srv`, `TYPE33`.
    fn from_str(text: &str) -> Result<Self, String> {
        type_number(text)
            .map(RecordType)
            .ok_or_else(|| format!("{text:?} is no record type: write A, SRV or TYPE33"))
    }
}

/// A response code (RFC 1035, 4.1.1; RFC 6891, 9). Shown by its name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResponseCode(pub u16);

impl ResponseCode {
    /// There is an answer, even if it is that there are no such records.
    pub const NOERROR: ResponseCode = ResponseCode(0);
    /// The query was not understood.
    pub const FORMERR: ResponseCode = ResponseCode(1);
    /// The server cannot tell now.
    pub const SERVFAIL: ResponseCode = ResponseCode(2);
    /// There is no such name.
    pub const NXDOMAIN: ResponseCode = ResponseCode(3);
    /// The server does not do that.
    pub const NOTIMP: ResponseCode = ResponseCode(4);
    /// The server does not want to.
    pub const REFUSED: ResponseCode = ResponseCode(5);
}

impl fmt::Display for ResponseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&rcode_name(self.0))
    }
}

impl fmt::Debug for ResponseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_codes_go_by_their_names() {
        assert_eq!(
            ("srv".parse(), "TYPE33".parse(), RecordType(666).to_string()),
            (Ok(SRV), Ok(SRV), "TYPE666".into())
        );
        assert!("SRVX".parse::<RecordType>().is_err());
        assert_eq!(format!("{:?} {}", ResponseCode::NXDOMAIN, ResponseCode(11)), "NXDOMAIN RCODE11");
    }
}
