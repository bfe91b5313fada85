//! The notation of actions: in files, the API, on the command line and in Rust.

use std::str::FromStr;
use std::time::Duration;

use super::action::{Action, Arrangement, EdnsSupport, Glue, Target, Tcp};
use super::notation_error::NotationError;
use crate::text::{duration, nearest};
use crate::wire::ResponseCode;

/// The notation of an action, and its meaning.
#[derive(Clone, Copy, Debug)]
pub struct Notation {
    /// Its words; those in capitals are placeholders, those in brackets are optional.
    pub written: &'static str,
    /// Its meaning, in a sentence.
    pub about: &'static str,
}

const fn row(written: &'static str, about: &'static str) -> Notation {
    Notation { written, about }
}

/// Every action.
pub const ACTIONS: &[Notation] = &[
    row("ok", "No failure; later faults do not see the question."),
    row("servfail", "SERVFAIL."),
    row("refused", "REFUSED."),
    row("nxdomain", "NXDOMAIN, with the SOA."),
    row("formerr", "FORMERR."),
    row("notimp", "NOTIMP."),
    row("nodata", "No error and no records, with the SOA."),
    row("drop", "No reply."),
    row("delay D [±J]", "The reply is delayed by D ± J, in real time; ±J is also written +-J."),
    row(
        "truncate [N]",
        "Truncates to the first N records (0) and sets TC; denials always fit and stay unchanged.",
    ),
    row("cut N", "Truncates to the first N records without TC."),
    row("tcp refuse", "Connections are reset at once."),
    row("tcp reset", "Connections are reset after the first question."),
    row("tcp hang", "Connections are accepted, and get no replies."),
    row("edns ignore", "Ignores EDNS: no OPT record, at most 512 bytes over UDP."),
    row("edns formerr", "FORMERR to every question with an OPT record."),
    row("edns N", "UDP replies of at most N bytes (512 or more), which the OPT record states."),
    row("stale", "Answers from the zone at the time when the fault came into force."),
    row("flap", "Answers from that zone or the current one, at random: two replicas that disagree."),
    row("lag D", "Each change becomes visible D later, in the cluster's time."),
    row(
        "omit GLOB|N|asker",
        "Omits the records that match GLOB, the first N, or those of the client's pod, and their glue.",
    ),
    row("keep GLOB|N|asker", "Keeps those only."),
    row("glue none", "SRV and NS records without glue."),
    row("glue wrong", "Glue with addresses that belong to no pod."),
    row("target dangling", "The targets of SRV records do not exist."),
    row("target compressed", "The targets of SRV records are compressed, against RFC 2782."),
    row("cname", "The answer starts with an alias, and the records are under its target."),
    row("order stable", "Records in the order of the objects."),
    row("order reversed", "The reverse of that order."),
    row("order rotated", "Rotated by one with each question."),
    row("order asker-first", "The records of the client's pod first."),
    row("order asker-last", "The records of the client's pod last."),
    row("order shuffled", "A random order, SRV records too."),
    row("ttl N", "All records have a TTL of N seconds."),
    row("wrong id", "The id of the reply differs from the question's."),
    row("wrong question", "The reply repeats a different question."),
    row("cache S [D]", "CoreDNS's cache, in two replicas: answers for at most S seconds, denials for D (S)."),
    row("nodelocal", "NodeLocal DNSCache, one more cache: answers for 30 s and denials for 5 s."),
    row("unsynced", "SERVFAIL instead of NXDOMAIN, as before CoreDNS has read the cluster."),
];

/// Maximum time in an action.
const SPAN_MAX: Duration = Duration::from_secs(24 * 60 * 60);

impl FromStr for Action {
    type Err = NotationError;

    fn from_str(text: &str) -> Result<Self, NotationError> {
        let words: Vec<&str> = text.split_whitespace().take(5).collect();
        read(&words).ok_or_else(|| {
            let first = words.first().copied().unwrap_or_default();
            let known = ACTIONS.iter().filter(|row| row.written.split(' ').next() == Some(first));
            let known: Vec<&str> = known.map(|row| row.written).collect();
            if !known.is_empty() {
                let such_as = match known[..] {
                    [only] => format!(", such as {}", example(only)),
                    _ => String::new(),
                };
                return NotationError::new(text, format!("`{}`{such_as}", known.join("` or `")), None);
            }
            let near = nearest(text, ACTIONS.iter().map(|row| row.written))
                .or_else(|| nearest(first, ACTIONS.iter().filter_map(|row| row.written.split(' ').next())));
            NotationError::new(text, "an action such as servfail, drop or delay 3s", near)
        })
    }
}

/// `written` with its placeholders replaced, in a form that can be copied: `delay 3s`.
pub(super) fn example(written: &str) -> String {
    let words = written.split(' ').filter(|word| !word.starts_with('['));
    let filled = words.map(|word| match (word, written.split(' ').next()) {
        ("D", _) => "3s",
        ("S" | "N", Some("ttl" | "cache")) => "30",
        ("N", Some("edns")) => "512",
        ("N", _) => "2",
        ("GLOB|N|asker", _) => "asker",
        (word, _) => word,
    });
    filled.collect::<Vec<_>>().join(" ")
}

/// Parses the words of an action.
fn read(words: &[&str]) -> Option<Action> {
    let span = |text: &str| duration(text).filter(|span| *span <= SPAN_MAX);
    let delay = |by: &str, jitter: &str| Some(Action::Delay { by: span(by)?, jitter: span(jitter)? });
    let seconds = |text: &str| {
        let whole = || span(text).filter(|span| span.subsec_nanos() == 0)?.as_secs().try_into().ok();
        text.parse().ok().or_else(whole)
    };
    Some(match *words {
        ["ok"] => Action::Ok,
        ["servfail"] => Action::Rcode(ResponseCode::SERVFAIL),
        ["refused"] => Action::Rcode(ResponseCode::REFUSED),
        ["nxdomain"] => Action::Rcode(ResponseCode::NXDOMAIN),
        ["formerr"] => Action::Rcode(ResponseCode::FORMERR),
        ["notimp"] => Action::Rcode(ResponseCode::NOTIMP),
        ["nodata"] => Action::NoData,
        ["drop"] => Action::Drop,
        ["delay", by] => delay(by, "0")?,
        ["delay", by, "±" | "+-", jitter] => delay(by, jitter)?,
        ["delay", by, jitter] => delay(by, jitter.strip_prefix('±').or_else(|| jitter.strip_prefix("+-"))?)?,
        ["truncate"] => Action::Truncate { keep: 0 },
        ["truncate", keep] => Action::Truncate { keep: keep.parse().ok()? },
        ["cut", keep] => Action::Cut { keep: keep.parse().ok()? },
        ["tcp", "refuse"] => Action::Tcp(Tcp::Refuse),
        ["tcp", "reset"] => Action::Tcp(Tcp::Reset),
        ["tcp", "hang"] => Action::Tcp(Tcp::Hang),
        ["edns", "ignore"] => Action::Edns(EdnsSupport::Ignore),
        ["edns", "formerr"] => Action::Edns(EdnsSupport::FormErr),
        // RFC 6891, 6.2.3: less than 512 means 512.
        ["edns", size] => Action::Edns(EdnsSupport::Limit(size.parse().ok().filter(|&size| size >= 512)?)),
        ["stale"] => Action::Stale,
        ["flap"] => Action::Flap,
        ["lag", by] => Action::Lag(span(by)?),
        ["omit", which] => Action::Omit(which.parse().ok()?),
        ["keep", which] => Action::Keep(which.parse().ok()?),
        ["glue", "none"] => Action::Glue(Glue::None),
        ["glue", "wrong"] => Action::Glue(Glue::Wrong),
        ["target", "dangling"] => Action::Target(Target::Dangling),
        ["target", "compressed"] => Action::Target(Target::Compressed),
        ["cname"] => Action::Cname,
        ["order", "stable"] => Action::Order(Arrangement::Stable),
        ["order", "reversed"] => Action::Order(Arrangement::Reversed),
        ["order", "rotated"] => Action::Order(Arrangement::Rotated),
        ["order", "asker-first"] => Action::Order(Arrangement::AskerFirst),
        ["order", "asker-last"] => Action::Order(Arrangement::AskerLast),
        ["order", "shuffled"] => Action::Order(Arrangement::Shuffled),
        // RFC 2181, 8: a TTL has 31 bits.
        ["ttl", ttl] => Action::Ttl(ttl.parse().ok().filter(|&ttl| ttl <= i32::MAX as u32)?),
        ["wrong", "id"] => Action::WrongId,
        ["wrong", "question"] => Action::WrongQuestion,
        ["cache", both] => Action::Cache { success: seconds(both)?, denial: seconds(both)? },
        ["cache", success, denial] => Action::Cache { success: seconds(success)?, denial: seconds(denial)? },
        ["nodelocal"] => Action::NodeLocal,
        ["unsynced"] => Action::Unsynced,
        _ => return None,
    })
}
