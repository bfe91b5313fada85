//! Following under load: however a manifest is written, in place, in pieces, by renames or through a link, no answer shows
//! a half-written file, and the last state is served soon.
//!
//! `CLUSTERLOCAL_TEST_EDITS` sets the number of edits; `--nocapture` prints the counts.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::net::UdpSocket;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use hickory_proto::op::Message;
use hickory_proto::rr::RData;

use super::common;
use super::server::Server;

/// Time between two edits, in turn: almost none, the time in which a rename is visible, and longer than the quiet period of
/// a file written in place.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(2),
    Duration::from_millis(11),
    Duration::from_millis(4),
    Duration::from_millis(30),
    Duration::from_millis(70),
];

/// Time-out of anything that is expected to happen.
const DEADLINE: Duration = Duration::from_secs(30);

/// Number of addresses of the Service, all of the same state: a truncated file has fewer.
const ADDRESSES: usize = 40;

/// The file in a `state`: its number is in each of the [`ADDRESSES`] addresses. A prefix of the file is a valid manifest as
/// well.
fn text(state: usize) -> String {
    let mut text = String::from(
        "apiVersion: v1\nkind: Service\nmetadata: {name: db}\nspec: {clusterIP: None, ports: [{port: 1}]}\n",
    );
    for n in 0..ADDRESSES {
        let [high, low] = [state >> 8, state & 0xff];
        text += &format!(
            "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: db-{n}, labels: {{kubernetes.io/service-name: db}}}}\naddressType: IPv4\nendpoints:\n- addresses: [10.{high}.{low}.{}]\n",
            n + 1
        );
    }
    text
}

/// The ways to replace the content of a file.
#[derive(Clone, Copy, Debug)]
enum Edit {
    Truncated,
    InPieces,
    InSlowPieces,
    Renamed,
    RenamedInDirectory,
    CopiedAndRenamed,
    DeletedAndCreated,
    DeletedAndCreatedInPieces,
    Linked,
    Appended,
    OverwrittenFromTheStart,
    MovedAwayAndBack,
    HardLinked,
    RenamedThenWritten,
}

const EDITS: [Edit; 14] = [
    Edit::Truncated,
    Edit::Renamed,
    Edit::InPieces,
    Edit::RenamedThenWritten,
    Edit::CopiedAndRenamed,
    Edit::InSlowPieces,
    Edit::RenamedInDirectory,
    Edit::DeletedAndCreated,
    Edit::Renamed,
    Edit::DeletedAndCreatedInPieces,
    Edit::Linked,
    Edit::OverwrittenFromTheStart,
    Edit::MovedAwayAndBack,
    Edit::HardLinked,
];

/// Writes whole documents one at a time: the file is a valid manifest at any moment, with fewer addresses.
fn pieces(mut file: File, text: &str, pause: Duration) {
    let documents: Vec<&str> = text.split_inclusive("---\n").collect();
    for piece in documents.chunks(documents.len().div_ceil(5)) {
        file.write_all(piece.concat().as_bytes()).expect("a write");
        thread::sleep(pause);
    }
}

/// Replaces the content of the file in `directory` by that of `state`.
fn edit(directory: &Path, edit: Edit, state: usize) {
    let (path, text) = (directory.join("db.yaml"), text(state));
    let aside = directory.join("aside");
    let ms = Duration::from_millis;
    // A link stays one if written through, and is replaced if its name is.
    match edit {
        Edit::Truncated => fs::write(&path, &text).expect("a write"),
        Edit::InPieces => pieces(File::create(&path).expect("a file"), &text, ms(1)),
        Edit::InSlowPieces => pieces(File::create(&path).expect("a file"), &text, ms(30)),
        Edit::Renamed => {
            fs::write(&aside, &text).expect("a write");
            fs::rename(&aside, &path).expect("a rename");
        }
        Edit::RenamedInDirectory => {
            let other = directory.parent().expect("a parent").join("other.yaml");
            fs::write(&other, &text).expect("a write");
            fs::rename(&other, &path).expect("a rename");
        }
        Edit::CopiedAndRenamed => {
            let source = directory.parent().expect("a parent").join("source");
            fs::write(&source, &text).expect("a write");
            fs::copy(&source, &aside).expect("a copy");
            fs::rename(&aside, &path).expect("a rename");
        }
        Edit::DeletedAndCreated => {
            fs::remove_file(&path).expect("a file");
            fs::write(&path, &text).expect("a write");
        }
        Edit::DeletedAndCreatedInPieces => {
            fs::remove_file(&path).expect("a file");
            pieces(File::create(&path).expect("a file"), &text, ms(3));
        }
        Edit::Linked => {
            let target = directory.parent().expect("a parent").join(format!("target-{state}"));
            fs::write(&target, &text).expect("a write");
            std::os::unix::fs::symlink(&target, &aside).expect("a link");
            fs::rename(&aside, &path).expect("a rename");
        }
        Edit::Appended => {
            let mut file = OpenOptions::new().append(true).open(&path).expect("a file");
            file.write_all(b"# seen\n").expect("a write");
        }
        Edit::OverwrittenFromTheStart => {
            let mut file = OpenOptions::new().write(true).open(&path).expect("a file");
            file.set_len(0).expect("a length");
            file.seek(SeekFrom::Start(0)).expect("a place");
            pieces(file, &text, ms(2));
        }
        Edit::MovedAwayAndBack => {
            fs::rename(&path, &aside).expect("a rename");
            fs::write(&aside, &text).expect("a write");
            fs::rename(&aside, &path).expect("a rename");
        }
        Edit::HardLinked => {
            fs::write(&aside, &text).expect("a write");
            fs::remove_file(&path).expect("a file");
            fs::hard_link(&aside, &path).expect("a link");
            fs::remove_file(&aside).expect("a file");
        }
        Edit::RenamedThenWritten => {
            fs::write(&aside, &text).expect("a write");
            fs::rename(&aside, &path).expect("a rename");
            pieces(File::create(&path).expect("a file"), &text, ms(4));
        }
    }
}

#[test]
fn no_answer_shows_a_half_written_file() {
    for watch in ["auto", "poll"] {
        check(watch, &EDITS);
    }
}

/// A rename marks a file as complete while its next content is already being written.
#[test]
fn no_answer_shows_a_file_that_is_written_after_a_rename() {
    let turns = [
        Edit::Renamed,
        Edit::InPieces,
        Edit::DeletedAndCreatedInPieces,
        Edit::Renamed,
        Edit::RenamedThenWritten,
    ];
    check("auto", &turns);
}

fn check(watch: &str, kinds: &[Edit]) {
    let edits: usize = std::env::var("CLUSTERLOCAL_TEST_EDITS").map_or(200, |n| n.parse().expect("a number"));
    let directory = tempfile::tempdir().expect("a directory");
    let zones = directory.path().join("zones");
    fs::create_dir(&zones).expect("a directory");
    fs::write(zones.join("db.yaml"), text(0)).expect("a write");
    let server = Server::start(&zones, &["--watch", watch]);
    let (ended, newest) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (asked, wrong, seen) = thread::scope(|scope| {
        let load = scope.spawn(|| ask(&server, &ended, &newest));
        for at in 1..=edits {
            thread::sleep(PAUSES[at % PAUSES.len()]);
            edit(&zones, kinds[at % kinds.len()], at);
            if at % 20 == 0 {
                edit(&zones, Edit::Appended, at);
            }
        }
        let deadline = Instant::now() + DEADLINE;
        while newest.load(SeqCst) < edits && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        ended.store(true, SeqCst);
        load.join().expect("the load ends")
    });
    println!("{watch}: {edits} edits, {asked} queries, {} wrong, {seen} states seen", wrong.len());
    assert!(
        wrong.is_empty(),
        "{watch}: {} of {asked} answers are wrong: {:?}",
        wrong.len(),
        &wrong[..wrong.len().min(3)]
    );
    assert_eq!(newest.load(SeqCst), edits, "{watch}: the last state is not served");
}

/// Sends queries until `ended`. Returns their number, the wrong answers, and the number of states. A missing answer is
/// wrong.
fn ask(server: &Server, ended: &AtomicBool, newest: &AtomicUsize) -> (usize, Vec<String>, usize) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.connect(server.dns).expect("a peer");
    socket.set_read_timeout(Some(Duration::from_secs(2))).expect("a timeout");
    let request = common::Asked::parse("db.default.svc.cluster.local A").request;
    let (mut asked, mut wrong, mut states, mut reply) = (0, Vec::new(), 0, vec![0; 65536]);
    while !ended.load(SeqCst) {
        socket.send(&request).expect("a query leaves");
        asked += 1;
        let Ok(length) = socket.recv(&mut reply) else {
            wrong.push("no answer".into());
            continue;
        };
        let message = Message::from_vec(&reply[..length]).expect("a message");
        let numbers = message.answers.iter().filter_map(|record| match &record.data {
            RData::A(address) => {
                Some(usize::from(address.octets()[1]) << 8 | usize::from(address.octets()[2]))
            }
            _ => None,
        });
        let numbers: Vec<usize> = numbers.collect();
        let state = numbers.first().copied().unwrap_or_default();
        if numbers.len() != ADDRESSES || numbers.iter().any(|number| *number != state) {
            wrong.push(format!("{} of {ADDRESSES} addresses, of {state}", numbers.len()));
        } else if newest.fetch_max(state, SeqCst) < state {
            states += 1;
        }
        thread::sleep(Duration::from_micros(300));
    }
    (asked, wrong, states)
}
