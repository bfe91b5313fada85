//! Every fault as external DNS clients see it, and that they get the usual answer again when it ends.
//!
//! A client that is not installed is listed as ignored, unless `CLUSTERLOCAL_TEST_CLIENTS=all` requires all of them.

mod ask;
mod case;
mod properties;
mod ring;
mod server;

use std::process::{Command, Stdio};

use ask::Client;
use case::Case;
use clusterlocal_core::fault::{ACTIONS, PRESETS};
use libtest_mimic::{Arguments, Failed, Trial};

const CASES: &str = include_str!("cases.txt");

fn main() {
    let required = std::env::var("CLUSTERLOCAL_TEST_CLIENTS").is_ok_and(|value| value == "all");
    let missing = Client::ALL.map(|client| !required && !succeeds(client.test()));
    let is_missing = |client: Client| missing[client as usize];
    let mut trials: Vec<Trial> = Vec::new();
    for case in Case::all(CASES) {
        let ignored = case.clients().any(is_missing);
        trials.push(Trial::test(case.fault.clone(), move || case.run()).with_ignored_flag(ignored));
    }
    trials
        .push(Trial::test("in a hickory server", server::hickory).with_ignored_flag(is_missing(Client::Dig)));
    trials
        .push(Trial::test("on a running clock", server::running).with_ignored_flag(is_missing(Client::Dig)));
    trials.push(Trial::test("a server that ends", server::ending));
    trials.push(Trial::test("every action and every preset has a case", complete));
    trials.push(Trial::test("any fault on any question", properties::any_fault_on_any_question));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn succeeds(command: &str) -> bool {
    let status =
        Command::new("sh").args(["-c", command]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Every action and preset of the reference is seen by a client.
fn complete() -> Result<(), Failed> {
    let cases = Case::all(CASES);
    let covered = |text: &str| cases.iter().any(|case| case.fault.contains(text));
    // Placeholders are in capitals or brackets.
    let fixed = |word: &&str| word.chars().all(|c| c.is_ascii_lowercase() || "-0123456789".contains(c));
    let literal = |written: &str| written.split(' ').take_while(fixed).collect::<Vec<_>>().join(" ");
    let actions = ACTIONS.iter().map(|row| literal(row.written));
    let presets = PRESETS.iter().map(|preset| format!("preset: {}", literal(preset.written)));
    match actions.chain(presets).find(|text| !covered(text)) {
        Some(missing) => Err(format!("{missing:?} has no case").into()),
        None => Ok(()),
    }
}
