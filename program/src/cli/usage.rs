//! Completes the errors of the command line's parser: the verbs that exist, and a command that works. Must not depend on what a
//! verb does.

use std::ffi::OsString;
use std::io::Write;

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clusterlocal_core::manifest::harmless;

use super::help;
use super::values::DEFAULT_API;

/// Prints the parser's error for `words`, completed, and ends the program; help is printed as it is.
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
    if let Some(example) = help::example(name) {
        more.push_str(&format!("\nexample: {example}\n"));
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
