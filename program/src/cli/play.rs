//! `play`: stories about a cluster, step by step, for people and for CI.

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
    /// Files with Scenarios, and the manifests of the cluster that they happen to
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// More manifests, for all of them: a file or a directory; repeatable
    #[arg(long, value_name = "PATH")]
    manifests: Vec<PathBuf>,
    #[command(flatten)]
    folders: FolderArgs,
    /// Where the cluster answers; port 0 is any free port
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0", value_parser = values::address)]
    listen: SocketAddr,
    /// Write what came of it to this file, as JUnit's XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// What is to be tested: started when the cluster answers, with CLUSTERLOCAL_DNS in its environment, and stopped with
    /// all that it started when the story ends; if it ends before that and fails, the story has failed
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

pub fn run(args: PlayArgs) -> Result<ExitCode, Failure> {
    // Said before the story is played, not when it is over.
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
                "{path}: is a directory; name the files in it that have a Scenario, and the manifests of the cluster with --manifests {path}",
                path = file.display()
            )));
        }
        let story = read(&[Input::Named(file.clone())])?;
        let scenarios = scenarios_of(&story)?;
        if scenarios.is_empty() {
            return Err(Failure::Input(format!("{}: there is no Scenario in it", file.display())));
        }
        for scenario in &scenarios {
            played += 1;
            let manifests = story.iter().chain(&more).cloned().collect();
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

fn scenarios_of(story: &[Manifest]) -> Result<Vec<Scenario>, Failure> {
    let (mut all, mut problems) = (Vec::new(), Vec::new());
    for manifest in story {
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

/// Plays one story, and tells whether all of it was as it should be.
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
        Seen::Waiting { left, next } => progress.waits(*left, next),
        Seen::Step(outcome) | Seen::Expectation(outcome) => {
            progress.is_over();
            print(&told(outcome));
            outcomes.push(outcome.clone());
        }
        _ => {}
    });
    let commanded = tested.map(|tested| {
        let ran = tested.took();
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

/// `  20s  restart db-1`, what was seen below it, and what is wrong with that.
fn told(outcome: &Outcome) -> String {
    let at = shown_duration(outcome.at);
    let mut text = match (
        outcome.seen.as_slice(),
        outcome.what.starts_with("ask ") || outcome.what.starts_with("remember "),
    ) {
        // What was answered stands beside the question.
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

/// A line that says what is waited for, where somebody sits in front of it.
struct Progress {
    shown: bool,
}

impl Progress {
    fn new() -> Self {
        Progress { shown: std::io::stderr().is_terminal() }
    }

    fn waits(&self, left: Duration, next: &str) {
        if self.shown {
            _ = write!(
                std::io::stderr(),
                "\r\x1b[K{:>9.0}s until: {}",
                left.as_secs_f64().ceil(),
                manifest::harmless(next)
            );
        }
    }

    fn is_over(&self) {
        if self.shown {
            _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
