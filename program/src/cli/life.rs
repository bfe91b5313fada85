//! The cluster's time: its clock, the delays of pods, and the reuse of their addresses.

use std::time::Duration;

use clap::{Args, ValueEnum};
use clusterlocal_core::addresses::Reuse;
use clusterlocal_core::reconcile::Delays;
use clusterlocal_core::store::Time;
use clusterlocal_core::{Clock, Settings};

use super::values::time as parse_time;

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Time and pods")]
pub struct LifeArgs {
    /// Clock; manual: moved by `clusterlocal clock`
    #[arg(long, value_name = "real|manual", value_enum, default_value_t = ClockArg::Real, env = "CLUSTERLOCAL_CLOCK")]
    clock: ClockArg,
    /// First time of a manual clock
    #[arg(
        long,
        value_name = "TIME",
        default_value = "2026-01-01T00:00:00Z",
        env = "CLUSTERLOCAL_START_TIME"
    )]
    start_time: Time,
    /// Speed of the clock; 60x: one hour a minute
    #[arg(long, value_name = "FACTOR", default_value = "1x", env = "CLUSTERLOCAL_SPEED", value_parser = parse_speed)]
    speed: f64,
    /// Time from binding to a node to running
    #[arg(long, value_name = "TIME", default_value = "0s", env = "CLUSTERLOCAL_START_DELAY", value_parser = parse_time)]
    start_delay: Duration,
    /// Time from running to ready
    #[arg(long, value_name = "TIME", default_value = "0s", env = "CLUSTERLOCAL_READY_DELAY", value_parser = parse_time)]
    ready_delay: Duration,
    /// Time to stop, within the grace period
    #[arg(long, value_name = "TIME", default_value = "0s", env = "CLUSTERLOCAL_STOP_DELAY", value_parser = parse_time)]
    stop_delay: Duration,
    /// Reuse of released addresses
    #[arg(long, value_name = "never|lifo", value_enum, default_value_t = ReuseArg::Never, env = "CLUSTERLOCAL_ADDRESS_REUSE")]
    address_reuse: ReuseArg,
    /// Kubernetes feature gates: MaxUnavailableStatefulSet=true|false
    #[arg(long, value_name = "GATES", env = "CLUSTERLOCAL_FEATURE_GATES", value_delimiter = ',', value_parser = parse_gate)]
    feature_gates: Vec<(Gate, bool)>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ClockArg {
    /// The wall clock, times the speed
    Real,
    /// Moved by `clusterlocal clock advance`
    Manual,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ReuseArg {
    /// Not before the whole range has been used
    Never,
    /// The last released address first: stale peers reach another pod at once
    Lifo,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    MaxUnavailableStatefulSet,
}

fn parse_speed(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('x').unwrap_or(text).parse().ok();
    let in_range = number.filter(|speed: &f64| (0.001..=100_000.0).contains(speed));
    in_range.ok_or_else(|| "expected a factor from 0.001x to 100000x, such as 60x".into())
}

fn parse_gate(text: &str) -> Result<(Gate, bool), String> {
    let (name, on) = text
        .split_once('=')
        .ok_or("expected NAME=true or NAME=false, such as MaxUnavailableStatefulSet=true")?;
    let on =
        on.parse().map_err(|_| "expected NAME=true or NAME=false, such as MaxUnavailableStatefulSet=true")?;
    match name {
        "MaxUnavailableStatefulSet" => Ok((Gate::MaxUnavailableStatefulSet, on)),
        _ => Err("expected MaxUnavailableStatefulSet, the only supported gate, such as MaxUnavailableStatefulSet=true".into()),
    }
}

impl LifeArgs {
    /// The cluster's clock, started.
    pub fn clock(&self) -> Clock {
        match self.clock {
            ClockArg::Real => Clock::real(),
            ClockArg::Manual => Clock::paused_at(self.start_time),
        }
        .at_speed(self.speed)
    }

    /// The settings with delays, reuse of addresses and feature gates.
    pub fn apply(&self, settings: Settings) -> Settings {
        let gate = |gate| self.feature_gates.iter().rev().find(|(name, _)| *name == gate).map(|(_, on)| *on);
        Settings {
            delays: Delays { start: self.start_delay, ready: self.ready_delay, stop: self.stop_delay },
            address_reuse: match self.address_reuse {
                ReuseArg::Never => Reuse::Never,
                ReuseArg::Lifo => Reuse::Lifo,
            },
            max_unavailable: gate(Gate::MaxUnavailableStatefulSet).unwrap_or(settings.max_unavailable),
            ..settings
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_times_and_gates_are_parsed() {
        assert_eq!((parse_speed("60x"), parse_speed("0.5")), (Ok(60.0), Ok(0.5)));
        assert!(parse_speed("0x").is_err() && parse_speed("fast").is_err() && parse_speed("NaN").is_err());
        assert_eq!(parse_time("1m30s"), Ok(Duration::from_secs(90)));
        assert!(parse_time("90").is_err());
        assert_eq!(parse_gate("MaxUnavailableStatefulSet=true"), Ok((Gate::MaxUnavailableStatefulSet, true)));
        assert!(parse_gate("MaxUnavailableStatefulSet").is_err() && parse_gate("X=true").is_err());
    }
}
