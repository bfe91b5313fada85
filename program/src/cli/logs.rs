//! `logs`: what a container of a running server has written, as `kubectl logs` prints it.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::Args;
use clusterlocal_core::store::duration;

use super::client::with_parameters;
use super::failure::Failure;
use super::running::PodArgs;

#[derive(Debug, Args)]
pub struct LogsArgs {
    #[command(flatten)]
    pod: PodArgs,
    /// Name of the container, if the pod has several
    #[arg(short, long, value_name = "NAME")]
    container: Option<String>,
    /// Print new lines as well, until the container ends
    #[arg(short, long)]
    follow: bool,
    /// Print the log of the run before the last restart
    #[arg(short, long)]
    previous: bool,
    /// Print at most the last N lines
    #[arg(long, value_name = "N")]
    tail: Option<u64>,
    /// Print lines of the last 10s, 5m or 1h
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    since: Option<u64>,
    /// Print the time of each line
    #[arg(long)]
    timestamps: bool,
}

/// The seconds of a duration, for clap.
fn seconds(text: &str) -> Result<u64, String> {
    let seconds = duration(text).map(|time| time.as_secs()).filter(|seconds| *seconds > 0);
    seconds.ok_or_else(|| "expected a time of at least a second, such as 10s, 5m or 1h".into())
}

/// Prints the log.
pub fn run(args: &LogsArgs) -> Result<ExitCode, Failure> {
    let mut parameters = Vec::new();
    let container = match &args.container {
        None => args.pod.default_container()?,
        named => named.clone(),
    };
    parameters.extend(container.map(|name| ("container", name)));
    for (name, is_set) in
        [("follow", args.follow), ("previous", args.previous), ("timestamps", args.timestamps)]
    {
        parameters.extend(is_set.then(|| (name, "true".into())));
    }
    parameters.extend(args.tail.map(|lines| ("tailLines", lines.to_string())));
    parameters.extend(args.since.map(|seconds| ("sinceSeconds", seconds.to_string())));
    let path = with_parameters("/log", parameters);
    let mut out = std::io::stdout().lock();
    if out.is_terminal() {
        args.pod.copy(&path, &mut Shown { out, line: Vec::new() })?;
    } else {
        args.pod.copy(&path, &mut out)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes lines without control characters: a program must not change the terminal.
struct Shown<W: Write> {
    out: W,
    line: Vec<u8>,
}

impl<W: Write> Shown<W> {
    fn show(&mut self, end: &str) -> io::Result<()> {
        let line = String::from_utf8_lossy(&self.line);
        let shown: String = line.chars().filter(|c| !c.is_control() || *c == '\t').collect();
        let written = write!(self.out, "{shown}{end}");
        self.line.clear();
        written
    }
}

impl<W: Write> Write for Shown<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            match byte {
                b'\n' => self.show("\n")?,
                byte => self.line.push(*byte),
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl<W: Write> Drop for Shown<W> {
    fn drop(&mut self) {
        if !self.line.is_empty() {
            _ = self.show("");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_on_a_terminal_have_no_control_characters() {
        let mut out = Vec::new();
        let mut shown = Shown { out: &mut out, line: Vec::new() };
        for piece in ["a\tb\n\u{1b}[31mred\r\n", "\u{9b}2Jh\u{e9}", "\u{7}!"] {
            shown.write_all(piece.as_bytes()).unwrap();
        }
        drop(shown);
        assert_eq!(String::from_utf8(out).unwrap(), "a\tb\n[31mred\n2Jh\u{e9}!");
    }
}
