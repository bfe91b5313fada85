//! Parsed DNS replies, for tests and tools. Any bytes are parsed without panic, also those that a fault produces.

use crate::wire::{Presentation, RecordBuf, RecordType, ResponseCode, Whole, character_strings, flag};

/// A parsed reply.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reply {
    /// The response code.
    pub code: ResponseCode,
    /// AA: the answer is from an authoritative server, not from a cache.
    pub authoritative: bool,
    /// TC: the reply is truncated; the complete one is available over TCP.
    pub truncated: bool,
    /// The answer section.
    pub answers: Vec<Record>,
    /// The authority section: the SOA of a negative answer.
    pub authorities: Vec<Record>,
    /// The additional section without the OPT record: the addresses of SRV targets.
    pub additionals: Vec<Record>,
}

/// A record of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// The owner, with the final dot.
    pub name: String,
    /// The TTL, in seconds.
    pub ttl: u32,
    /// Its type.
    pub record_type: RecordType,
    /// Its data in the format of zone files: `0 50 9042 db-0.db.default.svc.cluster.local.`
    pub data: String,
}

impl Reply {
    /// Parses a complete message; `None` if it is malformed.
    pub fn read(message: &[u8]) -> Option<Reply> {
        let Whole { header, code, records, .. } = Whole::read(message)?;
        let mut sections = [Vec::new(), Vec::new(), Vec::new()];
        for (section, _, record) in &records {
            sections[*section as usize].push(Record::of(record));
        }
        let [answers, authorities, additionals] = sections;
        Some(Reply {
            code,
            authoritative: header.has(flag::AUTHORITATIVE),
            truncated: header.has(flag::TRUNCATED),
            answers,
            authorities,
            additionals,
        })
    }
}

impl Record {
    fn of(record: &RecordBuf) -> Record {
        Record {
            name: Presentation(&record.owner).to_string(),
            ttl: record.ttl,
            record_type: record.record_type,
            data: if record.record_type == RecordType::TXT {
                text(&record.rdata)
            } else {
                record.data().to_string()
            },
        }
    }
}

/// The strings of a TXT record as one, without quotes.
fn text(rdata: &[u8]) -> String {
    character_strings(rdata).map(String::from_utf8_lossy).collect()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
    use hickory_proto::rr::rdata::{A, AAAA, CNAME, MX, NS, NULL, PTR, SOA, SRV, TXT};
    use hickory_proto::rr::{Name, RData, Record as WireRecord, RecordType as WireType};

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    /// Every type that a zone of a cluster has, and others that an upstream may return.
    fn message() -> Message {
        let mut message = Message::new(1, MessageType::Response, OpCode::Query);
        message.metadata.authoritative = true;
        message.add_query(Query::query(name("db.default.svc.cluster.local."), WireType::ANY));
        let domain = || name("cluster.local.");
        let data = [
            RData::A(A(Ipv4Addr::new(127, 244, 0, 1))),
            RData::AAAA(AAAA(Ipv6Addr::LOCALHOST)),
            RData::CNAME(CNAME(name("web.default.svc.cluster.local."))),
            RData::NS(NS(name("ns.dns.cluster.local."))),
            RData::PTR(PTR(name("db-0.db.default.svc.cluster.local."))),
            RData::MX(MX::new(10, name("mail.cluster.local."))),
            RData::SRV(SRV::new(0, 33, 9042, name("db-0.db.default.svc.cluster.local."))),
            RData::TXT(TXT::new(vec!["1.1".into(), ".0 \"a\"".into()])),
        ];
        for data in data {
            message.answers.push(WireRecord::from_rdata(name("db.default.svc.cluster.local."), 30, data));
        }
        let soa = SOA::new(
            name("ns.dns.cluster.local."),
            name("hostmaster.cluster.local."),
            7,
            7200,
            1800,
            86400,
            30,
        );
        message.authorities.push(WireRecord::from_rdata(domain(), 5, RData::SOA(soa)));
        let unknown = RData::Unknown { code: WireType::Unknown(65_280), rdata: NULL::with(vec![1, 0xff]) };
        message.additionals.push(WireRecord::from_rdata(domain(), 5, unknown));
        message.set_edns(Edns::new());
        message
    }

    #[test]
    fn replies_are_parsed_like_hickory_does() {
        let message = message();
        let reply = Reply::read(&message.to_vec().unwrap()).expect("a reply");
        let read = |section: &[WireRecord]| -> Vec<_> {
            let shown =
                section.iter().map(|record| (record.name.to_string(), record.ttl, record.data.to_string()));
            shown.collect()
        };
        let parsed = |section: &[Record]| -> Vec<_> {
            section.iter().map(|record| (record.name.clone(), record.ttl, record.data.clone())).collect()
        };
        assert_eq!(parsed(&reply.answers), read(&message.answers));
        assert_eq!(parsed(&reply.authorities), read(&message.authorities));
        assert_eq!(reply.additionals.len(), 1, "without the OPT record");
        assert_eq!(reply.additionals[0].data, "\\# 2 01ff");
        assert!(reply.authoritative && !reply.truncated);
    }

    #[test]
    fn a_truncated_packet_is_no_reply() {
        let whole = message().to_vec().unwrap();
        for end in 0..whole.len() {
            assert_eq!(Reply::read(&whole[..end]), None, "{end}");
        }
    }
}
