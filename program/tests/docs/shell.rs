//! A shell in which the commands of a walk run one after another, in a network and among processes of its own where the system
//! grants them without root. Everything that it started ends with it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::installed::PATH;

/// Maximum duration of one command.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(120);
/// Maximum time until killed processes are gone.
const END_TIMEOUT: Duration = Duration::from_secs(5);
/// What the shell prints when a command has ended, before its exit code.
const ENDED: &str = "\u{1}ended ";
/// Walks that share the machine's ports run one after another.
static PORTS: Mutex<()> = Mutex::new(());

/// Arguments of `unshare` for a network and processes of its own.
const APART: [&str; 6] = ["--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child"];

/// Command that makes 127.0.0.0/8 reachable in a new network.
const LOOPBACK_UP: &str = "ip link set lo up";

/// Whether `unshare` works here: Ubuntu's AppArmor, containers and other systems refuse it.
pub static HAS_NAMESPACES: LazyLock<bool> = LazyLock::new(|| {
    let mut tried = Command::new("unshare");
    tried.args(APART).args(LOOPBACK_UP.split(' ')).env("PATH", &*PATH).stderr(Stdio::null());
    let tried = tried.status();
    tried.is_ok_and(|status| status.success())
});

pub struct Shell {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    folder: PathBuf,
    _ports: Option<MutexGuard<'static, ()>>,
}

impl Shell {
    /// Starts it in `folder`.
    pub fn start(folder: &Path) -> Shell {
        let ports = (!*HAS_NAMESPACES).then(|| PORTS.lock().unwrap_or_else(PoisonError::into_inner));
        let mut command = if *HAS_NAMESPACES {
            let mut command = Command::new("unshare");
            command.args(APART).arg("bash");
            command
        } else {
            Command::new("bash")
        };
        command.args(["--noprofile", "--norc"]).current_dir(folder).process_group(0);
        for (variable, _) in std::env::vars_os() {
            let name = variable.to_string_lossy();
            if name.starts_with("CLUSTERLOCAL_") || matches!(&*name, "KUBECONFIG" | "LD_LIBRARY_PATH") {
                command.env_remove(&variable);
            }
        }
        let home = folder.with_extension("home");
        fs::create_dir_all(home.join("run")).expect("a folder");
        command.env("HOME", &home).env("XDG_RUNTIME_DIR", home.join("run")).env("PATH", &*PATH);
        command.envs([("NO_COLOR", "1"), ("LC_ALL", "C"), ("TZ", "UTC"), ("COLUMNS", "100")]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("bash starts");
        let (input, output) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    break;
                }
            }
        });
        let mut shell = Shell { child, input, lines, folder: folder.into(), _ports: ports };
        if *HAS_NAMESPACES {
            shell.run(LOOPBACK_UP).expect("the loopback interface of a new network comes up");
        }
        shell
    }

    /// Runs a command to its end: what it printed, and its exit code; of several commands, the first code that is not 0.
    pub fn run(&mut self, command: &str) -> Result<(String, i32), String> {
        self.write(&format!(
            "failed=0; trap 'failed=$?' ERR; {{ {command}\n}} 2>&1 </dev/null; trap - ERR; printf '\\n{ENDED}%s\\n' $failed\n"
        ))?;
        let deadline = Instant::now() + COMMAND_TIMEOUT;
        let mut printed: Vec<String> = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).map_err(|_| {
                format!(
                    "{command}\ndoes not end within {COMMAND_TIMEOUT:?}; it has printed:\n{}",
                    printed.join("\n")
                )
            })?;
            if let Some(code) = line.strip_prefix(ENDED) {
                // The line break before the mark.
                let text = printed.join("\n").trim_end_matches('\n').to_owned();
                let text = if text.is_empty() { text } else { text + "\n" };
                return Ok((text, code.parse().unwrap_or(-1)));
            }
            printed.push(line);
        }
    }

    /// Starts a command in a terminal of its own, in which it goes on running.
    pub fn start_in(&mut self, terminal: &str, command: &str) -> Result<(), String> {
        let output = self.output_of(terminal);
        self.write(&format!("{{ {command}\n}} >'{}' 2>&1 </dev/null &\n", output.display()))
    }

    /// What a terminal has printed so far.
    pub fn printed_in(&self, terminal: &str) -> String {
        fs::read_to_string(self.output_of(terminal)).unwrap_or_default()
    }

    fn output_of(&self, terminal: &str) -> PathBuf {
        self.folder.with_extension(format!("terminal-{terminal}"))
    }

    fn write(&mut self, text: &str) -> Result<(), String> {
        self.input.write_all(text.as_bytes()).map_err(|e| format!("the shell has ended: {e}"))
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let group = Pid::from_raw(self.child.id().cast_signed());
        _ = killpg(group, Signal::SIGKILL);
        _ = self.child.wait();
        // The next walk may listen at the same ports.
        let deadline = Instant::now() + END_TIMEOUT;
        while killpg(group, None).is_ok() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
    }
}
