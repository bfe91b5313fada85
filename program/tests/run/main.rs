//! `clusterlocal run` as a user at a shell runs it, as an ordinary user and, where the test has its rights, as root: the end of
//! the server, what it prints and writes, and systems that forbid namespaces.

#![cfg(target_os = "linux")]

mod ending;
mod forbidden;
mod printing;
mod tutorial;

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, geteuid};
use tempfile::TempDir;

/// Time-out of anything that is expected to happen.
const DEADLINE: Duration = Duration::from_secs(30);

/// User and group without rights of their own.
const OVERFLOW_ID: u32 = 65534;

/// Users that the tests run the program as.
#[derive(Clone, Copy, Debug)]
enum User {
    /// That of the test.
    Own,
    Ordinary,
}

/// The user of the test, and an ordinary one where that is root.
fn users() -> Vec<User> {
    if geteuid().is_root() { vec![User::Own, User::Ordinary] } else { vec![User::Own] }
}

/// A directory with the program and manifests, deleted with the test.
struct Directory {
    user: User,
    directory: TempDir,
}

impl Directory {
    fn with(user: User, files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let made = Directory { user, directory };
        // Where the program is built, others may not read.
        fs::copy(env!("CARGO_BIN_EXE_clusterlocal"), made.path("clusterlocal"))
            .expect("a copy of the program");
        for (name, content) in files {
            fs::write(made.path(name), content).expect("a file");
        }
        fs::set_permissions(made.path(""), Permissions::from_mode(0o755)).expect("permissions");
        if let User::Ordinary = user {
            for path in [made.path(""), made.path("clusterlocal")] {
                chown(path, Some(OVERFLOW_ID), Some(OVERFLOW_ID)).expect("another owner");
            }
        }
        made
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Another program in this directory, as its user, without the program's variables.
    fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.current_dir(self.directory.path()).stdin(Stdio::null());
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("CLUSTERLOCAL_") {
                command.env_remove(variable);
            }
        }
        command.env("HOME", self.directory.path()).env("TMPDIR", self.directory.path());
        if let User::Ordinary = self.user {
            command.uid(OVERFLOW_ID).gid(OVERFLOW_ID);
        }
        command
    }

    /// `clusterlocal run` with these arguments, split at spaces, on free ports.
    fn run(&self, arguments: &str) -> Server {
        let mut command = self.command(self.path("clusterlocal"));
        command.args(["run", "--listen", "127.0.0.1:0", "--api", "127.0.0.1:0"]);
        Server::start(command.args(arguments.split_whitespace()))
    }
}

/// Lines of an output of a process, collected as they are written.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    fn of(from: impl std::io::Read + Send + 'static) -> Lines {
        let lines = Lines::default();
        let kept = lines.clone();
        thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                kept.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        lines
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for a line with this text.
    fn wait_for(&self, text: &str) -> String {
        let mut found = None;
        soon(&format!("a line with {text:?}"), || {
            found = self.all().into_iter().find(|line| line.contains(text));
            found.is_some()
        });
        found.expect("just seen")
    }
}

/// Waits until a condition is true.
fn soon(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what} was not there in time");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A running server, which is killed when the test ends.
struct Server {
    child: Child,
    out: Lines,
    errors: Lines,
    api: SocketAddr,
}

impl Server {
    /// Starts the server and waits until it is ready.
    fn start(command: &mut Command) -> Server {
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().expect("the program starts");
        let out = Lines::of(child.stdout.take().expect("a pipe"));
        let errors = Lines::of(child.stderr.take().expect("a pipe"));
        let mut server = Server { child, out, errors, api: SocketAddr::from(([127, 0, 0, 1], 0)) };
        soon("the ready line", || {
            let ended = server.child.try_wait().expect("a child of ours");
            assert!(ended.is_none(), "{ended:?}: {:?}", server.errors.all());
            !server.out.all().is_empty()
        });
        let ready = server.out.all().remove(0);
        let api = ready.split_whitespace().find_map(|word| word.strip_prefix("api="));
        server.api =
            api.and_then(|api| api.parse().ok()).unwrap_or_else(|| panic!("no address in {ready:?}"));
        server
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).expect("a signal to a child of ours");
    }

    /// A key at its terminal: a signal for all processes of its group.
    fn key(&self, signal: Signal) {
        killpg(Pid::from_raw(self.child.id().cast_signed()), signal).expect("a signal to a child of ours");
    }

    /// Waits for its end.
    fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        soon("the end of the server", || {
            status = self.child.try_wait().expect("a child of ours");
            status.is_some()
        });
        status.expect("just seen")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// A pod that runs a script of bash.
fn pod(name: &str, script: &str, grace: u32) -> String {
    let script = serde_json::to_string(script).expect("text");
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec: {{terminationGracePeriodSeconds: {grace}, \
         containers: [{{name: main, image: none, command: [bash, -c, {script}]}}]}}\n"
    )
}

/// Number of processes of the machine whose arguments have `mark`.
fn processes_with(mark: &str) -> usize {
    let all = fs::read_dir("/proc").expect("processes").flatten();
    let arguments = all.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    arguments.filter(|bytes| String::from_utf8_lossy(bytes).contains(mark)).count()
}

/// What a server that has ended must not have changed of the machine: its mounts, and its links.
fn mounts_and_links() -> (Vec<String>, Vec<String>) {
    let mounts =
        fs::read_to_string("/proc/self/mounts").expect("mounts").lines().map(str::to_owned).collect();
    let links = fs::read_dir("/sys/class/net").expect("links").flatten();
    let mut links: Vec<String> = links.map(|link| link.file_name().to_string_lossy().into_owned()).collect();
    links.sort();
    (mounts, links)
}
