//! `play`: runs Scenarios against clusters of their own, on a terminal or in CI.

mod command;
mod junit;

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use clusterlocal::play::{Outcome, Play, Scenario, Seen, scenarios};
use clusterlocal_core::manifest::{self, Input, Manifest, Severity};
use clusterlocal_core::store::shown_duration;

use command::Tested;
use junit::{Commanded, Report};

use super::cluster::FolderArgs;
use super::failure::{Failure, show};
use super::output::print;
use super::values;

#[derive(Debug, Args)]
pub struct PlayArgs {
    /// Files with Scenarios and the manifests of their cluster
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// More manifests for all Scenarios: file or directory; repeatable
    #[arg(help_heading = "Manifests", long, value_name = "PATH")]
    manifests: Vec<PathBuf>,
    /// Address of the DNS; port 0: any free port
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0", value_parser = values::address)]
    listen: SocketAddr,
    /// Write a JUnit report to this file
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Command under test, started with CLUSTERLOCAL_DNS set
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
    #[command(flatten)]
    folders: FolderArgs,
}

pub fn run(args: PlayArgs) -> Result<ExitCode, Failure> {
    // Reported before the Scenario runs, not after it.
    if let Some(path) = &args.junit {
        Report::check(path)?;
    }
    let more = manifest::find(args.folders.inputs(&args.manifests)).map_err(Failure::Manifests)?;
    show(&more.warnings);
    let more = read(&more.inputs)?;
    let mut report = Report::new();
    let (mut played, mut passed) = (0, 0);
    for file in &args.files {
        if file.is_dir() {
            return Err(Failure::Input(format!(
                "{path}: is a directory; name its files with a Scenario, and the manifests of the cluster with --manifests {path}",
                path = file.display()
            )));
        }
        let input = read(&[Input::Named(file.clone())])?;
        let scenarios = scenarios_of(&input)?;
        if scenarios.is_empty() {
            return Err(Failure::Input(format!("{}: has no object of kind Scenario", file.display())));
        }
        for scenario in &scenarios {
            played += 1;
            let manifests = input.iter().chain(&more).cloned().collect();
            passed += usize::from(play(scenario, manifests, &args, &mut report)?);
        }
    }
    if let Some(path) = &args.junit {
        report.write(path)?;
    }
    if played > 1 {
        print(&format!("\n{passed} of {played} scenarios passed\n"));
    }
    Ok(ExitCode::from(u8::from(passed < played)))
}

fn scenarios_of(input: &[Manifest]) -> Result<Vec<Scenario>, Failure> {
    let (mut all, mut problems) = (Vec::new(), Vec::new());
    for manifest in input {
        match scenarios(manifest) {
            Ok(more) => all.extend(more),
            Err(more) => problems.extend(more),
        }
    }
    if problems.is_empty() { Ok(all) } else { Err(Failure::Manifests(problems)) }
}

fn read(inputs: &[Input]) -> Result<Vec<Manifest>, Failure> {
    let manifests: Vec<_> = inputs.iter().map(Input::read).collect();
    let problems: Vec<_> = manifests.iter().flat_map(|manifest| manifest.problems.clone()).collect();
    if problems.iter().any(|problem| problem.severity == Severity::Error) {
        return Err(Failure::Manifests(problems));
    }
    show(&problems);
    Ok(manifests)
}

/// Runs one Scenario, and returns whether all of it passed.
fn play(
    scenario: &Scenario,
    manifests: Vec<Manifest>,
    args: &PlayArgs,
    report: &mut Report,
) -> Result<bool, Failure> {
    let began = Instant::now();
    print(&format!("{}: {}\n", scenario.name, scenario.sees.trim()));
    let play = Play::begin(scenario, manifests, args.listen).map_err(|error| match error {
        clusterlocal::Error::Manifests(problems) => Failure::Manifests(problems),
        clusterlocal::Error::Listen(_) => Failure::Network(error.to_string()),
        error => Failure::Input(error.to_string()),
    })?;
    let tested = Tested::start(&args.command, play.cluster().dns_addr())?;
    let progress = Progress::new();
    let mut outcomes = Vec::new();
    let passed = play.run(|seen| match seen {
        Seen::Waiting { left, next } => progress.show(*left, next),
        Seen::Step(outcome) | Seen::Expectation(outcome) => {
            progress.clear();
            print(&rendered(outcome));
            outcomes.push(outcome.clone());
        }
        _ => {}
    });
    let commanded = tested.map(|tested| {
        let ran = tested.running_time();
        (ran, tested.end())
    });
    let failed_command = commanded.as_ref().and_then(|(_, failure)| failure.as_ref());
    let passed = passed && failed_command.is_none();
    if let Some(why) = failed_command {
        print(&format!("{:>10}FAILED: {why}\n", ""));
    }
    let failed = usize::from(failed_command.is_some())
        + outcomes.iter().filter(|outcome| outcome.failure.is_some()).count();
    let word = if passed {
        "passed".into()
    } else {
        format!("FAILED ({failed} of {})", outcomes.len() + usize::from(!args.command.is_empty()))
    };
    print(&format!("{word} in {:.1} s\n", began.elapsed().as_secs_f64()));
    let command = args.command.first().zip(commanded);
    let command = command.map(|(program, (ran, failure))| Commanded { program, ran, failure });
    report.add(scenario, &outcomes, command, began.elapsed());
    Ok(passed)
}

/// `  20s  restart db-1`, with observations and the failure below it.
fn rendered(outcome: &Outcome) -> String {
    let at = shown_duration(outcome.at);
    let mut text = match (
        outcome.seen.as_slice(),
        outcome.what.starts_with("ask ") || outcome.what.starts_with("remember "),
    ) {
        // The answer, beside the question.
        ([answer], true) => format!("{at:>8}  {:<44} {answer}\n", outcome.what),
        (seen, _) => {
            let seen: String = seen.iter().map(|line| format!("{:>10}{line}\n", "")).collect();
            format!("{at:>8}  {}\n{seen}", outcome.what)
        }
    };
    if let Some(failure) = &outcome.failure {
        text.push_str(&format!("{:>10}FAILED (line {}): {failure}\n", "", outcome.line));
    }
    text
}

/// A line with the next step and the time until it, on a terminal.
struct Progress {
    shown: bool,
}

impl Progress {
    fn new() -> Self {
        Progress { shown: std::io::stderr().is_terminal() }
    }

    fn show(&self, left: Duration, next: &str) {
        if self.shown {
            _ = write!(
                std::io::stderr(),
                "\r\x1b[K{:>9.0}s until: {}",
                left.as_secs_f64().ceil(),
                manifest::harmless(next)
            );
        }
    }

    fn clear(&self) {
        if self.shown {
            _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
