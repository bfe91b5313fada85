//! A tutorial on StatefulSets, command by command, with an old kubectl and a new one, and dig.
//!
//! Tests without their clients (installed by `.ci/run`) are listed as ignored, unless `CLUSTERLOCAL_TEST_CLIENTS=all`
//! requires all of them.

use std::path::Path;
use std::process::{Command, Stdio};

use libtest_mimic::Failed;

use crate::Test;
use crate::server::Server;

const WALK: &str = include_str!("walk.txt");
const MANIFESTS: [(&str, &str); 2] =
    [("volumes.yaml", include_str!("volumes.yaml")), ("stateful.yaml", include_str!("stateful.yaml"))];

/// Where `.ci/run` installs kubectl, one directory per version.
const INSTALLED: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/kubectl");

pub fn tests() -> Vec<Test> {
    let dig = Command::new("dig").arg("-v").output().is_ok();
    let walks = ["1.27", "1.37"].map(|version| {
        let kubectl = Path::new(INSTALLED).join(version).join("kubectl");
        let is_installed = kubectl.exists() && dig;
        Test::new(format!("with kubectl {version}"), move || walk(&kubectl)).needs(is_installed)
    });
    walks.into()
}

/// A command, its line, and its expected output.
struct Step<'a> {
    line: usize,
    command: &'a str,
    expected: Vec<&'a str>,
}

fn steps() -> Vec<Step<'static>> {
    let mut steps: Vec<Step<'_>> = Vec::new();
    for (at, line) in WALK.lines().enumerate() {
        match line.strip_prefix("$ ") {
            Some(command) => steps.push(Step { line: at + 1, command, expected: Vec::new() }),
            None if line.is_empty() || line.starts_with('#') => {}
            None => steps.last_mut().expect("a command comes first").expected.push(line),
        }
    }
    steps
}

fn walk(kubectl: &Path) -> Result<(), Failed> {
    let home = tempfile::tempdir().expect("a directory");
    let home = home.path();
    for (name, text) in MANIFESTS {
        std::fs::write(home.join(name), text).expect("a file");
    }
    std::fs::create_dir(home.join("empty")).expect("a directory");
    let config = home.join("config");
    let config = config.to_str().expect("a path in UTF-8");
    let server = Server::start(
        &home.join("empty"),
        &["--clock", "manual", "--ready-delay", "10s", "--watch", "off", "--kubeconfig", config],
    );
    let api = server.api.expect("the API is served").to_string();
    for step in steps() {
        let mut words = step.command.split_whitespace();
        let program = words.next().expect("a program");
        let mut command = match program {
            "kubectl" => Command::new(kubectl),
            "dig" => Command::new("dig"),
            _ => Command::new(env!("CARGO_BIN_EXE_clusterlocal")),
        };
        if program == "dig" {
            command.arg(format!("@{}", server.dns.ip())).args([
                "-p",
                &server.dns.port().to_string(),
                "+tries=1",
            ]);
        }
        command.args(words).current_dir(home).stdin(Stdio::null());
        command.env("HOME", home).env("KUBECONFIG", config).env("CLUSTERLOCAL_API", &api);
        let output = command.output().map_err(|error| format!("line {}: {program}: {error}", step.line))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let printed = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let wrong = step.expected.iter().find(|expected| match expected.strip_prefix("! ") {
            Some(unwanted) => printed.contains(unwanted),
            None => !printed.contains(*expected),
        });
        if !output.status.success() || wrong.is_some() {
            let errors = String::from_utf8_lossy(&output.stderr);
            let wrong = wrong.copied().unwrap_or("it failed");
            return Err(
                format!("line {}: {}\n{wrong}\noutput:\n{text}{errors}", step.line, step.command).into()
            );
        }
    }
    Ok(())
}
