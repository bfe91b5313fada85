//! `clock`: the cluster's time, moved by hand.

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
    /// Move it on; everything that is due by then has happened when this ends
    Advance {
        /// By how much, 355s or 1h
        #[arg(value_name = "TIME", value_parser = values::time, allow_hyphen_values = true)]
        by: Duration,
    },
    /// Let it stand still
    Pause,
    /// Let it run
    Resume,
}

/// Where the API has the clock.
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
        Some(true) => format!("runs, {}x", status["speed"].as_f64().unwrap_or(1.0)),
        _ => "stands still".into(),
    };
    Ok(print(&format!("{} {runs}\n", status["now"].as_str().unwrap_or_default())))
}
