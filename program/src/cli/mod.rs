//! Has no counterpart in a cluster: the command line, one file a verb. The work of a verb is done by the library; the files here parse flags, print results and
//! map outcomes to exit codes.

mod changes;
mod check;
mod client;
mod clock;
mod cluster;
mod env;
#[cfg(unix)]
mod exec;
mod explain;
mod failure;
mod fault;
mod generate;
mod get;
mod given;
mod health;
mod help;
mod life;
mod log;
mod logs;
mod node;
mod output;
mod partition;
mod play;
mod pod;
#[cfg(target_os = "linux")]
mod pod_log;
mod process;
mod queries;
mod query;
mod records;
#[cfg(test)]
#[path = "tests/reference.rs"]
mod reference;
mod resolv_conf;
#[cfg(target_os = "linux")]
mod run;
mod running;
mod serve;
mod servers;
#[cfg(unix)]
mod session;
mod source;
mod upstream;
mod usage;
mod values;
mod words;

use std::process::ExitCode;

use clap::{Command, CommandFactory, FromArgMatches, Parser, Subcommand};

pub use changes::log_changes;
pub use failure::{Failure, show};
#[cfg(target_os = "linux")]
pub use pod_log::log_pods;
pub use process::{Parent, Signals, Stop};
#[cfg(target_os = "linux")]
pub use run::PodsArgs;
#[cfg(target_os = "linux")]
use run::RunArgs;
pub use serve::ServeArgs;

/// cluster.local, without the cluster: a Kubernetes cluster's DNS, from manifests alone.
#[derive(Debug, Parser)]
#[command(name = "clusterlocal", version, args_conflicts_with_subcommands = true, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Answer DNS queries for the cluster of the manifests, and follow their changes
    Serve(Box<ServeArgs>),
    /// Serve, and run the containers of pods as processes
    #[cfg(target_os = "linux")]
    Run(Box<RunArgs>),
    /// Check that the DNS of a server answers, for health checks of containers
    Health(health::HealthArgs),
    /// Report problems in manifests: what an API server refuses, and likely mistakes
    Check(check::CheckArgs),
    /// Run Scenarios, each against a cluster of its own, and check their expectations
    Play(play::PlayArgs),
    /// Print how to point a program at the server: Node.js, Go, Java, Docker and others
    Env(env::EnvArgs),
    /// Print the resolv.conf of a pod
    ResolvConf(resolv_conf::ResolverArgs),
    /// Print the completions of a shell
    Completions(generate::CompletionsArgs),
    /// Write the manual pages into a directory
    Man(generate::ManArgs),
    /// List all DNS records
    Records(records::RecordsArgs),
    /// Answer one query as a pod sends it, in the layout of dig
    Query(query::QueryArgs),
    /// Explain an answer: the objects and rules it follows from, and what is missing
    Explain(explain::ExplainArgs),
    /// Show the queries and their answers, or wait for them
    Log(Box<queries::LogArgs>),
    /// List the changes of the DNS; kubectl get lists objects
    Get(get::GetArgs),
    /// Show, advance, pause or resume the clock
    Clock(clock::ClockArgs),
    /// Make the DNS fail, list its faults or end them
    Fault(fault::FaultArgs),
    /// Make a node fail, recover or reboot
    Node(node::NodeArgs),
    /// Separate groups of pods and nodes that run: packets between them are dropped
    Partition(partition::PartitionArgs),
    /// End partitions
    Heal(partition::HealArgs),
    /// Make a pod ready until it is changed again
    Ready(running::PodArgs),
    /// Make a pod not ready until it is changed again
    Unready(running::PodArgs),
    /// Crash a container of a pod
    Crash(running::PodArgs),
    /// Print what a container has written, of a server that runs pods
    Logs(logs::LogsArgs),
    /// Run a program in a container, of a server that runs pods
    #[cfg(unix)]
    Exec(exec::ExecArgs),
    /// Run a shell in a pod, or in a pod of its own, of a server that runs pods
    #[cfg(unix)]
    Shell(exec::ShellArgs),
}

/// How the containers of pods run: on this system they do not.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
pub enum PodsArgs {}

/// Runs the verb of the command line; `serve` runs the server, with pods that run as processes where there are arguments for them.
pub fn run(serve: impl Fn(ServeArgs, Option<PodsArgs>) -> Result<ExitCode, Failure>) -> ExitCode {
    let cli = match parsed() {
        Ok(cli) => cli,
        Err(failure) => return failure.report(),
    };
    let result = match cli.verb {
        None => serve(cli.serve, None),
        Some(Verb::Serve(args)) => serve(*args, None),
        #[cfg(target_os = "linux")]
        Some(Verb::Run(args)) => args.begin().and_then(|(args, pods)| serve(args, Some(pods))),
        Some(Verb::Health(args)) => health::run(&args),
        Some(Verb::Check(args)) => check::run(args),
        Some(Verb::Play(args)) => play::run(args),
        Some(Verb::Env(args)) => env::run(args),
        Some(Verb::ResolvConf(args)) => resolv_conf::run(args),
        Some(Verb::Completions(args)) => generate::completions(&args, described()),
        Some(Verb::Man(args)) => generate::man(&args, described()),
        Some(Verb::Records(args)) => records::run(args),
        Some(Verb::Query(args)) => query::run(args),
        Some(Verb::Explain(args)) => explain::run(args),
        Some(Verb::Log(args)) => queries::run(&args),
        Some(Verb::Get(args)) => get::run(args),
        Some(Verb::Clock(args)) => clock::run(args),
        Some(Verb::Fault(args)) => fault::run(args),
        Some(Verb::Node(args)) => node::run(args),
        Some(Verb::Partition(args)) => partition::run(args),
        Some(Verb::Heal(args)) => partition::heal(&args),
        Some(Verb::Ready(args)) => pod::set_ready(&args, true),
        Some(Verb::Unready(args)) => pod::set_ready(&args, false),
        Some(Verb::Crash(args)) => pod::crash(&args),
        Some(Verb::Logs(args)) => logs::run(&args),
        #[cfg(unix)]
        Some(Verb::Exec(args)) => exec::run(&args),
        #[cfg(unix)]
        Some(Verb::Shell(args)) => exec::shell(&args),
    };
    result.unwrap_or_else(|failure| failure.report())
}

/// The command line with all of its help.
fn described() -> Command {
    help::described(Cli::command())
}

/// Parses the command line and the environment. Help and errors of the parser end the program.
fn parsed() -> Result<Cli, Failure> {
    let command = help::compact(described());
    let words = words::arranged(&command, std::env::args_os().collect())?;
    let variables = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    words::check_environment(&command, variables)?;
    let matches = command.try_get_matches_from(&words);
    let matches = matches.unwrap_or_else(|error| usage::exit(error, &help::compact(described()), &words));
    given::record(&matches);
    Ok(Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()))
}
