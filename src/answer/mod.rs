//! Takes the place of the handler of CoreDNS's `kubernetes` plugin and of its message writer: (zone, packet) → reply.
//! Pure, and cannot fail: whatever comes in, a reply or silence comes out. It must not know files or sockets.

mod listing;
mod message;
pub mod record_type;
mod reply;
mod request;
mod resolve;
mod text;
mod wire;

use fastrand::Rng;

use crate::zone::{DomainName, NAME_MAX, Zone};
pub use listing::{forward_records, reverse_records};
use message::{Message, Scratch, Section};
pub use record_type::{RecordType, ResponseCode};
pub use reply::{Record, Reply};
pub use request::{Edns, Question, Request};
use request::{Unfit, options};
pub(crate) use resolve::reverse_address;
use resolve::{Elsewhere, Outcome, Resolver};
pub use text::{RecordView, Sections, rcode_name, sections, type_name, type_number};
pub(crate) use wire::rtype;
use wire::{ECHOED_OPTIONS, IN, rcode};

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

/// A record that an upstream gave, in wire form and uncompressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamRecord {
    /// Labels with lengths, up to and including the root.
    pub owner: Vec<u8>,
    /// As RFC 1035 numbers it.
    pub record_type: u16,
    /// Seconds.
    pub ttl: u32,
    /// Names inside are uncompressed too.
    pub rdata: Vec<u8>,
}

/// Makes replies, one after the other; one for each thread or task, for what it reuses between them.
pub struct Answerer {
    order: Order,
    rng: Rng,
    forwarding: bool,
    scratch: Scratch,
    opt: Vec<u8>,
    target: Vec<u8>,
    target_type: u16,
}

/// The largest UDP reply for a client without EDNS (RFC 1035, 4.2.1), in bytes.
const UDP_WITHOUT_EDNS: u16 = 512;

/// RFC 8914, 4.21.
const EDE_NOT_AUTHORITATIVE: u16 = 20;

impl Answerer {
    /// `seed` decides every shuffle; `forwarding` tells that there is an upstream for names that are not ours.
    pub fn new(order: Order, seed: u64, forwarding: bool) -> Self {
        Answerer {
            order,
            rng: Rng::with_seed(seed),
            forwarding,
            scratch: Scratch::default(),
            opt: Vec::new(),
            target: vec![0],
            target_type: rtype::A,
        }
    }

    /// Answers `request` from `zone` into `reply`, whose former content goes.
    pub fn answer(&mut self, zone: &Zone, request: &[u8], client: Client, reply: &mut Vec<u8>) -> Verdict {
        let elsewhere = if self.forwarding { Elsewhere::Unasked } else { Elsewhere::Nobody };
        match Request::read(request, client.udp) {
            Ok(request) => self.reply_to(zone, &request, client, elsewhere, false, reply),
            Err(unfit) => refuse_to_read(request, unfit, &mut self.scratch, reply),
        }
    }

    /// After [`Verdict::Chase`]: the name (wire form) and record type to ask the upstream for.
    pub fn target(&self) -> (&[u8], u16) {
        (&self.target, self.target_type)
    }

    /// Answers `request` again, with what the upstream said of the target; `truncated` if its answer was cut.
    pub fn complete(
        &mut self,
        zone: &Zone,
        request: &[u8],
        client: Client,
        upstream: &[UpstreamRecord],
        truncated: bool,
        reply: &mut Vec<u8>,
    ) {
        match Request::read(request, client.udp) {
            Ok(request) => {
                self.reply_to(zone, &request, client, Elsewhere::Said(upstream), truncated, reply);
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
        elsewhere: Elsewhere<'_>,
        truncated: bool,
        reply: &mut Vec<u8>,
    ) -> Verdict {
        let question = &request.question;
        let mut message = Message::new(reply, &mut self.scratch, request.header(), question.bytes);
        let limit = match (client.udp, request.edns) {
            (false, _) => u16::MAX,
            (true, None) => UDP_WITHOUT_EDNS,
            // RFC 6891, 6.2.3: less than 512 means 512.
            (true, Some(edns)) => edns.size.max(UDP_WITHOUT_EDNS).min(client.max_udp),
        };
        // The client's own size comes back, as CoreDNS has it; a listener with a limit of its own says that.
        let advertised =
            request.edns.map_or(0, |edns| if client.udp { edns.size.min(client.max_udp) } else { edns.size });
        self.opt.clear();
        let mut verdict = Verdict::Reply;
        if let Some(edns) = request.edns.filter(|edns| edns.version != 0) {
            // RFC 6891, 6.1.3. CoreDNS sends size 0 and no flags.
            message.set_rcode(rcode::BADVERS);
            write_opt(
                &mut self.opt,
                &Edns { size: 0, flags: 0, options: &[], ..edns },
                rcode::BADVERS >> 4,
                None,
            );
            message.finish(&self.opt, usize::from(limit), usize::MAX);
            return verdict;
        }
        let mut lower = [0u8; NAME_MAX];
        let lower = &mut lower[..question.name.len()];
        lower.copy_from_slice(question.name);
        lower.make_ascii_lowercase();
        let mut foreign = None;
        match zone_of(zone, lower).filter(|_| question.class == IN) {
            Some((zone_at, reverse)) => {
                message.set_authoritative(true);
                let (name, spelled, target) = (&*lower, question.name, &mut self.target);
                let mut resolver =
                    Resolver { zone, name, spelled, zone_at, reverse, elsewhere, target, message };
                let outcome = resolver.resolve(question.record_type);
                if matches!(outcome, Outcome::NoData | Outcome::NameError) {
                    resolver.soa(Section::Authority);
                }
                message = resolver.message;
                match outcome {
                    Outcome::Data | Outcome::NoData => {}
                    Outcome::NameError if zone.is_synced() => message.set_rcode(rcode::NXDOMAIN),
                    // Not known to be missing until the cluster has been read (CoreDNS, kubernetes/dns#186).
                    Outcome::NameError => message.set_rcode(rcode::SERVFAIL),
                    Outcome::Refused => {
                        message.set_authoritative(false);
                        message.set_rcode(rcode::REFUSED);
                    }
                    Outcome::Chase => {
                        self.target_type = question.record_type;
                        verdict = Verdict::Chase;
                    }
                }
            }
            None => {
                message.set_rcode(rcode::REFUSED);
                if self.forwarding && question.class == IN {
                    verdict = Verdict::Forward;
                } else {
                    foreign = Some(EDE_NOT_AUTHORITATIVE);
                }
            }
        }
        if truncated {
            message.set_truncated();
        }
        message.arrange(self.order, &mut self.rng);
        if let Some(edns) = request.edns {
            write_opt(&mut self.opt, &Edns { size: advertised, ..edns }, 0, foreign);
        }
        // Above these, CoreDNS compresses what it sends over UDP in the hope of avoiding fragments (Request.Scrub).
        let compress_from = match (client.udp, client.ipv6) {
            (false, _) => usize::MAX,
            (true, false) => 1480,
            (true, true) => 1220,
        };
        message.finish(&self.opt, usize::from(limit), compress_from);
        verdict
    }
}

impl Request<'_> {
    /// Id and flags of a reply: QR, and RD and CD as they came.
    fn header(&self) -> [u8; 4] {
        let [high, low] = self.id.to_be_bytes();
        [high, low, 0x80 | self.recursion_desired as u8, (self.checking_disabled as u8) << 4]
    }
}

/// The reply to a question of class IN that somebody asks over TCP, with RD and without EDNS: all of it, in its
/// objects' order.
pub fn ask(zone: &Zone, name: &DomainName, record_type: u16) -> Vec<u8> {
    let mut request = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    request.extend_from_slice(name.as_wire());
    request.extend_from_slice(&record_type.to_be_bytes());
    request.extend_from_slice(&IN.to_be_bytes());
    let client = Client { udp: false, ipv6: false, max_udp: u16::MAX };
    let mut reply = Vec::new();
    Answerer::new(Order::Stable, 0, false).answer(zone, &request, client, &mut reply);
    reply
}

/// The zone that `name` (lower case, wire form) is in: where it begins, and whether it is a reverse zone.
pub(crate) fn zone_of(zone: &Zone, name: &[u8]) -> Option<(usize, bool)> {
    let settings = zone.settings();
    let mut at = 0;
    while name[at] != 0 {
        let is = |zone: &DomainName| zone.as_wire().len() == name.len() - at && zone.equals(&name[at..]);
        if is(&settings.domain) {
            return Some((at, false));
        }
        if settings.reverse_zones.iter().any(is) {
            return Some((at, true));
        }
        at += 1 + usize::from(name[at]);
    }
    None
}

/// Writes the OPT record of a reply (RFC 6891, 6.1.2): the client's own, as CoreDNS gives it back. The lower eight
/// flag bits are cleared, options other than the echoed ones dropped.
fn write_opt(out: &mut Vec<u8>, edns: &Edns<'_>, extended_rcode: u8, extended_error: Option<u16>) {
    out.extend_from_slice(&[0]);
    out.extend_from_slice(&rtype::OPT.to_be_bytes());
    out.extend_from_slice(&edns.size.to_be_bytes());
    out.extend_from_slice(&[extended_rcode, 0]);
    out.extend_from_slice(&(edns.flags & 0xff00).to_be_bytes());
    let length_at = out.len();
    out.extend_from_slice(&[0, 0]);
    for (code, option) in options(edns.options).flatten() {
        if ECHOED_OPTIONS.contains(&code) {
            out.extend_from_slice(option);
        }
    }
    if let Some(code) = extended_error {
        // RFC 8914: option 15, length 2, the code, no text.
        out.extend_from_slice(&[0, 15, 0, 2]);
        out.extend_from_slice(&code.to_be_bytes());
    }
    let length = (out.len() - length_at - 2) as u16;
    out[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
}

fn refuse_to_read(packet: &[u8], unfit: Unfit<'_>, scratch: &mut Scratch, reply: &mut Vec<u8>) -> Verdict {
    reply.clear();
    match unfit {
        Unfit::Silent => return Verdict::Silent,
        Unfit::Header { rcode, opcode, recursion_desired } => {
            let header = [packet[0], packet[1], 0x80 | opcode << 3 | recursion_desired as u8, rcode];
            Message::new(reply, scratch, header, &[]).finish(&[], usize::from(u16::MAX), usize::MAX);
        }
        Unfit::AfterQuestion(request) => {
            let mut message = Message::new(reply, scratch, request.header(), request.question.bytes);
            message.set_rcode(rcode::FORMERR);
            message.finish(&[], usize::from(u16::MAX), usize::MAX);
        }
    }
    Verdict::Reply
}
