//! What the README says of flags and lint is what the program has.

use std::collections::BTreeSet;
use std::process::Command;

use crate::rules::RULES;
use clusterlocal_core::fault::{ACTIONS, Notation, PRESETS, PresetInfo};

const README: &str = include_str!("../../../README.md");

#[test]
fn lint_is_listed() {
    let rows: Vec<_> = RULES.iter().map(|rule| format!("| `{}` | {} |", rule.code, rule.summary)).collect();
    let expected = format!("| code | finds |\n|---|---|\n{}\n", rows.join("\n"));
    let (_, rest) = README.split_once("<!-- lint:begin -->\n").expect("the list's beginning");
    let (listed, _) = rest.split_once("<!-- lint:end -->").expect("the list's end");
    assert_eq!(listed, expected, "the README should have:\n{expected}");
}

#[test]
fn faults_are_listed() {
    let cell = |text: &str| text.replace('|', "\\|");
    let action = |action: &Notation| format!("| `{}` | {} |\n", cell(action.written), cell(action.about));
    let preset = |preset: &PresetInfo| {
        format!("| `{}` | {} | {} |\n", cell(preset.written), cell(preset.about), cell(preset.imitates))
    };
    let actions = ACTIONS.iter().map(action).collect::<String>();
    let presets = PRESETS.iter().map(preset).collect::<String>();
    for (title, rows) in [
        ("| action | what goes wrong |\n|---|---|\n", actions),
        ("| preset | what happens | as in real life |\n|---|---|---|\n", presets),
    ] {
        assert!(README.contains(&format!("\n{title}{rows}\n")), "the README should have:\n{title}{rows}");
    }
}

/// What the program prints.
fn printed(arguments: &[&str]) -> String {
    let ended = Command::new(env!("CARGO_BIN_EXE_clusterlocal")).args(arguments).output().expect("it runs");
    String::from_utf8(ended.stdout).expect("text")
}

#[test]
fn recipes_are_listed() {
    let listed = printed(&["env"]);
    assert!(
        README.contains(&format!("$ clusterlocal env\n{listed}```")),
        "the README should have:\n{listed}"
    );
}

#[test]
fn flags_are_listed() {
    for verb in ["serve", "check", "records", "query", "explain", "env", "resolv-conf"] {
        let help = printed(&[verb, "--help"]);
        let flags: BTreeSet<_> = help
            .lines()
            .filter_map(|line| {
                line.trim_start()
                    .strip_prefix("--")
                    .or_else(|| line.trim_start().get(4..)?.strip_prefix("--"))
            })
            .filter_map(|flag| flag.split([' ', '=']).next())
            .collect();
        assert!(flags.len() > 3, "{verb}: {help}");
        for flag in flags.into_iter().filter(|flag| !matches!(*flag, "help" | "file" | "output")) {
            assert!(README.contains(&format!("`--{flag}")), "the README does not tell of {verb} --{flag}");
        }
    }
}

/// The fixture's section is a test that runs; with a capital, rustdoc does not take it for one of its own.
#[test]
fn the_fixtures_section_is_a_test() {
    let test = include_str!("../../../examples/peers/tests.rs");
    let (_, rest) = README.split_once("<!-- fixture:begin -->\n").expect("the section's beginning");
    let (shown, _) = rest.split_once("<!-- fixture:end -->").expect("its end");
    let expected = format!("```Rust\n{test}```\n");
    assert_eq!(shown, expected, "the README should have:\n{expected}");
}
