//! Parses requests: well-formed ones as miekg/dns and CoreDNS do, malformed ones as RFC 8906 requires.

use crate::wire::{HEADER, Header, NAME_MAX, Opcode, Opt, Question, Records, ResponseCode, Section, flag};

/// A well-formed request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'p> {
    /// The message's id.
    pub id: u16,
    /// RD, which is copied to the reply.
    pub recursion_desired: bool,
    /// CD, which is copied to the reply.
    pub checking_disabled: bool,
    /// The question.
    pub question: Question<'p>,
    /// The OPT record, if there is one.
    pub opt: Option<Opt<'p>>,
}

/// A request, and the zone that its question is about.
#[derive(Clone, Copy)]
pub(super) struct Located<'a> {
    pub(super) request: &'a Request<'a>,
    /// The question's name in lower case.
    pub(super) name: &'a [u8],
    /// See [`Zone::locate`](crate::zone::Zone::locate).
    pub(super) within: Option<(usize, bool)>,
}

/// Why a packet gets an error or no reply.
#[derive(Clone, Copy, Debug)]
pub(super) enum RequestError<'p> {
    /// Not a request, or too short to be one: an answer could start a loop (RFC 8906, and CoreDNS).
    Silent,
    /// A bare header with this code.
    Header { code: ResponseCode, opcode: Opcode, recursion_desired: bool },
    /// FORMERR, with the question, which could be read.
    AfterQuestion(Request<'p>),
}

/// Maximum size of a UDP request, in bytes: CoreDNS reads into a buffer of 512, so longer ones arrive cut.
const UDP_REQUEST_MAX: usize = 512;

impl<'p> Request<'p> {
    /// Parses the question of `packet` if it is readable, even if the rest of the packet is malformed.
    pub fn asked(packet: &'p [u8]) -> Option<Self> {
        match Request::read(packet, false) {
            Ok(request) | Err(RequestError::AfterQuestion(request)) => Some(request),
            Err(_) => None,
        }
    }

    pub(super) fn read(packet: &'p [u8], udp: bool) -> Result<Self, RequestError<'p>> {
        let header =
            Header::read(packet).filter(|header| !header.has(flag::RESPONSE)).ok_or(RequestError::Silent)?;
        let recursion_desired = header.has(flag::RECURSION_DESIRED);
        let unfit = |code, recursion_desired| RequestError::Header {
            code,
            opcode: header.opcode(),
            recursion_desired,
        };
        if header.opcode() != Opcode::QUERY {
            // The flags of another opcode may have another meaning: none are copied.
            return Err(unfit(ResponseCode::NOTIMP, false));
        }
        let malformed = unfit(ResponseCode::FORMERR, recursion_desired);
        let [questions, counts @ ..] = header.counts;
        // As miekg/dns's acceptfunc: one question; at most one SOA (IXFR), and OPT and TSIG.
        if questions != 1 || counts[0] > 1 || counts[1] > 1 || counts[2] > 2 {
            return Err(malformed);
        }
        if packet.len() == HEADER {
            return Err(unfit(ResponseCode::SERVFAIL, recursion_desired));
        }
        let question = Question::read(packet).ok_or(malformed)?;
        let checking_disabled = header.has(flag::CHECKING_DISABLED);
        let mut request =
            Request { id: header.id, recursion_desired, checking_disabled, question, opt: None };
        if udp && packet.len() > UDP_REQUEST_MAX {
            return Err(RequestError::AfterQuestion(request));
        }
        match read_opt(Records::new(packet, HEADER + question.bytes.len(), counts)) {
            Some(opt) => request.opt = opt,
            None => return Err(RequestError::AfterQuestion(request)),
        }
        Ok(request)
    }

    /// The header of a reply: QR, and the id, RD and CD of the request.
    pub(super) fn reply_header(&self) -> Header {
        let mut header = Header { id: self.id, flags: flag::RESPONSE, counts: [1, 0, 0, 0] };
        header.set(flag::RECURSION_DESIRED, self.recursion_desired);
        header.set(flag::CHECKING_DISABLED, self.checking_disabled);
        header
    }
}

/// Finds the OPT record among the records after the question; `None` if a record is malformed.
fn read_opt<'p>(records: Records<'p>) -> Option<Option<Opt<'p>>> {
    let mut found = None;
    for item in records {
        let (section, record) = item.ok()?;
        if record.owner.len() > NAME_MAX {
            return None;
        }
        if let Some(opt) = Opt::of(&record) {
            // RFC 6891, 6.1.1: at most one, in the additional section, owned by the root.
            let is_allowed = section == Section::Additional && found.is_none() && record.owner == b"\0";
            if !is_allowed || !options_fit(&opt) {
                return None;
            }
            found = Some(opt);
        }
    }
    Some(found)
}

/// Whether the options fill `rdata`, and a COOKIE has a valid length: 8 bytes of the client, and 8 to 32 of the server
/// or none (RFC 7873, 5.2.2).
fn options_fit(opt: &Opt<'_>) -> bool {
    opt.options().all(|option| match option {
        Some((COOKIE, option)) => matches!(option.len() - 4, 8 | 16..=40),
        option => option.is_some(),
    })
}

/// Code of the option COOKIE.
const COOKIE: u16 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(options: &[u8]) -> bool {
        let size = [&[0, 0, 41, 0, 0, 0, 0, 0, 0][..], &(options.len() as u16).to_be_bytes()].concat();
        let packet = [&[0; HEADER][..], &size, options].concat();
        let opt = read_opt(Records::new(&packet, HEADER, [0, 0, 1])).flatten();
        opt.is_some_and(|opt| opt.options == options)
    }

    #[test]
    fn cookies_have_the_lengths_of_rfc_7873() {
        for length in 0..=64 {
            let option = [&[0, 10, 0, length][..], &vec![0; usize::from(length)]].concat();
            assert_eq!(fits(&option), length == 8 || (16..=40).contains(&length), "{length} bytes");
            let behind_another = [&[0, 3, 0, 0][..], &option].concat();
            assert_eq!(fits(&behind_another), fits(&option), "{length} bytes");
        }
        assert!(fits(&[0, 12, 0, 1, 0]), "other options may have any length");
        assert!(!fits(&[0, 12, 0, 2, 0]) && !fits(&[0, 10]));
    }
}
