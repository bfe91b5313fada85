//! `clock`: the cluster's time, moved by hand.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use clusterlocal_core::store::duration;
use serde_json::json;

use super::Failure;
use super::running::ServerArgs;

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
        #[arg(value_name = "TIME", value_parser = parse, allow_hyphen_values = true)]
        by: Duration,
    },
    /// Let it stand still
    Pause,
    /// Let it run
    Resume,
}

/// A time, for clap.
pub fn parse(text: &str) -> Result<Duration, String> {
    duration(text).ok_or_else(|| {
        let meant = match text.parse::<f64>() {
            Ok(number) if number >= 0.0 => format!("; the unit is missing: write {text}s for seconds"),
            Ok(_) => "; it cannot be negative".into(),
            Err(_) => String::new(),
        };
        format!("expected a duration with its unit, such as 500ms, 5s or 1m30s{meant}")
    })
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
    Ok(super::print(&format!("{} {runs}\n", status["now"].as_str().unwrap_or_default())))
}
