//! A reply as records that can be changed: parsed from a complete, uncompressed one, and written like any other reply,
//! with the same rules for size, compression and truncation.

use crate::answer::message::Message;
use crate::answer::request::Request;
use crate::answer::{Answerer, Client, Located, Upstream, Verdict, resolve, write_opt};
use crate::wire::{Header, NAME_MAX, RecordBuf, ResponseCode, Section, flag, sections};
use crate::zone::Zone;

/// A reply that is still to be written.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    pub(super) code: ResponseCode,
    pub(super) authoritative: bool,
    pub(super) recursion_available: bool,
    pub(super) truncated: bool,
    pub(super) answer: Vec<RecordBuf>,
    pub(super) authority: Vec<RecordBuf>,
    pub(super) additional: Vec<RecordBuf>,
    /// The extended error, which details the code (RFC 8914).
    pub(super) extended_error: Option<u16>,
}

impl Draft {
    /// A code without records; CoreDNS's server sets no AA on such replies.
    pub(super) fn bare(code: ResponseCode) -> Self {
        Draft { code, ..Draft::default() }
    }

    /// The TTLs of all records.
    pub(super) fn ttls(&self) -> impl Iterator<Item = u32> {
        [&self.answer, &self.authority, &self.additional].into_iter().flatten().map(|record| record.ttl)
    }

    /// Sets the TTL of all records.
    pub(super) fn set_ttl(&mut self, ttl: u32) {
        let all = [&mut self.answer, &mut self.authority, &mut self.additional];
        all.into_iter().flatten().for_each(|record| record.ttl = ttl);
    }

    /// Parses `plain`, a complete and uncompressed reply.
    fn read(plain: &[u8]) -> Draft {
        let header = Header::read(plain).expect("a written message has a header");
        let [answer, authority, additional] = sections(plain)
            .unwrap_or_default()
            .map(|section| section.into_iter().map(RecordBuf::from).collect());
        Draft {
            code: header.response_code(),
            authoritative: header.has(flag::AUTHORITATIVE),
            recursion_available: header.has(flag::RECURSION_AVAILABLE),
            truncated: header.has(flag::TRUNCATED),
            answer,
            authority,
            additional,
            extended_error: None,
        }
    }

    /// Writes the reply to `request` for `client`, with `question` in it; compresses SRV targets if `targets` is set.
    pub(super) fn write(
        &self,
        answerer: &mut Answerer,
        request: &Request<'_>,
        question: &[u8],
        client: Client,
        targets: bool,
        reply: &mut Vec<u8>,
    ) {
        let size = client.reply_size(request.opt);
        let Answerer { scratch, opt, .. } = answerer;
        let mut message = Message::new(reply, scratch, request.reply_header(), question);
        message.set_response_code(self.code);
        message.set(flag::AUTHORITATIVE, self.authoritative);
        message.set(flag::RECURSION_AVAILABLE, self.recursion_available);
        message.set(flag::TRUNCATED, self.truncated);
        let all = [
            (Section::Answer, &self.answer),
            (Section::Authority, &self.authority),
            (Section::Additional, &self.additional),
        ];
        for (section, records) in all {
            for RecordBuf { owner, record_type, ttl, rdata } in records {
                message.record(section, &[owner], *record_type, *ttl, &[rdata]);
            }
        }
        opt.clear();
        if let Some(asked) = request.opt {
            write_opt(opt, asked, &size, self.extended_error);
        }
        if targets {
            message.compress_targets();
        }
        let compress_from = if targets { 0 } else { size.compress_from };
        message.finish(opt, usize::from(size.limit), compress_from);
    }
}

impl Answerer {
    /// The complete reply to `request`, with records in the order of their objects.
    pub(super) fn draft(
        &mut self,
        zone: &Zone,
        request: &Request<'_>,
        upstream: Upstream<'_>,
    ) -> (Draft, Verdict) {
        let Answerer { plain, scratch, target, outside, .. } = self;
        let message = Message::new(plain, scratch, request.reply_header(), request.question.bytes);
        let mut lower = [0; NAME_MAX];
        let name = request.question.lower_case(&mut lower);
        let located = Located { request, name, within: zone.locate(name, request.question.class) };
        let (message, verdict, extended_error) = resolve(zone, &located, upstream, *outside, target, message);
        message.finish(&[], usize::MAX, usize::MAX);
        let draft = Draft { extended_error, ..Draft::read(plain) };
        (draft, verdict)
    }
}

/// Turns `question` into another question of the same length: with another first letter, or with another type if it is
/// about the root.
pub(super) fn another_question(question: &mut [u8]) {
    match question {
        [1..=63, first, ..] => *first = if first.eq_ignore_ascii_case(&b'x') { b'y' } else { b'x' },
        [0, _, record_type, ..] => *record_type ^= 1,
        _ => {}
    }
}
