//! Which arguments of the verb were given, and where. Must not depend on a verb.

use std::collections::HashMap;
use std::sync::OnceLock;

use clap::ArgMatches;
use clap::parser::ValueSource;

/// Where each argument of the verb comes from.
static GIVEN: OnceLock<HashMap<String, ValueSource>> = OnceLock::new();

/// Records which arguments the command line and the environment give.
pub fn note(matches: &ArgMatches) {
    let verb = matches.subcommand().map_or(matches, |(_, verb)| verb);
    let of = |id: &clap::Id| Some((id.to_string(), verb.value_source(id.as_str())?));
    _ = GIVEN.set(verb.ids().filter_map(of).collect());
}

/// Whether an argument was given, and not only by its default.
pub fn is_given(id: &str) -> bool {
    source(id).is_some_and(|source| source != ValueSource::DefaultValue)
}

/// Where the argument comes from.
pub fn source(id: &str) -> Option<ValueSource> {
    GIVEN.get()?.get(id).copied()
}
