//! Edits of a message in place: its question, its OPT record, and the few changes that a transport makes. Must not
//! assume that a message is well-formed.

use super::{HEADER, Header, Opt, Question, Records, ResponseCode, flag};

/// The first question, if there is one and it is well-formed.
pub fn question(message: &[u8]) -> Option<Question<'_>> {
    Header::read(message).filter(|header| header.counts[0] > 0)?;
    Question::read(message)
}

/// The OPT record, if there is one before anything malformed.
pub fn opt(message: &[u8]) -> Option<Opt<'_>> {
    let mut records = Records::of(message)?;
    records.find_map(|item| item.map_or(Some(None), |(_, record)| Opt::of(&record).map(Some))).flatten()
}

/// Reduces `reply` to its question and its OPT record, and sets TC: the client has to retry over TCP.
pub fn truncate(reply: &mut Vec<u8>) {
    let Some(mut header) = Header::read(reply) else { return };
    let question = question(reply).map(|question| HEADER + question.bytes.len());
    let opt = opt(reply).map(|opt| opt.bytes.to_vec());
    header.set(flag::TRUNCATED, true);
    header.counts = [question.is_some().into(), 0, 0, opt.is_some().into()];
    reply.truncate(question.unwrap_or(HEADER));
    reply[..HEADER].copy_from_slice(&header.bytes());
    reply.extend(opt.unwrap_or_default());
}

/// Writes an error reply to `request` into `reply`: a header with `code` and the request's id, opcode and RD; nothing
/// if `request` is shorter than a header.
pub fn error_reply(request: &[u8], code: ResponseCode, reply: &mut Vec<u8>) {
    reply.clear();
    if let Some(asked) = Header::read(request) {
        let copied = Header::flags_of(asked.opcode()) | asked.flags & flag::RECURSION_DESIRED;
        let mut header = Header { id: asked.id, flags: flag::RESPONSE | copied, counts: [0; 4] };
        header.set_response_code(code);
        reply.extend(header.bytes());
    }
}

/// Replaces the response code in the header of `reply`.
pub fn set_response_code(reply: &mut [u8], code: ResponseCode) {
    if let Some(mut header) = Header::read(reply) {
        header.set_response_code(code);
        reply[..HEADER].copy_from_slice(&header.bytes());
    }
}

/// Whether TC is set.
pub fn is_truncated(message: &[u8]) -> bool {
    Header::read(message).is_some_and(|header| header.has(flag::TRUNCATED))
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
        assert_eq!((question.name, question.record_type.0, question.class), (&b"\x03web\0"[..], 1, 1));
        let edns = opt(REPLY).expect("an OPT record").edns;
        assert_eq!((edns.udp_size, edns.extended_code, edns.dnssec_ok()), (4096, 1, true));
    }

    #[test]
    fn truncated_packets_are_parsed_without_panic() {
        for end in 0..REPLY.len() {
            let mut cut = REPLY[..end].to_vec();
            assert_eq!(question(&cut).is_some(), end >= 21, "{end}");
            assert!(opt(&cut).is_none(), "{end}");
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
    fn an_error_reply_copies_id_opcode_and_rd() {
        let mut reply = b"stale".to_vec();
        let request = [&b"\xab\xcd\x29\xff"[..], &[1; 40]].concat();
        error_reply(&request, ResponseCode::SERVFAIL, &mut reply);
        assert_eq!(reply, b"\xab\xcd\xa9\x02\0\0\0\0\0\0\0\0");
        error_reply(b"short", ResponseCode::SERVFAIL, &mut reply);
        assert!(reply.is_empty());
    }
}
