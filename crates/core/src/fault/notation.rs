//! The one notation for what can go wrong: in files, the API, on the command line and in Rust.

use std::str::FromStr;
use std::time::Duration;

use super::action::{Action, Arrangement, EdnsSupport, Glue, Target, Tcp};
use crate::text::{duration, nearest};
use crate::wire::ResponseCode;

/// How something is written, and what it means.
#[derive(Clone, Copy, Debug)]
pub struct Notation {
    /// Its words; those in capitals stand for something, those in brackets may be left out.
    pub written: &'static str,
    /// In a sentence.
    pub about: &'static str,
}

const fn row(written: &'static str, about: &'static str) -> Notation {
    Notation { written, about }
}

/// Every action, as it is written.
pub const ACTIONS: &[Notation] = &[
    row("ok", "Nothing goes wrong; faults that come later do not see the question."),
    row("servfail", "SERVFAIL."),
    row("refused", "REFUSED."),
    row("nxdomain", "NXDOMAIN, with the SOA."),
    row("formerr", "FORMERR."),
    row("notimp", "NOTIMP."),
    row("nodata", "No error and no records, with the SOA."),
    row("drop", "No answer at all."),
    row("delay D [±J]", "The answer comes D later, give or take J, by the wall's clock; +-J is J as well."),
    row(
        "truncate [N]",
        "TC is set and only the first N records are there (0); denials, which always fit, stay as they are.",
    ),
    row("cut N", "Only the first N records are there, and no TC says so."),
    row("tcp refuse", "Connections are reset at once."),
    row("tcp reset", "Connections are reset when a question has come."),
    row("tcp hang", "Connections are accepted, and nothing is answered."),
    row("edns ignore", "As a server that does not know EDNS: no OPT record, 512 bytes over UDP."),
    row("edns formerr", "FORMERR to every question with an OPT record."),
    row("edns N", "No more than N bytes over UDP, from 512 on, and the OPT record says so."),
    row("stale", "The zone is that of when the fault came into force."),
    row("flap", "By lot, that zone or the present one: two replicas that disagree."),
    row("lag D", "Each change shows D later, in the cluster's time."),
    row(
        "omit GLOB|N|asker",
        "Without the records so called, the first N, or those of the pod that asks, and their addresses.",
    ),
    row("keep GLOB|N|asker", "Only those."),
    row("glue none", "SRV and NS records come without addresses."),
    row("glue wrong", "They come with addresses of nobody."),
    row("target dangling", "The targets of SRV records do not exist."),
    row("target compressed", "The targets of SRV records are compressed, against RFC 2782."),
    row("cname", "The answer begins with an alias, under whose target the records are."),
    row("order stable", "Records as the objects list them."),
    row("order reversed", "The other way round."),
    row("order rotated", "The first record moves to the end with each question."),
    row("order asker-first", "The pod that asks comes first."),
    row("order asker-last", "The pod that asks comes last."),
    row("order shuffled", "Any order, SRV records too."),
    row("ttl N", "All records live N seconds."),
    row("wrong id", "The answer has another id than the question."),
    row("wrong question", "The answer repeats another question."),
    row("cache S [D]", "CoreDNS's cache, in two replicas: answers live S seconds at most, denials D (S)."),
    row("nodelocal", "One more cache in front: NodeLocal DNSCache, 30 s for answers and 5 s for denials."),
    row("unsynced", "SERVFAIL instead of NXDOMAIN, as before the cluster has been read."),
];

/// The longest time that an action may be about.
const SPAN_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Something that is not written as it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {wanted}{}", help.as_ref().map(|help| format!("; {help}")).unwrap_or_default())]
pub struct NotationError {
    text: String,
    wanted: String,
    help: Option<String>,
}

impl NotationError {
    /// `text` should be `wanted`, and was perhaps meant to be `near`.
    pub(super) fn new(text: &str, wanted: impl Into<String>, near: Option<&str>) -> Self {
        let shown = text.chars().take(60).collect();
        let help = near.map(|near| format!("did you mean `{near}`?"));
        NotationError { text: shown, wanted: wanted.into(), help }
    }
}

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

/// What is `written` with its placeholders, in a form that can be copied: `delay 3s`.
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

/// The action that `words` say.
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
