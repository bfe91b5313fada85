//! Takes the place of the handler of CoreDNS's `kubernetes` plugin and of its message writer: (zone, packet) → reply.
//! Pure, and cannot fail: every packet gets a reply or is dropped. Must not depend on files or sockets.

mod fast;
pub mod fault;
mod general;
mod listing;
mod message;
mod reply;
mod request;
mod soa;
mod srv;

use fastrand::Rng;

use crate::wire::{DomainName, Edns, Header, IN, NAME_MAX, Opt, RecordBuf, RecordType, ResponseCode, flag};
use crate::zone::Zone;
use fast::Addresses;
pub use fault::{Faults, Hit};
use general::{Upstream, resolve};
pub use listing::{forward_records, reverse_records};
use message::{Message, Scratch};
pub use reply::{Record, Reply};
pub use request::Request;
use request::{Located, RequestError};

/// A query, and everything besides the zone that its answer depends on.
#[derive(Clone, Copy)]
pub struct Query<'q> {
    /// The packet as received.
    pub request: &'q [u8],
    /// Transport and limits of the client.
    pub client: Client,
    /// After [`Verdict::Chase`]: the upstream's answer for [`Answerer::target`].
    pub upstream: Option<&'q UpstreamAnswer>,
    /// The fault that hits it; see [`Faults::hit`].
    pub fault: Option<&'q Hit>,
}

impl<'q> Query<'q> {
    /// A query that no fault hits, before any upstream is queried.
    pub fn new(request: &'q [u8], client: Client) -> Self {
        Query { request, client, upstream: None, fault: None }
    }
}

/// An upstream's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamAnswer {
    /// The records of its answer section.
    pub records: Vec<RecordBuf>,
    /// Whether it was truncated.
    pub truncated: bool,
}

/// The properties of the client that the reply depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Whether the query came over UDP (sizes are limited) or TCP.
    pub udp: bool,
    /// Whether the client's address is IPv6: replies are compressed from 1220 bytes on instead of 1480.
    pub ipv6: bool,
    /// Maximum size of a UDP reply of this listener, in bytes, regardless of the client's EDNS size. At least 512.
    pub max_udp: u16,
}

/// The order of records within an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Order {
    /// Addresses shuffled anew for each reply, as CoreDNS's `loadbalance` plugin does.
    Shuffle,
    /// As the objects list them.
    Stable,
}

/// The answer for names outside the cluster's zones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outside {
    /// NXDOMAIN, not authoritative, with RA and without an SOA record: stub resolvers treat it as "not found", while
    /// REFUSED becomes a temporary failure in glibc, Go and Node.js once a search list has been tried. Names above the
    /// zones exist, or nothing could exist below them (RFC 8020): NODATA.
    #[default]
    NxDomain,
    /// REFUSED, as from an authoritative server.
    Refused,
    /// The answer of an upstream server.
    Forwarded,
}

/// What the caller has to do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Send nothing: the packet is a response itself, or too short to be a request.
    Silent,
    /// Send the reply.
    Reply,
    /// The name is outside the served zones and there is an upstream: relay the request. The reply holds REFUSED, in
    /// case the upstream fails.
    Forward,
    /// An ExternalName leads to a name outside the served zones: query the upstream for [`Answerer::target`] and answer
    /// the query again with its answer. The reply holds the answer without it, in case the upstream has none.
    Chase,
}

/// Creates replies one at a time and reuses its buffers: use one for each thread or task.
pub struct Answerer {
    order: Order,
    rng: Rng,
    outside: Outside,
    /// Whether the fast path is enabled.
    fast: bool,
    addresses: Addresses,
    scratch: Scratch,
    /// A complete reply, before a fault is applied.
    plain: Vec<u8>,
    opt: Vec<u8>,
    target: Target,
}

/// The question for an upstream.
struct Target {
    /// In wire form.
    name: Vec<u8>,
    record_type: RecordType,
}

/// Maximum UDP reply for a client without EDNS (RFC 1035, 4.2.1), in bytes.
const UDP_WITHOUT_EDNS: u16 = 512;

/// EDNS options that CoreDNS echoes: NSID, EXPIRE, COOKIE, TCP-KEEPALIVE, PADDING (`edns.go`).
const ECHOED_OPTIONS: [u16; 5] = [3, 9, 10, 11, 12];

/// RFC 8914, 4.21.
const EDE_NOT_AUTHORITATIVE: u16 = 20;

impl Answerer {
    /// `seed` determines every shuffle, `outside` the answer for names outside the served zones.
    pub fn new(order: Order, seed: u64, outside: Outside) -> Self {
        Answerer {
            order,
            rng: Rng::with_seed(seed),
            outside,
            fast: true,
            addresses: Addresses::new(),
            scratch: Scratch::default(),
            plain: Vec::new(),
            opt: Vec::new(),
            target: Target { name: vec![0], record_type: RecordType::A },
        }
    }

    /// Disables the fast path. For differential tests.
    #[must_use]
    pub fn without_fast_path(self) -> Self {
        Answerer { fast: false, ..self }
    }

    /// After [`Verdict::Chase`]: the name (wire form) and record type to query the upstream for.
    pub fn target(&self) -> (&[u8], RecordType) {
        (&self.target.name, self.target.record_type)
    }

    /// Answers `query` from `zone` into `reply`, which is cleared first.
    pub fn answer(&mut self, zone: &Zone, query: &Query<'_>, reply: &mut Vec<u8>) -> Verdict {
        let request = match Request::read(query.request, query.client.udp) {
            Ok(request) => request,
            Err(unfit) => return refuse_to_read(query.request, unfit, &mut self.scratch, reply),
        };
        if query.fault.is_some_and(Hit::drops_reply) {
            reply.clear();
            return Verdict::Silent;
        }
        let size = query.client.reply_size(request.opt);
        self.opt.clear();
        if let Some(opt) = request.opt.filter(|opt| opt.edns.version != 0) {
            let mut message =
                Message::new(reply, &mut self.scratch, request.reply_header(), request.question.bytes);
            // RFC 6891, 6.1.3. CoreDNS sends size 0 and no flags.
            message.set_response_code(ResponseCode::BADVERS);
            let edns = Edns { udp_size: 0, flags: 0, ..opt.edns };
            Opt { edns, ..opt }.write(&mut self.opt, ResponseCode::BADVERS, &[], None);
            message.finish(&self.opt, usize::from(size.limit), usize::MAX);
            return Verdict::Reply;
        }
        if let Some(hit) = query.fault {
            return self.answer_with_fault(hit, zone, &request, query, reply);
        }
        let mut lower = [0; NAME_MAX];
        let name = request.question.lower_case(&mut lower);
        let within = zone.locate(name, request.question.class);
        let located = Located { request: &request, name, within };
        if self.fast && query.upstream.is_none() {
            if let Some(opt) = request.opt {
                write_opt(&mut self.opt, opt, &size, None);
            }
            let Answerer { order, rng, addresses, opt, .. } = self;
            if fast::answer(zone, located, &size, opt, (*order, rng), addresses, reply) {
                return Verdict::Reply;
            }
            self.opt.clear();
        }
        let upstream = self.upstream(query);
        let message = Message::new(reply, &mut self.scratch, request.reply_header(), request.question.bytes);
        let (mut message, verdict, extended_error) =
            resolve(zone, &located, upstream, self.outside, &mut self.target, message);
        message.arrange(self.order, &mut self.rng);
        if let Some(opt) = request.opt {
            write_opt(&mut self.opt, opt, &size, extended_error);
        }
        message.finish(&self.opt, usize::from(size.limit), size.compress_from);
        verdict
    }

    /// What is known of an alias's target outside the served zones.
    fn upstream<'q>(&self, query: &Query<'q>) -> Upstream<'q> {
        match (query.upstream, self.outside) {
            (Some(answer), _) => Upstream::Answered(answer),
            (None, Outside::Forwarded) => Upstream::NotQueried,
            (None, Outside::NxDomain | Outside::Refused) => Upstream::Unavailable,
        }
    }
}

/// Limits for the size of a reply, in bytes.
struct ReplySize {
    limit: u16,
    /// The UDP size in the OPT record.
    advertised: u16,
    compress_from: usize,
}

impl Client {
    fn reply_size(self, opt: Option<Opt<'_>>) -> ReplySize {
        let edns = opt.map(|opt| opt.edns);
        let limit = match (self.udp, edns) {
            (false, _) => u16::MAX,
            (true, None) => UDP_WITHOUT_EDNS,
            // RFC 6891, 6.2.3: less than 512 means 512.
            (true, Some(edns)) => edns.udp_size.max(UDP_WITHOUT_EDNS).min(self.max_udp),
        };
        // CoreDNS echoes the client's size; a listener with a lower limit advertises that limit.
        let advertised =
            edns.map_or(0, |edns| if self.udp { edns.udp_size.min(self.max_udp) } else { edns.udp_size });
        // Above these sizes CoreDNS compresses UDP replies to avoid fragments (Request.Scrub).
        let compress_from = match (self.udp, self.ipv6) {
            (false, _) => usize::MAX,
            (true, false) => 1480,
            (true, true) => 1220,
        };
        ReplySize { limit, advertised, compress_from }
    }
}

/// The complete reply to a question of class IN over TCP, with RD and without EDNS, with records in the order of their
/// objects.
pub fn ask(zone: &Zone, name: &DomainName, record_type: RecordType) -> Vec<u8> {
    let mut request = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    request.extend_from_slice(name.as_wire());
    request.extend_from_slice(&record_type.0.to_be_bytes());
    request.extend_from_slice(&IN.to_be_bytes());
    let client = Client { udp: false, ipv6: false, max_udp: u16::MAX };
    let mut reply = Vec::new();
    let query = Query::new(&request, client);
    Answerer::new(Order::Stable, 0, Outside::NxDomain).answer(zone, &query, &mut reply);
    reply
}

/// Writes the OPT record of a reply (RFC 6891, 6.1.2): the client's own, as CoreDNS echoes it.
fn write_opt(out: &mut Vec<u8>, opt: Opt<'_>, size: &ReplySize, extended_error: Option<u16>) {
    let edns = Edns { udp_size: size.advertised, ..opt.edns };
    Opt { edns, ..opt }.write(out, ResponseCode::NOERROR, &ECHOED_OPTIONS, extended_error);
}

fn refuse_to_read(
    packet: &[u8],
    unfit: RequestError<'_>,
    scratch: &mut Scratch,
    reply: &mut Vec<u8>,
) -> Verdict {
    reply.clear();
    let (header, question) = match unfit {
        RequestError::Silent => return Verdict::Silent,
        RequestError::Header { code, opcode, recursion_desired } => {
            let id = Header::read(packet).map_or(0, |header| header.id);
            let flags = flag::RESPONSE | Header::flags_of(opcode);
            let mut header = Header { id, flags, counts: [0; 4] };
            header.set(flag::RECURSION_DESIRED, recursion_desired);
            header.set_response_code(code);
            (header, &[][..])
        }
        RequestError::AfterQuestion(request) => {
            let mut header = request.reply_header();
            header.set_response_code(ResponseCode::FORMERR);
            (header, request.question.bytes)
        }
    };
    Message::new(reply, scratch, header, question).finish(&[], usize::from(u16::MAX), usize::MAX);
    Verdict::Reply
}
