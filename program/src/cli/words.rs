//! Checks of the command line and the environment before they are parsed: options before the verb, misspelt verbs, and unknown
//! variables. Must not depend on what a verb does.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::Command;
use clusterlocal_core::store::nearest;

use super::failure::{Failure, complain};

/// Prefix of the variables of this program.
const PREFIX: &str = "CLUSTERLOCAL_";

/// Variables that belong to no flag: `play` sets the first two for the command under test, and test fixtures in other languages
/// find the program by the third.
const OTHER_VARIABLES: [&str; 3] = ["DNS_HOST", "DNS_PORT", "BIN"];

/// Moves options before a verb behind it.
///
/// # Errors
/// If the first word is neither a verb nor a path, but similar to a verb.
pub fn arranged(command: &Command, words: Vec<OsString>) -> Result<Vec<OsString>, Failure> {
    let words = with_negative_values(command, words);
    let Some(at) = first_word(command, &words) else { return Ok(words) };
    let word = words[at].to_string_lossy().into_owned();
    let Some(verb) = command.find_subcommand(&word).filter(|_| word != "help") else {
        return misspelt(command, &word).map_or(Ok(words), Err);
    };
    if at == 1 {
        return Ok(words);
    }
    // Behind the verb and its subcommand: `fault add`, `clock advance`.
    let inner = words.get(at + 1).and_then(|word| verb.find_subcommand(word));
    let behind = at + 1 + usize::from(inner.is_some());
    let [program, options] = [&words[..1], &words[1..at]];
    Ok([program, &words[at..behind], options, &words[behind..]].concat())
}

/// Replaces `--for -5s` by `--for=-5s`: the error is then that of the value.
fn with_negative_values(command: &Command, words: Vec<OsString>) -> Vec<OsString> {
    let mut joined: Vec<OsString> = Vec::with_capacity(words.len());
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if word == "--" {
            // What follows is of another program.
            joined.push(word);
            joined.extend(words);
            break;
        }
        let is_negative = word.to_str().is_some_and(|text| {
            text.strip_prefix('-').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        });
        match joined.last_mut() {
            Some(option) if is_negative && option.to_str().is_some_and(|text| takes_next(command, text)) => {
                option.push("=");
                option.push(word);
            }
            _ => joined.push(word),
        }
    }
    joined
}

/// Index of the first word that is neither an option nor the value of one.
fn first_word(command: &Command, words: &[OsString]) -> Option<usize> {
    let mut at = 1;
    while let Some(word) = words.get(at) {
        let text = word.to_string_lossy();
        if text == "--" || text == "-" {
            return None;
        }
        if !text.starts_with('-') {
            return Some(at);
        }
        at += if takes_next(command, &text) { 2 } else { 1 };
    }
    None
}

/// Whether the value of the option `text` is the next word.
fn takes_next(command: &Command, text: &str) -> bool {
    let of_this = |argument: &&clap::Arg| match text.strip_prefix("--") {
        Some(long) => argument.get_long() == Some(long),
        None => text.len() == 2 && argument.get_short() == text.chars().nth(1),
    };
    fn all(command: &Command) -> impl Iterator<Item = &clap::Arg> {
        let inner = command.get_subcommands().flat_map(|verb| verb.get_arguments());
        command.get_arguments().chain(inner)
    }
    let inner = command.get_subcommands().flat_map(all);
    let found = command.get_arguments().chain(inner).find(of_this);
    found.is_some_and(|argument| {
        argument.get_action().takes_values() && argument.get_num_args().is_none_or(|n| n.min_values() > 0)
    })
}

/// The error for a first word that is not a path and similar to a verb.
fn misspelt(command: &Command, word: &str) -> Option<Failure> {
    let is_path = Path::new(word).exists() || word.contains(['/', '.', std::path::MAIN_SEPARATOR]);
    let near = nearest(word, command.get_subcommands().map(Command::get_name)).filter(|_| !is_path)?;
    Some(Failure::Input(format!(
        "{word:?} is neither a verb nor a file; did you mean `clusterlocal {near}`? \
         (clusterlocal --help lists the verbs)"
    )))
}

/// Every variable that a flag reads, without [`PREFIX`].
fn known_variables(command: &Command) -> BTreeSet<String> {
    fn collect(command: &Command, known: &mut BTreeSet<String>) {
        let variables = command.get_arguments().filter_map(|argument| argument.get_env());
        known.extend(
            variables.filter_map(OsStr::to_str).map(|name| name.trim_start_matches(PREFIX).to_owned()),
        );
        command.get_subcommands().for_each(|verb| collect(verb, known));
    }
    let mut known: BTreeSet<String> = OTHER_VARIABLES.map(String::from).into();
    collect(command, &mut known);
    known
}

/// Whether Kubernetes or Docker sets the variable for a Service named clusterlocal, or a test of this project.
fn is_foreign(name: &str) -> bool {
    name == "PORT"
        || name == "NAME"
        || ["PORT_", "SERVICE_HOST", "SERVICE_PORT", "ENV_", "TEST_"]
            .iter()
            .any(|start| name.starts_with(start))
}

/// Checks the variables with the prefix of this program, and warns of unknown ones.
///
/// # Errors
/// If an unknown variable is similar to a known one.
pub fn check_environment(command: &Command, names: impl Iterator<Item = String>) -> Result<(), Failure> {
    let unread: Vec<String> = names
        .filter_map(|name| Some(name.strip_prefix(PREFIX)?.to_owned()))
        .filter(|name| !is_foreign(name))
        .collect();
    if unread.is_empty() {
        return Ok(());
    }
    let known = known_variables(command);
    let mut misspelt = Vec::new();
    for name in unread.into_iter().filter(|name| !known.contains(name)) {
        match nearest(&name, known.iter().map(String::as_str)) {
            Some(near) => misspelt.push(format!(
                "{PREFIX}{name} is not a variable of clusterlocal; did you mean {PREFIX}{near}?"
            )),
            None => complain(format_args!(
                "warning: {PREFIX}{name} is not a variable of clusterlocal and has no effect; variables are named after flags"
            )),
        }
    }
    if misspelt.is_empty() { Ok(()) } else { Err(Failure::Input(misspelt.join("; "))) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    fn arranged(words: Vec<OsString>) -> Result<Vec<OsString>, Failure> {
        super::arranged(&Cli::command(), words)
    }

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn options_before_a_verb_are_moved() {
        let table = [
            ("c --api 127.0.0.1:1 unready db-1", "c unready --api 127.0.0.1:1 db-1"),
            ("c --api=127.0.0.1:1 fault add drop", "c fault add --api=127.0.0.1:1 drop"),
            ("c -n db unready db-1", "c unready -n db db-1"),
            ("c --off node down node-1", "c node down --off node-1"),
            ("c --ttl 5 check a.yaml", "c check --ttl 5 a.yaml"),
            ("c --api-allow-remote serve a.yaml", "c serve --api-allow-remote a.yaml"),
            ("c --ttl 5 a.yaml", "c --ttl 5 a.yaml"),
            ("c unready db-1 --api x", "c unready db-1 --api x"),
            ("c --ttl 5 -", "c --ttl 5 -"),
            ("c --help", "c --help"),
            ("c fault add drop --for -5s", "c fault add drop --for=-5s"),
            ("c fault add drop --priority -1", "c fault add drop --priority=-1"),
        ];
        for (line, expected) in table {
            assert_eq!(arranged(words(line)).expect("words"), words(expected), "{line}");
        }
    }

    #[test]
    fn misspelt_verbs_are_errors_and_paths_are_not() {
        for (word, near) in
            [("serv", "serve"), ("chekc", "check"), ("expalin", "explain"), ("unraedy", "unready")]
        {
            let error = arranged(words(&format!("c {word}"))).unwrap_err().to_string();
            assert!(error.contains(&format!("did you mean `clusterlocal {near}`?")), "{word}: {error}");
        }
        for path in ["serv.yaml", "./serv", "cassandra", "src"] {
            assert!(arranged(words(&format!("c {path}"))).is_ok(), "{path}");
        }
    }

    #[test]
    fn variables_similar_to_known_ones_are_errors() {
        let check = |name: &str| {
            check_environment(&Cli::command(), std::iter::once(name.to_owned())).map_err(|e| e.to_string())
        };
        for name in [
            "CLUSTERLOCAL_TTL",
            "CLUSTERLOCAL_DNS",
            "CLUSTERLOCAL_DNS_PORT",
            "CLUSTERLOCAL_BIN",
            "CLUSTERLOCAL_SERVICE_HOST",
            "CLUSTERLOCAL_PORT_10053_UDP_ADDR",
            "CLUSTERLOCAL_TEST_CLIENTS",
            "CLUSTERLOCAL_SOMETHING_ELSE",
            "PATH",
        ] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        let error = check("CLUSTERLOCAL_TLL").unwrap_err();
        assert_eq!(
            error,
            "CLUSTERLOCAL_TLL is not a variable of clusterlocal; did you mean CLUSTERLOCAL_TTL?"
        );
    }
}
