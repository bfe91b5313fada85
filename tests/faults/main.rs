//! Every fault as other people's DNS clients see it, and that they see the ordinary answer again when it is over.
//!
//! A client that is not installed is listed as ignored, unless `CLUSTERLOCAL_TEST_CLIENTS=all` says that all have to be
//! there.

mod ask;
mod properties;
mod ring;

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ask::Client::{self, Dig, Kdig, Python};
use clusterlocal::store::fault::{ACTIONS, PRESETS};
use libtest_mimic::{Arguments, Failed, Trial};
use ring::Ring;

/// What is done, one after the other. In questions, `~` is `cassandra.default.svc.cluster.local`.
#[derive(Clone, Copy)]
enum Step {
    /// Asks, and sees this.
    See(Client, &'static str, &'static str),
    /// Asks again and again until each of these was seen, and sees nothing else.
    SeeAll(&'static str, &'static [&'static str]),
    /// Asks, sees this, and has waited so many milliseconds for it.
    SeeLate(&'static str, &'static str, u64),
    /// Scales the ring.
    Scale(u32),
    /// Lets so many seconds pass in the cluster.
    Seconds(u64),
    /// Deletes the fault.
    End,
}
use Step::{End, Scale, Seconds, See, SeeAll, SeeLate};

const SRV: &str = "SRV _cql._tcp.~";
const SRV_TCP: &str = "SRV _cql._tcp.~ +tcp";
const SRV_TC: &str = "SRV _cql._tcp.~ +ignore";
const A: &str = "A ~";
const NOBODY: &str = "A nobody.default.svc.cluster.local";
const FOURTH: &str = "A cassandra-3.~";

const PEERS: &str = "NOERROR cassandra-0 cassandra-1 cassandra-2 +127.244.0.1 +127.244.0.2 +127.244.0.3";
const ADDRESSES: &str = "NOERROR 127.244.0.1 127.244.0.2 127.244.0.3";
const FOUR: &str = "NOERROR 127.244.0.1 127.244.0.2 127.244.0.3 127.244.0.4";
const NXDOMAIN: &str = "NXDOMAIN soa";
const NODATA: &str = "NOERROR soa";
const SECOND: &str = "NOERROR cassandra-1 +127.244.0.2";
const NOT_SECOND: &str = "NOERROR cassandra-0 cassandra-2 +127.244.0.1 +127.244.0.3";

/// A fault's spec, and a story about it.
type Row = (&'static str, &'static [Step]);

const STORIES: &[Row] = &[
    // Codes and silence.
    ("actions: [ok]", &[See(Dig, SRV, PEERS), End, See(Dig, SRV, PEERS)]),
    (
        "actions: [servfail]",
        &[See(Dig, A, "SERVFAIL"), See(Kdig, SRV_TCP, "SERVFAIL"), End, See(Dig, A, ADDRESSES)],
    ),
    ("actions: [refused]", &[See(Dig, A, "REFUSED"), End, See(Dig, A, ADDRESSES)]),
    ("actions: [nxdomain]", &[See(Dig, A, NXDOMAIN), End, See(Dig, A, ADDRESSES)]),
    ("actions: [formerr]", &[See(Kdig, A, "FORMERR"), End, See(Kdig, A, ADDRESSES)]),
    ("actions: [notimp]", &[See(Dig, A, "NOTIMP"), End, See(Dig, A, ADDRESSES)]),
    ("actions: [nodata]", &[See(Dig, A, NODATA), End, See(Dig, A, ADDRESSES)]),
    (
        "actions: [drop]",
        &[
            See(Dig, A, "timed out"),
            See(Python, "A ~", "Timeout"),
            See(Python, "A ~ tcp", "Timeout"),
            End,
            See(Dig, A, ADDRESSES),
        ],
    ),
    (
        "actions: [delay 300ms]",
        &[SeeLate(A, ADDRESSES, 300), SeeLate(SRV_TCP, PEERS, 300), End, See(Dig, A, ADDRESSES)],
    ),
    ("actions: [delay 400ms ±100ms, nxdomain]", &[SeeLate(A, NXDOMAIN, 300), End, See(Dig, A, ADDRESSES)]),
    // Whom and when.
    (
        "match: {types: [SRV]}, actions: [servfail]",
        &[See(Dig, SRV, "SERVFAIL"), See(Dig, A, ADDRESSES), End, See(Dig, SRV, PEERS)],
    ),
    (
        "match: {transport: tcp}, actions: [servfail]",
        &[See(Dig, SRV, PEERS), See(Dig, SRV_TCP, "SERVFAIL"), End, See(Dig, SRV_TCP, PEERS)],
    ),
    (
        "match: {clients: [cassandra-1]}, actions: [nxdomain]",
        &[
            See(Dig, "A ~ -b 127.244.0.2", NXDOMAIN),
            See(Dig, "A ~ -b 127.244.0.1", ADDRESSES),
            End,
            See(Dig, "A ~ -b 127.244.0.2", ADDRESSES),
        ],
    ),
    (
        "sequence: [servfail, ok, nxdomain]",
        &[
            See(Dig, A, "SERVFAIL"),
            See(Dig, A, ADDRESSES),
            See(Dig, A, NXDOMAIN),
            See(Dig, SRV, "SERVFAIL"),
            End,
            See(Dig, A, ADDRESSES),
        ],
    ),
    ("times: 1, actions: [servfail]", &[See(Dig, A, "SERVFAIL"), See(Dig, A, ADDRESSES)]),
    (
        "after: 5s, for: 30s, actions: [servfail]",
        &[
            See(Dig, A, ADDRESSES),
            Seconds(5),
            See(Dig, A, "SERVFAIL"),
            Seconds(29),
            See(Dig, A, "SERVFAIL"),
            Seconds(1),
            See(Dig, A, ADDRESSES),
        ],
    ),
    // Sizes.
    (
        "actions: [truncate]",
        &[See(Dig, SRV_TC, "NOERROR tc"), See(Dig, NOBODY, NXDOMAIN), End, See(Dig, SRV_TC, PEERS)],
    ),
    (
        "actions: [truncate 2]",
        &[See(Dig, SRV_TC, "NOERROR tc cassandra-0 cassandra-1"), End, See(Dig, SRV_TC, PEERS)],
    ),
    ("match: {transport: udp}, actions: [truncate]", &[See(Dig, SRV, PEERS), End, See(Dig, SRV, PEERS)]),
    (
        "actions: [cut 2]",
        &[
            See(Dig, SRV, "NOERROR cassandra-0 cassandra-1 +127.244.0.1 +127.244.0.2"),
            End,
            See(Dig, SRV, PEERS),
        ],
    ),
    (
        "actions: [edns ignore]",
        &[
            See(Dig, "A ~ +edns +bufsize=1400", ADDRESSES),
            End,
            See(Dig, "A ~ +edns +bufsize=1400", "NOERROR udp=1400 127.244.0.1 127.244.0.2 127.244.0.3"),
        ],
    ),
    (
        "actions: [edns formerr]",
        &[
            See(Kdig, "A ~ +edns", "FORMERR"),
            See(Kdig, A, ADDRESSES),
            End,
            See(Kdig, "A ~ +bufsize=1400", "NOERROR udp=1400 127.244.0.1 127.244.0.2 127.244.0.3"),
        ],
    ),
    (
        "actions: [edns 600]",
        &[
            See(Dig, "A ~ +bufsize=1400", "NOERROR udp=600 127.244.0.1 127.244.0.2 127.244.0.3"),
            Scale(40),
            See(Python, "A ~ edns=1400", "NOERROR 33 tc"),
            End,
            See(Python, "A ~ edns=1400", "NOERROR 40"),
        ],
    ),
    // Connections.
    (
        "actions: [tcp refuse]",
        &[
            See(Python, "SRV _cql._tcp.~ tcp", "ConnectionResetError"),
            See(Dig, SRV, PEERS),
            End,
            See(Dig, SRV_TCP, PEERS),
        ],
    ),
    (
        "actions: [tcp reset]",
        &[
            See(Python, "SRV _cql._tcp.~ tcp", "ConnectionResetError"),
            See(Dig, SRV, PEERS),
            End,
            See(Dig, SRV_TCP, PEERS),
        ],
    ),
    (
        "actions: [tcp hang]",
        &[See(Python, "SRV _cql._tcp.~ tcp", "Timeout"), See(Dig, SRV, PEERS), End, See(Dig, SRV_TCP, PEERS)],
    ),
    (
        "match: {clients: [cassandra-1]}, actions: [tcp hang]",
        &[See(Dig, "A ~ +tcp -b 127.244.0.2", "timed out"), See(Dig, "A ~ +tcp", ADDRESSES)],
    ),
    // Records.
    (
        "actions: [omit cassandra-1.*]",
        &[
            See(Dig, SRV, NOT_SECOND),
            See(Dig, A, "NOERROR 127.244.0.1 127.244.0.3"),
            End,
            See(Dig, SRV, PEERS),
        ],
    ),
    (
        "actions: [omit asker]",
        &[
            See(Dig, "SRV _cql._tcp.~ -b 127.244.0.2", NOT_SECOND),
            See(Dig, SRV, PEERS),
            End,
            See(Dig, "SRV _cql._tcp.~ -b 127.244.0.2", PEERS),
        ],
    ),
    ("actions: [omit cassandra-*]", &[See(Dig, SRV, NODATA), End, See(Dig, SRV, PEERS)]),
    ("actions: [keep 1]", &[See(Dig, SRV, "NOERROR cassandra-0 +127.244.0.1"), End, See(Dig, SRV, PEERS)]),
    (
        "actions: [keep asker]",
        &[
            See(Dig, "SRV _cql._tcp.~ -b 127.244.0.2", SECOND),
            See(Dig, SRV, NODATA),
            End,
            See(Dig, SRV, PEERS),
        ],
    ),
    (
        "actions: [glue none]",
        &[See(Dig, SRV, "NOERROR cassandra-0 cassandra-1 cassandra-2"), End, See(Dig, SRV, PEERS)],
    ),
    (
        "actions: [glue wrong]",
        &[
            See(
                Dig,
                SRV,
                "NOERROR cassandra-0 cassandra-1 cassandra-2 +127.116.0.1 +127.116.0.2 +127.116.0.3",
            ),
            End,
            See(Dig, SRV, PEERS),
        ],
    ),
    (
        "actions: [target dangling]",
        &[
            See(Dig, SRV, "NOERROR gone-cassandra-0 gone-cassandra-1 gone-cassandra-2"),
            See(Dig, "A gone-cassandra-0.~", NXDOMAIN),
            End,
            See(Dig, SRV, PEERS),
        ],
    ),
    (
        "actions: [target compressed]",
        &[
            See(Python, "SRV _cql._tcp.~", "NOERROR 3 compressed"),
            See(Dig, SRV, PEERS),
            End,
            See(Python, "SRV _cql._tcp.~", "NOERROR 3"),
        ],
    ),
    (
        "actions: [cname]",
        &[
            See(Dig, A, "NOERROR =alias 127.244.0.1 127.244.0.2 127.244.0.3"),
            See(
                Dig,
                SRV,
                "NOERROR =alias cassandra-0 cassandra-1 cassandra-2 +127.244.0.1 +127.244.0.2 +127.244.0.3",
            ),
            End,
            See(Dig, A, ADDRESSES),
        ],
    ),
    ("actions: [order stable]", &[See(Dig, A, ADDRESSES), End, See(Dig, A, ADDRESSES)]),
    (
        "actions: [order reversed]",
        &[See(Dig, A, "NOERROR 127.244.0.3 127.244.0.2 127.244.0.1"), End, See(Dig, A, ADDRESSES)],
    ),
    (
        "actions: [order rotated]",
        &[
            See(Dig, A, ADDRESSES),
            See(Dig, A, "NOERROR 127.244.0.2 127.244.0.3 127.244.0.1"),
            See(Dig, A, "NOERROR 127.244.0.3 127.244.0.1 127.244.0.2"),
            End,
            See(Dig, A, ADDRESSES),
        ],
    ),
    (
        "actions: [order asker-first]",
        &[
            See(Dig, "A ~ -b 127.244.0.3", "NOERROR 127.244.0.3 127.244.0.1 127.244.0.2"),
            End,
            See(Dig, "A ~ -b 127.244.0.3", ADDRESSES),
        ],
    ),
    (
        "actions: [order asker-last]",
        &[
            See(Dig, "A ~ -b 127.244.0.1", "NOERROR 127.244.0.2 127.244.0.3 127.244.0.1"),
            End,
            See(Dig, "A ~ -b 127.244.0.1", ADDRESSES),
        ],
    ),
    (
        "actions: [order shuffled]",
        &[
            SeeAll(
                A,
                &[
                    ADDRESSES,
                    "NOERROR 127.244.0.1 127.244.0.3 127.244.0.2",
                    "NOERROR 127.244.0.2 127.244.0.1 127.244.0.3",
                    "NOERROR 127.244.0.2 127.244.0.3 127.244.0.1",
                    "NOERROR 127.244.0.3 127.244.0.1 127.244.0.2",
                    "NOERROR 127.244.0.3 127.244.0.2 127.244.0.1",
                ],
            ),
            End,
            See(Dig, A, ADDRESSES),
        ],
    ),
    (
        "actions: [ttl 7]",
        &[See(Dig, A, "NOERROR ttl=7 127.244.0.1 127.244.0.2 127.244.0.3"), End, See(Dig, A, ADDRESSES)],
    ),
    ("actions: [wrong id]", &[See(Python, A, "BadResponse"), End, See(Python, A, "NOERROR 3")]),
    ("actions: [wrong question]", &[See(Python, A, "BadResponse"), End, See(Python, A, "NOERROR 3")]),
    // Zones.
    (
        "actions: [stale]",
        &[Scale(4), See(Dig, A, ADDRESSES), See(Dig, FOURTH, NXDOMAIN), End, See(Dig, A, FOUR)],
    ),
    ("actions: [flap]", &[Scale(4), SeeAll(A, &[ADDRESSES, FOUR]), End, See(Dig, A, FOUR)]),
    (
        "actions: [lag 5m]",
        &[
            Scale(4),
            See(Dig, A, ADDRESSES),
            Seconds(300),
            See(Dig, A, FOUR),
            Scale(3),
            See(Dig, A, FOUR),
            End,
            See(Dig, A, ADDRESSES),
        ],
    ),
    (
        "actions: [unsynced]",
        &[See(Dig, NOBODY, "SERVFAIL soa"), See(Dig, A, ADDRESSES), End, See(Dig, NOBODY, NXDOMAIN)],
    ),
    // Caches. Both replicas are asked until both have said something.
    (
        "actions: [cache 30]",
        &[
            SeeAll(FOURTH, &[NXDOMAIN]),
            SeeAll(A, &[ADDRESSES]),
            Scale(4),
            SeeAll(FOURTH, &["NOERROR 127.244.0.4"]),
            End,
            See(Dig, A, FOUR),
        ],
    ),
    (
        "actions: [cache 60]",
        &[
            SeeAll(FOURTH, &[NXDOMAIN]),
            Seconds(10),
            SeeAll(FOURTH, &["NXDOMAIN ttl=20 soa"]),
            Seconds(19),
            SeeAll(FOURTH, &["NXDOMAIN ttl=1 soa"]),
            Seconds(1),
            SeeAll(FOURTH, &[NXDOMAIN]),
            End,
            See(Dig, FOURTH, NXDOMAIN),
        ],
    ),
    (
        "actions: [cache 12 6]",
        &[
            SeeAll(A, &["NOERROR ttl=12 127.244.0.1 127.244.0.2 127.244.0.3"]),
            SeeAll(FOURTH, &["NXDOMAIN ttl=6 soa"]),
            Seconds(6),
            SeeAll(A, &["NOERROR ttl=6 127.244.0.1 127.244.0.2 127.244.0.3"]),
            SeeAll(FOURTH, &["NXDOMAIN ttl=6 soa"]),
            End,
            See(Dig, A, ADDRESSES),
        ],
    ),
    (
        "actions: [nodelocal]",
        &[
            See(Dig, FOURTH, "NXDOMAIN ttl=5 soa"),
            See(Dig, A, ADDRESSES),
            Seconds(4),
            See(Dig, FOURTH, "NXDOMAIN ttl=1 soa"),
            See(Dig, A, "NOERROR ttl=26 127.244.0.1 127.244.0.2 127.244.0.3"),
            Seconds(1),
            See(Dig, FOURTH, "NXDOMAIN ttl=5 soa"),
            End,
            See(Dig, A, ADDRESSES),
        ],
    ),
    (
        "actions: [nodelocal, cache 30]",
        &[
            See(Dig, A, ADDRESSES),
            Seconds(29),
            See(Dig, A, "NOERROR ttl=1 127.244.0.1 127.244.0.2 127.244.0.3"),
            End,
            See(Dig, A, ADDRESSES),
        ],
    ),
    // Presets.
    (
        "preset: cache 60",
        &[
            SeeAll(FOURTH, &[NXDOMAIN]),
            Seconds(25),
            SeeAll(FOURTH, &["NXDOMAIN ttl=5 soa"]),
            End,
            See(Dig, FOURTH, NXDOMAIN),
        ],
    ),
    (
        "preset: negative-cache 20s",
        &[
            SeeAll(FOURTH, &["NXDOMAIN ttl=20 soa"]),
            See(Dig, A, ADDRESSES),
            Seconds(15),
            SeeAll(FOURTH, &["NXDOMAIN ttl=5 soa"]),
            See(Dig, A, ADDRESSES),
            End,
            See(Dig, FOURTH, NXDOMAIN),
        ],
    ),
    ("preset: nodelocal", &[See(Dig, FOURTH, "NXDOMAIN ttl=5 soa"), End, See(Dig, FOURTH, NXDOMAIN)]),
    (
        "preset: two-replicas-disagree 2m",
        &[Scale(4), SeeAll(A, &[ADDRESSES, FOUR]), Seconds(90), See(Dig, A, FOUR)],
    ),
    ("preset: dns-outage 30s", &[See(Dig, A, "timed out"), Seconds(30), See(Dig, A, ADDRESSES)]),
    ("preset: slow 300ms", &[SeeLate(A, ADDRESSES, 300), End, See(Dig, A, ADDRESSES)]),
    ("preset: unsynced 5s", &[See(Dig, NOBODY, "SERVFAIL soa"), Seconds(5), See(Dig, NOBODY, NXDOMAIN)]),
    (
        "preset: kube-dns-3-of-n",
        &[Scale(4), See(Dig, A, ADDRESSES), See(Dig, "A ~ +tcp", FOUR), End, See(Dig, A, FOUR)],
    ),
    (
        "preset: no-tcp",
        &[
            See(Dig, SRV_TC, "NOERROR tc"),
            See(Python, "SRV _cql._tcp.~ tcp", "ConnectionResetError"),
            End,
            See(Dig, SRV, PEERS),
        ],
    ),
    ("preset: flaky 0.5", &[SeeAll("A ~ +time=1", &[ADDRESSES, "timed out"]), End, See(Dig, A, ADDRESSES)]),
    (
        "preset: no-glue",
        &[See(Dig, SRV, "NOERROR cassandra-0 cassandra-1 cassandra-2"), End, See(Dig, SRV, PEERS)],
    ),
    (
        "preset: no-edns",
        &[
            See(Dig, "A ~ +bufsize=1400 +noednsneg", "FORMERR"),
            See(Dig, A, ADDRESSES),
            End,
            See(Dig, "A ~ +bufsize=1400", "NOERROR udp=1400 127.244.0.1 127.244.0.2 127.244.0.3"),
        ],
    ),
    (
        "preset: only-self",
        &[
            See(Dig, "SRV _cql._tcp.~ -b 127.244.0.2", SECOND),
            End,
            See(Dig, "SRV _cql._tcp.~ -b 127.244.0.2", PEERS),
        ],
    ),
];

/// How often [`Step::SeeAll`] asks at least and at most: what is drawn evenly has come up by then.
const ASKS: std::ops::Range<usize> = 8..200;

fn main() {
    let required = std::env::var("CLUSTERLOCAL_TEST_CLIENTS").is_ok_and(|value| value == "all");
    let missing = Client::ALL.map(|client| !required && !succeeds(client.test()));
    let mut trials: Vec<Trial> = STORIES
        .iter()
        .map(|(fault, steps)| {
            let ignored = steps.iter().any(|step| missing[step.client() as usize]);
            Trial::test(*fault, || tell(fault, steps)).with_ignored_flag(ignored)
        })
        .collect();
    trials.push(Trial::test("every action and every preset has its story", complete));
    trials.push(Trial::test("any fault on any question", properties::any_fault_on_any_question));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

impl Step {
    fn client(&self) -> Client {
        match self {
            See(client, ..) => *client,
            _ => Dig,
        }
    }
}

fn succeeds(command: &str) -> bool {
    let status =
        Command::new("sh").args(["-c", command]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn tell(fault: &str, steps: &[Step]) -> Result<(), Failed> {
    let mut ring = Ring::with(fault);
    for (at, step) in steps.iter().enumerate() {
        let number = at + 1;
        let differs = |question: &str, seen: &str, expected: &str| {
            Err(Failed::from(format!("step {number}, {question}:\n     saw {seen}\nexpected {expected}")))
        };
        match *step {
            See(client, question, expected) => {
                let seen = client.ask(ring.address, question);
                if seen != expected {
                    return differs(question, &seen, expected);
                }
            }
            SeeAll(question, expected) => {
                let mut seen = BTreeSet::new();
                for asked in 0..ASKS.end {
                    let new = Dig.ask(ring.address, question);
                    if !expected.contains(&new.as_str()) {
                        return differs(question, &new, &expected.join(" or "));
                    }
                    seen.insert(new);
                    if asked + 1 >= ASKS.start && seen.len() == expected.len() {
                        break;
                    }
                }
                if seen.len() < expected.len() {
                    return differs(question, &format!("only {seen:?}"), &expected.join(" and "));
                }
            }
            SeeLate(question, expected, least) => {
                let asked = Instant::now();
                let seen = Dig.ask(ring.address, question);
                let took = asked.elapsed();
                if seen != expected || took < Duration::from_millis(least) {
                    return differs(question, &format!("{seen} after {took:?}"), expected);
                }
            }
            Scale(replicas) => ring.scale(replicas),
            Seconds(seconds) => ring.advance(seconds),
            End => ring.remove_fault(),
        }
    }
    Ok(())
}

/// Nothing is promised that no client has seen.
fn complete() -> Result<(), Failed> {
    let told = |text: &str| STORIES.iter().any(|(fault, _)| fault.contains(text));
    let literal = |written: &str| {
        let fixed = |word: &&str| word.chars().all(|c| c.is_ascii_lowercase() || "-0123456789".contains(c));
        written.split(' ').take_while(fixed).collect::<Vec<_>>().join(" ")
    };
    let actions = ACTIONS.iter().map(|row| literal(row.written));
    let presets = PRESETS.iter().map(|preset| format!("preset: {}", literal(preset.written)));
    match actions.chain(presets).find(|text| !told(text)) {
        Some(untold) => Err(format!("{untold:?} has no story").into()),
        None => Ok(()),
    }
}
