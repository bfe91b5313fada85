//! The program as a user at a shell, or a test harness, runs it: exit codes, the ready line, signals, flags and their
//! environment variables, and the output of the verbs.

#![cfg(unix)]

#[path = "../../../tests/common/mod.rs"]
mod common;

mod asking;
mod bounds;
mod check;
mod containers;
mod ending;
mod environment;
mod explain;
mod failing;
#[cfg(target_os = "linux")]
mod failing_pods;
mod fixture;
mod flags;
mod folders;
mod logging;
mod one_run;
mod playing;
/// The rules of `check`, included from the source: the program is not a library.
#[path = "../../src/lint/rules.rs"]
mod rules;
mod running;
mod starting;
mod verbs;
mod wrong;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use hickory_proto::op::Message;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// Time-out of anything that is expected to happen.
const DEADLINE: Duration = Duration::from_secs(20);

/// Three peers, and a name of each other kind.
const RING: &str = "
apiVersion: clusterlocal.dev/v1
kind: Topology
sets:
  db: {replicas: 3, ports: {cql: 9042}, client: db-client}
external:
  away: www.example.com
";

/// The program with these arguments, split at spaces, without its variables in the environment and without standard input.
fn program(arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_clusterlocal"));
    command.args(arguments.split_whitespace()).stdin(Stdio::null());
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("CLUSTERLOCAL_") {
            command.env_remove(variable);
        }
    }
    command
}

/// A directory to run in, deleted with the test.
struct Directory(TempDir);

impl Directory {
    fn with(files: &[(&str, &str)]) -> Self {
        let directory = Directory(tempfile::tempdir().expect("a directory"));
        for (name, content) in files {
            let path = directory.path(name);
            fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
            fs::write(path, content).expect("a file");
        }
        directory
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Replaces a file by a rename.
    fn save(&self, name: &str, content: &str) {
        fs::write(self.path("unfinished"), content).expect("a file");
        fs::rename(self.path("unfinished"), self.path(name)).expect("a rename");
    }

    /// The program with this directory as the current one.
    fn program(&self, arguments: &str) -> Command {
        let mut command = program(arguments);
        command.current_dir(self.0.path());
        command
    }
}

/// The result of a run.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs a command to its end.
fn run(command: &mut Command) -> Ended {
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let [stdout, stderr] =
        [read_all(child.stdout.take().expect("a pipe")), read_all(child.stderr.take().expect("a pipe"))];
    let status = wait(&mut child);
    Ended { code: status.code(), stdout: text(&stdout), stderr: text(&stderr) }
}

fn read_all(mut from: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut all = Vec::new();
        from.read_to_end(&mut all).expect("a pipe can be read");
        // The receiver may be gone.
        _ = sender.send(all);
    });
    receiver
}

fn text(output: &Receiver<Vec<u8>>) -> String {
    String::from_utf8(output.recv_timeout(DEADLINE).expect("an end of the output")).expect("UTF-8")
}

/// Waits for the exit status of a child that ends soon.
fn wait(child: &mut Child) -> ExitStatus {
    let mut status = None;
    let ended = soon(|| {
        status = child.try_wait().expect("a child of ours");
        status.is_some()
    });
    if !ended {
        _ = child.kill();
        panic!("the program does not end");
    }
    status.expect("just seen")
}

/// Whether a condition becomes true before the deadline.
fn soon(mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(5));
    }
    true
}

/// A running server, which is killed when the test ends.
struct Server {
    child: Child,
    /// The first line of its output.
    ready: String,
    /// The rest of its output, once it has ended.
    rest: Receiver<Vec<u8>>,
    addresses: Vec<SocketAddr>,
}

impl Server {
    /// Waits until it is ready. The caller decides where standard error goes.
    fn start(command: &mut Command) -> Self {
        Server::of(command.stdout(Stdio::piped()).spawn().expect("the program starts"))
    }

    /// The same for a process whose standard output is a pipe.
    fn of(child: Child) -> Self {
        let mut server = Server { child, ready: String::new(), rest: channel().1, addresses: Vec::new() };
        let mut stdout = BufReader::new(server.child.stdout.take().expect("a pipe"));
        let (sender, receiver) = channel();
        thread::spawn(move || {
            let mut line = String::new();
            stdout.read_line(&mut line).expect("a line of UTF-8");
            _ = sender.send((line, stdout));
        });
        let (line, stdout) = receiver.recv_timeout(DEADLINE).expect("a line before the deadline");
        server.rest = read_all(stdout);
        server.ready = line;
        server.addresses =
            field(&server.ready, "dns").split(',').map(|at| at.parse().expect("an address")).collect();
        server
    }

    fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).expect("a signal to a child of ours");
    }

    /// Sends SIGTERM, and returns the exit code.
    fn stop(&mut self) -> Option<i32> {
        self.signal(Signal::SIGTERM);
        wait(&mut self.child).code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// The value of `name=value` in a ready line.
fn field<'a>(ready: &'a str, name: &str) -> &'a str {
    let value = |word: &'a str| word.strip_prefix(name)?.strip_prefix('=');
    ready.split_whitespace().find_map(value).unwrap_or_else(|| panic!("no {name} in {ready:?}"))
}

/// Sends a query such as `db.default.svc.cluster.local A noedns`, and returns the reply.
fn ask(server: SocketAddr, question: &str) -> Message {
    let socket = UdpSocket::bind((server.ip(), 0)).expect("a socket");
    socket.connect(server).expect("a peer");
    socket.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    socket.send(&common::Asked::parse(question).request).expect("a query leaves");
    let mut reply = vec![0; 65536];
    let length = socket.recv(&mut reply).unwrap_or_else(|error| panic!("no answer to {question}: {error}"));
    Message::from_vec(&reply[..length]).expect("a message")
}

/// The answer section, sorted.
fn answers(server: SocketAddr, question: &str) -> Vec<String> {
    common::lines(&ask(server, question).answers)
}

/// The data of the answer section, in the order of the reply.
fn in_order(server: SocketAddr, question: &str) -> Vec<String> {
    ask(server, question).answers.iter().map(|record| common::data(&record.data)).collect()
}

/// Serves the ring on a free port.
fn serve_ring(directory: &Directory, arguments: &str) -> Server {
    directory.save("ring.yaml", RING);
    let arguments = format!("serve ring.yaml --listen 127.0.0.1:0 {arguments}");
    Server::start(directory.program(&arguments).stderr(Stdio::null()))
}

/// Whether a file is created, or deleted, before the deadline.
fn becomes(path: &Path, there: bool) -> bool {
    soon(|| path.exists() == there)
}
