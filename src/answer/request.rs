//! Reads a request as miekg/dns and CoreDNS do where it is well-formed, and as RFC 8906 wants where it is not.

use super::wire::{opcode, rcode, rtype};
use crate::zone::NAME_MAX;

/// A request that deserves an answer.
#[derive(Clone, Copy, Debug)]
pub struct Request<'p> {
    /// The message's id.
    pub id: u16,
    /// RD, to be copied.
    pub recursion_desired: bool,
    /// CD, to be copied.
    pub checking_disabled: bool,
    /// What is asked.
    pub question: Question<'p>,
    /// The OPT record, if there is one.
    pub edns: Option<Edns<'p>>,
}

/// The one question of a request.
#[derive(Clone, Copy, Debug)]
pub struct Question<'p> {
    /// The whole question as it came: name, type and class.
    pub bytes: &'p [u8],
    /// The name in wire form, spelt as it came.
    pub name: &'p [u8],
    /// QTYPE.
    pub record_type: u16,
    /// QCLASS.
    pub class: u16,
}

/// What an OPT record says (RFC 6891, 6.1.3).
#[derive(Clone, Copy, Debug)]
pub struct Edns<'p> {
    /// The sender's UDP payload size, in bytes, as it says.
    pub size: u16,
    /// Only 0 is known.
    pub version: u8,
    /// DO and the Z bits.
    pub flags: u16,
    /// All options in wire form.
    pub options: &'p [u8],
}

/// Why a packet gets no proper answer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unfit<'p> {
    /// Not a request, or too short to be one: an answer could start a loop (RFC 8906, and CoreDNS).
    Silent,
    /// A bare header with this code.
    Header { rcode: u8, opcode: u8, recursion_desired: bool },
    /// FORMERR, with the question, which could be read.
    AfterQuestion(Request<'p>),
}

/// CoreDNS reads UDP requests into 512 bytes; what is longer arrives cut.
const UDP_REQUEST_MAX: usize = 512;

impl<'p> Request<'p> {
    /// What `packet` asks, as far as that can be read, whatever else is wrong with it.
    pub fn asked(packet: &'p [u8]) -> Option<Self> {
        match Request::read(packet, false) {
            Ok(request) | Err(Unfit::AfterQuestion(request)) => Some(request),
            Err(_) => None,
        }
    }

    pub(super) fn read(packet: &'p [u8], udp: bool) -> Result<Self, Unfit<'p>> {
        let header = packet.first_chunk::<12>().ok_or(Unfit::Silent)?;
        if header[2] & 0x80 != 0 {
            return Err(Unfit::Silent);
        }
        let code = header[2] >> 3 & 0xf;
        let recursion_desired = header[2] & 1 != 0;
        // Flags of another opcode may mean another thing: none are copied.
        let unknown = Unfit::Header { rcode: rcode::NOTIMP, opcode: code, recursion_desired: false };
        let malformed = Unfit::Header { rcode: rcode::FORMERR, opcode: opcode::QUERY, recursion_desired };
        if code != opcode::QUERY {
            return Err(unknown);
        }
        let count = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        // As miekg/dns's acceptfunc: one question; room for a SOA (IXFR) and for OPT and TSIG.
        if count(4) != 1 || count(6) > 1 || count(8) > 1 || count(10) > 2 {
            return Err(malformed);
        }
        if packet.len() == 12 {
            return Err(Unfit::Header { rcode: rcode::SERVFAIL, opcode: opcode::QUERY, recursion_desired });
        }
        let question = Question::read(packet).ok_or(malformed)?;
        let mut request = Request {
            id: u16::from_be_bytes([header[0], header[1]]),
            recursion_desired,
            checking_disabled: header[3] & 0x10 != 0,
            question,
            edns: None,
        };
        if udp && packet.len() > UDP_REQUEST_MAX {
            return Err(Unfit::AfterQuestion(request));
        }
        match read_records(packet, 12 + question.bytes.len(), [count(6), count(8), count(10)]) {
            Some(edns) => request.edns = edns,
            None => return Err(Unfit::AfterQuestion(request)),
        }
        Ok(request)
    }
}

impl<'p> Question<'p> {
    /// The name in lower case, in the first bytes of `buffer`.
    pub(super) fn lower_case<'b>(&self, buffer: &'b mut [u8; NAME_MAX]) -> &'b [u8] {
        let name = &mut buffer[..self.name.len()];
        name.copy_from_slice(self.name);
        name.make_ascii_lowercase();
        name
    }

    /// Reads the question behind a header. The first name of a message has nothing it could point back to, so a
    /// compression pointer in it is malformed.
    pub fn read(packet: &'p [u8]) -> Option<Self> {
        let rest = packet.get(12..)?;
        let mut at = 0;
        loop {
            match *rest.get(at)? {
                0 => break,
                length @ 1..=63 => at += 1 + usize::from(length),
                _ => return None,
            }
            if at >= NAME_MAX {
                return None;
            }
        }
        let bytes = rest.get(..at + 5)?;
        Some(Question {
            bytes,
            name: &bytes[..=at],
            record_type: u16::from_be_bytes([bytes[at + 1], bytes[at + 2]]),
            class: u16::from_be_bytes([bytes[at + 3], bytes[at + 4]]),
        })
    }
}

/// Walks the records behind the question; gives the OPT, or nothing if something is malformed.
fn read_records(packet: &[u8], mut at: usize, counts: [u16; 3]) -> Option<Option<Edns<'_>>> {
    let mut edns = None;
    for (section, count) in counts.into_iter().enumerate() {
        for _ in 0..count {
            // Counts that promise more than there is are overlooked, as miekg/dns does.
            if at == packet.len() {
                return Some(edns);
            }
            let name_ends = skip_name(packet, at)?;
            let fixed = packet.get(name_ends..name_ends + 10)?;
            let length = usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
            let rdata = packet.get(name_ends + 10..name_ends + 10 + length)?;
            if u16::from_be_bytes([fixed[0], fixed[1]]) == rtype::OPT {
                // RFC 6891, 6.1.1: at most one, in the additional section, owned by the root.
                if section != 2 || edns.is_some() || name_ends != at + 1 || !options_fit(rdata) {
                    return None;
                }
                edns = Some(Edns {
                    size: u16::from_be_bytes([fixed[2], fixed[3]]),
                    version: fixed[5],
                    flags: u16::from_be_bytes([fixed[6], fixed[7]]),
                    options: rdata,
                });
            }
            at = name_ends + 10 + length;
        }
    }
    Some(edns)
}

/// Where a record's owner ends. Pointers must lead backwards (RFC 1035, 4.1.4), and are not followed: owners of a
/// request's records mean nothing to us.
fn skip_name(packet: &[u8], mut at: usize) -> Option<usize> {
    let start = at;
    loop {
        match *packet.get(at)? {
            0 => return Some(at + 1),
            length @ 1..=63 => at += 1 + usize::from(length),
            high @ 0xc0.. => {
                let to = usize::from(high & 0x3f) << 8 | usize::from(*packet.get(at + 1)?);
                return (12..start).contains(&to).then_some(at + 2);
            }
            _ => return None,
        }
        if at - start >= NAME_MAX {
            return None;
        }
    }
}

/// Whether the options fill `rdata`, and a COOKIE has a length that there is: 8 bytes of the client, and 8 to 32 of the server
/// or none (RFC 7873, 5.2.2).
fn options_fit(rdata: &[u8]) -> bool {
    options(rdata).all(|option| match option {
        Some((COOKIE, option)) => matches!(option.len() - 4, 8 | 16..=40),
        option => option.is_some(),
    })
}

/// The option's code.
const COOKIE: u16 = 10;

/// The options of an OPT record, each as (code, whole option); `None` where one does not fit.
pub(super) fn options(rdata: &[u8]) -> impl Iterator<Item = Option<(u16, &[u8])>> {
    let mut rest = rdata;
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

    /// How many bytes a COOKIE has, and whether there are such.
    #[test]
    fn cookies_have_the_lengths_of_rfc_7873() {
        for length in 0..=64 {
            let option = [&[0, 10, 0, length][..], &vec![0; usize::from(length)]].concat();
            assert_eq!(options_fit(&option), length == 8 || (16..=40).contains(&length), "{length} bytes");
            let behind_another = [&[0, 3, 0, 0][..], &option].concat();
            assert_eq!(options_fit(&behind_another), options_fit(&option), "{length} bytes");
        }
        assert!(options_fit(&[0, 12, 0, 1, 0]), "other options may have any length");
        assert!(!options_fit(&[0, 12, 0, 2, 0]) && !options_fit(&[0, 10]));
    }
}
