//! What a verb writes to standard output. Must not depend on a verb.

use std::io::Write;
use std::process::ExitCode;

use clap::ValueEnum;

use super::failure::Failure;

/// The form of the output of a verb that has no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Lines to read
    Text,
    /// JSON for programs
    Json,
}

/// Prints to standard output. A reader that has seen enough (`| head`) is no failure.
pub fn print(text: &str) -> ExitCode {
    // What manifests, queries and other servers say must not drive the terminal.
    let text = clusterlocal_core::manifest::harmless(text);
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => Failure::Input(format!("cannot write to standard output: {error}")).report(),
    }
}
