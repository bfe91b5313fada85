//! The little that a transport itself must read of a message: the question and the OPT record, in place. What they
//! mean is the business of `answer`; this must not know names or records.

use std::ops::Range;

use crate::answer::Question;

/// The length of a message's header (RFC 1035 section 4.1.1), in bytes.
pub(super) const HEADER: usize = 12;

/// SERVFAIL, as RFC 1035 section 4.1.1 numbers it.
pub(super) const SERVFAIL: u8 = 2;

/// What an OPT record (RFC 6891 section 6.1) says outside its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Opt {
    /// The UDP size its sender can take, in bytes; may be less than 512.
    pub(super) udp_size: u16,
    /// The upper eight bits of the response code.
    pub(super) extended_rcode: u8,
    /// The DO bit (RFC 3225).
    pub(super) dnssec_ok: bool,
    /// The whole record, in its message.
    span: Range<usize>,
}

/// The first question, if there is one and it is well-formed.
pub(super) fn question(message: &[u8]) -> Option<Question<'_>> {
    u16_at(message, 4).filter(|&count| count > 0)?;
    Question::read(message)
}

/// Whether both ask the same, names compared without case (RFC 4343). The bytes that give labels' lengths are below 64
/// and so are no letters.
pub(super) fn same_question(one: &Question<'_>, other: &Question<'_>) -> bool {
    (one.record_type, one.class) == (other.record_type, other.class)
        && one.name.eq_ignore_ascii_case(other.name)
}

/// The OPT record, if there is one before anything malformed.
pub(super) fn opt(message: &[u8]) -> Option<Opt> {
    const OPT: u16 = 41;
    let count = |at| u16_at(message, at).map(u32::from);
    let mut at = HEADER;
    for _ in 0..count(4)? {
        at = after_name(message, at)? + 4;
    }
    // Each record takes at least eleven bytes: the message's length bounds this, whatever the counts claim.
    for _ in 0..count(6)? + count(8)? + count(10)? {
        let start = at;
        at = after_name(message, at)?;
        let [record_type, class] = [u16_at(message, at)?, u16_at(message, at + 2)?];
        let ttl = message.get(at + 4..at + 8)?;
        let end = at + 10 + usize::from(u16_at(message, at + 8)?);
        if record_type == OPT && end <= message.len() {
            return Some(Opt {
                udp_size: class,
                extended_rcode: ttl[0],
                dnssec_ok: ttl[2] & 0x80 != 0,
                span: start..end,
            });
        }
        at = end;
    }
    None
}

/// Makes `reply` say "too long for UDP, ask over TCP": TC set and nothing in it but its question and its OPT record.
pub(super) fn truncate(reply: &mut Vec<u8>) {
    if reply.len() < HEADER {
        return;
    }
    let question = question(reply).map(|question| HEADER + question.bytes.len());
    let opt = opt(reply).map(|opt| reply[opt.span].to_vec());
    reply.truncate(question.unwrap_or(HEADER));
    reply[2] |= 0x02;
    reply[4..HEADER].fill(0);
    reply[5] = u8::from(question.is_some());
    if let Some(opt) = opt {
        reply[11] = 1;
        reply.extend_from_slice(&opt);
    }
}

/// Puts a header into `reply`, and nothing else: the response code `rcode` to `request`, with its id, opcode and RD.
/// Nothing where `request` is shorter than a header.
pub(super) fn header_only(request: &[u8], rcode: u8, reply: &mut Vec<u8>) {
    reply.clear();
    if let Some(&[id_high, id_low, flags, ..]) = request.first_chunk::<HEADER>() {
        reply.extend([id_high, id_low, 0x80 | flags & 0x79, rcode, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
}

/// Replaces the response code in the header of `reply`.
pub(super) fn set_rcode(reply: &mut [u8], rcode: u8) {
    if let Some(flags) = reply.get_mut(3) {
        *flags = *flags & 0xf0 | rcode;
    }
}

/// Whether `message` is a response (QR), and longer than a header.
pub(super) fn is_response(message: &[u8]) -> bool {
    message.len() >= HEADER && message[2] & 0x80 != 0
}

/// Whether TC is set.
pub(super) fn is_truncated(message: &[u8]) -> bool {
    message.get(2).is_some_and(|flags| flags & 0x02 != 0)
}

/// The two bytes at `at`, as the network orders them.
pub(super) fn u16_at(message: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]))
}

/// Where the name at `at` ends; a compression pointer ends it.
fn after_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length @ 1..=63 => at += 1 + usize::from(length),
            0xc0.. => return Some(at + 2),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `web. A IN` with one answer behind a pointer and an OPT of 4096 bytes with DO and one option.
    const REPLY: &[u8] = b"\x12\x34\x85\x00\x00\x01\x00\x01\x00\x00\x00\x01\x03web\x00\x00\x01\x00\x01\
        \xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x1e\x00\x04\x7f\x60\x00\x01\
        \x00\x00\x29\x10\x00\x01\x00\x80\x00\x00\x05\x00\x03\x00\x01x";

    #[test]
    fn reads_the_question_and_the_opt_record() {
        let question = question(REPLY).expect("a question");
        assert_eq!((question.name, question.record_type, question.class), (&b"\x03web\0"[..], 1, 1));
        let opt = opt(REPLY).expect("an OPT record");
        assert_eq!((opt.udp_size, opt.extended_rcode, opt.dnssec_ok), (4096, 1, true));
    }

    #[test]
    fn any_cut_of_a_message_is_read_without_harm() {
        for end in 0..REPLY.len() {
            let mut cut = REPLY[..end].to_vec();
            assert_eq!(question(&cut).is_some(), end >= 21, "{end}");
            assert_eq!(opt(&cut), None, "{end}");
            truncate(&mut cut);
            assert!(cut.len() <= end);
        }
    }

    #[test]
    fn truncating_keeps_the_question_and_the_opt_record() {
        let mut reply = REPLY.to_vec();
        truncate(&mut reply);
        let expected = b"\x12\x34\x87\x00\x00\x01\x00\x00\x00\x00\x00\x01\x03web\x00\x00\x01\x00\x01\
            \x00\x00\x29\x10\x00\x01\x00\x80\x00\x00\x05\x00\x03\x00\x01x";
        assert_eq!(reply, expected);
    }

    #[test]
    fn questions_are_the_same_without_case() {
        let same = |other: &[u8]| same_question(&question(REPLY).unwrap(), &question(other).unwrap());
        assert!(same(&[&REPLY[..12], b"\x03WeB\x00\x00\x01\x00\x01"].concat()));
        assert!(!same(&[&REPLY[..12], b"\x03wec\x00\x00\x01\x00\x01"].concat()), "another name");
        assert!(!same(&[&REPLY[..12], b"\x03web\x00\x00\x1c\x00\x01"].concat()), "another type");
        assert!(!same(&[&REPLY[..12], b"\x03web\x00\x00\x01\x00\x03"].concat()), "another class");
    }

    #[test]
    fn a_header_says_what_went_wrong_and_copies_id_opcode_and_rd() {
        let mut reply = b"stale".to_vec();
        header_only(&[&b"\xab\xcd\x29\xff"[..], &[1; 40]].concat(), SERVFAIL, &mut reply);
        assert_eq!(reply, b"\xab\xcd\xa9\x02\0\0\0\0\0\0\0\0");
        header_only(b"short", SERVFAIL, &mut reply);
        assert!(reply.is_empty());
    }
}
