//! Writes a reply: first plain, as CoreDNS sends it when it fits; then, when it does not, compressed and cut exactly
//! as miekg/dns does it (`msg_truncate.go`), so that the same number of records comes through.

use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;

use fastrand::Rng;
use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;

use super::Order;
use crate::wire::{
    FIXED, HEADER, Header, IN, RecordType, ResponseCode, Section, end_of_plain_name, flag, u16_at,
};

/// Buffers that a writer keeps between replies, so that the next one allocates nothing.
#[derive(Default)]
pub(super) struct Scratch {
    /// Offset of each record, in order of the sections.
    records: Vec<u32>,
    /// Records already in the section, as ranges of the message: for dropping repeated ones.
    seen: HashTable<(u32, u32)>,
    /// Names that can be pointed to: (offset in the plain message, length, offset in the packed one).
    names: HashTable<(u32, u16, u16)>,
    /// Second buffer for a rewrite.
    spare: Vec<u8>,
    order: Vec<u32>,
}

/// A reply being written. Header and question are complete; records are appended section by section.
pub(super) struct Message<'m> {
    out: &'m mut Vec<u8>,
    scratch: &'m mut Scratch,
    /// The header, with the current counts of records.
    header: Header,
    /// Whether the last record was left out because the header could not count it.
    left_out: bool,
    /// Whether SRV targets are compressed like other names.
    compress_targets: bool,
}

/// A position to roll back to.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    length: usize,
    records: usize,
    counts: [u16; 4],
}

/// Maximum offset that a compression pointer can hold (14 bits).
pub(super) const POINTER_MAX: usize = 0x3fff;

impl<'m> Message<'m> {
    /// Starts a reply with `header` and the question, which is empty if it could not be parsed.
    pub(super) fn new(
        out: &'m mut Vec<u8>,
        scratch: &'m mut Scratch,
        header: Header,
        question: &[u8],
    ) -> Self {
        out.clear();
        out.extend_from_slice(&[0; HEADER]);
        out.extend_from_slice(question);
        scratch.records.clear();
        scratch.seen.clear();
        let header = Header { counts: [!question.is_empty() as u16, 0, 0, 0], ..header };
        Message { out, scratch, header, left_out: false, compress_targets: false }
    }

    /// Sets the lower four bits of the response code.
    pub(super) fn set_response_code(&mut self, code: ResponseCode) {
        self.header.set_response_code(code);
    }

    /// Sets or clears a flag of the header.
    pub(super) fn set(&mut self, flag: u16, value: bool) {
        self.header.set(flag, value);
    }

    /// Compresses SRV targets too when names are compressed, in violation of RFC 2782.
    pub(super) fn compress_targets(&mut self) {
        self.compress_targets = true;
    }

    /// Number of records in a section.
    pub(super) fn count(&self, section: Section) -> u16 {
        self.header.counts[1 + section as usize]
    }

    fn count_mut(&mut self, section: Section) -> &mut u16 {
        &mut self.header.counts[1 + section as usize]
    }

    pub(super) fn mark(&self) -> Mark {
        Mark { length: self.out.len(), records: self.scratch.records.len(), counts: self.header.counts }
    }

    pub(super) fn roll_back(&mut self, mark: Mark) {
        self.out.truncate(mark.length);
        self.scratch.records.truncate(mark.records);
        self.header.counts = mark.counts;
    }

    /// Starts a section in which repeated records are dropped.
    pub(super) fn forget_seen(&mut self) {
        self.scratch.seen.clear();
    }

    /// Appends a record. `owner` and `rdata` come in parts, names uncompressed.
    pub(super) fn record(
        &mut self,
        section: Section,
        owner: &[&[u8]],
        record_type: RecordType,
        ttl: u32,
        rdata: &[&[u8]],
    ) {
        // More records than the header can count never fit into a message: `finish` truncates it and sets TC.
        self.left_out = self.count(section) == u16::MAX;
        if self.left_out {
            return;
        }
        self.scratch.records.push(self.out.len() as u32);
        owner.iter().for_each(|part| self.out.extend_from_slice(part));
        self.out.extend_from_slice(&record_type.0.to_be_bytes());
        self.out.extend_from_slice(&IN.to_be_bytes());
        self.out.extend_from_slice(&ttl.to_be_bytes());
        let length: usize = rdata.iter().map(|part| part.len()).sum();
        self.out.extend_from_slice(&(length as u16).to_be_bytes());
        rdata.iter().for_each(|part| self.out.extend_from_slice(part));
        *self.count_mut(section) += 1;
    }

    /// Appends an A or AAAA record.
    pub(super) fn address(&mut self, section: Section, owner: &[&[u8]], ttl: u32, ip: IpAddr) {
        match ip {
            IpAddr::V4(ip) => self.record(section, owner, RecordType::A, ttl, &[&ip.octets()]),
            IpAddr::V6(ip) => self.record(section, owner, RecordType::AAAA, ttl, &[&ip.octets()]),
        }
    }

    /// Removes the record just written if the section already has an equal one.
    pub(super) fn drop_repeated(&mut self, section: Section) {
        let Some(&start) = self.scratch.records.last().filter(|_| !self.left_out) else { return };
        let (out, end) = (&*self.out, self.out.len() as u32);
        let bytes = |&(from, to): &(u32, u32)| &out[from as usize..to as usize];
        let hash = |range: &(u32, u32)| hash(bytes(range));
        let this = (start, end);
        if self.scratch.seen.find(hash(&this), |other| bytes(other) == bytes(&this)).is_some() {
            self.out.truncate(start as usize);
            self.scratch.records.pop();
            *self.count_mut(section) -= 1;
        } else {
            self.scratch.seen.insert_unique(hash(&this), this, hash);
        }
    }

    /// Orders the records of each section as CoreDNS's `loadbalance` does: aliases, then other records in their order,
    /// then the addresses shuffled.
    pub(super) fn arrange(&mut self, order: Order, rng: &mut Rng) {
        if order == Order::Stable {
            return;
        }
        let mut first = 0;
        for section in [Section::Answer, Section::Authority, Section::Additional] {
            let count = usize::from(self.count(section));
            self.arrange_section(first, count, rng);
            first += count;
        }
    }

    fn arrange_section(&mut self, first: usize, count: usize, rng: &mut Rng) {
        if count < 2 {
            return;
        }
        let Scratch { records, spare, order, .. } = &mut *self.scratch;
        let out = &mut *self.out;
        let start = records[first] as usize;
        let end = records.get(first + count).map_or(out.len(), |&next| next as usize);
        let rank = |at: u32| match record_type(out, at as usize) {
            RecordType::CNAME => 0u8,
            RecordType::A | RecordType::AAAA => 2,
            _ => 1,
        };
        order.clear();
        order.extend(0..count as u32);
        order.sort_by_key(|&at| rank(records[first + at as usize]));
        let addresses = order.partition_point(|&at| rank(records[first + at as usize]) < 2);
        rng.shuffle(&mut order[addresses..]);
        spare.clear();
        // After a record is copied, its entry holds the new offset instead of the old one.
        for at in order.iter_mut() {
            let from = first + *at as usize;
            let to = if *at as usize + 1 < count { records[from + 1] as usize } else { end };
            *at = (start + spare.len()) as u32;
            spare.extend_from_slice(&out[records[from] as usize..to]);
        }
        records[first..first + count].copy_from_slice(order);
        out[start..end].copy_from_slice(spare);
    }

    /// Ends the reply with `opt` (may be empty) in at most `limit` bytes: uncompressed if that fits and has at most
    /// `compress_from` bytes; else compressed, and truncated with TC if even that does not fit.
    pub(super) fn finish(mut self, opt: &[u8], limit: usize, compress_from: usize) {
        let plain = self.out.len() + opt.len();
        if plain > limit || plain > compress_from {
            self.pack(limit.saturating_sub(opt.len()));
        }
        self.out.extend_from_slice(opt);
        *self.count_mut(Section::Additional) += !opt.is_empty() as u16;
        self.out[..HEADER].copy_from_slice(&self.header.bytes());
    }

    /// Compresses the message into at most `limit` bytes.
    fn pack(&mut self, limit: usize) {
        let mut packed = std::mem::take(&mut self.scratch.spare);
        packed.clear();
        self.scratch.names.clear();
        let question_end = self.scratch.records.first().map_or(self.out.len(), |&at| at as usize);
        let names = &mut self.scratch.names;
        let mut packer =
            Packer { plain: &*self.out, packed: &mut packed, names, targets: self.compress_targets };
        packer.packed.extend_from_slice(&packer.plain[..HEADER]);
        let question_name = HEADER;
        let after_name = packer.name(question_name, true);
        packer.packed.extend_from_slice(&packer.plain[after_name..question_end]);
        let counts = &mut self.header.counts[1..];
        let total: usize = counts.iter().map(|&count| usize::from(count)).sum();
        let mut fitting = 0;
        while fitting < total && packer.packed.len() < limit {
            let before = packer.packed.len();
            packer.record(self.scratch.records[fitting] as usize);
            if packer.packed.len() > limit {
                packer.packed.truncate(before);
                break;
            }
            fitting += 1;
        }
        let mut left = fitting;
        for count in counts {
            *count = (*count).min(left as u16);
            left -= usize::from(*count);
        }
        std::mem::swap(self.out, &mut packed);
        self.scratch.spare = packed;
        self.header.flags |= if fitting < total { flag::TRUNCATED } else { 0 };
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = FxBuildHasher.build_hasher();
    hasher.write(bytes);
    hasher.finish()
}

/// End of a name in the plain message.
fn name_end(plain: &[u8], at: usize) -> usize {
    end_of_plain_name(plain, at).expect("a plain message has whole names")
}

fn record_type(plain: &[u8], record: usize) -> RecordType {
    RecordType(u16_at(plain, name_end(plain, record)).expect("a plain message has whole records"))
}

struct Packer<'p> {
    plain: &'p [u8],
    packed: &'p mut Vec<u8>,
    names: &'p mut HashTable<(u32, u16, u16)>,
    /// Whether SRV targets are compressed.
    targets: bool,
}

impl Packer<'_> {
    /// Packs the name at `at` and returns its end. Each suffix of it becomes a target for pointers, also of a name that
    /// itself must not be compressed. Case counts, as in miekg/dns.
    fn name(&mut self, mut at: usize, compress: bool) -> usize {
        let plain = self.plain;
        let end = name_end(plain, at);
        let text =
            |&(from, length, _): &(u32, u16, u16)| &plain[from as usize..from as usize + usize::from(length)];
        while at < end - 1 {
            let suffix = &plain[at..end];
            let value = hash(suffix);
            match self.names.find(value, |name| text(name) == suffix) {
                Some(&(_, _, to)) if compress => {
                    self.packed.extend_from_slice(&(0xc000 | to).to_be_bytes());
                    return end;
                }
                Some(_) => {}
                None if self.packed.len() < POINTER_MAX => {
                    let name = (at as u32, suffix.len() as u16, self.packed.len() as u16);
                    self.names.insert_unique(value, name, |name| hash(text(name)));
                }
                None => {}
            }
            let label = at..at + 1 + usize::from(plain[at]);
            at = label.end;
            self.packed.extend_from_slice(&plain[label]);
        }
        self.packed.push(0);
        end
    }

    fn record(&mut self, at: usize) {
        let plain = self.plain;
        let fixed = self.name(at, true);
        let record_type = RecordType(u16::from_be_bytes([plain[fixed], plain[fixed + 1]]));
        let length = usize::from(u16::from_be_bytes([plain[fixed + 8], plain[fixed + 9]]));
        let rdata = fixed + FIXED;
        let end = rdata + length;
        self.packed.extend_from_slice(&plain[fixed..rdata]);
        let start = self.packed.len();
        let rest = match record_type {
            RecordType::NS | RecordType::CNAME | RecordType::PTR => self.name(rdata, true),
            RecordType::SOA => {
                let rname = self.name(rdata, true);
                self.name(rname, true)
            }
            RecordType::MX => {
                self.packed.extend_from_slice(&plain[rdata..rdata + 2]);
                self.name(rdata + 2, true)
            }
            // RFC 2782: the target is not compressed. RFC 3597, 4: nor is anything newer.
            RecordType::SRV => {
                self.packed.extend_from_slice(&plain[rdata..rdata + 6]);
                self.name(rdata + 6, self.targets)
            }
            _ => rdata,
        };
        self.packed.extend_from_slice(&plain[rest..end]);
        let length = (self.packed.len() - start) as u16;
        self.packed[start - 2..start].copy_from_slice(&length.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    /// A reply with `different` addresses, each `times` times, cut to `limit`: its answers by the header, and TC.
    fn reply(different: u32, times: u32, limit: usize) -> (u16, bool) {
        let (mut out, mut scratch) = (Vec::new(), Scratch::default());
        let question = b"\x02db\0\0\x01\0\x01";
        let header = Header { id: 1, flags: flag::RESPONSE | flag::AUTHORITATIVE, counts: [0; 4] };
        let mut message = Message::new(&mut out, &mut scratch, header, question);
        message.forget_seen();
        for number in 0..different * times {
            let ip = IpAddr::V4(Ipv4Addr::from_bits(number % different));
            message.address(Section::Answer, &[b"\x02db\0"], 5, ip);
            message.drop_repeated(Section::Answer);
        }
        message.arrange(Order::Shuffle, &mut Rng::with_seed(1));
        message.finish(&[], limit, usize::MAX);
        assert!(out.len() <= limit);
        (u16::from_be_bytes([out[6], out[7]]), crate::wire::is_truncated(&out))
    }

    #[test]
    fn a_section_of_any_size_is_truncated_to_the_limit() {
        let limit = usize::from(u16::MAX);
        // 12 bytes of header, 8 of question, 16 for each compressed A record.
        let most = ((limit - 20) / 16) as u16;
        let table = [
            (3, 1, (3, false)),
            (3, 2, (3, false)),
            (65_535, 1, (most, true)),
            (65_536, 1, (most, true)),
            (65_537, 2, (most, true)),
            (100_000, 1, (most, true)),
            // However often they are repeated.
            (3, 40_000, (3, false)),
        ];
        for (different, times, expected) in table {
            assert_eq!(reply(different, times, limit), expected, "{different} addresses, {times} times");
        }
    }
}
