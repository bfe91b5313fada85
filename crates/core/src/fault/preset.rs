//! Presets: well-known failures by name, each a shorthand for a match, actions and a time.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::notation::example;
use super::{FaultSpec, NotationError, Probability, Transport};
use crate::text::{Span, nearest};

/// A preset with its argument: `dns-outage 30s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    info: &'static PresetInfo,
    argument: Argument,
}

/// The description of a preset.
#[derive(Debug)]
pub struct PresetInfo {
    /// The name alone.
    pub name: &'static str,
    /// Its notation, with its argument.
    pub written: &'static str,
    /// The effect, in a sentence.
    pub about: &'static str,
    /// The failure in real clusters that it imitates.
    pub imitates: &'static str,
    /// The actions; `{}` is replaced by the argument.
    actions: &'static str,
    transport: Option<Transport>,
    takes: Takes,
}

/// Names are unique.
impl PartialEq for PresetInfo {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for PresetInfo {}

/// The argument of a preset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Nothing,
    /// The time that the fault lasts; without it, until it is deleted.
    Lasting {
        required: bool,
    },
    /// A time for the actions.
    Span,
    /// Seconds for the actions.
    Seconds,
    /// The probability of a hit; without it, [`FLAKY`].
    Probability,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Argument {
    None,
    Span(Duration),
    Seconds(u32),
    Probability(Probability),
}

const NOTHING: PresetInfo = PresetInfo {
    name: "",
    written: "",
    about: "",
    imitates: "",
    actions: "",
    transport: None,
    takes: Takes::Nothing,
};

/// Every preset.
pub static PRESETS: [PresetInfo; 13] = [
    PresetInfo {
        name: "cache",
        written: "cache S",
        about: "CoreDNS caches answers and denials for S seconds, in two replicas with a cache each.",
        imitates: "A new pod whose name stays NXDOMAIN for 30 s under kubeadm's `cache 30` (kubernetes#92559).",
        actions: "cache {}",
        takes: Takes::Seconds,
        ..NOTHING
    },
    PresetInfo {
        name: "negative-cache",
        written: "negative-cache D",
        about: "NXDOMAIN and NODATA are cached for D; answers are not.",
        imitates: "A client that looked up a name too early and keeps getting the cached NXDOMAIN (kubernetes#74092).",
        actions: "cache 0 {}",
        takes: Takes::Seconds,
        ..NOTHING
    },
    PresetInfo {
        name: "nodelocal",
        written: "nodelocal",
        about: "One more cache in front of CoreDNS: answers for 30 s and denials for 5 s.",
        imitates: "A cluster with NodeLocal DNSCache.",
        actions: "nodelocal",
        ..NOTHING
    },
    PresetInfo {
        name: "two-replicas-disagree",
        written: "two-replicas-disagree [D]",
        about: "Half of the answers are from the zone at the start of the fault.",
        imitates: "Answers that alternate because one CoreDNS replica has lost its watch (kubernetes#78128).",
        actions: "flap",
        takes: Takes::Lasting { required: false },
        ..NOTHING
    },
    PresetInfo {
        name: "dns-outage",
        written: "dns-outage D",
        about: "No replies for D.",
        imitates: "A node that starts before the DNS does, or a CoreDNS that was evicted (elasticsearch#10186).",
        actions: "drop",
        takes: Takes::Lasting { required: true },
        ..NOTHING
    },
    PresetInfo {
        name: "slow",
        written: "slow D",
        about: "Every reply is delayed by D.",
        imitates: "Five seconds after a conntrack race, three with an overloaded upstream (envoy#42836).",
        actions: "delay {}",
        takes: Takes::Span,
        ..NOTHING
    },
    PresetInfo {
        name: "unsynced",
        written: "unsynced [D]",
        about: "SERVFAIL instead of NXDOMAIN.",
        imitates: "A CoreDNS that has not read the cluster yet (kubernetes/dns#186).",
        actions: "unsynced",
        takes: Takes::Lasting { required: false },
        ..NOTHING
    },
    PresetInfo {
        name: "kube-dns-3-of-n",
        written: "kube-dns-3-of-n",
        about: "UDP replies have at most three records, without TC.",
        imitates: "Old kube-dns, whose clients saw three of many pods (prometheus#3479).",
        actions: "cut 3",
        transport: Some(Transport::Udp),
        ..NOTHING
    },
    PresetInfo {
        name: "no-tcp",
        written: "no-tcp",
        about: "Every answer with records is truncated, and connections are reset.",
        imitates: "A firewall or a NetworkPolicy that allows DNS over UDP only.",
        actions: "truncate, tcp refuse",
        ..NOTHING
    },
    PresetInfo {
        name: "flaky",
        written: "flaky [P]",
        about: "Replies are lost with probability P (0.25).",
        imitates: "Datagrams lost to full conntrack tables.",
        actions: "drop",
        takes: Takes::Probability,
        ..NOTHING
    },
    PresetInfo {
        name: "no-glue",
        written: "no-glue",
        about: "SRV records without the addresses of their targets.",
        imitates: "Servers and forwarders that omit the additional section (linkerd2-proxy#2864).",
        actions: "glue none",
        ..NOTHING
    },
    PresetInfo {
        name: "no-edns",
        written: "no-edns",
        about: "Questions with EDNS get FORMERR.",
        imitates: "Servers from before RFC 2671, and home routers.",
        actions: "edns formerr",
        ..NOTHING
    },
    PresetInfo {
        name: "only-self",
        written: "only-self",
        about: "Each pod finds only its own records.",
        imitates: "A set in which each pod can resolve only itself (matrixone-operator#188).",
        actions: "keep asker",
        ..NOTHING
    },
];

/// Default probability of a hit of `flaky`.
const FLAKY: f64 = 0.25;

impl Preset {
    /// Its description.
    pub fn info(&self) -> &'static PresetInfo {
        self.info
    }

    /// Fills in the fields of `spec` that are absent.
    pub(super) fn fill(self, spec: &mut FaultSpec) {
        let argument = self.argument.to_string();
        let actions = self.info.actions.replace("{}", &argument);
        spec.actions = actions.parse().unwrap_or_default();
        let matching = &mut spec.matching;
        matching.transport = matching.transport.or(self.info.transport);
        match (self.info.takes, self.argument) {
            (Takes::Lasting { .. }, Argument::Span(lasting)) => {
                spec.lasting = spec.lasting.or(Some(lasting));
            }
            (Takes::Probability, Argument::Probability(probability)) => {
                matching.probability = matching.probability.or(Some(probability));
            }
            (Takes::Probability, _) => {
                matching.probability = matching.probability.or(Probability::new(FLAKY));
            }
            _ => {}
        }
    }
}

impl FromStr for Preset {
    type Err = NotationError;

    fn from_str(text: &str) -> Result<Self, NotationError> {
        let mut words = text.split_whitespace();
        let name = words.next().unwrap_or_default();
        let Some(info) = PRESETS.iter().find(|info| info.name == name) else {
            let near = nearest(name, PRESETS.iter().map(|info| info.name));
            return Err(NotationError::new(text, "a preset such as dns-outage 30s", near));
        };
        let (word, more) = (words.next(), words.next());
        let span = |word: &str| word.parse::<Span>().ok().map(|span| span.0).filter(|span| !span.is_zero());
        let argument = match (info.takes, word) {
            (Takes::Nothing | Takes::Lasting { required: false } | Takes::Probability, None) => {
                Some(Argument::None)
            }
            (Takes::Lasting { .. } | Takes::Span, Some(word)) => span(word).map(Argument::Span),
            (Takes::Seconds, Some(word)) => {
                let seconds = || span(word)?.as_secs().try_into().ok();
                word.parse().ok().or_else(seconds).map(Argument::Seconds)
            }
            (Takes::Probability, Some(word)) => word.parse().ok().map(Argument::Probability),
            _ => None,
        };
        let preset = argument.filter(|_| more.is_none()).map(|argument| Preset { info, argument });
        preset.ok_or_else(|| {
            let example = example(info.written);
            NotationError::new(text, format!("`{}`, such as {example}", info.written), None)
        })
    }
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Argument::None => Ok(()),
            Argument::Span(span) => Span(*span).fmt(f),
            Argument::Seconds(seconds) => seconds.fmt(f),
            Argument::Probability(probability) => probability.fmt(f),
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.argument {
            Argument::None => f.write_str(self.info.name),
            argument => write!(f, "{} {argument}", self.info.name),
        }
    }
}
