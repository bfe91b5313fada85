//! Takes a resolver's place for a moment: what a reply says, for people and tests that read it. Whatever is in it, also
//! what a fault made of it, is read without harm.

use hickory_proto::op::Message;
use hickory_proto::rr::Record as WireRecord;

use crate::wire::{RecordType, ResponseCode};

/// What a reply says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reply {
    /// How it went.
    pub code: ResponseCode,
    /// AA: from the one who knows, not from a cache.
    pub authoritative: bool,
    /// TC: there is more, to be asked for over TCP.
    pub truncated: bool,
    /// What was asked for.
    pub answers: Vec<Record>,
    /// The SOA of a negative answer.
    pub authorities: Vec<Record>,
    /// What goes along: the addresses of SRV targets. Without the OPT record.
    pub additionals: Vec<Record>,
}

/// A record of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// The name it is at, with the last dot.
    pub name: String,
    /// Seconds.
    pub ttl: u32,
    /// Its type.
    pub record_type: RecordType,
    /// Its data as zone files have it: `0 50 9042 db-0.db.default.svc.cluster.local.`
    pub data: String,
}

impl Reply {
    /// Reads a whole message; `None` where it is none.
    pub fn read(message: &[u8]) -> Option<Reply> {
        let message = Message::from_vec(message).ok()?;
        let records = |section: &[WireRecord]| section.iter().map(Record::of).collect();
        Some(Reply {
            code: ResponseCode(message.metadata.response_code.into()),
            authoritative: message.metadata.authoritative,
            truncated: message.metadata.truncation,
            answers: records(&message.answers),
            authorities: records(&message.authorities),
            additionals: records(&message.additionals),
        })
    }
}

impl Record {
    fn of(record: &WireRecord) -> Record {
        Record {
            name: record.name.to_string(),
            ttl: record.ttl,
            record_type: RecordType(record.record_type().into()),
            data: record.data.to_string(),
        }
    }
}
