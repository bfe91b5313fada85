//! What a fault does to the records of an answer: which are there, what they say, and in which order.

use std::net::IpAddr;

use fastrand::Rng;

use super::Hit;
use super::draft::Draft;
use super::rule::text;
use crate::answer::soa::Soa;
use crate::answer::{Request, zone_of};
use crate::fault::{Action, Arrangement, Glue, Target, Which};
use crate::wire::{IN, NAME_MAX, RecordBuf, RecordType, ResponseCode};
use crate::zone::Zone;

/// Bends `draft`, which `request` has got from `zone`, as `hit` has it. Records that no action puts in order are in that
/// of the listener, `usual`.
pub(super) fn bend(
    draft: &mut Draft,
    hit: &Hit,
    zone: &Zone,
    request: &Request<'_>,
    usual: crate::answer::Order,
    rng: &mut Rng,
) {
    let asked = Asked { zone, request, asker: hit.asker };
    for action in hit.actions() {
        match action {
            Action::Rcode(ResponseCode::NXDOMAIN) => *draft = asked.denial(ResponseCode::NXDOMAIN),
            Action::Rcode(code) => *draft = Draft::bare(*code),
            Action::NoData => *draft = asked.denial(ResponseCode::NOERROR),
            _ => {}
        }
    }
    for action in hit.actions() {
        match action {
            Action::Omit(which) => asked.choose(draft, which, false),
            Action::Keep(which) => asked.choose(draft, which, true),
            _ => {}
        }
    }
    arrange(draft, hit, &asked, usual, rng);
    for action in hit.actions() {
        match action {
            Action::Glue(Glue::None) => draft.additional.clear(),
            Action::Glue(Glue::Wrong) => {
                draft.additional.iter_mut().for_each(|record| misdirect(&mut record.rdata))
            }
            Action::Target(Target::Dangling) => dangle(draft),
            Action::Ttl(ttl) => draft.set_ttl(*ttl),
            Action::Cut { keep } => {
                draft.answer.truncate(usize::from(*keep));
                drop_unneeded_glue(draft);
            }
            // A denial always fits.
            Action::Truncate { keep } if !draft.answer.is_empty() => {
                draft.truncated = true;
                draft.answer.truncate(usize::from(*keep));
                draft.authority.clear();
                draft.additional.clear();
            }
            _ => {}
        }
    }
    if hit.does(&Action::Cname) {
        alias(draft, request.question.name);
    }
}

/// What the records are an answer to.
struct Asked<'a> {
    zone: &'a Zone,
    request: &'a Request<'a>,
    asker: IpAddr,
}

impl Asked<'_> {
    /// A denial as CoreDNS writes it: with the SOA of the zone, for names that are in one of ours.
    fn denial(&self, code: ResponseCode) -> Draft {
        let name = self.request.question.name;
        let ours =
            zone_of(self.zone, &name.to_ascii_lowercase()).filter(|_| self.request.question.class == IN);
        let soa = ours.map(|(zone_at, _)| RecordBuf::from(Soa::new(self.zone, &name[zone_at..])));
        Draft { code, authoritative: soa.is_some(), authority: soa.into_iter().collect(), ..Draft::default() }
    }

    /// Leaves of the answer only what `which` means, or only the rest. Aliases stay as long as anything is left under
    /// them, and so does what leads nowhere (SOA, TXT). Nothing left is NODATA.
    fn choose(&self, draft: &mut Draft, which: &Which, keep: bool) {
        let before = draft.answer.len();
        let aliases = aliases(&draft.answer);
        match which {
            Which::First(count) => {
                let count = aliases + usize::from(*count).min(before - aliases);
                drop(if keep { draft.answer.drain(count..) } else { draft.answer.drain(aliases..count) });
            }
            which => draft.answer.retain(|record| match record.record_type {
                RecordType::A | RecordType::AAAA | RecordType::SRV | RecordType::PTR => {
                    self.means(which, record) == keep
                }
                _ => true,
            }),
        }
        if draft.answer.len() == before {
            return;
        }
        if draft.answer.iter().all(|record| record.record_type == RecordType::CNAME) {
            *draft = self.denial(ResponseCode::NOERROR);
        } else {
            drop_unneeded_glue(draft);
        }
    }

    fn means(&self, which: &Which, record: &RecordBuf) -> bool {
        match which {
            Which::First(_) => false,
            Which::Asker => match address(record) {
                Some(ip) => ip == self.asker,
                None => target(record).is_some_and(|target| {
                    self.names_of(self.asker).any(|name| name.eq_ignore_ascii_case(target))
                }),
            },
            Which::Named(glob) => match address(record) {
                Some(ip) => {
                    glob.matches_name_or_host(&text(&record.owner))
                        || self.names_of(ip).any(|name| glob.matches_name_or_host(&text(&name)))
                }
                None => target(record).is_some_and(|target| glob.matches_name_or_host(&text(target))),
            },
        }
    }

    fn names_of(&self, ip: IpAddr) -> impl Iterator<Item = Vec<u8>> {
        let domain = self.zone.settings().domain.as_wire();
        self.zone.names_of(ip).map(move |[host, service]| [host, service, domain].concat())
    }
}

fn arrange(draft: &mut Draft, hit: &Hit, asked: &Asked<'_>, usual: crate::answer::Order, rng: &mut Rng) {
    let order = hit.actions().iter().find_map(|action| match action {
        Action::Order(order) => Some(*order),
        _ => None,
    });
    let Some(order) = order else {
        if usual == crate::answer::Order::Shuffle {
            let sections = [&mut draft.answer, &mut draft.authority, &mut draft.additional];
            sections.into_iter().for_each(|section| shuffle(section, rng));
        }
        return;
    };
    let aliases = aliases(&draft.answer);
    let records = &mut draft.answer[aliases..];
    match order {
        Arrangement::Stable => {}
        Arrangement::Reversed => records.reverse(),
        Arrangement::Rotated if records.is_empty() => {}
        Arrangement::Rotated => {
            let by = hit.number % records.len() as u64;
            records.rotate_left(by as usize);
        }
        Arrangement::AskerFirst => records.sort_by_key(|record| !asked.means(&Which::Asker, record)),
        Arrangement::AskerLast => records.sort_by_key(|record| asked.means(&Which::Asker, record)),
        Arrangement::Shuffled => hit.lot(b'o').shuffle(records),
    }
}

/// As CoreDNS's `loadbalance` does: aliases first, then what is no address as it was, then the addresses in any order.
fn shuffle(records: &mut [RecordBuf], rng: &mut Rng) {
    let rank = |record: &RecordBuf| match record.record_type {
        RecordType::CNAME => 0,
        RecordType::A | RecordType::AAAA => 2,
        _ => 1u8,
    };
    records.sort_by_key(rank);
    let addresses = records.partition_point(|record| rank(record) < 2);
    rng.shuffle(&mut records[addresses..]);
}

/// How many aliases the answer begins with.
fn aliases(answer: &[RecordBuf]) -> usize {
    answer.iter().take_while(|record| record.record_type == RecordType::CNAME).count()
}

/// The address that a record says, if it says one.
fn address(record: &RecordBuf) -> Option<IpAddr> {
    match record.record_type {
        RecordType::A => <[u8; 4]>::try_from(&*record.rdata).ok().map(IpAddr::from),
        RecordType::AAAA => <[u8; 16]>::try_from(&*record.rdata).ok().map(IpAddr::from),
        _ => None,
    }
}

/// The name that a record leads to, if it leads to one.
fn target(record: &RecordBuf) -> Option<&[u8]> {
    match record.record_type {
        RecordType::SRV => record.rdata.get(6..),
        RecordType::NS | RecordType::CNAME | RecordType::PTR => Some(&record.rdata),
        _ => None,
    }
}

/// Leaves the addresses of those names only that the answer leads to.
fn drop_unneeded_glue(draft: &mut Draft) {
    let Draft { answer, additional, .. } = draft;
    let targets: std::collections::HashSet<Vec<u8>> =
        answer.iter().filter_map(target).map(<[u8]>::to_ascii_lowercase).collect();
    additional.retain(|record| targets.contains(&record.owner.to_ascii_lowercase()));
}

/// Makes another address of the family: what is a loopback address stays one, and nobody is given such addresses.
fn misdirect(rdata: &mut [u8]) {
    match rdata.len() {
        4 => rdata[1] ^= 0x80,
        16 => rdata[7] ^= 0x80,
        _ => {}
    }
}

/// How hosts are called that SRV records lead to and that are not there.
const GONE: &[u8] = b"gone-";

/// Lets SRV records lead to names that do not exist, without addresses therefore.
fn dangle(draft: &mut Draft) {
    let mut dangling = false;
    for record in draft.answer.iter_mut().filter(|record| record.record_type == RecordType::SRV) {
        let Some((&length, rest)) = record.rdata.get(6..).and_then(<[u8]>::split_first) else { continue };
        let (label, suffix) = rest.split_at(usize::from(length).min(rest.len()));
        let room = (NAME_MAX - 1).saturating_sub(suffix.len()).min(63);
        let label: Vec<u8> = [GONE, label].concat().into_iter().take(room).collect();
        record.rdata = [&record.rdata[..6], &[label.len() as u8], &label, suffix].concat();
        dangling = true;
    }
    if dangling {
        draft.additional.clear();
    }
}

/// What a name is an alias for: itself with this label in front.
const ALIAS: &[u8] = b"\x05alias";

/// Puts an alias in front of the answer, and its records under that.
fn alias(draft: &mut Draft, name: &[u8]) {
    let Some(first) = draft.answer.first().filter(|first| first.record_type != RecordType::CNAME) else {
        return;
    };
    let ttl = first.ttl;
    // A name that leaves no room for one more label loses some of its own.
    let mut rest = name;
    while ALIAS.len() + rest.len() > NAME_MAX {
        rest = &rest[1 + usize::from(rest[0])..];
    }
    let target = [ALIAS, rest].concat();
    let under = draft.answer.iter_mut().filter(|record| record.owner.eq_ignore_ascii_case(name));
    under.for_each(|record| record.owner.clone_from(&target));
    let alias = RecordBuf { owner: name.to_vec(), record_type: RecordType::CNAME, ttl, rdata: target };
    draft.answer.insert(0, alias);
}
