//! Failures of verbs, their exit codes, and output on standard error. Must not depend on a verb.

use std::fmt;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clusterlocal_core::manifest::Problem;

/// Why a verb failed.
#[derive(Debug)]
pub enum Failure {
    /// Unreadable manifests, with all problems.
    Manifests(Vec<Problem>),
    /// Wrong usage, or an unusable file.
    Input(String),
    /// A socket that cannot be used, or a server that cannot be reached.
    Network(String),
    /// An unmet expectation.
    Expectation(String),
    /// An object that the running server does not have.
    Missing(String),
}

impl Failure {
    /// Prints the failure to standard error, and returns the exit code.
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

/// On one line, without source lines.
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

/// Prints problems to standard error, with colours on a terminal.
pub fn show(problems: &[Problem]) {
    let color =
        std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    for problem in problems {
        complain(format_args!("{}\n", problem.render(color)));
    }
}

/// Prints a line to standard error. A closed standard error changes neither the course nor the exit code.
pub fn complain(line: fmt::Arguments<'_>) {
    _ = writeln!(std::io::stderr(), "{}", clusterlocal_core::manifest::harmless(&line.to_string()));
}
