//! Applies a fault to the records of an answer: which there are, their data, and their order.

use std::net::IpAddr;

use fastrand::Rng;

use super::Hit;
use super::draft::Draft;
use super::rule::text;
use crate::answer::Request;
use crate::answer::soa::Soa;
use crate::fault::{Action, Arrangement, Glue, Selection, Target};
use crate::wire::{NAME_MAX, Question, RecordBuf, RecordType, ResponseCode};
use crate::zone::Zone;

/// Applies the actions of `hit` to `draft`, the answer of `zone` to `request`. Without an action that sets an order,
/// records are in that of the listener, `usual`.
pub(super) fn apply(
    draft: &mut Draft,
    hit: &Hit,
    zone: &Zone,
    request: &Request<'_>,
    usual: crate::answer::Order,
    rng: &mut Rng,
) {
    let answered = Answered { zone, request, asker: hit.asker };
    for action in hit.actions() {
        match action {
            Action::Rcode(ResponseCode::NXDOMAIN) => *draft = answered.denial(ResponseCode::NXDOMAIN),
            Action::Rcode(code) => *draft = Draft::bare(*code),
            Action::NoData => *draft = answered.denial(ResponseCode::NOERROR),
            _ => {}
        }
    }
    for action in hit.actions() {
        match action {
            Action::Omit(which) => answered.choose(draft, which, false),
            Action::Keep(which) => answered.choose(draft, which, true),
            _ => {}
        }
    }
    arrange(draft, hit, &answered, usual, rng);
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
    if hit.has_action(&Action::Cname) {
        alias(draft, request.question.name);
    }
}

/// The question that the records answer.
struct Answered<'a> {
    zone: &'a Zone,
    request: &'a Request<'a>,
    asker: IpAddr,
}

impl Answered<'_> {
    /// A denial as CoreDNS writes it: with the SOA for names in a served zone.
    fn denial(&self, code: ResponseCode) -> Draft {
        let Question { name, class, .. } = self.request.question;
        let served = self.zone.locate(&name.to_ascii_lowercase(), class);
        let soa = served.map(|(zone_at, _)| RecordBuf::from(Soa::new(self.zone, &name[zone_at..])));
        Draft { code, authoritative: soa.is_some(), authority: soa.into_iter().collect(), ..Draft::default() }
    }

    /// Removes the records that `which` selects from the answer, or all others if `keep` is set. Aliases stay while any
    /// record is left under them, as do records without a target (SOA, TXT). An empty answer is NODATA.
    fn choose(&self, draft: &mut Draft, which: &Selection, keep: bool) {
        let before = draft.answer.len();
        let aliases = aliases(&draft.answer);
        match which {
            Selection::First(count) => {
                let count = aliases + usize::from(*count).min(before - aliases);
                drop(if keep { draft.answer.drain(count..) } else { draft.answer.drain(aliases..count) });
            }
            which => draft.answer.retain(|record| match record.record_type {
                RecordType::A | RecordType::AAAA | RecordType::SRV | RecordType::PTR => {
                    self.selects(which, record) == keep
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

    fn selects(&self, which: &Selection, record: &RecordBuf) -> bool {
        match which {
            Selection::First(_) => false,
            Selection::Asker => match address(record) {
                Some(ip) => ip == self.asker,
                None => target(record).is_some_and(|target| {
                    self.names_of(self.asker).any(|name| name.eq_ignore_ascii_case(target))
                }),
            },
            Selection::Named(glob) => match address(record) {
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

fn arrange(
    draft: &mut Draft,
    hit: &Hit,
    answered: &Answered<'_>,
    usual: crate::answer::Order,
    rng: &mut Rng,
) {
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
        Arrangement::AskerFirst => records.sort_by_key(|record| !answered.selects(&Selection::Asker, record)),
        Arrangement::AskerLast => records.sort_by_key(|record| answered.selects(&Selection::Asker, record)),
        Arrangement::Shuffled => hit.rng_for(b'o').shuffle(records),
    }
}

/// Orders records as CoreDNS's `loadbalance` does: aliases, then other records in their order, then the addresses
/// shuffled.
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

/// Number of aliases at the start of the answer.
fn aliases(answer: &[RecordBuf]) -> usize {
    answer.iter().take_while(|record| record.record_type == RecordType::CNAME).count()
}

/// The address in a record of type A or AAAA.
fn address(record: &RecordBuf) -> Option<IpAddr> {
    match record.record_type {
        RecordType::A => <[u8; 4]>::try_from(&*record.rdata).ok().map(IpAddr::from),
        RecordType::AAAA => <[u8; 16]>::try_from(&*record.rdata).ok().map(IpAddr::from),
        _ => None,
    }
}

/// The name that a record points to.
fn target(record: &RecordBuf) -> Option<&[u8]> {
    match record.record_type {
        RecordType::SRV => record.rdata.get(6..),
        RecordType::NS | RecordType::CNAME | RecordType::PTR => Some(&record.rdata),
        _ => None,
    }
}

/// Removes the glue of names that the answer does not point to.
fn drop_unneeded_glue(draft: &mut Draft) {
    let Draft { answer, additional, .. } = draft;
    let targets: std::collections::HashSet<Vec<u8>> =
        answer.iter().filter_map(target).map(<[u8]>::to_ascii_lowercase).collect();
    additional.retain(|record| targets.contains(&record.owner.to_ascii_lowercase()));
}

/// Replaces the address by an unused one of its family; a loopback address stays one.
fn misdirect(rdata: &mut [u8]) {
    match rdata.len() {
        4 => rdata[1] ^= 0x80,
        16 => rdata[7] ^= 0x80,
        _ => {}
    }
}

/// Prefix of the missing hosts that dangling SRV records point to.
const GONE: &[u8] = b"gone-";

/// Makes SRV records point to names that do not exist, and so have no addresses.
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

/// Label that is prepended to a name for the target of its alias.
const ALIAS: &[u8] = b"\x05alias";

/// Puts an alias at the start of the answer, and the records under its target.
fn alias(draft: &mut Draft, name: &[u8]) {
    let Some(first) = draft.answer.first().filter(|first| first.record_type != RecordType::CNAME) else {
        return;
    };
    let ttl = first.ttl;
    // A name that is too long for one more label loses labels of its own.
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
