//! `clock`: shows and moves the cluster's time.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;

use super::failure::Failure;
use super::output::print;
use super::running::ServerArgs;
use super::values;

#[derive(Debug, Args)]
pub struct ClockArgs {
    #[command(subcommand)]
    move_by: Option<Move>,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Subcommand)]
enum Move {
    /// Advance it, and return when everything due by then has happened
    Advance {
        /// Duration, such as 355s or 1h
        #[arg(value_name = "TIME", value_parser = values::time, allow_hyphen_values = true)]
        by: Duration,
    },
    /// Stop it
    Pause,
    /// Continue it
    Resume,
}

/// Path of the clock in the API.
const PATH: &str = "/apis/clusterlocal.dev/v1/clocks/cluster";

pub fn run(args: ClockArgs) -> Result<ExitCode, Failure> {
    let clock = match args.move_by {
        None => args.server.get(PATH)?,
        Some(Move::Advance { by }) => {
            let body = json!({ "by": format!("{}ms", by.as_millis()) });
            args.server.post(&format!("{PATH}/advance"), &body)?
        }
        Some(Move::Pause) => args.server.post(&format!("{PATH}/pause"), &json!({}))?,
        Some(Move::Resume) => args.server.post(&format!("{PATH}/resume"), &json!({}))?,
    };
    let status = &clock["status"];
    let runs = match status["running"].as_bool() {
        Some(true) => format!("running, {}x", status["speed"].as_f64().unwrap_or(1.0)),
        _ => "paused".into(),
    };
    Ok(print(&format!("{} {runs}\n", status["now"].as_str().unwrap_or_default())))
}
