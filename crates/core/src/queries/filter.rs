//! Filters for queries: all fields that are set have to match. Must not depend on the log.

use std::net::IpAddr;

use super::Query;
use crate::fault::Glob;
use crate::fault::Transport;
use crate::wire::{RecordType, ResponseCode};

/// A filter for queries. The default admits all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The name in the question; case and the final dot are ignored.
    pub name: Option<Glob>,
    /// The type in the question.
    pub qtype: Option<RecordType>,
    /// The client's address.
    pub client: Option<IpAddr>,
    /// The client's pod: `NAME`, in any namespace, or `NAMESPACE/NAME`.
    pub pod: Option<String>,
    /// The transport.
    pub transport: Option<Transport>,
    /// The response code; `Some(None)` matches queries without a reply.
    pub code: Option<Option<ResponseCode>>,
    /// The fault that hit it.
    pub fault: Option<String>,
    /// Only queries after this position.
    pub after: Option<Position>,
}

/// A position in the log, to select later queries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The number of the latest query at that time.
    pub number: u64,
    /// The serial of the zone at that time, if it matters: answers from an earlier zone count as earlier.
    pub serial: Option<u32>,
}

impl Filter {
    /// Whether `query` matches.
    pub fn admits(&self, query: &Query) -> bool {
        fn is<T: PartialEq>(wanted: &Option<T>, has: &T) -> bool {
            wanted.as_ref().is_none_or(|wanted| wanted == has)
        }
        let name = || query.name.trim_end_matches('.').to_ascii_lowercase();
        self.name.as_ref().is_none_or(|pattern| pattern.matches(name().as_bytes()))
            && is(&self.qtype, &query.qtype)
            && is(&self.client, &query.client.ip())
            && self.pod.as_ref().is_none_or(|pod| came_from(query, pod))
            && is(&self.transport, &query.transport)
            && is(&self.code, &query.code())
            && self.fault.as_ref().is_none_or(|fault| query.fault.as_ref() == Some(fault))
            && self.after.is_none_or(|after| after.is_before(query))
    }
}

impl Position {
    fn is_before(&self, query: &Query) -> bool {
        // RFC 1982: half of all serials are later than one.
        let is_older = |serial: u32| (query.serial.wrapping_sub(serial) as i32) < 0;
        query.number > self.number && !self.serial.is_some_and(is_older)
    }
}

fn came_from(query: &Query, pod: &str) -> bool {
    let Some(from) = &query.pod else { return false };
    from == pod || from.split_once('/').is_some_and(|(_, name)| name == pod)
}
