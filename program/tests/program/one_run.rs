//! The program as a user runs it, to its end.

use std::io::Write;
use std::process::{Command, Stdio};

/// The result of a run.
pub struct Output {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Runs the program with these arguments.
pub fn run(arguments: &[&str]) -> Output {
    run_with_input(arguments, "")
}

/// Runs the program with these arguments and this standard input, without its variables in the environment.
pub fn run_with_input(arguments: &[&str], input: &str) -> Output {
    let settings = std::env::vars_os().map(|(name, _)| name);
    let settings =
        settings.filter(|name| name.to_str().is_some_and(|name| name.starts_with("CLUSTERLOCAL_")));
    let mut command = Command::new(env!("CARGO_BIN_EXE_clusterlocal"));
    settings.for_each(|name| _ = command.env_remove(name));
    let command = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    // A program that does not read its input may have ended already.
    _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("the program ends");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Output {
        code: output.status.code().expect("an exit code"),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}
