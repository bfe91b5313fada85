//! Which queries are meant: everything that is said has to hold. It must not know where they are kept.

use std::net::IpAddr;

use super::{Query, Transport};
use crate::answer::{RecordType, ResponseCode};

/// Which queries are meant. The default is all.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Filter {
    /// The name that was asked for: `*` stands for any characters, `?` for one; case and the last dot do not count.
    pub name: Option<String>,
    /// The type that was asked for.
    pub qtype: Option<RecordType>,
    /// The address that asked.
    pub client: Option<IpAddr>,
    /// The pod that asked: `NAME`, in whatever namespace, or `NAMESPACE/NAME`; with `*` and `?`, as above.
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
        let matches = |pattern: &Option<String>, text: &str| {
            pattern.as_ref().is_none_or(|pattern| glob(pattern.as_bytes(), text.as_bytes()))
        };
        let name = query.name.strip_suffix('.').unwrap_or(&query.name);
        matches(&self.name.as_ref().map(|name| name.strip_suffix('.').unwrap_or(name).into()), name)
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
    let name = from.split_once('/').map_or(from.as_str(), |(_, name)| name);
    let text = if pod.contains('/') { from } else { name };
    glob(pod.as_bytes(), text.as_bytes())
}

/// Whether `text` is as `pattern` says; ASCII case does not count (RFC 4343).
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to try again, with one more character for the last star.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, t));
                p += 1;
            }
            Some(c) if *c == b'?' || c.eq_ignore_ascii_case(&text[t]) => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((after, from)) => {
                    star = Some((after, from + 1));
                    (p, t) = (after, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let table = [
            ("*", "", true),
            ("db-0.*", "DB-0.db.default.svc.cluster.local", true),
            ("db-0.*", "db-01.db", false),
            ("db-?.db*local", "db-1.db.default.svc.cluster.local", true),
            ("*.svc.*.local", "a.svc.b.svc.cluster.local", true),
            ("db", "db.", false),
            ("a*b*c", "aXbXbXc", true),
            ("a*b*c", "aXbXbX", false),
        ];
        for (pattern, text, expected) in table {
            assert_eq!(glob(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }
}
