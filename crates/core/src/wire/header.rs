//! The header of a message (RFC 1035, 4.1.1).

use super::ResponseCode;

/// Length of a header, in bytes.
pub const HEADER: usize = 12;

/// A header. Edits are made on a copy, which is written back as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub(crate) id: u16,
    /// QR, opcode, [flags](flag) and the lower four bits of the response code.
    pub flags: u16,
    /// Number of questions, and of records in the answer, authority and additional section.
    pub counts: [u16; 4],
}

/// One-bit flags (RFC 1035, 4.1.1; RFC 4035, 3).
pub mod flag {
    /// QR (RFC 1035, 4.1.1).
    pub const RESPONSE: u16 = 0x8000;
    /// AA (RFC 1035, 4.1.1).
    pub const AUTHORITATIVE: u16 = 0x0400;
    /// TC (RFC 1035, 4.1.1).
    pub const TRUNCATED: u16 = 0x0200;
    /// RD (RFC 1035, 4.1.1).
    pub const RECURSION_DESIRED: u16 = 0x0100;
    /// RA (RFC 1035, 4.1.1).
    pub const RECURSION_AVAILABLE: u16 = 0x0080;
    /// AD (RFC 4035, 3.1.6).
    pub const AUTHENTIC_DATA: u16 = 0x0020;
    /// CD (RFC 4035, 3.1.6).
    pub const CHECKING_DISABLED: u16 = 0x0010;
}

/// The kind of a request (RFC 1035, 4.1.1), 4 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opcode(pub(crate) u8);

impl Opcode {
    /// A query (RFC 1035, 4.1.1).
    pub const QUERY: Opcode = Opcode(0);
}

impl Header {
    /// Decodes the header of `message`; `None` where it is shorter than one.
    pub fn read(message: &[u8]) -> Option<Self> {
        let header = message.first_chunk::<HEADER>()?;
        let at = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        Some(Header { id: at(0), flags: at(2), counts: [at(4), at(6), at(8), at(10)] })
    }

    /// The header in wire form.
    pub(crate) fn bytes(self) -> [u8; HEADER] {
        let Header { id, flags, counts: [questions, answers, authorities, additionals] } = self;
        let [[i0, i1], [f0, f1], [q0, q1], [n0, n1], [u0, u1], [d0, d1]] =
            [id, flags, questions, answers, authorities, additionals].map(u16::to_be_bytes);
        [i0, i1, f0, f1, q0, q1, n0, n1, u0, u1, d0, d1]
    }

    /// Whether all bits of `flag` are set.
    pub fn has(self, flag: u16) -> bool {
        self.flags & flag == flag
    }

    /// Sets or clears `flag`.
    pub(crate) fn set(&mut self, flag: u16, value: bool) {
        self.flags = self.flags & !flag | if value { flag } else { 0 };
    }

    /// The opcode.
    pub fn opcode(self) -> Opcode {
        Opcode((self.flags >> 11) as u8 & 0xf)
    }

    /// The flags of `opcode`, without others.
    pub(crate) fn flags_of(opcode: Opcode) -> u16 {
        u16::from(opcode.0) << 11
    }

    /// The lower four bits of the response code; the others are in the OPT record.
    pub fn response_code(self) -> ResponseCode {
        ResponseCode(self.flags & 0xf)
    }

    /// Sets the lower four bits of the response code.
    pub(crate) fn set_response_code(&mut self, code: ResponseCode) {
        self.flags = self.flags & !0xf | code.0 & 0xf;
    }
}

/// The 16-bit number at `at`, in network order.
pub fn u16_at(message: &[u8], at: usize) -> Option<u16> {
    message.get(at..)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_decoded_and_encoded() {
        let wire = b"\x12\x34\x2d\x93\0\x01\0\x02\0\x03\0\x04";
        let mut header = Header::read(wire).expect("a header");
        assert_eq!((header.id, header.opcode(), header.counts), (0x1234, Opcode(5), [1, 2, 3, 4]));
        assert_eq!(header.response_code(), ResponseCode::NXDOMAIN);
        assert!(header.has(flag::AUTHORITATIVE) && !header.has(flag::TRUNCATED));
        assert_eq!(header.bytes(), *wire);
        header.set(flag::AUTHORITATIVE, false);
        header.set(flag::TRUNCATED, true);
        header.set_response_code(ResponseCode::REFUSED);
        assert_eq!(header.bytes()[2..4], [0x2b, 0x95]);
        assert_eq!(Header::read(&wire[..11]), None);
    }
}
