//! Response codes (RFC 1035, 4.1.1; RFC 6891, 9).

use std::fmt;
use std::str::FromStr;

/// A response code. Displayed as its name, or as `RCODE11` where it has none.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResponseCode(pub u16);

impl ResponseCode {
    /// The query was answered, possibly without records.
    pub const NOERROR: ResponseCode = ResponseCode(0);
    /// The query could not be parsed.
    pub const FORMERR: ResponseCode = ResponseCode(1);
    /// The server failed.
    pub const SERVFAIL: ResponseCode = ResponseCode(2);
    /// The name does not exist.
    pub const NXDOMAIN: ResponseCode = ResponseCode(3);
    /// The server does not implement this kind of query.
    pub const NOTIMP: ResponseCode = ResponseCode(4);
    /// The server refuses the query by its policy.
    pub const REFUSED: ResponseCode = ResponseCode(5);
    /// The server does not implement this version of EDNS. The upper bits are in the OPT record.
    pub const BADVERS: ResponseCode = ResponseCode(16);
}

/// The codes that have a name.
const CODES: [(ResponseCode, &str); 7] = [
    (ResponseCode::NOERROR, "NOERROR"),
    (ResponseCode::FORMERR, "FORMERR"),
    (ResponseCode::SERVFAIL, "SERVFAIL"),
    (ResponseCode::NXDOMAIN, "NXDOMAIN"),
    (ResponseCode::NOTIMP, "NOTIMP"),
    (ResponseCode::REFUSED, "REFUSED"),
    (ResponseCode::BADVERS, "BADVERS"),
];

/// Prefix of the number of a code that has no name.
const NUMBERED: &str = "RCODE";

/// Maximum response code: 12 bits, with the part in the OPT record (RFC 6891, 6.1.3).
const CODE_MAX: u16 = 0xfff;

/// The text is not a response code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a response code such as NXDOMAIN, SERVFAIL or RCODE11")]
pub struct UnknownCode(String);

impl FromStr for ResponseCode {
    type Err = UnknownCode;

    /// Parses a name, in any case; `RCODE3` works for all codes.
    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        let named = CODES.iter().find(|(_, name)| name.eq_ignore_ascii_case(text)).map(|(code, _)| *code);
        let numbered = || {
            let (prefix, number) = text.split_at_checked(NUMBERED.len())?;
            let digits = number.bytes().all(|byte| byte.is_ascii_digit());
            let number = number.parse().ok().filter(|number| digits && *number <= CODE_MAX)?;
            prefix.eq_ignore_ascii_case(NUMBERED).then_some(ResponseCode(number))
        };
        named.or_else(numbered).ok_or_else(|| UnknownCode(text.chars().take(20).collect()))
    }
}

impl fmt::Display for ResponseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match CODES.iter().find(|(code, _)| code == self) {
            Some((_, name)) => f.pad(name),
            None => f.pad(&format!("{NUMBERED}{}", self.0)),
        }
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
    fn a_code_is_parsed_and_displayed_by_its_name() {
        let table = [
            ("NXDOMAIN", Some(ResponseCode::NXDOMAIN), "NXDOMAIN"),
            ("badvers", Some(ResponseCode::BADVERS), "BADVERS"),
            ("rcode11", Some(ResponseCode(11)), "RCODE11"),
            ("RCODE3", Some(ResponseCode::NXDOMAIN), "NXDOMAIN"),
            ("RCODE4095", Some(ResponseCode(4095)), "RCODE4095"),
            ("RCODE4096", None, ""),
            ("RCODE", None, ""),
            ("RCODE+1", None, ""),
            ("NX", None, ""),
            ("", None, ""),
        ];
        for (text, code, shown) in table {
            let parsed = text.parse::<ResponseCode>();
            assert_eq!(parsed.as_ref().ok(), code.as_ref(), "{text}");
            match parsed {
                Ok(code) => assert_eq!(code.to_string(), shown),
                Err(error) => assert!(error.to_string().starts_with(&format!("{text:?} is not a response"))),
            }
        }
        assert_eq!(format!("{:>9}", ResponseCode::REFUSED), "  REFUSED");
    }
}
