//! The log: what is written to standard error, and in which form.

use std::io::IsTerminal;

use clap::{Args, ValueEnum};
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

#[derive(Clone, Debug, Args)]
pub struct LogArgs {
    /// What to log: error, warn, info, debug (adds a line a query), or a filter like info,clusterlocal::queries=debug
    #[arg(long = "log", value_name = "FILTER", default_value = "info", env = "CLUSTERLOCAL_LOG")]
    filter: String,
    /// The form of the log
    #[arg(long = "log-format", value_enum, default_value_t = Form::Text, env = "CLUSTERLOCAL_LOG_FORMAT")]
    form: Form,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Form {
    /// Lines to read
    Text,
    /// An object a line
    Json,
}

/// hickory's own lines tell of every packet it does not like: anybody could fill a disk with them.
const QUIET: [&str; 3] = ["hickory_server=error", "hickory_net=error", "hickory_proto=error"];

impl LogArgs {
    /// Begins to log. What is returned writes the last lines when it goes.
    pub fn start(&self) -> Result<WorkerGuard, String> {
        let filter = EnvFilter::try_new(format!("{},{}", QUIET.join(","), self.filter))
            .map_err(|error| format!("--log {:?}: {error}", self.filter))?;
        let colors = std::io::stderr().is_terminal()
            && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        // A full pipe must not hold up answers: lines that nobody takes are dropped.
        let (writer, guard): (NonBlocking, _) =
            NonBlockingBuilder::default().lossy(true).buffered_lines_limit(10_000).finish(std::io::stderr());
        let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(colors);
        match self.form {
            Form::Text => builder.with_target(false).init(),
            Form::Json => builder.json().flatten_event(true).init(),
        }
        Ok(guard)
    }
}
