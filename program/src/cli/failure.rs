//! Why a verb ends without success, with its exit code, and what is written to standard error. Must not depend on a verb.

use std::fmt;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clusterlocal_core::manifest::Problem;

/// Why a verb ends without doing what it was asked for.
#[derive(Debug)]
pub enum Failure {
    /// Manifests that cannot be read, all with what is wrong in them.
    Manifests(Vec<Problem>),
    /// Another input or output that does not work.
    Input(String),
    /// A socket.
    Network(String),
    /// Something is not as it was expected to be.
    Expectation(String),
    /// A running server has no such object.
    Missing(String),
}

impl Failure {
    /// Tells standard error, and which code to exit with.
    pub fn report(self) -> ExitCode {
        match &self {
            Failure::Manifests(problems) => show(problems),
            _ => {
                complain(format_args!("error: {self}"));
            }
        }
        ExitCode::from(match self {
            Failure::Expectation(_) => 1,
            Failure::Manifests(_) | Failure::Input(_) | Failure::Missing(_) => 2,
            Failure::Network(_) => 3,
        })
    }
}

/// On one line.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Manifests(problems) => {
                let problems: Vec<_> = problems.iter().map(Problem::to_string).collect();
                f.write_str(&problems.join("; "))
            }
            Failure::Input(message)
            | Failure::Network(message)
            | Failure::Expectation(message)
            | Failure::Missing(message) => f.write_str(message),
        }
    }
}

/// Draws problems on standard error, with colours where somebody looks.
pub fn show(problems: &[Problem]) {
    let color =
        std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    for problem in problems {
        complain(format_args!("{}\n", problem.render(color)));
    }
}

/// A line for standard error. That nobody reads it (any more) is no reason to end otherwise than without that.
pub fn complain(line: fmt::Arguments<'_>) {
    _ = writeln!(std::io::stderr(), "{}", clusterlocal_core::manifest::harmless(&line.to_string()));
}
