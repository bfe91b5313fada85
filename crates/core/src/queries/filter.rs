//! Which queries are meant: everything that is said has to hold. It must not know where they are kept.

use std::net::IpAddr;

use super::Query;
use crate::fault::Glob;
use crate::fault::Transport;
use crate::wire::{RecordType, ResponseCode};

/// Which queries are meant. The default is all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The name that was asked for; case and the last dot do not count.
    pub name: Option<Glob>,
    /// The type that was asked for.
    pub qtype: Option<RecordType>,
    /// The address that asked.
    pub client: Option<IpAddr>,
    /// The pod that asked: `NAME`, in whatever namespace, or `NAMESPACE/NAME`.
    pub pod: Option<String>,
    /// How it was asked.
    pub transport: Option<Transport>,
    /// What was said; `Some(None)` is nothing.
    pub code: Option<Option<ResponseCode>>,
    /// The fault that hit it.
    pub fault: Option<String>,
    /// After when it was asked.
    pub after: Option<Position>,
}

/// A moment, for those who want to know what was asked since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The number of the latest query then.
    pub number: u64,
    /// The serial of the zone then, if it matters: who was answered from an earlier one asked before.
    pub serial: Option<u32>,
}

impl Filter {
    /// Whether `query` is meant.
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
