//! All records of a zone, found by answering questions: the list cannot differ from the answers.

use super::general::{Resolution, Resolver, Upstream};
use super::message::Message;
use super::{Answerer, Order, Outside};
use crate::wire::{DomainName, Header, IN, RecordType, RecordView, sections};
use crate::zone::Zone;

/// The record types that are queried for each name below the cluster domain.
const FORWARD: [RecordType; 7] = [
    RecordType::SOA,
    RecordType::NS,
    RecordType::CNAME,
    RecordType::A,
    RecordType::AAAA,
    RecordType::SRV,
    RecordType::TXT,
];

/// Calls `each` with every record below the cluster domain, name by name.
pub fn forward_records(zone: &Zone, mut each: impl FnMut(RecordView<'_>)) {
    let mut lister = Lister::default();
    for name in zone.names() {
        for record_type in FORWARD {
            lister.ask(zone, &name, record_type, &mut each);
        }
    }
}

/// Calls `each` with every PTR record, address by address.
pub fn reverse_records(zone: &Zone, mut each: impl FnMut(RecordView<'_>)) {
    let mut lister = Lister::default();
    for name in zone.reverse_names() {
        lister.ask(zone, &name, RecordType::PTR, &mut each);
    }
}

struct Lister {
    answerer: Answerer,
    message: Vec<u8>,
}

impl Default for Lister {
    fn default() -> Self {
        Lister { answerer: Answerer::new(Order::Stable, 0, Outside::NxDomain), message: Vec::new() }
    }
}

impl Lister {
    fn ask(
        &mut self,
        zone: &Zone,
        name: &DomainName,
        record_type: RecordType,
        each: &mut impl FnMut(RecordView<'_>),
    ) {
        let lower = name.as_wire().to_ascii_lowercase();
        let Some((zone_at, reverse)) = zone.locate(&lower, IN) else { return };
        let header = Header { id: 0, flags: 0, counts: [0; 4] };
        // Without a packet: a set of 5,000 pods has more records than one can hold.
        let message = Message::new(&mut self.message, &mut self.answerer.scratch, header, &[]);
        let mut resolver = Resolver {
            zone,
            name: &lower,
            spelled: &lower,
            zone_at,
            reverse,
            upstream: Upstream::Unavailable,
            target: &mut self.answerer.target.name,
            message,
        };
        if resolver.resolve(record_type) != Resolution::Data {
            return;
        }
        resolver.message.finish(&[], usize::MAX, usize::MAX);
        let Some([answers, _, _]) = sections(&self.message) else { return };
        // An alias is listed once, for its own type, and its target's records under the target.
        let own = answers.into_iter().filter(|r| r.record_type == record_type && r.owner == lower);
        own.for_each(each);
    }
}
