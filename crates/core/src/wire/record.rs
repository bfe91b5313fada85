//! Resource records (RFC 1035, 4.1.3): borrowed from a message, or owned.

use super::{FIXED, HEADER, Header, RecordType, end_of_name, end_of_plain_name};

/// A record of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordView<'m> {
    /// In wire form.
    pub owner: &'m [u8],
    /// TYPE.
    pub record_type: RecordType,
    /// CLASS.
    pub class: u16,
    /// Seconds.
    pub ttl: u32,
    /// In wire form.
    pub rdata: &'m [u8],
    /// The whole record.
    pub(crate) bytes: &'m [u8],
}

/// A record of class IN that belongs to no message; its names are uncompressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordBuf {
    /// Labels with lengths, up to and including the root.
    pub owner: Vec<u8>,
    /// TYPE.
    pub record_type: RecordType,
    /// Seconds.
    pub ttl: u32,
    /// In wire form.
    pub rdata: Vec<u8>,
}

impl From<RecordView<'_>> for RecordBuf {
    fn from(record: RecordView<'_>) -> Self {
        let RecordView { owner, record_type, ttl, rdata, .. } = record;
        RecordBuf { owner: owner.to_vec(), record_type, ttl, rdata: rdata.to_vec() }
    }
}

/// The character-strings in the data of a TXT record (RFC 1035, 3.3.14). One that runs past the end is cut.
pub fn character_strings(rdata: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = rdata;
    std::iter::from_fn(move || {
        let (&length, tail) = rest.split_first()?;
        let (string, tail) = tail.split_at(usize::from(length).min(tail.len()));
        rest = tail;
        Some(string)
    })
}

/// A section of a message that holds records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// The records of the question's name and type.
    Answer,
    /// The SOA record of a negative answer.
    Authority,
    /// Additional records, such as glue.
    Additional,
}

/// A record that runs past the end of its message, or whose owner is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The records of a message, section by section, up to the first malformed one. If the header counts more records than
/// there are bytes, the rest is ignored, as miekg/dns does (`msg.go`, unpackRRslice).
pub(crate) struct Records<'m> {
    message: &'m [u8],
    at: usize,
    /// Number of remaining records of each section.
    left: [u16; 3],
}

impl<'m> Records<'m> {
    /// The records that start at `at`; `counts` are those of the header.
    pub(crate) fn new(message: &'m [u8], at: usize, counts: [u16; 3]) -> Self {
        Records { message, at, left: counts }
    }

    /// The records of `message`; `None` if its header or a question is malformed.
    pub(crate) fn of(message: &'m [u8]) -> Option<Self> {
        let [questions, counts @ ..] = Header::read(message)?.counts;
        let mut at = HEADER;
        for _ in 0..questions {
            at = end_of_name(message, at)? + 4;
        }
        Some(Records::new(message, at, counts))
    }

    fn read(&mut self) -> Option<RecordView<'m>> {
        let rest = self.message.get(self.at..)?;
        let name_end = end_of_name(self.message, self.at)? - self.at;
        let [t0, t1, c0, c1, ttl @ .., l0, l1] = rest.get(name_end..)?.first_chunk::<FIXED>()?;
        let data = name_end + FIXED;
        let bytes = rest.get(..data + usize::from(u16::from_be_bytes([*l0, *l1])))?;
        self.at += bytes.len();
        Some(RecordView {
            owner: &bytes[..name_end],
            record_type: RecordType(u16::from_be_bytes([*t0, *t1])),
            class: u16::from_be_bytes([*c0, *c1]),
            ttl: u32::from_be_bytes(*ttl),
            rdata: &bytes[data..],
            bytes,
        })
    }
}

impl<'m> Iterator for Records<'m> {
    type Item = Result<(Section, RecordView<'m>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let sections = [Section::Answer, Section::Authority, Section::Additional];
        let section = sections.into_iter().find(|section| self.left[*section as usize] > 0)?;
        if self.at == self.message.len() {
            return None;
        }
        self.left[section as usize] -= 1;
        let record = self.read();
        if record.is_none() {
            self.left = [0; 3];
        }
        Some(record.map(|record| (section, record)).ok_or(Malformed))
    }
}

/// The three sections of a message, without its OPT record.
pub type Sections<'m> = [Vec<RecordView<'m>>; 3];

/// Parses a message that [`crate::answer::Answerer`] wrote for a client over TCP; `None` if it is compressed.
pub fn sections(message: &[u8]) -> Option<Sections<'_>> {
    let mut sections = [Vec::new(), Vec::new(), Vec::new()];
    for item in Records::of(message)? {
        let (section, record) = item.ok()?;
        end_of_plain_name(record.owner, 0)?;
        if record.record_type != RecordType::OPT {
            sections[section as usize].push(record);
        }
    }
    Some(sections)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_up_to_the_first_malformed_one() {
        let record = b"\x01a\0\0\x01\0\x01\0\0\0\x1e\0\x04\x7f\0\0\x01";
        let header = |counts: [u8; 4]| counts.map(|count| [0, count]).concat();
        let message =
            |counts, records: &[&[u8]]| [&b"\0\0\x80\0"[..], &header(counts), &records.concat()].concat();
        let read = |message: &[u8]| -> Vec<Result<Section, Malformed>> {
            let records = Records::of(message).expect("a header");
            records.map(|item| item.map(|(section, _)| section)).collect()
        };
        let two = message([0, 1, 0, 1], &[record, record]);
        assert_eq!(read(&two), [Ok(Section::Answer), Ok(Section::Additional)]);
        assert_eq!(read(&two[..two.len() - 1]), [Ok(Section::Answer), Err(Malformed)]);
        assert_eq!(read(&message([0, 0, 9, 0], &[record])), [Ok(Section::Authority)], "fewer than counted");
        let pointing_at_itself = [&b"\xc0\x0c"[..], &record[3..]].concat();
        assert_eq!(read(&message([0, 1, 0, 0], &[&pointing_at_itself])), [Err(Malformed)]);
    }
}
