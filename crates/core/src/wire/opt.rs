//! The OPT record (RFC 6891, 6.1): EDNS parameters and options.

use super::{FIXED, RecordType, RecordView, ResponseCode};

/// The EDNS parameters of an OPT record (RFC 6891, 6.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Edns {
    /// The sender's UDP payload size, in bytes; may be less than 512.
    pub udp_size: u16,
    /// The upper eight bits of the response code.
    pub extended_code: u8,
    /// The version; only 0 is supported.
    pub version: u8,
    /// DO and the Z bits.
    pub flags: u16,
}

/// An OPT record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opt<'m> {
    /// Its parameters.
    pub edns: Edns,
    /// All options in wire form.
    pub options: &'m [u8],
    /// The whole record.
    pub(crate) bytes: &'m [u8],
}

/// A code with its whole option, or `None` if the option runs past the record.
type Decoded<'m> = Option<(u16, &'m [u8])>;

/// Extended DNS Error (RFC 8914).
const EXTENDED_ERROR: u16 = 15;

impl Edns {
    /// The DO bit (RFC 3225).
    pub fn dnssec_ok(self) -> bool {
        self.flags & 0x8000 != 0
    }
}

impl<'m> Opt<'m> {
    /// Decodes `record` if its type is OPT.
    pub(crate) fn of(record: &RecordView<'m>) -> Option<Self> {
        let [extended_code, version, flags @ ..] = record.ttl.to_be_bytes();
        let edns = Edns { udp_size: record.class, extended_code, version, flags: u16::from_be_bytes(flags) };
        let is_opt = record.record_type == RecordType::OPT;
        is_opt.then_some(Opt { edns, options: record.rdata, bytes: record.bytes })
    }

    /// The options, one after the other.
    pub(crate) fn options(&self) -> impl Iterator<Item = Decoded<'m>> {
        options(self.options)
    }

    /// Appends an OPT record with the options whose codes are in `echoed` to `out`, and `extended_error` as one more
    /// option (RFC 8914). Flags other than the upper eight are cleared.
    pub(crate) fn write(
        &self,
        out: &mut Vec<u8>,
        code: ResponseCode,
        echoed: &[u16],
        extended_error: Option<u16>,
    ) {
        let Edns { udp_size, version: _, flags, .. } = self.edns;
        let start = out.len();
        let ([t0, t1], [s0, s1]) = (RecordType::OPT.0.to_be_bytes(), udp_size.to_be_bytes());
        let upper_code = (code.0 >> 4) as u8;
        out.extend_from_slice(&[0, t0, t1, s0, s1, upper_code, 0, (flags >> 8) as u8, 0, 0, 0]);
        for (code, option) in self.options().flatten() {
            if echoed.contains(&code) {
                out.extend_from_slice(option);
            }
        }
        if let Some(error) = extended_error {
            let ([c0, c1], [e0, e1]) = (EXTENDED_ERROR.to_be_bytes(), error.to_be_bytes());
            out.extend_from_slice(&[c0, c1, 0, 2, e0, e1]);
        }
        let length = (out.len() - start - 1 - FIXED) as u16;
        out[start + FIXED - 1..=start + FIXED].copy_from_slice(&length.to_be_bytes());
    }
}

fn options(data: &[u8]) -> impl Iterator<Item = Decoded<'_>> {
    let mut rest = data;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let length = rest.get(2..4).map(|l| usize::from(u16::from_be_bytes([l[0], l[1]])));
        let Some((option, tail)) = length.and_then(|length| rest.split_at_checked(4 + length)) else {
            rest = &[];
            return Some(None);
        };
        rest = tail;
        Some(Some((u16::from_be_bytes([option[0], option[1]]), option)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opt_record_is_written_with_the_options_to_echo() {
        let data = b"\0\x03\0\x01n\0\x08\0\x02xx\0\x0a\0\x01c";
        let edns = Edns { udp_size: 4096, extended_code: 0, version: 0, flags: 0x80ff };
        let opt = Opt { edns, options: data, bytes: &[] };
        let mut out = b"before".to_vec();
        opt.write(&mut out, ResponseCode::BADVERS, &[3, 10], Some(20));
        let expected = b"before\0\0\x29\x10\0\x01\0\x80\0\0\x10\0\x03\0\x01n\0\x0a\0\x01c\0\x0f\0\x02\0\x14";
        assert_eq!(out, expected);
    }

    #[test]
    fn options_that_do_not_fit_end_the_iteration() {
        let decoded: Vec<_> = options(b"\0\x03\0\0\0\x0a\0\x05c").collect();
        assert_eq!(decoded, [Some((3, &b"\0\x03\0\0"[..])), None]);
        assert_eq!(options(b"\0\x0a").collect::<Vec<_>>(), [None]);
    }
}
