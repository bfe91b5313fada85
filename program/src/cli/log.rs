//! The log on standard error: filter and format.

use std::io::IsTerminal;

use clap::Args;
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

use super::output::Output;
use super::values;

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Log")]
pub struct LogArgs {
    /// Level, or e.g. info,clusterlocal::queries=debug
    #[arg(long = "log", value_name = "FILTER", default_value = "info", env = "CLUSTERLOCAL_LOG", value_parser = filter)]
    filter: Targets,
    /// Format
    #[arg(long = "log-format", value_name = "text|json", value_enum, default_value_t = Output::Text, env = "CLUSTERLOCAL_LOG_FORMAT")]
    form: Output,
}

/// The levels of a filter.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Crates that log.
const TARGETS: [&str; 4] = ["clusterlocal", "hyper", "notify", "tokio"];

const EXPECTED: &str = "expected off, error, warn, info, debug or trace, or a filter such as \
                        info,clusterlocal::queries=debug";

/// A filter, for clap. tracing takes a word that is no level for a target, and then logs nothing else.
fn filter(text: &str) -> Result<Targets, String> {
    let directives: Vec<&str> = text.split(',').map(str::trim).collect();
    for directive in &directives {
        let (target, level) = match directive.rsplit_once('=') {
            Some((target, level)) => (Some(target), level),
            None if directive.contains(':') => continue,
            None => (None, *directive),
        };
        let is_level = LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level))
            || matches!(level, "0" | "1" | "2" | "3" | "4" | "5");
        let is_target = target.is_none() && TARGETS.contains(&level);
        if !is_level && !is_target {
            return Err(format!(
                "{level:?} is not a level: {EXPECTED}{}",
                values::did_you_mean(level, LEVELS)
            ));
        }
        let of_crate = target.map(|target| target.split(':').next().unwrap_or_default());
        if let Some(name) = of_crate.filter(|name| !TARGETS.contains(name)) {
            let near = values::did_you_mean(name, TARGETS);
            return Err(format!("there is no log target {name:?}: {EXPECTED}{near}"));
        }
    }
    directives.join(",").parse().map_err(|error| format!("{EXPECTED}: {error}"))
}

impl LogArgs {
    /// Starts the log. The returned guard writes the last lines when it is dropped.
    pub fn start(&self) -> WorkerGuard {
        let colors = std::io::stderr().is_terminal()
            && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        // A full pipe must not delay answers: lines that are not read are dropped.
        let (writer, guard): (NonBlocking, _) =
            NonBlockingBuilder::default().lossy(true).buffered_lines_limit(10_000).finish(std::io::stderr());
        let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(colors);
        let log = tracing_subscriber::registry().with(self.filter.clone());
        match self.form {
            Output::Text => log.with(lines.with_target(false)).init(),
            Output::Json => log.with(lines.json().flatten_event(true)).init(),
        }
        guard
    }
}
