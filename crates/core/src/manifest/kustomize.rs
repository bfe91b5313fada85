//! Takes the place of `kubectl apply -k`: renders a kustomization with the kubectl or kustomize on the PATH, and finds
//! the files that it depends on. Must not depend on the output.

mod sources;

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::files;
use super::folders::KUSTOMIZATIONS;
use super::legible::legible;
use super::limits;
use super::problem::Problem;
pub use sources::Sources;

/// Maximum time of a rendering. Local files take 0.1 s; a base in a Git repository is cloned, for which kustomize
/// itself allows 27 s.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Maximum size of a renderer's error output that is read, in bytes.
const STDERR_BYTES: u64 = 64 << 10;

/// Maximum length of the error output that is shown, in characters: kustomize repeats all paths to a file.
const STDERR_CHARS: usize = 300;

/// Interval at which a process that has closed its output is polled for its exit.
const END_INTERVAL: Duration = Duration::from_millis(2);

/// The programs that render, in the order in which they are tried: kubectl first, as most users do.
const RENDERERS: [(&str, &str); 2] = [("kubectl", "kustomize"), ("kustomize", "build")];

/// The name of a rendering in problems: the command that prints it.
pub fn name(directory: &Path) -> String {
    format!("kubectl kustomize {}", directory.display())
}

/// Renders the kustomization in `directory` to manifests.
///
/// # Errors
/// If there is no kustomization or no renderer, or if that fails, takes too long or writes too much.
pub fn render(directory: &Path) -> Result<Vec<u8>, Box<Problem>> {
    let failed = |message: String| files::problem(directory, message);
    // A remote path is left to the renderer, which clones Git repositories.
    if directory.exists() && !KUSTOMIZATIONS.iter().any(|name| directory.join(name).is_file()) {
        let problem = if directory.is_dir() {
            failed(format!("no {} in it", KUSTOMIZATIONS.join(", ")))
                .with_help("omit -k to read a directory of plain manifests")
        } else {
            failed("not a directory".into())
                .with_help("-k takes the directory that the kustomization.yaml is in")
        };
        return Err(Box::new(problem));
    }
    for (program, verb) in RENDERERS {
        let mut command = Command::new(program);
        command.arg(verb).arg(argument(directory));
        match start(command) {
            Ok(child) => {
                return output(child, TIMEOUT)
                    .map_err(|why| Box::new(failed(format!("{program} {verb} {}", why.message(directory)))));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Box::new(failed(format!("cannot start {program}: {error}")))),
        }
    }
    Err(Box::new(failed("neither kubectl nor kustomize is on the PATH".into()).with_help(format!(
        "install one of them (https://kubernetes.io/docs/tasks/tools/), or render elsewhere: kustomize build {} | clusterlocal \
         serve -",
        directory.display()
    ))))
}

/// `directory` as an argument that is not a flag.
fn argument(directory: &Path) -> OsString {
    if directory.as_os_str().as_encoded_bytes().starts_with(b"-") {
        Path::new(".").join(directory).into()
    } else {
        directory.into()
    }
}

/// Starts a renderer in its own process group, so that its Git process ends with it.
fn start(mut command: Command) -> io::Result<Child> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn()
}

/// Why the output of a renderer is not used.
#[derive(Debug, PartialEq, Eq)]
enum RenderError {
    Failed { status: String, stderr_text: String },
    TooSlow(Duration),
    TooMuchOutput,
    Unreadable(String),
}

impl RenderError {
    fn message(&self, directory: &Path) -> String {
        let directory = directory.display();
        match self {
            RenderError::Failed { status, stderr_text } if stderr_text.is_empty() => {
                format!("{directory} failed ({status})")
            }
            RenderError::Failed { status, stderr_text } => {
                format!("{directory} failed ({status}): {stderr_text}")
            }
            RenderError::TooSlow(timeout) => {
                format!("{directory} took longer than {} s", timeout.as_secs_f64())
            }
            RenderError::TooMuchOutput => {
                format!("{directory} wrote more than {} MiB", limits::FILE_BYTES >> 20)
            }
            RenderError::Unreadable(error) => format!("{directory}: its output cannot be read: {error}"),
        }
    }
}

/// Waits for the output and the exit of `child`, for at most `timeout`.
fn output(mut child: Child, timeout: Duration) -> Result<Vec<u8>, RenderError> {
    let deadline = Instant::now() + timeout;
    let stdout = child.stdout.take().map(|pipe| collect(pipe, limits::FILE_BYTES + 1));
    let stderr = child.stderr.take().map(|pipe| collect(pipe, STDERR_BYTES));
    let written = stdout.map_or(Ok(Vec::new()), |stdout| taken(&stdout, deadline, timeout));
    let outcome = written.and_then(|bytes| {
        if bytes.len() as u64 > limits::FILE_BYTES {
            Err(RenderError::TooMuchOutput)
        } else {
            ended(&mut child, deadline, timeout).map(|status| (bytes, status))
        }
    });
    let (bytes, status) = match outcome {
        Ok(outcome) => outcome,
        Err(why) => {
            end(&mut child);
            return Err(why);
        }
    };
    if status.success() {
        return Ok(bytes);
    }
    let stderr_text = stderr.and_then(|stderr| taken(&stderr, deadline, timeout).ok()).unwrap_or_default();
    let stderr_text = String::from_utf8_lossy(&stderr_text);
    let lines: Vec<&str> = stderr_text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let stderr_text = legible(lines.join("; ").trim_start_matches("error: "), STDERR_CHARS);
    Err(RenderError::Failed { status: status.to_string(), stderr_text })
}

/// Reads at most `max` bytes from `pipe`; a process that writes more is ended by the closed pipe.
fn collect(pipe: impl Read + Send + 'static, max: u64) -> Receiver<io::Result<Vec<u8>>> {
    let (done, collected) = channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = pipe.take(max).read_to_end(&mut bytes);
        // The caller may have timed out.
        _ = done.send(read.map(|_| bytes));
    });
    collected
}

fn taken(
    pipe: &Receiver<io::Result<Vec<u8>>>,
    deadline: Instant,
    timeout: Duration,
) -> Result<Vec<u8>, RenderError> {
    match pipe.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        Ok(read) => read.map_err(|error| RenderError::Unreadable(error.to_string())),
        Err(RecvTimeoutError::Timeout) => Err(RenderError::TooSlow(timeout)),
        Err(RecvTimeoutError::Disconnected) => Err(RenderError::Unreadable("its reader ended".into())),
    }
}

/// Waits for the exit of `child`, which has closed its output.
fn ended(child: &mut Child, deadline: Instant, timeout: Duration) -> Result<ExitStatus, RenderError> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if Instant::now() < deadline => thread::sleep(END_INTERVAL),
            Ok(None) => return Err(RenderError::TooSlow(timeout)),
            Err(error) => return Err(RenderError::Unreadable(error.to_string())),
        }
    }
}

/// Ends the process group of `child`.
fn end(child: &mut Child) {
    #[cfg(unix)]
    if let Ok(group) = i32::try_from(child.id()) {
        // Fails if all processes have ended.
        _ = nix::sys::signal::killpg(nix::unistd::Pid::from_raw(group), nix::sys::signal::Signal::SIGKILL);
    }
    _ = child.kill();
    _ = child.wait();
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str) -> Child {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        start(command).expect("a shell")
    }

    #[test]
    fn time_and_output_of_a_renderer_are_limited() {
        let short = Duration::from_millis(300);
        let failed = |status: &str, stderr_text: &str| {
            Err(RenderError::Failed { status: status.into(), stderr_text: stderr_text.into() })
        };
        let table = [
            ("echo a: 1", Ok("a: 1\n")),
            ("echo 'error: no such\n\n  file' >&2; exit 3", failed("exit status: 3", "no such; file")),
            ("yes >&2 | head -c 100000 >&2; exit 1", failed("exit status: 1", "")),
            ("kill -9 $$", failed("signal: 9 (SIGKILL)", "")),
            ("sleep 60", Err(RenderError::TooSlow(short))),
            // A child process that holds the output open is ended too.
            ("sleep 60 & exec sleep 61", Err(RenderError::TooSlow(short))),
            ("exec >&-; sleep 60", Err(RenderError::TooSlow(short))),
            ("yes", Err(RenderError::TooMuchOutput)),
        ];
        for (script, expected) in table {
            let begin = Instant::now();
            let timeout = if matches!(expected, Err(RenderError::TooSlow(_))) {
                short
            } else {
                Duration::from_secs(20)
            };
            let got = output(shell(script), timeout).map(|bytes| String::from_utf8(bytes).expect("text"));
            match (&got, &expected) {
                (
                    Err(RenderError::Failed { status, stderr_text }),
                    Err(RenderError::Failed { status: wanted, stderr_text: part }),
                ) => {
                    assert_eq!(status, wanted, "{script}");
                    assert!(
                        stderr_text.contains(&**part) && stderr_text.chars().count() <= STDERR_CHARS + 1,
                        "{stderr_text}"
                    );
                }
                _ => assert_eq!(got, expected.map(String::from), "{script}"),
            }
            assert!(begin.elapsed() < Duration::from_secs(15), "{script} took {:?}", begin.elapsed());
        }
    }
}
