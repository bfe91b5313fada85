//! A run: the arguments, the cluster, the contenders, the measurements, the tables, and the picture.

#[path = "../common/cluster.rs"]
mod cluster;
mod contenders;
mod echo;
mod figures;
mod growth;
mod latency;
mod load;
mod machine;
mod measure;
mod paced;
mod picture;
#[path = "../common/question.rs"]
mod question;
mod questions;
mod server;
mod start;
mod streams;
mod table;
mod tcp;
mod udp;
mod wait;
mod zone_file;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use cluster::Cluster;
use contenders::Contender;
use machine::{Cpus, Machine};

/// A failure, with a message for the user.
type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The program compared with other name servers: CPU time per query, first answers, growth, latency.
#[derive(Debug, Parser)]
#[command(name = "side-by-side", disable_version_flag = true)]
struct Arguments {
    /// Number of rounds of each measurement
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Duration of each load
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// What to measure; everything by default
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// UDP size that queries announce; 0 sends no EDNS, and SRV records of ten pods do not fit
    #[arg(long, value_name = "BYTES", default_value_t = 1232)]
    edns: u16,
    /// Write a picture to this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Check in half a minute whether everything works; the figures are meaningless
    #[arg(long)]
    quick: bool,
    /// Run as the echo on this port
    #[arg(long, hide = true, value_name = "PORT")]
    echo: Option<u16>,
    /// Run as an echo with the sizes in this file
    #[arg(long, hide = true, value_name = "FILE", requires = "echo")]
    echo_sizes: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    Udp,
    Tcp,
    Start,
    Growth,
    Latency,
}

/// What all measurements share.
struct Run {
    rounds: u32,
    /// Duration of each load.
    time: Duration,
    quick: bool,
    /// UDP size that queries announce, in bytes.
    edns: u16,
    cpus: Cpus,
    contenders: Vec<Contender>,
    /// The usual cluster as files.
    usual: Written,
    scratch: PathBuf,
}

/// A cluster as files.
struct Written {
    cluster: Cluster,
    /// A file, or a directory with files.
    manifests: PathBuf,
    /// The same as a zone file (RFC 1035 section 5).
    zone: PathBuf,
}

pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.echo {
        Some(port) => echo::serve(port, arguments.echo_sizes.as_deref()),
        None => run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("side-by-side: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let is_selected = |part| arguments.only.is_empty() || arguments.only.contains(&part);
    if arguments.svg.is_some() && !is_selected(Part::Udp) && !is_selected(Part::Growth) {
        return Err("--svg draws udp and growth, and --only leaves both out".into());
    }
    contenders::build_clusterlocal()?;
    let scratch = tempfile::tempdir()?;
    let run = Run {
        rounds: if arguments.quick { 1 } else { arguments.rounds },
        time: Duration::try_from_secs_f64(if arguments.quick { 0.3 } else { arguments.seconds })?,
        quick: arguments.quick,
        edns: arguments.edns,
        cpus: Cpus::of_this_machine()?,
        contenders: contenders::installed(),
        usual: write(Cluster::USUAL, scratch.path())?,
        scratch: scratch.path().into(),
    };
    let machine = Machine::seen(&run)?;
    println!("{machine}");
    let udp = is_selected(Part::Udp).then(|| udp::measure(&run)).transpose()?;
    if is_selected(Part::Tcp) {
        tcp::measure(&run)?;
    }
    if is_selected(Part::Start) {
        start::measure(&run)?;
    }
    let growth = is_selected(Part::Growth).then(|| growth::measure(&run)).transpose()?;
    if is_selected(Part::Latency) {
        latency::measure(&run)?;
    }
    if let Some(path) = &arguments.svg {
        let drawn = picture::draw(&machine, udp.as_ref(), growth.as_deref())?;
        fs::write(path, drawn).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        println!("The picture is {}.", path.display());
    }
    Ok(())
}

fn write(cluster: Cluster, directory: &Path) -> Result<Written> {
    let written =
        Written { cluster, manifests: directory.join("cluster.yaml"), zone: directory.join("cluster.zone") };
    fs::write(&written.manifests, cluster.manifests())?;
    fs::write(&written.zone, zone_file::zone_file(&cluster))?;
    Ok(written)
}
