//! All records of a zone, found by asking it: what is listed is what is answered.

use super::general::{Outcome, Resolver, Upstream};
use super::message::Message;
use super::{Answerer, Order, Outside, zone_of};
use crate::wire::{DomainName, Header, RecordType, RecordView, sections};
use crate::zone::Zone;

/// The types that a name below the cluster domain is asked for.
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
        let Some((zone_at, reverse)) = zone_of(zone, &lower) else { return };
        let header = Header { id: 0, flags: 0, counts: [0; 4] };
        // Not by way of a packet: a set of 5,000 pods has more records than one can hold.
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
        if resolver.resolve(record_type) != Outcome::Data {
            return;
        }
        resolver.message.finish(&[], usize::MAX, usize::MAX);
        let Some([answers, _, _]) = sections(&self.message) else { return };
        // An alias's own record is listed once, when its type is asked for, and its target where it belongs.
        let own = answers.into_iter().filter(|r| r.record_type == record_type && r.owner == lower);
        own.for_each(each);
    }
}
