//! The command line: one file a verb. Everything a verb needs is in the library; what is here reads flags, prints
//! results and turns outcomes into exit codes.

mod check;
mod cluster;
mod explain;
mod life;
mod log;
mod process;
mod query;
mod records;
mod serve;
mod telling;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use cluster::{ClusterArgs, Failure, show};
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
    /// List all records of the cluster
    Records(records::RecordsArgs),
    /// Answer one question, in dig's layout, without a server
    Query(query::QueryArgs),
    /// Tell why a question has the answer that it has: which object, which rule, what is missing
    Explain(explain::ExplainArgs),
}

/// Runs what the command line asks for. `serve` is told by whoever calls.
pub fn run(serve: impl Fn(ServeArgs) -> Result<ExitCode, Failure>) -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.verb {
        None => serve(cli.serve),
        Some(Verb::Serve(args)) => serve(*args),
        Some(Verb::Check(args)) => check::run(args),
        Some(Verb::Records(args)) => records::run(args),
        Some(Verb::Query(args)) => query::run(args),
        Some(Verb::Explain(args)) => explain::run(args),
    };
    result.unwrap_or_else(|failure| failure.report())
}

/// Prints to standard output. A reader that has seen enough (`| head`) is no failure.
fn print(text: &str) -> ExitCode {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => Failure::Input(format!("cannot write to standard output: {error}")).report(),
    }
}
