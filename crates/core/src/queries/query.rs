//! A parsed query of the log: names and records in the format of zone files. Must not depend on how queries are stored.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::Exchange;
use crate::answer::{Record, Reply, Request};
use crate::fault::Transport;
use crate::store::Time;
use crate::wire::{Edns, Header, Presentation, RecordType, ResponseCode, u16_at};

/// A query and its reply.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Query {
    /// Counts up from 1.
    pub number: u64,
    /// When it was received, in the cluster's time.
    pub time: Time,
    /// Real time until the reply was sent or abandoned.
    pub took: Duration,
    /// The client.
    pub client: SocketAddr,
    /// The client's pod, `NAMESPACE/NAME`, if one had the address.
    pub pod: Option<String>,
    /// The transport.
    pub transport: Transport,
    /// The message's id.
    pub id: u16,
    /// The name in the question, in its own spelling and with the final dot. Empty if the question could not be parsed.
    pub name: String,
    /// The type in the question.
    pub qtype: RecordType,
    /// The parameters of its OPT record, if it had one.
    pub edns: Option<Edns>,
    /// The reply, as far as it is kept; `None` if none was sent.
    pub reply: Option<Reply>,
    /// Length of the reply, in bytes.
    pub reply_bytes: Option<usize>,
    /// Number of answer records in the reply, as its header states it where the records are omitted.
    pub answer_count: usize,
    /// The records of `reply` are omitted, because the reply is longer than what the log keeps of one (4,096 bytes).
    pub records_omitted: bool,
    /// The fault that hit it.
    pub fault: Option<String>,
    /// The serial of the zone that the answer is from.
    pub serial: u32,
}

impl Query {
    /// The reply's code; `None` if no reply was sent.
    pub fn code(&self) -> Option<ResponseCode> {
        self.reply.as_ref().map(|reply| reply.code)
    }

    /// The answer records of the reply.
    pub fn answers(&self) -> &[Record] {
        self.reply.as_ref().map_or(&[], |reply| &reply.answers)
    }

    /// Parses a recorded exchange. `pod` is filled in by [`Driver::name_pods`](crate::Driver::name_pods).
    pub(super) fn read(number: u64, exchange: &Exchange, request: &[u8], reply: &[u8]) -> Query {
        let question = Request::asked(request);
        let records_omitted = exchange.reply.is_some_and(|whole| reply.len() < whole as usize);
        let message = exchange.reply.and_then(|_| read_reply(reply, records_omitted));
        let answer_count = match &message {
            Some(message) if !records_omitted => message.answers.len(),
            Some(_) => Header::read(reply).map_or(0, |header| usize::from(header.counts[1])),
            None => 0,
        };
        Query {
            number,
            time: exchange.at,
            took: exchange.took,
            client: exchange.client,
            pod: None,
            transport: exchange.transport,
            id: u16_at(request, 0).unwrap_or(0),
            name: question.map(|asked| Presentation(asked.question.name).to_string()).unwrap_or_default(),
            qtype: question.map_or(RecordType(0), |asked| asked.question.record_type),
            edns: question.and_then(|asked| asked.opt).map(|opt| opt.edns),
            reply: message,
            reply_bytes: exchange.reply.map(|whole| whole as usize),
            answer_count,
            records_omitted,
            fault: exchange.fault.as_ref().map(ToString::to_string),
            serial: exchange.serial,
        }
    }
}

/// Parses the kept bytes of a reply: the whole message, or its header alone if the rest was not kept.
fn read_reply(kept: &[u8], is_cut: bool) -> Option<Reply> {
    if !is_cut {
        return Reply::read(kept);
    }
    let header = Header { counts: [0; 4], ..Header::read(kept)? };
    Reply::read(&header.bytes())
}

/// Similar to a line of CoreDNS's `log` plugin: client, question and reply.
impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Query { time, client, id, qtype, name, transport, serial, .. } = self;
        write!(f, "{time} {client}")?;
        if let Some(pod) = &self.pod {
            write!(f, " ({pod})")?;
        }
        write!(f, " - {id} \"{qtype} IN {name} {transport}\" ")?;
        match &self.reply {
            Some(reply) => {
                let tc = if reply.truncated { ",tc" } else { "" };
                write!(f, "{}{tc} {} answers", reply.code, self.answer_count)?;
                if self.records_omitted {
                    f.write_str(" (records omitted)")?;
                }
            }
            None => f.write_str("no reply")?,
        }
        write!(f, " serial {serial} {:.6}s", self.took.as_secs_f64())?;
        match &self.fault {
            Some(fault) => write!(f, " fault {fault}"),
            None => Ok(()),
        }
    }
}
