//! A complete message, validated to its last record and without compression: for messages that are relayed or shown.
//! One table lists the types with names in their data (RFC 3597, 4). Must not depend on the sender of the message.

use super::{FIXED, HEADER, Header, NAME_MAX, RecordBuf, RecordType, ResponseCode, Section};

/// A complete message, with all records that its header counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    /// The header.
    pub header: Header,
    /// The response code, with the upper bits of the OPT record.
    pub code: ResponseCode,
    /// The records with their sections and classes, in order, without the OPT record.
    pub records: Vec<(Section, u16, RecordBuf)>,
    /// Offset of the end of the message.
    pub end: usize,
}

impl Whole {
    /// Decodes `message`. `None` if a name or the data of a known type is malformed, if records are missing, or if
    /// there are two OPT records or one in another section (RFC 6891, 6.1.1).
    pub fn read(message: &[u8]) -> Option<Self> {
        let header = Header::read(message)?;
        let [questions, counts @ ..] = header.counts;
        let mut at = HEADER;
        for _ in 0..questions {
            at = expand(message, at, &mut Vec::new())? + 4;
        }
        message.get(..at)?;
        let (mut records, mut opt) = (Vec::new(), None);
        for (section, count) in
            [Section::Answer, Section::Authority, Section::Additional].into_iter().zip(counts)
        {
            for _ in 0..count {
                let start = at;
                let (class, record);
                (at, class, record) = read_record(message, at)?;
                if record.record_type != RecordType::OPT {
                    records.push((section, class, record));
                } else if section != Section::Additional || opt.replace(start).is_some() {
                    return None;
                }
            }
        }
        let upper = opt.and_then(|at| message.get(at + 1 + 4)).map_or(0, |&upper| u16::from(upper) << 4);
        let code = ResponseCode(header.response_code().0 | upper);
        Some(Whole { header, code, records, end: at })
    }
}

/// The record at `at` with its class, and its end.
fn read_record(message: &[u8], at: usize) -> Option<(usize, u16, RecordBuf)> {
    let mut owner = Vec::new();
    let fixed = expand(message, at, &mut owner)?;
    let [t0, t1, c0, c1, ttl @ .., l0, l1] = message.get(fixed..)?.first_chunk::<FIXED>()?;
    let data = fixed + FIXED;
    let end = data + usize::from(u16::from_be_bytes([*l0, *l1]));
    let record_type = RecordType(u16::from_be_bytes([*t0, *t1]));
    let rdata = expand_data(message.get(..end)?, data, record_type)?;
    let record = RecordBuf { owner, record_type, ttl: u32::from_be_bytes(*ttl), rdata };
    Some((end, u16::from_be_bytes([*c0, *c1]), record))
}

/// A part of the data of a record.
#[derive(Clone, Copy)]
enum Part {
    Bytes(usize),
    /// A domain name, which may be compressed.
    Name,
    /// A character-string (RFC 1035, 3.3).
    Text,
    /// Character-strings up to the end.
    Texts,
    /// The remaining bytes: of an unknown type, or one without structure.
    Rest,
}

/// The parts of the data of a type, by its number.
fn parts(record_type: RecordType) -> &'static [Part] {
    use Part::*;
    match record_type.0 {
        // A; AAAA; TXT.
        1 => &[Bytes(4)],
        28 => &[Bytes(16)],
        16 => &[Texts],
        // NS, MD, MF, CNAME, MB, MG, MR, PTR, DNAME.
        2..=5 | 7..=9 | 12 | 39 => &[Name],
        // SOA; MINFO, RP; MX, AFSDB, RT, KX; PX; SRV; NAPTR.
        6 => &[Name, Name, Bytes(20)],
        14 | 17 => &[Name, Name],
        15 | 18 | 21 | 36 => &[Bytes(2), Name],
        26 => &[Bytes(2), Name, Name],
        33 => &[Bytes(6), Name],
        35 => &[Bytes(4), Text, Text, Text, Name],
        _ => &[Rest],
    }
}

/// The data from `at` to the end of `message`, its names uncompressed.
fn expand_data(message: &[u8], mut at: usize, record_type: RecordType) -> Option<Vec<u8>> {
    let mut data = Vec::with_capacity(message.len() - at);
    for &part in parts(record_type) {
        let next = match part {
            Part::Name => {
                at = expand(message, at, &mut data)?;
                continue;
            }
            Part::Bytes(count) => at + count,
            Part::Text => at + 1 + usize::from(*message.get(at)?),
            Part::Texts => {
                let mut next = at;
                while next < message.len() {
                    next += 1 + usize::from(message[next]);
                }
                next
            }
            Part::Rest => message.len(),
        };
        data.extend_from_slice(message.get(at..next)?);
        at = next;
    }
    (at == message.len()).then_some(data)
}

/// Appends the name at `start` to `out`, uncompressed, and returns its end in `message`. `None` if it is longer than a
/// name may be, or if a pointer does not point before the labels that it ends (RFC 1035, 4.1.4).
fn expand(message: &[u8], start: usize, out: &mut Vec<u8>) -> Option<usize> {
    let (mut at, mut labels, mut end) = (start, start, None);
    let most = out.len() + NAME_MAX;
    loop {
        match *message.get(at)? {
            0 => {
                out.push(0);
                return (out.len() <= most).then_some(end.unwrap_or(at + 1));
            }
            length @ 1..=63 => {
                let next = at + 1 + usize::from(length);
                out.extend_from_slice(message.get(at..next)?);
                at = next;
            }
            high @ 0xc0.. => {
                let to = usize::from(high & 0x3f) << 8 | usize::from(*message.get(at + 1)?);
                end.get_or_insert(at + 2);
                if !(HEADER..labels).contains(&to) {
                    return None;
                }
                (at, labels) = (to, to);
            }
            _ => return None,
        }
        if out.len() > most {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reply to `a. SOA`, whose name is at 12, with these records, all in one section.
    fn reply(section: usize, records: &[&[u8]]) -> Vec<u8> {
        let mut counts = [[0, 1], [0, 0], [0, 0], [0, 0]];
        counts[section] = [0, records.len() as u8];
        [&b"\0\x01\x84\0"[..], &counts.concat(), b"\x01a\0\0\x06\0\x01", &records.concat()].concat()
    }

    /// A record of `a.`, of this type.
    fn record(record_type: u8, data: &[u8]) -> Vec<u8> {
        [&b"\xc0\x0c\0"[..], &[record_type], b"\0\x01\0\0\0\x05\0", &[data.len() as u8], data].concat()
    }

    /// A type; its data, compressed and uncompressed.
    #[test]
    fn names_in_data_are_uncompressed() {
        let table: [(u8, &[u8], &[u8]); 8] = [
            (2, b"\x02ns\xc0\x0c", b"\x02ns\x01a\0"),
            (6, b"\xc0\x0c\xc0\x0c01234567890123456789", b"\x01a\0\x01a\x0001234567890123456789"),
            (14, b"\xc0\x0c\x01b\0", b"\x01a\0\x01b\0"),
            (15, b"\0\x0a\xc0\x0c", b"\0\x0a\x01a\0"),
            (33, b"\0\0\0\x01\0\x35\xc0\x0c", b"\0\0\0\x01\0\x35\x01a\0"),
            (35, b"\0\x01\0\x02\x01s\0\0\xc0\x0c", b"\0\x01\0\x02\x01s\0\0\x01a\0"),
            (16, b"\x01x\x02yz", b"\x01x\x02yz"),
            (99, b"\xc0\x0c", b"\xc0\x0c"),
        ];
        for (record_type, data, expected) in table {
            let message = reply(1, &[&record(record_type, data)]);
            let whole = Whole::read(&message).unwrap_or_else(|| panic!("type {record_type}"));
            let [(Section::Answer, 1, record)] = &whole.records[..] else { panic!("{whole:?}") };
            assert_eq!(
                (&record.owner[..], &record.rdata[..]),
                (&b"\x01a\0"[..], expected),
                "type {record_type}"
            );
            assert_eq!(whole.end, message.len());
        }
    }

    #[test]
    fn malformed_messages_are_refused() {
        let opt = b"\0\0\x29\x10\0\x01\0\0\0\0\0";
        let forward = b"\xc0\x15\0\x01\0\x01\0\0\0\x05\0\x04\x7f\0\0\x01";
        let table: [(&str, Vec<u8>); 9] = [
            ("three bytes of an address", reply(1, &[&record(1, b"\x7f\0\0")])),
            ("bytes behind a name", reply(1, &[&record(2, b"\xc0\x0cx")])),
            ("a name past the data", reply(1, &[&record(2, b"\x02n")])),
            ("a string past the data", reply(1, &[&record(16, b"\x02n")])),
            ("no room for a SOA", reply(1, &[&record(6, b"\xc0\x0c\xc0\x0c0123")])),
            ("a pointer to itself", reply(1, &[forward])),
            ("a pointer into the header", reply(1, &[&record(2, b"\xc0\x0b")])),
            ("two OPT records", reply(3, &[opt, opt])),
            ("an OPT record as an answer", reply(1, &[opt])),
        ];
        for (what, message) in table {
            assert_eq!(Whole::read(&message), None, "{what}");
        }
        let label = [&b"\x3f"[..], &[b'x'; 63]].concat();
        let first = record(2, &[&label.repeat(3)[..], b"\xc0\x0c"].concat());
        assert!(Whole::read(&reply(1, &[&first])).is_some());
        let longer = record(2, &[&label[..], b"\xc0\x1f"].concat());
        assert_eq!(Whole::read(&reply(1, &[&first, &longer])), None, "a name of more than 255 bytes");
    }

    #[test]
    fn the_opt_record_has_the_upper_bits_of_the_code() {
        let whole = Whole::read(&reply(3, &[b"\0\0\x29\x10\0\x01\0\0\0\0\0"])).expect("a message");
        assert_eq!((whole.code, whole.records.len()), (ResponseCode::BADVERS, 0));
    }
}
