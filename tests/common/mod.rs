//! Shared by several tests: clusters from text, queries, and replies as hickory's parser reads them.
#![allow(dead_code, reason = "each test uses its part")]

mod ring;

use std::collections::BTreeSet;

use clusterlocal_core::answer::{
    self, Answerer, Client, Order, Outside, Verdict, forward_records, reverse_records,
};
use clusterlocal_core::store::{Objects, Time};
use clusterlocal_core::zone::Zone;
use clusterlocal_core::{ControlPlane, Settings, manifest};
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
#[allow(unused_imports, reason = "each test uses its part")]
pub(crate) use ring::ring;

/// The objects of one manifest, which must be without errors.
pub fn objects(name: &str, text: impl Into<Vec<u8>>) -> Objects {
    let manifest = manifest::read_bytes(name, text.into());
    let errors: Vec<_> = manifest.problems.iter().map(ToString::to_string).collect();
    assert_eq!(errors, Vec::<String>::new(), "{name}");
    manifest.objects.into_iter().map(|read| (read.object.key(), read.object)).collect()
}

/// The zone of a cluster that has `objects`.
pub fn zone_of(objects: &Objects, settings: Settings) -> Zone {
    let mut cluster = ControlPlane::new(settings);
    cluster.advance_to(Time::from_unix_millis(1_700_000_000_000));
    cluster.apply(objects);
    Zone::clone(&cluster.published().load())
}

/// The number of records that a zone lists.
pub fn listed(zone: &Zone) -> usize {
    let mut count = 0;
    forward_records(zone, |_| count += 1);
    reverse_records(zone, |_| count += 1);
    count
}

/// A client over UDP without a size limit besides its EDNS size.
pub const UDP: Client = Client { udp: true, ipv6: false, max_udp: u16::MAX };
/// A client over TCP.
pub const TCP: Client = Client { udp: false, ipv6: false, max_udp: u16::MAX };

/// A query: `NAME TYPE [edns=N] [noedns] [tcp]`.
pub struct Asked {
    pub request: Vec<u8>,
    pub client: Client,
}

impl Asked {
    pub fn parse(line: &str) -> Self {
        let mut words = line.split_whitespace();
        let (name, record_type) = (words.next().expect("a name"), words.next().expect("a type"));
        let (mut size, mut client) = (Some(1232), UDP);
        for option in words {
            match option.split_once('=') {
                Some(("edns", n)) => size = Some(n.parse().expect("a size")),
                _ if option == "noedns" => size = None,
                _ if option == "tcp" => client = TCP,
                _ => panic!("unknown option {option}"),
            }
        }
        Asked { request: request(name, record_type, size), client }
    }

    /// Returns the reply's bytes.
    pub fn ask(&self, zone: &Zone, order: Order) -> Vec<u8> {
        let mut reply = Vec::new();
        let verdict = Answerer::new(order, 7, Outside::NxDomain).answer(
            zone,
            &answer::Query::new(&self.request, self.client),
            &mut reply,
        );
        assert_eq!(verdict, Verdict::Reply);
        reply
    }
}

/// A query as a resolver sends it.
pub fn request(name: &str, record_type: &str, edns_size: Option<u16>) -> Vec<u8> {
    let labels = name.trim_end_matches('.').split('.').filter(|label| !label.is_empty());
    let name = Name::from_labels(labels.map(str::as_bytes)).expect("labels");
    let record_type: clusterlocal_core::RecordType = record_type.parse().expect("a type");
    let record_type = RecordType::from(record_type.0);
    let mut message = Message::new(0x1234, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    let mut query = Query::query(name, record_type);
    query.set_query_class(DNSClass::IN);
    message.add_query(query);
    if let Some(size) = edns_size {
        let mut edns = Edns::new();
        edns.set_max_payload(size);
        message.set_edns(edns);
    }
    message.to_vec().expect("a message")
}

/// The flags of a message, as dig writes them, in the header's order.
pub fn flags(message: &[u8]) -> String {
    let bits = u16::from_be_bytes([message[2], message[3]]);
    let names = [(15, "QR"), (10, "AA"), (9, "TC"), (8, "RD"), (7, "RA"), (6, "Z"), (5, "AD"), (4, "CD")];
    let set: Vec<_> = names.iter().filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, name)| *name).collect();
    set.join(" ")
}

/// The UDP size in the reply's OPT record.
pub fn opt_size(message: &Message) -> Option<u16> {
    message.edns.as_ref().map(Edns::max_payload)
}

/// A record as a line: `owner ttl type data`, the SOA's serial masked.
pub fn line(record: &Record) -> String {
    format!("{} {} {} {}", name(&record.name), record.ttl, record.record_type(), data(&record.data))
}

/// The lines of a section, sorted.
pub fn lines(section: &[Record]) -> Vec<String> {
    let mut lines: Vec<_> = section.iter().map(line).collect();
    lines.sort();
    lines
}

/// A name with its case, and without hickory's escapes where the name needs none.
pub fn name(name: &Name) -> String {
    let labels: Vec<_> = name.iter().map(|label| String::from_utf8_lossy(label).into_owned()).collect();
    labels.join(".") + "."
}

pub fn data(data: &RData) -> String {
    match data {
        RData::SRV(srv) => format!("{} {} {} {}", srv.priority, srv.weight, srv.port, name(&srv.target)),
        RData::NS(target) => name(target),
        RData::CNAME(target) => name(target),
        RData::PTR(target) => name(target),
        RData::SOA(soa) => format!(
            "{} {} SERIAL {} {} {} {}",
            name(&soa.mname),
            name(&soa.rname),
            soa.refresh,
            soa.retry,
            soa.expire,
            soa.minimum
        ),
        RData::TXT(txt) => {
            let parts: Vec<_> =
                txt.txt_data.iter().map(|part| format!("\"{}\"", String::from_utf8_lossy(part))).collect();
            parts.join(" ")
        }
        other => other.to_string(),
    }
}

/// The differences between two sets.
pub fn difference(want: &[String], got: &[String]) -> String {
    let (want, got): (BTreeSet<_>, BTreeSet<_>) = (want.iter().collect(), got.iter().collect());
    let missing: Vec<_> = want.difference(&got).collect();
    let extra: Vec<_> = got.difference(&want).collect();
    format!("missing {missing:?}, extra {extra:?}")
}
