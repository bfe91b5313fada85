//! The general path of an answer, from any question to records: the dispatch of CoreDNS's `handler.go` and the record
//! building of its `backend_lookup.go`.

use std::net::IpAddr;

use super::message::Message;
use super::request::Located;
use super::soa::{MNAME, Soa};
use super::srv::{Srv, SrvSet, srv_numbers, weight};
use super::{EDE_NOT_AUTHORITATIVE, Outside, Target, UpstreamAnswer, Verdict};
use crate::wire::{IN, RecordType, ResponseCode, Section, flag, is_subdomain, labels, reverse_address};
use crate::zone::{Each, Found, Matches, TargetRef, Zone};

/// The result of resolving a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resolution {
    /// Records were written.
    Data,
    /// The name exists; nothing of the type does.
    NoData,
    /// The name does not exist.
    NameError,
    /// Zone transfers.
    Refused,
    /// An alias was written whose target has to be resolved by the upstream.
    Chase,
}

/// What is known of an alias's target outside the served zones.
#[derive(Clone, Copy)]
pub(super) enum Upstream<'a> {
    /// There is no upstream.
    Unavailable,
    /// The upstream has not been queried yet.
    NotQueried,
    Answered(&'a UpstreamAnswer),
}

/// A question that is being resolved.
pub(super) struct Resolver<'a, 'm> {
    pub(super) zone: &'a Zone,
    /// The question's name in lower case.
    pub(super) name: &'a [u8],
    /// The question's name in its own spelling.
    pub(super) spelled: &'a [u8],
    /// Where in the name its zone begins.
    pub(super) zone_at: usize,
    /// Whether that zone is `in-addr.arpa` or `ip6.arpa`.
    pub(super) reverse: bool,
    pub(super) upstream: Upstream<'a>,
    /// Where to write the name that the upstream has to resolve, on [`Resolution::Chase`].
    pub(super) target: &'a mut Vec<u8>,
    pub(super) message: Message<'m>,
}

/// Maximum length of a chain of aliases (CoreDNS, maxCnameChainLength).
const CHAIN_MAX: usize = 10;

/// TTL of `dns-version`, in seconds. The plugin sets 28,800; `cache 30` of a kubeadm cluster reduces it to 30.
const DNS_VERSION_TTL: u32 = 30;

/// Writes the records that answer a request, and its code. Returns the verdict and an extended error (RFC 8914), if
/// any. On [`Verdict::Chase`], `target` is the name to query the upstream for.
pub(super) fn resolve<'m>(
    zone: &Zone,
    &Located { request, name, within }: &Located<'_>,
    upstream: Upstream<'_>,
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
                message.set_response_code(if zone.is_below(name) {
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
    let mut resolver = Resolver { zone, name, spelled, zone_at, reverse, upstream, target: to, message };
    let outcome = resolver.resolve(question.record_type);
    if matches!(outcome, Resolution::NoData | Resolution::NameError) {
        resolver.soa(Section::Authority);
    }
    let mut message = resolver.message;
    let mut verdict = Verdict::Reply;
    match outcome {
        Resolution::Data | Resolution::NoData => {}
        Resolution::NameError if zone.is_synced() => message.set_response_code(ResponseCode::NXDOMAIN),
        // A name is not known to be missing before the cluster has been read (CoreDNS, kubernetes/dns#186).
        Resolution::NameError => message.set_response_code(ResponseCode::SERVFAIL),
        Resolution::Refused => {
            message.set(flag::AUTHORITATIVE, false);
            message.set_response_code(ResponseCode::REFUSED);
        }
        Resolution::Chase => {
            target.record_type = question.record_type;
            verdict = Verdict::Chase;
        }
    }
    if let Upstream::Answered(UpstreamAnswer { truncated: true, .. }) = upstream {
        message.set(flag::TRUNCATED, true);
    }
    (message, verdict, None)
}

impl Resolver<'_, '_> {
    /// Writes the records that answer a question of `record_type`.
    pub(super) fn resolve(&mut self, record_type: RecordType) -> Resolution {
        match record_type {
            RecordType::A | RecordType::AAAA => self.addresses(record_type),
            RecordType::SRV => self.srv(),
            RecordType::TXT => self.txt(),
            RecordType::CNAME => self.cname(),
            RecordType::PTR => self.ptr(),
            RecordType::SOA if self.relative().is_empty() => {
                self.soa(Section::Answer);
                Resolution::Data
            }
            // No test whether the name exists.
            RecordType::SOA => Resolution::NoData,
            RecordType::AXFR | RecordType::IXFR => Resolution::Refused,
            // CoreDNS compares the lower-cased name with the zone as it was spelt.
            RecordType::NS if self.relative().is_empty() && self.name == self.spelled => self.ns(),
            _ => self.existence(),
        }
    }

    /// Writes the SOA that every denial has.
    pub(super) fn soa(&mut self, section: Section) {
        let soa = Soa::new(self.zone, &self.spelled[self.zone_at..]);
        self.message.record(section, &[soa.owner], RecordType::SOA, soa.ttl, &soa.rdata());
    }

    /// The name left of the zone, in lower case, without a root.
    fn relative(&self) -> &[u8] {
        &self.name[..self.zone_at]
    }

    fn ttl(&self) -> u32 {
        self.zone.settings().ttl
    }

    /// `ns.dns` of the zone; the zone's spelling counts here (CoreDNS, isDefaultNS).
    fn is_nameserver(&self) -> bool {
        let zone = &self.spelled[self.zone_at..self.spelled.len() - 1];
        self.name.strip_prefix(MNAME).is_some_and(|rest| rest.starts_with(zone))
    }

    fn addresses(&mut self, record_type: RecordType) -> Resolution {
        let zone = self.zone;
        if self.is_nameserver() {
            self.message.forget_seen();
            for (_, ip) in zone.nameservers().into_iter().filter(|(_, ip)| is_of(*ip, record_type)) {
                self.message.address(Section::Answer, &[self.spelled], zone.settings().ttl, ip);
                self.message.drop_repeated(Section::Answer);
            }
            return self.data_or_not();
        }
        let (name, spelled, zone_at) = (self.name, self.spelled, self.zone_at);
        match zone.find(&name[..zone_at], self.reverse) {
            Found::Missing => Resolution::NameError,
            Found::Container => Resolution::NoData,
            Found::Pod(ip, _) => {
                if is_of(ip, record_type) {
                    self.message.address(Section::Answer, &[spelled], self.ttl(), ip);
                }
                self.data_or_not()
            }
            Found::Pairs(pairs) => {
                let mut chain = Chain { names: vec![], chase: false };
                self.pairs(pairs, record_type, name, spelled, &mut chain);
                if chain.chase { Resolution::Chase } else { self.data_or_not() }
            }
        }
    }

    /// Writes the addresses of `pairs` under `owner`, and follows aliases.
    fn pairs(
        &mut self,
        pairs: Matches<'_>,
        record_type: RecordType,
        name: &[u8],
        owner: &[u8],
        chain: &mut Chain,
    ) {
        let ttl = self.ttl();
        self.message.forget_seen();
        pairs.each(Each::Target, |pair| {
            match pair.target {
                TargetRef::Address(ip) if is_of(ip, record_type) => {
                    self.message.address(Section::Answer, &[owner], ttl, ip);
                    if pairs.repeats() {
                        self.message.drop_repeated(Section::Answer);
                    }
                }
                TargetRef::Address(_) => {}
                TargetRef::Alias(target) => self.follow(target, record_type, name, owner, chain),
            }
            true
        });
    }

    /// Writes the alias `owner` → `target` and the records of the target; nothing at all if a target in a served zone
    /// has none.
    fn follow(
        &mut self,
        target: &[u8],
        record_type: RecordType,
        name: &[u8],
        owner: &[u8],
        chain: &mut Chain,
    ) {
        let repeated = chain.names.iter().any(|earlier| earlier.eq_ignore_ascii_case(target));
        if is_subdomain(name, target) || chain.names.len() > CHAIN_MAX || repeated {
            return;
        }
        let mark = self.message.mark();
        self.message.record(Section::Answer, &[owner], RecordType::CNAME, self.ttl(), &[target]);
        let zone_name = &self.name[self.zone_at..];
        if !is_subdomain(zone_name, target) {
            match self.upstream {
                Upstream::Unavailable => {}
                Upstream::NotQueried => {
                    self.target.clear();
                    self.target.extend_from_slice(target);
                    chain.chase = true;
                }
                Upstream::Answered(answer) => {
                    for r in &answer.records {
                        self.message.record(Section::Answer, &[&r.owner], r.record_type, r.ttl, &[&r.rdata]);
                    }
                }
            }
            return;
        }
        let before = self.message.count(Section::Answer);
        let lower = target.to_ascii_lowercase();
        chain.names.push(target.into());
        let (zone, relative) = (self.zone, lower.len() - zone_name.len());
        if let Found::Pairs(pairs) = zone.find(&lower[..relative], self.reverse) {
            self.pairs(pairs, record_type, &lower, target, chain);
        }
        chain.names.pop();
        if self.message.count(Section::Answer) == before {
            self.message.roll_back(mark);
        }
    }

    fn srv(&mut self) -> Resolution {
        if self.is_nameserver() {
            return Resolution::NoData;
        }
        let zone = self.zone;
        let (ttl, owner) = (zone.settings().ttl, self.spelled);
        let suffix = &self.spelled[self.zone_at..];
        match zone.find(&self.name[..self.zone_at], self.reverse) {
            Found::Missing => Resolution::NameError,
            Found::Container => Resolution::NoData,
            Found::Pod(ip, count) => {
                // The pod's own name, without the labels left of it, which the plugin ignores; port 0.
                let base = pod_base(&self.name[..self.zone_at]);
                let numbers = srv_numbers(weight(count), 0);
                self.message.record(
                    Section::Answer,
                    &[owner],
                    RecordType::SRV,
                    ttl,
                    &[&numbers, base, suffix],
                );
                self.message.address(Section::Additional, &[base, suffix], ttl, ip);
                Resolution::Data
            }
            Found::Pairs(pairs) => {
                let (message, prefix) = (&mut self.message, pairs.prefix());
                let Some(records) = SrvSet::count(pairs, |_| true) else { return Resolution::NoData };
                message.forget_seen();
                records.each(|Srv { numbers, host, .. }| {
                    let rdata: [&[u8]; 4] = [&numbers, host, prefix, suffix];
                    message.record(Section::Answer, &[owner], RecordType::SRV, ttl, &rdata);
                    message.drop_repeated(Section::Answer);
                });
                message.forget_seen();
                records.each(|Srv { host, ip, .. }| {
                    message.address(Section::Additional, &[host, prefix, suffix], ttl, ip);
                    message.drop_repeated(Section::Additional);
                });
                self.data_or_not()
            }
        }
    }

    fn txt(&mut self) -> Resolution {
        if self.relative() == b"\x0bdns-version" {
            // The schema version of the "Kubernetes DNS-Based Service Discovery" specification.
            self.message.record(
                Section::Answer,
                &[self.spelled],
                RecordType::TXT,
                DNS_VERSION_TTL,
                &[b"\x051.1.0"],
            );
            return Resolution::Data;
        }
        match self.zone.find(self.relative(), self.reverse) {
            Found::Pairs(_) | Found::Pod(..) => Resolution::NoData,
            // Containers too, since CoreDNS 1.10.1.
            Found::Missing | Found::Container => Resolution::NameError,
        }
    }

    fn cname(&mut self) -> Resolution {
        let (zone, ttl) = (self.zone, self.ttl());
        let (name, spelled) = (&self.name[..self.zone_at], self.spelled);
        if let Found::Pairs(pairs) = zone.find(name, self.reverse) {
            pairs.each(Each::Pair, |first| {
                if let TargetRef::Alias(target) = first.target {
                    self.message.record(Section::Answer, &[spelled], RecordType::CNAME, ttl, &[target]);
                }
                false
            });
            return self.data_or_not();
        }
        self.existence()
    }

    fn ptr(&mut self) -> Resolution {
        let Some(ip) = reverse_address(self.name).filter(|_| self.reverse) else {
            return match self.zone.find(self.relative(), self.reverse) {
                Found::Missing => Resolution::NameError,
                _ => Resolution::NoData,
            };
        };
        let (zone, ttl) = (self.zone, self.ttl());
        self.message.forget_seen();
        for [host, service] in zone.names_of(ip) {
            let target = [host, service, zone.settings().domain.as_wire()];
            self.message.record(Section::Answer, &[self.spelled], RecordType::PTR, ttl, &target);
            self.message.drop_repeated(Section::Answer);
        }
        if self.message.count(Section::Answer) == 0 { Resolution::NameError } else { Resolution::Data }
    }

    fn ns(&mut self) -> Resolution {
        let (zone, ttl, suffix) = (self.zone, self.ttl(), self.spelled);
        let all = zone.nameservers();
        self.message.forget_seen();
        for (name, _) in &all {
            self.message.record(Section::Answer, &[suffix], RecordType::NS, ttl, &[name[0], name[1], suffix]);
            self.message.drop_repeated(Section::Answer);
        }
        // The glue is not de-duplicated.
        for (name, ip) in all {
            self.message.address(Section::Additional, &[name[0], name[1], suffix], ttl, ip);
        }
        Resolution::Data
    }

    /// Any other type: NODATA if the name exists, else NXDOMAIN.
    fn existence(&mut self) -> Resolution {
        if self.is_nameserver() {
            return Resolution::NoData;
        }
        match self.zone.find(self.relative(), self.reverse) {
            Found::Missing => Resolution::NameError,
            _ => Resolution::NoData,
        }
    }

    fn data_or_not(&self) -> Resolution {
        if self.message.count(Section::Answer) > 0 { Resolution::Data } else { Resolution::NoData }
    }
}

/// A chain of aliases: the targets so far, and whether its end is outside the served zones.
struct Chain {
    names: Vec<Box<[u8]>>,
    chase: bool,
}

fn is_of(ip: IpAddr, record_type: RecordType) -> bool {
    ip.is_ipv4() == (record_type == RecordType::A)
}

/// The last three labels of `[x.[y.]]ADDRESS.NAMESPACE.pod`.
fn pod_base(name: &[u8]) -> &[u8] {
    let extra = labels(name).count().saturating_sub(3);
    &name[labels(name).take(extra).map(|label| label.len() + 1).sum()..]
}
