//! Takes a resolver's place for a moment: what a reply says, for people and tests that read it. Whatever is in it, also
//! what a fault made of it, is read without harm.

use std::fmt;
use std::str::FromStr;

use hickory_proto::op::Message;
use hickory_proto::rr::Record as WireRecord;

use super::text::rcode_name;
use crate::RecordType;

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

/// A response code (RFC 1035, 4.1.1; RFC 6891, 9). Shown by its name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResponseCode(pub u16);

impl ResponseCode {
    /// There is an answer, even if it is that there are no such records.
    pub const NOERROR: ResponseCode = ResponseCode(0);
    /// The query was not understood.
    pub const FORMERR: ResponseCode = ResponseCode(1);
    /// The server cannot tell now.
    pub const SERVFAIL: ResponseCode = ResponseCode(2);
    /// There is no such name.
    pub const NXDOMAIN: ResponseCode = ResponseCode(3);
    /// The server does not do that.
    pub const NOTIMP: ResponseCode = ResponseCode(4);
    /// The server does not want to.
    pub const REFUSED: ResponseCode = ResponseCode(5);
}

impl FromStr for ResponseCode {
    type Err = ();

    /// By its name, in any case.
    fn from_str(text: &str) -> Result<Self, ()> {
        // RFC 6891, 6.1.3: with the part that is in the OPT record, a code has 12 bits.
        (0..1 << 12).map(ResponseCode).find(|code| code.to_string().eq_ignore_ascii_case(text)).ok_or(())
    }
}

impl fmt::Display for ResponseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&rcode_name(self.0))
    }
}

impl fmt::Debug for ResponseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
