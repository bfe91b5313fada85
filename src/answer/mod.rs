//! Takes the place of the handler of CoreDNS's `kubernetes` plugin and of its message writer: (zone, packet) → reply.
//! Pure, and cannot fail: whatever comes in, a reply or silence comes out. It must not know files or sockets.

mod direct;
pub(crate) mod fault;
mod listing;
mod message;
mod reply;
mod request;
mod resolve;

use fastrand::Rng;

use crate::wire::{
    DomainName, Edns, Header, IN, NAME_MAX, Opt, RecordBuf, RecordType, ResponseCode, Section, flag,
};
use crate::zone::Zone;
use direct::{Addresses, Direct};
pub use fault::{Faults, Hit};
pub use listing::{forward_records, reverse_records};
use message::{Message, Scratch};
pub use reply::{Record, Reply};
pub use request::Request;
use request::Unfit;
use resolve::{Elsewhere, Outcome, Resolver};

/// How a request came in, as far as the reply depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Whether it came over UDP (sizes are limited) or TCP.
    pub udp: bool,
    /// Whether the client's address is IPv6: replies are compressed from 1220 bytes on instead of 1480.
    pub ipv6: bool,
    /// The largest UDP reply this listener sends, in bytes, whatever the client's EDNS size says. At least 512.
    pub max_udp: u16,
}

/// In which order records of one answer stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Addresses shuffled anew for each reply, as CoreDNS's `loadbalance` plugin does.
    Shuffle,
    /// As the objects list them.
    Stable,
}

/// What a name outside the cluster's zones gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outside {
    /// NXDOMAIN, not authoritative, with RA and without an SOA record: stub resolvers take it for "not found", while
    /// REFUSED becomes a temporary failure in glibc, Go and Node.js once a search list has been tried. Names above the
    /// zones exist, or nothing could exist below them (RFC 8020): NODATA.
    #[default]
    NxDomain,
    /// REFUSED, as from an authoritative server.
    Refused,
    /// What an upstream server answers.
    Forwarded,
}

/// What is to be done with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Say nothing: the packet is a response itself, or too short to be a request.
    Silent,
    /// Send the reply.
    Reply,
    /// The name is not ours and there is an upstream: relay the request. The reply holds REFUSED, for want of one.
    Forward,
    /// An ExternalName leads to a name that is not ours: ask the upstream for [`Answerer::target`] and call
    /// [`Answerer::complete`]. The reply holds the answer without it, for when the upstream has none.
    Chase,
}

/// Makes replies, one after the other; one for each thread or task, for what it reuses between them.
pub struct Answerer {
    order: Order,
    rng: Rng,
    outside: Outside,
    /// Whether usual questions are answered the short way.
    direct: bool,
    addresses: Addresses,
    scratch: Scratch,
    /// A whole reply, before it is bent.
    plain: Vec<u8>,
    opt: Vec<u8>,
    target: Target,
}

/// What an upstream is to be asked for.
struct Target {
    /// In wire form.
    name: Vec<u8>,
    record_type: RecordType,
}

/// The largest UDP reply for a client without EDNS (RFC 1035, 4.2.1), in bytes.
const UDP_WITHOUT_EDNS: u16 = 512;

/// EDNS options that CoreDNS gives back as they came: NSID, EXPIRE, COOKIE, TCP-KEEPALIVE, PADDING (`edns.go`).
const ECHOED_OPTIONS: [u16; 5] = [3, 9, 10, 11, 12];

/// RFC 8914, 4.21.
const EDE_NOT_AUTHORITATIVE: u16 = 20;

impl Answerer {
    /// `seed` decides every shuffle, `outside` the answer for names that are not ours.
    pub fn new(order: Order, seed: u64, outside: Outside) -> Self {
        Answerer {
            order,
            rng: Rng::with_seed(seed),
            outside,
            direct: true,
            addresses: Addresses::new(),
            scratch: Scratch::default(),
            plain: Vec::new(),
            opt: Vec::new(),
            target: Target { name: vec![0], record_type: RecordType::A },
        }
    }

    /// The same, but every question goes the long way: for those who want to see that the short way leads to the same
    /// bytes.
    #[must_use]
    pub fn the_long_way(self) -> Self {
        Answerer { direct: false, ..self }
    }

    /// Answers `request` from `zone` into `reply`, whose former content goes.
    pub fn answer(&mut self, zone: &Zone, request: &[u8], client: Client, reply: &mut Vec<u8>) -> Verdict {
        self.answer_hit(zone, request, client, None, reply)
    }

    fn answer_hit(
        &mut self,
        zone: &Zone,
        request: &[u8],
        client: Client,
        hit: Option<&Hit>,
        reply: &mut Vec<u8>,
    ) -> Verdict {
        let elsewhere = match self.outside {
            Outside::Forwarded => Elsewhere::Unasked,
            Outside::NxDomain | Outside::Refused => Elsewhere::Nobody,
        };
        match Request::read(request, client.udp) {
            Ok(request) => self.reply_to(zone, &request, client, (elsewhere, false), hit, reply),
            Err(unfit) => refuse_to_read(request, unfit, &mut self.scratch, reply),
        }
    }

    /// After [`Verdict::Chase`]: the name (wire form) and record type to ask the upstream for.
    pub fn target(&self) -> (&[u8], RecordType) {
        (&self.target.name, self.target.record_type)
    }

    /// Answers `request`, which `hit` may have hit, again, with what the upstream said of the target; `truncated` if its
    /// answer was cut.
    #[allow(clippy::too_many_arguments, reason = "what was asked, and what was said")]
    pub fn complete(
        &mut self,
        zone: &Zone,
        request: &[u8],
        client: Client,
        upstream: &[RecordBuf],
        truncated: bool,
        hit: Option<&Hit>,
        reply: &mut Vec<u8>,
    ) {
        match Request::read(request, client.udp) {
            Ok(request) => {
                let said = (Elsewhere::Said(upstream), truncated);
                self.reply_to(zone, &request, client, said, hit, reply);
            }
            Err(unfit) => {
                refuse_to_read(request, unfit, &mut self.scratch, reply);
            }
        }
    }

    fn reply_to(
        &mut self,
        zone: &Zone,
        request: &Request<'_>,
        client: Client,
        (elsewhere, truncated): (Elsewhere<'_>, bool),
        hit: Option<&Hit>,
        reply: &mut Vec<u8>,
    ) -> Verdict {
        let size = client.reply_size(request.opt);
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
        if let Some(hit) = hit {
            return self.bend(hit, zone, request, client, (elsewhere, truncated), reply);
        }
        let mut lower = [0; NAME_MAX];
        let located = Located::new(zone, request, &mut lower);
        if let Located { name, within: Some((zone_at, false)), .. } = located
            && self.direct
            && !truncated
        {
            if let Some(opt) = request.opt {
                write_opt(&mut self.opt, opt, &size, None);
            }
            let Answerer { order, rng, addresses, opt, .. } = self;
            let (opt, order, size) = (&opt[..], *order, &size);
            let direct = Direct { zone, request, name, zone_at, size, opt, order, rng, addresses, reply };
            if direct.answer() {
                return Verdict::Reply;
            }
            self.opt.clear();
        }
        let message = Message::new(reply, &mut self.scratch, request.reply_header(), request.question.bytes);
        let (mut message, verdict, extended_error) =
            resolve(zone, &located, elsewhere, self.outside, &mut self.target, message);
        if truncated {
            message.set(flag::TRUNCATED, true);
        }
        message.arrange(self.order, &mut self.rng);
        if let Some(opt) = request.opt {
            write_opt(&mut self.opt, opt, &size, extended_error);
        }
        message.finish(&self.opt, usize::from(size.limit), size.compress_from);
        verdict
    }
}

/// A request, and which of our zones it is about.
struct Located<'a> {
    request: &'a Request<'a>,
    /// The question's name in lower case.
    name: &'a [u8],
    /// Where in the name its zone begins, and whether that is a reverse zone; `None` if it is none of ours.
    within: Option<(usize, bool)>,
}

impl<'a> Located<'a> {
    /// `lower` is room for the name.
    fn new(zone: &Zone, request: &'a Request<'a>, lower: &'a mut [u8; NAME_MAX]) -> Self {
        let name = request.question.lower_case(lower);
        Located { request, name, within: zone_of(zone, name).filter(|_| request.question.class == IN) }
    }
}

/// Writes the records that answer a request, and its code. Gives what is to be done as well, and the code of RFC 8914, if
/// one says more. On [`Verdict::Chase`], `target` is what to ask for.
fn resolve<'m>(
    zone: &Zone,
    &Located { request, name, within }: &Located<'_>,
    elsewhere: Elsewhere<'_>,
    outside: Outside,
    target: &mut Target,
    mut message: Message<'m>,
) -> (Message<'m>, Verdict, Option<u16>) {
    let question = &request.question;
    let Some((zone_at, reverse)) = within else {
        let is_transfer = matches!(question.record_type, RecordType::AXFR | RecordType::IXFR);
        let verdict = match outside {
            Outside::NxDomain if question.class == IN && !is_transfer => {
                message.set(flag::RECURSION_AVAILABLE, true);
                message.set_response_code(if is_above(zone, name) {
                    ResponseCode::NOERROR
                } else {
                    ResponseCode::NXDOMAIN
                });
                Verdict::Reply
            }
            Outside::Forwarded if question.class == IN => {
                message.set_response_code(ResponseCode::REFUSED);
                Verdict::Forward
            }
            Outside::NxDomain | Outside::Refused | Outside::Forwarded => {
                message.set_response_code(ResponseCode::REFUSED);
                Verdict::Reply
            }
        };
        return match verdict {
            Verdict::Forward => (message, verdict, None),
            _ => (message, verdict, Some(EDE_NOT_AUTHORITATIVE)),
        };
    };
    message.set(flag::AUTHORITATIVE, true);
    let (spelled, to) = (question.name, &mut target.name);
    let mut resolver = Resolver { zone, name, spelled, zone_at, reverse, elsewhere, target: to, message };
    let outcome = resolver.resolve(question.record_type);
    if matches!(outcome, Outcome::NoData | Outcome::NameError) {
        resolver.soa(Section::Authority);
    }
    let mut message = resolver.message;
    let mut verdict = Verdict::Reply;
    match outcome {
        Outcome::Data | Outcome::NoData => {}
        Outcome::NameError if zone.is_synced() => message.set_response_code(ResponseCode::NXDOMAIN),
        // Not known to be missing until the cluster has been read (CoreDNS, kubernetes/dns#186).
        Outcome::NameError => message.set_response_code(ResponseCode::SERVFAIL),
        Outcome::Refused => {
            message.set(flag::AUTHORITATIVE, false);
            message.set_response_code(ResponseCode::REFUSED);
        }
        Outcome::Chase => {
            target.record_type = question.record_type;
            verdict = Verdict::Chase;
        }
    }
    (message, verdict, None)
}

/// How large a reply may be, and from which size on it is compressed, in bytes.
struct ReplySize {
    limit: u16,
    /// The UDP size that the OPT record says.
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
        // The client's own size comes back, as CoreDNS has it; a listener with a limit of its own says that.
        let advertised =
            edns.map_or(0, |edns| if self.udp { edns.udp_size.min(self.max_udp) } else { edns.udp_size });
        // Above these, CoreDNS compresses what it sends over UDP in the hope of avoiding fragments (Request.Scrub).
        let compress_from = match (self.udp, self.ipv6) {
            (false, _) => usize::MAX,
            (true, false) => 1480,
            (true, true) => 1220,
        };
        ReplySize { limit, advertised, compress_from }
    }
}

/// The reply to a question of class IN that somebody asks over TCP, with RD and without EDNS: all of it, in its
/// objects' order.
pub fn ask(zone: &Zone, name: &DomainName, record_type: RecordType) -> Vec<u8> {
    let mut request = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    request.extend_from_slice(name.as_wire());
    request.extend_from_slice(&record_type.0.to_be_bytes());
    request.extend_from_slice(&IN.to_be_bytes());
    let client = Client { udp: false, ipv6: false, max_udp: u16::MAX };
    let mut reply = Vec::new();
    Answerer::new(Order::Stable, 0, Outside::NxDomain).answer(zone, &request, client, &mut reply);
    reply
}

/// Whether one of our zones is below `name` (lower case, wire form).
fn is_above(zone: &Zone, name: &[u8]) -> bool {
    let settings = zone.settings();
    let zones = std::iter::once(&settings.domain).chain(&settings.reverse_zones);
    zones.map(DomainName::as_wire).any(|own| {
        let at = own.len().checked_sub(name.len());
        at.is_some_and(|at| own[at..].eq_ignore_ascii_case(name) && is_label(own, at))
    })
}

/// The zone that `name` (lower case, wire form) is in: where it begins, and whether it is a reverse zone. The longest, if
/// one is within another.
pub(crate) fn zone_of(zone: &Zone, name: &[u8]) -> Option<(usize, bool)> {
    let settings = zone.settings();
    let begins = |zone: &DomainName| {
        let at = name.len().checked_sub(zone.as_wire().len())?;
        (name[at] != 0 && zone.equals(&name[at..]) && is_label(name, at)).then_some(at)
    };
    let own = begins(&settings.domain).map(|at| (at, false));
    let reverse = settings.reverse_zones.iter().filter_map(begins).map(|at| (at, true));
    own.into_iter().chain(reverse).min()
}

/// Whether a label of `name`, in wire form, begins `at` there.
fn is_label(name: &[u8], at: usize) -> bool {
    let mut label = 0;
    while label < at {
        label += 1 + usize::from(name[label]);
    }
    label == at
}

/// Writes the OPT record of a reply (RFC 6891, 6.1.2): the client's own, as CoreDNS gives it back.
fn write_opt(out: &mut Vec<u8>, opt: Opt<'_>, size: &ReplySize, extended_error: Option<u16>) {
    let edns = Edns { udp_size: size.advertised, ..opt.edns };
    Opt { edns, ..opt }.write(out, ResponseCode::NOERROR, &ECHOED_OPTIONS, extended_error);
}

fn refuse_to_read(packet: &[u8], unfit: Unfit<'_>, scratch: &mut Scratch, reply: &mut Vec<u8>) -> Verdict {
    reply.clear();
    let (header, question) = match unfit {
        Unfit::Silent => return Verdict::Silent,
        Unfit::Header { code, opcode, recursion_desired } => {
            let id = Header::read(packet).map_or(0, |header| header.id);
            let flags = flag::RESPONSE | Header::flags_of(opcode);
            let mut header = Header { id, flags, counts: [0; 4] };
            header.set(flag::RECURSION_DESIRED, recursion_desired);
            header.set_response_code(code);
            (header, &[][..])
        }
        Unfit::AfterQuestion(request) => {
            let mut header = request.reply_header();
            header.set_response_code(ResponseCode::FORMERR);
            (header, request.question.bytes)
        }
    };
    Message::new(reply, scratch, header, question).finish(&[], usize::from(u16::MAX), usize::MAX);
    Verdict::Reply
}
