//! Every fault as other people's DNS clients see it, and that they see the ordinary answer again when it is over.
//!
//! A client that is not installed is listed as ignored, unless `CLUSTERLOCAL_TEST_CLIENTS=all` says that all have to be
//! there.

mod ask;
mod properties;
mod ring;
mod server;
mod story;

use std::process::{Command, Stdio};

use ask::Client;
use clusterlocal_core::fault::{ACTIONS, PRESETS};
use libtest_mimic::{Arguments, Failed, Trial};
use story::Story;

const STORIES: &str = include_str!("stories.txt");

fn main() {
    let required = std::env::var("CLUSTERLOCAL_TEST_CLIENTS").is_ok_and(|value| value == "all");
    let missing = Client::ALL.map(|client| !required && !succeeds(client.test()));
    let is_missing = |client: Client| missing[client as usize];
    let mut trials: Vec<Trial> = Vec::new();
    for story in Story::all(STORIES) {
        let ignored = story.clients().any(is_missing);
        trials.push(Trial::test(story.fault.clone(), move || story.tell()).with_ignored_flag(ignored));
    }
    trials
        .push(Trial::test("in a hickory server", server::hickory).with_ignored_flag(is_missing(Client::Dig)));
    trials
        .push(Trial::test("on a running clock", server::running).with_ignored_flag(is_missing(Client::Dig)));
    trials.push(Trial::test("a server that ends", server::ending));
    trials.push(Trial::test("every action and every preset has its story", complete));
    trials.push(Trial::test("any fault on any question", properties::any_fault_on_any_question));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn succeeds(command: &str) -> bool {
    let status =
        Command::new("sh").args(["-c", command]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Nothing is promised that no client has seen.
fn complete() -> Result<(), Failed> {
    let stories = Story::all(STORIES);
    let told = |text: &str| stories.iter().any(|story| story.fault.contains(text));
    // What stands for something is in capitals or brackets.
    let fixed = |word: &&str| word.chars().all(|c| c.is_ascii_lowercase() || "-0123456789".contains(c));
    let literal = |written: &str| written.split(' ').take_while(fixed).collect::<Vec<_>>().join(" ");
    let actions = ACTIONS.iter().map(|row| literal(row.written));
    let presets = PRESETS.iter().map(|preset| format!("preset: {}", literal(preset.written)));
    match actions.chain(presets).find(|text| !told(text)) {
        Some(untold) => Err(format!("{untold:?} has no story").into()),
        None => Ok(()),
    }
}
