//! The question of a message (RFC 1035, 4.1.2).

use super::{HEADER, NAME_MAX, RecordType, end_of_plain_name, u16_at};

/// The one question of a request.
#[derive(Clone, Copy, Debug)]
pub struct Question<'m> {
    /// The whole question as received: name, type and class.
    pub bytes: &'m [u8],
    /// The name in wire form, in the client's spelling.
    pub name: &'m [u8],
    /// QTYPE.
    pub record_type: RecordType,
    /// QCLASS.
    pub class: u16,
}

impl<'m> Question<'m> {
    /// Decodes the question after a header. A compression pointer in the first name of a message is malformed: there is
    /// no earlier name to point to.
    pub fn read(message: &'m [u8]) -> Option<Self> {
        let end = end_of_plain_name(message, HEADER).filter(|end| end - HEADER <= NAME_MAX)?;
        Some(Question {
            bytes: message.get(HEADER..end + 4)?,
            name: &message[HEADER..end],
            record_type: RecordType(u16_at(message, end)?),
            class: u16_at(message, end + 2)?,
        })
    }

    /// The name in lower case, in the first bytes of `buffer`.
    pub(crate) fn lower_case<'b>(&self, buffer: &'b mut [u8; NAME_MAX]) -> &'b [u8] {
        let name = &mut buffer[..self.name.len()];
        name.copy_from_slice(self.name);
        name.make_ascii_lowercase();
        name
    }

    /// Whether both are the same question, with names compared case-insensitively (RFC 4343). The length bytes of
    /// labels are below 64 and so are not letters.
    pub fn equals(&self, other: &Question<'_>) -> bool {
        (self.record_type, self.class) == (other.record_type, other.class)
            && self.name.eq_ignore_ascii_case(other.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_compared_case_insensitively() {
        let packet = |question: &[u8]| [&[0; HEADER][..], question].concat();
        let table: [(&[u8], bool); 4] = [
            (b"\x03WeB\0\0\x01\0\x01", true),
            (b"\x03wec\0\0\x01\0\x01", false),
            (b"\x03web\0\0\x1c\0\x01", false),
            (b"\x03web\0\0\x01\0\x03", false),
        ];
        let web = packet(b"\x03web\0\0\x01\0\x01");
        for (other, expected) in table {
            let other = packet(other);
            let same = Question::read(&web).unwrap().equals(&Question::read(&other).unwrap());
            assert_eq!(same, expected, "{other:?}");
        }
    }

    #[test]
    fn a_name_of_a_question_is_whole_and_not_too_long() {
        let packet = |name: &[u8]| [&[0; HEADER][..], name, b"\0\x01\0\x01"].concat();
        let of_length = |length: usize| packet(&[&b"\x01a".repeat(length / 2)[..], b"\0"].concat());
        assert!(Question::read(&of_length(254)).is_some(), "255 bytes with the root");
        assert!(Question::read(&of_length(256)).is_none());
        assert!(Question::read(&packet(b"\xc0\x0c")).is_none(), "a pointer");
        assert!(Question::read(&packet(b"\x40a\0")).is_none(), "no length of a label");
    }
}
