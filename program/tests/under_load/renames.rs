//! Renames under load: while a manifest is replaced again and again, every query is answered at once, with one of the
//! states that were written, never with an older one than before; and the last state is served soon.
//!
//! `CLUSTERLOCAL_TEST_RENAMES` sets the number of renames; `--nocapture` prints the times. Measured with
//! `CLUSTERLOCAL_TEST_RENAMES=1000 cargo test --profile dist --test under_load renames -- --nocapture --test-threads 1`.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RData;

use super::common;
use super::server::Server;

/// Twenty renames a second, 2,000 queries a second.
const RENAME_EVERY: Duration = Duration::from_millis(50);
const QUERY_EVERY: Duration = Duration::from_micros(500);

/// Maximum number of unanswered queries: fewer than the socket's buffers hold, so that none is lost on the client's side.
const UNANSWERED: usize = 64;

/// Time after which an answer counts as lost. No query is repeated.
const LOST: Duration = Duration::from_secs(2);

/// Time-out of anything that is expected to happen.
const DEADLINE: Duration = Duration::from_secs(30);

/// The queries, sent in turn. The last name does not exist in any state.
const QUESTIONS: [&str; 4] = [
    "db.default.svc.cluster.local A",
    "state.default.svc.cluster.local CNAME",
    "db-1.db.default.svc.cluster.local A",
    "missing.default.svc.cluster.local A",
];

#[test]
fn with_notifications() {
    check_renames(20, |path| Server::start(path, &["--watch", "auto"]));
}

#[test]
fn by_polling() {
    check_renames(20, |path| Server::start(path, &["--watch", "poll"]));
}

/// Polling, because the system has no notifications left: in a user namespace of its own, whose limit affects no other
/// process.
#[cfg(target_os = "linux")]
#[test]
fn with_no_notifications_left() {
    let none_left = "echo 0 > /proc/sys/user/max_inotify_instances";
    let namespace = ["-U", "-r", "sh", "-c"];
    let possible = Command::new("unshare").args(namespace).arg(none_left).output();
    if !possible.is_ok_and(|output| output.status.success()) {
        return eprintln!("no user namespaces here");
    }
    check_renames(40, |path| {
        let serve = format!("{none_left} && exec \"$0\" serve --watch auto --listen 127.0.0.1:0 \"$1\"");
        let mut command = Command::new("unshare");
        command.args(namespace).arg(serve).arg(env!("CARGO_BIN_EXE_clusterlocal")).arg(path);
        Server::spawn(&mut command)
    });
}

/// State that the writer and the clients share.
#[derive(Default)]
struct Course {
    /// The newest state that may be served.
    begun: AtomicUsize,
    /// The newest state that was answered.
    seen: AtomicUsize,
    ended: AtomicBool,
    /// When each state was written.
    renamed: Mutex<Vec<Instant>>,
    /// When each state, or a newer one, was first answered.
    answered: Mutex<Vec<Instant>>,
}

/// A query without an answer yet.
struct Sent {
    question: usize,
    at: Instant,
    /// The newest answered state when it was sent.
    floor: usize,
}

/// Replaces a manifest under load.
fn check_renames(fewest: usize, serve: impl Fn(&Path) -> Server) {
    let renames = std::env::var("CLUSTERLOCAL_TEST_RENAMES").map_or(60, |n| n.parse().expect("a number"));
    let renames = fewest.max(renames);
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("others.yaml"), others()).expect("a file");
    write(directory.path(), 0);
    let server = serve(directory.path());
    let course = Course::default();
    let began = Instant::now();
    let (written, mut latencies) = thread::scope(|scope| {
        let load = scope.spawn(|| ask(&server, &course));
        // The load must end in any case: the scope waits for it.
        let written = scope.spawn(|| rename(directory.path(), renames, &course)).join();
        course.ended.store(true, SeqCst);
        (written, load.join().expect("no answer is lost and none is wrong"))
    });
    let took = began.elapsed();
    written.expect("the last state is answered");
    let (renamed, answered) = (course.renamed.into_inner().unwrap(), course.answered.into_inner().unwrap());
    let mut visible: Vec<_> = renamed
        .iter()
        .zip(&answered)
        .map(|(renamed, answered)| answered.saturating_duration_since(*renamed))
        .collect();
    println!(
        "{renames} renames, {} queries ({:.0} a second), none lost, none wrong\n  from the rename to the answer: {}\n  \
         from query to answer: {}",
        latencies.len(),
        latencies.len() as f64 / took.as_secs_f64(),
        summary(&mut visible),
        summary(&mut latencies)
    );
}

fn summary(durations: &mut [Duration]) -> String {
    durations.sort();
    let at = |per_mille: usize| durations[(durations.len() - 1) * per_mille / 1000];
    format!("p50 {:.1?}, p99 {:.1?}, max {:.1?}", at(500), at(990), at(1000))
}

/// A thousand Services that do not change.
fn others() -> String {
    let mut text = String::new();
    for n in 0..1000 {
        writeln!(text, "---\napiVersion: v1\nkind: Service\nmetadata: {{name: other-{n}}}\nspec: {{ports: [{{port: 80}}]}}")
            .expect("a string");
    }
    text
}

/// Writes a state: every address of three pods and an alias has its number.
fn write(directory: &Path, state: usize) {
    let [high, low] = [state >> 8, state & 0xff];
    let text = format!(
        "apiVersion: clusterlocal.dev/v1\nkind: Topology\nsets:\n  db:\n    replicas: 3\n    ports: {{cql: 9042}}\n    \
         addresses: {{db-0: 10.{high}.{low}.1, db-1: 10.{high}.{low}.2, db-2: 10.{high}.{low}.3}}\nexternal:\n  state: \
         v{state}.example.org\n"
    );
    let unfinished = directory.join("unfinished");
    fs::write(&unfinished, text).expect("a file");
    fs::rename(unfinished, directory.join("db.yaml")).expect("a rename");
}

/// Writes the states in order, and waits until the last one is answered.
fn rename(directory: &Path, renames: usize, course: &Course) {
    let began = Instant::now();
    for (state, nth) in (1..=renames).zip(0u32..) {
        thread::sleep((began + nth * RENAME_EVERY).saturating_duration_since(Instant::now()));
        course.begun.store(state, SeqCst);
        write(directory, state);
        course.renamed.lock().unwrap().push(Instant::now());
    }
    let deadline = Instant::now() + DEADLINE;
    while course.seen.load(SeqCst) < renames {
        let seen = course.seen.load(SeqCst);
        assert!(Instant::now() < deadline, "state {renames} was written, and {seen} is still answered");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Sends queries at the specified rate until the course has ended and all are answered. Returns the time of each answer.
fn ask(server: &Server, course: &Course) -> Vec<Duration> {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.connect(server.dns).expect("a peer");
    socket.set_nonblocking(true).expect("a socket that does not wait");
    let requests = QUESTIONS.map(|question| common::Asked::parse(question).request);
    let (mut unanswered, mut latencies) = (HashMap::<u16, Sent>::new(), Vec::new());
    let (mut next_id, mut due, mut reply) = (0u16, Instant::now(), [0; 4096]);
    loop {
        let ended = course.ended.load(SeqCst);
        while let Ok(length) = socket.recv(&mut reply) {
            let id = u16::from_be_bytes([reply[0], reply[1]]);
            let sent = unanswered.remove(&id).expect("an answer to a query that waits for one");
            let now = Instant::now();
            check(&reply[..length], &sent, course, now);
            latencies.push(now - sent.at);
        }
        let now = Instant::now();
        for Sent { question, at, .. } in unanswered.values() {
            assert!(now - *at < LOST, "no answer to {} after {LOST:?}", QUESTIONS[*question]);
        }
        if !ended && now >= due && unanswered.len() < UNANSWERED {
            let question = usize::from(next_id) % QUESTIONS.len();
            let request = [&next_id.to_be_bytes(), &requests[question][2..]].concat();
            let sent = Sent { question, at: now, floor: course.seen.load(SeqCst) };
            assert!(unanswered.insert(next_id, sent).is_none(), "the id of an unanswered query");
            socket.send(&request).expect("a query leaves");
            next_id = next_id.wrapping_add(1);
            // A delayed sender catches up at a limited rate.
            due = (due + QUERY_EVERY).max(now.checked_sub(20 * QUERY_EVERY).unwrap_or(now));
            continue;
        }
        if ended && unanswered.is_empty() {
            return latencies;
        }
        thread::sleep(QUERY_EVERY / 4);
    }
}

/// Panics unless the answer has a state that was written, and none older than what was answered when the query was sent.
fn check(reply: &[u8], sent: &Sent, course: &Course, now: Instant) {
    let question = QUESTIONS[sent.question];
    let message = Message::from_vec(reply).unwrap_or_else(|error| panic!("{question}: {error}"));
    let answers: Vec<_> = message.answers.iter().map(|record| &record.data).collect();
    if question == QUESTIONS[3] {
        return assert_eq!((message.metadata.response_code, answers.len()), (ResponseCode::NXDomain, 0));
    }
    assert_eq!(message.metadata.response_code, ResponseCode::NoError, "{question}");
    let expected = if sent.question == 0 { 3 } else { 1 };
    assert_eq!(answers.len(), expected, "{question}: {answers:?}");
    let states: Vec<usize> = answers.iter().map(|data| state(data)).collect();
    let newest = states[0];
    assert!(states.iter().all(|state| *state == newest), "{question}: two states in one answer: {answers:?}");
    let begun = course.begun.load(SeqCst);
    assert!((sent.floor..=begun).contains(&newest), "{question}: {newest}, not in {}..={begun}", sent.floor);
    if course.seen.fetch_max(newest, SeqCst) < newest {
        course.answered.lock().unwrap().resize(newest, now);
    }
}

/// The number of the state of a record.
fn state(data: &RData) -> usize {
    match data {
        RData::A(address) => {
            let [ten, high, low, _] = Ipv4Addr::from(*address).octets();
            assert_eq!(ten, 10, "{address}");
            usize::from(high) << 8 | usize::from(low)
        }
        RData::CNAME(name) => {
            let label = common::name(name);
            let number = label.strip_prefix('v').and_then(|rest| rest.strip_suffix(".example.org."));
            number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no state: {label}"))
        }
        other => panic!("neither an address nor an alias: {other}"),
    }
}
