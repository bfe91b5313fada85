//! The query log: one line per query in the format of CoreDNS's `log` plugin, so that the same tools can read it.
//!
//! ```text
//! 127.0.0.1:40212 - 26456 "A IN example.com. udp 44 false 4096" NOERROR qr,aa,rd 106 0.000123456s
//! ```
//!
//! The fields are client and id; then type, class, name, protocol, size in bytes, DO bit and UDP size of the query;
//! response code, flags and size in bytes of the reply (`- - 0` without a reply); the duration; and `fault=NAME` if a fault
//! hit the query. Names come from clients: [`Presentation`] escapes control bytes.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tracing::Level;

use super::view::View;
use crate::answer::{Client, Hit};
use crate::fault::Transport;
use crate::queries::Exchanged;
use crate::store::{Name, Time};
use crate::wire::{self, Header, Presentation, ResponseCode, flag};

/// Target of the query log's events, for filters.
pub const TARGET: &str = "clusterlocal::queries";

/// The log of queries that were received together: when they arrived, or nothing if queries are neither recorded nor
/// logged, so that it costs nothing.
#[derive(Clone, Copy)]
pub(super) struct Log(Option<(Time, Instant)>);

/// The zone and the fault of a reply.
pub(super) struct Basis {
    /// Serial of the zone that answered.
    pub(super) serial: u32,
    /// The fault that hit the query.
    pub(super) hit: Option<Hit>,
}

/// A query as a transport received it.
#[derive(Clone, Copy)]
pub(super) struct Received<'a> {
    pub(super) request: &'a [u8],
    pub(super) peer: SocketAddr,
    pub(super) client: Client,
    /// `udp`, `tcp`, or a hickory server's name of its protocol.
    pub(super) protocol: &'a (dyn fmt::Display + Sync),
}

impl Log {
    /// Starts the log of queries that arrive now.
    pub(super) fn begin(view: &View) -> Self {
        let wanted = view.queries.is_some() || tracing::enabled!(target: TARGET, Level::DEBUG);
        let now = || {
            let instant = Instant::now();
            (view.clock.at(instant), instant)
        };
        Log(wanted.then(now))
    }

    /// Records queries, with their replies if any, in the log and in the view's record of queries.
    pub(super) fn record<'a>(
        self,
        view: &View,
        exchanges: impl IntoIterator<Item = (Received<'a>, &'a Basis, Option<&'a [u8]>), IntoIter: Clone>,
    ) {
        let Some((at, instant)) = self.0 else { return };
        let (took, exchanges) = (instant.elapsed(), exchanges.into_iter());
        let fault = |basis: &'a Basis| basis.hit.as_ref().map(Hit::fault);
        if tracing::enabled!(target: TARGET, Level::DEBUG) {
            for (received, basis, reply) in exchanges.clone() {
                if reply.is_some() || basis.hit.is_some() {
                    let line = Line { received, reply: reply.unwrap_or_default(), took, fault: fault(basis) };
                    tracing::debug!(target: TARGET, "{line}");
                }
            }
        }
        if let Some(queries) = &view.queries {
            queries.record(exchanges.map(|(Received { request, peer, client, .. }, basis, reply)| {
                let transport = if client.udp { Transport::Udp } else { Transport::Tcp };
                let (serial, fault) = (basis.serial, fault(basis));
                Exchanged { at, took, client: peer, transport, serial, fault, request, reply }
            }));
        }
    }
}

struct Line<'a> {
    received: Received<'a>,
    reply: &'a [u8],
    took: Duration,
    /// The fault that hit it.
    fault: Option<&'a Name>,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Line { received: Received { request: query, peer, protocol, .. }, reply, took, fault } = self;
        write!(f, "{peer} - {} \"", wire::u16_at(query, 0).unwrap_or(0))?;
        match wire::question(query) {
            Some(asked) => {
                write!(f, "{} ", asked.record_type)?;
                match asked.class {
                    1 => f.write_str("IN")?,
                    // RFC 3597 section 5.
                    other => write!(f, "CLASS{other}")?,
                }
                write!(f, " {}", Presentation(asked.name))?;
            }
            None => f.write_str("- - -")?,
        }
        let opt = wire::opt(query);
        let dnssec_ok = opt.as_ref().is_some_and(|opt| opt.edns.dnssec_ok());
        let udp_size = opt.map_or(512, |opt| opt.edns.udp_size);
        write!(f, " {protocol} {} {dnssec_ok} {udp_size}\" ", query.len())?;
        if reply.is_empty() {
            f.write_str("- - 0 ")?
        } else {
            write!(f, "{} {} {} ", response_code(reply), Flags(reply), reply.len())?
        }
        write!(f, "{}.{:09}s", took.as_secs(), took.subsec_nanos())?;
        fault.map_or(Ok(()), |fault| write!(f, " fault={fault}"))
    }
}

/// The response code of `reply`, with the part of it that is in the OPT record.
fn response_code(reply: &[u8]) -> ResponseCode {
    let low = Header::read(reply).map_or(0, |header| header.response_code().0);
    let high = wire::opt(reply).map_or(0, |opt| u16::from(opt.edns.extended_code));
    ResponseCode(high << 4 | low)
}

/// The flags of a header, as CoreDNS lists them.
struct Flags<'a>(&'a [u8]);

impl fmt::Display for Flags<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [(u16, &str); 7] = [
            (flag::RESPONSE, "qr"),
            (flag::AUTHORITATIVE, "aa"),
            (flag::TRUNCATED, "tc"),
            (flag::RECURSION_DESIRED, "rd"),
            (flag::RECURSION_AVAILABLE, "ra"),
            (flag::AUTHENTIC_DATA, "ad"),
            (flag::CHECKING_DISABLED, "cd"),
        ];
        let flags = Header::read(self.0).map_or(0, |header| header.flags);
        let mut set = NAMES.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| name);
        if let Some(first) = set.next() {
            f.write_str(first)?;
        }
        set.try_for_each(|name| write!(f, ",{name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(query: &[u8], reply: &[u8]) -> String {
        let peer = "127.0.0.1:40212".parse().unwrap();
        let client = Client { udp: true, ipv6: false, max_udp: u16::MAX };
        let received = Received { request: query, peer, client, protocol: &"udp" };
        Line { received, reply, took: Duration::from_nanos(123_456), fault: None }.to_string()
    }

    #[test]
    fn lines_are_those_of_coredns() {
        let query = b"\x67\x58\x01\x20\0\x01\0\0\0\0\0\x01\x07example\x03com\0\0\x01\0\x01\
            \0\0\x29\x10\0\0\0\0\0\0\0";
        let reply = b"\x67\x58\x85\x00\0\x01\0\0\0\0\0\0\x07example\x03com\0\0\x01\0\x01";
        let expected = "127.0.0.1:40212 - 26456 \"A IN example.com. udp 40 false 4096\" \
            NOERROR qr,aa,rd 29 0.000123456s";
        assert_eq!(line(query, reply), expected);
    }

    #[test]
    fn unknown_values_are_numbers_and_missing_ones_dashes() {
        let query = b"\0\x01\0\0\0\x01\0\0\0\0\0\x01\0\x02\x9a\x02\x9b\0\0\x29\0\x64\0\0\x80\0\0\0";
        let reply = b"\0\x01\x80\x0b\0\0\0\0\0\0\0\0";
        let expected =
            "127.0.0.1:40212 - 1 \"TYPE666 CLASS667 . udp 28 true 100\" RCODE11 qr 12 0.000123456s";
        assert_eq!(line(query, reply), expected);
        let header = b"\0\x02\0\0\0\0\0\0\0\0\0\0";
        let expected = "127.0.0.1:40212 - 2 \"- - - udp 12 false 512\" - - 0 0.000123456s";
        assert_eq!(line(header, b""), expected);
    }

    #[test]
    fn no_control_byte_of_a_name_reaches_the_log() {
        let every: Vec<u8> = (0..=255).collect();
        for label in every.chunks(60) {
            let name = [&[label.len() as u8], label, &[0]].concat();
            let query = [b"\0\x01\0\0\0\x01\0\0\0\0\0\0", &name[..], b"\0\x01\0\x01"].concat();
            let text = line(&query, b"");
            assert!(text.bytes().all(|byte| (0x20..=0x7e).contains(&byte)), "{text:?}");
        }
    }
}
