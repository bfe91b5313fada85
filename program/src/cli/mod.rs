//! The command line: one file a verb. Everything a verb needs is in the library; what is here reads flags, prints
//! results and turns outcomes into exit codes.

mod check;
mod client;
mod clock;
mod cluster;
mod env;
mod explain;
mod failure;
mod fault;
mod get;
mod given;
mod life;
mod log;
mod node;
mod output;
mod play;
mod pod;
mod process;
mod queries;
mod query;
mod records;
#[cfg(test)]
#[path = "tests/reference.rs"]
mod reference;
mod resolv_conf;
mod running;
mod serve;
mod servers;
mod source;
mod telling;
mod upstream;
mod usage;
mod values;
mod words;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

pub use failure::{Failure, show};
pub use process::{Parent, Signals, Stop};
pub use serve::ServeArgs;
pub use telling::tell_changes;

/// cluster.local, without the cluster: a Kubernetes cluster's DNS, from manifests alone.
#[derive(Debug, Parser)]
#[command(name = "clusterlocal", version, args_conflicts_with_subcommands = true, max_term_width = 100)]
#[command(after_help = "\
Examples:
  clusterlocal                                 serve the manifests in zones/ at 127.0.0.1:10053
  clusterlocal serve cassandra.yaml            serve one file, and follow its changes
  dig @127.0.0.1 -p 10053 _cql._tcp.cassandra.default.svc.cluster.local SRV
  helm template my-store | clusterlocal records -
  clusterlocal explain cassandra-3.cassandra.default.svc.cluster.local
  clusterlocal env --for node                  how Node.js is told to ask this server
  kubectl -s http://127.0.0.1:10054 scale sts cassandra --replicas 5
  clusterlocal node down node-2                a node fails; kubectl has no word for it
  clusterlocal fault add servfail --for 30s    the DNS fails for half a minute
  clusterlocal log -f --type SRV               who asks for what, as it comes
  clusterlocal get changes                     what became visible in the DNS, when and why

Every flag is also an environment variable: --max-udp-size is CLUSTERLOCAL_MAX_UDP_SIZE.
Exit codes: 0 ok, 1 findings, 2 wrong usage or unreadable input, 3 cannot listen or reach.")]
pub struct Cli {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Answer DNS queries for the cluster that the manifests describe, and follow their changes (the default verb)
    Serve(Box<ServeArgs>),
    /// Read the manifests without serving them: problems, and what is probably not meant as it is written
    Check(check::CheckArgs),
    /// List all records of the running server's cluster, or of manifests
    Records(records::RecordsArgs),
    /// Answer one question as a pod asks it, in dig's layout: from the running server's cluster, or from manifests
    Query(query::QueryArgs),
    /// Explain why a question has its answer: which object, which rule, what is missing
    Explain(explain::ExplainArgs),
    /// Print how a program is told to ask the server: Node.js, Go, Java, Python and others
    #[command(after_long_help = "Example: clusterlocal env --for node > clusterlocal.mjs")]
    Env(env::EnvArgs),
    /// Print the resolv.conf of a pod
    #[command(after_long_help = "Example: clusterlocal resolv-conf -n ring --dns 127.0.0.1:53 > resolv.conf")]
    ResolvConf(resolv_conf::ResolverArgs),
    /// Let a node of a running server fail, come back, or be booted
    Node(node::NodeArgs),
    /// Make a pod of a running server ready, until somebody says otherwise
    Ready(running::PodArgs),
    /// Make a pod of a running server not ready, until somebody says otherwise
    Unready(running::PodArgs),
    /// Let a container of a pod of a running server crash
    Crash(running::PodArgs),
    /// Show or move the clock of a running server
    Clock(clock::ClockArgs),
    /// Let a story happen to a cluster of its own, and tell whether all of it was as it should be
    Play(play::PlayArgs),
    /// Let the DNS of a running server fail, and for how long
    Fault(fault::FaultArgs),
    /// Show what a running server was asked and what it said, or wait for it
    Log(Box<queries::LogArgs>),
    /// Show what only a running server here can tell: changes. Everything else is kubectl get
    Get(get::GetArgs),
}

/// Runs what the command line asks for. `serve` is told by whoever calls.
pub fn run(serve: impl Fn(ServeArgs) -> Result<ExitCode, Failure>) -> ExitCode {
    let cli = match parsed() {
        Ok(cli) => cli,
        Err(failure) => return failure.report(),
    };
    let result = match cli.verb {
        None => serve(cli.serve),
        Some(Verb::Serve(args)) => serve(*args),
        Some(Verb::Check(args)) => check::run(args),
        Some(Verb::Records(args)) => records::run(args),
        Some(Verb::Query(args)) => query::run(args),
        Some(Verb::Explain(args)) => explain::run(args),
        Some(Verb::Env(args)) => env::run(args),
        Some(Verb::ResolvConf(args)) => resolv_conf::run(args),
        Some(Verb::Node(args)) => node::run(args),
        Some(Verb::Ready(args)) => pod::hold(&args, true),
        Some(Verb::Unready(args)) => pod::hold(&args, false),
        Some(Verb::Crash(args)) => pod::crash(&args),
        Some(Verb::Clock(args)) => clock::run(args),
        Some(Verb::Play(args)) => play::run(args),
        Some(Verb::Fault(args)) => fault::run(args),
        Some(Verb::Log(args)) => queries::run(&args),
        Some(Verb::Get(args)) => get::run(args),
    };
    result.unwrap_or_else(|failure| failure.report())
}

/// The command line, with the environment; help and errors of the parser end the program.
fn parsed() -> Result<Cli, Failure> {
    let command = Cli::command();
    let words = words::arranged(&command, std::env::args_os().collect())?;
    let variables = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    words::check_environment(&command, variables)?;
    let matches = command.clone().try_get_matches_from(&words);
    let matches = matches.unwrap_or_else(|error| usage::exit(error, &command, &words));
    given::note(&matches);
    Ok(Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()))
}
