//! The actions of a fault: what can go wrong with an answer.

use std::fmt;
use std::mem::discriminant;
use std::str::FromStr;
use std::time::Duration;

use super::{Glob, NotationError};
use crate::text::Span;
use crate::wire::ResponseCode;

/// An action of a fault. [`ACTIONS`](super::ACTIONS) lists their notations.
///
/// The order in which actions are listed does not matter. They are applied in the order in which an answer is made: the
/// zone that it is from, the caches in front of it, its records, its size, its bytes, and its transport to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// No failure; later faults do not see the question.
    Ok,
    /// A response code instead of an answer: FORMERR, SERVFAIL, NXDOMAIN, NOTIMP or REFUSED.
    Rcode(ResponseCode),
    /// NODATA: the name exists without records of the type.
    NoData,
    /// No reply.
    Drop,
    /// The reply is delayed, in real time: a client's timeouts do not follow the cluster's clock.
    Delay {
        /// Delay.
        by: Duration,
        /// Maximum deviation from it, random for each answer.
        jitter: Duration,
    },
    /// TC is set, as if the answer did not fit. Denials always fit and stay unchanged.
    Truncate {
        /// Number of records that are still in the answer.
        keep: u16,
    },
    /// Records are missing, without TC.
    Cut {
        /// Number of records that are left.
        keep: u16,
    },
    /// A failure of a client's TCP connection.
    Tcp(Tcp),
    /// Limited support of EDNS (RFC 6891).
    Edns(EdnsSupport),
    /// The answer is from the zone at the time when the fault came into force.
    Stale,
    /// The answer is from that zone or the current one, at random: two replicas that disagree.
    Flap,
    /// Each change becomes visible later by this time, in the cluster's time.
    Lag(Duration),
    /// The selected records are missing.
    Omit(Selection),
    /// All but the selected records are missing.
    Keep(Selection),
    /// A change to the glue: addresses in the additional section.
    Glue(Glue),
    /// A change to the targets of SRV records.
    Target(Target),
    /// The answer starts with an alias, and the records are under its target.
    Cname,
    /// The order of the answer's records.
    Order(Arrangement),
    /// The TTL of all records, in seconds.
    Ttl(u32),
    /// The id of the reply differs from the question's.
    WrongId,
    /// The reply repeats a different question.
    WrongQuestion,
    /// CoreDNS's `cache`, in two replicas of which a random one answers. Lifetimes are in seconds of the cluster's
    /// time; 0 disables.
    Cache {
        /// Maximum lifetime of answers.
        success: u32,
        /// Maximum lifetime of NXDOMAIN and NODATA.
        denial: u32,
    },
    /// NodeLocal DNSCache: one more cache in front of CoreDNS's.
    NodeLocal,
    /// The cluster has not been read yet: SERVFAIL instead of NXDOMAIN.
    Unsynced,
}

/// A failure of a client's TCP connection. It is chosen when the connection is accepted, by the client's address alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tcp {
    /// Reset at once: the closest to "refused" on a port that has to serve other clients.
    Refuse,
    /// Reset after the first question.
    Reset,
    /// Open, but without replies.
    Hang,
}

/// Limited support of EDNS (RFC 6891).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EdnsSupport {
    /// None: no OPT record, and at most 512 bytes over UDP.
    Ignore,
    /// FORMERR, as some old servers reply.
    FormErr,
    /// UDP replies of at most this many bytes, which the OPT record states.
    Limit(u16),
}

/// A selection of the records of an answer, and of their glue.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Selection {
    /// The first records, by number.
    First(u16),
    /// Records whose target, owner or, for addresses, host matches.
    Named(Glob),
    /// Records of the pod that sent the question, which is found by its address.
    Asker,
}

/// A change to the glue: addresses in the additional section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Glue {
    /// It is missing.
    None,
    /// It has wrong addresses.
    Wrong,
}

/// A change to the targets of SRV records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// They do not exist.
    Dangling,
    /// They are compressed, which RFC 2782 forbids and some servers do.
    Compressed,
}

/// The order of an answer's records; aliases stay first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Arrangement {
    /// The order of the objects.
    Stable,
    /// The reverse of that.
    Reversed,
    /// Rotated by one with each question.
    Rotated,
    /// Records of the pod that sent the question first.
    AskerFirst,
    /// Those last.
    AskerLast,
    /// Shuffled for each answer, including SRV records, which CoreDNS does not shuffle.
    Shuffled,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Action::Ok => "ok",
            Action::Rcode(code) => return f.write_str(&code.to_string().to_ascii_lowercase()),
            Action::NoData => "nodata",
            Action::Drop => "drop",
            Action::Delay { by, jitter } if jitter.is_zero() => return write!(f, "delay {}", Span(*by)),
            Action::Delay { by, jitter } => return write!(f, "delay {} ±{}", Span(*by), Span(*jitter)),
            Action::Truncate { keep: 0 } => "truncate",
            Action::Truncate { keep } => return write!(f, "truncate {keep}"),
            Action::Cut { keep } => return write!(f, "cut {keep}"),
            Action::Tcp(Tcp::Refuse) => "tcp refuse",
            Action::Tcp(Tcp::Reset) => "tcp reset",
            Action::Tcp(Tcp::Hang) => "tcp hang",
            Action::Edns(EdnsSupport::Ignore) => "edns ignore",
            Action::Edns(EdnsSupport::FormErr) => "edns formerr",
            Action::Edns(EdnsSupport::Limit(size)) => return write!(f, "edns {size}"),
            Action::Stale => "stale",
            Action::Flap => "flap",
            Action::Lag(by) => return write!(f, "lag {}", Span(*by)),
            Action::Omit(selection) => return write!(f, "omit {selection}"),
            Action::Keep(selection) => return write!(f, "keep {selection}"),
            Action::Glue(Glue::None) => "glue none",
            Action::Glue(Glue::Wrong) => "glue wrong",
            Action::Target(Target::Dangling) => "target dangling",
            Action::Target(Target::Compressed) => "target compressed",
            Action::Cname => "cname",
            Action::Order(Arrangement::Stable) => "order stable",
            Action::Order(Arrangement::Reversed) => "order reversed",
            Action::Order(Arrangement::Rotated) => "order rotated",
            Action::Order(Arrangement::AskerFirst) => "order asker-first",
            Action::Order(Arrangement::AskerLast) => "order asker-last",
            Action::Order(Arrangement::Shuffled) => "order shuffled",
            Action::Ttl(ttl) => return write!(f, "ttl {ttl}"),
            Action::WrongId => "wrong id",
            Action::WrongQuestion => "wrong question",
            Action::Cache { success, denial } if success == denial => return write!(f, "cache {success}"),
            Action::Cache { success, denial } => return write!(f, "cache {success} {denial}"),
            Action::NodeLocal => "nodelocal",
            Action::Unsynced => "unsynced",
        })
    }
}

impl FromStr for Selection {
    type Err = NotationError;

    fn from_str(text: &str) -> Result<Self, NotationError> {
        match (text, text.parse()) {
            ("asker", _) => Ok(Selection::Asker),
            (_, Ok(count)) => Ok(Selection::First(count)),
            _ => text.parse().map(Selection::Named),
        }
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Selection::First(count) => count.fmt(f),
            Selection::Named(glob) => glob.fmt(f),
            Selection::Asker => f.write_str("asker"),
        }
    }
}

impl Action {
    /// Whether both are of the same type; an answer can only have one of each.
    pub(crate) fn contradicts(&self, other: &Action) -> bool {
        let several = matches!(self, Action::Omit(_) | Action::Keep(_));
        let is_outcome = |action: &Action| matches!(action, Action::Rcode(_) | Action::NoData | Action::Drop);
        let is_zone = |action: &Action| matches!(action, Action::Stale | Action::Flap | Action::Lag(_));
        (discriminant(self) == discriminant(other) && !several)
            || (is_outcome(self) && is_outcome(other))
            || (is_zone(self) && is_zone(other))
    }
}

/// Actions that happen together; written as a list or separated by commas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actions(pub Vec<Action>);

impl Actions {
    /// Whether the list is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The actions in the order in which they are written.
    pub fn iter(&self) -> std::slice::Iter<'_, Action> {
        self.0.iter()
    }
}

impl FromIterator<Action> for Actions {
    fn from_iter<I: IntoIterator<Item = Action>>(actions: I) -> Self {
        Actions(actions.into_iter().collect())
    }
}

impl IntoIterator for Actions {
    type Item = Action;
    type IntoIter = std::vec::IntoIter<Action>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl FromStr for Actions {
    type Err = NotationError;

    fn from_str(text: &str) -> Result<Self, NotationError> {
        text.split(',').map(|action| action.trim().parse()).collect()
    }
}

impl fmt::Display for Actions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, action) in self.iter().enumerate() {
            write!(f, "{}{action}", if at > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}
