//! Verbs and flags in the documentation are those of the parser: the list in docs/reference.md, and commands within sentences.
//! Must not depend on what a verb does.

use std::fmt::Write;
use std::{env, fs};

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, Command, CommandFactory};

use crate::cli::Cli;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference.md");
const BEGIN: &str = "<!-- verbs:begin -->\n";
const END: &str = "<!-- verbs:end -->";

#[test]
fn the_reference_lists_verbs_and_flags() {
    let page = fs::read_to_string(PAGE).expect("docs/reference.md");
    let (before, rest) = page.split_once(BEGIN).expect("where the list begins");
    let (listed, after) = rest.split_once(END).expect("where it ends");
    let expected = verbs();
    if env::var("CLUSTERLOCAL_DOCS").is_ok_and(|value| value == "write") {
        fs::write(PAGE, format!("{before}{BEGIN}{expected}{END}{after}")).expect("docs/reference.md");
    } else {
        assert!(
            listed == expected,
            "docs/reference.md does not list the verbs and flags of today; CLUSTERLOCAL_DOCS=write writes:\n{expected}"
        );
    }
}

/// Transcripts are run by tests/docs; a command within a sentence is parsed, with small letters for what it leaves open.
#[test]
fn commands_within_sentences_are_parsed() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let names =
        fs::read_dir(format!("{root}/docs")).expect("docs").map(|entry| entry.expect("an entry").path());
    let pages = names.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let pages: Vec<_> = pages.chain([format!("{root}/README.md").into()]).collect();
    let mut parsed = 0;
    for page in pages {
        let text = fs::read_to_string(&page).expect("a page");
        for rest in text.split("`clusterlocal ").skip(1) {
            let Some((command, _)) = rest.split_once('`') else { continue };
            if command.contains("VERB") || command.contains('\n') {
                continue;
            }
            let words = command.split('>').next().unwrap_or_default().split_whitespace();
            let is_open = |word: &str| word.bytes().all(|byte| byte.is_ascii_uppercase());
            let words = words.map(|word| if is_open(word) { word.to_lowercase() } else { word.into() });
            let words = [String::from("clusterlocal")].into_iter().chain(words);
            let result = Cli::command().try_get_matches_from(words);
            // A verb may be named without its arguments.
            let error = result.err().filter(|error| error.kind() != ErrorKind::MissingRequiredArgument);
            assert!(error.is_none(), "{}: `clusterlocal {command}`: {}", page.display(), error.expect("one"));
            parsed += 1;
        }
    }
    assert!(parsed > 10, "{parsed} commands were found");
}

/// A section for each verb.
fn verbs() -> String {
    let mut command = Cli::command();
    command.build();
    let mut text = String::new();
    for verb in shown(&command) {
        section(verb, &format!("clusterlocal {}", verb.get_name()), &mut text);
    }
    text
}

fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|verb| verb.get_name() != "help" && !verb.is_hide_set())
}

fn section(verb: &Command, name: &str, text: &mut String) {
    let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
    writeln!(text, "\n### {name}\n\n{}.", about.trim_end_matches('.')).expect("a string");
    let rows: Vec<_> = verb.get_arguments().filter(|argument| is_listed(argument)).map(row).collect();
    if !rows.is_empty() {
        let title = "| argument | default | variable | meaning |\n|---|---|---|---|\n";
        write!(text, "\n{title}{}", rows.concat()).expect("a string");
    }
    for nested in shown(verb) {
        section(nested, &format!("{name} {}", nested.get_name()), text);
    }
}

fn is_listed(argument: &Arg) -> bool {
    !argument.is_hide_set() && !matches!(argument.get_id().as_str(), "help" | "version")
}

fn row(argument: &Arg) -> String {
    let takes_value = matches!(argument.get_action(), ArgAction::Set | ArgAction::Append);
    let values = argument.get_value_names().unwrap_or_default().iter().map(|name| name.as_str());
    let value = if takes_value { values.collect::<Vec<_>>().join(" ") } else { String::new() };
    let written = match (argument.get_long(), argument.get_short()) {
        (Some(long), short) => {
            let short = short.map(|short| format!("`-{short}`, ")).unwrap_or_default();
            format!("{short}`{}`", format!("--{long} {value}").trim_end())
        }
        (None, Some(short)) => format!("`-{short} {value}`"),
        (None, None) => format!("`{value}`"),
    };
    let defaults: Vec<_> =
        argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    let default =
        if defaults.is_empty() || !takes_value { String::new() } else { format!("`{}`", defaults.join(",")) };
    let variable = argument.get_env().map(|name| format!("`{}`", name.to_string_lossy())).unwrap_or_default();
    let mut meaning = argument.get_help().map(ToString::to_string).unwrap_or_default();
    if !argument.is_hide_possible_values_set() && takes_value {
        for possible in argument.get_possible_values() {
            let help = possible.get_help().map(|help| format!(": {help}")).unwrap_or_default();
            write!(meaning, "; `{}`{help}", possible.get_name()).expect("a string");
        }
    }
    let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
    format!("| {} | {} | {variable} | {} |\n", cell(&written), cell(&default), cell(&meaning))
}
