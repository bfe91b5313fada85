//! The subject of a name, from its labels alone (CoreDNS, `parse.go`).

use std::net::IpAddr;

use crate::wire::{DomainName, IN, Presentation, labels, push_label, reverse_address};
use crate::zone::Zone;

/// The subject of a name, which need not exist. All parts are in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// In none of the served zones.
    Foreign,
    /// An address, by its name in a reverse zone.
    Reverse(IpAddr),
    /// A name in a reverse zone that is not an address.
    ReversePart,
    /// The cluster domain itself.
    Apex,
    /// `svc` or `pod`.
    Tree,
    /// `ns.dns`.
    NameServer,
    /// `dns-version`.
    Version,
    /// `NAMESPACE.svc` or `NAMESPACE.pod`.
    Namespace(String),
    /// `NAME.NAMESPACE.svc`.
    Service(ServiceName),
    /// `HOST.NAME.NAMESPACE.svc`.
    Endpoint(String, ServiceName),
    /// `_PORT._PROTOCOL.NAME.NAMESPACE.svc`, without the underscores.
    Port(String, String, ServiceName),
    /// More labels below a Service than that.
    TooDeep(Vec<String>, ServiceName),
    /// `ADDRESS-WITH-DASHES.NAMESPACE.pod`.
    PodAddress(String, String),
    /// The rightmost label is neither `svc` nor `pod`.
    NoTree(Vec<String>),
}

/// The name of a Service in a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServiceName {
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Subject {
    pub(super) fn of(zone: &Zone, name: &DomainName) -> Self {
        let lower = name.as_wire().to_ascii_lowercase();
        let Some((zone_at, reverse)) = zone.locate(&lower, IN) else { return Subject::Foreign };
        if reverse {
            return reverse_address(&lower).map_or(Subject::ReversePart, Subject::Reverse);
        }
        let all = texts(&lower[..zone_at]);
        match &*all.iter().map(String::as_str).collect::<Vec<_>>() {
            [] => Subject::Apex,
            ["svc" | "pod"] => Subject::Tree,
            ["ns", "dns"] => Subject::NameServer,
            ["dns-version"] => Subject::Version,
            [namespace, "svc" | "pod"] => Subject::Namespace((*namespace).into()),
            [left @ .., namespace, "pod"] => match left {
                [.., address] if left.len() <= 3 => {
                    Subject::PodAddress((*address).into(), (*namespace).into())
                }
                _ => Subject::NoTree(all),
            },
            [left @ .., service, namespace, "svc"] => {
                let of = ServiceName { namespace: (*namespace).into(), name: (*service).into() };
                match left {
                    [] => Subject::Service(of),
                    [host] => Subject::Endpoint((*host).into(), of),
                    [port, protocol] => Subject::Port(bare(port), bare(protocol), of),
                    more => Subject::TooDeep(more.iter().map(|label| label.to_string()).collect(), of),
                }
            }
            _ => Subject::NoTree(all),
        }
    }

    /// The meaning of each part of `name`, whose subject this is.
    pub(super) fn labels(&self, zone: &Zone, name: &DomainName) -> Vec<(String, &'static str)> {
        let wire = name.as_wire();
        let zone_at = zone.locate(&wire.to_ascii_lowercase(), IN).map_or(wire.len() - 1, |(at, _)| at);
        let texts = texts(&wire[..zone_at]);
        let is_pod_tree = texts.last().is_some_and(|label| label.eq_ignore_ascii_case("pod"));
        let meanings: &[&'static str] = match self {
            Subject::Service(_) => &["a Service", "its namespace", "the tree of Services"],
            Subject::Endpoint(..) => &[
                "an endpoint: a pod's hostname, or an address with dashes",
                "a Service",
                "its namespace",
                "the tree of Services",
            ],
            Subject::Port(..) => {
                &["a port's name", "its protocol", "a Service", "its namespace", "the tree of Services"]
            }
            Subject::PodAddress(..) => {
                &["an address with dashes", "a namespace", "the tree of pods' addresses"]
            }
            Subject::Namespace(_) | Subject::Tree if is_pod_tree => {
                &["a namespace", "the tree of pods' addresses"]
            }
            Subject::Namespace(_) | Subject::Tree => &["a namespace", "the tree of Services"],
            _ => &[],
        };
        // The plugin ignores up to two labels left of a pod's address.
        let unread = if meanings.is_empty() { 0 } else { texts.len().saturating_sub(meanings.len()) };
        let meanings = std::iter::repeat_n("overlooked", unread).chain(suffix(meanings, texts.len()));
        let read = texts.into_iter().zip(meanings);
        let rest = Presentation(&wire[zone_at..]).to_string();
        let rest = match self {
            Subject::Foreign => None,
            Subject::Reverse(_) | Subject::ReversePart => Some((rest, "the zone of addresses")),
            _ => Some((rest, "the cluster domain")),
        };
        read.chain(rest).map(|(label, meaning)| (label.trim_end_matches('.').to_owned(), meaning)).collect()
    }
}

/// The last `count` of the meanings.
fn suffix<'a>(meanings: &'a [&'static str], count: usize) -> impl Iterator<Item = &'static str> + 'a {
    meanings[meanings.len().saturating_sub(count)..].iter().copied()
}

/// The labels of a relative wire name, with unprintable characters escaped.
fn texts(wire: &[u8]) -> Vec<String> {
    let shown = |label: &[u8]| {
        let mut wire = Vec::with_capacity(label.len() + 1);
        push_label(&mut wire, label);
        let mut text = Presentation(&wire).to_string();
        text.truncate(text.len() - 1);
        text
    };
    labels(wire).map(shown).collect()
}

/// Not required, and only one is taken off.
fn bare(label: &str) -> String {
    label.strip_prefix('_').unwrap_or(label).into()
}
