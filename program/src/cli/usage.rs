//! What the parser of the command line leaves out of its errors: which verbs there are, and a whole command that works. Must
//! not depend on what a verb does.

use std::ffi::OsString;
use std::io::Write;

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clusterlocal_core::manifest::harmless;

use super::values::DEFAULT_API;

/// A command for each verb.
const EXAMPLES: [(&str, &str); 16] = [
    ("serve", "serve cassandra.yaml --listen 127.0.0.1:10053"),
    ("check", "check cassandra.yaml --deny warnings"),
    ("records", "records cassandra.yaml -o hosts"),
    ("query", "query _cql._tcp.cassandra SRV -n ring"),
    ("explain", "explain cassandra-3.cassandra -n ring"),
    ("env", "env --for node"),
    ("resolv-conf", "resolv-conf -n ring --dns 127.0.0.1:53"),
    ("node", "node down node-1"),
    ("ready", "ready db-1 -n default"),
    ("unready", "unready db-1 -n default"),
    ("crash", "crash db-1 -n default"),
    ("clock", "clock advance 5m"),
    ("play", "play story.yaml -- ./my-store"),
    ("fault", "fault add servfail --type SRV --for 30s"),
    ("log", "log -f --type SRV"),
    ("get", "get changes"),
];

/// Prints the parser's error for `words`, with what was expected, and ends the program; help is printed as it is.
pub fn exit(error: clap::Error, command: &Command, words: &[OsString]) -> ! {
    let is_help = matches!(
        error.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    if is_help {
        error.exit();
    }
    let verb = words.get(1).and_then(|word| command.find_subcommand(word));
    let mut more = String::new();
    if error.kind() == ErrorKind::InvalidSubcommand && error.get(ContextKind::SuggestedSubcommand).is_none() {
        more.push_str(&format!("\nexpected one of: {}\n", names(verb.unwrap_or(command))));
    }
    let name = verb.map_or("serve", Command::get_name);
    if let ("get", Some(ContextValue::String(kind))) = (name, error.get(ContextKind::InvalidSubcommand)) {
        more.push_str(&format!("\nobjects: kubectl --server http://{DEFAULT_API} get {}\n", harmless(kind)));
    }
    if let Some((_, example)) = EXAMPLES.iter().find(|(verb, _)| *verb == name) {
        more.push_str(&format!("\nexample: clusterlocal {example}\n"));
    }
    _ = error.print();
    _ = write!(std::io::stderr(), "{more}");
    std::process::exit(error.exit_code());
}

/// The verbs of a command.
fn names(command: &Command) -> String {
    let names = command.get_subcommands().map(Command::get_name).filter(|name| *name != "help");
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn each_verb_has_an_example_that_is_right() {
        for verb in Cli::command().get_subcommands().filter(|verb| verb.get_name() != "help") {
            let example = EXAMPLES.iter().find(|(name, _)| *name == verb.get_name());
            let (_, example) = example.unwrap_or_else(|| panic!("{} has none", verb.get_name()));
            let words = ["clusterlocal"].into_iter().chain(example.split(' '));
            let parsed = Cli::command().try_get_matches_from(words);
            assert!(parsed.is_ok(), "{example}: {parsed:?}");
        }
    }
}
