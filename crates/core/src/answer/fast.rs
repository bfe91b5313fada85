//! The fast path of an answer: A, AAAA, SRV and negative answers of a Service's names, in one pass. The size of the
//! reply is known before its first byte is written, so it is written once and in place. All other questions take
//! [`super::general`], which writes the same bytes (`tests/dns/two_ways.rs`).

use std::net::IpAddr;

use fastrand::Rng;

use super::message::POINTER_MAX;
use super::request::{Located, Request};
use super::soa::{MNAME, Soa};
use super::srv::{SRV_NUMBERS, Srv, SrvSet};
use super::{Order, ReplySize};
use crate::wire::{FIXED, HEADER, IN, RecordType, ResponseCode, end_of_plain_name, flag};
use crate::zone::{Each, Found, Matches, TargetRef, Zone};

/// A question about the cluster's zone, with everything that its answer depends on.
struct Fast<'a> {
    zone: &'a Zone,
    request: &'a Request<'a>,
    /// Where the cluster's zone begins in the name.
    zone_at: usize,
    size: &'a ReplySize,
    /// The reply's OPT record, or empty.
    opt: &'a [u8],
    order: Order,
    rng: &'a mut Rng,
    addresses: &'a mut Addresses,
    reply: &'a mut Vec<u8>,
}

/// The addresses of a reply; reused between replies to avoid allocations.
pub(super) type Addresses = Vec<Address>;

#[derive(Clone, Copy)]
pub(super) struct Address {
    ip: IpAddr,
    /// Offset of its owner in the message, for SRV records.
    owner: usize,
}

/// Maximum number of addresses; answers with more take the general path.
const ADDRESSES_MAX: usize = 1000;

/// A pointer to the question's name (RFC 1035, 4.1.4).
const TO_QUESTION: [u8; 2] = pointer(HEADER);

/// The records that were written.
struct Written {
    /// Number of records in the answer, authority and additional sections, without the OPT record.
    counts: [usize; 3],
    truncated: bool,
    code: ResponseCode,
}

/// Writes the answer to the question of `located` into `reply`; returns false if it has to take the general path.
pub(super) fn answer<'a>(
    zone: &'a Zone,
    Located { request, name, within }: Located<'a>,
    size: &'a ReplySize,
    opt: &'a [u8],
    (order, rng): (Order, &'a mut Rng),
    addresses: &'a mut Addresses,
    reply: &'a mut Vec<u8>,
) -> bool {
    let Some((zone_at, false)) = within else { return false };
    let (relative, record_type) = (&name[..zone_at], request.question.record_type);
    // No object has the name of the name server.
    if !matches!(record_type, RecordType::A | RecordType::AAAA | RecordType::SRV)
        || relative.starts_with(MNAME)
    {
        return false;
    }
    let mut fast = Fast { zone, request, zone_at, size, opt, order, rng, addresses, reply };
    let written = match zone.find(relative, false) {
        Found::Pairs(pairs) if pairs.repeats() => None,
        Found::Pairs(pairs) if record_type == RecordType::SRV => fast.srv(pairs),
        Found::Pairs(pairs) => fast.addresses(pairs, record_type),
        Found::Missing if zone.is_synced() => fast.denial(ResponseCode::NXDOMAIN),
        Found::Container => fast.denial(ResponseCode::NOERROR),
        Found::Missing | Found::Pod(..) => None,
    };
    let Some(Written { counts: [answers, authorities, additionals], truncated, code }) = written else {
        return false;
    };
    fast.reply.extend_from_slice(opt);
    let mut header = request.reply_header();
    header.flags |= flag::AUTHORITATIVE | if truncated { flag::TRUNCATED } else { 0 };
    header.set_response_code(code);
    let additionals = additionals + usize::from(!opt.is_empty());
    header.counts = [1, answers as u16, authorities as u16, additionals as u16];
    fast.reply[..HEADER].copy_from_slice(&header.bytes());
    true
}

impl Fast<'_> {
    /// Writes A or AAAA records, all owned by the question's name.
    fn addresses(&mut self, pairs: Matches<'_>, record_type: RecordType) -> Option<Written> {
        self.addresses.clear();
        let all = pairs.each(Each::Target, |pair| match pair.target {
            TargetRef::Address(ip) => {
                if ip.is_ipv4() == (record_type == RecordType::A) {
                    self.addresses.push(Address { ip, owner: HEADER });
                }
                self.addresses.len() <= ADDRESSES_MAX
            }
            TargetRef::Alias(_) => false,
        });
        if !all {
            return None;
        }
        let count = self.addresses.len();
        if count == 0 {
            return self.denial(ResponseCode::NOERROR);
        }
        self.shuffle();
        let spelled = self.request.question.name;
        let each = FIXED + if record_type == RecordType::A { 4 } else { 16 };
        let is_plain = self.fits_plain(count * (spelled.len() + each));
        let owner = if is_plain { spelled } else { &TO_QUESTION };
        let fitting = if is_plain { count } else { count.min(self.room() / (owner.len() + each)) };
        self.begin(fitting * (owner.len() + each));
        for at in 0..fitting {
            let ip = self.addresses[at].ip;
            self.reply.extend_from_slice(owner);
            self.address(ip);
        }
        Some(Written { counts: [fitting, 0, 0], truncated: fitting < count, code: ResponseCode::NOERROR })
    }

    /// Writes the SRV records of one port, and the addresses of their targets.
    fn srv(&mut self, pairs: Matches<'_>) -> Option<Written> {
        let question = &self.request.question;
        let (suffix, ttl) = (&question.name[self.zone_at..], self.ttl());
        // With one port each and no label in common with the question, no two records are equal, and no target is a
        // suffix of the question's name.
        let (mut lengths, mut data, mut previous) = (0, 0, None);
        let set = SrvSet::count(pairs, |pair| {
            let TargetRef::Address(ip) = pair.target else { return false };
            lengths += pair.host.len() + pairs.prefix().len() + suffix.len();
            data += if ip.is_ipv4() { 4 } else { 16 };
            let is_repeated = previous == Some((pair.host, ip));
            previous = Some((pair.host, ip));
            pair.port.is_some() && !is_repeated && pair.host.get(1).is_some_and(|&first| first != b'_')
        });
        let set = set.filter(|set| set.len() <= ADDRESSES_MAX)?;
        let count = set.len();
        let plain = count * (question.name.len() + FIXED + SRV_NUMBERS + FIXED) + 2 * lengths + data;
        let is_plain = self.fits_plain(plain);
        if !is_plain && usize::from(self.size.limit) > POINTER_MAX {
            return None;
        }
        let owner = if is_plain { question.name } else { &TO_QUESTION };
        self.begin(if is_plain { plain } else { self.room() });
        self.addresses.clear();
        let end = self.reply.len() + self.room();
        let mut fitting = 0;
        set.each(|Srv { numbers, host, ip }| {
            let target = host.len() + pairs.prefix().len() + suffix.len();
            let at = self.reply.len() + owner.len() + FIXED + SRV_NUMBERS;
            self.addresses.push(Address { ip, owner: at });
            if fitting + 1 == self.addresses.len() && (is_plain || at + target <= end) {
                self.reply.extend_from_slice(owner);
                self.fixed(RecordType::SRV, ttl, SRV_NUMBERS + target);
                self.reply.extend_from_slice(&numbers);
                for part in [host, pairs.prefix(), suffix] {
                    self.reply.extend_from_slice(part);
                }
                fitting += 1;
            }
        });
        // Shuffle even if none fits, to keep the random numbers in step with the general path.
        self.shuffle();
        let mut additional = 0;
        while fitting == count && additional < count {
            let Address { ip, owner } = self.addresses[additional];
            let before = self.reply.len();
            if is_plain {
                let target = owner..end_of_plain_name(self.reply, owner).unwrap_or(owner);
                self.reply.extend_from_within(target);
            } else {
                self.reply.extend_from_slice(&pointer(owner));
            }
            self.address(ip);
            if !is_plain && self.reply.len() > end {
                self.reply.truncate(before);
                break;
            }
            additional += 1;
        }
        let truncated = fitting + additional < 2 * count;
        Some(Written { counts: [fitting, 0, additional], truncated, code: ResponseCode::NOERROR })
    }

    /// Writes a negative answer, NODATA or NXDOMAIN, with the SOA.
    fn denial(&mut self, code: ResponseCode) -> Option<Written> {
        let soa = Soa::new(self.zone, &self.request.question.name[self.zone_at..]);
        let rdata = soa.rdata();
        let length = rdata.iter().map(|part| part.len()).sum();
        let record = soa.owner.len() + FIXED + length;
        if !self.fits_plain(record) {
            return None;
        }
        self.begin(record);
        self.reply.extend_from_slice(soa.owner);
        self.fixed(RecordType::SOA, soa.ttl, length);
        rdata.iter().for_each(|part| self.reply.extend_from_slice(part));
        Some(Written { counts: [0, 1, 0], truncated: false, code })
    }

    /// Shuffles addresses as CoreDNS's `loadbalance` does; other records of the section keep their position.
    fn shuffle(&mut self) {
        if self.order == Order::Shuffle {
            self.rng.shuffle(self.addresses);
        }
    }

    fn ttl(&self) -> u32 {
        self.zone.settings().ttl
    }

    /// Number of bytes that are left for records.
    fn room(&self) -> usize {
        let others = HEADER + self.request.question.bytes.len() + self.opt.len();
        usize::from(self.size.limit).saturating_sub(others)
    }

    /// Whether records of `length` bytes fit without compression.
    fn fits_plain(&self, length: usize) -> bool {
        let others = HEADER + self.request.question.bytes.len() + self.opt.len();
        length + others <= usize::from(self.size.limit).min(self.size.compress_from)
    }

    /// Writes the header and question in front of records of `length` bytes.
    fn begin(&mut self, length: usize) {
        let question = self.request.question.bytes;
        self.reply.clear();
        self.reply.reserve(HEADER + question.len() + length + self.opt.len());
        self.reply.extend_from_slice(&[0; HEADER]);
        self.reply.extend_from_slice(question);
    }

    /// Writes the fields between a record's owner and its data of `length` bytes.
    fn fixed(&mut self, record_type: RecordType, ttl: u32, length: usize) {
        self.reply.extend_from_slice(&fixed(record_type, ttl, length));
    }

    /// Writes an A or AAAA record behind its owner, as one slice: a reply may have hundreds.
    fn address(&mut self, ip: IpAddr) {
        let (v4, v6);
        let (record_type, data): (RecordType, &[u8]) = match ip {
            IpAddr::V4(ip) => {
                v4 = ip.octets();
                (RecordType::A, &v4)
            }
            IpAddr::V6(ip) => {
                v6 = ip.octets();
                (RecordType::AAAA, &v6)
            }
        };
        let (mut rest, length) = ([0; FIXED + 16], FIXED + data.len());
        rest[..FIXED].copy_from_slice(&fixed(record_type, self.ttl(), data.len()));
        rest[FIXED..length].copy_from_slice(data);
        self.reply.extend_from_slice(&rest[..length]);
    }
}

/// The fields between a record's owner and its data of `length` bytes.
fn fixed(record_type: RecordType, ttl: u32, length: usize) -> [u8; FIXED] {
    let ([t0, t1], [c0, c1]) = (record_type.0.to_be_bytes(), IN.to_be_bytes());
    let ([s0, s1, s2, s3], [l0, l1]) = (ttl.to_be_bytes(), (length as u16).to_be_bytes());
    [t0, t1, c0, c1, s0, s1, s2, s3, l0, l1]
}

/// A compression pointer to the name at `at`.
const fn pointer(at: usize) -> [u8; 2] {
    [0xc0 | (at >> 8) as u8, at as u8]
}

#[cfg(test)]
mod tests {
    use super::super::Client;
    use super::*;
    use crate::store::Time;
    use crate::wire::DomainName;
    use crate::{ControlPlane, Settings, manifest};

    fn takes_fast_path(zone: &Zone, name: &str, record_type: RecordType) -> bool {
        let name: DomainName = name.parse().unwrap();
        let question = [name.as_wire(), &record_type.0.to_be_bytes(), &IN.to_be_bytes()].concat();
        let packet = [&[0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0], &question[..]].concat();
        let request = Request::read(&packet, true).unwrap();
        let lower = request.question.name.to_ascii_lowercase();
        let located = Located { request: &request, name: &lower, within: zone.locate(&lower, IN) };
        let size = Client { udp: true, ipv6: false, max_udp: u16::MAX }.reply_size(None);
        let (mut rng, mut addresses, mut reply) = (Rng::with_seed(0), Addresses::new(), Vec::new());
        let order = (Order::Shuffle, &mut rng);
        answer(zone, located, &size, &[], order, &mut addresses, &mut reply)
    }

    #[test]
    fn questions_for_pods_and_services_take_the_fast_path() {
        let manifest = manifest::read_bytes(
            "test.yaml",
            b"apiVersion: clusterlocal.dev/v1\nkind: Topology\nsets:\n  db: {replicas: 300, ports: {cql: 9042}}\n".into(),
        );
        let objects = manifest.objects.into_iter().map(|read| (read.object.key(), read.object)).collect();
        let mut cluster = ControlPlane::new(Settings::default());
        cluster.advance_to(Time::from_unix_millis(1_700_000_000_000));
        cluster.apply(&objects);
        let zone = cluster.published().load();
        let table = [
            ("db.default.svc.cluster.local", RecordType::A, true),
            ("db.default.svc.cluster.local", RecordType::AAAA, true),
            ("DB-0.db.default.svc.cluster.local", RecordType::A, true),
            ("db-300.db.default.svc.cluster.local", RecordType::A, true),
            ("_cql._tcp.db.default.svc.cluster.local", RecordType::SRV, true),
            ("db.default.svc.cluster.local", RecordType::SRV, true),
            ("db.default.svc.cluster.local.default.svc.cluster.local", RecordType::A, true),
            ("kubernetes.default.svc.cluster.local", RecordType::A, true),
            ("_https._tcp.kubernetes.default.svc.cluster.local", RecordType::SRV, false),
            ("db.default.svc.cluster.local", RecordType::TXT, false),
            ("ns.dns.cluster.local", RecordType::A, false),
            ("10-244-0-1.default.pod.cluster.local", RecordType::A, false),
            ("example.com", RecordType::A, false),
        ];
        for (name, record_type, expected) in table {
            assert_eq!(takes_fast_path(&zone, name, record_type), expected, "{name} {record_type}");
        }
    }
}
