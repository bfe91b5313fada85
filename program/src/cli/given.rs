//! Sources of the values of a verb's arguments: command line, environment or default. Must not depend on a verb.

use std::collections::HashMap;
use std::sync::OnceLock;

use clap::ArgMatches;
use clap::parser::ValueSource;

/// The source of each argument of the verb.
static GIVEN: OnceLock<HashMap<String, ValueSource>> = OnceLock::new();

/// Records the source of each argument.
pub fn record(matches: &ArgMatches) {
    let verb = matches.subcommand().map_or(matches, |(_, verb)| verb);
    let of = |id: &clap::Id| Some((id.to_string(), verb.value_source(id.as_str())?));
    _ = GIVEN.set(verb.ids().filter_map(of).collect());
}

/// Whether the command line or the environment has the argument.
pub fn is_given(id: &str) -> bool {
    source(id).is_some_and(|source| source != ValueSource::DefaultValue)
}

/// The source of the argument.
pub fn source(id: &str) -> Option<ValueSource> {
    GIVEN.get()?.get(id).copied()
}
