//! What can go wrong with an answer.

use std::fmt;
use std::mem::discriminant;
use std::str::FromStr;
use std::time::Duration;

use super::{Glob, NotationError};
use crate::text::Span;
use crate::wire::ResponseCode;

/// Something that goes wrong with an answer. [`ACTIONS`](super::ACTIONS) says how each is written.
///
/// The order in which actions are listed does not matter. They are applied in that in which an answer comes about: the
/// zone it is made from, the caches in front of that, its records, its size, its bytes, and the way to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Nothing goes wrong; later faults do not see the question.
    Ok,
    /// No answer but a response code: FORMERR, SERVFAIL, NXDOMAIN, NOTIMP or REFUSED.
    Rcode(ResponseCode),
    /// The name exists, and has nothing of the type.
    NoData,
    /// Silence.
    Drop,
    /// The answer comes later, by the wall's clock: a client's patience does not know the cluster's.
    Delay {
        /// By how much.
        by: Duration,
        /// By how much more or less at most, drawn for each answer.
        jitter: Duration,
    },
    /// TC is set, as if the answer did not fit. A denial, which always fits, stays as it is.
    Truncate {
        /// How many records of the answer are there all the same.
        keep: u16,
    },
    /// Records are missing, and no TC says so.
    Cut {
        /// How many are left.
        keep: u16,
    },
    /// What happens to a client's connection.
    Tcp(Tcp),
    /// What the server makes of EDNS (RFC 6891).
    Edns(EdnsSupport),
    /// The zone is that of the moment in which the fault came into force.
    Stale,
    /// By lot, that zone or today's: two replicas that disagree.
    Flap,
    /// Each change shows so much later, in the cluster's time.
    Lag(Duration),
    /// Some records are missing.
    Omit(Which),
    /// All but some records are missing.
    Keep(Which),
    /// What happens to the addresses that come with names.
    Glue(Glue),
    /// What happens to the targets of SRV records.
    Target(Target),
    /// The answer begins with an alias, under whose target the records are.
    Cname,
    /// The order of the answer's records.
    Order(Arrangement),
    /// The time to live of all records, in seconds.
    Ttl(u32),
    /// The answer has another id than the question.
    WrongId,
    /// The answer repeats another question.
    WrongQuestion,
    /// CoreDNS's `cache`, in two replicas that take turns by lot. Lifetimes in seconds of the cluster's time; 0 for
    /// nothing kept.
    Cache {
        /// Of answers, at most.
        success: u32,
        /// Of NXDOMAIN and NODATA, at most.
        denial: u32,
    },
    /// NodeLocal DNSCache: one more cache in front.
    NodeLocal,
    /// The cluster has not been read yet: what would not exist is SERVFAIL.
    Unsynced,
}

/// What happens to a client's connection. It is decided when that is accepted, by the client's address alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tcp {
    /// It is reset at once. That is as near to "refused" as a port comes on which others are to be served.
    Refuse,
    /// It is reset when the first question has come.
    Reset,
    /// It stays open, and nothing is ever answered on it.
    Hang,
}

/// How far the server supports EDNS (RFC 6891).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EdnsSupport {
    /// It does not know it: no OPT record, and 512 bytes over UDP.
    Ignore,
    /// It answers FORMERR, as some old ones do.
    FormErr,
    /// It sends no more than so many bytes over UDP, and says so.
    Limit(u16),
}

/// Which records of an answer are meant, and the addresses that come with them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Which {
    /// The first so many.
    First(u16),
    /// Those whose target, owner or, for addresses, host is called so.
    Named(Glob),
    /// Those of the pod that asks, known by its address.
    Asker,
}

/// What happens to the addresses that come with names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Glue {
    /// They are missing.
    None,
    /// They are others.
    Wrong,
}

/// What happens to the targets of SRV records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// They do not exist.
    Dangling,
    /// They are compressed, which RFC 2782 forbids and some servers do.
    Compressed,
}

/// The order of an answer's records; aliases stay in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Arrangement {
    /// As the objects list them.
    Stable,
    /// The other way round.
    Reversed,
    /// The first moves to the end with each question.
    Rotated,
    /// What belongs to the pod that asks comes first.
    AskerFirst,
    /// It comes last.
    AskerLast,
    /// Drawn for each answer, SRV records too, which CoreDNS does not shuffle.
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
            Action::Omit(which) => return write!(f, "omit {which}"),
            Action::Keep(which) => return write!(f, "keep {which}"),
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

impl FromStr for Which {
    type Err = NotationError;

    fn from_str(text: &str) -> Result<Self, NotationError> {
        match (text, text.parse()) {
            ("asker", _) => Ok(Which::Asker),
            (_, Ok(count)) => Ok(Which::First(count)),
            _ => text.parse().map(Which::Named),
        }
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Which::First(count) => count.fmt(f),
            Which::Named(glob) => glob.fmt(f),
            Which::Asker => f.write_str("asker"),
        }
    }
}

impl Action {
    /// Whether both are of one sort, of which an answer can only have one.
    pub(crate) fn contradicts(&self, other: &Action) -> bool {
        let several = matches!(self, Action::Omit(_) | Action::Keep(_));
        let is_outcome = |action: &Action| matches!(action, Action::Rcode(_) | Action::NoData | Action::Drop);
        let is_zone = |action: &Action| matches!(action, Action::Stale | Action::Flap | Action::Lag(_));
        (discriminant(self) == discriminant(other) && !several)
            || (is_outcome(self) && is_outcome(other))
            || (is_zone(self) && is_zone(other))
    }
}

/// Actions that happen together; written with commas between, or as a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actions(pub Vec<Action>);

impl Actions {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In the order in which they are written.
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
