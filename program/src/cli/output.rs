//! Output of a verb on standard output. Must not depend on a verb.

use std::io::Write;
use std::process::ExitCode;

use clap::ValueEnum;

use super::failure::Failure;

/// Format of the output, for verbs that have no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Text
    Text,
    /// JSON
    Json,
}

/// Prints to standard output, and returns whether its reader still reads.
pub fn print_to_reader(text: &str) -> bool {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_ok()
}

/// Prints to standard output. A reader that closes the pipe early (`| head`) is no failure.
pub fn print(text: &str) -> ExitCode {
    // Texts of manifests, queries and other servers must not control the terminal.
    let text = clusterlocal_core::manifest::harmless(text);
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => Failure::Input(format!("cannot write to standard output: {error}")).report(),
    }
}
